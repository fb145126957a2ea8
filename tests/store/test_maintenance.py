"""Weeks that are over are packed and old ones dropped, beside everything else."""

from __future__ import annotations

import logging
import time
from functools import partial

import numpy as np
import pytest

from sgmp_console.store import Database, Maintenance
from sgmp_console.timeseries import Series
from tests.database import TestServer
from tests.series import write_series
from tests.store.conftest import Place
from tests.waiting import lateness, wait_until

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


@pytest.fixture(autouse=True)
def _plain_postgresql(database_server: TestServer) -> None:
    if database_server.has_timescale:
        pytest.skip("TimescaleDB keeps its chunks itself")


def is_packed(database: Database, at_ms: int) -> bool:
    """The week of this instant."""
    with database.begin() as connection:
        return bool(
            connection.exec_driver_sql(
                "SELECT obj_description(to_regclass('sgmp.reading_' || to_char(date_trunc('week',"
                " to_timestamp(%s / 1000.0), 'UTC'), 'YYYYMMDD'))) IS NOT DISTINCT FROM 'packed'",
                (at_ms,),
            ).scalar_one()
        )


def index_bytes(database: Database) -> int:
    with database.begin() as connection:
        return int(
            connection.exec_driver_sql(
                "SELECT sum(pg_indexes_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'sgmp.reading'::regclass"
            ).scalar_one()
        )


def test_weeks_that_are_over_are_packed_and_stay_the_same(place: Place, database: Database) -> None:
    now_ms = int(time.time() * 1000)
    start_ms = (now_ms - 4 * DAY_MS) // WEEK_MS * WEEK_MS + 4 * DAY_MS - 2 * WEEK_MS  # a Monday
    for part in np.array_split(np.arange(start_ms, start_ms + 4 * DAY_MS, 20_000), 30):
        with database.begin() as connection:
            write_series(
                connection,
                place.house.house_id,
                place.meter.device_id,
                {f"f{i}": Series(part, part / 7) for i in range(5)},
            )
    place.write({now_ms: {"f0": 1.0}})
    before, size = place.read("f0", 0, now_ms + 1), index_bytes(database)
    maintenance = Maintenance(database)
    try:
        wait_until(lambda: maintenance.look() or is_packed(database, start_ms))  # type: ignore[func-returns-value]
    finally:
        maintenance.close()
    assert not is_packed(database, now_ms)
    assert index_bytes(database) < 0.75 * size
    assert place.read("f0", 0, now_ms + 1) == before
    repeated = place.write({at: {"f0": 0.0} for at in list(before)[:5]} | {start_ms + 1: {"f0": 5.0}})
    assert (repeated.readings, repeated.repeated) == (1, 5)


def test_readings_past_their_time_are_dropped(place: Place, database: Database) -> None:
    now_ms = int(time.time() * 1000)
    place.write({now_ms - 10 * WEEK_MS: {"x": 1.0}, now_ms: {"x": 2.0}})
    maintenance = Maintenance(database)
    try:
        wait_until(
            lambda: maintenance.look() or list(place.read("x", 0, now_ms + 1)) == [now_ms],  # type: ignore[func-returns-value]
        )
    finally:
        maintenance.close()


def test_readings_can_be_kept_for_longer_or_shorter(place: Place, database: Database) -> None:
    now_ms = int(time.time() * 1000)
    old, older = now_ms - 4 * WEEK_MS, now_ms - 10 * WEEK_MS
    place.write({older: {"x": 1.0}, old: {"x": 2.0}, now_ms: {"x": 3.0}})

    def looked(maintenance: Maintenance, kept: list[int]) -> bool:
        maintenance.look()
        return list(place.read("x", 0, now_ms + 1)) == kept

    for keep_days, left in ((50, [old, now_ms]), (10, [now_ms])):
        maintenance = Maintenance(database, keep_days)
        try:
            wait_until(partial(looked, maintenance, left))
        finally:
            maintenance.close()


def test_readers_do_not_queue_behind_maintenance_that_waits_for_an_open_read(
    place: Place, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sgmp_console.store.maintenance")
    now_ms = int(time.time() * 1000)
    place.write({now_ms - 10 * WEEK_MS: {"x": 1.0}, now_ms - 3 * WEEK_MS: {"x": 2.0}, now_ms: {"x": 3.0}})
    longest = 0.0

    def is_read_meanwhile() -> bool:
        nonlocal longest
        maintenance.look()
        began = time.monotonic()
        with database.begin() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sgmp.reading")
        longest = max(longest, time.monotonic() - began)
        return len(caplog.records) == 2

    maintenance = Maintenance(database)
    try:
        with database.begin() as connection, lateness() as late_s:
            connection.exec_driver_sql("SELECT count(*) FROM sgmp.reading")
            wait_until(is_read_meanwhile)
        assert longest < 2.0 + late_s()  # behind it, readers would wait for its 5 s
        postponed = [record.getMessage().partition("(")[0] for record in caplog.records]
        assert postponed == ["SELECT sgmp.drop_old_readings", "SELECT sgmp.pack_week"]
        assert len(place.read("x", 0, now_ms + 1)) == 3
    finally:
        maintenance.close()
