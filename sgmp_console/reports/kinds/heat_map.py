"""The heat map: one item by hour and day, and by hour and weekday."""

from __future__ import annotations

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.formula import DeviceIdentifier, FormulaError, identifiers
from sgmp_console.reports import figures, tables
from sgmp_console.reports.balance import BALANCE_ITEMS
from sgmp_console.reports.heat_map import HeatMap, heat_map
from sgmp_console.reports.report import Parts
from sgmp_console.reports.report_data import ReportData
from sgmp_console.reports.steps import all_steps
from sgmp_console.store import AnalyticItem, House, readings
from sgmp_console.timeseries import HOUR_MS, HourMeans

HEAT_MAP_ITEMS = ("load", *(name for name in BALANCE_ITEMS if name != "load"))
"""What a heat map is of where nothing was chosen: the first that the house has."""


def parts(data: ReportData, item: str | None) -> Parts:
    """`item`: its name, or a device field; None for the first of `HEAT_MAP_ITEMS` that the house has."""
    name = _chosen_item(data, item)
    shown = [
        figures.mean(data, "mean", "Mean", name),
        figures.highest_hour(data, "highest_hour", "Highest hour", name),
        figures.lowest_hour(data, "lowest_hour", "Lowest hour", name),
    ]
    if data.has_energy(name):
        shown.insert(0, figures.energy(data, "energy", "Energy", name))
    grid = _grid(data, name)
    rows = [tables.of_steps(data, [(name, name)])]
    if grid is not None:
        rows.append(tables.of_weekdays(data, name, grid))
    return Parts(shown, [], rows, heat_map=grid)


def _grid(data: ReportData, name: str) -> HeatMap | None:
    """The item by hour and day, and by hour and weekday; None where it can't be read. For data `in_hours`."""
    steps = data.steps(name)[0]
    if steps is None:
        return None
    start, end, zone = data.period.start_ms, data.passed_ms, data.period.zone
    every = all_steps(start, end, HOUR_MS, zone)
    known = HourMeans(steps.starts, steps.covered, steps.sums)
    return heat_map(name, data.unit(name), zone, start, end, every, known)


def _chosen_item(data: ReportData, item: str | None) -> str:
    if item is not None:
        return item
    items = data.reader.items
    return next((name for name in (*HEAT_MAP_ITEMS, *sorted(items)) if name in items), HEAT_MAP_ITEMS[0])


def field_item(connection: sa.Connection, house: House, text: str) -> AnalyticItem:
    """A device field, read as if it were an analytic item."""
    try:
        identifier = identifiers.parse(text)
    except FormulaError as error:
        raise UserError(f"`{text}` can't be shown: {error}.") from error
    if isinstance(identifier, DeviceIdentifier):
        unit = readings.units(connection, house.house_id).get((identifier.device, identifier.field))
        if unit is not None:
            return AnalyticItem(0, house.house_id, text, "", text, unit=unit)
    raise UserError(f"This house has no analytic item and no device field `{text}`.")
