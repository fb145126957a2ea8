"""Days and months as the house's clock has them."""

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

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
