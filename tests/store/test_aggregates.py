"""Continuous aggregates: whatever happens to the readings, they are what `timeseries.aggregate` says of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgmp_console.errors import Cancelled
from sgmp_console.store import Database, aggregates, analytics, devices, houses, readings, series_of
from sgmp_console.timeseries import Series
from sgmp_console.timeseries.aggregates import SlotAggregates, aggregate, hourly
from sgmp_console.timeseries.slots import HOUR_MS, SLOT_MS
from tests.database import TestServer
from tests.series import write_series

NOW_MS = 1_790_000_400_000
DAY_MS = 24 * HOUR_MS
EVER = (1_700_000_000_000, 1_990_000_000_000)
POWER = ("meter", "power")


@dataclass
class Place:
    """A house with one meter, and an item that may ask for aggregates of its power."""

    database: Database
    house_id: int
    device_id: int
    item_id: int

    def register(self, *fields: tuple[str, str]) -> None:
        with self.database.begin() as connection:
            aggregates.register(connection, self.house_id, self.item_id, fields)

    def store(self, series: Series, field: str = "power") -> readings.Written:
        with self.database.begin() as connection:
            return write_series(connection, self.house_id, self.device_id, {field: series})

    def slots(self, field: str = "power") -> SlotAggregates:
        with self.database.begin() as connection:
            key = ("meter", field)
            ids = {key: series_of(connection, self.house_id).get(key)}
            return aggregates.read_slots(connection, ids, *EVER)[key]

    def standing(self) -> aggregates.Standing:
        with self.database.begin() as connection:
            return aggregates.standing(connection, self.house_id)


@pytest.fixture
def place(database: Database) -> Place:
    return make_place(database)


def make_place(database: Database) -> Place:
    with database.begin() as connection:
        house = houses.create(connection, "Maple House", time_zone="UTC")
        device = devices.create(connection, house.house_id, "meter", "egauge", {})
        item = analytics.create(connection, house.house_id, "power", "meter.power", aggregated=True)
    return Place(database, house.house_id, device.device_id, item.item_id)


def power(start_ms: int, count: int, step_ms: int = 20_000, seed: int = 1) -> Series:
    generator = np.random.default_rng(seed)
    return Series(start_ms + step_ms * np.arange(count), generator.normal(0.0, 3.0, count).round(3))


def assert_same(found: SlotAggregates, expected: SlotAggregates) -> None:
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.n, expected.n)
    np.testing.assert_array_equal(found.timestamp_hash, expected.timestamp_hash)
    for column in ("sums", "positive_sums", "negative_sums"):
        np.testing.assert_allclose(getattr(found, column), getattr(expected, column), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.minima, expected.minima)
    np.testing.assert_array_equal(found.maxima, expected.maxima)


def test_readings_reach_the_slots_of_a_registered_field(place: Place) -> None:
    place.register(POWER)
    series = power(NOW_MS - HOUR_MS, 180)
    place.store(series)
    assert_same(place.slots(), aggregate(series))


def test_values_beyond_the_bound_are_left_out_and_the_largest_within_it_add_up(place: Place) -> None:
    place.register(POWER)
    times = NOW_MS - HOUR_MS + np.arange(4) * 1_000
    place.store(Series(times, [1.7e308, 1e100, 1e100, -1.7e308]))
    assert_same(place.slots(), aggregate(Series(times[1:3], [1e100, 1e100])))


def test_hours_are_derived_from_the_slots(place: Place) -> None:
    place.register(POWER)
    series = power(NOW_MS - 5 * HOUR_MS, 900)
    place.store(series)
    with place.database.begin() as connection:
        found = aggregates.read_hours(connection, series_of(connection, place.house_id), *EVER)[POWER]
    expected = hourly(aggregate(series))
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.covered, expected.covered)
    np.testing.assert_array_equal(found.n, expected.n)
    np.testing.assert_array_equal(found.timestamp_hash, expected.timestamp_hash)
    for column in ("sums", "positive_sums", "negative_sums", "minima", "maxima"):
        np.testing.assert_allclose(getattr(found, column), getattr(expected, column), rtol=1e-9, atol=1e-9)


def test_a_repeat_is_not_counted_twice(place: Place) -> None:
    place.register(POWER)
    series = power(NOW_MS - HOUR_MS, 180)
    place.store(series.between(NOW_MS - HOUR_MS, NOW_MS - HOUR_MS // 2))
    place.store(series)
    place.store(series)
    assert_same(place.slots(), aggregate(series))


def test_late_readings_reach_the_slots_they_belong_to(place: Place) -> None:
    place.register(POWER)
    series = power(NOW_MS - 6 * DAY_MS, 2_000, step_ms=60_000)
    odd, even = (
        Series(series.timestamps[1::2], series.values[1::2]),
        Series(series.timestamps[::2], series.values[::2]),
    )
    place.store(even)
    place.store(odd)
    assert_same(place.slots(), aggregate(series))


def test_what_was_stored_before_registration_is_populated(place: Place) -> None:
    series = power(NOW_MS - 9 * DAY_MS, 3_000, step_ms=120_000)
    place.store(series)
    place.register(POWER)
    fractions: list[float] = []
    aggregates.populate(place.database, place.house_id, fractions.append)
    assert_same(place.slots(), aggregate(series))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert place.standing().complete_from_ms == {POWER: None}


def test_population_can_be_cancelled_and_goes_on_later(place: Place, database_server: TestServer) -> None:
    series = power(NOW_MS - 9 * DAY_MS, 3_000, step_ms=120_000)
    place.store(series)
    place.register(POWER)

    def stop(_fraction: float) -> None:
        raise Cancelled("Cancelled.")

    if database_server.has_timescale:
        aggregates.populate(place.database, place.house_id)
    else:
        with pytest.raises(Cancelled):
            aggregates.populate(place.database, place.house_id, stop)
        complete_from = place.standing().complete_from_ms[POWER]
        assert complete_from is not None
        slots = place.slots()
        assert slots.starts[0] >= complete_from
        aggregates.populate(place.database, place.house_id)
    assert_same(place.slots(), aggregate(series))


def test_readings_that_arrive_while_it_is_populated_are_counted_once(place: Place) -> None:
    series = power(NOW_MS - 4 * DAY_MS, 4_000, step_ms=86_000)
    early = Series(series.timestamps[::2], series.values[::2])
    late = Series(series.timestamps[1::2], series.values[1::2])
    place.store(early)
    place.register(POWER)
    parts = iter(np.array_split(np.arange(len(late)), 4))

    def arrive(_fraction: float) -> None:
        chosen = next(parts, None)
        if chosen is not None:
            place.store(Series(late.timestamps[chosen], late.values[chosen]))

    aggregates.populate(place.database, place.house_id, arrive)
    for chosen in parts:
        place.store(Series(late.timestamps[chosen], late.values[chosen]))
    assert_same(place.slots(), aggregate(series))


def test_a_field_is_kept_until_the_last_item_that_asks_is_gone(place: Place) -> None:
    with place.database.begin() as connection:
        other = analytics.create(connection, place.house_id, "other", "-meter.power", aggregated=True)
        aggregates.register(connection, place.house_id, other.item_id, [POWER])
    place.register(POWER)
    place.store(power(NOW_MS - HOUR_MS, 10))
    with place.database.begin() as connection:
        assert aggregates.registered(connection, place.house_id) == {
            POWER: frozenset({place.item_id, other.item_id})
        }
        analytics.delete(connection, other.item_id)
    assert POWER in place.standing().complete_from_ms
    place.register()
    assert place.standing().complete_from_ms == {}


def test_a_released_field_is_populated_anew_when_it_is_asked_for_again(place: Place) -> None:
    series = power(NOW_MS - DAY_MS, 900, step_ms=60_000)
    first, second = series.between(0, NOW_MS - DAY_MS // 2), series.between(NOW_MS - DAY_MS // 2, NOW_MS)
    place.register(POWER)
    place.store(first)
    place.register()
    place.store(second)
    place.register(POWER)
    aggregates.populate(place.database, place.house_id)
    assert_same(place.slots(), aggregate(series))


def test_retention_drops_raw_readings_and_no_aggregate(place: Place, database_server: TestServer) -> None:
    if database_server.has_timescale:
        pytest.skip("TimescaleDB drops chunks by its own policy: see tests/reports/test_plan.py")
    now_ms = int(time.time() * 1000) // SLOT_MS * SLOT_MS
    series = power(now_ms - 60 * DAY_MS, 60 * 24 * 6, step_ms=600_000)
    place.store(series)
    place.register(POWER)
    with place.database.begin() as connection:
        assert aggregates.drop_old_readings(connection, 31) == 0, "not populated yet: nothing may go"
    aggregates.populate(place.database, place.house_id)
    with place.database.begin() as connection:
        assert aggregates.drop_old_readings(connection, 31) >= 3
        left = readings.read(connection, place.house_id, [POWER], 0, now_ms)[POWER]
    assert len(left) < len(series)
    assert place.standing().raw_kept_from_ms is not None
    expected = aggregate(series)
    assert_same(place.slots(), expected)

    # A repeat of what was dropped can't be told from something new, and still is not counted again.
    place.store(Series(series.timestamps[5:9], series.values[5:9]))
    place.register()
    place.register(POWER)
    aggregates.populate(place.database, place.house_id)
    assert_same(place.slots(), expected)


def test_series_of_one_message_have_the_same_fingerprints(place: Place) -> None:
    place.register(POWER, ("meter", "other"))
    series = power(NOW_MS - HOUR_MS, 180)
    place.store(series)
    place.store(Series(series.timestamps[:-1], -series.values[:-1]), "other")
    first, second = place.slots(), place.slots("other")
    assert first.timestamp_hash is not None
    assert second.timestamp_hash is not None
    np.testing.assert_array_equal(first.timestamp_hash[:-1], second.timestamp_hash[:-1])
    assert first.timestamp_hash[-1] != second.timestamp_hash[-1]


arrivals = st.lists(
    st.lists(st.tuples(st.integers(0, 400), st.integers(-3_000, 3_000)), min_size=1, max_size=40), max_size=5
)


@pytest.fixture(scope="module")
def shared_place(database_server: TestServer) -> Iterator[Place]:
    with database_server.database() as made:
        database = Database.connect(made.url, application="sgmp-test")
        yield make_place(database)
        database.dispose()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=arrivals, after=arrivals)
def test_any_order_of_arrival_gives_the_aggregates_of_what_is_stored(
    shared_place: Place, before: list[list[tuple[int, int]]], after: list[list[tuple[int, int]]]
) -> None:
    place = shared_place
    with place.database.begin() as connection:
        devices.delete(connection, place.device_id)
        place.device_id = devices.create(connection, place.house_id, "meter", "egauge", {}).device_id
    place.register()

    def arrive(batches: list[list[tuple[int, int]]]) -> None:
        for batch in batches:
            rows = [
                readings.ReadingRow(
                    place.house_id, place.device_id, "meter", NOW_MS + at * 7_000, {"power": value / 1000}
                )
                for at, value in batch
            ]
            with place.database.begin() as connection:
                readings.write(connection, readings.Batch(readings=rows))

    arrive(before)
    place.register(POWER)
    arrive(after[: len(after) // 2])
    aggregates.populate(place.database, place.house_id)
    arrive(after[len(after) // 2 :])
    with place.database.begin() as connection:
        stored = readings.read(connection, place.house_id, [POWER], *EVER)[POWER]
    assert_same(place.slots(), aggregate(stored))
