"""What can be said about a house's devices at a glance: for their list, and for the question of the same meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.fleet import edge_state, sync
from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.sync import SyncState
from sgmp_console.formula import users_of_device
from sgmp_console.store import Device, House, analytics, devices, findings, houses, readings, standings
from sgmp_console.store.findings import Finding

UNKNOWN = ""


@dataclass(frozen=True)
class DeviceOverview:
    """A device and how it stands.

    `state` is an Outcome as the edge reports it, UNKNOWN where it reports none: it is not synchronized yet.
    `newest_ms`: its newest reading, None if it has none. `used_by`: the analytic items whose formulas mention it.
    `findings`: what is wrong with it now, the newest first.
    """

    device: Device
    state: str
    newest_ms: int | None
    used_by: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def down_since_ms(self) -> int | None:
        """UTC; None while it is not down, or nothing has found it yet."""
        return next((one.from_ms for one in self.findings if one.rule == findings.DEVICE_DOWN), None)


@dataclass(frozen=True)
class DevicesOverview:
    """All devices of a house in order of name, its edge, and how far it runs what was sent to it."""

    house: House
    edge: EdgeStanding
    sync: SyncState
    devices: tuple[DeviceOverview, ...]


@dataclass(frozen=True)
class FormerDevice:
    """A deleted device whose name is free again. Times are UTC ms; `newest_ms`: its newest reading that is kept."""

    device: Device
    created_ms: int
    deleted_ms: int
    newest_ms: int | None


def overview(connection: sa.Connection, house_id: int, now_ms: int) -> DevicesOverview:
    """Raises UserError where there is no such house, or none that the account sees."""
    house = houses.get(connection, house_id)
    standing = standings.of_house(connection, house_id)
    edge = edge_state.judge(standing.edge, now_ms)
    items = {item.name: item.formula for item in analytics.list_all(connection, house_id)}
    newest = _newest(connection, house_id)
    wrong: dict[str, list[Finding]] = {}
    for finding in findings.read(connection, house_id):
        wrong.setdefault(finding.device, []).append(finding)
    return DevicesOverview(
        house,
        edge,
        sync.judge(standing.newest, standing.edge, changed=standing.changed),
        tuple(
            DeviceOverview(
                device,
                edge.devices.get(device.name, UNKNOWN),
                newest.get(device.name),
                users_of_device(device.name, items),
                tuple(wrong.get(device.name, ())),
            )
            for device in devices.list_all(connection, house_id)
        ),
    )


def former_device(connection: sa.Connection, house_id: int, name: str) -> FormerDevice | None:
    """The deleted device that last had this name, whose history a new one can continue."""
    device = devices.deleted(connection, house_id, name)
    if device is None:
        return None
    created_ms, deleted_ms = devices.lifetime(connection, device.device_id)
    newest = _newest(connection, house_id).get(name)
    return FormerDevice(device, created_ms, deleted_ms or created_ms, newest)


def _newest(connection: sa.Connection, house_id: int) -> Mapping[str, int]:
    newest: dict[str, int] = {}
    for (name, _field), (timestamp_ms, _value) in readings.latest(connection, house_id).items():
        newest[name] = max(timestamp_ms, newest.get(name, timestamp_ms))
    return newest
