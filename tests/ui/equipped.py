"""A house with devices in all states, for tests and pictures of their page."""

from __future__ import annotations

import time
from typing import Any

from sgmp_console import store
from sgmp_console.fleet import analytics, devices
from sgmp_console.store import Batch, Database, Device, EventRow, House, ReadingRow, findings, watching
from sgmp_console.store.watching import StoredFinding
from sgmp_edge import contract
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN

STATES = {
    "egauge": "ok",
    "sonnen": "unreachable",
    "charger_1": "ok",
    "charger_2": "unauthorized",
    "garage": "not_ready",
}


def equip(owner: Database, house: House, now_ms: int) -> dict[str, Device]:
    """Six devices, of which the edge knows five, as their edge says at `now_ms`."""
    made = {
        name: devices.create(owner, house.house_id, name, kind, config, description=description)
        for name, kind, config, description in (
            ("egauge", "egauge", EGAUGE, "Main panel in the basement"),
            ("sonnen", "sonnen", SONNEN, "Battery, 10 kWh"),
            ("charger_1", "powerflex", POWERFLEX, "Left parking space"),
            ("charger_2", "powerflex", {**POWERFLEX, "acs_id": "03"}, "Right parking space"),
            ("garage", "egauge", {"ip": "198.129.116.114", "interval": 30}, ""),
            ("heat_pump", "egauge", {"ip": "198.129.116.115"}, "Added this morning"),
        )
    }
    for name, formula in (("load", "-egauge.A.Load"), ("solar", "pos(egauge.A.Solar)")):
        analytics.create(owner, house.house_id, name, formula)
    for name, age_ms in (("egauge", 2_000), ("sonnen", 7_500_000), ("charger_1", 4_000)):
        measure(owner, made[name], now_ms - age_ms)
    say(owner, house, now_ms - 20_000, contract.EDGE_STATUS, state="online", devices=STATES)
    find(owner, house, "device_down", device="sonnen", since_ms=now_ms - 7_400_000)
    return made


def say(owner: Database, house: House, at_ms: int, kind: str, **data: Any) -> None:
    row = EventRow(house.house_id, 0, contract.EDGE_DEVICE_NAME, at_ms, kind, data)
    with owner.begin() as connection:
        store.readings.write(connection, Batch(events=[row]))


def find(
    owner: Database,
    house: House | None,
    rule: str,
    severity: str = "critical",
    *,
    device: str = "",
    since_ms: int | None = None,
    noted: bool = False,
) -> None:
    """Something is wrong, since an hour ago if not said; somebody may have taken note of it."""
    now_ms = int(time.time() * 1000)
    house_id = house.house_id if house else None
    since_ms = now_ms - 3_600_000 if since_ms is None else since_ms
    row = StoredFinding(
        0,
        house_id,
        device,
        rule,
        "",
        severity,
        since_ms,
        since_ms,
        since_ms,
        None,
        None,
        None,
        {},
        suspended=False,
    )
    with owner.begin() as connection:
        watching.store_findings(connection, [row], [], now_ms)
        if noted:
            (found,) = [one for one in findings.read(connection) if one.rule == rule]
            findings.acknowledge(connection, found.finding_id, "on it")


def measure(owner: Database, device: Device, at_ms: int) -> None:
    row = ReadingRow(device.house_id, device.device_id, device.name, at_ms, {"A.Load": 1.0})
    with owner.begin() as connection:
        store.readings.write(connection, Batch(readings=[row]))
