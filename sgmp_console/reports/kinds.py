"""The reports: which figures, curves and tables each consists of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.formula import DeviceIdentifier, FormulaError, identifiers
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
from sgmp_console.reports.builder import LOAD_WITHOUT_EV, Builder
from sgmp_console.reports.heat_map import HeatMap
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import (
    Bars,
    Column,
    Curve,
    Figure,
    Kind,
    Report,
    Section,
    Table,
    TableColumn,
    Why,
)
from sgmp_console.reports.sessions import CHARGING_KW, Session
from sgmp_console.store import AnalyticItem, House, readings
from sgmp_console.timeseries import HOUR_MS, SLOT_MS

_Parts = tuple[list[Figure], list[Curve | None], list[Table], Bars | None]

HEAT_MAP_ITEMS = ("load", *(name for name in BALANCE_ITEMS if name != "load"))
"""What a heat map is of where nothing was chosen: the first that the house has."""

BASE_LOAD_PERCENTILE = 5.0
"""The base load is the power that 95 % of the five-minute means exceed."""


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
    found: HeatMap | None = None
    if kind is Kind.HEAT_MAP:
        also = () if item is None or "." not in item else (_field_item(connection, house, item),)
        builder = Builder(connection, house, period, now_ms, in_hours=True, also=also)
        found = builder.heat_map(_heat_map_item(builder, item))
        figures, curves, tables, bars = _heat_map(builder, _heat_map_item(builder, item), found)
    else:
        builder = Builder(connection, house, period, now_ms)
        figures, curves, tables, bars = _PARTS[kind](builder)
    return Report(
        kind,
        house,
        period,
        builder.passed_ms,
        tuple(figures),
        tuple(curve for curve in curves if curve is not None),
        (*tables, *_trouble_tables(builder)),
        tuple(builder.missing),
        tuple(builder.problems.values()),
        bars,
        None if compared_with is None else build(connection, house, kind, compared_with, now_ms, item=item),
        found,
    )


def _heat_map_item(builder: Builder, item: str | None) -> str:
    if item is not None:
        return item
    items = builder.reader.items
    return next((name for name in (*HEAT_MAP_ITEMS, *sorted(items)) if name in items), HEAT_MAP_ITEMS[0])


def _field_item(connection: sa.Connection, house: House, text: str) -> AnalyticItem:
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


def _heat_map(builder: Builder, name: str, found: HeatMap | None) -> _Parts:
    figures = [
        builder.mean("mean", "Mean", name),
        builder.highest_hour("highest_hour", "Highest hour", name),
        builder.lowest_hour("lowest_hour", "Lowest hour", name),
    ]
    if builder.has_energy(name):
        figures.insert(0, builder.energy("energy", "Energy", name))
    tables = [builder.step_table([(name, name)])]
    if found is not None:
        tables.append(builder.weekday_table(name, found))
    return figures, [], tables, None


def _trouble_tables(builder: Builder) -> list[Table]:
    """The findings of the period, for files."""
    columns = (
        TableColumn("Device", Column.TEXT),
        TableColumn("Finding", Column.TEXT),
        TableColumn("From", Column.TIME),
        TableColumn("To", Column.TIME),
    )
    rows = tuple((one.device, one.text, one.from_ms, one.to_ms) for one in builder.troubles)
    return [Table("findings", "Findings", columns, rows)] if rows else []


def _solar(builder: Builder) -> _Parts:
    return (
        [
            builder.energy("energy", "Energy", "solar"),
            builder.highest("peak", "Peak", "solar"),
            builder.mean("mean", "Mean power", "solar"),
        ],
        [
            builder.curve("solar", "Solar", "solar", "solar"),
            builder.cumulative("cumulative", "Energy", "solar", "solar"),
            builder.clear_sky("clear_sky", "Clear sky", "solar", "clear_sky"),
        ],
        [builder.step_table([("solar", "Solar")]), builder.day_table([("solar", "Solar")])],
        builder.bars("solar"),
    )


_BATTERY_REPORTS = {
    "cyclecount": ("cycles", "Full cycles so far", ""),
    "fullchargecapacity": ("capacity", "Capacity when full", "Ah"),
    "fullchargecapacitywh": ("capacity_wh", "Capacity when full", "Wh"),
    "stateofhealth": ("health", "State of health", "%"),
}
"""By the last part of a sonnenBatterie's field: key, title and unit of a figure."""


def _battery(builder: Builder) -> _Parts:
    powers = [("battery_charging", "Charging"), ("battery_discharging", "Discharging")]
    builder.steps("battery_charging", "battery_discharging", "soc")
    return (
        [
            builder.energy("charged", "Energy in", "battery_charging"),
            builder.energy("discharged", "Energy out", "battery_discharging"),
            builder.mean("charging", "Mean charging", "battery_charging"),
            builder.mean("discharging", "Mean discharging", "battery_discharging"),
            builder.highest("soc_high", "Highest state of charge", "soc"),
            builder.lowest("soc_low", "Lowest state of charge", "soc"),
            *builder.reported(_BATTERY_REPORTS),
        ],
        [
            builder.curve("battery_charging", "Charging", "battery_charging", "battery_charging"),
            builder.curve("battery_discharging", "Discharging", "battery_discharging", "battery_discharging"),
            builder.curve("soc", "State of charge", "soc", "soc"),
        ],
        [builder.step_table([*powers, ("soc", "State of charge")]), builder.day_table(powers)],
        builder.bars("battery_discharging", "battery_charging", below=["battery_charging"]),
    )


def _load(builder: Builder) -> _Parts:
    return (
        [
            builder.energy("energy", "Energy", "load"),
            builder.mean("mean", "Mean power", "load"),
            builder.highest("peak", "Peak", "load"),
            _base_load(builder),
        ],
        [
            builder.curve("load", "Load", "load", "load"),
            builder.cumulative("cumulative", "Energy", "load", "load"),
        ],
        [builder.step_table([("load", "Load")]), builder.day_table([("load", "Load")])],
        builder.bars("load"),
    )


def _base_load(builder: Builder) -> Figure:
    """Of five-minute slots whatever the steps of the period, so that it has one value at every zoom."""
    means = builder.slot_means("load")
    value = float(np.percentile(means, BASE_LOAD_PERCENTILE)) if len(means) else None
    note = f"The power that {100 - BASE_LOAD_PERCENTILE:.0f} % of the five-minute means exceed."
    return Figure("base", "Base load", value, "kW", builder.why("load", note))


def _ev(builder: Builder) -> _Parts:
    found = builder.sessions()
    start, end = builder.period.start_ms, builder.passed_ms
    plugged = [length for one in found if (length := one.plugged_in_ms(start, end)) is not None]
    charging = [one.charging_ms for one in found if one.charging_ms is not None]
    ended = [one.energy_kwh for one in found if one.energy_kwh is not None]
    unrecorded = sum(one.start_missing or one.end_missing for one in found)

    steps = builder.steps("ev")[0]
    is_heard = steps is not None and len(steps.starts) > 0  # else nobody knows that there was no session

    def figure(key: str, title: str, value: float | None, unit: str, note: str) -> Figure:
        if not found:
            note = "No charging sessions." if is_heard else "There are no readings in this period."
        elif unrecorded:
            note += f" Of {unrecorded} the start or the end was not recorded."
        return Figure(key, title, value, unit, builder.why_events(note))

    def mean_hours(lengths: list[int]) -> float | None:
        return sum(lengths) / len(lengths) / HOUR_MS if lengths else None

    return (
        [
            builder.energy("energy", "Energy", "ev"),
            builder.mean("mean", "Mean power", "ev"),
            builder.highest("peak", "Peak", "ev"),
            figure(
                "sessions",
                "Sessions",
                float(len(found)) if found or is_heard else None,
                "",
                "Sessions of which a part lies in the period.",
            ),
            figure(
                "plugged",
                "Mean time plugged in",
                mean_hours(plugged),
                "h",
                "From plugging in to unplugging, cut at the ends of the period; a car that is plugged in now until now.",
            ),
            figure(
                "charging",
                "Mean time charging",
                mean_hours(charging),
                "h",
                f"While the charger's power is above {CHARGING_KW} kW; of sessions with readings of it in the period."
                if charging
                else "There are no readings of the chargers' power in these sessions.",
            ),
            figure(
                "by_chargers",
                "Energy by the chargers",
                sum(ended) if ended else None,
                "kWh",
                "What the chargers counted for the sessions that ended, whole also where the period cuts them."
                if ended
                else "No session has ended yet.",
            ),
            *_charged_from(builder),
        ],
        [
            builder.curve("ev", "EV charging", "ev", "ev"),
            builder.cumulative("cumulative", "Energy", "ev", "ev"),
        ],
        [
            _session_table(found, builder),
            builder.step_table([("ev", "EV")]),
            builder.day_table([("ev", "EV")]),
        ],
        builder.bars("ev"),
    )


def _charged_from(builder: Builder) -> list[Figure]:
    """What the house's meter saw of the car, by source; none where the house has no car."""
    if "ev" not in builder.reader.items:
        return []
    found = builder.balance()
    total = found.total if found is not None else Totals()
    known = total.attributed > 0

    def figure(key: str, title: str, value: float) -> Figure:
        why = _balance_why(builder, "charged_from")
        return Figure(key, title, value if known else None, "kWh", why, section=Section.CHARGED_FROM)

    unknown = figure("from_unknown", "Charged from an unknown source", total.flow(UNKNOWN, "ev"))
    return [
        figure("from_sun", "The sun", total.flow("solar", "ev")),
        figure("from_battery", "The battery", total.flow("battery_discharging", "ev")),
        figure("from_grid", "The grid", total.flow("grid_import", "ev")),
        replace(unknown, section=Section.CHECK),
    ]


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


def _balance_why(builder: Builder, key: str = "") -> Why:
    note = (
        "Sums over the slots in which every needed item has a value. Within a slot the sun serves load and car first, "
        "then the battery, then the export; the battery before the grid. Energy from the battery keeps its origin."
    )
    if builder.house.load_contains_ev:
        note += " The load's meter measures the car, too: what the car took is taken off the load."
    return builder.why_balance(f"{_BALANCE_NOTES.get(key, '')} {note}".strip())


def _session_table(found: Sequence[Session], builder: Builder) -> Table:
    start_ms, end_ms = builder.period.start_ms, builder.passed_ms
    is_over = end_ms < builder.now_ms // SLOT_MS * SLOT_MS
    columns = (
        TableColumn("Station", Column.TEXT),
        TableColumn("Start", Column.TIME),
        TableColumn("End", Column.TIME),
        TableColumn("Plugged in", Column.DURATION),
        TableColumn("Charging", Column.DURATION),
        TableColumn("Energy by the charger", Column.NUMBER, "kWh", short="Charger"),
        TableColumn("Mean power", Column.NUMBER, "kW", short="Mean", optional=3),
        TableColumn("Peak power", Column.NUMBER, "kW", short="Peak", optional=4),
        TableColumn("Pauses", Column.NUMBER, optional=2),
        TableColumn("From the sun", Column.NUMBER, "kWh", short="Sun"),
        TableColumn("From the battery", Column.NUMBER, "kWh", short="Battery"),
        TableColumn("From the grid", Column.NUMBER, "kWh", short="Grid"),
        TableColumn("From unknown", Column.NUMBER, "kWh", short="Unknown", optional=1),
        TableColumn("Not attributed", Column.DURATION, optional=1),
        TableColumn("Remark", Column.TEXT),
    )

    def split(one: Session) -> tuple[float | int | None, ...]:
        found = one.split
        if found is None:
            return (None,) * 5
        return (
            found.solar_kwh,
            found.battery_kwh,
            found.grid_kwh,
            found.unknown_kwh,
            found.not_attributed_ms,
        )

    rows = tuple(
        (
            one.station,
            one.plugged_ms,
            one.unplugged_ms,
            one.plugged_in_ms(start_ms, end_ms),
            one.charging_ms,
            one.energy_kwh,
            one.mean_kw,
            one.peak_kw,
            one.pauses,
            *split(one),
            _remark(one, start_ms, end_ms, is_over=is_over),
        )
        for one in found
    )
    times = tuple(one.part(start_ms, end_ms) for one in found)
    return Table("sessions", "Charging sessions", columns, rows, times)


_ENERGY_NAMES = {
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


def _energy(builder: Builder) -> _Parts:
    for name in BALANCE_ITEMS:
        builder.item(name)
    found = builder.balance()
    read_as = {name: name for name in BALANCE_ITEMS}
    if builder.house.load_contains_ev:
        read_as["load"] = LOAD_WITHOUT_EV
    builder.steps(*read_as.values())
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
        why = _balance_why(builder, key)
        absent = [name for name in needs if name not in builder.reader.items]
        if absent:
            missing = replace(why, note=f"Missing: {', '.join(absent)}.")
            return Figure(key, title, None, unit, missing, section=section)
        return Figure(key, title, value if known else None, unit, why, section=section)

    def percent(share: float | None) -> float | None:
        return None if share is None else 100 * share

    return (
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
                needs=needed_to_check(builder.reader.items),
            ),
            Figure(
                "not_attributed",
                "Not attributed",
                total.not_attributed_hours,
                "h",
                _balance_why(builder, "not_attributed"),
                section=Section.CHECK,
            ),
        ],
        [builder.curve(name, QUANTITY_TITLES[name], read_as[name], name) for name in BALANCE_ITEMS],
        [
            _flow_table(total) if known else Table("flows", "Energy flows", (), ()),
            _energy_days(builder, found),
            builder.step_table([(read_as[name], QUANTITY_TITLES[name]) for name in BALANCE_ITEMS]),
        ],
        _energy_bars(builder, found) if known else None,
    )


def _flow_table(total: Totals) -> Table:
    """From each source (rows) to each use (columns)."""
    columns = (
        TableColumn("From", Column.TEXT),
        *(TableColumn(_ENERGY_NAMES[use], Column.NUMBER, "kWh") for use in COLUMNS),
        TableColumn("Sum", Column.NUMBER, "kWh"),
    )
    rows: list[tuple[float | int | str | None, ...]] = [
        (_ENERGY_NAMES[row], *(total.flow(row, use) for use in COLUMNS), float(total.flows[place].sum()))
        for place, row in enumerate(ROWS)
    ]
    return Table("flows", "Energy flows", columns, tuple(rows))


def _energy_days(builder: Builder, found: Balance | None) -> Table:
    columns = (
        TableColumn("Day", Column.DAY),
        TableColumn("End", Column.TIME, file_only=True),
        *(TableColumn(QUANTITY_TITLES[name], Column.NUMBER, "kWh") for name in BALANCE_ITEMS),
        TableColumn("Autarky", Column.NUMBER, "%"),
        TableColumn("Not attributed", Column.NUMBER, "h"),
    )
    bounds = builder.day_bounds()
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


def _energy_bars(builder: Builder, found: Balance | None) -> Bars | None:
    """As the days' table: sums over the slots in which every needed item has a value."""
    if found is None:
        return None
    step, bounds = builder.bar_bounds()
    parts = found.parts([min(bound, builder.passed_ms) for bound in bounds])
    energies = {
        name: tuple(one.source(name) if one.attributed else None for one in parts) for name in SOURCES
    }
    energies |= {name: tuple(one.use(name) if one.attributed else None for one in parts) for name in USES}
    return Bars(step, bounds, energies, frozenset(USES))


def _remark(session: Session, start_ms: int, end_ms: int, *, is_over: bool) -> str:
    """`is_over`: the period ended before now."""
    cut_start, cut_end = session.cut_at(start_ms, end_ms)
    remarks = [
        ("Still plugged in", session.is_running),
        ("End was not recorded", session.end_missing),
        ("Start was not recorded", session.start_missing),
        ("Began before the period", cut_start),
        ("Ended after the period", cut_end),
        ("Went on after the period", session.is_running and is_over),
    ]
    return "; ".join(text for text, applies in remarks if applies)


QUANTITY_TITLES = {
    "solar": "Solar",
    "grid_import": "Import",
    "battery_discharging": "Discharging",
    "load": "Load",
    "ev": "EV",
    "battery_charging": "Charging",
    "grid_export": "Export",
}
"""What the items of the balance are called in curves and tables."""

_PARTS: dict[Kind, Callable[[Builder], _Parts]] = {
    Kind.ENERGY: _energy,
    Kind.SOLAR: _solar,
    Kind.BATTERY: _battery,
    Kind.EV: _ev,
    Kind.LOAD: _load,
}
