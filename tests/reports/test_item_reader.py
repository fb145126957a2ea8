"""From what an item is read, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest

from sgmp_console.demo.simulator import history
from sgmp_console.demo.simulator.house import House
from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.fleet.required import required_items
from sgmp_console.measurements import flatten
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.item_source import Source
from sgmp_console.reports.item_values import ItemUnreadable
from sgmp_console.store import Batch, Database, EventRow, aggregates, readings, series_of
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series
from sgmp_console.timeseries.calendar import day
from tests.database import TestServer
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN
from tests.reports.houses import LOS_ANGELES
from tests.reports.stored import StoredHouse, drop_old_readings, refresh
from tests.series import write_series

DAY_MS = 24 * HOUR_MS
TODAY_MS = int(time.time()) // 86_400 * DAY_MS
START_MS = TODAY_MS - 2 * DAY_MS
X, Y, Z = ("a", "x"), ("a", "y"), ("b", "z")


@pytest.fixture
def house(database: Database) -> StoredHouse:
    return StoredHouse.make(database, "Maple House")


def noise(start_ms: int = START_MS, hours: int = 24, step_ms: int = 60_000, seed: int = 1) -> Series:
    ticks = start_ms + np.arange(0, hours * HOUR_MS, step_ms, dtype=np.int64)
    return Series(ticks, np.random.default_rng(seed).normal(0, 3, len(ticks)).round(3))


# --- Which source, and its badge --------------------------------------------------------------------------------------


def test_an_exact_item_with_aggregates_is_read_from_them(house: StoredHouse) -> None:
    house.item("p", "pos(a.x)*2 + 1")
    house.store({X: noise()})
    assert house.slots("p", START_MS, TODAY_MS).source is Source.AGGREGATES
    assert house.hours("p", START_MS, TODAY_MS).source is Source.AGGREGATES


def test_an_item_without_aggregates_is_read_raw(house: StoredHouse) -> None:
    house.item("p", "pos(a.x)", aggregated=False)
    house.store({X: noise()})
    assert house.slots("p", START_MS, TODAY_MS).source is Source.RAW
    assert house.hours("p", START_MS, TODAY_MS).source is Source.RAW


def test_an_item_is_read_from_the_aggregates_that_another_item_asked_for(house: StoredHouse) -> None:
    house.item("gridpower", "-a.x")
    house.item("grid_import", "-neg(a.x)", aggregated=False)
    house.store({X: noise()})
    assert house.slots("grid_import", START_MS, TODAY_MS).source is Source.AGGREGATES


def test_a_formula_that_is_not_exact_is_read_raw(house: StoredHouse) -> None:
    house.item("p", "pos(a.x + 1)")
    house.store({X: noise()})
    assert house.slots("p", START_MS, TODAY_MS).source is Source.RAW


def test_slots_whose_timestamps_differ_are_read_raw_and_the_others_not(house: StoredHouse) -> None:
    whole = noise()
    house.item("sum", "a.x + a.y")
    house.store({X: whole, Y: Series(whole.timestamps[7:], whole.values[7:])})
    found = house.slots("sum", START_MS, TODAY_MS)
    assert found.source is Source.MIXED
    assert found.slots.covered == 24 * 12 - 1


def test_what_is_not_populated_yet_is_read_raw(house: StoredHouse, database_server: TestServer) -> None:
    if database_server.has_timescale:
        pytest.skip("TimescaleDB has nothing to populate")
    house.store({X: noise()})
    house.item("p", "a.x")
    assert house.slots("p", START_MS, TODAY_MS).source is Source.RAW
    house.populate()
    assert house.slots("p", START_MS, TODAY_MS).source is Source.AGGREGATES


def test_an_item_without_a_reading_has_no_mean_no_energy_no_extremes_and_no_coverage(
    house: StoredHouse,
) -> None:
    house.item("p", "a.x")
    slots = house.slots("p", START_MS, TODAY_MS)
    assert (slots.slots.mean, slots.slots.energy_kwh, slots.slots.coverage) == (None, None, 0.0)
    hours = house.hours("p", START_MS, TODAY_MS)
    assert (hours.mean, hours.energy_kwh, hours.coverage) == (None, None, 0.0)
    assert house.extremes("p", START_MS, TODAY_MS) is None


def test_items_within_items_are_read_from_aggregates_too(house: StoredHouse) -> None:
    house.item("battery", "a.x/1000")
    house.item("discharging", "pos(analytics.battery)", aggregated=False)
    house.store({X: noise()})
    found = house.slots("discharging", START_MS, TODAY_MS)
    assert found.source is Source.AGGREGATES
    expected = house.raw_slots("pos(a.x/1000)", START_MS, TODAY_MS)
    np.testing.assert_allclose(found.slots.means, expected.means, rtol=1e-9, atol=1e-12)


def test_each_source_is_explained() -> None:
    assert [source.value for source in Source] == [
        "Aggregates",
        "Raw readings",
        "Aggregates and raw readings",
        "Approximate",
    ]
    for source in Source:
        assert source.explanation.endswith(".")
        assert "!" not in source.explanation


def test_an_item_that_cannot_be_read_says_why(house: StoredHouse) -> None:
    with house.database.begin() as connection:
        reader = ItemReader(connection, house.house_id)
        for ask in (reader.slots, reader.hours, reader.values):
            with pytest.raises(ItemUnreadable, match="This house has no analytic item `nothing`"):
                ask(["nothing"], START_MS, TODAY_MS)


def test_a_range_snaps_to_slots(house: StoredHouse) -> None:
    house.item("p", "a.x")
    house.store({X: noise()})
    found = house.slots("p", START_MS + 1, START_MS + HOUR_MS + 1).slots
    assert (found.start_ms, found.end_ms) == (START_MS, START_MS + HOUR_MS + SLOT_MS)


def test_hours_of_a_zone_off_by_half_an_hour_begin_on_its_hours(house: StoredHouse) -> None:
    house.item("p", "a.x")
    house.store({X: noise()})
    origin = START_MS + HOUR_MS // 2
    with house.database.begin() as connection:
        found = ItemReader(connection, house.house_id).hours(
            ["p"], origin, origin + 12 * HOUR_MS, origin_ms=origin
        )["p"]
    np.testing.assert_array_equal(found.hours.starts, origin + HOUR_MS * np.arange(12))
    expected = house.raw_slots("a.x", origin, origin + 12 * HOUR_MS)
    assert found.energy_kwh == pytest.approx(expected.energy_kwh, rel=1e-9, abs=1e-9)


# --- Extremes ---------------------------------------------------------------------------------------------------------


def test_extremes_are_of_the_raw_values_with_the_first_time_of_each(house: StoredHouse) -> None:
    house.item("p", "-a.x*2")
    series = noise()
    series.values[[100, 200]] = 40.0
    series.values[300] = -50.0
    house.store({X: series})
    found = house.extremes("p", START_MS, TODAY_MS)
    assert found is not None
    assert found.source is Source.AGGREGATES
    assert (found.minimum, found.minimum_ms) == (-80.0, START_MS + 100 * 60_000)
    assert (found.maximum, found.maximum_ms) == (100.0, START_MS + 300 * 60_000)
    assert found.maximum_hour_ms == START_MS + 5 * HOUR_MS


def test_an_extreme_at_the_edge_of_a_range_does_not_look_beyond_it(house: StoredHouse) -> None:
    house.item("p", "a.x")
    series = noise()
    series.values[65] = 50.0  # 01:05, the range ends at 01:05
    series.values[62] = 40.0
    house.store({X: series})
    found = house.extremes("p", START_MS, START_MS + HOUR_MS + SLOT_MS)
    assert found is not None
    assert (found.maximum, found.maximum_ms) == (40.0, START_MS + 62 * 60_000)


# --- Raw readings gone ------------------------------------------------------------------------------------------------

OLD_MS = TODAY_MS - 50 * DAY_MS


@pytest.fixture
def old_house(house: StoredHouse, database_url: str) -> StoredHouse:
    """Readings of fifty days ago, whose raw rows are dropped; the second meter ticked a second later."""
    house.item("linear", "a.x - a.y")
    house.item("apart", "a.x + b.z")
    house.item("clipped", "pos(a.x + 1)")
    house.item("unflagged", "a.w", aggregated=False)
    whole = noise(OLD_MS)
    later = Series(whole.timestamps + 1000, whole.values * 0.5)
    house.store({X: whole, Y: noise(OLD_MS, seed=2), Z: later, ("a", "w"): whole})
    refresh(database_url)
    drop_old_readings(database_url)
    with house.database.begin() as connection:
        left = readings.read(connection, house.house_id, [X], OLD_MS, TODAY_MS)[X]
    assert len(left) == 0
    return house


def test_an_exact_item_stays_exact_when_its_raw_readings_are_gone(old_house: StoredHouse) -> None:
    found = old_house.slots("linear", OLD_MS, OLD_MS + DAY_MS)
    assert found.source is Source.AGGREGATES
    expected = old_house.raw_slots("a.x - a.y", OLD_MS, OLD_MS + DAY_MS)
    np.testing.assert_allclose(found.slots.means, expected.means, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["clipped", "apart"])
def test_what_is_not_exact_is_approximate_when_its_raw_readings_are_gone(
    old_house: StoredHouse, name: str
) -> None:
    found = old_house.slots(name, OLD_MS, OLD_MS + DAY_MS)
    assert found.source is Source.APPROXIMATE
    assert found.slots.coverage == 1.0
    with old_house.database.begin() as connection:
        series = series_of(connection, old_house.house_id)
        known = aggregates.read_slots(connection, series, OLD_MS, OLD_MS + DAY_MS)
    x, z = (known[key].sums / known[key].n for key in (X, Z))
    np.testing.assert_allclose(found.slots.means, np.maximum(x + 1, 0) if name == "clipped" else x + z)
    assert old_house.hours(name, OLD_MS, OLD_MS + DAY_MS).source is Source.APPROXIMATE


def test_an_item_that_never_asked_for_aggregates_is_gone_with_its_raw_readings(
    old_house: StoredHouse,
) -> None:
    assert old_house.slots("unflagged", OLD_MS, OLD_MS + DAY_MS).slots.covered == 0


def test_extremes_are_known_without_their_minute_when_raw_readings_are_gone(
    house: StoredHouse, old_house: StoredHouse
) -> None:
    old_house.item("x", "a.x")
    found = old_house.extremes("x", OLD_MS, OLD_MS + DAY_MS)
    assert found is not None
    raw = old_house.stored[X]
    assert (found.maximum, found.maximum_ms) == (raw.values.max(), None)
    assert found.maximum_hour_ms == raw.timestamps[raw.values.argmax()] // HOUR_MS * HOUR_MS
    assert found.source is Source.AGGREGATES


def test_extremes_of_what_is_not_exact_are_those_of_means_when_raw_readings_are_gone(
    old_house: StoredHouse,
) -> None:
    found = old_house.extremes("clipped", OLD_MS, OLD_MS + DAY_MS)
    means = old_house.slots("clipped", OLD_MS, OLD_MS + DAY_MS).slots.means
    assert found is not None
    assert (found.minimum, found.maximum) == (means.min(), means.max())
    assert (found.maximum_ms, found.source) == (None, Source.APPROXIMATE)


# --- The required items, on the simulator's house ---------------------------------------------------------------------

POWERS = [
    "battery",
    "battery_charging",
    "battery_discharging",
    "ev",
    "grid_export",
    "grid_import",
    "gridpower",
    "load",
    "solar",
]
# Los Angeles changes its clocks on the first and the last of these days.
DAYS = {23: date(2026, 3, 8), 24: date(2026, 7, 1), 25: date(2025, 11, 2)}


@pytest.fixture(scope="module")
def simulated(database_server: TestServer) -> Iterator[tuple[Database, int]]:
    """A furnished house with a reading a minute on three of its days."""
    with database_server.database() as made:
        database = Database.connect(made.url, application="sgmp-test")
        one = houses.create(database, "Simulated House", time_zone=LOS_ANGELES)
        configs = {"egauge": EGAUGE, "sonnen": SONNEN, "powerflex": POWERFLEX}
        ids = {
            kind: devices.create(database, one.house_id, kind, kind, config).device_id
            for kind, config in configs.items()
        }
        analytics.create_required(database, one.house_id)
        model = House(7, LOS_ANGELES, 37.4, -122.2)
        for when in DAYS.values():
            start_ms, end_ms = day(when, LOS_ANGELES)
            columns: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
            for row in history.rows(model, start_ms, end_ms, 60_000, everything=False):
                for kind in configs:
                    for field, value in flatten(getattr(row, kind)).values.items():
                        times, values = columns.setdefault((kind, field), ([], []))
                        times.append(row.time_ms)
                        values.append(value)
            with database.begin() as connection:
                for kind, number in ids.items():
                    mine = {field: Series(*pair) for (of, field), pair in columns.items() if of == kind}
                    write_series(connection, one.house_id, number, mine)
                events = [
                    EventRow(one.house_id, ids[e.device_type], e.device_type, e.time_ms, e.type, e.data)
                    for e in history.events(model, start_ms, end_ms)
                ]
                readings.write(connection, Batch(events=events))
        analytics.populate(database, one.house_id)
        refresh(made.url)
        yield database, one.house_id
        database.dispose()


@pytest.mark.parametrize("hours", DAYS)
def test_all_required_items_have_numbers_on_the_simulated_house(
    simulated: tuple[Database, int], hours: int
) -> None:
    database, house_id = simulated
    start_ms, end_ms = day(DAYS[hours], LOS_ANGELES)
    with database.begin() as connection:
        reader = ItemReader(connection, house_id)
        found = reader.slots(required_items(), start_ms, end_ms)
        values = reader.values(required_items(), start_ms, end_ms)
    assert len(found) == 16
    for name, one in found.items():
        if name.startswith("ev_"):
            assert one.slots.covered == len(np.unique(values[name].timestamps // SLOT_MS)), name
        else:
            assert one.slots.coverage == 1.0, name
        exact = required_items()[name].aggregated or name in ("grid_import", "grid_export")
        assert one.source is (Source.AGGREGATES if exact else Source.RAW), name


@pytest.mark.parametrize("hours", DAYS)
def test_import_less_export_is_grid_power_in_every_slot_and_range(
    simulated: tuple[Database, int], hours: int
) -> None:
    database, house_id = simulated
    names = ["grid_import", "grid_export", "gridpower"]
    start_ms, end_ms = day(DAYS[hours], LOS_ANGELES)
    rng = np.random.default_rng(hours)
    with database.begin() as connection:
        reader = ItemReader(connection, house_id)
        whole = reader.slots(names, start_ms, end_ms)
        taken, given, net = (whole[name].slots.means for name in names)
        np.testing.assert_allclose(taken - given, net, rtol=1e-9, atol=1e-9)
        for _ in range(20):
            first, last = sorted(rng.integers(start_ms, end_ms, 2).tolist())
            hourly = reader.hours(names, first, last)
            energies = [hourly[name].energy_kwh for name in names]
            if all(energy is not None for energy in energies):
                bought, sold, balance = (energy or 0.0 for energy in energies)
                assert bought - sold == pytest.approx(balance, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("hours", DAYS)
@pytest.mark.parametrize("name", POWERS)
def test_the_energy_of_a_day_is_the_sum_of_its_slots_and_of_its_hours(
    simulated: tuple[Database, int], name: str, hours: int
) -> None:
    database, house_id = simulated
    start_ms, end_ms = day(DAYS[hours], LOS_ANGELES)
    assert end_ms - start_ms == hours * HOUR_MS
    with database.begin() as connection:
        reader = ItemReader(connection, house_id)
        slots = reader.slots([name], start_ms, end_ms)[name].slots
        whole = reader.hours([name], start_ms, end_ms)[name]
        single = [
            reader.hours([name], first, first + HOUR_MS)[name].energy_kwh
            for first in range(start_ms, end_ms, HOUR_MS)
        ]
    assert slots.count == hours * 12
    assert len(whole.hours.starts) == hours
    assert whole.energy_kwh == pytest.approx(float(slots.means.sum()) / 12, rel=1e-9, abs=1e-9)
    assert whole.energy_kwh == pytest.approx(sum(one or 0.0 for one in single), rel=1e-9, abs=1e-9)
    assert whole.energy_kwh == pytest.approx(slots.energy_kwh, rel=1e-9, abs=1e-9)
