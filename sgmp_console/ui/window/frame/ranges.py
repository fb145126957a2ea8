"""Ranges of time that an operator chooses. Pure, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sgmp_console.timeseries import calendar
from sgmp_console.ui import formats

Preset = Literal["last_24_hours", "today", "last_7_days", "month", "custom"]

PRESETS: dict[Preset, str] = {
    "last_24_hours": "Last 24 hours",
    "today": "Today",
    "last_7_days": "Last 7 days",
    "month": "This month",
}

_SLOT_MS = 300_000
_DAY_MS = 86_400_000
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class TimeRange:
    """[start_ms, end_ms), on slots. A range with a preset other than `custom` moves on with the time."""

    preset: Preset
    start_ms: int
    end_ms: int


def of_preset(preset: Preset, now_ms: int, zone: str) -> TimeRange:
    """`today` and `month` are those of the house, up to their end."""
    if preset == "today":
        return TimeRange(preset, *calendar.day_of(now_ms, zone))
    if preset == "month":
        return TimeRange(preset, *calendar.month_of(now_ms, zone))
    end_ms = -(-now_ms // _SLOT_MS) * _SLOT_MS
    return TimeRange(preset, end_ms - (_DAY_MS if preset == "last_24_hours" else 7 * _DAY_MS), end_ms)


def custom(start_ms: int, end_ms: int) -> TimeRange:
    """Snapped outwards to slots. Raises ValueError for an empty range."""
    if end_ms <= start_ms:
        raise ValueError("a range ends after it starts")
    return TimeRange("custom", start_ms // _SLOT_MS * _SLOT_MS, -(-end_ms // _SLOT_MS) * _SLOT_MS)


def shifted(shown: TimeRange, forward: bool, now_ms: int, zone: str) -> TimeRange:
    """The range before or after: whole days and months of the house stay such, others move by their length.

    Forward it goes back to the preset as soon as it holds now.
    """
    if _is_month(shown, zone):
        moved = calendar.month_of(shown.end_ms if forward else shown.start_ms - 1, zone)
        current: Preset = "month"
    elif _is_day(shown, zone):
        moved = calendar.day_of(shown.end_ms if forward else shown.start_ms - 1, zone)
        current = "today"
    else:
        length = shown.end_ms - shown.start_ms
        step = length if forward else -length
        moved = shown.start_ms + step, shown.end_ms + step
        current = {_DAY_MS: "last_24_hours", 7 * _DAY_MS: "last_7_days"}.get(length, "custom")  # type: ignore[assignment]
    if moved[0] <= now_ms <= moved[1] and current != "custom":
        return of_preset(current, now_ms, zone)
    return TimeRange("custom", *moved)


def title(shown: TimeRange, zone: str) -> str:
    """`Last 24 hours`, `Tue 13 May 2025`, `May 2025`, `Mon 6 May 14:00 to Tue 7 May 14:00`."""
    if shown.preset != "custom":
        return PRESETS[shown.preset]
    start, end = calendar.local(shown.start_ms, zone), calendar.local(shown.end_ms, zone)
    if _is_month(shown, zone):
        return f"{_MONTHS[start.month - 1]} {start.year}"
    if _is_day(shown, zone):
        return f"{formats.date(start)} {start.year}"
    if start.time() == end.time() and start.hour == start.minute == 0:
        return f"{formats.date(start)} to {formats.date(end - timedelta(days=1))}"
    return f"{formats.date(start)} {formats.clock(start)} to {formats.date(end)} {formats.clock(end)}"


def _is_day(shown: TimeRange, zone: str) -> bool:
    return (shown.start_ms, shown.end_ms) == calendar.day_of(shown.start_ms, zone)


def _is_month(shown: TimeRange, zone: str) -> bool:
    return (shown.start_ms, shown.end_ms) == calendar.month_of(shown.start_ms, zone)
