"""Times of maintenance, by the clock of the house."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sgmp_console.store.findings import Once, Recurring, Window
from sgmp_console.timeseries import calendar

_ONE_DAY = timedelta(days=1)


def covers(window: Window, house_id: int | None, device: str, zone: str, now_ms: int) -> bool:
    """Whether at `now_ms` (UTC) nobody is to be notified of a finding of this house and device."""
    if window.house_id is not None and window.house_id != house_id:
        return False
    if window.device and window.device != device:
        return False
    return is_within(window.when, zone, now_ms)


def is_within(when: Once | Recurring, zone: str, now_ms: int) -> bool:
    """Half open, as all ranges."""
    if isinstance(when, Once):
        return when.starts_ms <= now_ms < when.ends_ms
    today = calendar.local(now_ms, zone).date()
    return any(
        start_ms <= now_ms < end_ms
        for day in (today - _ONE_DAY, today)
        if day.isoweekday() in when.weekdays
        for start_ms, end_ms in [recurrence(when, day, zone)]
    )


def recurrence(when: Recurring, day: date, zone: str) -> tuple[int, int]:
    """The one that starts on a day, UTC ms.

    Where clocks go forward, a time that is skipped is the moment of the change. Where they go back, the range holds both: it
    starts at the first and ends at the second time of its name.
    """
    last = day if when.ends > when.starts else day + _ONE_DAY
    return _instant(day, when.starts, zone, second=False), _instant(last, when.ends, zone, second=True)


def _instant(day: date, clock: time, zone: str, *, second: bool) -> int:
    """When the clock of the zone shows this time of a day."""
    wall = datetime.combine(day, clock)
    moment = wall.replace(tzinfo=calendar.zone(zone), fold=int(second)).astimezone(UTC)
    shown = moment.astimezone(calendar.zone(zone)).replace(tzinfo=None)
    if (
        shown != wall
    ):  # skipped: read with the offsets of before and after the change, it lies on both sides of it
        early, late = sorted(
            wall.replace(tzinfo=calendar.zone(zone), fold=fold).astimezone(UTC) for fold in (0, 1)
        )
        moment = _change_between(early, late, zone)
    return int(moment.timestamp() * 1000)


def _change_between(early: datetime, late: datetime, zone: str) -> datetime:
    """The first second with the later offset."""
    after = late.astimezone(calendar.zone(zone)).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle.astimezone(calendar.zone(zone)).utcoffset() == after:
            late = middle
        else:
            early = middle
    return late
