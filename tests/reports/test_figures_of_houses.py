"""Home's card and the figures of the demo's houses and of a real meter, beside the same numbers worked out from the readings
by `oracle`."""

from __future__ import annotations

import csv
import gzip
import math
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sgmp_console.demo.houses import DEMO_HOUSES, DemoHouse
from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.house import House as SimulatedHouse
from sgmp_console.measurements import flatten
from sgmp_console.reports import periods
from sgmp_console.reports.balance import BALANCE_ITEMS
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.reports.live import HomeLoader
from sgmp_console.reports.report import Kind
from sgmp_console.store import Database
from sgmp_console.timeseries import Series
from sgmp_edge.contract import EV_START_CHARGING
from tests.database import TestDatabase
from tests.reports.beside_oracle import (
    CAR_IN_LOAD,
    CHANGES,
    CLOSE,
    DAY,
    MINUTE,
    REPORTS,
    StoredHouse,
    midnight,
    months_of,
    restless,
    same,
    wrong_figures,
    wrong_reasons,
    wrong_sessions,
)
from tests.reports.houses import SOLAR, without
from tests.reports.oracle import HOUR, SLOT, ChargerEvent, Field, Oracle
from tests.reports.stored import drop_old_readings

COUNTER = Path(__file__).resolve().parents[3] / "shared" / "data" / "solar_counter.csv.gz"
"""A real house's solar counter, minute by minute. It lies beside the project and is not part of it."""


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
