"""The reports: which figures, curves and tables each consists of."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from sgmp_console.reports.kinds import battery, energy, ev, heat_map, load, solar
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Column, Kind, Parts, Report, Table, TableColumn
from sgmp_console.reports.report_data import ReportData
from sgmp_console.reports.time_marks import MarkKind
from sgmp_console.store import House

_PARTS: dict[Kind, Callable[[ReportData], Parts]] = {
    Kind.ENERGY: energy.parts,
    Kind.SOLAR: solar.parts,
    Kind.BATTERY: battery.parts,
    Kind.EV: ev.parts,
    Kind.LOAD: load.parts,
}


def build(
    connection: sa.Connection,
    house: House,
    kind: Kind,
    period: Period,
    now_ms: int,
    compared_with: Period | None = None,
    item: str | None = None,
) -> Report:
    """A report, with the same one of `compared_with` beside it. A worker thread's work; one transaction.

    `item`: of a heat map, the name of an analytic item, or a device field as it is written in a formula. Raises UserError
    where it is neither.
    """
    if kind is Kind.HEAT_MAP:
        also = () if item is None or "." not in item else (heat_map.field_item(connection, house, item),)
        data = ReportData(connection, house, period, now_ms, in_hours=True, also=also)
        parts = heat_map.parts(data, item)
    else:
        data = ReportData(connection, house, period, now_ms)
        parts = _PARTS[kind](data)
    return Report(
        kind,
        house,
        period,
        data.passed_ms,
        tuple(parts.figures),
        tuple(curve for curve in parts.curves if curve is not None),
        (*parts.tables, *_mark_tables(data)),
        tuple(data.missing),
        tuple(data.problems.values()),
        parts.bars,
        None if compared_with is None else build(connection, house, kind, compared_with, now_ms, item=item),
        parts.heat_map,
        data.marks,
        data.excluded_slots,
    )


def _mark_tables(data: ReportData) -> list[Table]:
    """The findings and the notes of the period, for files."""
    start, end = TableColumn("From", Column.TIME), TableColumn("To", Column.TIME)
    held = tuple(
        (one.device, one.text, one.from_ms, one.to_ms) for one in data.marks if one.kind is MarkKind.FINDING
    )
    of_findings = (TableColumn("Device", Column.TEXT), TableColumn("Finding", Column.TEXT), start, end)
    written = tuple(
        (one.text, one.from_ms, one.to_ms, "yes" if one.excluded else "no", one.who)
        for one in data.marks
        if one.kind is MarkKind.NOTE
    )
    of_notes = (
        TableColumn("Note", Column.TEXT),
        start,
        end,
        TableColumn("Excluded from means and sums", Column.TEXT),
        TableColumn("Author", Column.TEXT),
    )
    tables = [
        Table("findings", "Findings", of_findings, held),
        Table("notes", "Notes", of_notes, written),
    ]
    return [table for table in tables if table.rows]
