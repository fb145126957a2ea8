"""Home, reports and their exports read a fixed number of statements, however much is in the house."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.reports import periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.live import HomeLoader
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind
from sgmp_console.store import Batch, Database, EventRow, House, readings
from sgmp_console.store import devices as stored_devices
from sgmp_console.timeseries import HOUR_MS
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN
from tests.reports.houses import at, balanced
from tests.series import write_series
from tests.statements import counting

NOW_MS = at("2025-05-14 12:00", "UTC")
DAY_MS = 24 * HOUR_MS
CONFIGS = {"sonnen": SONNEN, "egauge": EGAUGE, "powerflex": POWERFLEX}


@pytest.fixture
def filled(database: Database) -> House:
    """A house with the required items, a week of readings, and a charging session."""
    house = houses.create(database, "Maple House", time_zone="UTC")
    fields = balanced(NOW_MS - 7 * DAY_MS, NOW_MS, 5 * 60_000)
    for name, config in CONFIGS.items():
        made = devices.create(database, house.house_id, name, name, config)
        mine = {field: series for (device, field), series in fields.items() if device == name}
        with database.begin() as connection:
            write_series(connection, house.house_id, made.device_id, mine)
            if name == "powerflex":
                readings.write(connection, Batch(events=[session_end(house, made.device_id, 2)]))
    analytics.create_required(database, house.house_id)
    analytics.populate(database, house.house_id)
    return house


def session_end(house: House, device_id: int, hours_ago: int) -> EventRow:
    about = {"duration": HOUR_MS, "energy": 2_000_000}
    at_ms = NOW_MS - hours_ago * HOUR_MS
    return EventRow(house.house_id, device_id, "powerflex", at_ms, "EV_END_CHARGING", about)


def add(database: Database, house: House) -> None:
    """Much more of everything: devices, items on them, sessions."""
    for number in range(20):
        devices.create(database, house.house_id, f"meter_{number}", "egauge", EGAUGE)
        analytics.create(database, house.house_id, f"item_{number}", f"meter_{number}.A.Load")
    with database.begin() as connection:
        ends = [
            session_end(house, device.device_id, hours)
            for device in stored_devices.list_all(connection, house.house_id)
            if device.name == "powerflex"
            for hours in range(1, 150, 3)
        ]
        readings.write(connection, Batch(events=ends))


def cost_of(database: Database, read: Callable[[sa.Connection], object]) -> int:
    with database.begin() as connection, counting() as sent:
        read(connection)
    return len(sent)


@pytest.mark.parametrize("kind", Kind)
def test_a_report_costs_the_same_however_much_is_in_the_house(
    database: Database, filled: House, kind: Kind
) -> None:
    def cost(period: Period) -> int:
        return cost_of(database, lambda connection: build(connection, filled, kind, period, NOW_MS, None))

    day, week = periods.last_24_hours(NOW_MS, "UTC"), periods.last_7_days(NOW_MS, "UTC")
    before = cost(day), cost(week)
    add(database, filled)
    assert (cost(day), cost(week)) == before
    assert max(before) <= 24


def test_home_costs_the_same_however_much_is_in_the_house(database: Database, filled: House) -> None:
    def cost() -> tuple[int, int]:
        home = HomeLoader(database, filled.house_id)
        with counting() as loading:
            home.load(NOW_MS)
        with counting() as following:
            home.update(NOW_MS + 2000, NOW_MS)
        return len(loading), len(following)

    before = cost()
    add(database, filled)
    assert cost() == before
    assert before[0] <= 18
    assert before[1] <= 5
