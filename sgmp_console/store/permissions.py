"""What the signed-in account may do. The database enforces it by itself; asked for acts outside the database."""

from __future__ import annotations

import sqlalchemy as sa

from sgmp_console.errors import Refused


def has(connection: sa.Connection, permission: str) -> bool:
    """Whether the account of this connection has the permission."""
    return bool(connection.execute(sa.select(sa.func.sgmp.may(permission))).scalar_one())


def require(connection: sa.Connection, permission: str) -> None:
    """Raises Refused, with a sentence that names the permission."""
    if not has(connection, permission):
        raise Refused(f"Your role does not have the permission {permission}. An administrator can give it.")
