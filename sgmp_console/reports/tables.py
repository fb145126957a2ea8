"""The tables of reports, for files and the list under the curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sgmp_console.reports.heat_map import NOWHERE, WEEKDAYS, HeatMap
from sgmp_console.reports.report import Column, Table, TableColumn
from sgmp_console.reports.report_data import ReportData
from sgmp_console.reports.steps import Steps, all_steps
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, SLOTS_PER_HOUR, calendar


def of_steps(data: ReportData, names: Sequence[tuple[str, str]]) -> Table:
    """One row per step of the period: start, end, and for each (item, title) its mean, energy and covered slots."""
    found = [
        (name, title, steps)
        for (name, title), steps in zip(names, data.steps(*[n for n, _ in names]), strict=True)
    ]
    columns = [TableColumn("Start", Column.TIME), TableColumn("End", Column.TIME)]
    for name, title, _ in found:
        columns.append(TableColumn(f"{title}, mean", Column.NUMBER, data.unit(name)))
        if data.has_energy(name):
            columns.append(TableColumn(f"{title}, energy", Column.NUMBER, "kWh"))
        columns.append(TableColumn(f"{title}, slots covered", Column.NUMBER))
    rows = _step_rows(data, [(data.has_energy(name), steps) for name, _, steps in found])
    title = "Hours" if data.step_ms == HOUR_MS else "Five-minute slots"
    return Table("steps", title, tuple(columns), tuple(rows))


def _step_rows(
    data: ReportData, items: Sequence[tuple[bool, Steps | None]]
) -> list[tuple[float | int | str | None, ...]]:
    """`items`: for each whether it has an energy, and its steps. The first and last row are cut by the period."""
    start, end = data.period.start_ms, data.passed_ms
    starts = all_steps(start, end, data.step_ms, data.period.zone)
    ends = np.append(starts[1:], [end] * min(1, len(starts)))
    columns: list[Sequence[float | int | None]] = [np.maximum(starts, start).tolist(), ends.tolist()]
    for has_energy, steps in items:
        if steps is None:
            columns += [[None] * len(starts)] * (1 + has_energy) + [[0] * len(starts)]
            continue
        places = np.searchsorted(starts, steps.starts).tolist()
        columns.append(_spread(steps.means, places, len(starts), None))
        if has_energy:
            columns.append(_spread(steps.energies_kwh, places, len(starts), None))
        columns.append(_spread(steps.covered, places, len(starts), 0))
    return list(zip(*columns, strict=True))


def _spread(
    values: NDArray[np.float64] | NDArray[np.int64], places: Sequence[int], count: int, empty: int | None
) -> list[float | int | None]:
    """The values at their places of a column, the other cells `empty`."""
    cells: list[float | int | None] = [empty] * count
    for place, value in zip(places, values.tolist(), strict=True):
        cells[place] = value
    return cells


def of_days(data: ReportData, names: Sequence[tuple[str, str]]) -> Table:
    """One row per day of the house: start, end, and for each (power, title) its energy and coverage."""
    found = data.steps(*[name for name, _ in names])
    columns = [TableColumn("Day", Column.DAY), TableColumn("End", Column.TIME, file_only=True)]
    for _, title in names:
        columns += [
            TableColumn(f"{title}, energy", Column.NUMBER, "kWh", short=title),
            TableColumn(f"{title}, coverage", Column.NUMBER, "%", short="Covered"),
        ]
    rows = []
    times = []
    for start, end in calendar.days(
        data.period.start_ms, max(data.passed_ms, data.period.start_ms), data.period.zone
    ):
        first, last = max(start, data.period.start_ms), min(end, data.passed_ms)
        times.append((first, last))
        row: list[float | int | str | None] = [first, last]
        for (name, _), steps in zip(names, found, strict=True):
            if steps is None:
                row += [None, 0.0]
                continue
            # The first step may begin before the period that cuts it.
            one, two = np.searchsorted(steps.starts, (start, last))
            covered = int(steps.covered[one:two].sum())
            has_value = covered and data.has_energy(name)
            energy = float(steps.sums[one:two].sum()) / SLOTS_PER_HOUR if has_value else None
            row += [energy, 100.0 * covered / ((last - first) // SLOT_MS) if last > first else 0.0]
        rows.append(tuple(row))
    return Table("days", "Days", tuple(columns), tuple(rows), tuple(times))


def of_weekdays(data: ReportData, title: str, of: HeatMap) -> Table:
    """One row per weekday and hour of the clock that the period has: the mean of all its covered slots."""
    columns = (
        TableColumn("Weekday", Column.TEXT),
        TableColumn("Hour", Column.TEXT),
        TableColumn(f"{title}, mean", Column.NUMBER, of.unit),
        TableColumn(f"{title}, slots covered", Column.NUMBER),
        TableColumn(f"{title}, slots", Column.NUMBER),
    )
    grid = of.weekdays
    rows: list[tuple[float | int | str | None, ...]] = []
    for line, weekday in enumerate(WEEKDAYS):
        for hour in range(24):
            cell = int(grid.places[line, 2 * hour])
            if cell == NOWHERE:
                continue
            mean = float(grid.means[cell]) if grid.covered[cell] else None
            rows.append((weekday, f"{hour:02d}:00", mean, int(grid.covered[cell]), int(grid.slots[cell])))
    return Table("weekdays", "Weekdays", columns, tuple(rows))
