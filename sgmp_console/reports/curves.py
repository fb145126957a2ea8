"""The curves and bars of reports; None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

import numpy as np

from sgmp_console.reports.report import Bars, BarStep, Curve, Resolution
from sgmp_console.reports.report_data import LOAD_WITHOUT_EV, ReportData
from sgmp_console.reports.steps import all_steps
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, SLOTS_PER_HOUR, calendar
from sgmp_console.timeseries.clear_sky import irradiance

_MAX_DAY_BARS = 62
"""Days: longer periods have a bar for each month."""

MAX_READINGS_MS = 6 * HOUR_MS
"""Curves of periods up to this show every reading: at one each four seconds some 5,000."""

_DAYLIGHT_W_M2 = 200.0
"""Of a clear sky; with less the sun stands low, and roofs and trees decide."""
_MIN_DAYLIGHT_STEPS = 12


def of_item(data: ReportData, key: str, title: str, name: str, quantity: str) -> Curve | None:
    """The item's readings in a short period, else its mean in each step with the band of what it is the mean of; None
    where there is none."""
    steps = data.steps(name)[0]
    if steps is None:
        return None
    is_short = data.period.end_ms - data.period.start_ms <= MAX_READINGS_MS
    raw = data.readings(name) if is_short else None
    if raw is not None:
        return Curve(key, title, data.unit(name), quantity, Resolution.READINGS, raw.timestamps, raw.values)
    band = None
    if name != LOAD_WITHOUT_EV:
        band = data.reader.bands(name, steps.starts, data.step_ms, data.period.start_ms, data.passed_ms)
    lows, highs = band or (None, None)
    return Curve(
        key,
        title,
        data.unit(name),
        quantity,
        _resolution(data),
        steps.starts,
        steps.means,
        False,
        lows,
        highs,
    )


def cumulative(data: ReportData, key: str, title: str, name: str, quantity: str) -> Curve | None:
    """The energy since the start of the period, at the end of each step, kWh. A gap adds nothing."""
    steps = data.steps(name)[0]
    if steps is None or not data.has_energy(name):
        return None
    totals = np.cumsum(steps.energies_kwh)
    return Curve(key, title, "kWh", quantity, _resolution(data), steps.starts, totals, cumulative=True)


def clear_sky(data: ReportData, key: str, title: str, name: str, quantity: str) -> Curve | None:
    """What a power of the sun would be under a clear sky, where the house's place is known: the irradiance on a
    horizontal plane, scaled so that 95 % of the daylight steps of the period lie below it. None where there are too few."""
    steps, place = data.steps(name)[0], data.house.place
    if steps is None or place is None:
        return None
    middle = data.period.step_ms // 2
    light = irradiance(steps.starts + middle, place.latitude, place.longitude)
    is_day = light > _DAYLIGHT_W_M2
    if np.count_nonzero(is_day) < _MIN_DAYLIGHT_STEPS:
        return None
    scale = float(np.quantile(steps.means[is_day] / light[is_day], 0.95))
    starts = all_steps(data.period.start_ms, data.passed_ms, data.period.step_ms, data.period.zone)
    resolution = Resolution.SLOTS if data.period.step_ms == SLOT_MS else Resolution.HOURS
    values = scale * irradiance(starts + middle, place.latitude, place.longitude)
    return Curve(key, title, data.unit(name), quantity, resolution, starts, values)


def _resolution(data: ReportData) -> Resolution:
    return Resolution.SLOTS if data.step_ms == SLOT_MS else Resolution.HOURS


def bars(data: ReportData, *names: str, below: Collection[str] = ()) -> Bars | None:
    """The energies of powers per hour, day or month; None where none of them has one."""
    step, bounds = bar_bounds(data)
    energies = {}
    for name, steps in zip(names, data.steps(*names), strict=True):
        if steps is None or not data.has_energy(name):
            continue
        # The first step may begin before the period that cuts it.
        places = np.searchsorted(steps.starts, [0, *bounds[1:]])
        energies[name] = tuple(
            float(steps.sums[one:two].sum()) / SLOTS_PER_HOUR if two > one else None
            for one, two in pairwise(places.tolist())
        )
    return Bars(step, bounds, energies, frozenset(below)) if energies else None


def bar_bounds(data: ReportData) -> tuple[BarStep, tuple[int, ...]]:
    """What the bars of the period stand for, and where they begin and end; also those that have not passed yet."""
    start, end, zone = data.period.start_ms, data.period.end_ms, data.period.zone
    if data.period.step_ms == SLOT_MS:
        step, edges = BarStep.HOUR, all_steps(start, end, HOUR_MS, zone).tolist()
    elif end - start <= _MAX_DAY_BARS * 24 * HOUR_MS:
        step, edges = BarStep.DAY, [first for first, _ in calendar.days(start, end, zone)]
    else:
        step, edges = BarStep.MONTH, [calendar.month_of(start, zone)[0]]
        while (after := calendar.month_of(edges[-1], zone)[1]) < end:
            edges.append(after)
    return step, (*(max(edge, start) for edge in edges), end)
