"""Both designs in one database, with the same readings: what all subjects measure on."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg2
import psycopg2.errors
import psycopg2.extensions
from numpy.typing import NDArray

from sgmp_console.demo.postgres import EmbeddedPostgres
from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.store import Database, migrate
from sgmp_console.timeseries import Series
from tests.benchmarks import ancestor
from tests.database import SERVER_VARIABLE, TestServer
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN
from tests.series import write_series

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

FIELDS: dict[str, tuple[str, ...]] = {
    "egauge": (
        "A.Battery",
        "A.SubPanel",
        "A.GridPower",
        "A.Solar",
        "A.EV",
        "A.L1_Voltage",
        "A.L2_Voltage",
        "A.L1_Frequency",
        "A.L2_Frequency",
        "A.Load",
    ),
    "sonnen": (
        "status.Pac_total_W",
        "status.Consumption_W",
        "status.Production_W",
        "status.GridFeedIn_W",
        "status.Fac",
        "status.Uac",
        "status.Ubat",
        "status.USOC",
        "status.RSOC",
        "battery.battery_status.relativestateofcharge",
        "battery.battery_status.cyclecount",
        "battery.battery_status.systemcurrent",
        "battery.battery_status.systemdcvoltage",
        "battery.battery_status.maximumcelltemperature",
        "battery.battery_status.minimumcelltemperature",
    ),
    "powerflex": ("energy_delivered", "mamps_actual", "voltage", "power", "pilot_actual", "charging_state"),
}
SERIES = sum(len(fields) for fields in FIELDS.values())
CONFIGS = {"egauge": EGAUGE, "sonnen": SONNEN, "powerflex": POWERFLEX}

_LEVELS = {"Voltage": (120.0, 0.4), "Frequency": (60.0, 0.01), "_W": (500.0, 1800.0)}

_PATIENCE_S = 300.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class World:
    """`url` is the owner's, who is a superuser; `address` names neither user nor password. Each day of `[start_ms, end_ms)` holds a reading of each series every `step_ms`."""

    url: str
    database: Database
    connection: psycopg2.extensions.connection
    """The ancestor's."""
    timescale: bool
    house_id: int
    start_ms: int
    end_ms: int
    step_ms: int
    server: str
    address: str
    deployment: str

    @property
    def readings(self) -> int:
        days = (self.end_ms - self.start_ms) // DAY_MS
        return days * -(-DAY_MS // self.step_ms) * SERIES

    @property
    def dense(self) -> bool:
        """Whether there is about a reading each 4 s, as edges send them: the budgets against the ancestor are for that.

        Its time grows with the readings, ours on aggregates doesn't: with fewer, a statement's fixed cost decides.
        """
        return self.step_ms <= 10_000

    def scalar(self, query: str) -> int:
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
        return int(row[0]) if row else 0


@contextmanager
def furnished(server: TestServer, total: int, days: int, say: Say) -> Iterator[World]:
    """A database with about `total` readings of one house over `days` days, in both designs."""
    with server.empty_database() as made:
        migrate(made.url, made.deployment)
        database = Database.connect(made.url, application="sgmp-bench")
        connection = psycopg2.connect(made.url)
        try:
            step_ms = max(1, round(SERIES * days * DAY_MS / total / 1000)) * 1000
            end_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS
            start_ms = end_ms - days * DAY_MS
            house = houses.create(database, "Bench House", time_zone="America/Los_Angeles")
            with database.begin() as opened:
                version = opened.exec_driver_sql("SHOW server_version").scalar_one()
            world = World(
                made.url,
                database,
                connection,
                server.has_timescale,
                house.house_id,
                start_ms,
                end_ms,
                step_ms,
                f"{'TimescaleDB on ' if server.has_timescale else ''}PostgreSQL {version}",
                made.address,
                made.deployment,
            )
            _furnish(world, say)
            yield world
        finally:
            connection.close()
            database.dispose()


def make_house(database: Database, name: str) -> tuple[int, dict[str, int]]:
    """A house with the three devices: its id and theirs, by name."""
    house = houses.create(database, name, time_zone="America/Los_Angeles")
    return house.house_id, make_devices(database, house.house_id)


def make_devices(database: Database, house_id: int) -> dict[str, int]:
    return {
        kind: devices.create(database, house_id, kind, kind, config).device_id
        for kind, config in CONFIGS.items()
    }


@contextmanager
def database_server() -> Iterator[TestServer]:
    """The server of SGMP_TEST_DATABASE_URL, or an embedded one as it is deployed: every commit reaches the disk."""
    if url := os.environ.get(SERVER_VARIABLE):
        yield TestServer(url)
        return
    folder = Path(tempfile.mkdtemp(prefix="sgmp-bench-"))
    postgres = EmbeddedPostgres(folder)
    try:
        yield TestServer(postgres.start())
    finally:
        postgres.stop()
        shutil.rmtree(folder)


def _furnish(world: World, say: Say) -> None:
    ids = make_devices(world.database, world.house_id)
    analytics.create_required(world.database, world.house_id)
    ancestor.create(world.connection, hypertable=world.timescale)
    for start_ms in range(world.start_ms, world.end_ms, DAY_MS):
        say(f"Loading day {(start_ms - world.start_ms) // DAY_MS + 1} of both designs")
        timestamps = np.arange(start_ms, start_ms + DAY_MS, world.step_ms, dtype=np.int64)
        values = {
            (kind, field): _values(kind, field, timestamps)
            for kind, fields in FIELDS.items()
            for field in fields
        }
        # Hour by hour, so that our rows lie on the disk in the order in which they would come in.
        for hour in range(start_ms, start_ms + DAY_MS, HOUR_MS):
            first, last = np.searchsorted(timestamps, (hour, hour + HOUR_MS))
            with world.database.begin() as opened:
                for kind, fields in FIELDS.items():
                    series = {
                        field: Series(timestamps[first:last], values[kind, field][first:last])
                        for field in fields
                    }
                    write_series(opened, world.house_id, ids[kind], series)
        ancestor.bulk_load(world.connection, world.house_id, _rows(timestamps, values))
    say("Populating and tidying up, as the servers do by themselves in time")
    analytics.populate(world.database, world.house_id)
    settle(world)


def _values(kind: str, field: str, timestamps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Noise about a daily curve, rounded as meters round."""
    level, spread = next((levels for ending, levels in _LEVELS.items() if field.endswith(ending)), (0.5, 2.0))
    seed = sum(map(ord, kind + field))
    rng = np.random.default_rng([seed, int(timestamps[0] // DAY_MS)])
    curve = np.sin(timestamps / DAY_MS * 2 * np.pi + seed)
    return (level + spread * (curve + rng.normal(0, 0.2, len(timestamps)))).round(3)


def _rows(
    timestamps: NDArray[np.int64], values: dict[tuple[str, str], NDArray[np.float64]]
) -> Iterator[tuple[str, str, str, float]]:
    columns = [(kind, field, column.tolist()) for (kind, field), column in values.items()]
    for place, timestamp_ms in enumerate(timestamps.tolist()):
        written = datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat()
        for kind, field, column in columns:
            yield written, kind, field, column[place]


def settle(world: World) -> None:
    """What autovacuum, our maintenance and TimescaleDB's jobs do within hours."""
    connection = psycopg2.connect(world.url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            if world.timescale:
                _refresh(cursor, "CALL sgmp.refresh_late(0, NULL)")
                for view in ("slot", "hour"):
                    _refresh(
                        cursor,
                        f"CALL public.refresh_continuous_aggregate('sgmp.{view}', NULL,"
                        " date_trunc('hour', now()) - interval '3 hours')",
                    )
                cursor.execute(
                    "SELECT public.compress_chunk(c)"
                    " FROM public.show_chunks('sgmp.reading', older_than => interval '2 days') c"
                )
            else:
                while True:
                    cursor.execute("SELECT sgmp.pack_week()")
                    row = cursor.fetchone()
                    if not row or not row[0]:
                        break
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")
    finally:
        connection.close()


def _refresh(cursor: psycopg2.extensions.cursor, statement: str) -> None:
    """When the server's own jobs let it: two refreshes of one range exclude each other."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            cursor.execute(statement)
        except psycopg2.errors.LockNotAvailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return
