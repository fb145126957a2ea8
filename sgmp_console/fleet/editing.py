"""Transactions of the acts that change what a house consists of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sgmp_console.store import ChangedMeanwhile, Database, Device, devices, lock_house


@contextmanager
def editing(database: Database, house_id: int) -> Iterator[sa.Connection]:
    """One transaction, during which no other act changes the same house.

    What was checked against the house's devices and items (a name that must exist, a cycle, who uses what) so still
    holds when the change is committed.
    """
    with database.begin() as connection:
        lock_house(connection, house_id)
        yield connection


RevisionSet = frozenset[tuple[int, int]]
"""(id, revision) of the devices of a house as they were looked at."""


def revisions(present: Iterable[Device]) -> RevisionSet:
    """Of the devices of a house as they were read, for `require_unchanged`."""
    return frozenset((one.device_id, one.revision) for one in present)


def require_unchanged(
    connection: sa.Connection, house_id: int, house: str, expected: RevisionSet | None
) -> None:
    """Raises ChangedMeanwhile where the devices of the house are not the ones that the operator looked at; None: at
    nothing."""
    if expected is not None and revisions(devices.list_all(connection, house_id)) != expected:
        raise ChangedMeanwhile(f"A device of {house}")
