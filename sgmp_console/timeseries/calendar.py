"""Days, months and years of a house, in its own time zone.

A house's day runs from its midnight to the next, so it has 23 or 25 hours when the clocks change. Where a change
skips midnight itself, the day starts at the change. Where clocks go back across midnight (St John's went from 00:01
to 23:01), the day starts at the last midnight: days tile time, and every instant is in exactly one of them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sgmp_console.errors import UserError

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
"""Whatever language the computer is set to. Their first three letters are their short forms."""


@cache
def zone(name: str) -> ZoneInfo:
    """The IANA zone of a name such as `Europe/Berlin`. Raises UserError for any other text."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"no time zone is called {name!r}; write one such as America/Los_Angeles") from None


def local(timestamp_ms: int, zone_name: str) -> datetime:
    """An instant as the house's clock shows it, with its offset."""
    return (
        datetime.fromtimestamp(timestamp_ms // 1000, UTC)
        .replace(microsecond=timestamp_ms % 1000 * 1000)
        .astimezone(zone(zone_name))
    )


def day(when: date, zone_name: str) -> tuple[int, int]:
    """The half-open range, UTC ms, of a calendar day of the house.

    Empty for a day that the calendar skipped, as Samoa did with 30 December 2011.
    """
    return _start(when, zone_name), _start(when + _ONE_DAY, zone_name)


def month(year_number: int, month_number: int, zone_name: str) -> tuple[int, int]:
    """The half-open range, UTC ms, of a calendar month (1 to 12) of the house."""
    first = date(year_number, month_number, 1)
    after = date(year_number + month_number // 12, month_number % 12 + 1, 1)
    return _start(first, zone_name), _start(after, zone_name)


def year(year_number: int, zone_name: str) -> tuple[int, int]:
    """The half-open range, UTC ms, of a calendar year of the house."""
    return _start(date(year_number, 1, 1), zone_name), _start(date(year_number + 1, 1, 1), zone_name)


def date_of(timestamp_ms: int, zone_name: str) -> date:
    """The date of the house's day that holds an instant.

    It is what the house's clock shows, but for the minute before a clock that goes back across midnight does so.
    """
    when = local(timestamp_ms, zone_name).date()
    while timestamp_ms < _start(when, zone_name):
        when -= _ONE_DAY
    return when


def day_of(timestamp_ms: int, zone_name: str) -> tuple[int, int]:
    """The range of the house's day that holds an instant."""
    return day(date_of(timestamp_ms, zone_name), zone_name)


def month_of(timestamp_ms: int, zone_name: str) -> tuple[int, int]:
    """The range of the house's month that holds an instant."""
    when = date_of(timestamp_ms, zone_name)
    return month(when.year, when.month, zone_name)


def days(start_ms: int, end_ms: int, zone_name: str) -> list[tuple[int, int]]:
    """The house's days that [start_ms, end_ms) touches, each whole, in order."""
    touched = []
    when = date_of(start_ms, zone_name)
    start = _start(when, zone_name)
    while start < end_ms:
        when += _ONE_DAY
        after = _start(when, zone_name)
        if start < after:  # an island that crosses the date line skips a day
            touched.append((start, after))
        start = after
    return touched


_ONE_DAY = timedelta(days=1)


@lru_cache(maxsize=4096)
def _start(when: date, zone_name: str) -> int:
    """The instant from which on the house's clock never shows an earlier date, UTC ms."""
    midnight = datetime.combine(when, time.min, zone(zone_name))
    first, second = _utc_s(midnight), _utc_s(midnight.replace(fold=1))
    if first < second:  # midnight comes twice; in between the clock may have shown the day before again
        return (first if local((second - 1) * 1000, zone_name).date() >= when else second) * 1000
    # Midnight is skipped: the day begins with the change, which lies in (second, first].
    before = midnight.replace(fold=0).utcoffset()
    while first - second > 1:
        middle = (first + second) // 2
        if local(middle * 1000, zone_name).utcoffset() == before:
            second = middle
        else:
            first = middle
    return first * 1000


def _utc_s(when: datetime) -> int:
    return int(when.timestamp())
