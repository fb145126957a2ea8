"""Making, changing and deleting roles: in the database, and as groups of the directory of users beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from sgmp_console.cloud.directory import Directory
from sgmp_console.errors import Refused, SgmpError
from sgmp_console.fleet.accounts import LOCAL, user_of
from sgmp_console.fleet.failures import error_context
from sgmp_console.fleet.outside import Outside, outside
from sgmp_console.store import Account, Database, Role, accounts, roles

NEEDS = {
    "view_secrets": "view_devices",
    "manage_devices": "view_devices",
    "control_devices": "view_devices",
}
"""Permissions that are of use only together with another."""


def create(database: Database, name: str, *, description: str = "", permissions: Collection[str]) -> Role:
    """Make a role. Raises UserError (name taken), Refused (permissions that the account does not have itself)."""
    with database.begin() as connection:
        return roles.create(connection, name, description=description.strip(), permissions=permissions)


def update(database: Database, role: Role, *, directory: Directory = LOCAL) -> Role:
    """Store name, description and permissions; who has the role has these at once.

    A new name is the new group of its members in the directory. Raises ChangedMeanwhile where `role` is stale, UserError
    (built in, name taken), Refused, Unavailable: nothing was changed then, or the error says what was.
    """
    with outside(database, lambda connection: roles.get(connection, role.role_id) == stored) as act:
        before = roles.get(act.connection, role.role_id)
        stored = roles.update(act.connection, role)
        if stored.name != before.name:
            members = [one for one in accounts.list_all(act.connection) if one.role == stored.name]
            with error_context(f"The role {before.name} was not changed:"):
                _rename_group(directory, members, stored, act)
    return stored


def delete(database: Database, role_ids: Sequence[int]) -> None:
    """Delete roles, all or none. Raises UserError (built in, or accounts still have it, which are named), Refused."""
    with database.begin() as connection:
        for role_id in role_ids:
            roles.delete(connection, role_id)


def _rename_group(directory: Directory, members: Sequence[Account], role: Role, act: Outside) -> None:
    """Move the members into the role's group."""
    if directory is LOCAL:
        return
    if len(members) < role.members:
        raise Refused(
            "Its members are moved to another group of the directory with it, and your account may not see them all."
        )
    for account in members:
        user = directory.find(account.email)
        if user is not None:
            act.undo(partial(directory.update, user), partial(_still_moved, user.email))
            directory.update(user_of(account))


def _still_moved(email: str, error: SgmpError) -> str:
    return f"{email} may be in the new group of the directory; change the role again: {error}"
