"""Lists and dialogs read a small, fixed number of statements, whatever the number of rows."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from sgmp_console.fleet import (
    analytics,
    analytics_overview,
    devices,
    devices_overview,
    houses,
    houses_overview,
    sync,
)
from sgmp_console.store import Database, House
from tests.fleet.configs import EGAUGE
from tests.fleet.test_sync import Retained
from tests.statements import counting

Read = Callable[[sa.Connection, int], object]


def fleet(connection: sa.Connection, _house_id: int) -> object:
    return houses_overview.overview(connection, time.time_ns() // 1_000_000)


def devices_page(connection: sa.Connection, house_id: int) -> object:
    return devices_overview.overview(connection, house_id, time.time_ns() // 1_000_000)


def synchronize(connection: sa.Connection, house_id: int) -> object:
    now_ms = time.time_ns() // 1_000_000
    return sync.preview(connection, house_id, now_ms), sync.history(connection, house_id)


def catalogue(connection: sa.Connection, house_id: int) -> object:
    return analytics.catalogue(connection, house_id)


def cost(database: Database, read: Read, house_id: int) -> int:
    with database.begin() as connection, counting() as sent:
        read(connection, house_id)
    return len(sent)


@pytest.mark.parametrize(
    ("read", "most"),
    [
        (fleet, 3),
        (devices_page, 8),
        (analytics_overview.overview, 5),
        (synchronize, 10),
        (catalogue, 5),
    ],
    ids=["houses", "devices", "analytics", "synchronize", "catalogue"],
)
def test_twenty_rows_cost_what_one_does(database: Database, house: House, read: Read, most: int) -> None:
    broker = Retained()

    def add(number: int) -> None:
        other = houses.create(database, f"House {number}", time_zone="UTC")
        devices.create(database, other.house_id, "meter", "egauge", EGAUGE)
        devices.create(database, house.house_id, f"meter_{number}", "egauge", EGAUGE)
        analytics.create(database, house.house_id, f"item_{number}", f"meter_{number}.A.Load")
        sync.synchronize(database, broker, "sgmp", house.house_id)

    add(0)
    one = cost(database, read, house.house_id)
    for number in range(1, 20):
        add(number)
    assert cost(database, read, house.house_id) == one <= most
