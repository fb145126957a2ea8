"""How the database is reached, and what is said when it is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from sgmp_console import store
from sgmp_console.errors import Refused, UserError
from sgmp_console.store import (
    Batch,
    Database,
    DatabaseUnavailable,
    OtherSchema,
    ReadingRow,
    SignInRefused,
    StatementFailed,
)
from sgmp_console.store.connecting import parameters_of
from tests.database import TestDatabase
from tests.proxy import Proxy, proxy_to
from tests.store.conftest import make_place

SECRET = "s3cret-passw0rd"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///sgmp",
        "postgresql://localhost/sgmp",
        "postgresql://127.0.0.1:5433/sgmp",
        "postgresql://[::1]/sgmp",
        "postgresql://127.0.0.1,127.0.0.2/sgmp",
        "postgresql:///sgmp?host=/var/run/postgresql",
    ],
)
def test_on_this_machine_tls_is_not_needed(url: str) -> None:
    assert "sslmode" not in parameters_of(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db.example.org/sgmp",
        "postgresql://192.0.2.7/sgmp",
        "postgresql://localhost,db.example.org/sgmp",
        "postgresql://localhost/sgmp?hostaddr=192.0.2.7",
        "postgresql://db.example.org/sgmp?sslmode=verify-full",
        "postgresql://localhost.example.org/sgmp",
    ],
)
def test_elsewhere_the_servers_certificate_is_verified(url: str) -> None:
    parameters = parameters_of(url)
    assert parameters["sslmode"] == "verify-full"
    assert parameters["sslrootcert"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db.example.org,db.example.org/sgmp?hostaddr=,",
        "postgresql://db.example.org,localhost/sgmp?hostaddr=,127.0.0.1",
        "postgresql://localhost,localhost/sgmp?hostaddr=127.0.0.1,192.0.2.7",
        "postgresql://localhost/sgmp?hostaddr=127.0.0.1,192.0.2.7",
        "postgresql://127.0.0.1/sgmp?host=/var/run/postgresql,db.example.org",
    ],
)
def test_one_place_elsewhere_is_enough_to_need_tls(url: str) -> None:
    assert parameters_of(url)["sslmode"] == "verify-full"
    with pytest.raises(UserError, match="verified certificate"):
        parameters_of(f"{url}&sslmode=disable")


def test_the_address_alone_says_where_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.org")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.7")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1"):
        Database.connect(f"postgresql://user@127.0.0.1:{port}/sgmp")
    assert parameters_of("postgresql:///sgmp")["host"] == ""


@pytest.mark.parametrize(
    "parameter",
    ["gssencmode=prefer", "service=elsewhere", "ssl_min_protocol_version=TLSv1"],
)
def test_tls_is_not_weakened_by_another_parameter(parameter: str) -> None:
    with pytest.raises(UserError, match=f"Remove `{parameter.partition('=')[0]}`"):
        parameters_of(f"postgresql://db.example.org/sgmp?{parameter}")


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca"])
def test_nobody_can_ask_for_less(mode: str) -> None:
    with pytest.raises(UserError, match="verified certificate"):
        parameters_of(f"postgresql://db.example.org/sgmp?sslmode={mode}")


def test_several_hosts_can_be_named() -> None:
    parameters = parameters_of(
        "postgresql://a.example.org,b.example.org:5433/sgmp?target_session_attrs=primary"
    )
    assert parameters["host"] == "a.example.org,b.example.org"
    assert parameters["target_session_attrs"] == "primary"


@pytest.mark.parametrize(
    "url", [f"postgresql://user:{SECRET}@host:port:1/x?y", f"user:{SECRET}", "http://x", "{"]
)
def test_an_address_that_can_not_be_read_is_not_quoted(url: str) -> None:
    with pytest.raises(UserError, match="can't be read") as refused:
        parameters_of(url)
    assert SECRET not in f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!s}"


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DatabaseUnavailable, match="refused") as refused:
        Database.connect(f"postgresql://user:{SECRET}@127.0.0.1:{port}/sgmp")
    assert SECRET not in str(refused.value)


def test_a_database_that_does_not_exist_is_told(test_database: TestDatabase) -> None:
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        Database.connect(test_database.url.replace(test_database.name, "no_such_database"))


def test_a_wrong_password_is_not_quoted(test_database: TestDatabase) -> None:
    with pytest.raises(SignInRefused) as refused:
        Database.connect(test_database.address, user="nobody", password=SECRET)
    assert SECRET not in f"{refused.value!r} {refused.value.__context__!r}"


@pytest.fixture
def proxy(test_database: TestDatabase) -> Iterator[Proxy]:
    with proxy_to(urlsplit(test_database.url).port or 5432) as running:
        yield running


@pytest.fixture
def through(proxy: Proxy, test_database: TestDatabase) -> Iterator[Database]:
    """As the owner, over a wire that can be cut."""
    parts = urlsplit(test_database.url)
    url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}").geturl()
    opened = Database.connect(url)
    yield opened
    opened.dispose()


def test_a_lost_connection_is_told_and_the_next_transaction_has_a_new_one(
    through: Database, proxy: Proxy
) -> None:
    def lose_it() -> None:
        with through.begin() as connection:
            proxy.cut()
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        lose_it()
    with pytest.raises(DatabaseUnavailable):
        lose_it()
    proxy.mend()
    with through.begin() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_a_connection_lost_while_copying_is_told(through: Database, proxy: Proxy) -> None:
    place = make_place(through)
    row = ReadingRow(place.house.house_id, place.meter.device_id, "meter", 1_750_000_000_000, {"x": 1.0})
    with through.begin() as connection:
        store.readings.write(connection, Batch(readings=[row]))

    def lose_it(work: str) -> None:
        with through.begin() as connection:
            connection.exec_driver_sql("SELECT 1")
            proxy.cut()
            if work == "read":
                store.readings.read(connection, place.house.house_id, [("meter", "x")], 0, 10**13)
            else:
                store.readings.write(connection, Batch(readings=[row]))

    for work in ("read", "write"):
        with pytest.raises(DatabaseUnavailable):
            lose_it(work)
        proxy.mend()
    with through.begin() as connection:
        assert store.readings.write(connection, Batch(readings=[row])).repeated == 1


def test_a_statement_that_takes_too_long_is_ended(database: Database) -> None:
    statement = "SET LOCAL statement_timeout = 50; SELECT pg_sleep(10)"
    with pytest.raises(DatabaseUnavailable, match="too long"), database.begin() as connection:
        connection.exec_driver_sql(statement)


def test_what_others_hold_is_not_waited_for_without_end(database: Database) -> None:
    with database.begin() as first:
        first.exec_driver_sql("LOCK TABLE sgmp.house")
        statement = "SET LOCAL lock_timeout = 50; SELECT FROM sgmp.house"
        with pytest.raises(DatabaseUnavailable, match="holds"), database.begin() as second:
            second.exec_driver_sql(statement)


def test_a_bug_is_told_without_the_data(database: Database) -> None:
    with pytest.raises(StatementFailed) as failed, database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO sgmp.config_version (sha256) VALUES (%s)", (SECRET,))
    assert "null value" in str(failed.value)
    error: BaseException | None = failed.value
    assert error is not None
    assert SECRET not in f"{error!r} {error.__cause__!r}"
    assert error.__suppress_context__


def test_the_databases_own_refusals_are_told(database: Database) -> None:
    for state, kind in (("SG001", UserError), ("SG002", Refused)):
        with pytest.raises(kind, match=r"^Why\.$"), database.begin() as connection:
            connection.exec_driver_sql(
                f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'Why.'; END $$"
            )


def test_nothing_of_an_address_but_host_and_database_is_shown(database: Database, database_url: str) -> None:
    parts = urlsplit(database_url)
    assert repr(database) == f"Database({parts.hostname}:{parts.port}{parts.path})"


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM sgmp.no_table", "SELECT no_column FROM sgmp.houses", "SELECT sgmp.no_function()"],
)
def test_what_a_database_of_another_version_does_not_have_is_a_sentence(
    database: Database, statement: str
) -> None:
    with pytest.raises(OtherSchema), database.begin() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(OtherSchema), database.begin() as connection, store.savepoint(connection):
        connection.exec_driver_sql(statement)
