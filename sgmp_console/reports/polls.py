"""How many values an item has, beside those that were to be polled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.store import devices
from sgmp_console.timeseries import SLOT_MS, snap


@dataclass(frozen=True)
class Polls:
    """How many values there are, and how many polls there were to be."""

    values: int
    expected: int

    @property
    def share(self) -> float | None:
        """0 to 1."""
        return min(self.values / self.expected, 1.0) if self.expected else None


def polls(
    reader: ItemReader, name: str, start_ms: int, end_ms: int, intervals_s: Mapping[str, float]
) -> Polls | None:
    """Of an item in a range, but its excluded slots; None where the polling interval is not known, and where too much would have to be read.

    Known is the one in the devices' configs (`polling_intervals`); else that of the data, where at least half of the slots
    have equally many values.
    """
    start_ms, end_ms = snap(start_ms, end_ms)
    counts = reader.value_counts(name, start_ms, end_ms)
    if counts is None or not len(counts):
        return None
    read = reader.devices_of(name)
    if read and read <= intervals_s.keys():
        per_slot = SLOT_MS / 1000 / max(intervals_s[device] for device in read)  # the slowest counts
    else:
        distinct, often = np.unique(counts, return_counts=True)
        most = int(np.argmax(often))
        if 2 * often[most] < len(counts):
            return None
        per_slot = float(distinct[most])
    slots = (end_ms - start_ms) // SLOT_MS - reader.excluded.slots(start_ms, end_ms)
    return Polls(int(counts.sum()), round(per_slot * slots))


def polling_intervals(connection: sa.Connection, house_id: int) -> dict[str, float]:
    """Seconds between two polls, by device whose config says so."""
    configured = {
        device.name: device.config.get("interval") for device in devices.list_all(connection, house_id)
    }
    return {
        name: float(interval)
        for name, interval in configured.items()
        if isinstance(interval, int | float) and not isinstance(interval, bool) and interval > 0
    }
