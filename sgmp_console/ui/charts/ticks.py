"""Where an axis has its ticks and what is written there. Pure, no Qt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sgmp_console.timeseries import calendar
from sgmp_console.ui import formats

_SECOND_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
_HOUR_STEPS = (1, 2, 3, 6, 12)
_DAY_STEPS = (1, 2, 7, 14)
_MONTH_STEPS = (1, 3, 6, 12, 60, 120, 600)
_LARGE_STEP = 1e6
"""From here on the zeros of a tick would not fit beside the chart."""


@dataclass(frozen=True)
class TimeTick:
    """`new_date` where the label is the date instead of the time, since it changes here."""

    timestamp_ms: int
    label: str
    new_date: bool


def time_ticks(start_ms: int, end_ms: int, zone: tzinfo, at_most: int) -> list[TimeTick]:
    """Ticks at round local times in [start_ms, end_ms), at most about `at_most` of them.

    Days, hours and months are those of the zone's wall clock, so a day of 23 or 25 hours has its ticks where the
    clock shows them; in a repeated hour the label carries the offset.
    """
    span_s = (end_ms - start_ms) / 1000
    if span_s <= 0 or at_most < 1:
        return []
    instants: Iterator[datetime]
    for seconds in _SECOND_STEPS:
        if span_s / seconds <= at_most:
            instants = _every_seconds(start_ms, end_ms, zone, seconds)
            return _labelled(instants, start_ms, end_ms, seconds < 60)
    for hours in _HOUR_STEPS:
        if span_s / 3600 / hours <= at_most:
            return _labelled(_every_hours(start_ms, end_ms, zone, hours), start_ms, end_ms, False)
    for days in _DAY_STEPS:
        if span_s / 86400 / days <= at_most:
            return _dated(_every_days(start_ms, end_ms, zone, days), start_ms, end_ms)
    for months in _MONTH_STEPS:
        if span_s / 86400 / 30.4 / months <= at_most or months == _MONTH_STEPS[-1]:
            return _dated(_every_months(start_ms, end_ms, zone, months), start_ms, end_ms)
    return []


def with_a_date(ticks: list[TimeTick], zone: tzinfo) -> list[TimeTick]:
    """The same ticks, with a date at the first where none has one: an axis must say which day it shows."""
    if not ticks or any(tick.new_date or ":" not in tick.label for tick in ticks):
        return ticks
    first, *others = ticks
    day = formats.date(formats.local(first.timestamp_ms, zone)).partition(" ")[2]
    return [TimeTick(first.timestamp_ms, f"{day} {first.label}", True), *others]


def value_range(
    low: float, high: float, *, least_span: float, from_zero: bool, ticks: int
) -> tuple[float, float, float]:
    """The range of a value axis and the step of its ticks: `(from, to, step)`, both ends on a tick.

    The range holds [low, high], and zero where `from_zero`; it spans at least `least_span`, so that noise is not drawn
    as an event. Since it moves only from tick to tick, a live chart does not tremble.
    """
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < least_span:
        missing = least_span - (high - low)
        below = missing / 2 if not from_zero else missing if -low > high else 0.0
        low, high = low - below, high + missing - below
    step = _round_step((high - low) / max(1, ticks))
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def value_ticks(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def value_label(value: float, step: float) -> str:
    """A tick's text with as many decimals as the step has: `59.98`, `−2`; `2·10⁹` where it would be long."""
    if step >= _LARGE_STEP:
        return formats.scientific(value)
    exponent = math.floor(math.log10(step) + 1e-9)
    leading = step / 10.0**exponent
    decimals = max(0, -exponent + (0 if math.isclose(leading, round(leading)) else 1))
    text = f"{abs(value):.{decimals}f}"
    return f"−{text}" if value < 0 and float(text) != 0 else text


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(
        factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9)
    )


def _day_start_ms(day: date, zone: tzinfo) -> int:
    """When a day of the house begins: not at 00:00 where the clock skips it."""
    return calendar.day(day, zone.key if isinstance(zone, ZoneInfo) else "UTC")[0]


def _midnights(start_ms: int, end_ms: int, zone: tzinfo) -> Iterator[datetime]:
    """The instants at which days begin, also the day that `start_ms` is in."""
    day: date = formats.local(start_ms, zone).date()
    last = formats.local(end_ms, zone).date()
    while day <= last:
        midnight = formats.local(_day_start_ms(day, zone), zone)
        if midnight.date() == day:  # Samoa had no 30 December 2011
            yield midnight
        day += timedelta(days=1)


def _every_seconds(start_ms: int, end_ms: int, zone: tzinfo, step_s: int) -> Iterator[datetime]:
    # From the local midnight on, so that half-hour zones have their ticks on round minutes, too.
    for midnight in _midnights(start_ms, end_ms, zone):
        begin_s = int(midnight.timestamp())
        stop_s = _day_start_ms(midnight.date() + timedelta(days=1), zone) // 1000
        first = max(0, -(-(start_ms // 1000 - begin_s) // step_s))
        for instant in range(begin_s + first * step_s, min(stop_s, end_ms // 1000 + 1), step_s):
            yield datetime.fromtimestamp(instant, zone)


def _every_hours(start_ms: int, end_ms: int, zone: tzinfo, step: int) -> Iterator[datetime]:
    for midnight in _midnights(start_ms, end_ms, zone):
        yield midnight
        begin, day = midnight.timestamp(), midnight.date()
        for hour in range(0, 24, step):
            wall = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
            # Through UTC and back: an hour that the clock leaves out comes out as another one.
            once = datetime.fromtimestamp(wall.timestamp(), zone)
            if once.hour != hour:
                continue
            if once.timestamp() > begin:
                yield once
            again = wall.replace(fold=1)
            if step == 1 and again.timestamp() > max(wall.timestamp(), begin):
                yield datetime.fromtimestamp(again.timestamp(), zone)


def _every_days(start_ms: int, end_ms: int, zone: tzinfo, step: int) -> Iterator[datetime]:
    for midnight in _midnights(start_ms, end_ms, zone):
        # Counted from a Monday, so that weeks begin on Mondays and ticks stay put while the range moves.
        if (midnight.date().toordinal() - 1) % step == 0:
            yield midnight


def _every_months(start_ms: int, end_ms: int, zone: tzinfo, step: int) -> Iterator[datetime]:
    for midnight in _midnights(start_ms, end_ms, zone):
        if midnight.day == 1 and (12 * midnight.year + midnight.month - 1) % step == 0:
            yield midnight


def _labelled(instants: Iterator[datetime], start_ms: int, end_ms: int, seconds: bool) -> list[TimeTick]:
    ticks = []
    # Where two hours come twice, the repeated ones are named beside the first.
    for at_ms, instant in sorted((round(instant.timestamp() * 1000), instant) for instant in instants):
        if start_ms <= at_ms < end_ms:
            time = formats.clock(instant, seconds=seconds)
            begins = instant.tzinfo is not None and at_ms == _day_start_ms(instant.date(), instant.tzinfo)
            label = time
            if begins:
                label = formats.date(instant) if instant.hour == 0 else f"{formats.date(instant)} {time}"
            ticks.append(TimeTick(at_ms, label, begins))
    return ticks


def _dated(instants: Iterator[datetime], start_ms: int, end_ms: int) -> list[TimeTick]:
    """With the year at the first of each, where there are several."""
    shown = [instant for instant in instants if start_ms <= round(instant.timestamp() * 1000) < end_ms]
    years = len({instant.year for instant in shown}) > 1
    ticks, year = [], None
    for instant in shown:
        label = formats.date(instant).partition(" ")[2]
        if years and instant.year != year:
            label, year = f"{label} {instant.year}", instant.year
        ticks.append(TimeTick(round(instant.timestamp() * 1000), label, instant.day == 1))
    return ticks
