"""What is said about a device: once when it goes down, hourly while it is down, once when it is back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sgmp_edge.contract import Outcome
from sgmp_edge.polling.health import (
    FAILURES_UNTIL_DOWN,
    LONGEST_PAUSE_MS,
    PATIENCE_MS,
    REFUSED_PAUSE_MS,
    REPEAT_MS,
    Health,
)

OUTCOMES = tuple(each for each in Outcome if each not in (Outcome.OK, Outcome.STARTING, Outcome.REFUSED))


def changes(warnings: list[Any]) -> list[str]:
    return [warning["change"] for warning in warnings]


def test_a_device_that_was_not_polled_yet_is_starting() -> None:
    assert Health().state == Outcome.STARTING


def test_one_lost_poll_is_no_outage() -> None:
    health = Health()
    assert health.failed(0, Outcome.TIMED_OUT, "no answer") == []
    assert health.succeeded(4000) == []


def test_a_device_goes_down_with_one_warning_that_says_why_and_since_when() -> None:
    health = Health()
    said = [
        warning
        for tick in range(20)
        for warning in health.failed(tick * 4000, Outcome.UNREACHABLE, "refused")
    ]
    assert said == [
        {
            "data": "Device is down: refused",
            "kind": "device",
            "change": "down",
            "outcome": "unreachable",
            "since_ms": 0,
            "failed_polls": FAILURES_UNTIL_DOWN,
        }
    ]


def test_refused_credentials_are_said_at_once_and_not_tried_again_for_an_hour() -> None:
    health = Health()
    assert changes(health.failed(0, Outcome.UNAUTHORIZED, "wrong token")) == ["down"]
    assert health.pause_ms(4000) == REFUSED_PAUSE_MS


def test_a_device_that_boots_is_given_a_minute() -> None:
    health = Health()
    assert health.failed(0, Outcome.NOT_READY, "booting") == []
    assert health.failed(PATIENCE_MS - 1, Outcome.NOT_READY, "booting") == []
    assert health.pause_ms(4000) == 0
    assert changes(health.failed(PATIENCE_MS, Outcome.NOT_READY, "booting")) == ["down"]


def test_down_is_repeated_hourly_with_the_count_and_the_same_text() -> None:
    health = Health()
    said = [
        w
        for tick in range(0, 3 * REPEAT_MS, 60_000)
        for w in health.failed(tick, Outcome.TIMED_OUT, "no answer")
    ]
    assert changes(said) == ["down", "still down", "still down"]
    assert len({warning["data"] for warning in said}) == 1
    assert said[1]["failed_polls"] == said[0]["failed_polls"] + 60


def test_back_is_said_once_with_how_long_it_was_away() -> None:
    health = Health()
    for tick in range(5):
        health.failed(1000 + tick, Outcome.TIMED_OUT, "no answer")
    said = health.succeeded(9000) + health.succeeded(9001)
    assert changes(said) == ["back"]
    assert (said[0]["since_ms"], said[0]["failed_polls"]) == (1000, 5)


@given(
    st.lists(st.tuples(st.integers(0, 2 * REPEAT_MS), st.sampled_from((Outcome.OK, *OUTCOMES))), max_size=60)
)
def test_warnings_always_alternate_and_never_come_more_than_hourly(
    history: list[tuple[int, Outcome]],
) -> None:
    health, now, said = Health(), 0, []
    for passed, outcome in history:
        now += passed
        warnings = health.succeeded(now) if outcome is Outcome.OK else health.failed(now, outcome, "text")
        said += [(now, warning["change"]) for warning in warnings]
        assert health.state == outcome
    down_since = None
    for at, change in said:
        if change == "back":
            assert down_since is not None
            down_since = None
        else:
            assert (change == "down") == (down_since is None)
            assert down_since is None or at - down_since >= REPEAT_MS
            down_since = at


@given(st.integers(200, 600_000), st.integers(0, 100), st.sampled_from(OUTCOMES))
def test_a_pause_is_bounded_and_over_at_once_when_the_device_answers(
    interval: int, failures: int, outcome: Outcome
) -> None:
    health = Health()
    for _ in range(failures):
        health.failed(0, outcome, "text")
    if outcome is not Outcome.UNAUTHORIZED:
        assert 0 <= health.pause_ms(interval) <= max(LONGEST_PAUSE_MS, interval)
    health.succeeded(1)
    assert health.pause_ms(interval) == 0
