"""Transactions of the acts that change what a house consists of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sgmp_console.store import ChangedMeanwhile, Database, devices, lock_house


@contextmanager
def editing(database: Database, house_id: int) -> Iterator[sa.Connection]:
    """One transaction, during which no other act changes the same house.

    What was checked against the house's devices and items (a name that must exist, a cycle, who uses what) so still
    holds when the change is committed.
    """
    with database.begin() as connection:
        lock_house(connection, house_id)
        yield connection


Seen = frozenset[tuple[int, int]]
"""(id, revision) of the devices of a house as they were looked at."""


def seen(connection: sa.Connection, house_id: int) -> Seen:
    """The devices of a house as they are now, to be told again in `require_seen`."""
    return frozenset((one.device_id, one.revision) for one in devices.list_all(connection, house_id))


def require_seen(connection: sa.Connection, house_id: int, house: str, looked_at: Seen | None) -> None:
    """Raises ChangedMeanwhile where the devices of the house are others than the operator looked at; None: at nothing."""
    if looked_at is not None and seen(connection, house_id) != looked_at:
        raise ChangedMeanwhile(f"A device of {house}")
