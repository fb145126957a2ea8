"""The devices of a house at a glance: what the edge says of them, how old their readings are, who needs them."""

from __future__ import annotations

from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.fleet import analytics, devices
from sgmp_console.fleet.devices_overview import (
    DeviceOverview,
    DevicesOverview,
    FormerDevice,
    former_device,
    overview,
)
from sgmp_console.fleet.edge_state import Presence
from sgmp_console.fleet.sync import Outcome
from sgmp_console.store import Batch, Database, Device, EventRow, House, ReadingRow
from sgmp_console.store.watching import StoredFinding
from sgmp_edge import contract
from tests.fleet.configs import EGAUGE, SONNEN

NOW_MS = 1_750_000_000_000


@pytest.fixture
def meter(database: Database, house: House) -> Device:
    return devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)


def say(
    database: Database, house: House, at_ms: int, kind: str, device: Device | None = None, **data: Any
) -> None:
    who = (device.device_id, device.name) if device else (0, contract.EDGE_DEVICE_NAME)
    with database.begin() as connection:
        row = EventRow(house.house_id, *who, at_ms, kind, data)
        store.readings.write(connection, Batch(events=[row]))


def measure(database: Database, device: Device, at_ms: int) -> None:
    row = ReadingRow(device.house_id, device.device_id, device.name, at_ms, {"A.Load": 1.0, "A.Solar": 2.0})
    with database.begin() as connection:
        store.readings.write(connection, Batch(readings=[row]))


def find(database: Database, device: Device, rule: str, since_ms: int) -> None:
    times = (since_ms, since_ms, since_ms, None, None)
    row = StoredFinding(
        0, device.house_id, device.name, rule, "", "critical", *times, None, {}, suspended=False
    )
    with database.begin() as connection:
        store.watching.store_findings(connection, [row], [], since_ms)


def look(database: Database, house: House) -> DevicesOverview:
    with database.begin() as connection:
        return overview(connection, house.house_id, NOW_MS)


def test_a_device_of_which_nothing_was_heard(database: Database, house: House, meter: Device) -> None:
    found = look(database, house)
    assert found.house == house
    assert found.edge.presence is Presence.NEVER
    assert found.sync.outcome is Outcome.NEVER
    assert found.devices == (DeviceOverview(meter, "", None, ()),)


def test_state_age_and_users_stand_beside_the_device(database: Database, house: House, meter: Device) -> None:
    other = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    analytics.create(database, house.house_id, "load", "-egauge.A.Load")
    measure(database, meter, NOW_MS - 9000)
    measure(database, meter, NOW_MS - 5000)
    states = {"egauge": "ok", "sonnen": "unreachable"}
    say(database, house, NOW_MS - 30_000, contract.EDGE_STATUS, state="online", devices=states)
    find(database, other, "device_down", NOW_MS - 7_200_000)
    found = look(database, house)
    assert found.edge.presence is Presence.ONLINE
    first, second = found.devices
    assert (first.state, first.down_since_ms, first.newest_ms, first.used_by) == (
        "ok",
        None,
        NOW_MS - 5000,
        ("load",),
    )
    assert (second.state, second.down_since_ms, second.newest_ms) == (
        "unreachable",
        NOW_MS - 7_200_000,
        None,
    )


def test_what_is_wrong_with_a_device_stands_beside_it(
    database: Database, house: House, meter: Device
) -> None:
    find(database, meter, "device_silent", NOW_MS - 60_000)
    (found,) = look(database, house).devices
    assert [finding.rule for finding in found.findings] == ["device_silent"]
    assert found.down_since_ms is None


def test_an_edge_that_has_not_reported_for_minutes_is_silent(
    database: Database, house: House, meter: Device
) -> None:
    say(database, house, NOW_MS - 200_000, contract.EDGE_STATUS, state="online", devices={"egauge": "ok"})
    assert look(database, house).edge.presence is Presence.SILENT


@pytest.mark.parametrize("status", [{}, {"devices": []}, {"devices": {"egauge": 5}}, {"state": ["x"]}])
def test_whatever_an_edge_says_can_be_looked_at(
    database: Database, house: House, meter: Device, status: dict[str, Any]
) -> None:
    say(database, house, NOW_MS, contract.EDGE_STATUS, **status)
    assert look(database, house).devices[0].state == ""


def test_a_deleted_devices_history_can_be_told(database: Database, house: House, meter: Device) -> None:
    def former() -> FormerDevice | None:
        with database.begin() as connection:
            return former_device(connection, house.house_id, "egauge")

    assert former() is None
    measure(database, meter, NOW_MS - 5000)
    devices.delete(database, house.house_id, [meter.device_id])
    found = former()
    assert found is not None
    assert found.device.device_id == meter.device_id
    assert found.newest_ms == NOW_MS - 5000
    assert found.created_ms <= found.deleted_ms
