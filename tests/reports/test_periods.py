"""Periods: what a text, an arrow and a calendar day mean by the clock of the house."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.reports import periods
from sgmp_console.reports.periods import PeriodError, Span
from sgmp_console.timeseries import HOUR_MS, SLOT_MS

BERLIN, LOS_ANGELES, LORD_HOWE = "Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = ms("2025-05-13T14:07:31")


def test_the_last_24_hours_end_before_the_running_slot() -> None:
    period = periods.last_24_hours(NOW, BERLIN)
    assert (period.start_ms, period.end_ms) == (ms("2025-05-12T14:05"), ms("2025-05-13T14:05"))


@pytest.mark.parametrize(
    ("text", "first", "after", "title"),
    [
        ("today", "2025-05-12T22:00", "2025-05-13T22:00", "Tue 13 May 2025"),
        ("yesterday", "2025-05-11T22:00", "2025-05-12T22:00", "Mon 12 May 2025"),
        ("month", "2025-04-30T22:00", "2025-05-31T22:00", "May 2025"),
        ("last-month", "2025-03-31T22:00", "2025-04-30T22:00", "April 2025"),
        ("2025", "2024-12-31T23:00", "2025-12-31T23:00", "2025"),
        ("2025-03-30", "2025-03-29T23:00", "2025-03-30T22:00", "Sun 30 Mar 2025"),
        ("2025-09-02..2025-11-02", "2025-09-01T22:00", "2025-11-02T23:00", "2 Sep 2025 to 2 Nov 2025"),
        ("2025-05-13T10:00..2025-05-13T12:00", "2025-05-13T08:00", "2025-05-13T10:00", "13 May 2025 10:00 to 12:00"),
    ],
)  # fmt: skip
def test_a_text_names_a_period_by_the_clock_of_the_house(
    text: str, first: str, after: str, title: str
) -> None:
    period = periods.parse(text, NOW, BERLIN)
    assert (period.start_ms, period.end_ms, period.title) == (ms(first), ms(after), title)


def test_a_whole_day_that_was_chosen_by_its_ends_is_called_like_the_day() -> None:
    day = periods.parse("2025-05-13", NOW, BERLIN)
    assert periods.custom(day.start_ms, day.end_ms, BERLIN).title == day.title


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "2025-13",
        "2025-02-30",
        "2025-05-03..2025-05-01",
        "..",
        "99999",
        "0000",
        "0001",
        "9998",
    ],
)
def test_what_is_not_a_period_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(PeriodError, match=r"\.$"):
        periods.parse(text, NOW, BERLIN)


@given(st.text(max_size=30))
def test_any_text_is_a_period_or_refused(text: str) -> None:
    try:
        period = periods.parse(text, NOW, BERLIN)
    except PeriodError:
        return
    assert period.start_ms < period.end_ms


@pytest.mark.parametrize("text", ["1000-01-01..2026-11-29", "1000-01-01t00:00..2026-11-29t00:00"])
def test_a_period_of_centuries_is_refused(text: str) -> None:
    with pytest.raises(PeriodError, match="at most 50 years"):
        periods.parse(text, NOW, "America/St_Johns")
    assert periods.parse("1990-01-01..2026-11-29", NOW, "America/St_Johns").title


def test_days_at_a_change_of_the_clock_have_23_and_25_hours() -> None:
    assert _hours(periods.day(date(2025, 3, 30), BERLIN)) == 23
    assert _hours(periods.day(date(2025, 11, 2), LOS_ANGELES)) == 25
    assert _hours(periods.day(date(2025, 4, 6), LORD_HOWE)) == 24.5


@pytest.mark.parametrize("text", ["2025-05-13", "2025-05", "2025", "2025-03-28..2025-03-31"])
@pytest.mark.parametrize("zone", [BERLIN, LOS_ANGELES, LORD_HOWE])
def test_neighbouring_periods_touch(text: str, zone: str) -> None:
    period = periods.parse(text, NOW, zone)
    assert period.moved(-1).end_ms == period.start_ms
    assert period.moved(1).start_ms == period.end_ms
    assert period.moved(-1).moved(1) == period


def test_the_year_before_has_the_same_days() -> None:
    def before(text: str) -> str:
        return periods.parse(text, NOW, BERLIN).year_before().title

    assert before("2024-02-29") == "Tue 28 Feb 2023"
    assert before("2025-05") == "May 2024"
    assert before("2025-05-01..2025-05-15") == "1 May 2024 to 15 May 2024"


def test_only_what_has_passed_counts() -> None:
    day = periods.day(date(2025, 5, 13), BERLIN)
    assert day.passed_ms(NOW) == ms("2025-05-13T14:05")
    assert day.passed_ms(day.start_ms - HOUR_MS) == day.start_ms
    assert day.passed_ms(day.end_ms + HOUR_MS) == day.end_ms


def test_a_range_is_widened_to_slots_and_says_so() -> None:
    period = periods.custom(NOW, NOW + HOUR_MS, BERLIN)
    assert period.snapped
    assert period.start_ms == ms("2025-05-13T14:05")
    assert (period.end_ms - period.start_ms) % SLOT_MS == 0
    assert not periods.custom(period.start_ms, period.end_ms, BERLIN).snapped


def test_two_days_are_shown_in_slots_and_more_in_hours() -> None:
    assert periods.last_24_hours(NOW, BERLIN).step_ms == SLOT_MS
    assert periods.last_7_days(NOW, BERLIN).step_ms == HOUR_MS
    assert periods.parse("month", NOW, BERLIN).span is Span.MONTH


def _hours(period: periods.Period) -> float:
    return (period.end_ms - period.start_ms) / HOUR_MS
