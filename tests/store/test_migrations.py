"""Migrations make what the models say, keep what is there, and can be repeated."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sgmp_console import store
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.store import Batch, Database, migrations
from sgmp_console.store.tables import SCHEMA, metadata
from tests.database import TestDatabase, TestServer
from tests.reports.stored import run_policies, work_off_late_ranges
from tests.store.conftest import Place
from tests.store.revisions import create_tables

T0 = int(time.time() * 1000) - 60_000


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
            return kind != "table" or name not in partitions

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
        connection.exec_driver_sql("DROP VIEW sgmp.houses")
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


# As revision 0002 had them, without the programs of its time.
BEFORE_AUDIT = """
INSERT INTO sgmp.installation VALUES ('deployment', '{deployment}'), ('timescale', '{timescale}'),
    ('revision', '0002'), ('programs', 'of its time');
CREATE ROLE "{deployment}:ada@example.org" LOGIN CONNECTION LIMIT 16 PASSWORD '{ada}' IN ROLE {deployment}_accounts;
CREATE ROLE "{deployment}:bob@example.org" NOLOGIN PASSWORD '{bob}' IN ROLE {deployment}_accounts;
INSERT INTO sgmp.house (name) VALUES ('North');
INSERT INTO sgmp.account (email, name, role_id, login, enabled, must_change_password)
SELECT who || '@example.org', who, (SELECT role_id FROM sgmp.role WHERE name = 'admin'),
       '{deployment}:' || who || '@example.org', who = 'ada', false
FROM unnest(ARRAY['ada', 'bob']) who;
INSERT INTO sgmp.device (house_id, name, type, config)
VALUES (1, 'sonnen', 'sonnen', '{{"ip": "192.0.2.1", "token": "t0ps3cret"}}');
INSERT INTO sgmp.config_version (house_id, version, sha256, devices, created_by) VALUES
    (1, 1, 'abc', '[{{"device_id": 1, "name": "sonnen", "type": "sonnen", "config": {{"token": "t0ps3cret"}}}}]',
     '{deployment}:ada@example.org'),
    (1, 2, 'def', '[]', 'postgres');
INSERT INTO sgmp.analytic_item (house_id, name, formula) VALUES (1, 'soc', 'sonnen.soc');
"""


def test_what_was_stored_before_the_audit_is_kept(database_server: TestServer) -> None:
    with database_server.empty_database() as made, opened(made.url) as database:
        with database.begin() as connection:
            timescale = database_server.has_timescale
            create_tables(connection, made, "0002", timescale=timescale)
            values = {
                who: store.access.verifier(
                    connection, "correct horse", f"{made.deployment}:{who}@example.org"
                )
                for who in ("ada", "bob")
            }
            connection.exec_driver_sql(
                BEFORE_AUDIT.format(deployment=made.deployment, timescale=str(timescale).lower(), **values)
            )
        store.migrate(made.url, made.deployment)

        hers, ada = store.sign_in(made.address, made.deployment, "ada@example.org", "correct horse")
        assert (ada.role, ada.must_change_password) == ("admin", False)
        with hers.begin() as connection:
            (house,) = store.houses.list_all(connection)
            (device,) = store.devices.list_all(connection, house.house_id)
            assert device.config == {"ip": "192.0.2.1", "token": "***"}
            assert store.devices.reveal(connection, device.device_id)["token"] == "t0ps3cret"
            versions = store.config_versions.list_all(connection, house.house_id)
            assert [one.created_by for one in versions] == ["postgres", "ada@example.org"]
            assert len(store.analytics.list_all(connection, house.house_id)) == 1
            bob = next(one for one in store.accounts.list_all(connection) if one.email == "bob@example.org")
            store.accounts.update(connection, replace(bob, enabled=True))
        hers.dispose()
        store.sign_in(made.address, made.deployment, "bob@example.org", "correct horse")[0].dispose()
        with database.begin() as connection:
            logins = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%%@%%' AND starts_with(rolname, %s)",
                (f"{made.deployment}:",),
            )
            assert logins.scalar_one() == 0


BEFORE_THE_BOUND = """
INSERT INTO sgmp.installation VALUES ('deployment', '{deployment}'), ('timescale', '{timescale}'),
    ('revision', '0008'), ('programs', 'of its time');
INSERT INTO sgmp.house (name) VALUES ('North');
INSERT INTO sgmp.device (house_id, name, type, config) VALUES (1, 'meter', 'egauge', '{{}}');
INSERT INTO sgmp.series (house_id, device_id, field, aggregated) VALUES (1, 1, 'x', true), (1, 1, 'y', true);
INSERT INTO sgmp.analytic_item (house_id, name, formula) VALUES (1, 'both', 'meter.x + meter.y');
INSERT INTO sgmp.aggregation (item_id, house_id, device_name, field) VALUES (1, 1, 'meter', 'x'), (1, 1, 'meter', 'y');
"""


def test_readings_that_were_stored_before_they_had_a_bound_stop_nothing(
    database_server: TestServer,
) -> None:
    start_ms = (int(time.time() * 1000) - 3 * 86_400_000) // 3_600_000 * 3_600_000
    values = {"x": [1.0, sys.float_info.max, sys.float_info.max, 4.0], "y": [1.0, 2.0, 3.0, 4.0]}
    with database_server.empty_database() as made, opened(made.url) as database:
        timescale = database_server.has_timescale
        with database.begin() as connection:
            create_tables(connection, made, "0008", timescale=timescale)
            connection.exec_driver_sql(
                BEFORE_THE_BOUND.format(deployment=made.deployment, timescale=str(timescale).lower())
            )
            if not timescale:
                connection.exec_driver_sql(
                    "CREATE TABLE sgmp.reading_old PARTITION OF sgmp.reading FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
                )
                # As an ingest of that time kept them: two slots whose sum was a float, and no more than that.
                connection.exec_driver_sql(
                    "INSERT INTO sgmp.slot SELECT 1, to_timestamp(%s + i * 300), 1, 1.7e308, 1.7e308, 0, 1.7e308, 1.7e308, 0"
                    " FROM generate_series(0, 1) i",
                    (start_ms // 1000,),
                )
            for number, column in enumerate(values.values(), 1):
                connection.exec_driver_sql(
                    "INSERT INTO sgmp.reading SELECT %s, to_timestamp(%s + 100 * (n - 1)), v"
                    " FROM unnest(CAST(%s AS float8[])) WITH ORDINALITY AS given (v, n)",
                    (number, start_ms // 1000, column),
                )
            if timescale:
                connection.exec_driver_sql("SELECT compress_chunk(c) FROM show_chunks('sgmp.reading') c")
        store.migrate(made.url, made.deployment)
        run_policies(made.url)
        work_off_late_ranges(made.url)
        with database.begin() as connection:
            keys = [("meter", "x"), ("meter", "y")]
            series = store.series_of(connection, 1)
            slots = store.aggregates.read_slots(connection, series, start_ms, start_ms + 3_600_000)
            hours = store.aggregates.read_hours(connection, series, start_ms, start_ms + 3_600_000)
            raw = store.readings.read(connection, 1, keys, start_ms, start_ms + 3_600_000)
        assert {name: series.values.tolist() for (_, name), series in raw.items()} == {
            "x": [1.0, 4.0],
            "y": values["y"],
        }
        assert {name: one.sums.tolist() for (_, name), one in slots.items()} == {
            "x": [1.0, 4.0],
            "y": [6.0, 4.0],
        }
        assert {name: one.sums.tolist() for (_, name), one in hours.items()} == {"x": [5.0], "y": [6.0]}


def test_a_device_type_that_is_declared_later_is_known_after_the_next_migration(
    test_database: TestDatabase, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.database.begin() as connection:
        device = store.devices.create(
            connection, place.house.house_id, "heat", "heatpump", {"ip": "192.0.2.1", "pin": 1234}
        )
        assert device.config == {"ip": "***", "pin": 1234}
    rows = [*migrations._device_settings(), ("heatpump", "ip", False), ("heatpump", "pin", True)]
    with monkeypatch.context() as later:
        later.setattr(migrations, "_device_settings", lambda: rows)
        store.migrate(test_database.url, test_database.deployment)
    with place.database.begin() as connection:
        assert store.devices.get(connection, device.device_id).config == {"ip": "192.0.2.1", "pin": "***"}
    store.migrate(test_database.url, test_database.deployment)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database.connect(url)
    yield database
    database.dispose()
