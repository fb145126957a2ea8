"""Houses in a real database beside `oracle`: what a report says of them that is not what their readings add up to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np

from sgmp_console.fleet import analytics
from sgmp_console.reports import periods
from sgmp_console.reports.balance import BALANCE_ITEMS, COLUMNS, ROWS, SOURCES, UNKNOWN, USES
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import Batch, Database, EventRow, devices, houses, readings
from sgmp_console.timeseries import Series
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING
from tests.database import TestDatabase
from tests.reports.houses import BATTERY, EV, GRID, LOAD, SOC, SOLAR, Readings
from tests.reports.oracle import HOUR, SLOT, ChargerEvent, Field, Oracle
from tests.reports.stored import run_policies
from tests.series import write_series

MINUTE = 60_000
DAY = 24 * HOUR
CLOSE = 1e-9
REPORTS = (Kind.ENERGY, Kind.SOLAR, Kind.BATTERY, Kind.EV, Kind.LOAD)
"""The heat map has no figure of its own."""
POWER = ("powerflex", "power")


@dataclass
class StoredHouse:
    """A house with the required items in a real database, and all that was stored of it."""

    database: Database
    server: TestDatabase
    zone: str
    load_contains_car: bool = False
    kept: dict[Field, list[tuple[int, float]]] = field(default_factory=dict)
    events: list[ChargerEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.database.begin() as connection:
            self.house = houses.create(
                connection, "Maple House", time_zone=self.zone, load_contains_ev=self.load_contains_car
            )
            self.devices = {
                name: devices.create(connection, self.house.house_id, name, name, {}).device_id
                for name in ("sonnen", "egauge", "powerflex")
            }

    def store(self, fields: Readings) -> None:
        with self.database.begin() as connection:
            for name, number in self.devices.items():
                mine = {of: series for (device, of), series in fields.items() if device == name}
                write_series(connection, self.house.house_id, number, mine)
        for key, series in fields.items():
            self.kept.setdefault(key, []).extend(
                zip(series.timestamps.tolist(), series.values.tolist(), strict=True)
            )

    def charge(self, events: list[ChargerEvent]) -> None:
        rows = []
        for event in events:
            data = {"duration": event.duration_ms, "energy": event.energy_mwh}
            kind = EV_START_CHARGING if event.starts else EV_END_CHARGING
            rows.append(
                EventRow(
                    self.house.house_id,
                    self.devices["powerflex"],
                    "powerflex",
                    event.at,
                    kind,
                    {key: value for key, value in data.items() if value is not None},
                )
            )
        with self.database.begin() as connection:
            readings.write(connection, Batch([], [], rows, []))
        self.events += events

    def create_items(self) -> None:
        analytics.create_required(self.database, self.house.house_id)

    def populate(self) -> None:
        analytics.populate(self.database, self.house.house_id)
        run_policies(self.server.url)

    def oracle(self) -> Oracle:
        known = {key: sorted(pairs) for key, pairs in self.kept.items()}
        return Oracle(self.zone, known, self.events, self.load_contains_car)

    def report(self, kind: Kind, period: Period, now_ms: int) -> Report:
        with self.database.begin() as connection:
            return build(connection, self.house, kind, period, now_ms)


def same(value: float | None, expected: float | None) -> bool:
    """To 1e-9 of its size. What should be zero is within 1e-9."""
    if value is None or expected is None:
        return value is expected
    return math.isclose(value, expected, rel_tol=CLOSE, abs_tol=CLOSE)


def wrong_figures(
    report: Report, oracle: Oracle, now_ms: int
) -> list[tuple[str, float | None, float | None]]:
    """The figures that are not what the oracle says, with both values."""
    start, end = report.period.start_ms, report.passed_ms
    expected = oracle.figures(report.kind.value, start, end, now_ms)
    assert {figure.key for figure in report.figures} == expected.keys()
    return [
        (figure.key, figure.value, expected[figure.key])
        for figure in report.figures
        if not same(figure.value, expected[figure.key])
    ]


def wrong_reasons(report: Report, oracle: Oracle, raw_is_gone: bool = False) -> list[str]:
    """The figures whose coverage, or whose time of an extreme, is not what the oracle says."""
    start, end = report.period.start_ms, report.passed_ms
    found = []
    for figure in report.figures:
        item = figure.why.item
        if item in BALANCE_ITEMS and (figure.why.covered, figure.why.slots) != (
            oracle.covered(item, start, end),
            (end - start) // SLOT,
        ):
            found.append(f"coverage of {figure.key}")
        if figure.key not in ("peak", "soc_high", "soc_low"):
            continue
        reached = oracle.extreme(item, start, end, highest=figure.key != "soc_low")
        if raw_is_gone:
            hour = None if reached is None else reached[1] // HOUR * HOUR
            if (figure.at_ms, figure.hour_ms) != (None, hour):
                found.append(f"hour of {figure.key}")
        elif figure.at_ms != (None if reached is None else reached[1]):
            found.append(f"time of {figure.key}")
    return found


# --- The rows behind the figures --------------------------------------------------------------------------------------


def wrong_sessions(report: Report, oracle: Oracle, now_ms: int) -> list[str]:
    """The rows of an EV report's sessions that are not what the oracle says; their remarks are left out."""
    table = next(one for one in report.tables if one.key == "sessions")
    expected = oracle.sessions(report.period.start_ms, report.passed_ms, now_ms)
    rows = [row[:-1] for row in table.rows]
    if len(rows) != len(expected):
        return [f"{len(rows)} sessions instead of {len(expected)}"]
    return [
        f"session {shown} instead of {row}"
        for shown, row in zip(rows, expected, strict=True)
        if not all(_same_cell(*cells) for cells in zip(shown, row, strict=True))
    ]


def _same_cell(cell: float | int | str | None, expected: float | int | str | None) -> bool:
    if isinstance(cell, float) and isinstance(expected, float):
        return same(cell, expected)
    return cell == expected


def wrong_rows(report: Report, oracle: Oracle) -> list[str]:
    """The cells of tables, curves and bars that are not what the oracle says."""
    found = [*_wrong_steps(report, oracle), *_wrong_days(report, oracle), *_wrong_bars(report, oracle)]
    if report.kind is Kind.ENERGY:
        found += _wrong_flows(report, oracle)
    return found


def _wrong_steps(report: Report, oracle: Oracle) -> Iterator[str]:
    table = next(one for one in report.tables if one.key == "steps")
    items = {
        Kind.ENERGY: BALANCE_ITEMS,
        Kind.BATTERY: ("battery_charging", "battery_discharging", "soc"),
    }.get(report.kind, (report.kind.value,))
    end = report.period.start_ms
    for row in table.rows:
        first, last, *cells = row
        assert isinstance(first, int)
        assert isinstance(last, int)
        assert first == end, "rows follow one another"
        end = last
        expected: list[float | None] = []
        for item in items:
            of = oracle.balanced(item) if report.kind is Kind.ENERGY else item
            expected.append(oracle.mean(of, first, last))
            if item != "soc":
                expected.append(oracle.energy(of, first, last))
            expected.append(oracle.covered(of, first, last))
        if not all(same(cell, value) for cell, value in zip(cells, expected, strict=True)):  # type: ignore[arg-type]
            yield f"step at {first}: {cells} instead of {expected}"
    assert end == report.passed_ms


def _wrong_days(report: Report, oracle: Oracle) -> Iterator[str]:
    table = next(one for one in report.tables if one.key == "days")
    bounds = list(oracle.days(report.period.start_ms, report.passed_ms))
    assert [(row[0], row[1]) for row in table.rows] == bounds
    for (first, last), (_, _, *cells) in zip(bounds, table.rows, strict=True):
        if report.kind is Kind.ENERGY:
            day = oracle.energies(first, last)
            keys = ("solar", "grid_import", "discharged", None, None, "charged", "grid_export")
            expected = [day[key] if key else None for key in keys]
            slots = oracle.attributed(first, last)
            for place, item in ((3, "load"), (4, "ev")):
                if slots:
                    sources = (*SOURCES, UNKNOWN)
                    expected[place] = math.fsum(oracle.flow(one, item, first, last) for one in sources)
            expected += [day["autarky"], day["not_attributed"]]
        else:
            items = {Kind.BATTERY: ("battery_charging", "battery_discharging")}.get(
                report.kind, (report.kind.value,)
            )
            expected = []
            for item in items:
                covered = 100 * oracle.covered(item, first, last) / ((last - first) // SLOT)
                expected += [oracle.energy(item, first, last), covered]
        if not all(same(cell, value) for cell, value in zip(cells, expected, strict=True)):  # type: ignore[arg-type]
            yield f"day at {first}: {cells} instead of {expected}"


def _wrong_bars(report: Report, oracle: Oracle) -> Iterator[str]:
    bars = report.bars
    if bars is None:
        return
    for item, energies in bars.energies.items():
        for (first, last), energy in zip(pairwise(bars.bounds), energies, strict=True):
            last = min(last, report.passed_ms)
            if report.kind is Kind.ENERGY:
                slots = oracle.attributed(first, last)
                rows, columns = (
                    ((item,), (*USES, "unmatched")) if item in SOURCES else ((*SOURCES, UNKNOWN), (item,))
                )
                expected = (
                    math.fsum(oracle.flow(row, column, first, last) for row in rows for column in columns)
                    if slots
                    else None
                )
            else:
                expected = oracle.energy(item, first, last)
            if not same(energy, expected):
                yield f"bar of {item} at {first}: {energy} instead of {expected}"


def _wrong_flows(report: Report, oracle: Oracle) -> Iterator[str]:
    table = next(one for one in report.tables if one.key == "flows")
    for source, (_, *cells) in zip(ROWS, table.rows, strict=False):
        expected = [oracle.flow(source, use, report.period.start_ms, report.passed_ms) for use in COLUMNS]
        expected.append(math.fsum(expected))
        if not all(same(cell, value) for cell, value in zip(cells, expected, strict=True)):  # type: ignore[arg-type]
            yield f"flows from {source}: {cells} instead of {expected}"


def restless(start_ms: int, end_ms: int, seed: int, dense: tuple[int, int]) -> dict[Field, Series]:
    """Readings at odd times, each device's own: a slot has one, several or none. In `dense` one a minute."""
    rng = np.random.default_rng(seed)

    def times() -> np.ndarray:
        often = np.arange(*dense, MINUTE) + rng.integers(0, MINUTE)
        seldom = rng.integers(start_ms, end_ms, (end_ms - start_ms) // (4 * MINUTE))
        return np.unique(np.concatenate([often, seldom]))

    meter, battery = times(), times()
    load, ev = rng.uniform(0.2, 4, len(meter)), rng.uniform(0, 7, len(meter)) * (rng.random(len(meter)) < 0.1)
    ev -= rng.uniform(0, 0.01, len(meter))  # meters drift around zero
    hour = meter / HOUR % 24
    solar = rng.uniform(-0.01, 8, len(meter)) * ((hour > 8) & (hour < 18))
    power = rng.uniform(-3, 3, len(battery))
    # Nearly what would balance, as different meters see it.
    grid = solar - load - ev + np.interp(meter, battery, power) + rng.normal(0, 0.2, len(meter))
    return {
        SOLAR: Series(meter, solar),
        LOAD: Series(meter, -load),
        EV: Series(meter, -ev),
        GRID: Series(meter, grid),
        BATTERY: Series(battery, np.round(power * 1000)),
        SOC: Series(battery, np.round(rng.uniform(5, 95, len(battery)), 1)),
    }


def visit(begin_ms: int, end_ms: int, energy_mwh: float) -> list[ChargerEvent]:
    return [
        ChargerEvent(begin_ms, "powerflex", starts=True),
        ChargerEvent(end_ms, "powerflex", starts=False, duration_ms=end_ms - begin_ms, energy_mwh=energy_mwh),
    ]


def midnight(zone: str, when: date) -> int:
    return periods.day(when, zone).start_ms


CHANGES = {
    "America/Los_Angeles": (date(2025, 11, 2), date(2026, 3, 8)),
    "Europe/Berlin": (date(2025, 10, 26), date(2026, 3, 29)),
    "Australia/Lord_Howe": (date(2025, 10, 5), date(2026, 4, 5)),
}
"""The days on which the clocks change."""


def months_of(change: date, zone: str) -> Period:
    return periods.month(change.year, change.month, zone)


CAR_IN_LOAD = {"America/Los_Angeles": False, "Europe/Berlin": True, "Australia/Lord_Howe": False}
"""By zone, whether the meter of the house's load measures the car, too."""
