"""Days and months of a house, in its own time zone.

A house's day runs from its midnight to the next, so it has 23 or 25 hours when the clocks change. Where a change
skips midnight itself, the day starts at the change.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sgmp_console.errors import UserError


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
    """The half-open range, UTC ms, of a calendar day of the house."""
    return _midnight(when, zone_name), _midnight(when + timedelta(days=1), zone_name)


def month(year: int, month_number: int, zone_name: str) -> tuple[int, int]:
    """The half-open range, UTC ms, of a calendar month (1 to 12) of the house."""
    first = date(year, month_number, 1)
    after = date(year + month_number // 12, month_number % 12 + 1, 1)
    return _midnight(first, zone_name), _midnight(after, zone_name)


def day_of(timestamp_ms: int, zone_name: str) -> tuple[int, int]:
    """The range of the house's day that holds an instant."""
    return day(local(timestamp_ms, zone_name).date(), zone_name)


def month_of(timestamp_ms: int, zone_name: str) -> tuple[int, int]:
    """The range of the house's month that holds an instant."""
    when = local(timestamp_ms, zone_name)
    return month(when.year, when.month, zone_name)


def days(start_ms: int, end_ms: int, zone_name: str) -> list[tuple[int, int]]:
    """The house's days that [start_ms, end_ms) touches, each whole, in order."""
    found = []
    when = local(start_ms, zone_name).date()
    while (midnight := _midnight(when, zone_name)) < end_ms:
        after = _midnight(when + timedelta(days=1), zone_name)
        if midnight < after:  # an island that crosses the date line skips a day
            found.append((midnight, after))
        when += timedelta(days=1)
    return found


def _midnight(when: date, zone_name: str) -> int:
    return int(datetime.combine(when, time.min, zone(zone_name)).timestamp()) * 1000
