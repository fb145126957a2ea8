"""What Synchronize Configuration would change, what was sent when, and going back to an earlier version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from sgmp_console import store
from sgmp_console.errors import Conflict, Refused, Unavailable, UserError
from sgmp_console.fleet import analytics, devices, sync
from sgmp_console.fleet.config_changes import DeviceChange, Kind, SettingChange
from sgmp_console.fleet.edge_state import Presence
from sgmp_console.fleet.sync import HistoryEntry, Preview, RollBackPreview
from sgmp_console.store import Database, Device, House
from sgmp_console.store.accounts import sign_in
from sgmp_edge import contract
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, KEYS, SONNEN
from tests.fleet.test_sync import Retained, broker, edge_says, equipped

__all__ = ["broker", "equipped"]

MASK = "***"


def device(database: Database, house: House, name: str) -> Device:
    with database.begin() as connection:
        return next(one for one in store.devices.list_all(connection, house.house_id) if one.name == name)


def configs(database: Database, house: House) -> dict[str, object]:
    """The configs as they are stored, secrets included, by name."""
    with database.begin() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT name, config FROM sgmp.device WHERE house_id = {house.house_id} AND deleted_at IS NULL"
        )
        return {row.name: row.config for row in rows}


def preview(database: Database, house: House) -> Preview:
    with database.begin() as connection:
        return sync.preview(connection, house.house_id, 0)


def history(database: Database, house: House) -> list[HistoryEntry]:
    with database.begin() as connection:
        return sync.history(connection, house.house_id)


def back(database: Database, house: House, version: int) -> RollBackPreview:
    with database.begin() as connection:
        return sync.preview_roll_back(connection, house.house_id, version)


def change(database: Database, house: House, name: str, **settings: object) -> None:
    one = device(database, house, name)
    devices.update(database, replace(one, config={**one.config, **settings}))


# --- Preview --------------------------------------------------------------------------------------------------------


def test_before_anything_was_sent_every_device_is_new(database: Database, equipped: House) -> None:
    shown = preview(database, equipped)
    assert (shown.version, shown.devices, shown.running, shown.changes_on_edge) == (1, 2, None, None)
    assert shown.edge.presence is Presence.NEVER
    egauge, sonnen = shown.changes
    assert (egauge.kind, egauge.name, egauge.type) == (Kind.ADDED, "egauge", "egauge")
    assert egauge.settings == (
        SettingChange("ip", None, EGAUGE["ip"]),
        SettingChange("keys", None, KEYS),
    )
    assert SettingChange("token", None, MASK) in sonnen.settings


def test_a_preview_tells_each_setting_before_and_after(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    assert preview(database, equipped).changes == ()
    egauge = device(database, equipped, "egauge")
    change(database, equipped, "egauge", ip="10.0.0.7")
    devices.delete(database, equipped.house_id, [device(database, equipped, "sonnen").device_id])
    shown = preview(database, equipped)
    assert shown.changes == (
        DeviceChange(
            Kind.CHANGED,
            egauge.device_id,
            "egauge",
            "egauge",
            (SettingChange("ip", EGAUGE["ip"], "10.0.0.7"),),
        ),
        DeviceChange(Kind.REMOVED, egauge.device_id + 1, "sonnen", "sonnen"),
    )
    assert shown.version == 2


def test_a_secret_that_changed_is_told_but_not_shown(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    change(database, equipped, "sonnen", token="f" * 64)
    (shown,) = preview(database, equipped).changes
    assert shown.settings == (SettingChange("token", MASK, MASK),)


def test_a_preview_also_says_what_changes_on_an_edge_that_runs_an_earlier_version(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    first = history(database, equipped)[0].version
    edge_says(database, equipped, contract.CONFIG_APPLIED, 10, version=first.version, sha256=first.sha256)
    change(database, equipped, "egauge", ip="10.0.0.7")
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    shown = preview(database, equipped)
    assert (shown.version, shown.changes, shown.running) == (2, (), 1)
    assert shown.changes_on_edge is not None
    assert [one.settings for one in shown.changes_on_edge] == [
        (SettingChange("ip", EGAUGE["ip"], "10.0.0.7"),)
    ]


def test_what_an_edge_runs_that_was_not_sent_from_here_is_not_known(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    edge_says(database, equipped, contract.CONFIG_APPLIED, 10, version=9, sha256="another")
    shown = preview(database, equipped)
    assert (shown.running, shown.changes_on_edge) == (None, None)


def test_nothing_is_sent_that_was_not_looked_at(
    database: Database, equipped: House, broker: Retained
) -> None:
    looked_at = preview(database, equipped).looked_at
    change(database, equipped, "egauge", ip="10.0.0.7")
    with pytest.raises(Conflict, match="A device of Maple House was changed"):
        sync.synchronize(database, broker, "sgmp", equipped.house_id, looked_at=looked_at)
    assert broker.messages == {}
    assert history(database, equipped) == []


# --- History --------------------------------------------------------------------------------------------------------


def test_the_history_says_who_sent_what_and_what_the_edge_said(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    first = history(database, equipped)[0].version
    applied = edge_says(database, equipped, contract.CONFIG_APPLIED, 10, version=1, sha256=first.sha256)
    edge_says(database, equipped, contract.CONFIG_APPLIED, 500, version=1, sha256=first.sha256)
    devices.create(database, equipped.house_id, "second", "egauge", EGAUGE)
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    rejected = edge_says(
        database, equipped, contract.CONFIG_REJECTED, 20, version=2, sha256="x", reason="no such type"
    )
    newer, older = history(database, equipped)
    assert (older.version.version, older.devices, older.applied_ms, older.rejected_ms) == (
        1,
        2,
        applied,
        None,
    )
    assert (newer.version.version, newer.devices, newer.applied_ms) == (2, 3, None)
    assert (newer.rejected_ms, newer.reason) == (rejected, "no such type")


def test_a_refusal_without_a_version_is_of_the_newest_then(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    edge_says(database, equipped, contract.CONFIG_REJECTED, 0, reason="not valid JSON", version=None)
    assert history(database, equipped)[0].reason == "not valid JSON"


def test_the_history_names_accounts_by_email(
    database: Database, test_database: TestDatabase, equipped: House, broker: Retained
) -> None:
    with _signed_in(
        database, test_database, equipped, "manage_houses", "view_secrets", "view_devices"
    ) as hers:
        sync.synchronize(hers, broker, "sgmp", equipped.house_id)
    assert history(database, equipped)[0].version.created_by == "ona@example.org"


# --- Going back -----------------------------------------------------------------------------------------------------


def test_going_back_makes_the_devices_what_they_were(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    (first,) = broker.messages.values()
    before = configs(database, equipped)
    ids = {name: device(database, equipped, name).device_id for name in before}
    change(database, equipped, "sonnen", token="f" * 64, ip="10.0.0.8")
    devices.delete(database, equipped.house_id, [ids["egauge"]])
    devices.create(database, equipped.house_id, "second", "egauge", EGAUGE)
    sync.synchronize(database, broker, "sgmp", equipped.house_id)

    shown = back(database, equipped, 1)
    assert [(one.kind, one.name) for one in shown.changes] == [
        (Kind.ADDED, "egauge"),
        (Kind.REMOVED, "second"),
        (Kind.CHANGED, "sonnen"),
    ]
    assert shown.changes[2].settings == (
        SettingChange("ip", "10.0.0.8", SONNEN["ip"]),
        SettingChange("token", MASK, MASK),
    )
    assert shown.obstacles == ()
    assert sync.roll_back(database, broker, "sgmp", equipped.house_id, 1, looked_at=shown.looked_at) == 3
    assert configs(database, equipped) == before
    assert {name: device(database, equipped, name).device_id for name in before} == ids
    sent = contract.parse_config(next(iter(broker.messages.values())))
    assert (sent.version, sent.devices) == (3, contract.parse_config(first).devices)
    assert [(one.version.version, one.devices) for one in history(database, equipped)] == [
        (3, 2),
        (2, 2),
        (1, 2),
    ]


def test_a_device_made_since_gives_its_name_back_to_the_one_that_had_it(
    database: Database, equipped: House, broker: Retained
) -> None:
    old = device(database, equipped, "egauge").device_id
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    analytics.create(database, equipped.house_id, "load", "-egauge.A.Load", description="", aggregated=False)
    devices.create(database, equipped.house_id, "x", "egauge", EGAUGE)
    with database.begin() as connection:
        store.devices.delete(connection, old)
    devices.create(database, equipped.house_id, "egauge", "egauge", {**EGAUGE, "ip": "10.0.0.9"})
    sync.roll_back(database, broker, "sgmp", equipped.house_id, 1)
    assert device(database, equipped, "egauge").device_id == old


def test_going_back_is_refused_while_formulas_use_a_device_made_since(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    change(database, equipped, "egauge", ip="10.0.0.7")
    devices.create(database, equipped.house_id, "second", "egauge", EGAUGE)
    analytics.create(database, equipped.house_id, "load", "-second.A.Load", description="", aggregated=False)
    present = configs(database, equipped)
    assert back(database, equipped, 1).obstacles == (
        "Device second, which was made since, is used by load; change or delete these analytic items first.",
    )
    with pytest.raises(UserError, match=r"Nothing was changed\. Device second.* is used by load"):
        sync.roll_back(database, broker, "sgmp", equipped.house_id, 1)
    assert configs(database, equipped) == present


def test_a_broker_that_fails_leaves_the_old_version_pending(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    change(database, equipped, "egauge", ip="10.0.0.7")
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    broker.answers = False
    with pytest.raises(Unavailable):
        sync.roll_back(database, broker, "sgmp", equipped.house_id, 1)
    assert history(database, equipped)[0].version.version == 3
    broker.answers = True
    assert sync.synchronize(database, broker, "sgmp", equipped.house_id) == 3


def test_nothing_is_rolled_back_over_what_somebody_else_changed_meanwhile(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    change(database, equipped, "egauge", ip="10.0.0.7")
    looked_at = back(database, equipped, 1).looked_at
    change(database, equipped, "egauge", ip="10.0.0.8")
    with pytest.raises(Conflict):
        sync.roll_back(database, broker, "sgmp", equipped.house_id, 1, looked_at=looked_at)
    assert device(database, equipped, "egauge").config["ip"] == "10.0.0.8"


def test_there_is_no_going_back_to_a_version_that_never_was(
    database: Database, equipped: House, broker: Retained
) -> None:
    with pytest.raises(UserError, match="no such version"):
        sync.roll_back(database, broker, "sgmp", equipped.house_id, 7)


@pytest.mark.parametrize("lacking", ["manage_houses", "manage_devices", "view_secrets"])
def test_going_back_needs_permissions_for_all_that_it_does(
    database: Database, test_database: TestDatabase, equipped: House, broker: Retained, lacking: str
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    change(database, equipped, "egauge", ip="10.0.0.7")
    needed = {"manage_houses", "manage_devices", "view_secrets", "view_devices"} - {lacking}
    with _signed_in(database, test_database, equipped, *needed) as hers, pytest.raises(Refused):
        sync.roll_back(hers, broker, "sgmp", equipped.house_id, 1)
    assert device(database, equipped, "egauge").config["ip"] == "10.0.0.7"


@contextmanager
def _signed_in(
    database: Database, test_database: TestDatabase, house: House, *permissions: str
) -> Iterator[Database]:
    """The database as an account of that house sees it, with these permissions."""
    with database.begin() as connection:
        store.roles.create(connection, "operator", description="", permissions=frozenset(permissions))
        store.accounts.create(
            connection,
            email="ona@example.org",
            name="Ona",
            role="operator",
            house_id=house.house_id,
            password="long enough a password",
        )
        connection.exec_driver_sql("UPDATE sgmp.account SET must_change_password = false")
    signed_in, _ = sign_in(
        test_database.address, test_database.deployment, "ona@example.org", "long enough a password"
    )
    try:
        yield signed_in
    finally:
        signed_in.dispose()
