"""What is reported of a device: once when it goes down, hourly while it is down, once when it is back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_edge.contract import Outcome
from sgmp_edge.polling.health import (
    BOOT_S,
    FAILURES_UNTIL_DOWN,
    LOCKOUT_S,
    LONGEST_PAUSE_S,
    MAX_REQUESTED_PAUSE_S,
    REPEAT_S,
    Health,
)

FAILURES = tuple(each for each in Outcome if each not in (Outcome.OK, Outcome.STARTING, Outcome.REFUSED))


class Timeline:
    """One device's health along two clocks, of which the wall clock may be set."""

    def __init__(self, *, credentials_worked: bool = False) -> None:
        self.health = Health(credentials_worked=credentials_worked)
        self.now_s = 1000.0
        self.wall_ms = 1_700_000_000_000
        self.warnings: list[Any] = []

    def passes(self, seconds: float) -> Timeline:
        self.now_s += seconds
        self.wall_ms += int(seconds * 1000)
        return self

    def poll(self, outcome: Outcome, text: str = "no answer", retry_after_s: float = 0.0) -> Timeline:
        if outcome is Outcome.OK:
            self.warnings += self.health.succeeded()
        else:
            self.warnings += self.health.failed(
                outcome, text, now_s=self.now_s, now_ms=self.wall_ms, retry_after_s=retry_after_s
            )
        return self

    @property
    def changes(self) -> list[str]:
        return [warning["change"] for warning in self.warnings]


def test_a_device_that_was_not_polled_yet_is_starting() -> None:
    assert Health().state is Outcome.STARTING


def test_one_lost_poll_is_not_an_outage() -> None:
    line = Timeline().poll(Outcome.TIMED_OUT).passes(4).poll(Outcome.OK)
    assert line.changes == []


def test_a_device_goes_down_with_one_warning_that_says_why_and_since_when() -> None:
    line = Timeline()
    since = line.wall_ms
    for _ in range(20):
        line.poll(Outcome.UNREACHABLE, "refused").passes(4)
    assert line.warnings == [
        {
            "data": "Device is down: refused",
            "kind": "device",
            "change": "down",
            "outcome": "unreachable",
            "since_ms": since,
            "failed_polls": FAILURES_UNTIL_DOWN,
        }
    ]


def test_credentials_that_never_worked_are_reported_at_once_and_tried_again_hourly() -> None:
    line = Timeline().poll(Outcome.UNAUTHORIZED, "wrong token")
    assert line.changes == ["down"]
    assert line.health.pause_s(4) == LOCKOUT_S


@pytest.mark.parametrize("earlier_life", [True, False])
def test_credentials_that_worked_are_tried_twice_soon_and_only_then_hourly(earlier_life: bool) -> None:
    line = Timeline(credentials_worked=earlier_life)
    if not earlier_life:
        line.poll(Outcome.OK)
    for _ in range(2):
        line.poll(Outcome.UNAUTHORIZED)
        assert 10 <= line.health.pause_s(1) <= 60
        line.passes(60)
    assert line.changes == []
    line.poll(Outcome.UNAUTHORIZED)
    assert line.changes == ["down"]
    assert line.health.pause_s(1) == LOCKOUT_S
    line.passes(LOCKOUT_S).poll(Outcome.OK).poll(Outcome.UNAUTHORIZED)
    assert line.health.pause_s(1) <= 60


def test_a_device_that_mixes_refusals_with_other_failures_gets_no_more_attempts() -> None:
    line = Timeline().poll(Outcome.OK)
    refusals = 0
    while line.health.pause_s(1) < LOCKOUT_S:
        line.poll(Outcome.UNAUTHORIZED)
        refusals += 1
        if line.health.pause_s(1) < LOCKOUT_S:
            line.passes(60).poll(Outcome.TIMED_OUT).passes(60)
    assert refusals == 3


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_device_that_asks_to_be_left_alone_is_but_not_for_more_than_an_hour(outcome: Outcome) -> None:
    line = Timeline().poll(outcome, retry_after_s=600.0)
    assert line.health.pause_s(4) >= 600.0
    line.poll(outcome, retry_after_s=1e9)
    assert line.health.pause_s(4) == MAX_REQUESTED_PAUSE_S
    assert line.poll(Outcome.OK).health.pause_s(4) == 0.0


def test_a_device_that_boots_is_given_a_minute() -> None:
    line = Timeline().poll(Outcome.NOT_READY).passes(BOOT_S - 1).poll(Outcome.NOT_READY)
    assert line.changes == []
    assert line.health.pause_s(4) == 0.0
    assert line.passes(1).poll(Outcome.NOT_READY).changes == ["down"]


def test_down_is_repeated_hourly_with_the_count_and_the_same_text() -> None:
    line = Timeline()
    for _ in range(3 * 60):
        line.poll(Outcome.TIMED_OUT).passes(60)
    assert line.changes == ["down", "still down", "still down"]
    assert len({warning["data"] for warning in line.warnings}) == 1
    assert line.warnings[1]["failed_polls"] == line.warnings[0]["failed_polls"] + 60


@pytest.mark.parametrize("step_h", [-24, 24, -24 * 365])
def test_a_step_of_the_clock_changes_nothing_of_what_is_reported_when(step_h: int) -> None:
    line = Timeline()
    for minute in range(3 * 60):
        if minute == 30:
            line.wall_ms += step_h * 3_600_000
        line.poll(Outcome.TIMED_OUT).passes(60)
    assert line.changes == ["down", "still down", "still down"]


def test_back_is_reported_once_with_how_long_it_was_away() -> None:
    line = Timeline()
    since = line.wall_ms
    for _ in range(5):
        line.poll(Outcome.TIMED_OUT).passes(1)
    line.warnings.clear()
    line.poll(Outcome.OK).poll(Outcome.OK)
    assert line.changes == ["back"]
    assert (line.warnings[0]["since_ms"], line.warnings[0]["failed_polls"]) == (since, 5)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 7200), st.integers(-(10**9), 10**9), st.sampled_from((Outcome.OK, *FAILURES))
        ),
        max_size=60,
    )
)
def test_warnings_always_alternate_and_never_come_more_than_hourly(
    history: list[tuple[int, int, Outcome]],
) -> None:
    line = Timeline()
    down_since = None
    for passed_s, step_ms, outcome in history:
        line.passes(passed_s)
        line.wall_ms += step_ms
        line.warnings.clear()
        line.poll(outcome)
        assert line.health.state is outcome
        for change in line.changes:
            if change == "back":
                assert down_since is not None
                down_since = None
            else:
                assert (change == "down") == (down_since is None)
                assert down_since is None or line.now_s - down_since >= REPEAT_S
                down_since = line.now_s


@given(st.floats(0.2, 600), st.integers(0, 100), st.sampled_from(FAILURES))
def test_a_pause_is_bounded_and_over_at_once_when_the_device_answers(
    interval_s: float, failures: int, outcome: Outcome
) -> None:
    line = Timeline()
    for _ in range(failures):
        line.poll(outcome)
    if outcome is not Outcome.UNAUTHORIZED:
        assert 0 <= line.health.pause_s(interval_s) <= max(LONGEST_PAUSE_S, interval_s)
    assert line.poll(Outcome.OK).health.pause_s(interval_s) == 0
