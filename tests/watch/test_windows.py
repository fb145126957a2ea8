"""Times of maintenance, also in the nights in which clocks change."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.store.findings import Once, Recurring, Window
from sgmp_console.watch.windows import covers, is_within, recurrence

BERLIN = "Europe/Berlin"
DAILY = frozenset(range(1, 8))
FORWARD, BACK = date(2026, 3, 29), date(2026, 10, 25)  # 02:00 becomes 03:00; 03:00 becomes 02:00


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def shown(day: date, starts: str, ends: str) -> list[str]:
    when = Recurring(DAILY, time.fromisoformat(starts), time.fromisoformat(ends))
    return [
        datetime.fromtimestamp(at / 1000, ZoneInfo(BERLIN)).isoformat()
        for at in recurrence(when, day, BERLIN)
    ]


@pytest.mark.parametrize(
    ("day", "starts", "ends", "expected"),
    [
        (date(2026, 6, 1), "01:00", "04:00", ["2026-06-01T01:00:00+02:00", "2026-06-01T04:00:00+02:00"]),
        (date(2026, 6, 1), "23:00", "05:30", ["2026-06-01T23:00:00+02:00", "2026-06-02T05:30:00+02:00"]),
        (FORWARD, "01:00", "04:00", ["2026-03-29T01:00:00+01:00", "2026-03-29T04:00:00+02:00"]),
        (FORWARD, "02:30", "04:00", ["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]),
        (FORWARD, "01:00", "02:30", ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]),
        (BACK, "01:00", "04:00", ["2026-10-25T01:00:00+02:00", "2026-10-25T04:00:00+01:00"]),
        (BACK, "02:30", "02:45", ["2026-10-25T02:30:00+02:00", "2026-10-25T02:45:00+01:00"]),
    ],
)
def test_a_recurring_window_follows_the_clock_of_the_house(
    day: date, starts: str, ends: str, expected: list[str]
) -> None:
    assert shown(day, starts, ends) == expected


def test_a_window_that_begins_before_midnight_counts_for_the_day_it_begins_on() -> None:
    sundays = Recurring(frozenset({7}), time(23), time(3))
    assert is_within(sundays, BERLIN, ms("2026-06-08T02:59:59+02:00"))  # a Monday
    assert not is_within(sundays, BERLIN, ms("2026-06-08T03:00:00+02:00"))
    assert not is_within(sundays, BERLIN, ms("2026-06-08T23:30:00+02:00"))


def test_a_window_once_is_half_open() -> None:
    once = Once(1000, 2000)
    assert [is_within(once, BERLIN, at) for at in (999, 1000, 1999, 2000)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("house_id", "device", "expected"),
    [
        (None, "", [True, True, True]),
        (1, "", [True, True, False]),
        (1, "sonnen", [False, True, False]),
    ],
)
def test_a_window_is_of_all_houses_one_house_or_one_device(
    house_id: int | None, device: str, expected: list[bool]
) -> None:
    window = Window(1, house_id, device, Once(0, 10))
    subjects = [(1, ""), (1, "sonnen"), (2, "sonnen")]
    assert [covers(window, house, name, BERLIN, 5) for house, name in subjects] == expected


@given(
    st.sampled_from([BERLIN, "America/St_Johns", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]),
    st.dates(date(2024, 1, 1), date(2027, 12, 31)),
    st.times(),
    st.times(),
)
def test_a_minute_is_within_a_window_if_the_clock_shows_so(
    zone: str, day: date, starts: time, ends: time
) -> None:
    starts, ends = (clock.replace(second=0, microsecond=0) for clock in (starts, ends))
    if starts == ends:
        return
    start_ms, end_ms = recurrence(Recurring(DAILY, starts, ends), day, zone)
    assert start_ms <= end_ms
    for at in range(start_ms, end_ms, 7 * 60_000):
        clock = datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).time()
        inside = starts <= clock < ends if starts < ends else clock >= starts or clock < ends
        # Where clocks go back, what is between two times of one name is inside, too.
        repeated = datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).utcoffset() != datetime.fromtimestamp(
            end_ms / 1000, ZoneInfo(zone)
        ).utcoffset() or datetime.fromtimestamp(start_ms / 1000, ZoneInfo(zone)).utcoffset() != (
            datetime.fromtimestamp(end_ms / 1000, ZoneInfo(zone)).utcoffset()
        )
        assert inside or repeated
