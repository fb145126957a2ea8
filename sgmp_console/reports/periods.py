"""The periods that reports are about: half-open ranges on slots, in the time zone of the house. Pure.

Days, months and years are the house's own, so that they have 23 or 25 hours, or begin late, where its clocks change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum

from sgmp_console.errors import UserError
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, calendar, snap

_DAY_MS = 24 * HOUR_MS
_MAX_SLOT_STEP_MS = 49 * HOUR_MS
"""Up to two days are shown in slots of five minutes; more is shown in hours."""

_EARLIEST_MS, _LATEST_MS = -2_208_988_800_000, 7_258_118_400_000
"""The beginnings of 1900 and 2200, UTC."""

_MAX_DAYS = 50 * 366
"""Its hours are held in memory. No reading is of before 2010."""

EXAMPLES = (
    "24h, 7d, today, yesterday, month, last-month, year, 2025-05-13, 2025-05, 2025, 2025-05-01..2025-05-15"
)


class Span(Enum):
    """What kind of period it is. The value names it on the command line and in exports."""

    LAST_24_HOURS = "24h"
    LAST_7_DAYS = "7d"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"
    CUSTOM = "custom"


class PeriodError(UserError):
    """A text is not a period; the sentence says what one may write."""


@dataclass(frozen=True)
class Period:
    """The half-open range [start_ms, end_ms), UTC ms, on slots. `zone`: the IANA zone of the house.

    `snapped`: whether it was widened to whole slots, which is said wherever it is shown.
    """

    span: Span
    start_ms: int
    end_ms: int
    zone: str
    snapped: bool = False

    def __post_init__(self) -> None:
        """Raises PeriodError for what clocks and calendars have no room for on both sides."""
        if self.start_ms < _EARLIEST_MS or self.end_ms > _LATEST_MS:
            raise PeriodError("A period lies between the years 1900 and 2200, and has at most 50 years.")

    @property
    def step_ms(self) -> int:
        """The length of the steps of curves and tables: a slot or an hour."""
        return SLOT_MS if self.end_ms - self.start_ms <= _MAX_SLOT_STEP_MS else HOUR_MS

    def passed_ms(self, now_ms: int) -> int:
        """The end of the part that has passed: the running slot is left out, its mean may still change."""
        return max(self.start_ms, min(self.end_ms, now_ms // SLOT_MS * SLOT_MS))

    def is_running(self, now_ms: int) -> bool:
        """Whether the period ends now or later, so that new readings may belong to it."""
        return self.start_ms <= now_ms and self.end_ms > now_ms // SLOT_MS * SLOT_MS - SLOT_MS

    @property
    def title(self) -> str:
        """`Last 24 hours`, `Tue 13 May 2025`, `May 2025`, `2025`, `1 May 2025 to 15 May 2025`."""
        if self.span is Span.LAST_24_HOURS:
            return "Last 24 hours"
        if self.span is Span.LAST_7_DAYS:
            return "Last 7 days"
        start, end = calendar.local(self.start_ms, self.zone), calendar.local(self.end_ms, self.zone)
        if self.span is Span.YEAR:
            return str(start.year)
        if self.span is Span.MONTH:
            return f"{calendar.MONTH_NAMES[start.month - 1]} {start.year}"
        last_day = calendar.local(self.end_ms - 1, self.zone)
        if self.span is Span.DAY or (self._is_whole_days and last_day.date() == start.date()):
            return f"{calendar.DAY_NAMES[start.weekday()][:3]} {_date(start)}"
        if self._is_whole_days:
            return f"{_date(start)} to {_date(last_day)}"
        last = f"{end:%H:%M}" if end.date() == start.date() else f"{_date(end)} {end:%H:%M}"
        return f"{_date(start)} {start:%H:%M} to {last}"

    @property
    def first_day(self) -> date:
        """The house's day in which it begins."""
        return calendar.local(self.start_ms, self.zone).date()

    @property
    def _is_whole_days(self) -> bool:
        return all(calendar.day_of(edge, self.zone)[0] == edge for edge in (self.start_ms, self.end_ms))

    def moved(self, steps: int) -> Period:
        """The period `steps` later (or earlier, if negative): by calendar days, months, years, else by its length."""
        if self.span in (Span.DAY, Span.MONTH, Span.YEAR):
            first = calendar.local(self.start_ms + HOUR_MS, self.zone).date()
            return _of_calendar(self.span, _added(first, self.span, steps), self.zone)
        if self._is_whole_days:
            days = len(calendar.days(self.start_ms, self.end_ms, self.zone)) * steps
            return self._by_days(days)
        length = self.end_ms - self.start_ms
        return Period(Span.CUSTOM, self.start_ms + steps * length, self.end_ms + steps * length, self.zone)

    def of_zone(self, zone: str) -> Period:
        """The same days by another clock; the same instants where it is not about whole days."""
        if zone == self.zone or self.span in (Span.LAST_24_HOURS, Span.LAST_7_DAYS):
            return replace(self, zone=zone)
        if self.span in (Span.DAY, Span.MONTH, Span.YEAR):
            return _of_calendar(self.span, calendar.local(self.start_ms + HOUR_MS, self.zone).date(), zone)
        if self._is_whole_days:
            return days(self.first_day, calendar.local(self.end_ms - 1, self.zone).date(), zone)
        return replace(self, zone=zone)

    def year_before(self) -> Period:
        """The same days a year earlier; 29 February becomes 28 February."""
        if self.span is Span.YEAR:
            return self.moved(-1)
        if self.span is Span.MONTH:
            return self.moved(-12)
        start = _shifted_by_years(calendar.local(self.start_ms, self.zone), -1, self.zone)
        if self.span is Span.DAY:
            return _of_calendar(Span.DAY, calendar.local(start + HOUR_MS, self.zone).date(), self.zone)
        if self._is_whole_days:
            end = _shifted_by_years(calendar.local(self.end_ms, self.zone), -1, self.zone)
            return Period(Span.CUSTOM, start, end, self.zone)
        return Period(Span.CUSTOM, start, start + self.end_ms - self.start_ms, self.zone)

    def _by_days(self, days: int) -> Period:
        first = calendar.local(self.start_ms, self.zone).date() + timedelta(days=days)
        last = calendar.local(self.end_ms - 1, self.zone).date() + timedelta(days=days)
        return Period(
            Span.CUSTOM, calendar.day(first, self.zone)[0], calendar.day(last, self.zone)[1], self.zone
        )


def last_24_hours(now_ms: int, zone: str) -> Period:
    """The 24 hours before the running slot."""
    end = now_ms // SLOT_MS * SLOT_MS
    return Period(Span.LAST_24_HOURS, end - _DAY_MS, end, zone)


def last_7_days(now_ms: int, zone: str) -> Period:
    """The 7 x 24 hours before the running slot."""
    end = now_ms // SLOT_MS * SLOT_MS
    return Period(Span.LAST_7_DAYS, end - 7 * _DAY_MS, end, zone)


def day(when: date, zone: str) -> Period:
    return _of_calendar(Span.DAY, when, zone)


def month(year_number: int, month_number: int, zone: str) -> Period:
    return _of_calendar(Span.MONTH, date(year_number, month_number, 1), zone)


def year(year_number: int, zone: str) -> Period:
    return _of_calendar(Span.YEAR, date(year_number, 1, 1), zone)


def around(at_ms: int, span: Span, zone: str) -> Period:
    """The day, month or year in which a time is."""
    return _of_calendar(span, calendar.date_of(at_ms, zone), zone)


def days(first: date, last: date, zone: str) -> Period:
    """From the first to the last day, both included. Raises PeriodError if the last lies before the first, or too far on."""
    if last < first:
        raise PeriodError(f"{last.isoformat()} lies before {first.isoformat()}. Write the earlier day first.")
    if last == first:
        return day(first, zone)
    return _bounded(Period(Span.CUSTOM, calendar.day(first, zone)[0], calendar.day(last, zone)[1], zone))


def custom(start_ms: int, end_ms: int, zone: str) -> Period:
    """Any range, widened to whole slots. Raises PeriodError for one that is empty or too long."""
    if end_ms <= start_ms:
        raise PeriodError("A period ends after it begins.")
    start, end = snap(start_ms, end_ms)
    return _bounded(Period(Span.CUSTOM, start, end, zone, snapped=(start, end) != (start_ms, end_ms)))


def _bounded(period: Period) -> Period:
    if period.end_ms - period.start_ms > _MAX_DAYS * _DAY_MS:
        raise PeriodError("A period has at most 50 years.")
    return period


def parse(text: str, now_ms: int, zone: str) -> Period:
    """The period that a text names (see EXAMPLES), by the clock of the house. Raises PeriodError."""
    today = calendar.local(now_ms, zone).date()
    named = {
        "24h": lambda: last_24_hours(now_ms, zone),
        "7d": lambda: last_7_days(now_ms, zone),
        "today": lambda: day(today, zone),
        "yesterday": lambda: day(today - timedelta(days=1), zone),
        "month": lambda: month(today.year, today.month, zone),
        "last-month": lambda: month(today.year, today.month, zone).moved(-1),
        "year": lambda: year(today.year, zone),
        "last-year": lambda: year(today.year - 1, zone),
    }
    name = text.strip().lower()
    if name in named:
        return named[name]()
    try:
        if re.fullmatch(r"\d{4}", name):
            return year(int(name), zone)
        if re.fullmatch(r"\d{4}-\d{2}", name):
            return month(int(name[:4]), int(name[5:]), zone)
        if ".." in name:
            first, _, last = name.partition("..")
            if "t" in first or "t" in last:
                return custom(_instant(first, zone, 0), _instant(last, zone, 1), zone)
            return days(date.fromisoformat(first), date.fromisoformat(last), zone)
        return day(date.fromisoformat(name), zone)
    except (ValueError, OverflowError):
        raise PeriodError(f"{text[:40]!r} is not a period. Write one such as {EXAMPLES}.") from None


def _instant(text: str, zone: str, day_end: int) -> int:
    """UTC ms of a local time such as 2025-05-13T14:00, or of a day's first or last midnight."""
    if "t" not in text:
        return calendar.day(date.fromisoformat(text), zone)[day_end]
    when = datetime.fromisoformat(text.upper())
    if when.tzinfo is None:
        when = when.replace(tzinfo=calendar.zone(zone))
    return int(when.timestamp() * 1000)


def instant(text: str, zone: str) -> int:
    """UTC ms of a local time such as `2026-06-01 22:00`, with its offset where an hour comes twice. Raises PeriodError."""
    try:
        when = datetime.fromisoformat(text.strip())
        if when.tzinfo is None:
            when = when.replace(tzinfo=calendar.zone(zone))
        if 2000 <= when.year < 2200:  # what conversions between zones still have room for on both sides
            return int(when.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise PeriodError(f"{text[:40]!r} is not a time of this century or the next, such as 2026-06-01 22:00.")


def written(at_ms: int, zone: str) -> str:
    """As `instant` reads it."""
    at = calendar.local(at_ms, zone)
    precision = "milliseconds" if at_ms % 1000 else "seconds" if at.second else "minutes"
    comes_twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
    return (at if comes_twice else at.replace(tzinfo=None)).isoformat(" ", precision)


def _of_calendar(span: Span, first: date, zone: str) -> Period:
    if span is Span.DAY:
        return Period(span, *calendar.day(first, zone), zone)
    if span is Span.MONTH:
        return Period(span, *calendar.month(first.year, first.month, zone), zone)
    return Period(
        span,
        calendar.day(date(first.year, 1, 1), zone)[0],
        calendar.day(date(first.year + 1, 1, 1), zone)[0],
        zone,
    )


def _added(first: date, span: Span, steps: int) -> date:
    if span is Span.DAY:
        return first + timedelta(days=steps)
    if span is Span.YEAR:
        return date(first.year + steps, 1, 1)
    months = first.year * 12 + first.month - 1 + steps
    return date(months // 12, months % 12 + 1, 1)


def _shifted_by_years(when: datetime, years: int, zone: str) -> int:
    try:
        moved = when.replace(year=when.year + years, tzinfo=None)
    except ValueError:  # 29 February
        moved = when.replace(year=when.year + years, day=28, tzinfo=None)
    return int(moved.replace(tzinfo=calendar.zone(zone)).timestamp()) * 1000 // SLOT_MS * SLOT_MS


def _date(when: datetime) -> str:
    return f"{when.day} {calendar.MONTH_NAMES[when.month - 1][:3]} {when.year}"
