from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.store import Batch, Database, Device, EventRow, House, ReadingRow, findings, watching
from sgmp_console.store.findings import Finding, Severity
from sgmp_console.watch.service import look
from sgmp_edge import contract
from tests.database import TestDatabase

MINUTE = 60_000
WATCH_PASSWORD = "correct horse battery"


@dataclass
class WatchedHouse:
    """A house with a battery, and its edge. What is reported is of now unless it says when."""

    fleet: Fleet
    house: House
    battery: Device

    def reports(self, at_ms: int | None = None, **status: Any) -> None:
        """EDGE_STATUS."""
        about = {
            "state": "online",
            "backlog": 0,
            "oldest_ms": None,
            "devices": {"battery": "ok"},
            "poll_interval_s": 4,
            "disk_free_mb": 9_000,
        }
        self.event(0, contract.EDGE_DEVICE_NAME, contract.EDGE_STATUS, at_ms, {**about, **status})

    def warns(
        self, text: str, change: str = "notice", at_ms: int | None = None, *, edge: bool = False, **data: Any
    ) -> None:
        about = {"data": text, "change": change, **data}
        device_id, name = (0, contract.EDGE_DEVICE_NAME) if edge else (self.battery.device_id, "battery")
        self.event(device_id, name, contract.WARNING, at_ms, about)

    def event(self, device_id: int, name: str, kind: str, at_ms: int | None, data: dict[str, Any]) -> None:
        at_ms = self.fleet.now_ms if at_ms is None else at_ms
        row = EventRow(self.house.house_id, device_id, name, at_ms, kind, data)
        with self.fleet.database.begin() as connection:
            store.events.store(connection, [row])
            # Heard when the test says so, not now.
            self.fleet.hear(connection, self.house.house_id)

    def delivers(self, at_ms: int | None = None) -> None:
        """A reading of the battery."""
        at_ms = self.fleet.now_ms if at_ms is None else at_ms
        address = (self.house.house_id, self.battery.device_id, "battery", at_ms)
        with self.fleet.database.begin() as connection:
            store.readings.write(connection, Batch(readings=[ReadingRow(*address, {"power": 1.0})]))


@dataclass
class Fleet:
    """Houses, and a watch whose clock the test moves."""

    database: Database
    database_url: str
    now_ms: int
    houses: list[WatchedHouse] = field(default_factory=list)

    def add(self, name: str = "North") -> WatchedHouse:
        with self.database.begin() as connection:
            house = store.houses.create(connection, name, time_zone="Europe/Berlin")
            battery = store.devices.create(
                connection, house.house_id, "battery", "sonnen", {"ip": "192.0.2.1", "serial": "1"}
            )
        added = WatchedHouse(self, house, battery)
        self.houses.append(added)
        return added

    def hear(self, connection: Any, house_id: int) -> None:
        connection.exec_driver_sql(
            "UPDATE sgmp.house_state SET heard_at = to_timestamp(%s / 1000.0) WHERE house_id = %s AND heard_at > now()"
            " - interval '1 minute'",
            (self.now_ms, house_id),
        )

    def turn(self, after_ms: int = 0) -> list[Finding]:
        """What is open after a look at a later time."""
        self.now_ms += after_ms
        with self.database.begin() as connection:
            taken = watching.take_turn(connection, "test", 0)
            assert taken is not None
            counted = look(connection, watching.Turn(self.now_ms, -1, 0, taken.newest_ms, 0))
        found = self.open()
        severities = [finding.severity for finding in found]
        assert counted == {severity: severities.count(severity) for severity in Severity}
        return found

    def all_is_well(self, after_ms: int = 0) -> None:
        """Ingest, edges and devices are heard at a later time."""
        self.now_ms += after_ms
        self.ingest()
        for house in self.houses:
            house.reports()
            house.delivers()

    def ingest(self, **statistics: Any) -> None:
        with self.database.begin() as connection:
            store.ingest_state.report(connection, "ingest", {"receiving": True, **statistics})
            connection.exec_driver_sql(
                "UPDATE sgmp.ingest_state SET updated_at = to_timestamp(%s / 1000.0)", (self.now_ms,)
            )

    def read(self, ended_since_ms: int | None = 0) -> list[Finding]:
        with self.database.begin() as connection:
            return findings.read(connection, ended_since_ms=ended_since_ms)

    def open(self) -> list[Finding]:
        return self.read(None)

    def rules(self) -> set[str]:
        return {finding.rule for finding in self.open()} - {"config_not_sent"}


@pytest.fixture
def fleet(database: Database, database_url: str) -> Fleet:
    # A little ago, so that what happens later in the test is not ahead of the server's clock.
    return Fleet(database, database_url, int(time.time() * 1000) - 50 * MINUTE)


@pytest.fixture
def north(fleet: Fleet) -> WatchedHouse:
    added = fleet.add()
    fleet.all_is_well()
    return added


@pytest.fixture
def watch(fleet: Fleet, test_database: TestDatabase) -> Iterator[Database]:
    """As the role that the watch signs in as."""
    with fleet.database.begin() as connection:
        store.set_watch_password(connection, test_database.deployment, WATCH_PASSWORD)
    role = store.watch_role(test_database.deployment)
    opened = Database.connect(test_database.address, user=role, password=WATCH_PASSWORD)
    yield opened
    opened.dispose()
