"""Days and months as the house's clock has them."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_console.errors import UserError
from sgmp_console.timeseries import HOUR_MS, calendar


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", date(2026, 7, 1), "2026-07-01T00:00+00:00", 24),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-29T00:00+01:00", 23),
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-25T00:00+02:00", 25),
        ("America/Los_Angeles", date(2026, 11, 1), "2026-11-01T00:00-07:00", 25),
        # Clocks that go forward at midnight itself: the day begins at 01:00.
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T01:00-02:00", 23),
        # Clocks that go back at midnight: the day before has its last hour twice.
        ("America/Sao_Paulo", date(2018, 2, 17), "2018-02-17T00:00-02:00", 25),
    ],
)
def test_a_day_runs_from_midnight_to_midnight_of_the_house(
    zone: str, day: date, start: str, hours: int
) -> None:
    begin, end = calendar.day(day, zone)

    assert begin == ms(start)
    assert end - begin == hours * HOUR_MS
    assert calendar.day_of(begin, zone) == calendar.day_of(end - 1, zone) == (begin, end)


def test_an_instant_belongs_to_the_houses_day_not_to_utcs() -> None:
    evening = ms("2026-07-01T20:00-07:00")

    assert calendar.day_of(evening, "America/Los_Angeles") == calendar.day(
        date(2026, 7, 1), "America/Los_Angeles"
    )
    assert calendar.day_of(evening, "UTC") == calendar.day(date(2026, 7, 2), "UTC")


def test_months_hold_their_days() -> None:
    zone = "Europe/Berlin"
    start, end = calendar.month(2026, 3, zone)
    days = calendar.days(start, end, zone)

    assert (start, end) == (ms("2026-03-01T00:00+01:00"), ms("2026-04-01T00:00+02:00"))
    assert len(days) == 31
    assert (days[0][0], days[-1][1]) == (start, end)
    assert all(one[1] == after[0] for one, after in pairwise(days))
    assert calendar.month_of(end, zone) == calendar.month(2026, 4, zone)
    assert calendar.month(2026, 12, zone)[1] == calendar.month(2027, 1, zone)[0]


def test_days_are_those_a_range_touches() -> None:
    noon = ms("2026-07-01T12:00+02:00")

    assert len(calendar.days(noon, noon + 1, "Europe/Berlin")) == 1
    assert len(calendar.days(noon, noon + 24 * HOUR_MS, "Europe/Berlin")) == 2
    assert calendar.days(noon, noon, "Europe/Berlin") == [calendar.day(date(2026, 7, 1), "Europe/Berlin")]


def test_a_day_that_an_island_skipped_is_not_there() -> None:
    # Samoa went from 29 to 31 December 2011.
    start, end = calendar.month(2011, 12, "Pacific/Apia")

    assert len(calendar.days(start, end, "Pacific/Apia")) == 30


def test_local_time_carries_its_offset_where_an_hour_repeats() -> None:
    first = ms("2026-10-25T00:30+00:00")

    assert calendar.local(first, "Europe/Berlin").isoformat() == "2026-10-25T02:30:00+02:00"
    assert calendar.local(first + HOUR_MS, "Europe/Berlin").isoformat() == "2026-10-25T02:30:00+01:00"
    assert calendar.local(1_234, "UTC") == datetime(1970, 1, 1, 0, 0, 1, 234_000, UTC)
    assert calendar.local(-1, "UTC") == datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "\x00", "Europe"])
def test_a_zone_that_does_not_exist_is_the_operators_to_mend(name: str) -> None:
    with pytest.raises(UserError, match="no time zone"):
        calendar.zone(name)


def test_a_minute_past_midnight_that_the_clock_takes_back_belongs_to_the_day_before() -> None:
    """On 7 November 2010 the clocks of St John's went from 00:01 to 23:01."""
    zone = "America/St_Johns"
    start, end = calendar.day_of(1289097060000, zone)

    assert start <= 1289097060000 < end
    assert (start, end) == (ms("2010-11-06T00:00-02:30"), ms("2010-11-07T00:00-03:30"))
    assert calendar.day_of(ms("2010-11-07T00:00:30-02:30"), zone) == (start, end)
    assert calendar.month_of(ms("2009-11-01T00:00:30-02:30"), zone) == calendar.month(2009, 10, zone)


def test_a_midnight_that_comes_twice_on_the_same_date_begins_the_day_at_first() -> None:
    assert calendar.day(date(2026, 11, 1), "America/Havana")[0] == ms("2026-11-01T00:00-04:00")


def test_a_midnight_within_the_hour_that_is_skipped_begins_the_day_with_the_change() -> None:
    assert calendar.day(date(1919, 3, 31), "America/Toronto")[0] == ms("1919-03-31T04:30+00:00")


ODD_ZONES = (
    "America/Havana",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
    "Antarctica/Troll",
)
ZONES = sorted(name for name in available_timezones() if not name.startswith(("posix/", "right/")))


@given(
    zone=st.one_of(st.sampled_from(ODD_ZONES), st.sampled_from(ZONES)),
    instant=st.integers(ms("1970-01-01T00:00Z"), ms("2037-12-31T00:00Z")),
)
@settings(max_examples=400, deadline=None)
def test_every_instant_is_inside_its_own_day_month_and_year(zone: str, instant: int) -> None:
    for period in (calendar.day_of, calendar.month_of):
        start, end = period(instant, zone)
        assert start <= instant < end
        assert period(start, zone) == period(end - 1, zone) == (start, end)
        assert period(end, zone)[0] == end
        assert period(start - 1, zone)[1] == start


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_days_tile_time(zone: str) -> None:
    start, end = ms("2006-01-01T12:00Z"), ms("2014-01-01T12:00Z")
    days = calendar.days(start, end, zone)

    assert days[0][0] <= start < end <= days[-1][1]
    assert all(one[1] == after[0] for one, after in pairwise(days))
    assert all(first < last for first, last in days)


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_the_clock_shows_the_days_date_all_day_but_for_what_it_takes_back(zone: str) -> None:
    quarter = HOUR_MS // 4
    for instant in range(ms("2010-01-01T00:00Z"), ms("2012-01-01T00:00Z"), quarter):
        shown = calendar.local(instant, zone).date()
        assert calendar.date_of(instant, zone) in (shown, shown - timedelta(days=1))
