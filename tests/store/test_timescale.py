"""What only TimescaleDB does: readings older than two days are in the columnstore, and stay writable."""

from __future__ import annotations

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.store import Database, Written
from sgmp_console.timeseries import Series
from tests.database import TestServer
from tests.series import write_series
from tests.store.conftest import Place

DAY_MS = 86_400_000
T0 = 1_750_000_000_000 // DAY_MS * DAY_MS


@pytest.fixture(autouse=True)
def _timescale(database_server: TestServer) -> None:
    if not database_server.has_timescale:
        pytest.skip("this server is plain PostgreSQL; set SGMP_TEST_DATABASE_URL to a TimescaleDB")


def compress(database: Database) -> int:
    with database.begin() as connection:
        chunks = connection.exec_driver_sql(
            "SELECT compress_chunk(c) FROM show_chunks('sgmp.reading', older_than => interval '2 days') c"
        )
        return len(chunks.all())


def test_readings_are_in_a_columnstore_by_series_and_time(database: Database) -> None:
    with database.begin() as connection:
        found = connection.exec_driver_sql(
            "SELECT segmentby, orderby FROM timescaledb_information.hypertable_compression_settings"
            " WHERE hypertable = 'sgmp.reading'::regclass"
        ).all()
        policies = connection.exec_driver_sql(
            "SELECT config ->> 'compress_after' FROM timescaledb_information.jobs"
            " WHERE hypertable_schema = 'sgmp' AND hypertable_name = 'reading'"
            " AND proc_name = 'policy_compression'"
        ).scalars()
        assert [tuple(row) for row in found] == [("series_id", "ts")]
        assert list(policies) == ["2 days"]


def test_late_and_repeated_readings_reach_the_columnstore(place: Place, database: Database) -> None:
    even = Series(T0 + 4000 * np.arange(0, 2000, 2), np.arange(0.0, 2000.0, 2))
    whole = Series(T0 + 4000 * np.arange(2000), np.arange(2000.0))
    with database.begin() as connection:
        write_series(connection, place.house.house_id, place.meter.device_id, {"x": even})
    assert compress(database) == 1
    for expected in (Written(1000, 1000, 0, 0), Written(0, 2000, 0, 0)):
        with database.begin() as connection:
            written = write_series(connection, place.house.house_id, place.meter.device_id, {"x": whole})
        assert written == expected
    found = place.read("x", T0, T0 + DAY_MS)
    assert list(found) == whole.timestamps.tolist()
    assert list(found.values()) == whole.values.tolist()


def test_the_newest_of_compressed_readings_is_found(place: Place, database: Database) -> None:
    place.write({T0: {"x": 1.0}, T0 + 3 * DAY_MS: {"x": 3.0}})
    compress(database)
    with database.begin() as connection:
        assert store.readings.latest(connection, place.house.house_id) == {
            ("meter", "x"): (T0 + 3 * DAY_MS, 3.0)
        }


def test_a_reading_takes_little_room(place: Place, database: Database) -> None:
    """Measured 8.9 bytes on recorded data; random values can't be compressed below their 8."""
    count = 21_600
    wave = 5 * np.sin(np.arange(count) / 3000)
    with database.begin() as connection:
        write_series(
            connection,
            place.house.house_id,
            place.meter.device_id,
            {f"f{i}": Series(T0 + 4000 * np.arange(count), (wave + i).round(3)) for i in range(5)},
        )
    compress(database)
    with database.begin() as connection:
        size = connection.exec_driver_sql("SELECT hypertable_size('sgmp.reading')").scalar_one()
    assert size / (5 * count) < 9.0


def test_history_is_stored_whatever_the_plan_for_the_watermarks(place: Place, database: Database) -> None:
    """A plan that looked at each hypertable asked also those that are no aggregates for their watermark: an error."""
    with database.begin() as connection:
        connection.exec_driver_sql("SET LOCAL enable_indexscan = off")
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        history = Series(np.array([T0]), np.array([1.0]))
        write_series(connection, place.house.house_id, place.meter.device_id, {"x": history})
    assert place.read("x", T0, T0 + DAY_MS) == {T0: 1.0}
