"""A house of a real database for the analytics pages: three devices, a day of readings, some items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import psycopg2
import sqlalchemy as sa
from psycopg2 import sql

from sgmp_console.fleet import analytics, devices
from sgmp_console.store import AnalyticItem, Batch, Database, EventRow, FieldKey, House, readings
from sgmp_console.store import analytics as items
from sgmp_console.store import devices as stored_devices
from sgmp_console.timeseries import Series
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN
from tests.series import write_series
from tests.ui import snapshots

DAY_MS = 86_400_000
STEP_MS = 60_000
NOW_MS = snapshots.NOW_MS

SONNEN_LATE_MS = 1_700
"""The battery's clock ticks that much after the meter's, so the two share no timestamp."""


def furnish(database: Database, house: House) -> None:
    """Meter and battery with readings of the last day, an hour of it missing, and a charger with two sessions."""
    egauge = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    sonnen = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    charger = devices.create(database, house.house_id, "powerflex", "powerflex", POWERFLEX)
    t = np.arange(NOW_MS - DAY_MS, NOW_MS, STEP_MS, dtype=np.int64)
    t = t[(t < NOW_MS - 9 * 3_600_000) | (t >= NOW_MS - 8 * 3_600_000)]
    wave = np.sin((t % DAY_MS) / DAY_MS * 2 * np.pi)
    noise = np.random.default_rng(3).normal(0, 0.05, len(t))
    fields = {
        "A.Solar": np.clip(4.8 * -wave, 0, None) * (1 + noise),
        "A.Load": -(1.4 + 0.8 * wave + noise),
        "A.GridPower": 2.2 * wave + noise,
        "A.EV": np.where(wave > 0.9, -3.6, 0.0),
        "A.L1_Voltage": 121.0 + wave + noise,
        "A.L2_Voltage": 120.4 + wave + noise,
        "A.L1_Frequency": 60.0 + 0.01 * wave + noise / 20,
    }
    late = t + SONNEN_LATE_MS
    with database.begin() as connection:
        write_series(
            connection,
            house.house_id,
            egauge.device_id,
            {field: Series(t, values) for field, values in fields.items()},
        )
        write_series(
            connection,
            house.house_id,
            sonnen.device_id,
            {
                "status.Pac_total_W": Series(late, 2400 * wave),
                "battery.battery_status.relativestateofcharge": Series(late, 55 + 35 * wave),
            },
        )
        sessions: list[tuple[int, str, dict[str, int]]] = [
            (20 * 3_600_000, "EV_START_CHARGING", {}),
            (3_600_000, "EV_START_CHARGING", {}),
        ]
        ends = [
            (18 * 3_600_000, "EV_END_CHARGING", {"duration": 7_200_000, "energy": 9_400_000}),
            (600_000, "EV_END_CHARGING", {"duration": 3_000_000, "energy": 2_100_000}),
        ]
        events = [
            EventRow(house.house_id, charger.device_id, "powerflex", NOW_MS - before, kind, data)
            for before, kind, data in [*sessions, *ends]
        ]
        readings.write(connection, Batch(events=events))


def measured(database: Database, house: House, fields: Mapping[FieldKey, Series]) -> None:
    """The three devices with these readings, and the required items."""
    with database.begin() as connection:
        for name in ("sonnen", "egauge", "powerflex"):
            device = stored_devices.create(connection, house.house_id, name, name, {})
            mine = {field: series for (of, field), series in fields.items() if of == name}
            write_series(connection, house.house_id, device.device_id, mine)
    analytics.create_required(database, house.house_id)
    analytics.populate(database, house.house_id)


def make(
    database: Database, house: House, name: str, formula: str, *, aggregated: bool = False
) -> AnalyticItem:
    return analytics.create(database, house.house_id, name, formula, aggregated=aggregated)


@contextmanager
def outage(of: TestDatabase) -> Iterator[None]:
    """The database throws everybody out and takes no connection."""
    server = psycopg2.connect(of.url, dbname="postgres")
    server.autocommit = True
    name = sql.Identifier(of.name)
    with server.cursor() as cursor:
        cursor.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (of.name,)
        )
        try:
            yield
        finally:
            cursor.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            server.close()


@contextmanager
def aggregates_locked(database: Database, house: House) -> Iterator[None]:
    """Somebody else changes the aggregates of the house, and population waits for that."""
    with database.begin() as connection:
        connection.execute(sa.text("SELECT sgmp.take_lock('aggregates', :house)"), {"house": house.house_id})
        yield


def stored(database: Database, house: House) -> dict[str, AnalyticItem]:
    with database.begin() as connection:
        return {item.name: item for item in items.list_all(connection, house.house_id)}
