"""Readings that come late: a number has one value whichever way it is computed, on plain PostgreSQL and TimescaleDB."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.item_source import Source
from sgmp_console.store import Database, aggregates
from sgmp_console.timeseries import Series
from sgmp_console.timeseries.slots import HOUR_MS, SLOT_MS
from tests.database import TestDatabase
from tests.reports.stored import (
    StoredHouse,
    drop_old_readings,
    run_policies,
    work_off_late_ranges,
)
from tests.series import write_series

DAY_MS = 24 * HOUR_MS
TODAY_MS = int(time.time() * 1000) // DAY_MS * DAY_MS
LONG_AGO_MS = 1_433_116_800_000  # 2015-06-01
X = ("a", "x")


def wave(start_ms: int, end_ms: int, step_ms: int = 60_000) -> Series:
    times = np.arange(start_ms, end_ms, step_ms, dtype=np.int64)
    return Series(times, np.sin(times / 7e6) * 3)


@pytest.fixture
def house(database: Database) -> StoredHouse:
    return StoredHouse.make(database, "North")


def assert_as_stored(house: StoredHouse, name: str, formula: str, start_ms: int, end_ms: int) -> None:
    """Slots and hours of the item say what every reading says."""
    expected = house.raw_slots(formula, start_ms, end_ms)
    slots = house.slots(name, start_ms, end_ms)
    np.testing.assert_array_equal(slots.slots.starts, expected.starts)
    np.testing.assert_allclose(slots.slots.means, expected.means, rtol=1e-9, atol=1e-9)
    hours = house.hours(name, start_ms, end_ms)
    assert hours.hours.energy_kwh == pytest.approx(expected.energy_kwh, rel=1e-9)
    assert int(hours.hours.covered.sum()) == len(expected.starts)


def test_history_that_is_imported_is_kept_when_raw_readings_are_dropped(
    house: StoredHouse, test_database: TestDatabase
) -> None:
    house.item("it", "a.x")
    house.store({X: wave(TODAY_MS - 3 * DAY_MS, TODAY_MS)})
    run_policies(test_database.url)
    for start in (LONG_AGO_MS, TODAY_MS - 40 * DAY_MS):
        house.store({X: wave(start, start + 5 * DAY_MS, 150_000)})
    run_policies(test_database.url)
    for _ in range(2):
        for start in (LONG_AGO_MS, TODAY_MS - 40 * DAY_MS):
            assert_as_stored(house, "it", "a.x", start, start + 5 * DAY_MS)
        drop_old_readings(test_database.url)
        work_off_late_ranges(test_database.url)
    assert house.slots("it", LONG_AGO_MS, LONG_AGO_MS + DAY_MS).source is Source.AGGREGATES


def test_history_is_kept_where_nothing_recent_was_ever_stored(
    house: StoredHouse, test_database: TestDatabase
) -> None:
    house.item("it", "a.x")
    for start in (LONG_AGO_MS, TODAY_MS - 40 * DAY_MS):
        house.store({X: wave(start, start + 2 * DAY_MS, 150_000)})
    run_policies(test_database.url)
    drop_old_readings(test_database.url)
    for start in (LONG_AGO_MS, TODAY_MS - 40 * DAY_MS):
        assert_as_stored(house, "it", "a.x", start, start + 2 * DAY_MS)
    assert house.slots("it", LONG_AGO_MS, LONG_AGO_MS + DAY_MS).source is Source.AGGREGATES


def test_slots_and_hours_say_the_same_at_once_after_late_data(
    house: StoredHouse, test_database: TestDatabase
) -> None:
    house.item("it", "a.x")
    house.store({X: wave(TODAY_MS - 6 * DAY_MS, TODAY_MS, 300_000)})
    run_policies(test_database.url)
    house.store({X: wave(TODAY_MS - 3 * DAY_MS + 20_000, TODAY_MS - 2 * DAY_MS, 300_000)})
    part = TODAY_MS - 3 * DAY_MS + 7 * HOUR_MS
    for _ in range(2):
        assert_as_stored(house, "it", "a.x", TODAY_MS - 6 * DAY_MS, TODAY_MS)
        assert_as_stored(house, "it", "a.x", part, part + 2 * HOUR_MS + SLOT_MS)
        work_off_late_ranges(test_database.url)
    with house.database.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sgmp.late").scalar_one() == 0


def test_ingest_waits_for_no_account_and_the_numbers_are_right_at_once(
    house: StoredHouse, test_database: TestDatabase
) -> None:
    house.item("it", "a.x")
    house.store({X: wave(TODAY_MS - 2 * HOUR_MS, TODAY_MS)})
    with house.database.begin() as connection:
        store.accounts.create(
            connection,
            email="r@example.org",
            name="R",
            role="researcher",
            house_id=house.house_id,
            password="correct horse battery",
            must_change_password=False,
        )
    theirs, _ = store.sign_in(
        test_database.address, test_database.deployment, "r@example.org", "correct horse battery"
    )
    try:
        with theirs.begin() as connection:
            # All that an account can hold of a house's aggregates.
            connection.exec_driver_sql(f"SELECT * FROM sgmp.populate({house.house_id})")
            store.lock_house(connection, house.house_id)
            item = store.analytics.create(connection, house.house_id, "more", "a.y", aggregated=True)
            aggregates.register(connection, house.house_id, item.item_id, [("a", "y")])
            began = time.monotonic()
            house.store(
                {
                    X: wave(TODAY_MS - 3 * HOUR_MS, TODAY_MS + HOUR_MS),
                    ("a", "y"): wave(TODAY_MS, TODAY_MS + HOUR_MS),
                }
            )
            assert time.monotonic() - began < 5
            assert_as_stored(house, "it", "a.x", TODAY_MS - 3 * HOUR_MS, TODAY_MS + HOUR_MS)
    finally:
        theirs.dispose()
    work_off_late_ranges(test_database.url)
    assert_as_stored(house, "it", "a.x", TODAY_MS - 3 * HOUR_MS, TODAY_MS + HOUR_MS)
    aggregates.populate(house.database, house.house_id)
    assert_as_stored(house, "more", "a.y", TODAY_MS, TODAY_MS + HOUR_MS)


@pytest.mark.parametrize("days_ago", [40, 3])
def test_a_late_reading_that_comes_before_others_of_its_slot_does_not_replace_them(
    house: StoredHouse, test_database: TestDatabase, days_ago: int
) -> None:
    house.item("it", "a.x")
    slot = TODAY_MS - days_ago * DAY_MS + 7 * HOUR_MS
    house.store({X: Series([slot + 200_000, slot + SLOT_MS], [10.0, 0.0])})
    house.store({X: wave(TODAY_MS - DAY_MS, TODAY_MS)})
    run_policies(test_database.url)
    house.store({X: Series([slot + 100_000], [4.0])})
    assert_as_stored(house, "it", "a.x", slot, slot + 2 * SLOT_MS)
    work_off_late_ranges(test_database.url)
    assert_as_stored(house, "it", "a.x", slot - HOUR_MS, slot + HOUR_MS)


@pytest.mark.parametrize("arriving", [10, 3])
def test_what_comes_after_the_raw_readings_were_dropped_is_not_kept_and_counted(
    house: StoredHouse, test_database: TestDatabase, arriving: int
) -> None:
    house.item("it", "a.x")
    house.item("other", "pos(a.x+1)")
    start = TODAY_MS - 60 * DAY_MS
    times = start + 20_000 * np.arange(10)
    house.store({X: Series(times, np.ones(10))})
    house.store({X: wave(TODAY_MS - DAY_MS, TODAY_MS)})
    run_policies(test_database.url)
    drop_old_readings(test_database.url)
    before = {name: house.slots(name, start, start + SLOT_MS) for name in ("it", "other")}
    assert before["it"].slots.means.tolist() == [1.0]
    with house.database.begin() as connection:
        late = {"x": Series(times[:arriving], np.full(arriving, 5.0)), "y": Series(times[:1], np.ones(1))}
        written = write_series(connection, house.house_id, house.device_ids["a"], late)
    assert (written.readings, written.repeated, written.not_kept) == (1, 0, arriving)
    for name, found in before.items():
        again = house.slots(name, start, start + SLOT_MS)
        assert again.source is found.source
        np.testing.assert_array_equal(again.slots.means, found.slots.means)


def test_a_lone_reading_that_was_stored_after_the_others_were_dropped_does_not_replace_them(
    house: StoredHouse, test_database: TestDatabase
) -> None:
    house.item("it", "a.x")
    house.item("other", "pos(a.x+1)")
    start = TODAY_MS - 60 * DAY_MS
    house.store({X: Series(start + 20_000 * np.arange(3), np.array([10.0, 20.0, 30.0]))})
    house.store({X: wave(TODAY_MS - DAY_MS, TODAY_MS)})
    run_policies(test_database.url)
    drop_old_readings(test_database.url)
    with house.database.begin() as connection:
        # As earlier versions did.
        connection.exec_driver_sql(
            "SELECT sgmp.ensure_partitions(ARRAY[(to_timestamp(%s) AT TIME ZONE 'UTC')::date])",
            (start / 1000,),
        )
        connection.exec_driver_sql(
            "INSERT INTO sgmp.reading SELECT series_id, to_timestamp(%s), 1000 FROM sgmp.series"
            " WHERE field = 'x'",
            (start / 1000 + 70,),
        )
    for begin in (start, start + 60_000):
        for name, mean in (("it", 20.0), ("other", 21.0)):
            assert house.slots(name, begin, start + SLOT_MS).slots.means.tolist() == [mean]
    assert house.slots("other", start, start + SLOT_MS).source is Source.APPROXIMATE
    with house.database.begin() as connection:
        values = ItemReader(connection, house.house_id).values(["it"], start + 60_000, start + 80_000)
    assert len(values["it"]) == 0


def test_what_was_imported_before_its_field_was_registered_is_read_raw_until_populated(
    house: StoredHouse, test_database: TestDatabase
) -> None:
    house.store({("b", "z"): wave(TODAY_MS - 60 * DAY_MS, TODAY_MS - 59 * DAY_MS)})
    drop_old_readings(test_database.url)
    house.store({X: wave(LONG_AGO_MS, LONG_AGO_MS + DAY_MS)})
    house.item("it", "a.x")
    assert_as_stored(house, "it", "a.x", LONG_AGO_MS, LONG_AGO_MS + DAY_MS)
    house.populate()
    assert_as_stored(house, "it", "a.x", LONG_AGO_MS, LONG_AGO_MS + DAY_MS)
    assert house.slots("it", LONG_AGO_MS, LONG_AGO_MS + DAY_MS).source is Source.AGGREGATES
