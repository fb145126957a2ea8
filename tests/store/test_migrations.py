"""Migrations make what the models say, keep what is there, and can be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sgmp_console import store
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.store import Batch, Database
from sgmp_console.store.tables import SCHEMA, metadata
from tests.database import TestDatabase, TestServer
from tests.store.conftest import Place

T0 = 1_750_000_000_000


def test_models_and_migrations_agree(database: Database) -> None:
    # TimescaleDB's continuous aggregates are views, its chunks and own indexes are elsewhere.
    with database.begin() as connection:
        views = set(
            connection.exec_driver_sql(
                "SELECT relname FROM pg_class WHERE relnamespace = 'sgmp'::regnamespace AND relkind = 'v'"
            ).scalars()
        )
        partitions = set(
            connection.exec_driver_sql("SELECT relname FROM pg_class WHERE relispartition").scalars()
        )

        def is_ours(name: str | None, kind: str, parents: object) -> bool:
            if kind == "schema":
                return name == SCHEMA
            # `late` is needed beside TimescaleDB's policies only.
            return kind != "table" or name not in partitions | {"late"}

        context = MigrationContext.configure(
            connection,
            opts={"include_schemas": True, "include_name": is_ours, "version_table_schema": SCHEMA},
        )
        differences = compare_metadata(context, metadata)
    assert [one for one in differences if not (one[0] == "add_table" and one[1].name in views)] == []


def test_migrating_again_changes_nothing_and_keeps_data(place: Place, test_database: TestDatabase) -> None:
    place.write({T0: {"x": 1.0}})
    store.migrate(test_database.url, test_database.deployment)
    assert place.read("x", 0, T0 + 1) == {T0: 1.0}


def test_programs_are_renewed_and_keep_data(place: Place, test_database: TestDatabase) -> None:
    place.write({T0: {"x": 1.0}})
    with place.database.begin() as connection:
        store.analytics.create(connection, place.house.house_id, "solar", "meter.x")
        connection.exec_driver_sql("UPDATE sgmp.installation SET value = 'older' WHERE key = 'programs'")
        connection.exec_driver_sql("DROP VIEW sgmp.readings")
    store.migrate(test_database.url, test_database.deployment)
    assert place.read("x", 0, T0 + 1) == {T0: 1.0}
    assert place.write({T0 + 1: {"x": 2.0}}).readings == 1


def test_migrations_at_the_same_time_wait_for_each_other(database_server: TestServer) -> None:
    with database_server.empty_database() as made, ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: store.migrate(made.url, made.deployment), range(3)))
        with opened(made.url) as database, database.begin() as connection:
            assert store.houses.list_all(connection) == []


def test_a_database_belongs_to_one_deployment(test_database: TestDatabase) -> None:
    with pytest.raises(SgmpError, match="belongs to deployment"):
        store.migrate(test_database.url, "other")
    # Not even roles of the other one are left.
    with opened(test_database.url) as database, database.begin() as connection:
        roles = connection.exec_driver_sql("SELECT count(*) FROM pg_roles WHERE rolname = 'other_ingest'")
        assert roles.scalar_one() == 0


def test_a_deployments_name_is_used_once_on_a_server(
    database_server: TestServer, test_database: TestDatabase
) -> None:
    with (
        database_server.empty_database() as made,
        pytest.raises(UserError, match="belongs to something else"),
    ):
        store.migrate(made.url, test_database.deployment)


@pytest.mark.parametrize("deployment", ["", "1st", "a b", "a-b", "x" * 33, 'a"b', "ä"])
def test_a_deployments_name_can_stand_in_topics_and_roles(deployment: str) -> None:
    with pytest.raises(UserError, match="deployment's name"):
        store.migrate("postgresql://127.0.0.1/none", deployment)


def test_a_failed_migration_leaves_nothing(database_server: TestServer) -> None:
    with database_server.empty_database() as made:
        with opened(made.url) as database:
            with database.begin() as connection:
                connection.exec_driver_sql("CREATE SCHEMA sgmp")
                connection.exec_driver_sql("CREATE TABLE sgmp.quarantine (in_the_way integer)")
            with pytest.raises(store.StatementFailed):
                store.migrate(made.url, made.deployment)
            with database.begin() as connection:
                tables = connection.exec_driver_sql(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'sgmp'"
                )
                assert tables.scalars().all() == ["quarantine"]
                connection.exec_driver_sql("DROP SCHEMA sgmp CASCADE")
        store.migrate(made.url, made.deployment)


def test_an_owner_who_is_no_superuser_suffices(database_server: TestServer) -> None:
    with database_server.managed_database() as made:
        store.migrate(made.url, made.deployment)
        with opened(made.url) as database:
            with database.begin() as connection:
                house = store.houses.create(connection, "North")
                device = store.devices.create(connection, house.house_id, "meter", "egauge", {})
                row = store.ReadingRow(house.house_id, device.device_id, "meter", T0, {"x": 1.0})
                store.readings.write(connection, Batch(readings=[row]))
                store.access.set_ingest_password(connection, made.deployment, "ingest password")
                accounts = [
                    store.accounts.create(
                        connection,
                        email=email,
                        name="A",
                        role="admin",
                        house_id=None,
                        password="correct horse",
                        must_change_password=False,
                    )
                    for email in ("ada@example.org", "bob@example.org")
                ]
            hers, _ = store.sign_in(made.address, made.deployment, "ada@example.org", "correct horse")
            with hers.begin() as connection:
                found = store.readings.read(connection, house.house_id, [("meter", "x")], T0, T0 + 1)
                assert len(found["meter", "x"]) == 1
                store.accounts.change_own_password(connection, "another horse")
            with database.begin() as connection:
                store.accounts.delete(connection, accounts[0].account_id)
            with pytest.raises((store.DatabaseUnavailable, store.SignInRefused)), hers.begin():
                pass  # the session that was open has ended, too
            hers.dispose()


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database.connect(url)
    yield database
    database.dispose()
