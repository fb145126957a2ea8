"""Locks that keep two acts of operators apart. Each is held until its transaction ends."""

from __future__ import annotations

import sqlalchemy as sa

_HOUSE = 0x53474D50  # "SGMP"
_HOUSES = 0x53474D5048  # "SGMPH"


def lock_house(connection: sa.Connection, house_id: int) -> None:
    """Wait until nobody else changes what the house consists of (devices, analytic items, configuration)."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_HOUSE, house_id)))


def lock_houses(connection: sa.Connection) -> None:
    """Wait until nobody else creates a house."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_HOUSES)))
