"""Locks that keep two acts of operators apart. Each is held until its transaction ends (`sql/locks.sql`)."""

from __future__ import annotations

import sqlalchemy as sa


def lock_house(connection: sa.Connection, house_id: int) -> None:
    """Wait until nobody else changes what the house consists of (devices, analytic items, configuration).

    An account that may change none of it waits for nothing: what it then tries is refused.
    """
    connection.execute(sa.text("SELECT sgmp.lock_house(:house)"), {"house": house_id})


def lock_houses(connection: sa.Connection) -> None:
    """Wait until nobody else creates a house."""
    connection.execute(sa.text("SELECT sgmp.lock_houses()"))
