"""A database of the last release comes to the present state with all that is in it (release/README.md)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgmp_console import store
from sgmp_console.store import Database, aggregates
from sgmp_console.store.rows import driver
from tests.database import TestDatabase, TestServer
from tests.store.revisions import create_tables

DUMP = Path(__file__).parent / "release" / "313377f.sql.gz"
PASSWORD = "correct horse battery"
REVISION = "0003"
T0 = 1_790_000_400_000


@pytest.fixture(scope="module")
def migrated(database_server: TestServer) -> Iterator[TestDatabase]:
    with database_server.empty_database() as made:
        dump = gzip.decompress(DUMP.read_bytes()).decode("utf-8")
        dump = dump.replace("releasedump", made.deployment).replace("DATABASE_NAME", made.name)
        owner = Database.connect(made.url)
        with owner.begin() as connection:
            if database_server.has_timescale:
                create_tables(connection, made, REVISION, timescale=True)
                # Its readings are older than they are kept.
                connection.exec_driver_sql(
                    "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs"
                )
                dump = on_timescale(dump)
            with driver(connection).cursor() as cursor:
                cursor.execute(dump)
        owner.dispose()
        store.migrate(made.url, made.deployment)
        yield made


def on_timescale(dump: str) -> str:
    """What the dump, which is of a plain PostgreSQL, says of accounts and data, for tables that are there."""
    accounts = re.findall(
        r'^(?:CREATE|GRANT|ALTER|COMMENT ON) ROLE "[^"]*:.*$|^GRANT .* TO ".*$', dump, re.MULTILINE
    )
    data = re.findall(r"^INSERT INTO sgmp\.(\w+)(.*?;\n)(?!\t)", dump, re.MULTILINE | re.DOTALL)
    sequences = re.findall(r"^SELECT pg_catalog\.setval.*$", dump, re.MULTILINE)
    statements = [*accounts, "SET LOCAL session_replication_role = replica;"]
    for table, rows in data:
        if table in ("slot", "hour", "alembic_version"):
            continue
        if table.startswith("reading_"):
            table = "reading"
        else:
            statements.append(f"DELETE FROM sgmp.{table};")
        statements.append(
            f"INSERT INTO sgmp.{table}{rows}".replace("('timescale', 'false')", "('timescale', 'true')")
        )
    return "\n".join([*statements, *sequences, "SET LOCAL session_replication_role = origin;"])


@pytest.fixture
def hers(migrated: TestDatabase) -> Iterator[Database]:
    database, _ = store.sign_in(migrated.address, migrated.deployment, "ada@example.org", PASSWORD)
    yield database
    database.dispose()


def test_an_administrator_of_the_last_release_finds_everything(hers: Database) -> None:
    with hers.begin() as connection:
        (house,) = store.houses.list_all(connection)
        assert (house.name, house.description, house.time_zone) == (
            "North",
            "The first house",
            "Europe/Berlin",
        )
        battery, meter = store.devices.list_all(connection, house.house_id)
        assert battery.config == {"ip": "192.0.2.2", "serial": "1", "token": "***"}
        assert meter.config["keys"] == ["A.Load"]
        (item,) = store.analytics.list_all(connection, house.house_id)
        assert (item.formula, item.unit, item.aggregated) == ("-meter.A.Load", "kW", True)
        assert aggregates.registered(connection, house.house_id) == {
            ("meter", "A.Load"): frozenset({item.item_id})
        }
        assert [account.email for account in store.accounts.list_all(connection)] == [
            "ada@example.org",
            "bob@example.org",
        ]
        assert "installer" in {role.name for role in store.roles.list_all(connection)}
        (version,) = store.config_versions.list_all(connection, house.house_id)
        assert (version.sha256, version.published_ms is not None) == ("abc", True)
        assert store.config_versions.edge_state(connection, house.house_id).status == {"backlog": 3}
        assert {event.type for event in store.events.read(connection, house.house_id, T0, T0 + 1)} == {
            "WARNING",
            "EDGE_STATUS",
        }
        assert [one.topic for one in store.quarantine.read(connection)] == ["a topic"]
        assert {entry.act for entry in store.audit.read(connection)} >= {"create", "reveal_secrets"}
        assert store.devices.reveal(connection, battery.device_id)["token"] == "s3cret"


def test_its_readings_and_aggregates_go_on(migrated: TestDatabase, hers: Database) -> None:
    with hers.begin() as connection:
        (house,) = store.houses.list_all(connection)
        key = ("meter", "A.Load")
        series = store.readings.read(connection, house.house_id, [key], T0, T0 + 10**9)[key]
        assert series.timestamps.tolist() == [T0 + 60_000 * i for i in range(20)]
        assert series.values.tolist() == [i / 4 for i in range(20)]
        slots = aggregates.read_slots(
            connection, store.series_of(connection, house.house_id), T0 - 10**9, T0 + 10**9
        )[key]
        assert (int(slots.n.sum()), float(slots.sums.sum())) == (20, sum(i / 4 for i in range(20)))
        meter = next(one for one in store.devices.list_all(connection, house.house_id) if one.name == "meter")
    owner = Database.connect(migrated.url)
    row = store.ReadingRow(house.house_id, meter.device_id, "meter", T0 + 20 * 60_000, {"A.Load": 5.0})
    with owner.begin() as connection:
        assert store.readings.write(connection, store.Batch(readings=[row])).readings == 1
    owner.dispose()


def test_an_account_of_the_last_release_has_the_limits_of_now(migrated: TestDatabase) -> None:
    owner = Database.connect(migrated.url)
    with owner.begin() as connection:
        limits = connection.exec_driver_sql(
            "SELECT DISTINCT rolconnlimit FROM pg_roles WHERE starts_with(rolname, %s)",
            (f"{migrated.deployment}:",),
        ).scalars()
        assert list(limits) == [store.migrations.CONNECTION_LIMIT]
    owner.dispose()
