"""The ledger of a house's battery at an instant, read from the database."""

from __future__ import annotations

import sqlalchemy as sa

from sgmp_console.reports.balance import BALANCE_ITEMS, Ledger, ledger_from_ms, opening_ledger
from sgmp_console.reports.item_reader import ItemReader, ItemUnreadable


def read_ledger(connection: sa.Connection, house_id: int, zone: str, at_ms: int) -> Ledger:
    """What the battery holds at `at_ms` (UTC, on a slot), as every report has it; empty where it can't be known."""
    reader = ItemReader(connection, house_id)
    present = [name for name in BALANCE_ITEMS if name in reader.items]
    if "battery_discharging" not in present:
        return Ledger()
    try:
        slots = reader.slots(present, ledger_from_ms(at_ms, zone), at_ms)
    except ItemUnreadable:
        return Ledger()
    return opening_ledger({name: one.slots for name, one in slots.items()}, at_ms, zone)
