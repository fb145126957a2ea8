"""What ingest reports of itself when it is connected, busy, and of no use."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from sgmp_console import store
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.cloud.mqtt import BrokerSettings
from sgmp_console.ingest import health as health_module
from sgmp_console.ingest.health import Health
from sgmp_console.ingest.inbox import Inbox, Message
from sgmp_console.ingest.refusals import Refusals
from sgmp_console.ingest.subscriber import Subscriber
from sgmp_console.ingest.writer import Writer
from sgmp_console.store import Database, ingest_state
from sgmp_console.store.ingest_state import Alarm

NOW = int(time.time() * 1000)


@dataclass
class Ingest:
    """All of ingest but its connection."""

    database: Database
    deployment: str
    house_id: int
    device_id: int
    inbox: Inbox
    writer: Writer
    subscriber: Subscriber
    health: Health

    def message(self, at: int, payload: bytes = b'{"x": 1}') -> Message:
        house = f"{self.deployment}_house_{self.house_id}"
        return Message(f"{self.deployment}_read/{house}/{self.device_id}/meter/{at}/data", payload, NOW)

    def alarms(self) -> dict[Alarm, str]:
        self.health.report_when_due()
        with self.database.begin() as connection:
            (state,) = ingest_state.read(connection)
        return state.alarms


@pytest.fixture
def ingest(database: Database, deployment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingest:
    monkeypatch.setattr(health_module, "_REPORT_EVERY_S", 0.0)
    with database.begin() as connection:
        house = store.houses.create(connection, "North")
        device = store.devices.create(connection, house.house_id, "meter", "egauge", {})
    credentials = LocalAuthority(tmp_path / "authority").issue("ingest")
    (tmp_path / "cert").write_text(credentials.certificate_pem)
    (tmp_path / "key").write_text(credentials.private_key_pem)
    broker = BrokerSettings("127.0.0.1", 1, None, tmp_path / "cert", tmp_path / "key")
    inbox, writer = Inbox(), Writer(deployment, database)
    subscriber = Subscriber(broker, deployment, "ingest", "", inbox)
    health = Health("ingest", deployment, database, writer, inbox, subscriber, Refusals(deployment, None))
    return Ingest(database, deployment, house.house_id, device.device_id, inbox, writer, subscriber, health)


def test_without_trouble_there_is_no_alarm(ingest: Ingest) -> None:
    # Not NOW: a long run comes here minutes after this file was read, and an old reading is an alarm.
    ingest.writer.write([ingest.message(int(time.time() * 1000))])
    assert ingest.alarms() == {}


@pytest.mark.expected_warnings("sends far more messages")
def test_a_house_that_floods_is_named(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_REPORT_EVERY_S", 1.0)
    ingest.subscriber.connected_since = time.monotonic() - 1000
    ingest.inbox.put(ingest.message(NOW + number) for number in range(3000))
    time_of_report = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: time_of_report)
    assert f"House {ingest.house_id} sends far more" in ingest.alarms()[Alarm.FLOOD]


def test_what_the_broker_had_kept_is_not_a_flood(ingest: Ingest) -> None:
    ingest.subscriber.connected_since = time.monotonic()
    ingest.inbox.put(ingest.message(NOW + number) for number in range(3000))
    assert Alarm.FLOOD not in ingest.alarms()


@pytest.mark.expected_warnings("no new readings", "nearly all that ingest received was stored before")
def test_a_minute_of_repeats_is_an_alarm(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_WINDOW_S", 0.0)
    messages = [ingest.message(NOW - number) for number in range(300)]
    ingest.writer.write(messages)
    assert Alarm.ONLY_REPEATS not in ingest.alarms()
    ingest.writer.write(messages)
    assert Alarm.ONLY_REPEATS in ingest.alarms()
    ingest.writer.write([ingest.message(NOW - number) for number in range(1000, 1100)])
    assert Alarm.ONLY_REPEATS not in ingest.alarms()


@pytest.mark.expected_warnings("nothing could be stored")
def test_what_can_not_be_stored_for_a_minute_is_an_alarm(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest.health.note_failure(RuntimeError("a bug"))
    assert ingest.alarms() == {}
    monkeypatch.setattr(health_module, "_ALARM_AFTER_S", 0.0)
    assert "a bug" in ingest.alarms()[Alarm.NOT_STORING]
    ingest.health.note_stored(0.1)
    assert ingest.alarms() == {}


@pytest.mark.expected_warnings("no new readings")
def test_a_house_whose_polls_stop_is_late_until_its_edge_says_good_bye(ingest: Ingest) -> None:
    old = NOW - 200_000
    ingest.writer.write([ingest.message(old - 4000), ingest.message(old)])
    assert f"House {ingest.house_id}" in ingest.alarms()[Alarm.LATE_HOUSES]
    house = f"{ingest.deployment}_house_{ingest.house_id}"
    offline = b'{"type": "EDGE_STATUS", "data": {"state": "offline"}}'
    ingest.writer.write([Message(f"{ingest.deployment}_read/{house}/0/_edge/{NOW}/event", offline, NOW)])
    assert ingest.alarms() == {}
