"""What somebody with an account and psql might try: to read what isn't theirs, to become somebody else, to break out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import cast

import psycopg2
import psycopg2.extensions
import pytest
from psycopg2 import sql

from sgmp_console import store
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.fleet import accounts, analytics, devices, houses, roles
from sgmp_console.store import Database, StatementFailed, accounts_role, ingest_role, login_name
from tests.access.scene import PASSWORD, RECIPIENT, T0, Place, Scene, set_up
from tests.database import TestServer

WITHOUT_SECRETS = ("researcher", "visitor", "installer", "clerk", "must-change")


@pytest.fixture(scope="module")
def scene(database_server: TestServer) -> Iterator[Scene]:
    with database_server.database() as where, set_up(where) as made:
        yield made


def connected(scene: Scene, person: str) -> psycopg2.extensions.connection:
    login = login_name(scene.where.deployment, f"{person}@example.org")
    connection = psycopg2.connect(scene.where.address, user=login, password=PASSWORD)
    connection.autocommit = True
    return connection


def outcome(connection: psycopg2.extensions.connection, statement: str | sql.Composable) -> str:
    """All that the statement tells, errors with their details included."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(statement)
            return repr(cursor.fetchall()) if cursor.description else f"done: {cursor.rowcount}"
        except psycopg2.Error as error:
            diagnostics = error.diag
            return "\n".join(
                str(part)
                for part in (
                    error.pgcode,
                    diagnostics.message_primary,
                    diagnostics.message_detail,
                    diagnostics.message_hint,
                    diagnostics.context,
                )
            )


def secrets_of(scene: Scene) -> tuple[str, ...]:
    return scene.own.secret, scene.other.secret


# --- Reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["admin", *WITHOUT_SECRETS])
def test_nothing_that_can_be_read_holds_a_secret_or_is_of_another_house(scene: Scene, person: str) -> None:
    """Every column of every relation in every schema that this account may select from."""
    with closing(connected(scene, person)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT n.nspname, c.relname, array_agg(a.attname::text)"
                " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S') AND a.attnum > 0 AND NOT a.attisdropped"
                " AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')"
                " GROUP BY 1, 2"
            )
            readable = cursor.fetchall()
        assert len(readable) > 100
        leaks = []
        for schema, relation, columns in readable:
            told = outcome(
                connection,
                sql.SQL("SELECT ROW({})::text FROM {}.{}").format(
                    sql.SQL(", ").join(map(sql.Identifier, columns)),
                    sql.Identifier(schema),
                    sql.Identifier(relation),
                ),
            )
            # What is asked just now stands in the own row of pg_stat_activity, and that holds no secret.
            marks = secrets_of(scene) if person == "admin" else (*secrets_of(scene), scene.other.mark)
            leaks += [f"{schema}.{relation}: {mark}" for mark in marks if mark in told]
            if person not in ("admin", "installer", "clerk"):
                leaks += [f"{schema}.{relation}: email"] if "installer@example" in told else []
        assert leaks == []


LONG = "repeat('x', 100000)"
BENT = {
    "integer": ("NULL", "2147483647"),
    "bigint": ("NULL",),
    "boolean": ("NULL", "true"),
    "double precision": ("NULL", "'NaN'"),
    "text": ("NULL", "''", LONG),
    "jsonb": ("NULL", "'[]'", f"jsonb_build_object('token', '***', 'x', {LONG})"),
}
"""What a function does not expect, by the type of its argument."""


def argument(name: str, kind: str, place: Place) -> str:
    """One that a function could get on a good day, in SQL."""
    ids = {
        "house": place.house_id,
        "device": place.battery.device_id,
        "item": place.item_id,
        "chosen": place.guest_id,
        "finding": place.finding_id,
        "recipient": place.recipient_id,
    }
    texts = {"channel": "mail", "kind": "device", "act": "discard", "time_zone": "UTC", "role_name": "guest"}
    kind_of_text = name.removeprefix("new_")
    return {
        "integer": str(ids.get(name, 1)),
        "bigint": str(ids.get(name, 1)),
        "boolean": "false",
        "text": f"'{texts.get(kind_of_text, 'sonnen')}'",
        "jsonb": f"""'{{"ip": "{place.mark.lower()}.example.org", "token": "***"}}'""",
        "integer[]": f"ARRAY[{place.series_id}, {place.house_id}]",
        "bigint[]": "ARRAY[1, 2, 3, 4]",
        "text[]": "ARRAY['meter']",
        "double precision": "1",
    }.get(kind, "'10:00'" if kind.startswith("time without") else "now()")


@pytest.mark.parametrize("person", ["researcher", "installer", "clerk"])
def test_no_function_says_what_an_account_may_not_see_however_it_is_called(scene: Scene, person: str) -> None:
    """Each with arguments of the own house and of the other, and with each of them bent; errors with their details."""
    own, other = scene.own, scene.other
    hidden = [*secrets_of(scene), other.mark, other.mark.lower()]
    hidden += [] if person == "installer" else [RECIPIENT]
    with scene.owner.begin() as connection:
        functions = connection.exec_driver_sql(
            "SELECT oid::regproc::text, ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes) t), proargnames"
            " FROM pg_proc WHERE pronamespace = 'sgmp'::regnamespace AND has_function_privilege(%s, oid, 'EXECUTE')",
            (accounts_role(scene.where.deployment),),
        ).all()
    assert len(functions) > 80
    said = []
    with closing(connected(scene, person)) as connection:
        connection.autocommit = False
        for function, kinds, names in functions:
            for place in (own, other):
                usual = [argument(name, kind, place) for name, kind in zip(names or (), kinds, strict=False)]
                calls = [usual] + [
                    [*usual[:at], bent, *usual[at + 1 :]]
                    for at, kind in enumerate(kinds)
                    for bent in BENT.get(kind, ("NULL",))
                ]
                for call in calls:
                    typed = ", ".join(f"{value}::{kind}" for value, kind in zip(call, kinds, strict=True))
                    statement = f"SELECT * FROM {function}({typed})"
                    answer = outcome(connection, statement)
                    connection.rollback()
                    said += [
                        f"{statement}: {text}" for text in hidden if text in answer and text not in typed
                    ]
    assert said == []


def test_alarms_of_ingest_name_the_own_house_only(scene: Scene) -> None:
    def alarms(person: str) -> object:
        with scene.people[person].begin() as connection:
            (state,) = store.ingest_state.read(connection)
        return state.statistics["alarms"]

    own = str(scene.own.house_id)
    assert alarms("visitor") == {"flood": {"houses": {own: 700.0}}, "not_storing": {"seconds": 61}}
    assert alarms("clerk") == alarms("visitor")
    assert set(cast("dict[str, object]", alarms("admin"))) == {"flood", "refused", "not_storing"}


@pytest.mark.parametrize("person", WITHOUT_SECRETS)
@pytest.mark.parametrize(
    "trick",
    [
        "SELECT config FROM sgmp.device",
        "SELECT d FROM sgmp.device d",
        "SELECT to_jsonb(d) FROM sgmp.device d",
        "SELECT count(*) FROM sgmp.device WHERE config ->> 'token' LIKE 's3%'",
        "SELECT count(*) FROM sgmp.device d WHERE d::text LIKE '%s3cret%'",
        "TABLE sgmp.device",
        "COPY sgmp.device TO STDOUT",
        "COPY (SELECT config FROM sgmp.device) TO STDOUT",
        "COPY sgmp.device TO PROGRAM 'cat'",
        "SELECT 1 FROM sgmp.devices WHERE (config ->> 'token')::integer = 1",
        "SELECT 1 FROM sgmp.devices WHERE 1 / (length(config ->> 'token') - 15) > 0",
        "SELECT 1 FROM sgmp.config_versions WHERE (devices::text)::integer = 1",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM sgmp.devices",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM sgmp.config_versions",
        "UPDATE sgmp.device SET description = 'x' RETURNING config",
        "UPDATE sgmp.device SET description = config ->> 'token'",
        "UPDATE sgmp.device SET config = config || '{\"x\": 1}'",
        "UPDATE sgmp.device SET config = 'null'",
        "UPDATE sgmp.device SET config = '[\"***\"]'",
        "UPDATE sgmp.device SET type = 'egauge', config = '{\"token\": \"***\"}'",
        "UPDATE sgmp.device SET house_id = 1",
        "INSERT INTO sgmp.device (house_id, name, type, config) VALUES (1, 'battery', 'sonnen', '{}') RETURNING config",
        "INSERT INTO sgmp.device (house_id, name, type, config) VALUES (1, 'battery', 'sonnen', '{}')"
        " ON CONFLICT (house_id, name) WHERE deleted_at IS NULL DO UPDATE SET description = device.config::text",
        "SELECT devices FROM sgmp.config_version",
        "INSERT INTO sgmp.config_version (house_id, version, sha256, devices) VALUES (1, 1, 'x', '[]') RETURNING devices",
        "SELECT sgmp.present_devices(1)",
        "SELECT sgmp.devices_of(1, 1)",
        "SELECT sgmp.reveal(1), sgmp.reveal(2), sgmp.reveal(3)",
        "SELECT sgmp.reveal(entry_id) FROM sgmp.audit_entries",
        "SELECT sgmp.announce_reveal('device', d.device_id) FROM sgmp.devices d",
        "SELECT most_common_vals FROM pg_stats WHERE tablename = 'device'",
        "SELECT stavalues1 FROM pg_statistic",
        "SELECT query FROM pg_stat_activity",
        "SELECT rolpassword FROM pg_authid",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_get(oid) FROM pg_largeobject_metadata",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION postgres_fdw",
        "CREATE EXTENSION file_fdw",
        "CREATE EXTENSION pageinspect",
        "DO $$ BEGIN RAISE EXCEPTION '%', (SELECT config FROM sgmp.device LIMIT 1); END $$",
        "DO $$ BEGIN RAISE EXCEPTION '%', (SELECT jsonb_agg(config) FROM sgmp.devices); END $$",
        "CREATE TEMPORARY TABLE mine AS SELECT * FROM sgmp.device",
        "CREATE FUNCTION pg_temp.leak(x jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " $$ BEGIN RAISE NOTICE '%', x; RETURN true; END $$",
        "CREATE VIEW public.mine AS SELECT * FROM sgmp.device",
        "CREATE RULE mine AS ON SELECT TO sgmp.devices DO INSTEAD SELECT * FROM sgmp.device",
        "CREATE TRIGGER mine BEFORE UPDATE ON sgmp.device FOR EACH ROW EXECUTE FUNCTION sgmp.keep_masked()",
        "PREPARE mine AS SELECT config FROM sgmp.device",
        "DECLARE mine CURSOR WITH HOLD FOR SELECT config FROM sgmp.device",
        "SECURITY LABEL ON TABLE sgmp.device IS 'x'",
        "ALTER TABLE sgmp.device DISABLE ROW LEVEL SECURITY",
        "SET row_security = off",
        "SELECT query_to_xml('SELECT config FROM sgmp.device', true, true, '')",
        "SELECT database_to_xml(true, true, '')",
        "SELECT schema_to_xml('sgmp', true, true, '')",
        "SELECT table_to_xml('sgmp.device', true, true, '')",
    ],
)
def test_no_trick_tells_a_secret(scene: Scene, person: str, trick: str) -> None:
    with closing(connected(scene, person)) as connection:
        connection.autocommit = False
        told = outcome(connection, trick) + "".join(connection.notices)
        connection.rollback()
    assert not any(secret in told for secret in secrets_of(scene))
    assert "s3cret" not in told


def test_a_masked_text_can_not_be_guessed_in_a_view(scene: Scene) -> None:
    with closing(connected(scene, "installer")) as connection:
        for view, column in (("devices", "config"), ("config_versions", "devices")):
            statement = f"SELECT count(*) FROM sgmp.{view} WHERE {column}::text LIKE '%%s3cret%%'"
            assert outcome(connection, statement) == "[(0,)]"


def test_a_secret_is_not_shown_as_another_type_s_setting(scene: Scene) -> None:
    """`serial` is no secret of a sonnen; what it is of an unknown type nobody knows."""
    with closing(connected(scene, "installer")) as connection:
        connection.autocommit = False
        told = outcome(
            connection,
            "SELECT sgmp.update_device(device_id, revision, 'sonnen', description, config) FROM sgmp.devices WHERE name = 'odd'",
        )
        connection.rollback()
    assert told.startswith("SG001")
    with closing(connected(scene, "installer")) as connection:
        connection.autocommit = False
        changed = (
            "SELECT sgmp.update_device(device_id, revision, 'sonnen', '', '{\"ip\": \"192.0.2.7\"}')"
            " FROM sgmp.devices WHERE name = 'odd'"
        )
        assert outcome(connection, changed) == "[(2,)]"
        connection.rollback()


def in_a_plan(text: str) -> str:
    """As a constant: its bytes, in decimal."""
    return " ".join(str(byte) for byte in text.encode())


@pytest.mark.parametrize("person", WITHOUT_SECRETS)
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT config FROM sgmp.devices",
        "SELECT devices FROM sgmp.config_versions",
        "SELECT changed, sgmp.changed_secrets(house_id, 1, NULL) FROM sgmp.house_standings()",
        "SELECT sgmp.update_device(device_id, revision, type, 'x', config) FROM sgmp.devices",
        "SELECT sgmp.update_device(device_id, revision, type, 'x', '{\"token\": \"x\"}') FROM sgmp.devices",
        "SELECT sgmp.delete_device(device_id) FROM sgmp.devices",
    ],
)
def test_plans_that_are_printed_hold_no_secret(scene: Scene, person: str, statement: str) -> None:
    """Anybody may have the plans of their statements printed, of the functions that these call, too."""
    with closing(connected(scene, person)) as connection:
        connection.autocommit = False
        for setting in ("debug_print_parse", "debug_print_rewritten", "debug_print_plan"):
            outcome(connection, f"SET {setting} = on")
        outcome(connection, "SET client_min_messages = debug5")
        connection.notices = cast("list[str]", deque())  # of a list, the driver keeps only the last 50
        outcome(connection, statement)
        printed = " ".join("".join(connection.notices).split())
        connection.rollback()
    assert "{PLANNEDSTMT" in printed
    assert not any(in_a_plan(secret) in printed for secret in secrets_of(scene))


def test_programs_print_nothing_whoever_calls_them(scene: Scene) -> None:
    """But those that hold no data: what PostgreSQL inlines, and what ends transactions."""
    with scene.owner.begin() as connection:
        rows = connection.exec_driver_sql(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'sgmp'::regnamespace AND NOT COALESCE("
            "proconfig @> '{\"search_path=pg_catalog, pg_temp\",debug_print_plan=off,client_min_messages=warning}', false)"
        )
        assert {row.proname for row in rows} - {"refresh_late"} == {"from_ms", "timestamp_hash"}


def explained(connection: psycopg2.extensions.connection, query: str) -> str:
    """What EXPLAIN tells of how it ran, without what the question itself says."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) {query}")
        lines = [line for (line,) in cursor.fetchall()]
    return "\n".join(line for line in lines if "Filter: (" not in line and "Cond: (" not in line)


CONDITIONS = {
    "sgmp.houses": ("name = 'South'", "name = 'Sooth'"),
    "sgmp.devices": ("house_id = {house} AND name = 'battery'", "house_id = {house} AND name = 'buttery'"),
    "sgmp.analytic_items": ("house_id = {house} AND name > 'a'", "house_id = {house} AND name > 'z'"),
    "sgmp.registrations": ("house_id = {house} AND field = 'x'", "house_id = {house} AND field = 'q'"),
    "sgmp.config_versions": ("house_id = {house} AND version = 1", "house_id = {house} AND version = 9"),
    "sgmp.house_states": ("house_id = {house}", "house_id = 999"),
    "sgmp.accounts": ("email = 'only-in-south@example.org'", "email = 'only-in-sooth@example.org'"),
    "sgmp.roles": ("members > 0 AND name = 'guest'", "members > 99 AND name = 'guest'"),
    "sgmp.audit_entries": ("subject = 'South'", "subject = 'Sooth'"),
    "sgmp.visible_quarantine({house})": ("received_at > 'epoch'", "received_at > 'infinity'"),
    "sgmp.fields_of({house})": ("field = 'x'", "field = 'q'"),
    "sgmp.newest_readings(ARRAY[{house}])": ("value = {value}", "value = -1"),
    "sgmp.readings_between(ARRAY[{series}], {range})": ("value = {value}", "value = -1"),
    "sgmp.packed_readings(ARRAY[{series}], {range})": ("length(readings) > 7", "length(readings) < 0"),
    "sgmp.packed_slots(ARRAY[{series}], {range})": ("length(sums) > 7", "length(sums) < 0"),
    "sgmp.packed_hours(ARRAY[{series}], {range})": ("length(sums) > 7", "length(sums) < 0"),
    "sgmp.texts_between(ARRAY[{series}], {range})": ("value > ''", "value > '~'"),
    "sgmp.events_between({house}, {range})": ("type = 'WARNING'", "type = 'WORNING'"),
    "sgmp.newest_events({house}, {range}, 0, '{{}}', '{{}}', '', 10)": (
        "type = 'WARNING'",
        "type = 'WORNING'",
    ),
    "sgmp.event_types({house}) AS type": ("type = 'WARNING'", "type = 'WORNING'"),
}
"""What an account can read -> a condition that holds in the other house, and one that does not."""


@pytest.mark.parametrize("scans", ["enable_seqscan", "enable_indexscan"])
@pytest.mark.parametrize("source", CONDITIONS)
def test_how_a_query_ran_is_the_same_whatever_another_house_holds(
    scene: Scene, source: str, scans: str
) -> None:
    values = {
        "house": scene.other.house_id,
        "series": scene.other.series_id,
        "value": scene.other.value,
        "range": "'-infinity', 'infinity'",
    }
    with closing(connected(scene, "visitor")) as connection:
        outcome(connection, f"SET {scans} = off")
        outcome(connection, "SET enable_bitmapscan = off")
        plans = {
            explained(connection, f"SELECT FROM {source} WHERE {condition}".format(**values))
            for condition in CONDITIONS[source]
        }
    assert len(plans) == 1


def test_another_range_of_time_of_another_house_runs_the_same(scene: Scene) -> None:
    with closing(connected(scene, "visitor")) as connection:
        for function in ("readings_between", "packed_readings", "packed_slots", "packed_hours"):
            plans = {
                explained(
                    connection,
                    f"SELECT FROM sgmp.{function}(ARRAY[{scene.other.series_id}], to_timestamp({start}), 'infinity')",
                )
                for start in (T0 / 1000 - 7200, T0 / 1000 + 7200)
            }
            assert len(plans) == 1


def test_accounts_have_no_right_to_tables_but_to_read_what_is_of_no_house(scene: Scene) -> None:
    with scene.owner.begin() as connection:
        rights = connection.exec_driver_sql(
            "SELECT c.relname, c.relkind::text, g.privilege_type FROM pg_class c, aclexplode(c.relacl) g"
            " JOIN pg_roles r ON r.oid = g.grantee WHERE relnamespace = 'sgmp'::regnamespace AND r.rolname = %(accounts)s"
            " UNION ALL SELECT c.relname, 'column', g.privilege_type FROM pg_class c JOIN pg_attribute a ON a.attrelid ="
            " c.oid, aclexplode(a.attacl) g JOIN pg_roles r ON r.oid = g.grantee"
            " WHERE relnamespace = 'sgmp'::regnamespace AND r.rolname = %(accounts)s",
            {"accounts": accounts_role(scene.where.deployment)},
        ).all()
    assert {right for _, _, right in rights} == {"SELECT"}
    assert {name for name, kind, _ in rights if kind != "v"} == {
        "device_setting",
        "installation",
        "permission",
        "role",
        "role_permission",
    }


def test_no_account_can_lock_a_table_against_others(scene: Scene) -> None:
    with closing(connected(scene, "admin")) as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid::regclass::text FROM pg_class"
                " WHERE relnamespace = 'sgmp'::regnamespace AND relkind IN ('r', 'p', 'v')"
            )
            relations = [name for (name,) in cursor.fetchall()]
        assert "sgmp.analytic_item" in relations
        connection.autocommit = False
        for relation in relations:
            for mode in ("ROW EXCLUSIVE", "SHARE", "ACCESS EXCLUSIVE"):
                assert outcome(connection, f"LOCK TABLE {relation} IN {mode} MODE NOWAIT").startswith("42501")
                connection.rollback()


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_xact_lock(1, 2)",
        "SELECT pg_try_advisory_lock_shared(1)",
        "SELECT FROM sgmp.lock FOR UPDATE",
        "SELECT sgmp.take_lock('aggregates', 1)",
        "SELECT FROM sgmp.account FOR UPDATE",
        "SELECT FROM sgmp.house FOR SHARE",
    ],
)
def test_no_account_can_take_a_lock_that_others_wait_for(scene: Scene, lock: str) -> None:
    with closing(connected(scene, "admin")) as connection:
        assert outcome(connection, lock).startswith("42501")


def test_no_email_of_another_account_can_be_counted(scene: Scene) -> None:
    with closing(connected(scene, "visitor")) as connection:
        assert outcome(connection, "SELECT count(email) FROM sgmp.account").startswith("42501")


# --- What ingest may do -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["NULL", "'-1 day'", "'-120 months 3607 days'", "'-infinity'", "'6 days'"])
def test_ingest_can_not_drop_readings_of_the_last_days(scene: Scene, keep: str) -> None:
    """Whatever the interval calls itself."""
    with scene.owner.begin() as connection:
        store.access.set_ingest_password(connection, scene.where.deployment, PASSWORD)
    name = ingest_role(scene.where.deployment)
    with closing(psycopg2.connect(scene.where.address, user=name, password=PASSWORD)) as connection:
        told = outcome(connection, f"SELECT sgmp.drop_old_readings({keep})")
        connection.rollback()
    assert told.startswith(("SG001", "22"))


# --- Becoming somebody else ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", WITHOUT_SECRETS)
def test_nobody_becomes_somebody_else(scene: Scene, person: str) -> None:
    deployment = scene.where.deployment
    with scene.owner.begin() as connection:
        owner = str(connection.exec_driver_sql("SELECT session_user").scalar_one())
    admin = login_name(deployment, "admin@example.org")
    with closing(connected(scene, person)) as connection:
        for role in (admin, owner, ingest_role(deployment), "pg_read_all_data", "pg_monitor"):
            for statement in (
                f'SET ROLE "{role}"',
                f'SET SESSION AUTHORIZATION "{role}"',
                f'GRANT "{role}" TO CURRENT_USER',
                f"ALTER ROLE \"{role}\" PASSWORD 'mine now'",
                f'ALTER ROLE "{role}" RENAME TO mine',
                f'DROP ROLE "{role}"',
                f'REASSIGN OWNED BY "{role}" TO CURRENT_USER',
            ):
                assert outcome(connection, statement).startswith(("42501", "2BP01", "0LP01", "42939")), (
                    statement
                )
        for statement in (
            "CREATE ROLE mine SUPERUSER",
            "ALTER ROLE CURRENT_USER SUPERUSER",
            "ALTER ROLE CURRENT_USER CREATEROLE",
            "ALTER ROLE CURRENT_USER BYPASSRLS",
            "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
            "ALTER SYSTEM SET log_statement = 'all'",
            f'ALTER DATABASE "{scene.where.name}" SET search_path = pg_temp',
        ):
            assert outcome(connection, statement).startswith("42501"), statement
        # The group can be taken on; who signed in stays who is asking.
        group = accounts_role(deployment)
        before = outcome(connection, "SELECT array_agg(p) FROM sgmp.my_permissions() p")
        assert outcome(connection, f'SET ROLE "{group}"').startswith("done")
        assert outcome(connection, "SELECT array_agg(p) FROM sgmp.my_permissions() p") == before


def test_an_account_that_must_change_its_password_gains_nothing_by_changing_it_elsewhere(
    scene: Scene,
) -> None:
    """PostgreSQL lets every role set its own password; what the account may is the database's own word."""
    with closing(connected(scene, "must-change")) as connection:
        assert outcome(connection, f"ALTER ROLE CURRENT_USER PASSWORD '{PASSWORD}'").startswith("done")
        assert outcome(connection, "SELECT sgmp.my_permissions()") == "[]"
        assert outcome(connection, "SELECT house_id FROM sgmp.houses") == "[]"


@pytest.mark.parametrize("setting", ["session_replication_role", "log_min_error_statement", "row_security"])
def test_settings_that_would_matter_can_not_be_made(scene: Scene, setting: str) -> None:
    with closing(connected(scene, "admin")) as connection:
        value = {"session_replication_role": "replica", "log_min_error_statement": "debug5"}.get(
            setting, "off"
        )
        outcome(connection, f"SET {setting} = {value}")
        assert outcome(connection, "DELETE FROM sgmp.audit").startswith("42501")
        told = outcome(connection, "SELECT count(*) FROM sgmp.houses")
        assert told == "[(2,)]" or told.startswith("42501")


@pytest.mark.parametrize("path", ["pg_temp, sgmp, pg_catalog", "sgmp", "public, sgmp", '""'])
def test_a_search_path_of_ones_own_changes_nothing(scene: Scene, path: str) -> None:
    with closing(connected(scene, "visitor")) as connection:
        outcome(connection, f"SET search_path = {path}")
        assert outcome(connection, "SELECT sgmp.sees_every_house()") == "[(False,)]"
        assert outcome(connection, "SELECT count(*) FROM sgmp.houses") == "[(1,)]"


# --- SQL in every text field --------------------------------------------------------------------------------------------

TEXTS = (
    "'; DROP TABLE sgmp.device; --",
    '"; DROP ROLE postgres; --',
    "Robert'); DELETE FROM sgmp.audit;--",
    "$$ || (SELECT 1) || $$",
    "%s %(x)s {accounts} {visible}",
    "\\'; SELECT pg_sleep(9); --",
    "a\u0027 OR \u00271\u0027=\u00271",
)


@pytest.mark.parametrize("text", TEXTS)
def test_sql_in_a_text_is_a_text(scene: Scene, text: str) -> None:
    """What is accepted comes back as it was typed; what is not is refused with a sentence."""
    boss = scene.people["admin"]
    name = text[:64].strip()
    role = roles.create(boss, name, description=text, permissions=["export"])
    assert (role.name, role.description) == (name, text)
    role = roles.update(boss, replace(role, description="other"))
    house = houses.create(boss, name, description=text, time_zone="UTC")
    assert (house.name, house.description) == (name, text)
    device = devices.create(boss, house.house_id, "meter", "egauge", {"ip": "192.0.2.1"}, description=text)
    assert device.description == text
    item = analytics.create(boss, house.house_id, "item", "meter.x", description=text, unit=text)
    assert (item.description, item.unit) == (text, text)
    made = accounts.create(boss, email="text@example.org", name=text, role=name, house_id=house.house_id)
    assert made.account.name == text
    for refused in (
        lambda: devices.create(boss, house.house_id, text, "egauge", {"ip": "192.0.2.1"}),
        lambda: devices.create(boss, house.house_id, "other", text, {}),
        lambda: devices.create(boss, house.house_id, "other", "egauge", {"ip": text}),
        lambda: analytics.create(boss, house.house_id, "other", text),
        lambda: accounts.create(boss, email="other@example.org", name="x", role=text + "x", house_id=None),
        lambda: houses.create(boss, "other", time_zone=text),
    ):
        with pytest.raises(UserError):
            refused()
    with boss.begin() as connection:
        found = store.audit.read(connection, actor=text)
        assert found == []
    with pytest.raises(UserError), boss.begin() as connection:
        store.audit.note(connection, text, "report", "x", house_id=house.house_id)
    accounts.delete(boss, [made.account.account_id])
    roles.delete(boss, [role.role_id])
    analytics.delete(boss, house.house_id, [item.item_id])
    devices.delete(boss, house.house_id, [device.device_id])
    houses.delete(boss, house.house_id)
    with boss.begin() as connection:
        assert len(store.houses.list_all(connection)) == 2


@pytest.mark.parametrize(
    "email",
    [
        "o'brien@example.org",
        'quo"te@example.org',
        "semi;--@example.org",
        "back\\slash@example.org",
        "%s@example.org",
    ],
)
def test_emails_with_quotes_are_accounts_like_others(scene: Scene, email: str) -> None:
    boss = scene.people["admin"]
    made = accounts.create(boss, email=email, name="O", role="guest", house_id=scene.own.house_id)
    where = scene.where
    hers, account = store.sign_in(where.address, where.deployment, email, made.initial_password)
    accounts.change_own_password(hers, email, made.initial_password, "long enough, I hope")
    hers.dispose()
    assert account.email == email
    accounts.delete(boss, [account.account_id])


# --- Error texts --------------------------------------------------------------------------------------------------------


def failing(database: Database, place: Place) -> Iterator[Exception]:
    """Errors that the console meets while it handles a device's secret."""
    config = {"ip": "192.0.2.1", "token": place.secret}
    for name, kind, given in (
        ("battery", "sonnen", config),  # the name is taken
        ("a" * 70, "sonnen", config),
        ("fine", "sonnen", {**config, "ip": 5}),
        ("fine", "sonnen", {**config, "token": {"x": place.secret}}),
    ):
        try:
            devices.create(database, place.house_id, name, kind, given)
        except (SgmpError, StatementFailed) as error:
            yield error
    for statement, parameters in (
        (
            "INSERT INTO sgmp.device (house_id, name, type, config) VALUES (%s, 'battery', 'x', %s)",
            (place.house_id, f'{{"t": "{place.secret}"}}'),
        ),
        (
            "INSERT INTO sgmp.device (house_id, name, type, config) VALUES (%s, 'f', 'x', %s)",
            (place.house_id, f'["{place.secret}"]'),
        ),
        (
            "INSERT INTO sgmp.device (house_id, name, type, config) VALUES (%s, 'f', 'x', %s)",
            (place.house_id, f'{{"{place.secret}'),
        ),
    ):
        try:
            with database.begin() as connection:
                connection.exec_driver_sql(statement, parameters)
        except (SgmpError, StatementFailed) as error:
            yield error


def test_errors_do_not_quote_secrets(scene: Scene) -> None:
    found = list(failing(scene.people["admin"], scene.own))
    assert len(found) == 7
    for error in found:
        chain = [error, error.__cause__]
        assert not any(scene.own.secret in f"{one!s} {one!r}" for one in chain), error
