"""Roles as an operator handles them, with the groups of a user pool beside them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from sgmp_console import store
from sgmp_console.cloud.directory import DirectoryUser, LocalDirectory
from sgmp_console.errors import Refused, Unavailable, UserError
from sgmp_console.fleet import accounts, roles
from sgmp_console.store import Database, Role
from tests.database import TestDatabase


@dataclass
class Pool(LocalDirectory):
    """A directory of users in memory; `fails_at`: the user whose change fails."""

    users: dict[str, DirectoryUser] = field(default_factory=dict)
    fails_at: str = ""

    def add(self, user: DirectoryUser, password: str) -> None:
        self.users[user.email] = user

    def find(self, email: str) -> DirectoryUser | None:
        return self.users.get(email)

    def update(self, user: DirectoryUser) -> None:
        if user.email == self.fails_at:
            self.fails_at = ""
            raise Unavailable("The pool does not answer.")
        self.users[user.email] = user


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def installers(database: Database, pool: Pool) -> Role:
    """A role with two members."""
    made = roles.create(database, "installer", permissions=["view_devices"])
    for email in ("ann@example.org", "bob@example.org"):
        accounts.create(database, email=email, name="One", role="installer", house_id=None, directory=pool)
    return made


def names(database: Database) -> set[str]:
    with database.begin() as connection:
        return {role.name for role in store.roles.list_all(connection)} - {"admin", "researcher", "visitor"}


def test_a_renamed_role_takes_its_members_along(database: Database, installers: Role, pool: Pool) -> None:
    renamed = roles.update(database, replace(installers, name="fitter"), directory=pool)
    assert (renamed.name, renamed.members) == ("fitter", 2)
    assert {user.role for user in pool.users.values()} == {"fitter"}


def test_a_failure_half_way_leaves_all_as_it_was(database: Database, installers: Role, pool: Pool) -> None:
    pool.fails_at = "bob@example.org"
    with pytest.raises(Unavailable, match="installer was not changed"):
        roles.update(database, replace(installers, name="fitter"), directory=pool)
    assert names(database) == {"installer"}
    assert {user.role for user in pool.users.values()} == {"installer"}


def test_other_changes_are_none_of_the_pools_business(
    database: Database, installers: Role, pool: Pool
) -> None:
    pool.fails_at = "ann@example.org"
    changed = roles.update(database, replace(installers, permissions=frozenset({"export"})), directory=pool)
    assert changed.permissions == {"export"}


def test_who_sees_not_all_members_does_not_rename_them(
    database: Database, installers: Role, pool: Pool, test_database: TestDatabase
) -> None:
    roles.create(database, "clerk", permissions=["manage_roles", "all_houses", "view_devices"])
    with database.begin() as connection:
        store.accounts.create(
            connection,
            email="clerk@example.org",
            name="Clerk",
            role="clerk",
            house_id=None,
            password="correct horse battery",
            must_change_password=False,
        )
    hers, _ = store.sign_in(
        test_database.address, test_database.deployment, "clerk@example.org", "correct horse battery"
    )
    try:
        with pytest.raises(Refused, match="may not see them all"):
            roles.update(hers, replace(installers, name="fitter"), directory=pool)
    finally:
        hers.dispose()
    assert names(database) == {"installer", "clerk"}


def test_several_are_deleted_or_none(database: Database, installers: Role) -> None:
    free = roles.create(database, "free", permissions=[])
    with pytest.raises(UserError, match="still given to 2 accounts"):
        roles.delete(database, [free.role_id, installers.role_id])
    assert names(database) == {"free", "installer"}
    roles.delete(database, [free.role_id])
    assert names(database) == {"installer"}
