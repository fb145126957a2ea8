"""Readings go in once, however often they come, and come out as they went in."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.measurements import MAX_VALUE
from sgmp_console.store import Batch, Database, ReadingRow, StatementFailed, Written
from sgmp_console.timeseries import Series
from tests.series import write_series
from tests.store.conftest import Place, make_place

T0 = 1_750_000_000_000
WEEK_MS = 7 * 86_400_000


def new(readings: int) -> Written:
    return Written(readings, 0, 0, 0)


def test_what_was_written_is_read(place: Place) -> None:
    values = {T0: {"A.Solar": 1.25}, T0 + 4000: {"A.Solar": -0.5, "A.Load": 3.0}}
    assert place.write(values) == new(3)
    assert place.read("A.Solar", T0, T0 + 10_000) == {T0: 1.25, T0 + 4000: -0.5}
    assert place.read("A.Load", T0, T0 + 10_000) == {T0 + 4000: 3.0}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(
        st.tuples(
            st.integers(-3 * WEEK_MS, 3 * WEEK_MS).map(lambda ms: T0 + ms),
            st.dictionaries(st.sampled_from(["a", "b", 'Solar+ "x"', "Zähler.1"]), st.floats(), max_size=4),
        ),
        max_size=30,
    ),
    batch_size=st.integers(1, 30),
)
def test_any_readings_in_any_order_and_batches_are_kept_once(
    database: Database, data: list[tuple[int, dict[str, float]]], batch_size: int
) -> None:
    with database.begin() as connection:
        number = len(store.houses.list_all(connection))
    place = make_place(database, f"House {number}")
    expected: dict[tuple[str, int], float] = {}
    for start in range(0, len(data), batch_size):
        rows = [
            ReadingRow(place.house.house_id, place.meter.device_id, "meter", at, values)
            for at, values in data[start : start + batch_size]
        ]
        before = len(expected)
        given_rows = 0
        for row in rows:
            for name, value in row.values.items():
                if abs(value) <= MAX_VALUE:
                    given_rows += 1
                    expected.setdefault((name, row.timestamp_ms), value)
        with database.begin() as connection:
            written = store.readings.write(connection, Batch(readings=rows))
        assert (written.readings, written.repeated) == (
            len(expected) - before,
            given_rows - (len(expected) - before),
        )
    for name in ("a", "b", 'Solar+ "x"', "Zähler.1"):
        assert place.read(name, 0, T0 + 10 * WEEK_MS) == {
            at: value for (of, at), value in expected.items() if of == name
        }


def test_a_range_is_half_open(place: Place) -> None:
    place.write({T0 + i: {"x": float(i)} for i in range(5)})
    assert list(place.read("x", T0 + 1, T0 + 3)) == [T0 + 1, T0 + 2]
    assert place.read("x", T0 + 3, T0 + 3) == {}
    assert place.read("x", T0 + 3, T0) == {}


def test_a_repeated_batch_changes_nothing(place: Place) -> None:
    values = {T0 + i: {"x": float(i), "y": 0.0} for i in range(50)}
    place.write(values)
    for _ in range(2):
        assert place.write(values) == Written(0, 100, 0, 0)
    assert place.write(values | {T0 + 50: {"x": 50.0}}) == Written(1, 100, 0, 0)
    assert place.write({T0 + 51: {"x": 51.0}}) == new(1)
    assert len(place.read("x", T0, T0 + 100)) == 52


def test_a_repeat_with_another_value_leaves_the_first(place: Place) -> None:
    place.write({T0: {"x": 1.0}})
    place.write({T0: {"x": 2.0}})
    assert place.read("x", T0, T0 + 1) == {T0: 1.0}


def test_values_that_are_not_finite_are_left_out(place: Place) -> None:
    assert place.write({T0: {"x": math.nan, "y": math.inf, "z": 1.0}}) == new(1)
    assert place.write({T0: {"x": -math.inf}}) == new(0)


def test_a_field_nobody_sent_is_an_empty_series(place: Place) -> None:
    with place.database.begin() as connection:
        found = store.readings.read(
            connection, place.house.house_id, [("meter", "x"), ("nobody", "y")], T0, T0 + 1
        )
        elsewhere = store.readings.read(connection, 999, [("meter", "x")], T0, T0 + 1)
    assert {key: len(series) for key, series in found.items()} == {("meter", "x"): 0, ("nobody", "y"): 0}
    assert len(elsewhere["meter", "x"]) == 0


def test_several_series_come_with_one_statement(place: Place, database: Database) -> None:
    place.write({T0 + i: {"x": float(i), "y": -float(i)} for i in range(10)})
    place.write({T0 + WEEK_MS: {"x": 1.0}})
    with database.begin() as connection:
        found = store.readings.read(
            connection, place.house.house_id, [("meter", "x"), ("meter", "y")], T0, T0 + 2 * WEEK_MS
        )
    assert found["meter", "x"].timestamps.tolist() == [*range(T0, T0 + 10), T0 + WEEK_MS]
    assert found["meter", "y"].values.tolist() == [-float(i) for i in range(10)]


def test_whole_series_are_stored_like_rows(place: Place, database: Database) -> None:
    place.write({T0: {"x": 7.0}})
    series = Series(T0 + 60_000 * np.arange(20_000), np.arange(20_000.0))
    with database.begin() as connection:
        written = write_series(
            connection, place.house.house_id, place.meter.device_id, {"x": series, "y": series}
        )
    assert written == Written(39_999, 1, 0, 0)
    found = place.read("x", T0, T0 + 60_000 * 20_000)
    assert (len(found), found[T0], found[T0 + 60_000]) == (20_000, 7.0, 1.0)


def test_what_was_rolled_back_was_never_there(place: Place, database: Database) -> None:
    row = ReadingRow(place.house.house_id, place.meter.device_id, "meter", T0, {"fresh": 1.0})

    def write_and_fail() -> None:
        with database.begin() as connection:
            store.readings.write(connection, Batch(readings=[row]))
            raise UserError("no")

    with pytest.raises(UserError):
        write_and_fail()
    assert place.read("fresh", T0, T0 + 1) == {}
    assert place.write({T0: {"fresh": 2.0}}) == new(1)
    assert place.read("fresh", T0, T0 + 1) == {T0: 2.0}


def test_writers_at_the_same_time_store_each_reading_once(place: Place) -> None:
    def store_all(_: int) -> int:
        return sum(place.write({T0 + i: {f"f{i % 7}": 1.0}}).readings for i in range(40))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(store_all, range(4))) == 40


def test_a_device_of_another_house_is_refused(place: Place, database: Database) -> None:
    south = make_place(database, "South")
    row = ReadingRow(place.house.house_id, south.meter.device_id, "meter", T0, {"x": 1.0})
    with pytest.raises(StatementFailed), database.begin() as connection:
        store.readings.write(connection, Batch(readings=[row]))


def test_latest_is_the_newest_of_each_series(place: Place, database: Database) -> None:
    place.write({T0: {"x": 1.0, "y": 2.0}, T0 + WEEK_MS: {"x": 3.0}})
    make_place(database, "South").write({T0 + 2 * WEEK_MS: {"x": 9.0}})
    with database.begin() as connection:
        assert store.readings.latest(connection, place.house.house_id) == {
            ("meter", "x"): (T0 + WEEK_MS, 3.0),
            ("meter", "y"): (T0, 2.0),
        }


def test_units_are_the_operators_or_the_device_types(place: Place, database: Database) -> None:
    place.write({T0: {"A.Solar": 1.0, "A.L1_Voltage": 120.0}})
    with database.begin() as connection:
        before = store.readings.units(connection, place.house.house_id)
        connection.exec_driver_sql("UPDATE sgmp.series SET unit = 'mV' WHERE field = 'A.L1_Voltage'")
        after = store.readings.units(connection, place.house.house_id)
    assert before["meter", "A.L1_Voltage"] == "V"
    assert after["meter", "A.L1_Voltage"] == "mV"


def test_a_deleted_device_keeps_its_history(place: Place, database: Database) -> None:
    place.write({T0: {"x": 1.0}})
    with database.begin() as connection:
        store.devices.delete(connection, place.meter.device_id)
    assert place.read("x", T0, T0 + 1) == {T0: 1.0}


def test_a_new_device_of_the_same_name_starts_anew(place: Place, database: Database) -> None:
    place.write({T0: {"x": 1.0, "only_before": 1.0}})
    with database.begin() as connection:
        store.devices.delete(connection, place.meter.device_id)
        store.devices.create(connection, place.house.house_id, "meter", "egauge", {})
    assert place.read("x", T0, T0 + 1) == {}
    assert place.read("only_before", T0, T0 + 1) == {}


def test_the_same_meter_restored_continues(place: Place, database: Database) -> None:
    place.write({T0: {"x": 1.0}})
    with database.begin() as connection:
        store.devices.delete(connection, place.meter.device_id)
        gone = store.devices.deleted(connection, place.house.house_id, "meter")
        assert gone is not None
        store.devices.restore(connection, gone)
    place.write({T0 + 1: {"x": 2.0}})
    assert place.read("x", T0, T0 + 5) == {T0: 1.0, T0 + 1: 2.0}
