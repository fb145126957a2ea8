"""What was taken from an account is gone at once, also for sessions that were open; and nobody becomes undeletable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg2
import psycopg2.extensions
import pytest
from psycopg2 import sql

from sgmp_console import store
from sgmp_console.errors import Unavailable
from sgmp_console.fleet import accounts
from sgmp_console.store import Account, Database, login_name
from tests.database import TestDatabase, TestServer
from tests.waiting import wait_until

PASSWORD = "correct horse battery"


@pytest.fixture
def house_id(database: Database) -> int:
    with database.begin() as connection:
        return store.houses.create(connection, "North").house_id


def made(database: Database, name: str, role: str, house_id: int | None) -> Account:
    with database.begin() as connection:
        return store.accounts.create(
            connection,
            email=f"{name}@example.org",
            name=name,
            role=role,
            house_id=house_id,
            password=PASSWORD,
            must_change_password=False,
        )


@pytest.fixture
def admin(database: Database) -> Account:
    return made(database, "admin", "admin", None)


@pytest.fixture
def researcher(database: Database, admin: Account, house_id: int) -> Account:
    return made(database, "researcher", "researcher", house_id)


@pytest.fixture
def session(test_database: TestDatabase, researcher: Account) -> Iterator[psycopg2.extensions.connection]:
    with closing(connected(test_database, researcher)) as connection:
        yield connection


def connected(where: TestDatabase, account: Account) -> psycopg2.extensions.connection:
    login = login_name(where.deployment, account.email)
    connection = psycopg2.connect(where.address, user=login, password=PASSWORD)
    connection.autocommit = True
    return connection


def asked(connection: psycopg2.extensions.connection, statement: str | sql.Composable) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def is_ended(connection: psycopg2.extensions.connection) -> bool:
    try:
        asked(connection, "SELECT 1")
    except psycopg2.OperationalError:
        return True
    return False


def assign(database: Database, account: Account, **change: object) -> None:
    with database.begin() as connection:
        present = store.accounts.get(connection, account.account_id)
        store.accounts.update(connection, replace(present, **change))  # type: ignore[arg-type]


# --- Sessions end with what they were begun with ------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"role": "visitor"}, {"house_id": None}, {"enabled": False}])
def test_a_session_ends_when_its_account_is_given_less(
    database: Database,
    researcher: Account,
    session: psycopg2.extensions.connection,
    change: dict[str, object],
) -> None:
    assign(database, researcher, **change)
    assert is_ended(session)


def test_a_change_of_name_ends_no_session(
    database: Database, researcher: Account, session: psycopg2.extensions.connection
) -> None:
    assign(database, researcher, name="Another")
    assert not is_ended(session)


def test_a_session_ends_when_its_role_loses_a_permission(
    database: Database, test_database: TestDatabase, house_id: int
) -> None:
    with database.begin() as connection:
        role = store.roles.create(connection, "analyst", permissions=["view_dashboards", "manage_analytics"])
    account = made(database, "analyst", "analyst", house_id)
    with closing(connected(test_database, account)) as session:
        with database.begin() as connection:
            store.roles.update(connection, replace(role, permissions=frozenset({"view_dashboards"})))
        assert is_ended(session)


def test_whoever_knew_the_old_password_is_out_when_it_was_changed(
    test_database: TestDatabase, researcher: Account, session: psycopg2.extensions.connection
) -> None:
    with closing(connected(test_database, researcher)) as thief:
        hers, _ = store.sign_in(test_database.address, test_database.deployment, researcher.email, PASSWORD)
        accounts.change_own_password(hers, researcher.email, PASSWORD, "much longer than before")
        assert is_ended(thief)
        with hers.begin() as connection:
            assert store.accounts.current(connection).email == researcher.email
        hers.dispose()


def test_a_session_that_came_back_before_a_deletion_was_committed_ends_with_it(
    database: Database, test_database: TestDatabase, researcher: Account
) -> None:
    with database.begin() as connection:
        store.accounts.delete(connection, researcher.account_id)
        late = connected(test_database, researcher)
    with closing(late):
        assert is_ended(late)


# --- Permissions are those of now ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_no_transaction_keeps_the_permissions_of_when_it_began(
    session: psycopg2.extensions.connection, level: str
) -> None:
    asked(session, f"BEGIN ISOLATION LEVEL {level}")
    with pytest.raises(psycopg2.Error) as refused:
        asked(session, "SELECT sgmp.may('manage_analytics')")
    assert refused.value.pgcode == "SG002"
    asked(session, "ROLLBACK")
    assert asked(session, "SELECT sgmp.may('manage_analytics')") is True


def test_two_administrators_can_not_demote_each_other(
    database: Database, test_database: TestDatabase, admin: Account
) -> None:
    other = made(database, "other", "admin", None)
    with closing(connected(test_database, admin)) as one, closing(connected(test_database, other)) as two:
        demote = "SELECT sgmp.update_account({}, 1, 'x', 'visitor', NULL, true)"
        asked(two, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        asked(two, "SELECT count(*) FROM sgmp.permission")  # the snapshot, in which both are administrators
        asked(one, demote.format(other.account_id))
        with pytest.raises(psycopg2.Error):
            asked(two, demote.format(admin.account_id))
    with database.begin() as connection:
        roles = {account.email: account.role for account in store.accounts.list_all(connection)}
    assert roles == {"admin@example.org": "admin", "other@example.org": "visitor"}


# --- What an account leaves behind --------------------------------------------------------------------------------------


def test_an_account_whose_login_owns_something_is_deleted_like_others(
    database: Database,
    test_database: TestDatabase,
    researcher: Account,
    session: psycopg2.extensions.connection,
) -> None:
    asked(session, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    accounts.delete(database, [researcher.account_id])
    assert is_ended(session)
    with pytest.raises(psycopg2.OperationalError):
        connected(test_database, researcher)
    # Its email can be used again, by somebody who has nothing of it.
    assert accounts.create(database, email=researcher.email, name="New", role="visitor", house_id=None)


def test_an_owner_who_is_no_superuser_gets_rid_of_it_too(database_server: TestServer) -> None:
    with database_server.managed_database() as where:
        store.migrate(where.url, where.deployment)
        owner = Database.connect(where.url)
        made(owner, "admin", "admin", None)
        visitor = made(owner, "visitor", "visitor", None)
        with closing(connected(where, visitor)) as session:
            asked(session, "SELECT lo_create(0)")
            accounts.delete(owner, [visitor.account_id])
            assert is_ended(session)
        with pytest.raises(psycopg2.OperationalError):
            connected(where, visitor)
        owner.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT public.add_job('_timescaledb_functions.policy_job_stat_history_retention', '1 h')",
    ],
)
def test_accounts_leave_nothing_in_the_database_beside_its_tables(
    session: psycopg2.extensions.connection, statement: str
) -> None:
    """Large objects would fill the disk, jobs go on without a session."""
    with pytest.raises(psycopg2.Error) as refused:
        asked(session, statement)
    assert refused.value.pgcode == "42501" or ("add_job" in statement and refused.value.pgcode == "42883")


def test_a_reset_password_ends_sessions_even_of_who_came_back_meanwhile(
    database: Database, test_database: TestDatabase, researcher: Account
) -> None:
    with database.begin() as connection:
        store.accounts.reset_password(connection, researcher.account_id, "another one, longer")
        late = connected(test_database, researcher)
    with closing(late):
        assert is_ended(late)


def test_the_console_goes_on_when_its_role_changed(
    database: Database, test_database: TestDatabase, researcher: Account
) -> None:
    console, _ = store.sign_in(test_database.address, test_database.deployment, researcher.email, PASSWORD)
    assign(database, researcher, role="visitor")
    try:
        with console.begin() as connection:
            assert store.accounts.current(connection).role == "visitor"
    except Unavailable as error:
        pytest.fail(str(error))
    finally:
        console.dispose()


# --- Nothing that a session holds keeps an act from being done ----------------------------------------------------------

HOLDING = (
    "ALTER ROLE CURRENT_USER PASSWORD 'another secret'",
    f"SELECT sgmp.set_own_password('{'SCRAM-SHA-256$4096:' + 'A' * 22 + '==$' + 'A' * 43 + '=:' + 'A' * 43 + '='}')",
    "SELECT sgmp.note_sign_in()",
)


@pytest.mark.parametrize("statement", HOLDING)
@pytest.mark.parametrize("act", ["disable", "move", "rename", "reset", "delete"])
def test_an_account_that_idles_in_a_transaction_can_be_acted_on(
    database: Database,
    researcher: Account,
    session: psycopg2.extensions.connection,
    statement: str,
    act: str,
) -> None:
    session.autocommit = False
    asked(session, "SET idle_in_transaction_session_timeout = 0")
    asked(session, statement)
    acts: dict[str, Callable[[], object]] = {
        "disable": lambda: assign(database, researcher, enabled=False),
        "move": lambda: assign(database, researcher, house_id=None),
        "rename": lambda: assign(database, researcher, name="Renamed"),
        "reset": lambda: reset(database, researcher),
        "delete": lambda: accounts.delete(database, [researcher.account_id]),
    }
    acts[act]()
    with database.begin() as connection:
        left = {account.email: account for account in store.accounts.list_all(connection)}
    present = left.get(researcher.email)
    assert (present is None) == (act == "delete")
    if present is not None:
        assert present.enabled == (act != "disable")
        assert (present.name == "Renamed") == (act == "rename")


def reset(database: Database, account: Account) -> None:
    with database.begin() as connection:
        store.accounts.reset_password(connection, account.account_id, "another long secret")


def test_one_that_manages_accounts_can_not_keep_an_administrator_from_disabling_it(
    database: Database, test_database: TestDatabase, admin: Account, researcher: Account, house_id: int
) -> None:
    """Whatever it holds of other accounts, too."""
    with database.begin() as connection:
        store.roles.create(connection, "clerk", permissions=["manage_accounts", *researcher.permissions])
    clerk = made(database, "clerk", "clerk", house_id)
    with closing(connected(test_database, clerk)) as connection:
        connection.autocommit = False
        asked(
            connection,
            f"SELECT sgmp.update_account({researcher.account_id}, 1, 'Held', 'researcher', {house_id}, true)",
        )
        assign(database, clerk, enabled=False)
        assign(database, researcher, enabled=False)


def test_a_transaction_that_idles_for_long_is_ended_whatever_it_set(
    database: Database, session: psycopg2.extensions.connection
) -> None:
    session.autocommit = False
    asked(session, "SET idle_in_transaction_session_timeout = 0")
    asked(session, "SELECT count(*) FROM sgmp.houses")
    with database.begin() as connection:
        ended = connection.exec_driver_sql("SELECT sgmp.end_stale_sessions()").scalar_one()
    assert ended == 0  # not before five minutes
    with database.begin() as connection:
        ended = connection.exec_driver_sql(
            "SELECT sgmp.end_sessions_after(interval '0', interval '15 minutes')"
        ).scalar_one()
    assert (ended, is_ended(session)) == (1, True)


def test_a_statement_that_runs_for_long_is_ended_and_what_is_idle_is_not(
    database: Database, test_database: TestDatabase, researcher: Account
) -> None:
    login = login_name(test_database.deployment, researcher.email)
    with (
        closing(connected(test_database, researcher)) as idle,
        closing(psycopg2.connect(test_database.address, user=login, password=PASSWORD, async_=True)) as busy,
    ):
        wait_until(lambda: busy.poll() == psycopg2.extensions.POLL_OK)
        with busy.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND usename = %s"
        with database.begin() as connection:
            wait_until(
                lambda: (
                    connection.exec_driver_sql(
                        f"SELECT pg_stat_clear_snapshot(); {running}", (login,)
                    ).scalar_one()
                    == 1
                )
            )
            ended = connection.exec_driver_sql(
                "SELECT sgmp.end_sessions_after(interval '5 minutes', interval '0')"
            ).scalar_one()
        assert (ended, is_ended(idle)) == (1, False)
        with pytest.raises(psycopg2.OperationalError):
            wait_until(lambda: busy.poll() is None)
