"""Roles: named sets of permissions. Built-in ones stay as they are; the others are the deployment's own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors
from sgmp_console.store.tables.access import permission


@dataclass(frozen=True)
class Role:
    """`members`: how many accounts have it, as far as the asking account may know of them."""

    role_id: int
    name: str
    description: str
    permissions: frozenset[str]
    built_in: bool = False
    members: int = 0
    revision: int = 1


_SELECT = "SELECT role_id, name, description, permissions, built_in, members, revision FROM sgmp.roles"


def list_all(connection: sa.Connection) -> list[Role]:
    """The built-in ones first, then in order of name."""
    rows = connection.exec_driver_sql(f"{_SELECT} ORDER BY NOT built_in, name")
    return [_role(row) for row in rows]


def get(connection: sa.Connection, role_id: int) -> Role:
    """Raises UserError where there is none."""
    row = connection.execute(sa.text(f"{_SELECT} WHERE role_id = :role"), {"role": role_id}).one_or_none()
    if row is None:
        raise UserError("There is no such role. It may have been deleted.")
    return _role(row)


def permissions(connection: sa.Connection) -> dict[str, str]:
    """Name -> what it lets do, in the order in which they are listed."""
    rows = connection.execute(sa.select(permission.c.name, permission.c.description))
    found = {row.name: row.description for row in rows}
    return {name: found[name] for name in sorted(found, key=_position)}


def create(
    connection: sa.Connection, name: str, *, description: str = "", permissions: Collection[str]
) -> Role:
    """Raises UserError (name taken or empty, no such permission), Refused (permissions that the account does not have)."""
    with constraint_errors(connection, _sentences(name)):
        role_id = connection.execute(
            sa.text("SELECT sgmp.create_role(:name, :description, :permissions)"),
            {"name": name.strip(), "description": description, "permissions": sorted(permissions)},
        ).scalar_one()
    return get(connection, role_id)


def update(connection: sa.Connection, role: Role) -> Role:
    """Store name, description and permissions; all accounts with the role have these at once.

    Raises ChangedMeanwhile where `role` is stale, UserError (built in, name taken), Refused.
    """
    with constraint_errors(connection, _sentences(role.name)):
        revision = connection.execute(
            sa.text("SELECT sgmp.update_role(:role, :seen, :name, :description, :permissions)"),
            {
                "role": role.role_id,
                "seen": role.revision,
                "name": role.name.strip(),
                "description": role.description,
                "permissions": sorted(role.permissions),
            },
        ).scalar_one()
    if revision is None:
        raise ChangedMeanwhile(f"Role {role.name}")
    return get(connection, role.role_id)


def delete(connection: sa.Connection, role_id: int) -> None:
    """Raises UserError (built in, or accounts still have it, which are named), Refused."""
    connection.execute(sa.text("SELECT sgmp.delete_role(:role)"), {"role": role_id})


_ORDER = (
    "view_dashboards",
    "view_devices",
    "view_secrets",
    "manage_devices",
    "manage_analytics",
    "manage_houses",
    "manage_accounts",
    "manage_roles",
    "control_devices",
    "all_houses",
    "export",
)


def _position(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _role(row: sa.Row[tuple[object, ...]]) -> Role:
    values = row._asdict()
    return Role(**{**values, "permissions": frozenset(values["permissions"])})


def _sentences(name: str) -> dict[str, str]:
    return {
        "role_name_key": f"A role {name.strip()} exists already. Choose another name.",
        "role_name_check": "A role needs a name of at most 64 characters.",
    }
