"""On TimescaleDB the dashboard and the month's report read materialized aggregates, and no chunk of raw readings."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.fleet.required import required_items
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.item_source import Source
from sgmp_console.store import Database
from sgmp_console.store.rows import driver
from sgmp_console.timeseries import HOUR_MS, Series
from tests.database import TestServer
from tests.fleet.configs import EGAUGE, SONNEN
from tests.reports.houses import LOS_ANGELES
from tests.reports.stored import refresh
from tests.series import write_series

DAY_MS = 24 * HOUR_MS
TODAY_MS = int(time.time()) // 86_400 * DAY_MS
FLAGGED = [item.name for item in required_items().values() if item.aggregated]
FIELDS = {
    "egauge": ("A.GridPower", "A.Solar", "A.EV", "A.Load"),
    "sonnen": ("status.Pac_total_W", "battery.battery_status.relativestateofcharge"),
}


@pytest.fixture(scope="module")
def stored(database_server: TestServer) -> Iterator[tuple[Database, int]]:
    """Twenty days of a furnished house, materialized up to now."""
    if not database_server.has_timescale:
        pytest.skip("plain PostgreSQL keeps aggregates in tables of their own: there is nothing to explain")
    with database_server.database() as made:
        database = Database.connect(made.url, application="sgmp-test")
        house = houses.create(database, "Maple House", time_zone=LOS_ANGELES)
        ticks = TODAY_MS - 20 * DAY_MS + np.arange(0, 20 * DAY_MS, 300_000, dtype=np.int64)
        for kind, config in (("egauge", EGAUGE), ("sonnen", SONNEN)):
            device = devices.create(database, house.house_id, kind, kind, config)
            series = {field: Series(ticks, np.sin(ticks / DAY_MS)) for field in FIELDS[kind]}
            with database.begin() as connection:
                write_series(connection, house.house_id, device.device_id, series)
        analytics.create_required(database, house.house_id)
        refresh(made.url)
        yield database, house.house_id
        database.dispose()


def scanned(database: Database, act_on: str, from_ms: int, to_ms: int) -> str:
    """The plan of what the functions ask that the reader calls (`sql/aggregates.sql`), executed."""
    with database.begin() as connection, driver(connection).cursor() as cursor:
        start = act_on.removesuffix("s")
        cursor.execute(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT * FROM sgmp.{start}"
            f" WHERE series_id = ANY (%s) AND {start} >= to_timestamp(%s) AND {start} < to_timestamp(%s)"
            f" ORDER BY series_id, {start}",
            (list(range(1, 7)), from_ms / 1000, to_ms / 1000),
        )
        return "\n".join(row[0] for row in cursor.fetchall())


def raw_chunks(database: Database) -> list[str]:
    with database.begin() as connection, driver(connection).cursor() as cursor:
        cursor.execute(
            "SELECT chunk_name FROM timescaledb_information.chunks"
            " WHERE hypertable_schema = 'sgmp' AND hypertable_name = 'reading'"
        )
        return [name for (name,) in cursor.fetchall()]


@pytest.mark.parametrize(
    ("view", "days"), [("slots", 1), ("hours", 20)], ids=["dashboard of a day", "report of a month"]
)
def test_closed_ranges_are_read_without_a_raw_chunk(
    stored: tuple[Database, int], view: str, days: int
) -> None:
    database, _ = stored
    plan = scanned(database, view, TODAY_MS - (days + 1) * DAY_MS, TODAY_MS - DAY_MS)
    executed = [
        line
        for line in plan.splitlines()
        if any(chunk in line for chunk in raw_chunks(database)) and "never executed" not in line
    ]
    assert executed == [], plan
    assert "_materialized_hypertable_" in plan


def test_the_flagged_items_are_read_from_aggregates_alone(stored: tuple[Database, int]) -> None:
    database, house_id = stored
    with database.begin() as connection:
        reader = ItemReader(connection, house_id)
        day = reader.slots(FLAGGED, TODAY_MS - 2 * DAY_MS, TODAY_MS - DAY_MS)
        month = reader.hours(FLAGGED, TODAY_MS - 20 * DAY_MS, TODAY_MS - DAY_MS)
    assert {one.source for one in day.values()} == {Source.AGGREGATES}
    assert {one.source for one in month.values()} == {Source.AGGREGATES}
    assert {one.coverage for one in month.values()} == {1.0}
