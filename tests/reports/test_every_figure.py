"""Every figure of every report, and Home's card, beside the same number worked out from the readings by `oracle`.

A house lives through what happens to one: readings are raw, then aggregated; an edge brings late what an outage kept;
raw readings are dropped. At each stage each figure over each range is the same, to 1e-9.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sgmp_console.demo.houses import DEMO_HOUSES, DemoHouse
from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.house import House as SimulatedHouse
from sgmp_console.fleet import analytics
from sgmp_console.measurements import flatten
from sgmp_console.reports import periods
from sgmp_console.reports.balance import BALANCE_ITEMS, COLUMNS, ROWS, SOURCES, UNKNOWN, USES
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.reports.item_source import Source
from sgmp_console.reports.kinds import build
from sgmp_console.reports.live import HomeLoader
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import Batch, Database, EventRow, devices, houses, readings
from sgmp_console.timeseries import Series
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING
from tests.database import TestDatabase, TestServer
from tests.reports.houses import BATTERY, EV, GRID, LOAD, SOC, SOLAR, Readings, without
from tests.reports.oracle import HOUR, SLOT, ChargerEvent, Field, Oracle
from tests.reports.stored import drop_old_readings, run_policies, work_off_late_ranges
from tests.series import write_series

MINUTE = 60_000
DAY = 24 * HOUR
COUNTER = Path(__file__).resolve().parents[3] / "shared" / "data" / "solar_counter.csv.gz"
"""A real house's solar counter, minute by minute. It lies beside the project and is not part of it."""

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


# --- A house and its life ---------------------------------------------------------------------------------------------


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


def ranges(zone: str, now_ms: int) -> dict[str, Period]:
    found = {
        "last 24 hours": periods.last_24_hours(now_ms, zone),
        "last 7 days": periods.last_7_days(now_ms, zone),
        "the running month": periods.parse("month", now_ms, zone),
        "the running day": periods.parse("today", now_ms, zone),
    }
    for change in CHANGES[zone]:
        found |= {
            f"the day {change}": periods.day(change, zone),
            f"the month of {change}": months_of(change, zone),
            f"the year {change.year}": periods.year(change.year, zone),
            f"a range cut within hours around {change}": periods.custom(
                midnight(zone, change) - 3 * DAY - 85 * MINUTE,
                midnight(zone, change) + 2 * DAY + 25 * MINUTE,
                zone,
            ),
        }
    return found


CAR_IN_LOAD = {"America/Los_Angeles": False, "Europe/Berlin": True, "Australia/Lord_Howe": False}
"""By zone, whether the meter of the house's load measures the car, too."""


@pytest.mark.slow
@pytest.mark.parametrize("zone", CHANGES)
def test_every_figure_is_right_through_the_life_of_a_house(
    database: Database, test_database: TestDatabase, database_server: TestServer, zone: str
) -> None:
    house = StoredHouse(database, test_database, zone, CAR_IN_LOAD[zone])
    late: dict[Field, Series] = {}
    for seed, change in enumerate(CHANGES[zone]):
        month = months_of(change, zone)
        day = midnight(zone, change)
        fields = restless(month.start_ms - 9 * DAY, month.end_ms + 5 * DAY, seed, (day - DAY, day + 2 * DAY))
        # Nobody heard of the house for nine hours, nor of its battery for a day. One device of the two comes late.
        outage = day - 5 * DAY + 7 * MINUTE
        alone = day + 3 * DAY
        of_battery = {key: fields[key] for key in (BATTERY, SOC)}
        late |= {
            key: Series(np.r_[late[key].timestamps, part.timestamps], np.r_[late[key].values, part.values])
            if key in late
            else part
            for key, series in fields.items()
            for part in [series.between(outage, outage + 9 * HOUR)]
            if key not in of_battery
        }
        fields = without(fields, outage, outage + 9 * HOUR)
        house.store(
            fields
            | without(of_battery, outage, outage + 9 * HOUR)
            | without({key: fields[key] for key in of_battery}, alone, alone + DAY)
        )
        house.charge(
            [
                *visit(month.start_ms - 2 * HOUR, month.start_ms + 3 * HOUR, 14_000_000),
                *visit(day + HOUR, day + 5 * HOUR, 9_000_500),
                ChargerEvent(day + 30 * HOUR, "powerflex", starts=True),  # its end got lost
                *visit(day + 40 * HOUR, day + 47 * HOUR, 20_000_000),
            ]
        )
        power = np.arange(day + HOUR, day + 5 * HOUR, MINUTE)
        house.store({POWER: Series(power, np.where(power // (20 * MINUTE) % 3 == 0, 0.02, 6.6))})
    now_ms = months_of(CHANGES[zone][1], zone).end_ms + 4 * DAY + 10 * HOUR + 7 * MINUTE
    house.charge([ChargerEvent(now_ms - 5 * HOUR, "powerflex", starts=True)])

    def assert_all_right(
        stage: str,
        source: Source,
        oracle: Oracle,
        *,
        of: Sequence[str] = (),
        rows: bool = False,
        raw_is_gone: bool = False,
    ) -> None:
        every = ranges(zone, now_ms)
        for name, period in every.items() if not of else ((name, every[name]) for name in of):
            for kind in REPORTS:
                report = house.report(kind, period, now_ms)
                about = f"{stage}, {name}, {kind.value}"
                # TimescaleDB keeps slots of the stations, too, from which sessions are approximate then.
                is_approximate = raw_is_gone and database_server.has_timescale
                wrong = wrong_figures(report, oracle, now_ms)
                assert [one for one in wrong if not (is_approximate and one[0] == "charging")] == [], about
                if kind is Kind.EV and not is_approximate:
                    assert wrong_sessions(report, oracle, now_ms) == [], about
                assert wrong_reasons(report, oracle, raw_is_gone) == [], about
                if rows and period.end_ms - period.start_ms < 7 * DAY:
                    assert wrong_rows(report, oracle) == [], about
        figure = house.report(Kind.SOLAR, months_of(CHANGES[zone][1], zone), now_ms).figure("energy")
        assert figure.why.source is source, stage

    house.create_items()
    oracle = house.oracle()
    # TimescaleDB has aggregates of everything, at once.
    at_first = Source.AGGREGATES if database_server.has_timescale else Source.RAW
    first, second = CHANGES[zone]
    some = ("last 7 days", f"the day {second}", f"the month of {second}")
    others = (f"the day {first}", f"the month of {first}", f"a range cut within hours around {first}")
    assert_all_right("raw readings", at_first, oracle, of=others, rows=True)
    house.populate()
    assert_all_right("aggregated", Source.AGGREGATES, oracle, of=some)
    house.store(late)
    oracle = house.oracle()
    assert_all_right("late readings have come", Source.AGGREGATES, oracle, rows=True)
    work_off_late_ranges(test_database.url)
    assert_all_right("late readings are worked off", Source.AGGREGATES, oracle, of=some)
    drop_old_readings(test_database.url)
    del house.kept[POWER]  # of the stations' powers nothing else was kept
    assert_all_right(
        "raw readings are gone",
        Source.AGGREGATES,
        house.oracle(),
        of=(*some, *others, f"the year {second.year}"),
        raw_is_gone=True,
    )


# --- Home -------------------------------------------------------------------------------------------------------------


def wrong_on_home(loaded: HomeSnapshot, oracle: Oracle) -> list[str]:
    """What Home shows that is not what the oracle says."""
    now_ms = loaded.now_ms
    today = oracle.midnight(oracle.day_of(now_ms))
    end = now_ms // SLOT * SLOT
    card = loaded.energy_today
    totals = card.totals
    expected = oracle.energies(today, end)
    shown = {
        "consumption": totals.consumption,
        "from_sun": totals.consumed_from("solar"),
        "from_grid": totals.consumed_from("grid_import"),
        "autarky": None if totals.autarky is None else 100 * totals.autarky,
        "solar": totals.source("solar"),
        "self_consumption": None if totals.self_consumption is None else 100 * totals.self_consumption,
        "grid_import": totals.source("grid_import"),
        "grid_export": totals.use("grid_export"),
        "charged": totals.use("battery_charging"),
        "discharged": totals.source("battery_discharging"),
        "residual": totals.residual,
        "not_attributed": totals.not_attributed_hours,
    }
    found = [key for key, value in shown.items() if not same(value, expected[key])]
    if (card.start_ms, card.end_ms) != (today, end):
        found.append("range of the card")
    for item in (*BALANCE_ITEMS, "soc"):
        latest = loaded.latest(item)
        newest = oracle.latest(item, now_ms + 5 * MINUTE)
        if newest is None or latest is None or (latest.value, latest.timestamp_ms) != newest:
            found.append(f"tile of {item}")
        if item != "soc" and card.missing[item] != (end - today) // SLOT - oracle.covered(item, today, end):
            found.append(f"slots without {item}")
    return found


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("change", [0, 1])
def test_home_has_the_numbers_of_the_day_so_far(
    database: Database, test_database: TestDatabase, zone: str, change: int
) -> None:
    """On the day on which the clocks change: read whole, then brought forward, with what comes late."""
    house = StoredHouse(database, test_database, zone, CAR_IN_LOAD[zone])
    house.create_items()
    today = midnight(zone, CHANGES[zone][change])
    now_ms = today + 15 * HOUR + 7 * MINUTE + 1234
    fields = restless(today - 9 * DAY, now_ms + HOUR, change, (today - DAY, now_ms))
    soon = {key: series.between(now_ms, now_ms + HOUR) for key, series in fields.items()}
    late = {key: series.between(today + 6 * HOUR, today + 9 * HOUR) for key, series in fields.items()}
    house.store(without(without(fields, now_ms, now_ms + HOUR), today + 6 * HOUR, today + 9 * HOUR))
    loader = HomeLoader(database, house.house.house_id)
    assert wrong_on_home(loader.load(now_ms), house.oracle()) == []

    house.store(late)
    later_ms = now_ms + 11_000  # by then what is older than two minutes is fetched
    assert wrong_on_home(loader.update(later_ms, today + 6 * HOUR), house.oracle()) == []

    house.store(soon)
    assert wrong_on_home(loader.update(now_ms + HOUR, now_ms), house.oracle()) == []


def test_homes_card_and_the_energy_report_of_today_say_the_same(
    database: Database, test_database: TestDatabase
) -> None:
    zone = "Europe/Berlin"
    house = StoredHouse(database, test_database, zone)
    house.create_items()
    today = midnight(zone, date(2026, 3, 29))
    now_ms = today + 20 * HOUR
    house.store(restless(today - 9 * DAY, now_ms, 3, (today, now_ms)))
    card = HomeLoader(database, house.house.house_id).load(now_ms).energy_today.totals
    report = house.report(Kind.ENERGY, periods.parse("today", now_ms, zone), now_ms)
    assert report.figure("consumption").value == pytest.approx(card.consumption, rel=CLOSE)
    assert report.figure("autarky").value == pytest.approx(100 * (card.autarky or 0), rel=CLOSE)


# --- The demo's houses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("demo", DEMO_HOUSES, ids=lambda demo: demo.key)
def test_every_figure_of_a_demo_house_is_right(
    database: Database, test_database: TestDatabase, demo: DemoHouse
) -> None:
    """With sessions, and a battery whose meter agrees with the house's: nothing is left over."""
    house = StoredHouse(database, test_database, demo.zone)
    model = SimulatedHouse(demo.seed, demo.zone, demo.latitude, demo.longitude)
    end = midnight(demo.zone, date(2026, 5, 14))
    start = midnight(demo.zone, date(2026, 5, 4))
    values: dict[Field, tuple[list[int], list[float]]] = {}
    for row in history.rows(model, start, end, 2 * MINUTE, everything=False):
        for device in ("egauge", "sonnen", "powerflex"):
            for of, value in flatten(getattr(row, device)).values.items():
                times, series = values.setdefault((device, of), ([], []))
                times.append(row.time_ms)
                series.append(value)
    house.store({key: Series(*pair) for key, pair in values.items()})
    house.charge(
        [
            ChargerEvent(
                event.time_ms,
                "powerflex",
                event.type == EV_START_CHARGING,
                event.data.get("duration"),
                event.data.get("energy"),
            )
            for event in history.events(model, start, end)
        ]
    )
    house.create_items()
    house.populate()
    oracle = house.oracle()
    for period in (
        periods.last_24_hours(end, demo.zone),
        periods.last_7_days(end, demo.zone),
        periods.month(2026, 5, demo.zone),
    ):
        for kind in REPORTS:
            report = house.report(kind, period, end)
            assert wrong_figures(report, oracle, end) == [], (period.title, kind)
            if kind is Kind.EV:
                assert wrong_sessions(report, oracle, end) == [], period.title
            assert wrong_reasons(report, oracle) == [], (period.title, kind)
            assert report.has_data


# --- A real solar counter ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    not COUNTER.exists(), reason=f"{COUNTER.name} lies beside the project only where it was fetched"
)
@pytest.mark.parametrize("zone", CHANGES)
def test_the_energy_is_what_a_real_counter_counted(
    database: Database, test_database: TestDatabase, zone: str
) -> None:
    """Its minutes are laid over the months in which the clocks change, and its five minutes over the year.

    The expected energy is the counter's own: the sum of its steps forward (at night it drifts slowly backward).
    """
    with gzip.open(COUNTER, "rt") as lines:
        rows = list(csv.DictReader(lines))
    counted = [float(row["kwh"]) for row in rows]
    steps = [after - before for before, after in pairwise(counted)][: 13 * 1440]  # whole days, a minute each
    house = StoredHouse(database, test_database, zone)
    year = periods.year(2025, zone)
    month = months_of(CHANGES[zone][0], zone)
    of_minute: dict[int, float] = {}
    of_slot = [math.fsum(steps[place : place + 5]) for place in range(0, len(steps), 5)]
    expected: dict[int, float] = {}  # by slot, kWh
    for place, slot in enumerate(range(year.start_ms, year.end_ms, SLOT)):
        if month.start_ms <= slot < month.end_ms:
            minutes = [steps[(5 * place + minute) % len(steps)] for minute in range(5)]
            of_minute |= {slot + minute * MINUTE: 60 * step for minute, step in enumerate(minutes)}
            expected[slot] = math.fsum(max(step, 0.0) for step in minutes)
        else:
            step = of_slot[place % len(of_slot)]
            of_minute[slot] = 12 * step
            expected[slot] = max(step, 0.0)
    times = np.fromiter(of_minute, np.int64)
    house.store({SOLAR: Series(times, np.fromiter(of_minute.values(), float))})
    house.create_items()
    house.populate()
    change = periods.day(CHANGES[zone][0], zone)
    ways = (
        periods.last_24_hours(change.end_ms, zone),
        periods.last_7_days(change.end_ms, zone),
        change,
        month,
        year,
        periods.custom(change.start_ms - 7 * HOUR, change.end_ms + 25 * MINUTE, zone),
    )

    def assert_counted(raw_is_gone: bool) -> None:
        for period in ways:
            report = house.report(Kind.SOLAR, period, year.end_ms)
            counted_kwh = math.fsum(expected[slot] for slot in range(period.start_ms, period.end_ms, SLOT))
            assert same(report.figure("energy").value, counted_kwh), period.title
            peak = max(value for at, value in of_minute.items() if period.start_ms <= at < period.end_ms)
            assert same(report.figure("peak").value, peak), period.title
            assert (report.figure("peak").at_ms is None) is raw_is_gone
            mean = 12 * counted_kwh / ((period.end_ms - period.start_ms) // SLOT)
            assert same(report.figure("mean").value, mean), period.title
            assert report.figure("energy").why.coverage == 1.0

    assert_counted(raw_is_gone=False)
    drop_old_readings(test_database.url)
    assert_counted(raw_is_gone=True)
