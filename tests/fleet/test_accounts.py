"""The first administrator, and accounts with an initial password."""

from __future__ import annotations

import pytest

from sgmp_console.errors import UserError
from sgmp_console.fleet import accounts
from sgmp_console.store import Database, sign_in
from tests.database import TestDatabase


def test_the_first_administrator_signs_in_with_the_initial_password(
    database: Database, test_database: TestDatabase
) -> None:
    made = accounts.create_first_admin(database, email="Ann@Example.org", name=" Ann ")
    signed_in, account = sign_in(
        test_database.address, test_database.deployment, "ann@example.org", made.initial_password
    )
    signed_in.dispose()
    assert (account.name, account.role, account.must_change_password) == ("Ann", "admin", True)


def test_there_is_only_one_first_administrator(database: Database) -> None:
    accounts.create_first_admin(database, email="ann@example.org", name="Ann")
    with pytest.raises(UserError, match=r"an administrator already: ann@example\.org"):
        accounts.create_first_admin(database, email="bob@example.org", name="Bob")


def test_an_account_needs_a_name(database: Database) -> None:
    with pytest.raises(UserError, match="name of its user"):
        accounts.create(database, email="ann@example.org", name=" ", role="admin", house_id=None)


def test_initial_passwords_differ_and_are_never_shown_by_accident(database: Database) -> None:
    made = accounts.create_first_admin(database, email="ann@example.org", name="Ann")
    assert made.initial_password not in repr(made)
    assert len({accounts.initial_password() for _ in range(100)}) == 100
