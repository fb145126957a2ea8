"""What the items of the balance say of a house at an instant or over some days, read from the database."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from sgmp_console.reports.balance import (
    BALANCE_ITEMS,
    CarInLoad,
    Ledger,
    car_in_load,
    ledger_from_ms,
    opening_ledger,
)
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.item_values import ItemUnreadable
from sgmp_console.store import House
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, SlotMeans

EVIDENCE_MS = 14 * 24 * HOUR_MS
"""So far back it is looked whether the load contains the car: most cars are charged within two weeks."""


def read_ledger(connection: sa.Connection, house: House, at_ms: int) -> Ledger:
    """What the battery holds at `at_ms` (UTC, on a slot), as every report has it; empty where it can't be known."""
    means = _slots(connection, house.house_id, ledger_from_ms(at_ms, house.time_zone), at_ms)
    if "battery_discharging" not in means:
        return Ledger()
    return opening_ledger(means, at_ms, house.time_zone, load_contains_ev=house.load_contains_ev)


def read_car_in_load(connection: sa.Connection, house_id: int, now_ms: int) -> CarInLoad | None:
    """What the last EVIDENCE_MS say of whether the load's meter measures the car; None where nothing can be said."""
    end_ms = now_ms // SLOT_MS * SLOT_MS
    means = _slots(connection, house_id, end_ms - EVIDENCE_MS, end_ms)
    if not {"load", "ev", "grid_import"} <= means.keys():
        return None
    return car_in_load(means, end_ms - EVIDENCE_MS, end_ms)


def _slots(connection: sa.Connection, house_id: int, start_ms: int, end_ms: int) -> Mapping[str, SlotMeans]:
    """Of the items that the house has; none where one can't be read."""
    reader = ItemReader(connection, house_id)
    present = [name for name in BALANCE_ITEMS if name in reader.items]
    try:
        slots = reader.slots(present, start_ms, end_ms)
    except ItemUnreadable:
        return {}
    return {name: one.slots for name, one in slots.items()}
