"""When findings open and close: pure, without a database or a clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.watch.engine import Condition, Facts, Known, Past, step
from sgmp_console.watch.rules import TERMS, Key, Rule

MINUTE = 60_000
NOON = 1_750_000_000_000
DOWN = Key(1, "sonnen", Rule.DEVICE_DOWN)
OFFLINE = Key(1, "", Rule.EDGE_OFFLINE)
SILENT = Key(1, "sonnen", Rule.DEVICE_SILENT)
BROKER = Key(None, "", Rule.BROKER_AWAY)
NOTICE = Key(1, "sonnen", Rule.DEVICE_WARNING, "the fan is loud")


class Watched:
    """What is stored, and what a turn makes of it."""

    def __init__(self) -> None:
        self.findings: dict[int, Known] = {}
        self.now_ms = NOON

    def turn(
        self,
        *holding: Key,
        after_ms: int = 0,
        unknown: tuple[Key, ...] = (),
        past: tuple[Past, ...] = (),
        since_ms: int | None = None,
        value: float | None = None,
    ) -> list[Known]:
        """What was stored in it."""
        self.now_ms += after_ms
        since_ms = self.now_ms if since_ms is None else since_ms
        facts = Facts({key: Condition(since_ms, value) for key in holding}, frozenset(unknown), past)
        changes = step(self.findings.values(), facts, self.now_ms)
        for gone in changes.forgotten:
            del self.findings[gone.finding_id]
        for finding in changes.stored:
            number = finding.finding_id or len(self.findings) + 1000 * (self.now_ms - NOON) + 1
            while not finding.finding_id and number in self.findings:
                number += 1
            self.findings[number] = replace(finding, finding_id=number)
        return list(changes.stored)

    def open(self) -> set[Key]:
        return {one.key for one in self.findings.values() if one.opened_ms is not None and one.to_ms is None}

    def ended(self) -> list[tuple[Key, int, int]]:
        return [(one.key, one.from_ms, one.to_ms) for one in self.findings.values() if one.to_ms is not None]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_condition_opens_a_finding_once_it_has_held_for_the_hold_time(watched: Watched) -> None:
    hold_ms = TERMS[Rule.EDGE_OFFLINE].hold_ms
    watched.turn(OFFLINE, since_ms=NOON - 5 * MINUTE)
    watched.turn(OFFLINE, after_ms=hold_ms - 1)
    assert watched.open() == set()
    (opened,) = watched.turn(OFFLINE, after_ms=1)
    assert (opened.from_ms, opened.opened_ms) == (NOON - 5 * MINUTE, NOON + hold_ms)
    assert watched.turn(OFFLINE, after_ms=MINUTE, since_ms=NOON) == []


def test_what_is_over_within_the_hold_time_was_nothing(watched: Watched) -> None:
    watched.turn(OFFLINE)
    watched.turn(after_ms=1000)
    assert not watched.findings


def test_a_finding_closes_as_of_when_it_ended_and_what_comes_back_soon_goes_on(watched: Watched) -> None:
    watched.turn(DOWN)
    watched.turn(after_ms=MINUTE)
    watched.turn(DOWN, after_ms=30_000)
    watched.turn(after_ms=MINUTE)
    assert watched.open() == {DOWN}
    over_ms = watched.now_ms
    watched.turn(after_ms=TERMS[Rule.DEVICE_DOWN].clear_ms)
    assert watched.ended() == [(DOWN, NOON, over_ms)]
    assert watched.turn(after_ms=MINUTE) == []


@pytest.mark.parametrize("parent", [OFFLINE, BROKER])
def test_a_parent_hides_what_it_explains_from_the_moment_it_holds(watched: Watched, parent: Key) -> None:
    watched.turn(parent, SILENT)
    watched.turn(parent, SILENT, after_ms=10 * MINUTE)
    assert watched.open() == {parent}


def test_a_child_is_judged_again_when_its_parent_is_closed_and_not_before(watched: Watched) -> None:
    watched.turn(BROKER)
    watched.turn(BROKER, OFFLINE, after_ms=2 * MINUTE)
    watched.turn(OFFLINE, after_ms=MINUTE)
    watched.turn(OFFLINE, after_ms=MINUTE)
    assert watched.open() == {BROKER}
    watched.turn(OFFLINE, after_ms=MINUTE)
    watched.turn(OFFLINE, after_ms=1000)
    watched.turn(OFFLINE, after_ms=MINUTE)
    assert watched.open() == {OFFLINE}


def test_missing_data_suspend_a_finding_and_never_resolve_it(watched: Watched) -> None:
    watched.turn(DOWN)
    (suspended,) = watched.turn(OFFLINE, after_ms=MINUTE)[:1]
    assert (suspended.key, suspended.suspended, suspended.to_ms) == (DOWN, True, None)
    watched.turn(OFFLINE, after_ms=60 * MINUTE)
    assert DOWN in watched.open()
    for _ in range(3):  # the edge is back, its finding closes, what it explained is judged again
        watched.turn(DOWN, after_ms=MINUTE)
    assert not any(one.suspended for one in watched.findings.values() if one.key == DOWN)


def test_what_can_not_be_judged_neither_opens_nor_closes(watched: Watched) -> None:
    disk = Key(1, "", Rule.EDGE_DISK)
    watched.turn(disk)
    watched.turn(disk, after_ms=5 * MINUTE)
    watched.turn(after_ms=60 * MINUTE, unknown=(disk,))
    assert watched.open() == {disk}
    watched.turn(after_ms=MINUTE)
    watched.turn(after_ms=5 * MINUTE)
    assert watched.open() == set()


def test_another_houses_parent_explains_nothing(watched: Watched) -> None:
    other = Key(2, "", Rule.EDGE_OFFLINE)
    watched.turn(other, SILENT)
    watched.turn(other, SILENT, after_ms=MINUTE)
    assert watched.open() == {other, SILENT}


def test_a_finding_keeps_the_worst_value(watched: Watched) -> None:
    backlog = Key(1, "", Rule.EDGE_BACKLOG)
    watched.turn(backlog, value=10)
    watched.turn(backlog, value=50, after_ms=15 * MINUTE)
    watched.turn(backlog, value=20, after_ms=MINUTE)
    (finding,) = watched.findings.values()
    assert finding.value == 50


def test_what_was_over_before_anybody_saw_it_is_history(watched: Watched) -> None:
    past = (
        Past(DOWN, NOON - 9 * MINUTE, NOON - 5 * MINUTE),
        Past(DOWN, NOON - 90 * MINUTE, NOON - 80 * MINUTE),
    )
    stored = watched.turn(past=past)
    assert [(one.from_ms, one.to_ms) for one in stored] == [
        (NOON - 90 * MINUTE, NOON - 80 * MINUTE),
        (NOON - 9 * MINUTE, NOON - 5 * MINUTE),
    ]
    assert watched.turn(past=past, after_ms=1000) == []


def test_an_end_that_was_reported_is_the_end(watched: Watched) -> None:
    watched.turn(DOWN)
    ended_ms = NOON + 20_000
    watched.turn(after_ms=10 * MINUTE, past=(Past(DOWN, NOON, ended_ms),))
    assert watched.ended() == [(DOWN, NOON, ended_ms)]
    assert watched.turn(after_ms=1000, past=(Past(DOWN, NOON, ended_ms),)) == []


def test_several_warnings_of_a_device_are_findings_of_their_own(watched: Watched) -> None:
    other = replace(NOTICE, subject="the door is open")
    watched.turn(NOTICE, other)
    watched.turn(other, after_ms=1000)
    assert watched.open() == {other}


KEYS = (DOWN, OFFLINE, SILENT, BROKER, NOTICE, Key(None, "", Rule.INGEST_SILENT))


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)), st.integers(0, 5 * MINUTE)),
        max_size=40,
    )
)
def test_whatever_happens_each_opening_has_one_end_and_nothing_is_open_twice(
    turns: list[tuple[set[Key], set[Key], int]],
) -> None:
    watched = Watched()
    for holding, unknown, after_ms in turns:
        before = watched.open()
        watched.turn(*holding, unknown=tuple(unknown), after_ms=after_ms)
        present = [one.key for one in watched.findings.values() if one.to_ms is None]
        assert len(present) == len(set(present))
        # Nothing that could not be judged closed.
        assert all(key in watched.open() for key in before & unknown)
        for one in watched.findings.values():
            assert one.from_ms <= (one.to_ms or watched.now_ms) <= watched.now_ms
            if one.opened_ms is not None:
                assert one.opened_ms - one.seen_ms >= TERMS[one.key.rule].hold_ms
    # In a world that is in order again, all that is open closes.
    for _ in range(4):
        watched.turn(after_ms=10 * MINUTE)
    assert watched.open() == set()
