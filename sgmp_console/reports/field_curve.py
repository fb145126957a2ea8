"""The curve of one field of a device over a period, read as if it were an analytic item."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from sgmp_console.formula import DeviceIdentifier, identifiers
from sgmp_console.reports import curves, figures
from sgmp_console.reports.kinds.heat_map import field_item
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Curve, Figure
from sgmp_console.reports.report_data import ReportData
from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.store import House


@dataclass(frozen=True, eq=False)
class FieldCurve:
    """`item`: the field as formulas write it. `curve`: None where there is nothing in the period. `figures`: mean, highest and
    lowest, each with its coverage. `problem`: why it can't be read, or ""."""

    item: str
    unit: str
    period: Period
    passed_ms: int
    curve: Curve | None
    figures: tuple[Figure, ...]
    problem: str = ""
    marks: tuple[TimeMark, ...] = ()
    """Findings of the device and of the whole house in the period, and notes."""


def field_curve(
    connection: sa.Connection, house: House, device: str, field: str, period: Period, now_ms: int
) -> FieldCurve:
    """Of the house's clock. Raises UserError where the house has no such field."""
    item = field_item(connection, house, identifiers.write(DeviceIdentifier(device, field)))
    data = ReportData(connection, house, replace(period, zone=house.time_zone), now_ms, also=(item,))
    curve = curves.of_item(data, item.name, field, item.name, "")
    shown = (
        figures.mean(data, "mean", "Mean", item.name),
        figures.highest(data, "highest", "Highest", item.name),
        figures.lowest(data, "lowest", "Lowest", item.name),
    )
    problem = " ".join(data.problems.values())
    marks = data.marks_of(frozenset([device]))
    return FieldCurve(item.name, item.unit, data.period, data.passed_ms, curve, shown, problem, marks)
