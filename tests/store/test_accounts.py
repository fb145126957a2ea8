"""Accounts are PostgreSQL roles: who may sign in is the database's word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgmp_console import store
from sgmp_console.errors import Refused, UserError
from sgmp_console.store import (
    Account,
    AccountDisabled,
    ChangedMeanwhile,
    Database,
    PasswordExpired,
    SignInRefused,
    login_name,
    migrations,
)
from tests.database import TestDatabase

PASSWORD = "correct horse battery"


def create(
    database: Database,
    email: str,
    role: str = "admin",
    house_id: int | None = None,
    *,
    must_change_password: bool = False,
) -> Account:
    with database.begin() as connection:
        return store.accounts.create(
            connection,
            email=email,
            name="Some One",
            role=role,
            house_id=house_id,
            password=PASSWORD,
            must_change_password=must_change_password,
        )


@contextmanager
def signed_in(of: TestDatabase, email: str, password: str = PASSWORD) -> Iterator[tuple[Database, Account]]:
    database, account = store.sign_in(of.address, of.deployment, email, password)
    try:
        yield database, account
    finally:
        database.dispose()


def test_an_account_signs_in_with_email_and_password(database: Database, test_database: TestDatabase) -> None:
    made = create(database, "Ada@Example.org")
    assert made.email == "ada@example.org"
    with signed_in(test_database, "ADA@example.org ") as (_, account):
        assert account == made
        assert account.role == "admin"
        assert "manage_accounts" in account.permissions


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.org", "wrong"),
        ("ada@example.org", ""),
        ("nobody@example.org", PASSWORD),
        ("no email", PASSWORD),
        ("", PASSWORD),
        ("ada@example.org' --", PASSWORD),
    ],
)
def test_anything_wrong_is_refused_alike(
    database: Database, test_database: TestDatabase, email: str, password: str
) -> None:
    create(database, "ada@example.org")
    with pytest.raises(SignInRefused) as refused, signed_in(test_database, email, password):
        pass
    assert str(refused.value) == str(SignInRefused())


def test_a_long_email_has_an_account_too(database: Database, test_database: TestDatabase) -> None:
    first, second = ("a" * 60 + "@example.org", "a" * 60 + "@example.com")
    create(database, first)
    create(database, second, role="visitor")
    with signed_in(test_database, second) as (_, account):
        assert (account.email, account.role) == (second, "visitor")


_letters = st.characters(min_codepoint=ord("!"), max_codepoint=ord("~"), exclude_characters="@")
emails = st.builds(
    "{}@{}".format, st.text(_letters, min_size=1, max_size=100), st.text(_letters, min_size=1, max_size=60)
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(emails, min_size=1, max_size=40))
def test_the_database_and_we_name_logins_alike(
    database: Database, deployment: str, chosen: list[str]
) -> None:
    with database.begin() as connection:
        named = connection.exec_driver_sql(
            "SELECT sgmp.login_name(e) FROM unnest(%s) WITH ORDINALITY AS asked (e, place) ORDER BY place",
            ([email.lower() for email in chosen],),
        ).scalars()
    assert list(named) == [login_name(deployment, email) for email in chosen]
    assert all(len(login_name(deployment, email).encode()) <= 63 for email in chosen)


@pytest.mark.parametrize(
    "email", ["", "ada", "@example.org", "ada@", "a b@c", "ädå@example.org", "a@b@c", "a\n@b"]
)
def test_what_is_no_email_is_refused(database: Database, email: str) -> None:
    with pytest.raises(UserError, match="looks like"):
        create(database, email)


def test_an_email_has_one_account(database: Database) -> None:
    create(database, "ada@example.org")
    with pytest.raises(UserError, match="exists already"):
        create(database, "ADA@example.org")


def test_one_changes_the_own_password(database: Database, test_database: TestDatabase) -> None:
    create(database, "ada@example.org", must_change_password=True)
    with signed_in(test_database, "ada@example.org") as (mine, _), mine.begin() as connection:
        store.accounts.change_own_password(connection, "another one")
    with signed_in(test_database, "ada@example.org", "another one") as (_, account):
        assert not account.must_change_password
    with pytest.raises(SignInRefused), signed_in(test_database, "ada@example.org"):
        pass


def test_a_reset_password_must_be_changed(database: Database, test_database: TestDatabase) -> None:
    ada = create(database, "ada@example.org")
    with database.begin() as connection:
        store.accounts.reset_password(connection, ada.account_id, "from the admin")
    with signed_in(test_database, "ada@example.org", "from the admin") as (_, account):
        assert account.must_change_password


def test_a_reset_ends_what_was_signed_in(database: Database, test_database: TestDatabase) -> None:
    ada = create(database, "ada@example.org")
    with signed_in(test_database, "ada@example.org") as (hers, _):
        with database.begin() as connection:
            store.accounts.reset_password(connection, ada.account_id, "from the admin")
        with pytest.raises(SignInRefused), hers.begin() as connection:
            connection.exec_driver_sql("SELECT 1")


def test_who_must_change_the_password_can_do_nothing_else(
    database: Database, test_database: TestDatabase
) -> None:
    create(database, "ada@example.org", must_change_password=True)
    with database.begin() as connection:
        store.houses.create(connection, "North")
    with signed_in(test_database, "ada@example.org") as (hers, account):
        assert account.must_change_password
        assert account.permissions == frozenset()
        with hers.begin() as connection:
            assert store.houses.list_all(connection) == []
        with pytest.raises(Refused):
            create(hers, "bob@example.org")
        with hers.begin() as connection:
            store.accounts.change_own_password(connection, "another one")
        with hers.begin() as connection:
            assert len(store.houses.list_all(connection)) == 1
            assert "manage_accounts" in store.accounts.current(connection).permissions


def test_an_initial_password_expires_after_a_week(database: Database, test_database: TestDatabase) -> None:
    ada = create(database, "ada@example.org", must_change_password=True)

    def set_days_ago(days: int) -> None:
        with database.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE sgmp.account SET password_set_at = now() - %s * interval '24 hours'", (days,)
            )

    set_days_ago(6)
    with signed_in(test_database, "ada@example.org") as (hers, _):
        set_days_ago(8)
        with pytest.raises(Refused, match="has expired"), hers.begin() as connection:
            store.accounts.change_own_password(connection, "another one")
    with pytest.raises(PasswordExpired), signed_in(test_database, "ada@example.org"):
        pass
    with pytest.raises(SignInRefused) as refused, signed_in(test_database, "ada@example.org", "wrong"):
        pass
    assert type(refused.value) is SignInRefused
    with database.begin() as connection:
        store.accounts.reset_password(connection, ada.account_id, "from the admin")
    with signed_in(test_database, "ada@example.org", "from the admin"):
        pass


def test_a_chosen_password_does_not_expire(database: Database, test_database: TestDatabase) -> None:
    create(database, "ada@example.org")
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.account SET password_set_at = now() - interval '900 days'")
    with signed_in(test_database, "ada@example.org"):
        pass


def test_nobody_deletes_the_account_they_are_signed_in_with(
    database: Database, test_database: TestDatabase
) -> None:
    create(database, "bob@example.org")
    ada = create(database, "ada@example.org")
    with (
        signed_in(test_database, "ada@example.org") as (hers, _),
        pytest.raises(UserError, match="signed in with"),
        hers.begin() as connection,
    ):
        store.accounts.delete(connection, ada.account_id)


def test_the_names_of_logins_do_not_tell_emails(database: Database) -> None:
    create(database, "ada@example.org")
    with database.begin() as connection:
        names = connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars().all()
    assert not any("ada" in name or "@" in name for name in names)


def test_sessions_have_limits_of_their_own(database: Database, test_database: TestDatabase) -> None:
    create(database, "ada@example.org")
    with database.begin() as connection:
        limit, settings = connection.exec_driver_sql(
            "SELECT rolconnlimit, rolconfig FROM pg_roles WHERE rolname = %s",
            (login_name(test_database.deployment, "ada@example.org"),),
        ).one()
    assert limit == migrations.CONNECTION_LIMIT
    assert set(settings) == {"statement_timeout=15min", "idle_in_transaction_session_timeout=5min"}


def test_a_disabled_account_is_out_at_once_and_in_again_when_enabled(
    database: Database, test_database: TestDatabase
) -> None:
    create(database, "boss@example.org")
    ada = create(database, "ada@example.org", role="visitor")
    with signed_in(test_database, "ada@example.org") as (hers, _):
        with database.begin() as connection:
            disabled = store.accounts.update(connection, replace(ada, enabled=False))
        with pytest.raises((store.DatabaseUnavailable, SignInRefused)), hers.begin() as connection:
            connection.exec_driver_sql("SELECT 1")
        with pytest.raises(AccountDisabled), signed_in(test_database, "ada@example.org"):
            pass
        with database.begin() as connection:
            store.accounts.update(connection, replace(disabled, enabled=True))
        with hers.begin() as connection:
            connection.exec_driver_sql("SELECT 1")


def test_a_deleted_account_leaves_no_login(database: Database, test_database: TestDatabase) -> None:
    create(database, "boss@example.org")
    ada = create(database, "ada@example.org")
    with database.begin() as connection:
        store.accounts.delete(connection, ada.account_id)
    with database.begin() as connection:
        logins = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_roles WHERE rolname = %s",
            (login_name(test_database.deployment, "ada@example.org"),),
        ).scalar_one()
    assert logins == 0
    create(database, "ada@example.org")


def test_the_last_administrator_stays(database: Database) -> None:
    ada = create(database, "ada@example.org")
    with pytest.raises(UserError, match="last administrator"), database.begin() as connection:
        store.accounts.delete(connection, ada.account_id)
    for change in ({"role": "visitor"}, {"enabled": False}):
        with pytest.raises(UserError, match="last administrator"), database.begin() as connection:
            store.accounts.update(connection, replace(ada, **change))
    create(database, "bob@example.org")
    with database.begin() as connection:
        store.accounts.delete(connection, ada.account_id)


def test_of_two_changes_the_second_is_told(database: Database) -> None:
    create(database, "boss@example.org")
    ada = create(database, "ada@example.org")
    with database.begin() as connection:
        store.accounts.update(connection, replace(ada, name="Ada"))
    with pytest.raises(ChangedMeanwhile), database.begin() as connection:
        store.accounts.update(connection, replace(ada, role="visitor"))


def test_nobody_gives_more_than_they_have(database: Database, test_database: TestDatabase) -> None:
    with database.begin() as connection:
        house = store.houses.create(connection, "North")
        role = connection.exec_driver_sql(
            "INSERT INTO sgmp.role (name) VALUES ('clerk') RETURNING role_id"
        ).scalar_one()
        connection.exec_driver_sql(
            "INSERT INTO sgmp.role_permission VALUES (%s, 'manage_accounts'), (%s, 'view_dashboards')",
            (role, role),
        )
    boss = create(database, "boss@example.org")
    create(database, "clerk@example.org", role="clerk", house_id=house.house_id)
    with signed_in(test_database, "clerk@example.org") as (hers, clerk):
        create(hers, "guest@example.org", role="visitor", house_id=house.house_id)
        with pytest.raises(Refused, match="permissions that you don't have"):
            create(hers, "evil@example.org", role="admin", house_id=house.house_id)
        with pytest.raises(Refused), hers.begin() as connection:
            store.accounts.update(connection, replace(clerk, role="admin"))
        with pytest.raises(UserError), hers.begin() as connection:
            store.accounts.reset_password(connection, boss.account_id, "mine now")


@pytest.mark.parametrize(
    "verifier",
    [
        "in clear",
        "md5" + "0" * 32,
        # So few iterations that it could be guessed in no time.
        f"SCRAM-SHA-256$1:{'A' * 22}==${'A' * 43}=:{'A' * 43}=",
        f"SCRAM-SHA-256$4096:{'A' * 22}==${'A' * 43}=:{'A' * 43}=' VALID UNTIL 'infinity",
    ],
)
def test_a_password_reaches_the_database_as_a_verifier_only(database: Database, verifier: str) -> None:
    with pytest.raises(UserError, match="SCRAM"), database.begin() as connection:
        connection.exec_driver_sql(
            "SELECT sgmp.create_account('ada@example.org', 'Ada', 'admin', NULL, %s, true)", (verifier,)
        )


def test_the_owner_is_no_account(database: Database) -> None:
    with pytest.raises(SignInRefused), database.begin() as connection:
        store.accounts.current(connection)
