"""Real databases for tests: our embedded PostgreSQL, or any server named by SGMP_TEST_DATABASE_URL (a superuser's URL).

A database is migrated once and used again: emptied between tests, which is ten times faster than a new one. Each has
a deployment name of its own, since PostgreSQL's roles belong to the whole server.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from sgmp_console.demo.postgres import EmbeddedPostgres
from sgmp_console.store import Database, migrate

SERVER_VARIABLE = "SGMP_TEST_DATABASE_URL"

# The data live as long as the tests. Nobody guesses passwords, but many are refused.
_CARELESS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "auth_delay.milliseconds": "0",
}

_numbers = itertools.count(1)

_EMPTY = """
SET LOCAL session_replication_role = replica;  -- no triggers, no foreign keys
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT CASE WHEN relname = 'role' THEN 'DELETE FROM sgmp.role WHERE NOT built_in'
                    WHEN relname = 'role_permission' THEN
                        'DELETE FROM sgmp.role_permission WHERE role_id NOT IN (SELECT role_id FROM sgmp.role)'
                    WHEN relname = 'installation' THEN 'DELETE FROM sgmp.installation WHERE key = ''raw_kept_from'''
                    -- A week that was packed would be packed no more.
                    WHEN obj_description(oid, 'pg_class') = 'packed' THEN format('DROP TABLE %s', oid::regclass)
                    -- Slower than to delete few rows, and not allowed where others refer to it.
                    WHEN relispartition OR pg_relation_size(oid) > 1000000 AND NOT EXISTS (SELECT FROM pg_constraint WHERE confrelid = c.oid)
                            THEN format('TRUNCATE %s', oid::regclass)
                    ELSE format('DELETE FROM %s', oid::regclass) END
        FROM pg_class c
        WHERE relnamespace = 'sgmp'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
          AND relname NOT IN ('alembic_version', 'device_setting', 'permission')
        ORDER BY relname
    LOOP
        EXECUTE statement;
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename), start_value, false)
    FROM pg_sequences WHERE schemaname = 'sgmp' AND sequencename <> 'role_role_id_seq' AND last_value IS NOT NULL;
END
$$;
"""


@dataclass(frozen=True)
class TestDatabase:
    """A migrated database. `url` is its owner's, who is a superuser; `address` names neither user nor password."""

    __test__ = False
    url: str
    address: str
    name: str
    deployment: str

    @cached_property
    def owner(self) -> Database:
        """Kept from test to test: until a new session has connected and learnt of tables and functions, 35 ms pass."""
        return Database.connect(self.url, application="sgmp-test")

    def forget(self) -> None:
        """What sessions of the owner know of rows that are gone."""
        if owner := vars(self).get("owner"):
            with owner.begin() as connection:
                connection.info.clear()
                has_more = connection.engine.pool.checkedin() > 0
            if has_more:
                owner.dispose()


class TestServer:
    """Makes databases and takes them back."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self.url = url
        self._parameters = psycopg2.extensions.parse_dsn(url)
        self._free: list[TestDatabase] = []
        self._all: list[TestDatabase] = []
        self._kept: dict[str | None, psycopg2.extensions.connection] = {}

    @contextmanager
    def empty_database(self) -> Iterator[TestDatabase]:
        """A new database without any tables, for what tests migrations themselves."""
        made = self._create()
        try:
            yield made
        finally:
            self._drop(made)

    @contextmanager
    def managed_database(self) -> Iterator[TestDatabase]:
        """A new one as a provider of databases gives it: its owner is no superuser, but may make roles."""
        with self.empty_database() as made:
            owner = sql.Identifier(f"{made.deployment}_owner")
            with self._superuser(made.name) as cursor:
                if self.has_timescale:
                    cursor.execute("CREATE EXTENSION timescaledb")
                cursor.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'pw'").format(owner))
                cursor.execute(
                    sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(made.name), owner)
                )
            url = made.address.replace("postgresql://", f"postgresql://{made.deployment}_owner:pw@")
            yield replace(made, url=url)

    @contextmanager
    def database(self) -> Iterator[TestDatabase]:
        """A migrated database without houses, accounts or readings."""
        if not self._free:
            made = self._create()
            self._all.append(made)
            migrate(made.url, made.deployment)
            if self.has_timescale:
                with self._superuser(made.name) as cursor:
                    # Runs as soon as the server comes to it, and tests store readings that are older than they are kept.
                    cursor.execute(
                        "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs"
                        " WHERE proc_name = 'policy_retention'"
                    )
            self._free.append(made)
        taken = self._free.pop()
        yield taken
        # Not after a failure inside: what that left behind is not ours to guess. It is dropped at the end.
        with self._superuser(taken.name) as cursor:
            self._drop_accounts(cursor, taken)
            cursor.execute("BEGIN")
            cursor.execute(_EMPTY)
            if self.has_timescale:
                _empty_hypertables(cursor)
            cursor.execute("COMMIT")
        taken.forget()
        self._free.append(taken)

    @cached_property
    def has_timescale(self) -> bool:
        """Whether migrations use TimescaleDB here."""
        with self._superuser() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')"
                " AND EXISTS (SELECT FROM pg_settings WHERE starts_with(name, 'timescaledb.'))"
            )
            if cursor.fetchone() != (True,):
                return False
        # Its edition is known only where it is installed, and no other database of the server need have it.
        with self.empty_database() as made, self._superuser(made.name) as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            cursor.execute("SELECT current_setting('timescaledb.license', true)")
            return cursor.fetchone() == ("timescale",)

    def close(self) -> None:
        for made in self._all:
            self._drop(made)
        for connection in self._kept.values():
            connection.close()

    def url_of(self, database: str) -> str:
        return _url({**self._parameters, "dbname": database})

    def _create(self) -> TestDatabase:
        deployment = f"t{os.getpid()}_{next(_numbers)}"
        name = f"sgmp_test_{deployment}"
        with self._superuser() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        address = {**self._parameters, "dbname": name}
        del address["user"], address["password"]
        return TestDatabase(self.url_of(name), _url(address), name, deployment)

    def _drop(self, made: TestDatabase) -> None:
        if made.name in self._kept:
            self._kept.pop(made.name).close()
        if owner := vars(made).get("owner"):
            owner.dispose()
        with self._superuser() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(made.name)))
            self._drop_accounts(cursor, made)
            for role in (f"{made.deployment}_{name}" for name in ("accounts", "ingest", "watch", "owner")):
                cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    @staticmethod
    def _drop_accounts(cursor: psycopg2.extensions.cursor, made: TestDatabase) -> None:
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", (f"{made.deployment}:",)
        )
        for (role,) in cursor.fetchall():
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (role,)
            )
            cursor.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))

    @contextmanager
    def _superuser(self, database: str | None = None) -> Iterator[psycopg2.extensions.cursor]:
        """Through a connection that is kept: a new one takes its 5 ms, and 20 more to learn of the tables."""
        kept = self._kept.pop(database, None)
        if kept is None or not answers(kept):  # tests cut connections
            kept = psycopg2.connect(self.url_of(database) if database else self.url)
            kept.autocommit = True
        try:
            with kept.cursor() as cursor:
                yield cursor
        except BaseException:
            kept.close()
            raise
        self._kept[database] = kept


def answers(connection: psycopg2.extensions.connection) -> bool:
    """Closes it where not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT")
    except psycopg2.Error:
        connection.close()
        return False
    return True


@contextmanager
def running_server() -> Iterator[TestServer]:
    """The server of SGMP_TEST_DATABASE_URL, or an embedded one for as long as the block lasts."""
    if url := os.environ.get(SERVER_VARIABLE):
        server = TestServer(url)
        try:
            yield server
        finally:
            server.close()
        return
    folder = Path(tempfile.mkdtemp(prefix="sgmp-postgres-"))
    postgres = EmbeddedPostgres(folder, settings=_CARELESS)
    try:
        yield TestServer(postgres.start())
    finally:
        postgres.stop()
        shutil.rmtree(folder)


def _url(parameters: dict[str, str]) -> str:
    given = dict(parameters)
    user, password = given.pop("user", ""), given.pop("password", "")
    who = f"{user}:{password}@" if user else ""
    host, port, name = given.pop("host"), given.pop("port", "5432"), given.pop("dbname")
    rest = "&".join(f"{key}={value}" for key, value in given.items())
    return f"postgresql://{who}{host}:{port}/{name}" + (f"?{rest}" if rest else "")


def _empty_hypertables(cursor: psycopg2.extensions.cursor) -> None:
    """Of TimescaleDB. What was merged after the watermark is in the table below the view, but not in the view."""
    cursor.execute(
        "SELECT format('%I.%I', view_schema, view_name),"
        " format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
        " FROM timescaledb_information.continuous_aggregates WHERE view_schema = 'sgmp' ORDER BY view_name"
    )
    for name, table in [("sgmp.reading", "sgmp.reading"), *cursor.fetchall()]:
        cursor.execute(f"SELECT FROM {table} LIMIT 1")
        if cursor.rowcount:
            cursor.execute(f"TRUNCATE {name}")
