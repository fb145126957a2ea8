"""Devices: the playbook's naming rule, configs checked against the type, history kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.fleet import analytics, devices
from sgmp_console.fleet.devices import DeviceError
from sgmp_console.store import Batch, ChangedMeanwhile, Database, Device, House, ReadingRow
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, POWERFLEX, SONNEN, TOKEN

T0 = 1_750_000_000_000


@pytest.mark.parametrize(
    ("kind", "config"), [("sonnen", SONNEN), ("egauge", EGAUGE), ("powerflex", POWERFLEX)]
)
def test_the_playbooks_examples_are_accepted(
    database: Database, house: House, kind: str, config: dict[str, Any]
) -> None:
    made = devices.create(database, house.house_id, kind, kind, config, description="In the cellar ")
    with database.begin() as connection:
        assert store.devices.list_all(connection, house.house_id) == [made]
    assert (made.name, made.type, made.description) == (kind, kind, "In the cellar")
    assert devices.reveal(database, made.device_id) == config


@pytest.mark.parametrize(
    "name", ["", "1st", "_edge", "a-b", "a b", "ä", "x" * 65, "events", "analytics", "a\n"]
)
def test_a_name_that_no_formula_could_use_is_refused(database: Database, house: House, name: str) -> None:
    with pytest.raises(DeviceError):
        devices.create(database, house.house_id, name, "egauge", EGAUGE)


def test_a_name_is_unique_in_its_house(database: Database, house: House) -> None:
    devices.create(database, house.house_id, "meter", "egauge", EGAUGE)
    with pytest.raises(UserError, match="A device meter exists already in this house"):
        devices.create(database, house.house_id, "meter", "sonnen", SONNEN)


def test_an_unknown_type_is_refused_with_those_that_there_are(database: Database, house: House) -> None:
    with pytest.raises(DeviceError, match="egauge, powerflex, sonnen"):
        devices.create(database, house.house_id, "meter", "tesla", {})


def test_problems_of_a_config_are_told_by_setting_and_without_its_values(
    database: Database, house: House
) -> None:
    config = {**SONNEN, "token": 5, "ip": "not a host", "colour": TOKEN}
    with pytest.raises(DeviceError) as caught:
        devices.create(database, house.house_id, "sonnen", "sonnen", config)
    assert {problem.key for problem in caught.value.problems} == {"token", "ip", "colour"}
    assert TOKEN not in str(caught.value)


def test_a_masked_setting_keeps_what_is_stored(database: Database, house: House) -> None:
    made = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    assert made.config == {**SONNEN, "token": devices.MASK}
    devices.update(database, replace(made, config={**made.config, "ip": "192.0.2.9"}))
    assert devices.reveal(database, made.device_id) == {**SONNEN, "ip": "192.0.2.9"}


def test_a_mask_that_stands_for_nothing_is_refused(database: Database, house: House) -> None:
    masked = {**SONNEN, "token": devices.MASK}
    with pytest.raises(DeviceError, match="`token` is masked"):
        devices.create(database, house.house_id, "sonnen", "sonnen", masked)
    made = devices.create(database, house.house_id, "sonnen", "sonnen", {"ip": "192.0.2.1"})
    with pytest.raises(DeviceError, match="`token` is masked"):
        devices.update(database, replace(made, config=masked))


@pytest.fixture
def installer(database: Database, test_database: TestDatabase, house: House) -> Iterator[Database]:
    """An account that manages devices without seeing their secrets."""
    with database.begin() as connection:
        store.roles.create(
            connection, "installer", description="", permissions=["view_devices", "manage_devices"]
        )
        store.accounts.create(
            connection,
            email="ida@example.org",
            name="Ida",
            role="installer",
            house_id=house.house_id,
            password="long enough a password",
            must_change_password=False,
        )
    signed_in, _ = store.sign_in(
        test_database.address, test_database.deployment, "ida@example.org", "long enough a password"
    )
    yield signed_in
    signed_in.dispose()


@pytest.mark.parametrize(
    ("kind", "config", "moved"),
    [("sonnen", SONNEN, {"ip": "203.0.113.9"}), ("powerflex", POWERFLEX, {"url": "https://evil.example"})],
)
def test_secrets_do_not_go_to_an_address_chosen_by_one_who_may_not_see_them(
    database: Database,
    installer: Database,
    house: House,
    kind: str,
    config: dict[str, Any],
    moved: dict[str, str],
) -> None:
    made = devices.create(database, house.house_id, kind, kind, config)
    with installer.begin() as connection:
        masked = store.devices.get(connection, made.device_id)
    with pytest.raises(DeviceError, match=r"Enter (token|password) again"):
        devices.update(installer, replace(masked, config={**masked.config, **moved}))
    assert devices.reveal(database, made.device_id) == config

    # Past the console, with SQL: the address is stored, the secret is gone.
    with installer.begin() as connection:
        store.devices.update(connection, replace(masked, config={**masked.config, **moved}))
    (secret,) = [key for key, value in masked.config.items() if value == devices.MASK]
    assert devices.reveal(database, made.device_id) == {
        key: moved.get(key, value) for key, value in config.items() if key != secret
    }


def test_an_address_can_be_changed_by_entering_the_secret_again(
    database: Database, installer: Database, house: House
) -> None:
    made = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    moved = {**SONNEN, "ip": "203.0.113.9", "token": "a" * 36}
    devices.update(installer, replace(made, config=moved))
    assert devices.reveal(database, made.device_id) == moved


def test_what_is_no_address_changes_without_touching_secrets(
    database: Database, installer: Database, house: House
) -> None:
    made = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    with installer.begin() as connection:
        masked = store.devices.get(connection, made.device_id)
    devices.update(
        installer, replace(masked, description="In the cellar", config={**masked.config, "serial": "7"})
    )
    assert devices.reveal(database, made.device_id) == {**SONNEN, "serial": "7"}


def test_who_may_see_secrets_moves_a_device_with_them(database: Database, house: House) -> None:
    made = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    devices.update(database, replace(made, config={**made.config, "ip": "203.0.113.9"}))
    assert devices.reveal(database, made.device_id) == {**SONNEN, "ip": "203.0.113.9"}


def test_masks_keep_nothing_when_the_type_changes(database: Database, house: House) -> None:
    made = devices.create(database, house.house_id, "charger", "powerflex", POWERFLEX)
    masked = {"ip": "192.0.2.1", "password": devices.MASK}
    with pytest.raises(DeviceError, match="`password` is masked"):
        devices.update(database, replace(made, type="egauge", config=masked))


def test_the_same_meter_comes_back_with_its_secrets(database: Database, house: House) -> None:
    first = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    devices.delete(database, house.house_id, [first.device_id])
    again = devices.create(database, house.house_id, "sonnen", "sonnen", first.config, same_meter=True)
    assert devices.reveal(database, again.device_id) == SONNEN


def test_type_config_and_description_can_be_changed(database: Database, house: House) -> None:
    made = devices.create(database, house.house_id, "meter", "egauge", EGAUGE)
    changed = devices.update(database, replace(made, config={**EGAUGE, "interval": 10}, description="Slow"))
    assert changed.config["interval"] == 10
    assert changed.revision == made.revision + 1


def test_the_second_of_two_operators_is_told(database: Database, house: House) -> None:
    made = devices.create(database, house.house_id, "meter", "egauge", EGAUGE)
    devices.update(database, replace(made, description="One"))
    with pytest.raises(ChangedMeanwhile, match="Device meter"):
        devices.update(database, replace(made, description="Two"))


def test_a_device_in_use_is_not_deleted_and_neither_are_the_others(database: Database, house: House) -> None:
    used = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    free = devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    item = analytics.create(database, house.house_id, "load", "-egauge.A.Load")
    with pytest.raises(UserError, match="egauge is used by load"):
        devices.delete(database, house.house_id, [free.device_id, used.device_id])
    with database.begin() as connection:
        assert len(store.devices.list_all(connection, house.house_id)) == 2
    analytics.delete(database, house.house_id, [item.item_id])
    devices.delete(database, house.house_id, [free.device_id, used.device_id])
    with database.begin() as connection:
        assert store.devices.list_all(connection, house.house_id) == []


def test_a_device_of_another_house_is_not_deleted(database: Database, house: House) -> None:
    device = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    with pytest.raises(UserError, match="not in this house any more"):
        devices.delete(database, house.house_id + 1, [device.device_id])


def read(database: Database, house: House) -> list[float]:
    with database.begin() as connection:
        key = ("meter", "A.Load")
        return list(store.readings.read(connection, house.house_id, [key], T0, T0 + 10_000)[key].values)


def store_reading(database: Database, device: Device, timestamp_ms: int, value: float) -> None:
    row = ReadingRow(device.house_id, device.device_id, device.name, timestamp_ms, {"A.Load": value})
    with database.begin() as connection:
        store.readings.write(connection, Batch(readings=[row]))


@pytest.mark.parametrize(("same_meter", "history"), [(False, [2.0]), (True, [1.0, 2.0])])
def test_a_device_of_a_deleted_ones_name_continues_it_only_if_it_is_the_same_meter(
    database: Database, house: House, same_meter: bool, history: list[float]
) -> None:
    first = devices.create(database, house.house_id, "meter", "egauge", EGAUGE)
    store_reading(database, first, T0 + 1000, 1.0)
    devices.delete(database, house.house_id, [first.device_id])
    second = devices.create(database, house.house_id, "meter", "egauge", EGAUGE, same_meter=same_meter)
    store_reading(database, second, T0 + 2000, 2.0)
    assert read(database, house) == history
