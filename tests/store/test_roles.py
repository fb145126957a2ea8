"""Roles: sets of permissions that nobody can make mightier than themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sgmp_console import store
from sgmp_console.errors import Refused, UserError
from sgmp_console.store import ChangedMeanwhile, Database, Role
from tests.database import TestDatabase

PASSWORD = "correct horse battery"


def make(database: Database, name: str, *permissions: str) -> Role:
    with database.begin() as connection:
        return store.roles.create(connection, name, permissions=permissions)


def give(database: Database, email: str, role: str, house_id: int | None = None) -> None:
    with database.begin() as connection:
        store.accounts.create(
            connection,
            email=email,
            name="One",
            role=role,
            house_id=house_id,
            password=PASSWORD,
            must_change_password=False,
        )


@pytest.fixture
def clerk(database: Database, test_database: TestDatabase) -> Iterator[Database]:
    """Who may make roles, but neither accounts nor analytics."""
    make(database, "clerk", "manage_roles", "all_houses", "view_dashboards")
    give(database, "clerk@example.org", "clerk")
    opened, _ = store.sign_in(test_database.address, test_database.deployment, "clerk@example.org", PASSWORD)
    yield opened
    opened.dispose()


def test_there_are_three_to_begin_with(database: Database) -> None:
    with database.begin() as connection:
        roles = {role.name: role for role in store.roles.list_all(connection)}
        permissions = store.roles.permissions(connection)
    assert list(roles) == ["admin", "researcher", "visitor"]
    assert all(role.built_in for role in roles.values())
    assert roles["admin"].permissions == permissions.keys()
    assert next(iter(permissions)) == "view_dashboards"


def test_a_role_is_made_changed_renamed_and_deleted(database: Database) -> None:
    made = make(database, " installer ", "view_devices", "manage_devices")
    assert (made.name, made.permissions, made.members) == (
        "installer",
        frozenset({"view_devices", "manage_devices"}),
        0,
    )
    give(database, "ann@example.org", "installer")
    with database.begin() as connection:
        changed = store.roles.update(
            connection, replace(made, name="fitter", permissions=frozenset({"view_devices"}))
        )
        (ann,) = store.accounts.list_all(connection)
    assert (changed.name, changed.members, changed.revision) == ("fitter", 1, made.revision + 1)
    assert (ann.role, ann.permissions) == ("fitter", frozenset({"view_devices"}))
    with database.begin() as connection:
        store.accounts.update(connection, replace(ann, role="admin"))
        store.roles.delete(connection, made.role_id)
        assert len(store.roles.list_all(connection)) == 3


def test_a_role_in_use_stays_and_its_members_are_named(database: Database) -> None:
    made = make(database, "installer", "view_devices")
    give(database, "bob@example.org", "installer")
    give(database, "ann@example.org", "installer")
    with (
        pytest.raises(UserError, match=r"2 accounts \(ann@example.org, bob@example.org\)"),
        database.begin() as connection,
    ):
        store.roles.delete(connection, made.role_id)


def test_members_are_not_named_to_who_may_not_see_accounts(database: Database, clerk: Database) -> None:
    made = make(database, "guest", "view_dashboards")
    give(database, "ann@example.org", "guest")
    with pytest.raises(UserError, match="given to an account") as caught, clerk.begin() as connection:
        store.roles.delete(connection, made.role_id)
    assert "ann@" not in str(caught.value)


def test_built_in_roles_stay_as_they_are(database: Database) -> None:
    with database.begin() as connection:
        visitor = next(role for role in store.roles.list_all(connection) if role.name == "visitor")
    with pytest.raises(UserError, match="built in"), database.begin() as connection:
        store.roles.update(connection, replace(visitor, permissions=frozenset({"export"})))
    with pytest.raises(UserError, match="built in"), database.begin() as connection:
        store.roles.delete(connection, visitor.role_id)


def test_a_name_is_used_once(database: Database) -> None:
    make(database, "installer")
    with pytest.raises(UserError, match="exists already"):
        make(database, "installer")
    with pytest.raises(UserError, match="needs a name"):
        make(database, " ")


def test_of_two_changes_the_second_is_told(database: Database) -> None:
    made = make(database, "installer", "view_devices")
    with database.begin() as connection:
        store.roles.update(connection, replace(made, description="One"))
    with pytest.raises(ChangedMeanwhile, match="Role installer"), database.begin() as connection:
        store.roles.update(connection, replace(made, description="Two"))


def test_a_permission_that_there_is_not_is_refused(database: Database) -> None:
    with pytest.raises(UserError, match="no permission fly"):
        make(database, "pilot", "fly")


def test_nobody_gives_or_takes_permissions_that_they_lack(database: Database, clerk: Database) -> None:
    with pytest.raises(Refused, match="export"):
        make(clerk, "exporter", "view_dashboards", "export")
    mighty = make(database, "exporter", "view_dashboards", "export")
    for change in (frozenset({"view_dashboards"}), mighty.permissions):
        with pytest.raises(Refused, match="export"), clerk.begin() as connection:
            store.roles.update(connection, replace(mighty, permissions=change))
    with pytest.raises(Refused, match="export"), clerk.begin() as connection:
        store.roles.delete(connection, mighty.role_id)


def test_an_own_role_can_not_be_made_mightier(clerk: Database) -> None:
    with clerk.begin() as connection:
        own = next(role for role in store.roles.list_all(connection) if role.name == "clerk")
    with pytest.raises(Refused), clerk.begin() as connection:
        store.roles.update(connection, replace(own, permissions=own.permissions | {"manage_accounts"}))


def test_roles_are_all_houses_matter(database: Database, test_database: TestDatabase) -> None:
    with database.begin() as connection:
        house = store.houses.create(connection, "North")
    make(database, "local", "manage_roles", "view_dashboards")
    give(database, "ann@example.org", "local", house.house_id)
    hers, _ = store.sign_in(test_database.address, test_database.deployment, "ann@example.org", PASSWORD)
    try:
        with pytest.raises(Refused, match="all_houses"):
            make(hers, "mine", "view_dashboards")
    finally:
        hers.dispose()
