"""Synchronize Configuration: versions, what is sent, and what the edge makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from sgmp_console import store
from sgmp_console.errors import Refused, Unavailable
from sgmp_console.fleet import devices, sync
from sgmp_console.fleet.sync import Outcome, SyncState
from sgmp_console.store import Batch, Database, EventRow, House
from sgmp_console.store.accounts import sign_in
from sgmp_console.store.config_versions import ConfigVersion
from sgmp_edge import contract
from tests.database import TestDatabase
from tests.fleet.configs import EGAUGE, SONNEN


@dataclass
class Retained:
    """A broker as far as retained messages go."""

    messages: dict[str, bytes] = field(default_factory=dict)
    answers: bool = True

    def publish_retained(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        if not self.answers:
            raise Unavailable("The broker does not answer.")
        self.messages[topic] = payload


@pytest.fixture
def broker() -> Retained:
    return Retained()


@pytest.fixture
def equipped(database: Database, house: House) -> House:
    devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    return house


def state(database: Database, house: House) -> SyncState:
    with database.begin() as connection:
        return sync.state(connection, house.house_id)


def edge_says(database: Database, house: House, kind: str, after_ms: int, **data: object) -> int:
    """Store an event of the edge, `after_ms` after the newest version was made; its timestamp."""
    with database.begin() as connection:
        made = store.config_versions.newest(connection, house.house_id)
        timestamp = (made.created_ms if made else 0) + after_ms
        row = EventRow(house.house_id, 0, contract.EDGE_DEVICE_NAME, timestamp, kind, data)
        store.readings.write(connection, Batch(events=[row]))
    return timestamp


def newest(database: Database, house: House) -> ConfigVersion:
    with database.begin() as connection:
        found = store.config_versions.newest(connection, house.house_id)
    assert found is not None
    return found


def confirm(database: Database, house: House, after_ms: int) -> None:
    """The edge confirms the newest version."""
    version = newest(database, house)
    edge_says(
        database,
        house,
        contract.CONFIG_APPLIED,
        after_ms,
        version=version.version,
        sha256=version.sha256,
    )


def test_the_edge_is_left_a_document_that_it_can_read(
    database: Database, equipped: House, broker: Retained
) -> None:
    assert sync.synchronize(database, broker, "sgmp", equipped.house_id) == 1
    ((topic, payload),) = broker.messages.items()
    assert topic == f"sgmp_config/sgmp_house_{equipped.house_id}/devices"
    document = contract.parse_config(payload)
    assert document.version == 1
    assert [(device.name, dict(device.config)) for device in document.devices] == [
        ("egauge", EGAUGE),
        ("sonnen", SONNEN),
    ]


def test_a_house_without_devices_can_be_synchronized(
    database: Database, house: House, broker: Retained
) -> None:
    assert sync.synchronize(database, broker, "sgmp", house.house_id) == 1
    (payload,) = broker.messages.values()
    assert contract.parse_config(payload).devices == ()


def test_a_change_makes_a_new_version_and_no_change_sends_the_same_again(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    (first,) = broker.messages.values()
    broker.messages.clear()
    assert sync.synchronize(database, broker, "sgmp", equipped.house_id) == 1
    assert list(broker.messages.values()) == [first]
    with database.begin() as connection:
        egauge = store.devices.list_all(connection, equipped.house_id)[0]
    devices.update(database, replace(egauge, config={**EGAUGE, "interval": 10}))
    assert sync.synchronize(database, broker, "sgmp", equipped.house_id) == 2
    with database.begin() as connection:
        versions = store.config_versions.list_all(connection, equipped.house_id)
    assert [version.version for version in versions] == [2, 1]


def test_what_the_broker_did_not_take_is_not_sent_until_a_retry_sends_it(
    database: Database, equipped: House, broker: Retained
) -> None:
    broker.answers = False
    with pytest.raises(Unavailable):
        sync.synchronize(database, broker, "sgmp", equipped.house_id)
    assert state(database, equipped).outcome is Outcome.NOT_SENT
    broker.answers = True
    assert sync.synchronize(database, broker, "sgmp", equipped.house_id) == 1
    assert len(broker.messages) == 1
    assert state(database, equipped).outcome is Outcome.PENDING
    broker.answers = False  # the broker keeps what it took
    with pytest.raises(Unavailable):
        sync.synchronize(database, broker, "sgmp", equipped.house_id)
    assert state(database, equipped).outcome is Outcome.PENDING


def test_a_newer_version_that_was_not_sent_is_shown_as_such_though_the_edge_runs_the_one_before(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    confirm(database, equipped, 1000)
    devices.create(database, equipped.house_id, "second", "egauge", EGAUGE)
    broker.answers = False
    with pytest.raises(Unavailable):
        sync.synchronize(database, broker, "sgmp", equipped.house_id)
    assert state(database, equipped).outcome is Outcome.NOT_SENT


def test_what_the_edge_runs_was_sent_whatever_the_broker_answered(
    database: Database, equipped: House, broker: Retained
) -> None:
    broker.answers = False
    with pytest.raises(Unavailable):
        sync.synchronize(database, broker, "sgmp", equipped.house_id)
    confirm(database, equipped, 1000)
    assert state(database, equipped).outcome is Outcome.IN_SYNC


def test_an_edge_that_refuses_after_a_restart_what_it_had_confirmed_is_not_in_sync(
    database: Database, equipped: House, broker: Retained
) -> None:
    """Older software was installed on the Pi: it refuses the stored document, and then reports to run nothing."""
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    confirm(database, equipped, 1000)
    when = edge_says(
        database, equipped, contract.CONFIG_REJECTED, 2000, reason="no such type", version=1, sha256="x" * 64
    )
    refused = SyncState(Outcome.REJECTED, 1, when, "no such type", False)
    assert state(database, equipped) == refused
    edge_says(database, equipped, contract.EDGE_STATUS, 3000, config_version=None, config_sha256=None)
    assert state(database, equipped) == refused
    confirmed_sha256 = newest(database, equipped).sha256
    edge_says(
        database,
        equipped,
        contract.EDGE_STATUS,
        4000,
        config_version=1,
        config_sha256=confirmed_sha256,
    )
    assert state(database, equipped).outcome is Outcome.IN_SYNC


@pytest.mark.parametrize(
    ("runs", "outcome"),
    [
        ({"config_version": None, "config_sha256": None}, Outcome.PENDING),
        ({"config_version": 7, "config_sha256": "f" * 64}, Outcome.DRIFTED),
        ({"config_version": "junk", "config_sha256": 3}, Outcome.PENDING),
        ({}, Outcome.IN_SYNC),
    ],
    ids=["nothing", "another version", "nonsense", "an edge that does not report it"],
)
def test_the_status_of_an_edge_counts_more_than_what_it_confirmed_before(
    database: Database, equipped: House, broker: Retained, runs: dict[str, object], outcome: Outcome
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    confirm(database, equipped, 1000)
    edge_says(database, equipped, contract.EDGE_STATUS, 2000, state="online", **runs)
    assert state(database, equipped).outcome is outcome


def test_a_status_from_before_the_confirmation_changes_nothing(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    confirm(database, equipped, 2000)
    edge_says(database, equipped, contract.EDGE_STATUS, 1000, config_version=None, config_sha256=None)
    assert state(database, equipped).outcome is Outcome.IN_SYNC


def test_numbers_go_on_from_what_the_edge_has_even_after_a_restored_backup(
    database: Database, equipped: House, broker: Retained
) -> None:
    edge_says(database, equipped, contract.CONFIG_APPLIED, 5000, version=41, sha256="x")
    assert sync.synchronize(database, broker, "sgmp", equipped.house_id) == 42


def test_the_state_follows_what_the_edge_says(database: Database, equipped: House, broker: Retained) -> None:
    assert state(database, equipped) == SyncState(Outcome.NEVER, None, None, None, True)

    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    pending = state(database, equipped)
    assert (pending.outcome, pending.version, pending.changed) == (Outcome.PENDING, 1, False)

    with database.begin() as connection:
        made = store.config_versions.newest(connection, equipped.house_id)
    assert made is not None
    assert pending.since_ms == made.published_ms
    when = edge_says(database, equipped, contract.CONFIG_REJECTED, 1000, reason="device 1: no such type")
    assert state(database, equipped) == SyncState(Outcome.REJECTED, 1, when, "device 1: no such type", False)

    when = edge_says(database, equipped, contract.CONFIG_APPLIED, 2000, version=1, sha256=made.sha256)
    assert state(database, equipped) == SyncState(Outcome.IN_SYNC, 1, when, None, False)

    when = edge_says(database, equipped, contract.CONFIG_APPLIED, 3000, version=1, sha256="other")
    assert state(database, equipped) == SyncState(Outcome.DRIFTED, 1, when, None, False)


def test_a_device_that_was_edited_since_is_told(
    database: Database, equipped: House, broker: Retained
) -> None:
    sync.synchronize(database, broker, "sgmp", equipped.house_id)
    devices.create(database, equipped.house_id, "second", "egauge", EGAUGE)
    assert state(database, equipped).changed is True


@pytest.mark.parametrize("names", [(), ("b", "a"), ("a", "b")], ids=["none", "not by name", "by name"])
def test_nothing_is_changed_after_synchronizing_in_whatever_order_the_devices_were_made(
    database: Database, house: House, broker: Retained, names: tuple[str, ...]
) -> None:
    for name in names:
        devices.create(database, house.house_id, name, "egauge", EGAUGE)
    sync.synchronize(database, broker, "sgmp", house.house_id)
    assert state(database, house).changed is False


@pytest.fixture
def researcher(database: Database, test_database: TestDatabase, equipped: House) -> Iterator[Database]:
    """The house's researcher, who may not see secrets."""
    with database.begin() as connection:
        store.accounts.create(
            connection,
            email="rea@example.org",
            name="Rea",
            role="researcher",
            house_id=equipped.house_id,
            password="long enough a password",
            must_change_password=False,
        )
    signed_in, _ = sign_in(
        test_database.address, test_database.deployment, "rea@example.org", "long enough a password"
    )
    yield signed_in
    signed_in.dispose()


def test_who_may_not_see_secrets_cannot_send_masks_in_their_place(
    researcher: Database, equipped: House, broker: Retained
) -> None:
    with pytest.raises(Refused, match="view_secrets"):
        sync.synchronize(researcher, broker, "sgmp", equipped.house_id)
    assert broker.messages == {}
    assert state(researcher, equipped).changed is True
