"""The charts and tables of a report one by one, as files have them: the rows behind each, with what it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from sgmp_console.reports.export import Piece
from sgmp_console.reports.report import Column, Report, Table, TableColumn
from sgmp_console.ui.pages.reports import look
from sgmp_console.ui.quantities import QUANTITIES

_START, _END = TableColumn("Start", Column.TIME), TableColumn("End", Column.TIME)


def power(report: Report) -> Piece | None:
    """The curves, step by step, and those of the period beside them."""
    units = dict.fromkeys(curve.unit for curve in report.curves)
    return _piece(report, "power", _each(report, _curves), ", ".join(units))


def energy(report: Report) -> Piece | None:
    """The bars, and those of the period beside them."""
    return _piece(report, "energy", _each(report, _bars), "kWh")


def flows(report: Report) -> Piece | None:
    found = [table for table in report.tables if table.key == "flows" and table.rows]
    return _piece(report, "energy flows", found, "kWh")


def shown_table(report: Report) -> Piece | None:
    """The table that the page shows."""
    shown = look.shown_table(report)
    return None if shown is None else _piece(report, shown.title.lower(), [shown], "")


def cells(report: Report, *, by_weekday: bool) -> Piece | None:
    """The hours of a heat map, or its weekdays."""
    if report.heat_map is None:
        return None
    key, name = ("weekdays", "hours of the week") if by_weekday else ("steps", "hours of each day")
    found = [table for table in report.tables if table.key == key]
    return _piece(report, name, found, report.heat_map.unit)


def _piece(report: Report, name: str, tables: Sequence[Table], unit: str) -> Piece | None:
    if not tables:
        return None
    period = report.period
    return Piece(
        f"{look.title(report)}, {name}",
        tuple(tables),
        period.zone,
        report.house.name,
        period.title,
        (period.start_ms, report.passed_ms),
        unit,
    )


def _each(report: Report, table: Callable[[Report, str], Table | None]) -> list[Table]:
    """Of the report, and of the period beside it."""
    found = [table(report, report.period.title)]
    if report.comparison is not None:
        found.append(table(report.comparison, report.comparison.period.title))
    return [one for one in found if one is not None]


def _curves(report: Report, title: str) -> Table | None:
    """A row for each step or reading. A step's extremes stand beside its mean where they are known."""
    if not report.curves:
        return None
    columns = [_START, _END]
    series: list[dict[int, float]] = []
    ends: dict[int, int] = {}
    for curve in report.curves:
        starts = curve.starts.tolist()
        ends |= {start: start + curve.step_ms for start in starts}
        for name, values in (
            (curve.title, curve.values),
            (f"{curve.title}, lowest", curve.lows),
            (f"{curve.title}, highest", curve.highs),
        ):
            if values is not None:
                columns.append(TableColumn(name, Column.NUMBER, curve.unit))
                known = np.isfinite(values)
                series.append(dict(zip(curve.starts[known].tolist(), values[known].tolist(), strict=True)))
    rows = tuple((start, ends[start], *(one.get(start) for one in series)) for start in sorted(ends))
    return Table("curves", title, tuple(columns), rows)


def _bars(report: Report, title: str) -> Table | None:
    bars = report.bars
    if bars is None:
        return None
    columns = [TableColumn(QUANTITIES[item].title, Column.NUMBER, "kWh") for item in bars.energies]
    rows = tuple(
        (start, end, *energies)
        for (start, end), energies in zip(
            pairwise(bars.bounds), zip(*bars.energies.values(), strict=True), strict=True
        )
    )
    return Table("bars", title, (_START, _END, *columns), rows)
