"""What `sgmp-console demo --check` holds the whole chain to: both houses, all three device types, live."""

from __future__ import annotations

from collections.abc import Mapping

from sgmp_console.demo.houses import DEMO_HOUSES, DEVICE_TYPES
from sgmp_console.reports.home import HOME_ITEMS, HomeSnapshot

_EVENT_DRIVEN = frozenset({"ev"})


def missing_from_chain(snapshots: Mapping[str, HomeSnapshot], since_ms: int) -> list[str]:
    """What the houses still lack, as sentences; empty when everything is live.

    A device counts once a reading measured after `since_ms` (UTC ms, the start of the edges) was shown: history that
    was loaded does not. An analytic item of Home counts once its newest value is that new.
    """
    missing = []
    for house in DEMO_HOUSES:
        snapshot = snapshots.get(house.name)
        if snapshot is None:
            missing.append(f"{house.name}: nothing was shown")
            continue
        devices = {device.type: device for device in snapshot.devices}
        for kind in DEVICE_TYPES:
            device = devices.get(kind)
            if device is None:
                missing.append(f"{house.name}: no {kind} device")
            elif device.newest_ms is None or device.newest_ms < since_ms:
                missing.append(f"{house.name}: no live reading of {kind}")
        for item in HOME_ITEMS:
            latest = snapshot.latest(item)
            if latest is None or latest.timestamp_ms < since_ms:
                missing.append(f"{house.name}: no live value of {item}")
    return missing
