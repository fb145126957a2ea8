"""What the database lets whom do, with a connection of their own and any SQL they like."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from sgmp_console import store
from sgmp_console.errors import Refused, UserError
from sgmp_console.store import (
    Batch,
    Database,
    EventRow,
    ReadingRow,
    Rejected,
    TextRow,
    accounts_role,
    ingest_role,
    set_ingest_password,
)
from tests.database import TestDatabase
from tests.store.conftest import Place, make_place

PASSWORD = "correct horse battery"
T0 = 1_750_000_000_000


@dataclass(frozen=True)
class Town:
    """Two houses with data in everything."""

    north: Place
    south: Place


@pytest.fixture
def town(database: Database) -> Town:
    town = Town(make_place(database, "North"), make_place(database, "South"))
    for place in (town.north, town.south):
        house, meter = place.house.house_id, place.meter.device_id
        address = (house, meter, "meter", T0)
        batch = Batch(
            readings=[ReadingRow(*address, {"x": float(house)})],
            texts=[TextRow(*address, {"state": "busy"})],
            events=[EventRow(*address, "WARNING", {}), EventRow(house, 0, "_edge", T0, "EDGE_STATUS", {})],
        )
        with database.begin() as connection:
            store.readings.write(connection, batch)
            store.quarantine.store(connection, [Rejected(T0, f"topic of {house}", b"?", "Why.", house)])
            store.analytics.create(connection, house, "x", "meter.x")
            store.config_versions.add(connection, house, 1, "abc", [])
    with database.begin() as connection:
        nowhere = Rejected(T0, "a topic of no house", b"?", "Why.")
        store.quarantine.store(connection, [nowhere])
    return town


@pytest.fixture
def sign_in(database: Database, test_database: TestDatabase) -> Iterator[Callable[..., Database]]:
    """A connection as a new account of that role and house."""
    opened: list[Database] = []

    def sign_in(role: str, house_id: int | None = None) -> Database:
        email = f"{role}{len(opened)}@example.org"
        with database.begin() as connection:
            store.accounts.create(
                connection,
                email=email,
                name=role,
                role=role,
                house_id=house_id,
                password=PASSWORD,
                must_change_password=False,
            )
        signed_in, _ = store.sign_in(test_database.address, test_database.deployment, email, PASSWORD)
        opened.append(signed_in)
        return signed_in

    yield sign_in
    for one in opened:
        one.dispose()


@pytest.fixture
def ingest(database: Database, test_database: TestDatabase) -> Iterator[Database]:
    with database.begin() as connection:
        set_ingest_password(connection, test_database.deployment, PASSWORD)
    opened = Database.connect(
        test_database.address, user=ingest_role(test_database.deployment), password=PASSWORD
    )
    yield opened
    opened.dispose()


def rows(database: Database, query: str) -> list[object]:
    with database.begin() as connection:
        return list(connection.exec_driver_sql(query).scalars())


def is_refused(database: Database, statement: str) -> bool:
    try:
        with database.begin() as connection:
            connection.exec_driver_sql(statement)
    except Refused:
        return True
    return False


HOUSES_SEEN = {
    "houses": "SELECT house_id FROM sgmp.houses",
    "devices": "SELECT house_id FROM sgmp.devices",
    "analytic items": "SELECT house_id FROM sgmp.analytic_items",
    "series": "SELECT DISTINCT h FROM unnest(ARRAY[1, 2]) h, sgmp.fields_of(h)",
    "readings": "SELECT DISTINCT value::integer FROM sgmp.readings_between(ARRAY[1, 2, 3, 4], '-infinity', 'infinity')",
    "texts": "SELECT DISTINCT h FROM unnest(ARRAY[1, 2]) h, sgmp.fields_of(h) f,"
    " sgmp.texts_between(ARRAY[f.series_id], '-infinity', 'infinity')",
    "events": "SELECT DISTINCT h FROM unnest(ARRAY[1, 2]) h, sgmp.events_between(h, '-infinity', 'infinity')",
    "house states": "SELECT house_id FROM sgmp.house_states",
    "configurations": "SELECT house_id FROM sgmp.config_version_list()",
}


def test_an_account_sees_its_house_and_an_administrator_all(
    town: Town, sign_in: Callable[..., Database]
) -> None:
    north, south = town.north.house.house_id, town.south.house.house_id
    visitor, admin, nobody = sign_in("visitor", north), sign_in("admin"), sign_in("visitor")
    for what, query in HOUSES_SEEN.items():
        assert rows(visitor, query) == [north], what
        assert sorted(map(str, rows(admin, query))) == [str(north), str(south)], what
        assert rows(nobody, query) == [], what


def test_quarantine_is_for_those_who_look_after_devices(town: Town, sign_in: Callable[..., Database]) -> None:
    query = "SELECT topic FROM sgmp.visible_quarantine() ORDER BY topic"
    north = town.north.house.house_id
    assert rows(sign_in("visitor", north), query) == []
    assert rows(sign_in("researcher", north), query) == [f"topic of {north}"]
    assert len(rows(sign_in("admin"), query)) == 3


def test_the_newest_readings_of_other_houses_are_not_told(
    town: Town, sign_in: Callable[..., Database]
) -> None:
    north, south = town.north.house.house_id, town.south.house.house_id
    visitor = sign_in("visitor", north)
    assert len(rows(visitor, f"SELECT ts FROM sgmp.newest_readings(ARRAY[{north}])")) == 1
    assert rows(visitor, f"SELECT ts FROM sgmp.newest_readings(ARRAY[{south}])") == []


def test_no_function_of_the_asker_sees_rows_before_they_are_filtered(
    town: Town, sign_in: Callable[..., Database]
) -> None:
    """A cheap function in WHERE that raises on what it sees is the classic way round a view."""
    visitor = sign_in("visitor", town.north.house.house_id)
    south = town.south.house.house_id
    query = f"SELECT value FROM sgmp.newest_readings(ARRAY[1, 2]) WHERE 1 / (value - {south}) > -100"
    assert rows(visitor, query) == [float(town.north.house.house_id)]


NOT_GRANTED = (
    "SELECT * FROM sgmp.reading",
    "SELECT config FROM sgmp.device",
    "SELECT devices FROM sgmp.config_version",
    "INSERT INTO sgmp.reading VALUES (1, now(), 0)",
    "INSERT INTO sgmp.event (house_id, device_name, type, ts, data, content_key)"
    " VALUES (1, 'meter', 'WARNING', now(), '{}', '')",
    "DELETE FROM sgmp.event",
    "DELETE FROM sgmp.house",
    "UPDATE sgmp.account SET role_id = 1",
    "INSERT INTO sgmp.role_permission VALUES (3, 'all_houses')",
    "UPDATE sgmp.installation SET value = ''",
    "TRUNCATE sgmp.quarantine",
    "DROP TABLE sgmp.house",
    "CREATE TABLE sgmp.mine (x integer)",
    "CREATE TABLE public.mine (x integer)",
    "CREATE TEMPORARY TABLE mine (x integer)",
    "CREATE FUNCTION sgmp.mine() RETURNS integer LANGUAGE sql RETURN 1",
    "SELECT sgmp.known_devices()",
    "SELECT sgmp.series_ids('{1}', '{1}', '{x}')",
    "SELECT sgmp.managed_account(1)",
    "SELECT sgmp.end_sessions('x')",
    "SELECT sgmp.report_ingest('x', '{}')",
    "CREATE ROLE mine LOGIN SUPERUSER",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
)


@pytest.mark.parametrize("role", ["visitor", "researcher", "admin"])
def test_whatever_is_not_granted_is_refused(town: Town, sign_in: Callable[..., Database], role: str) -> None:
    account = sign_in(role, town.north.house.house_id)
    assert [statement for statement in NOT_GRANTED if not is_refused(account, statement)] == []


def test_other_roles_can_not_be_taken_on(
    town: Town, sign_in: Callable[..., Database], deployment: str, database: Database
) -> None:
    visitor = sign_in("visitor", town.north.house.house_id)
    boss = sign_in("admin")
    (login,) = rows(boss, "SELECT session_user::text")
    (owner,) = rows(database, "SELECT session_user::text")
    for role in (login, owner, ingest_role(deployment)):
        for statement in (f'SET ROLE "{role}"', f'SET SESSION AUTHORIZATION "{role}"'):
            with pytest.raises(Refused), visitor.begin() as connection:
                connection.exec_driver_sql(statement)
    # The group can be taken on, and is worth nothing: who signed in is what counts.
    with visitor.begin() as connection:
        connection.exec_driver_sql(f'SET LOCAL ROLE "{accounts_role(deployment)}"')
        assert connection.exec_driver_sql("SELECT house_id FROM sgmp.houses").scalars().all() == [
            town.north.house.house_id
        ]


def test_own_functions_in_the_search_path_change_nothing(
    town: Town, sign_in: Callable[..., Database]
) -> None:
    visitor = sign_in("visitor", town.north.house.house_id)
    with visitor.begin() as connection:
        connection.exec_driver_sql("SET LOCAL search_path = sgmp, pg_temp, public")
        assert connection.exec_driver_sql("SELECT sgmp.sees_every_house()").scalar_one() is False


def test_ingest_stores_and_sees_nothing(town: Town, ingest: Database) -> None:
    house, meter = town.north.house.house_id, town.north.meter.device_id
    address = (house, meter, "meter", T0 + 1)
    batch = Batch(
        readings=[ReadingRow(*address, {"x": 1.0, "fresh": 2.0})],
        texts=[TextRow(*address, {"state": "idle"})],
        events=[
            EventRow(*address, "WARNING", {"data": "x"}),
            EventRow(house, 0, "_edge", T0, "EDGE_STATUS", {"a": 1}),
        ],
    )
    for repeated in (False, True):
        with ingest.begin() as connection:
            written = store.readings.write(connection, batch)
            rejected, _ = store.quarantine.store(connection, [Rejected(T0, "topic", b"?", "Why.")])
            store.ingest_state.report(connection, "one", {"messages": 1})
            assert store.devices.known(connection)[house, meter] == "meter"
        assert (written.readings, written.events, rejected) == ((0, 0, 0) if repeated else (2, 2, 1))
    for table in (
        "reading",
        "houses",
        "event",
        "quarantine",
        "text_reading",
        "device",
        "devices",
        "account",
        "house",
    ):
        with pytest.raises(Refused), ingest.begin() as connection:
            connection.exec_driver_sql(f"SELECT * FROM sgmp.{table}")
    for statement in ("DELETE FROM sgmp.reading", "UPDATE sgmp.event SET type = 'x'", "SELECT sgmp.me()"):
        with pytest.raises(Refused), ingest.begin() as connection:
            connection.exec_driver_sql(statement)


def test_an_administrator_works_with_an_own_connection(sign_in: Callable[..., Database]) -> None:
    admin = sign_in("admin")
    with admin.begin() as connection:
        house = store.houses.create(connection, "East")
        device = store.devices.create(connection, house.house_id, "sonnen", "sonnen", {"token": "t0k3n"})
        assert device.config == {"token": "***"}
        store.analytics.create(connection, house.house_id, "soc", "sonnen.soc")
        store.houses.update(connection, house)
        store.devices.delete(connection, device.device_id)
        store.houses.delete(connection, house.house_id)


def test_secrets_of_devices_are_masked(
    town: Town, sign_in: Callable[..., Database], database: Database
) -> None:
    house_id = town.north.house.house_id
    with database.begin() as connection:
        store.devices.create(connection, house_id, "sonnen", "sonnen", {"ip": "192.0.2.1", "token": "t0k3n"})
    for role in ("visitor", "researcher"):
        with sign_in(role, house_id).begin() as connection:
            shown = {d.name: d.config for d in store.devices.list_all(connection, house_id)}
        assert "t0k3n" not in str(shown)
        assert set(shown["sonnen"]) == {"ip", "token"}


def test_a_researcher_changes_analytics_of_the_own_house_only(
    town: Town, sign_in: Callable[..., Database]
) -> None:
    north, south = town.north.house.house_id, town.south.house.house_id
    researcher = sign_in("researcher", north)
    with researcher.begin() as connection:
        store.analytics.create(connection, north, "mine", "1")
    for house_id in (south, 999):
        with pytest.raises(UserError), researcher.begin() as connection:
            store.analytics.create(connection, house_id, "mine", "1")
    with pytest.raises(Refused), researcher.begin() as connection:
        store.devices.create(connection, north, "mine", "egauge", {})
    with pytest.raises(Refused), sign_in("visitor", north).begin() as connection:
        store.analytics.create(connection, north, "yours", "1")


def test_nothing_is_open_to_everybody(database: Database, test_database: TestDatabase) -> None:
    with database.begin() as connection:
        open_functions = connection.exec_driver_sql(
            "SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(COALESCE(proacl, acldefault('f', proowner))) a"
            " WHERE pronamespace = 'sgmp'::regnamespace AND a.grantee = 0"
        ).scalars()
        assert list(open_functions) == []
        open_tables = connection.exec_driver_sql(
            "SELECT c.relname FROM pg_class c, aclexplode(relacl) a"
            " WHERE relnamespace = 'sgmp'::regnamespace AND a.grantee = 0"
        ).scalars()
        assert list(open_tables) == []
        connect = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_database d, aclexplode(datacl) a WHERE datname = current_database() AND a.grantee = 0"
        )
        assert connect.scalar_one() == 0


def test_functions_with_the_owners_rights_look_names_up_in_the_catalogue_only(database: Database) -> None:
    with database.begin() as connection:
        loose = connection.exec_driver_sql(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'sgmp'::regnamespace AND prosecdef"
            " AND NOT COALESCE(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']"
        ).scalars()
        assert list(loose) == []


def test_a_function_is_closed_until_it_is_granted(
    database: Database, database_url: str, deployment: str
) -> None:
    name = "sgmp.made_by_a_test"
    with database.begin() as connection:
        connection.exec_driver_sql(f"CREATE FUNCTION {name}() RETURNS integer LANGUAGE sql RETURN 1")
        open_to = connection.exec_driver_sql(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND has_function_privilege(oid, %s, 'EXECUTE')",
            ([accounts_role(deployment), ingest_role(deployment)], f"{name}()"),
        ).scalars()
        assert list(open_to) == []
        connection.exec_driver_sql(f"DROP FUNCTION {name}()")


def test_ingest_sets_messages_aside_while_an_account_discards_some(
    town: Town, sign_in: Callable[..., Database], ingest: Database
) -> None:
    house = town.north.house.house_id
    admin = sign_in("admin")
    with admin.begin() as connection:
        listed = store.quarantine.list_all(connection, house)
        assert store.quarantine.discard(connection, [one.quarantine_id for one in listed]) == len(listed) > 0
        with ingest.begin() as other:
            rejected = [Rejected(int(time.time() * 1000), "another topic", b"?", "Why.", house)]
            assert store.quarantine.store(other, rejected) == (1, [])
            other.exec_driver_sql("SELECT sgmp.drop_old_quarantine(interval '9000 days')")
    with ingest.begin() as other:
        removed = other.exec_driver_sql("SELECT sgmp.drop_old_quarantine(interval '9000 days')").scalar_one()
        assert removed == len(listed)
    with admin.begin() as connection:
        assert [one.topic for one in store.quarantine.list_all(connection, house)] == ["another topic"]
        assert store.quarantine.usage(connection)[house].messages == 1
