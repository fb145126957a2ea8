"""Transactions of the acts that change what a house consists of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sgmp_console.store import Database

_LOCK = 0x53474D50  # "SGMP"


@contextmanager
def editing(database: Database, house_id: int) -> Iterator[sa.Connection]:
    """One transaction, during which no other act changes the same house.

    What was checked against the house's devices and items (a name that must exist, a cycle, who uses what) so still
    holds when the change is committed.
    """
    with database.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK, house_id)))
        yield connection
