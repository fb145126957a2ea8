"""Audit: the database tells who changed what, and nobody can make it forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from sgmp_console import store
from sgmp_console.errors import Refused, UserError
from sgmp_console.store import AuditEntry, Batch, Database, ReadingRow
from tests.database import TestDatabase
from tests.store.conftest import Place

T0 = 1_750_000_000_000
PASSWORD = "correct horse battery"
SONNEN = {"ip": "192.0.2.1", "serial": "12345", "token": "t0ps3cret"}


def entries(database: Database, **filters: object) -> list[AuditEntry]:
    """The newest first, without those of the house and meter that each test begins with."""
    with database.begin() as connection:
        found = store.audit.read(connection, **filters)  # type: ignore[arg-type]
    return [entry for entry in found if entry.entry_id > 2]


def told(entry: AuditEntry) -> tuple[object, ...]:
    return entry.act, entry.kind, entry.subject, entry.before, entry.after


@pytest.fixture
def as_admin(place: Place, test_database: TestDatabase) -> Iterator[Database]:
    with place.database.begin() as connection:
        store.accounts.create(
            connection,
            email="ada@example.org",
            name="Ada",
            role="admin",
            house_id=None,
            password=PASSWORD,
            must_change_password=False,
        )
    database, _ = store.sign_in(test_database.address, test_database.deployment, "ada@example.org", PASSWORD)
    yield database
    database.dispose()


@pytest.fixture
def account_of(place: Place, test_database: TestDatabase) -> Iterator[Callable[..., Database]]:
    """A connection of a new account with these permissions."""
    opened: list[Database] = []

    def account_of(*permissions: str, house_id: int | None = None) -> Database:
        number = len(opened)
        with place.database.begin() as connection:
            store.roles.create(connection, f"role {number}", permissions=permissions)
            store.accounts.create(
                connection,
                email=f"one{number}@example.org",
                name="One",
                role=f"role {number}",
                house_id=house_id,
                password=PASSWORD,
                must_change_password=False,
            )
        database, _ = store.sign_in(
            test_database.address, test_database.deployment, f"one{number}@example.org", PASSWORD
        )
        opened.append(database)
        return database

    yield account_of
    for database in opened:
        database.dispose()


def test_what_is_made_changed_and_deleted_is_told_with_who_did_it(as_admin: Database, place: Place) -> None:
    with as_admin.begin() as connection:
        item = store.analytics.create(connection, place.house.house_id, "solar", "meter.x")
        store.analytics.update(connection, replace(item, formula="meter.y"))
        store.analytics.delete(connection, item.item_id)
    deleted, changed, created = entries(as_admin, kinds=["analytic_item"])
    assert {entry.actor for entry in (deleted, changed, created)} == {"ada@example.org"}
    assert {entry.house_id for entry in (deleted, changed, created)} == {place.house.house_id}
    assert (created.act, created.subject, created.before) == ("create", "solar", None)
    assert created.after is not None
    assert created.after["formula"] == "meter.x"
    assert told(changed) == (
        "change",
        "analytic_item",
        "solar",
        {"formula": "meter.x"},
        {"formula": "meter.y"},
    )
    assert (deleted.act, deleted.after) == ("delete", None)


def test_a_change_that_changes_nothing_is_not_told(as_admin: Database, place: Place) -> None:
    with as_admin.begin() as connection:
        store.houses.update(connection, place.house)
    assert entries(as_admin, kinds=["house"]) == []


def test_an_act_that_did_not_happen_is_not_told(as_admin: Database, place: Place) -> None:
    def delete_twice() -> None:
        with as_admin.begin() as connection:
            for _ in range(2):
                store.devices.delete(connection, place.meter.device_id)

    with pytest.raises(UserError, match="no such device"):
        delete_twice()
    assert entries(as_admin, kinds=["device"]) == []


def test_a_changed_secret_is_told_masked(as_admin: Database, place: Place) -> None:
    with as_admin.begin() as connection:
        made = store.devices.create(connection, place.house.house_id, "sonnen", "sonnen", SONNEN)
        store.devices.update(connection, replace(made, config={**SONNEN, "token": "an0ther"}))
    changed, created = entries(as_admin, kinds=["device"])
    assert told(changed) == (
        "change",
        "device",
        "sonnen",
        {"config": {"token": "***"}},
        {"config": {"token": "***"}},
    )
    assert created.after is not None
    assert created.after["config"] == {**SONNEN, "token": "***"}


def test_a_device_is_deleted_and_brought_back(as_admin: Database, place: Place) -> None:
    with as_admin.begin() as connection:
        store.devices.delete(connection, place.meter.device_id)
        gone = store.devices.deleted(connection, place.house.house_id, "meter")
        assert gone is not None
        store.devices.restore(connection, gone)
    assert [entry.act for entry in entries(as_admin, kinds=["device"])] == ["restore", "delete"]


def test_passwords_and_sign_ins_are_told_without_any_password(as_admin: Database) -> None:
    with as_admin.begin() as connection:
        bob = store.accounts.create(
            connection, email="bob@example.org", name="Bob", role="visitor", house_id=None, password=PASSWORD
        )
        store.accounts.reset_password(connection, bob.account_id, "another secret")
        store.accounts.change_own_password(connection, "my own secret")
    found = entries(as_admin, kinds=["account"])
    assert [(entry.act, entry.subject) for entry in found] == [
        ("change_password", "ada@example.org"),
        ("reset_password", "bob@example.org"),
        ("create", "bob@example.org"),
        ("sign_in", "ada@example.org"),
        ("create", "ada@example.org"),
    ]
    assert "secret" not in repr(found)
    assert "SCRAM" not in repr(found)


def test_permissions_of_a_role_are_told(as_admin: Database) -> None:
    with as_admin.begin() as connection:
        role = store.roles.create(connection, "clerk", permissions=["export"])
        store.roles.update(connection, replace(role, permissions=frozenset({"view_dashboards"})))
    found = [(entry.act, entry.before, entry.after) for entry in entries(as_admin, kinds=["role"])]
    assert found == [
        ("change", {"permissions": []}, {"permissions": ["view_dashboards"]}),
        ("change", {"permissions": ["export"]}, {"permissions": []}),
        ("change", {"permissions": []}, {"permissions": ["export"]}),
        ("create", None, {"name": "clerk", "description": ""}),
    ]


def test_what_ingest_stores_is_no_act(place: Place) -> None:
    row = ReadingRow(place.house.house_id, place.meter.device_id, "meter", T0, {"x": 1.0})
    with place.database.begin() as connection:
        store.readings.write(connection, Batch(readings=[row]))
    assert entries(place.database) == []


def test_acts_elsewhere_are_told_by_those_who_may_do_them(
    as_admin: Database, account_of: Callable[..., Database], place: Place
) -> None:
    house = place.house.house_id
    with as_admin.begin() as connection:
        store.audit.note(
            connection, "issue_credentials", "credentials", "North", house_id=house, details={"id": "abc"}
        )
    (entry,) = entries(as_admin, acts=["issue_credentials"])
    assert told(entry) == ("issue_credentials", "credentials", "North", None, {"id": "abc"})

    exporter = account_of("export", house_id=house)
    with exporter.begin() as connection:
        store.audit.note(connection, "export", "report", "Solar", house_id=house)
    for act, kind, house_id in (
        ("issue_credentials", "credentials", house),
        ("export", "report", None),
        ("export", "report", house + 1),
        ("create", "account", house),
    ):
        with pytest.raises(UserError), exporter.begin() as connection:
            store.audit.note(connection, act, kind, "x", house_id=house_id)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM sgmp.audit",
        "UPDATE sgmp.audit SET actor = 'nobody'",
        "TRUNCATE sgmp.audit",
        "INSERT INTO sgmp.audit (actor, act, kind, subject) VALUES ('bob', 'create', 'account', 'x')",
        "SELECT sgmp.write_audit('create', 'account', 'x', 1, NULL, NULL, NULL)",
        "ALTER TABLE sgmp.audit DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE sgmp.audit",
    ],
)
def test_not_even_an_administrator_changes_the_audit(as_admin: Database, statement: str) -> None:
    before = entries(as_admin)
    with pytest.raises(Refused), as_admin.begin() as connection:
        connection.exec_driver_sql(statement)
    assert entries(as_admin) == before


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM sgmp.audit", "UPDATE sgmp.audit SET actor = 'nobody'", "TRUNCATE sgmp.audit"],
)
def test_the_owner_does_not_change_it_by_mistake_either(database: Database, statement: str) -> None:
    with pytest.raises(Refused, match="only ever added to"), database.begin() as connection:
        connection.exec_driver_sql(statement)


def test_it_is_read_by_who_manages_accounts_of_their_house(
    as_admin: Database, account_of: Callable[..., Database], place: Place
) -> None:
    with as_admin.begin() as connection:
        other = store.houses.create(connection, "South")
    manager = account_of("manage_accounts", house_id=place.house.house_id)
    stranger = account_of("manage_accounts", house_id=other.house_id)
    researcher = account_of("view_devices", "manage_analytics", house_id=place.house.house_id)
    with as_admin.begin() as connection:
        store.analytics.create(connection, place.house.house_id, "solar", "meter.x")
    assert [entry.subject for entry in entries(manager, kinds=["analytic_item"])] == ["solar"]
    assert {entry.house_id for entry in entries(manager)} == {place.house.house_id}
    assert entries(stranger, kinds=["analytic_item"]) == []
    assert entries(researcher) == []


def test_it_is_filtered_and_read_page_by_page(as_admin: Database, place: Place) -> None:
    with as_admin.begin() as connection:
        for number in range(5):
            store.analytics.create(connection, place.house.house_id, f"x{number}", "meter.x")
    kinds = ["analytic_item"]
    first = entries(as_admin, kinds=kinds, limit=2)
    second = entries(as_admin, kinds=kinds, limit=2, before_id=first[-1].entry_id)
    assert [entry.subject for entry in first + second] == ["x4", "x3", "x2", "x1"]
    assert len(entries(as_admin, kinds=kinds, actor="ADA@")) == 5
    assert entries(as_admin, kinds=kinds, actor="a%a") == []
    assert entries(as_admin, kinds=kinds, acts=["delete"]) == []
    assert entries(as_admin, kinds=kinds, house_id=place.house.house_id + 1) == []
    newest = first[0].at_ms
    assert [entry.subject for entry in entries(as_admin, kinds=kinds, from_ms=newest + 1)] == []
    assert len(entries(as_admin, kinds=kinds, from_ms=first[-1].at_ms - 60_000, to_ms=newest + 1)) == 5


# --- Secrets ------------------------------------------------------------------------------------------------------------


def test_revealed_secrets_are_told(as_admin: Database, place: Place) -> None:
    with as_admin.begin() as connection:
        made = store.devices.create(connection, place.house.house_id, "sonnen", "sonnen", SONNEN)
    with as_admin.begin() as connection:
        assert store.devices.reveal(connection, made.device_id) == SONNEN
        (sent,) = [d for d in store.devices.to_send(connection, place.house.house_id) if d.name == "sonnen"]
        assert sent.config == SONNEN
    found = [(e.actor, e.kind, e.subject) for e in entries(as_admin, acts=["reveal_secrets"])]
    assert found == [
        ("ada@example.org", "configuration", "North"),
        ("ada@example.org", "device", "sonnen"),
    ]


def test_nobody_sees_a_secret_and_takes_the_entry_back(
    as_admin: Database, place: Place, test_database: TestDatabase
) -> None:
    connection = psycopg2.connect(make_dsn(**{**as_admin.parameters, "sslmode": "prefer"}))
    with connection.cursor() as cursor:
        cursor.execute("SELECT sgmp.announce_reveal('device', %s)", (place.meter.device_id,))
        (announced,) = cursor.fetchone() or (0,)
        with pytest.raises(psycopg2.Error, match="only after audit has noted it"):
            cursor.execute("SELECT sgmp.reveal(%s)", (announced,))
        connection.rollback()
        with pytest.raises(psycopg2.Error, match="only after audit has noted it"):
            cursor.execute("SELECT sgmp.reveal(%s)", (announced,))
    connection.close()


def test_a_reveal_is_for_who_announced_it(
    as_admin: Database, account_of: Callable[..., Database], place: Place
) -> None:
    other = account_of("view_secrets", "all_houses")
    with as_admin.begin() as connection:
        announced = connection.exec_driver_sql(
            "SELECT sgmp.announce_reveal('device', %s)", (place.meter.device_id,)
        ).scalar_one()
    with pytest.raises(Refused), other.begin() as connection:
        connection.exec_driver_sql("SELECT sgmp.reveal(%s)", (announced,))


def test_secrets_are_revealed_to_who_may_see_them_in_their_house(
    place: Place, account_of: Callable[..., Database]
) -> None:
    with place.database.begin() as connection:
        other = store.houses.create(connection, "South")
    house, meter = place.house.house_id, place.meter.device_id
    with account_of("view_secrets", house_id=house).begin() as connection:
        assert store.devices.reveal(connection, meter)["ip"] == "198.51.100.7"
    with (
        pytest.raises(UserError, match="no such device"),
        account_of("view_secrets", "manage_houses", house_id=other.house_id).begin() as connection,
    ):
        store.devices.reveal(connection, meter)
    with (
        pytest.raises(Refused, match="view_secrets"),
        account_of("manage_devices", "view_devices", house_id=house).begin() as connection,
    ):
        store.devices.reveal(connection, meter)
    for lacking in (["manage_houses"], ["view_secrets"]):
        with pytest.raises(Refused), account_of(*lacking, house_id=house).begin() as connection:
            store.devices.to_send(connection, house)


def test_versions_are_shown_masked_with_the_secrets_that_changed(as_admin: Database, place: Place) -> None:
    house = place.house.house_id
    with as_admin.begin() as connection:
        sonnen = store.devices.create(connection, house, "sonnen", "sonnen", SONNEN)
    for version, token in ((1, "t0ps3cret"), (2, "an0ther")):
        with as_admin.begin() as connection:
            now = store.devices.get(connection, sonnen.device_id)
            store.devices.update(connection, replace(now, config={**now.config, "token": token}))
        with as_admin.begin() as connection:
            sent = [
                {"device_id": d.device_id, "name": d.name, "type": d.type, "config": d.config}
                for d in store.devices.to_send(connection, house)
            ]
            store.config_versions.add(connection, house, version, "abc", sent)
    with as_admin.begin() as connection:
        versions = store.config_versions
        shown = {d.name: d.config for d in versions.devices_of(connection, house, 1)}
        assert shown["sonnen"] == {**SONNEN, "token": "***"}
        assert versions.changed_secrets(connection, house, 1, 2) == {(sonnen.device_id, "token")}
        assert versions.changed_secrets(connection, house, 2, None) == frozenset()
        assert not store.standings.of_house(connection, house).changed
        assert {d.name: d.config for d in versions.to_send(connection, house, 1)}["sonnen"] == SONNEN
        (newest, _) = versions.list_all(connection, house)
        assert newest.created_by == "ada@example.org"
        with pytest.raises(UserError, match="no such version"):
            versions.devices_of(connection, house, 3)


# --- No entry is larger than can be read --------------------------------------------------------------------------------


def test_a_long_value_is_cut_in_the_audit(place: Place) -> None:
    config = {"ip": "192.0.2.1", "keys": [f"A.Register{i}" for i in range(3000)]}
    with place.database.begin() as connection:
        device = store.devices.create(connection, place.house.house_id, "big", "egauge", config)
        store.devices.update(connection, replace(device, description="x" * 4000))
        changed, created = store.audit.read(connection, subject="big")
    assert changed.after == {"description": "x" * 2000 + " … (4000 characters)"}
    assert created.after is not None
    assert str(created.after["config"]["keys"]).endswith("characters)")


def test_what_is_too_long_for_a_list_comes_when_it_is_asked_for(place: Place) -> None:
    config = {f"setting{i}": i * 10.0**100 for i in range(200)}
    with place.database.begin() as connection:
        store.devices.create(connection, place.house.house_id, "big", "egauge", config)
        (listed,) = store.audit.read(connection, subject="big")
        assert (listed.whole, listed.after) == (False, None)
        whole = store.audit.get(connection, listed.entry_id)
        assert whole.whole
        assert whole.after is not None
        assert len(whole.after["config"]) == 200
        assert store.audit.read(connection, subject="big", whole=True) == [whole]


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (lambda c, p: store.houses.create(c, "Long", description="x" * 4001), "description"),
        (lambda c, p: store.houses.create(c, "Long", time_zone="x" * 65), "time zone"),
        (lambda c, p: store.roles.create(c, "Long", description="x" * 4001, permissions=[]), "description"),
        (lambda c, p: store.devices.create(c, p.house.house_id, "long", "x" * 65, {}), "type"),
        (
            lambda c, p: store.devices.create(c, p.house.house_id, "long", "egauge", {"x": "y" * 70_000}),
            "config",
        ),
        (lambda c, p: store.analytics.create(c, p.house.house_id, "long", "1+" * 6000 + "1"), "formula"),
        (lambda c, p: store.analytics.create(c, p.house.house_id, "long", "1", unit="x" * 65), "unit"),
        (lambda c, p: store.config_versions.add(c, p.house.house_id, 1, "x" * 65, []), "sha256"),
    ],
)
def test_what_an_account_writes_is_bounded(
    place: Place, act: Callable[[Any, Place], object], what: str
) -> None:
    with pytest.raises(UserError, match=f"The {what} is too long"), place.database.begin() as connection:
        act(connection, place)


def test_every_text_and_document_that_an_account_writes_has_a_bound(database: Database) -> None:
    written_by_accounts = (
        "role", "house", "account", "device", "analytic_item", "aggregation", "config_version",
    )  # fmt: skip
    with database.begin() as connection:
        unbounded = connection.exec_driver_sql(
            "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'sgmp'::regnamespace AND c.relname = ANY (%s) AND attnum > 0"
            " AND atttypid IN ('text'::regtype, 'jsonb'::regtype)"
            " AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'"
            "                 AND a.attnum = ANY (k.conkey) AND pg_get_constraintdef(k.oid) LIKE '%%length(%%')",
            (list(written_by_accounts),),
        ).scalars()
        # Computed by the database from what is bounded.
        assert set(unbounded) == {"account.login", "config_version.created_by"}


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("password", "x"), ("", "x"), ("report", "Solar\nann@example.org signed in"), ("report", "a\x1b[2J")],
)
def test_what_the_console_notes_is_of_a_known_kind_and_one_line(
    database: Database, kind: str, subject: str
) -> None:
    with database.begin() as connection:
        house_id = store.houses.create(connection, "Maple House").house_id
    with pytest.raises(UserError), database.begin() as connection:
        store.audit.note(connection, "export", kind, subject, house_id=house_id)
