"""The energy report: where energy came from and went."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from sgmp_console.reports import curves, reasons, tables
from sgmp_console.reports.balance import (
    BALANCE_ITEMS,
    COLUMNS,
    ROWS,
    SOURCES,
    UNKNOWN,
    UNMATCHED,
    USES,
    Balance,
    Totals,
    needed_to_check,
)
from sgmp_console.reports.report import Bars, Column, Figure, Parts, Section, Table, TableColumn, Why
from sgmp_console.reports.report_data import LOAD_WITHOUT_EV, ReportData

_BALANCE_NOTES = {
    "consumption": "What load and car used.",
    "from_sun": "What load and car used that came from the sun, directly or through the battery.",
    "from_grid": "What load and car used that came from the grid, directly or through the battery.",
    "autarky": "Used from the sun / (used from the sun + used from the grid). What is of unknown origin is left out.",
    "self_consumption": "The sun that load, car and battery took / (that + the sun that was exported).",
    "charged_from": "What the item `ev` took of it. What came through the battery counts as from the battery.",
    "residual": "The sum over all slots of what sources and uses differ by, whichever sign it has in each.",
    "not_attributed": "The time in which a needed item had no value: its energy is in none of the sums.",
}
"""By key of a figure of the balance: how it is computed."""

_FLOW_TITLES = {
    "solar": "Solar",
    "grid_import": "Grid",
    "battery_discharging": "Battery",
    UNKNOWN: "Unknown source",
    "load": "Load",
    "ev": "EV",
    "battery_charging": "Battery",
    "grid_export": "Export",
    UNMATCHED: "Not accounted for",
}

_QUANTITY_TITLES = {
    "solar": "Solar",
    "grid_import": "Import",
    "battery_discharging": "Discharging",
    "load": "Load",
    "ev": "EV",
    "battery_charging": "Charging",
    "grid_export": "Export",
}
"""What the items of the balance are called in curves and tables."""


def parts(data: ReportData) -> Parts:
    for name in BALANCE_ITEMS:
        data.item(name)
    found = data.balance
    read_as = {name: name for name in BALANCE_ITEMS}
    if data.house.load_contains_ev:
        read_as["load"] = LOAD_WITHOUT_EV
    data.steps(*read_as.values())
    total = found.total if found is not None else Totals()
    known = found is not None and total.attributed > 0

    def figure(
        key: str,
        title: str,
        value: float | None,
        unit: str = "kWh",
        section: Section = Section.IN_AND_OUT,
        *,
        needs: tuple[str, ...] = (),
    ) -> Figure:
        """Without a value, not with zero, where the house does not have an item that it `needs`."""
        why = balance_why(data, key)
        absent = [name for name in needs if name not in data.reader.items]
        if absent:
            missing = replace(why, note=f"Missing: {', '.join(absent)}.")
            return Figure(key, title, None, unit, missing, section=section)
        return Figure(key, title, value if known else None, unit, why, section=section)

    def percent(share: float | None) -> float | None:
        return None if share is None else 100 * share

    return Parts(
        [
            figure("consumption", "Used", total.consumption, section=Section.USED, needs=("load",)),
            figure(
                "from_sun",
                "Used from the sun",
                total.consumed_from("solar"),
                section=Section.USED,
                needs=("solar",),
            ),
            figure(
                "from_grid",
                "Used from the grid",
                total.consumed_from("grid_import"),
                section=Section.USED,
                needs=("grid_import",),
            ),
            figure(
                "autarky",
                "Autarky",
                percent(total.autarky),
                "%",
                Section.USED,
                needs=("solar", "grid_import"),
            ),
            figure("solar", "Solar", total.source("solar"), needs=("solar",)),
            figure(
                "self_consumption",
                "Self-consumption",
                percent(total.self_consumption),
                "%",
                needs=("solar", "grid_export"),
            ),
            figure("grid_import", "Imported", total.source("grid_import"), needs=("grid_import",)),
            figure("grid_export", "Exported", total.use("grid_export"), needs=("grid_export",)),
            figure("charged", "Into the battery", total.use("battery_charging"), needs=("battery_charging",)),
            figure(
                "discharged",
                "Out of the battery",
                total.source("battery_discharging"),
                needs=("battery_discharging",),
            ),
            figure(
                "residual",
                "Does not add up",
                total.residual,
                section=Section.CHECK,
                needs=needed_to_check(data.reader.items),
            ),
            Figure(
                "not_attributed",
                "Not attributed",
                total.not_attributed_hours,
                "h",
                balance_why(data, "not_attributed"),
                section=Section.CHECK,
            ),
        ],
        [curves.of_item(data, name, _QUANTITY_TITLES[name], read_as[name], name) for name in BALANCE_ITEMS],
        [
            _flow_table(total) if known else Table("flows", "Energy flows", (), ()),
            _day_table(data, found),
            tables.of_steps(data, [(read_as[name], _QUANTITY_TITLES[name]) for name in BALANCE_ITEMS]),
        ],
        _bars(data, found) if known else None,
    )


def _flow_table(total: Totals) -> Table:
    """From each source (rows) to each use (columns)."""
    columns = (
        TableColumn("From", Column.TEXT),
        *(TableColumn(_FLOW_TITLES[use], Column.NUMBER, "kWh") for use in COLUMNS),
        TableColumn("Sum", Column.NUMBER, "kWh"),
    )
    rows: list[tuple[float | int | str | None, ...]] = [
        (_FLOW_TITLES[row], *(total.flow(row, use) for use in COLUMNS), float(total.flows[place].sum()))
        for place, row in enumerate(ROWS)
    ]
    return Table("flows", "Energy flows", columns, tuple(rows))


def _day_table(data: ReportData, found: Balance | None) -> Table:
    columns = (
        TableColumn("Day", Column.DAY),
        TableColumn("End", Column.TIME, file_only=True),
        *(TableColumn(_QUANTITY_TITLES[name], Column.NUMBER, "kWh") for name in BALANCE_ITEMS),
        TableColumn("Autarky", Column.NUMBER, "%"),
        TableColumn("Not attributed", Column.NUMBER, "h"),
    )
    bounds = data.day_bounds()
    rows: list[tuple[float | int | str | None, ...]] = []
    for (first, last), total in zip(pairwise(bounds), found.parts(bounds) if found else [], strict=False):
        sums = (
            [*map(total.source, SOURCES), *map(total.use, USES)]
            if total.attributed
            else [None] * len(BALANCE_ITEMS)
        )
        autarky = None if total.autarky is None else 100 * total.autarky
        rows.append((first, last, *sums, autarky, total.not_attributed_hours))
    return Table("days", "Days", columns, tuple(rows), tuple(pairwise(bounds)))


def _bars(data: ReportData, found: Balance | None) -> Bars | None:
    """As the days' table: sums over the slots in which every needed item has a value."""
    if found is None:
        return None
    step, bounds = curves.bar_bounds(data)
    parts = found.parts([min(bound, data.passed_ms) for bound in bounds])
    energies = {
        name: tuple(one.source(name) if one.attributed else None for one in parts) for name in SOURCES
    }
    energies |= {name: tuple(one.use(name) if one.attributed else None for one in parts) for name in USES}
    return Bars(step, bounds, energies, frozenset(USES))


def balance_why(data: ReportData, key: str = "") -> Why:
    note = (
        "Sums over the slots in which every needed item has a value. Within a slot the sun serves load and car first, "
        "then the battery, then the export; the battery before the grid. Energy from the battery keeps its origin."
    )
    if data.house.load_contains_ev:
        note += " The load's meter measures the car, too: what the car took is taken off the load."
    return reasons.of_balance(data, f"{_BALANCE_NOTES.get(key, '')} {note}".strip())
