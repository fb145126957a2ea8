"""Ingest under load, with the installed Mosquitto, which sends more than Receive Maximum allows (2.0.11 does)."""

from __future__ import annotations

import json
import os
import threading
import time

import psutil
import pytest

from sgmp_console import store
from sgmp_console.cloud.mqtt import Answer, BrokerSettings, Connection
from sgmp_console.store import ingest_state
from sgmp_console.store.ingest_state import Alarm
from sgmp_edge.contract import ReadTopic, client_id, read_topic
from tests.ingest.test_service import T0, Chain, broker, chain
from tests.mosquitto import TestBroker
from tests.waiting import WAIT_S, wait_until

__all__ = ["broker", "chain"]

QUEUED = int(os.environ.get("SGMP_TEST_QUEUED", "20000"))
"""With a million, and `--timeout 0`, once by hand for a new version of Mosquitto."""

PAYLOAD = b'{"x": 1' + b" " * 8_000 + b"}"
"""So long that all that is queued has no place in the memory that ingest may take."""
LOAD_WAIT_S = QUEUED / 60
"""At a fraction of the speed that a quiet machine has."""
IN_FLIGHT = 500
FLOOD_S = float(os.environ.get("SGMP_TEST_FLOOD", "60"))
"""How long a house floods that nobody refuses."""

LONGEST_WAIT_S = 120.0
MEMORY_BYTES = 200 * 1024 * 1024


class Publisher:
    """Publishes as fast as the broker acknowledges."""

    def __init__(self, broker: TestBroker, deployment: str, house_id: int) -> None:
        name = client_id(deployment, house_id)
        files = broker.files_for(name)
        settings = BrokerSettings(broker.address, broker.port, files.ca, files.cert, files.key)
        self.connection = Connection(settings, name, timeout_s=WAIT_S)
        self._open = 0
        self.refused = False

    def publish(self, topic: str, payload: bytes) -> None:
        self.connection.publish(topic, payload, retain=False, expires_s=None)
        self._open += 1
        self.settle(IN_FLIGHT)

    def settle(self, left: int = 0) -> None:
        while self._open > left:
            answers = [one for one in self.connection.exchange(WAIT_S) if isinstance(one, Answer)]
            self._open -= len(answers)
            self.refused |= any(one.refused for one in answers)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_long_queue_is_stored_whole_in_bounded_memory(chain: Chain, broker: TestBroker) -> None:
    assert chain.ingest.stop() == 0
    with chain.database.begin() as connection:
        house = store.houses.create(connection, "South")
        device = store.devices.create(connection, house.house_id, "meter", "egauge", {})
    publisher = Publisher(broker, chain.deployment, house.house_id)
    start = T0 - QUEUED * 1000
    for number in range(QUEUED):
        topic = chain.topic(start + number * 1000, house_id=house.house_id, device_id=device.device_id)
        publisher.publish(topic, PAYLOAD)
    publisher.settle()
    publisher.connection.close()
    started = time.monotonic()
    chain.ingest.start()
    process = psutil.Process(chain.ingest.pid)
    largest, deadline, stored = 0, started + LOAD_WAIT_S, 0
    while stored < QUEUED and time.monotonic() < deadline:
        largest = max(largest, process.memory_info().rss)
        time.sleep(0.2)
        with chain.database.begin() as connection:
            stored = connection.exec_driver_sql("SELECT count(*) FROM sgmp.reading").scalar_one()
    took_s = time.monotonic() - started
    print(f"{stored / took_s:.0f} messages/s stored, the start included; {largest / 2**20:.0f} MB")
    assert stored == QUEUED
    assert largest < MEMORY_BYTES
    assert chain.ingest.log.read_text().count("connection ended") == 0
    assert chain.quarantined() == {}
    assert chain.ingest.stop() == 0


class Flood(threading.Thread):
    """A house that publishes as fast as the broker takes it, until the broker refuses what it publishes."""

    def __init__(self, chain: Chain, broker: TestBroker) -> None:
        super().__init__()
        with chain.database.begin() as connection:
            self.house = store.houses.create(connection, "South").house_id
            self.device = store.devices.create(connection, self.house, "meter", "egauge", {}).device_id
        self._chain = chain
        self._publisher = Publisher(broker, chain.deployment, self.house)
        self.sent = 0

    def run(self) -> None:
        until = time.monotonic() + FLOOD_S
        while not self._publisher.refused and time.monotonic() < until:
            topic = self._chain.topic(T0 + self.sent, house_id=self.house, device_id=self.device)
            self._publisher.publish(topic, b'{"x": 1}')
            self.sent += 1
        self._publisher.connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("refusing", [True, False], ids=["refused by the broker", "without an access list"])
def test_a_house_that_floods_is_refused_and_others_go_on(
    chain: Chain, broker: TestBroker, refusing: bool
) -> None:
    if not refusing and "SGMP_TEST_FLOOD" not in os.environ:
        pytest.skip("to compare with, by hand")
    assert chain.ingest.stop() == 0
    access_list = broker.folder / "broker" / "acl"
    if refusing:
        chain.ingest.options = (
            *("--broker-acl", str(access_list)),
            *("--broker-reload", f"kill -HUP {broker.pid}"),
        )
    chain.ingest.start()
    chain.wait_connected(2)
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    flood = Flood(chain, broker)
    reports: set[int] = set()

    def reported() -> int:
        with chain.database.begin() as connection:
            reports.update(state.updated_ms for state in ingest_state.read(connection))
        return len(reports)

    # By the second report since the connection it has seen that it is quiet, so that it has caught up.
    already = reported()
    chain.wait(lambda: reported() >= already + 2)
    flood.start()
    longest, number = 0.0, 0
    while flood.is_alive() or number < 3:
        number += 1
        published = time.monotonic()
        chain.publish(T0 + number)
        wait_until(lambda: T0 + number in chain.stored(), 600)  # noqa: B023
        longest = max(longest, time.monotonic() - published)
    flood.join()
    print(f"{flood.sent} messages of the flood; another house waited {longest:.1f} s at most")
    if refusing:
        assert f"user {client_id(chain.deployment, flood.house)}\n" in access_list.read_text("utf-8")
        assert longest < LONGEST_WAIT_S


def test_what_comes_without_a_receipt_or_retained_is_named(chain: Chain) -> None:
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    chain.edge.publish_carelessly(chain.topic(T0 + 1), b'{"x": 1}', retain=False)
    chain.edge.publish_carelessly(chain.topic(T0 + 2), b'{"x": 1}', retain=True)

    def alarms() -> dict[Alarm, str]:
        with chain.database.begin() as connection:
            return {k: v for state in ingest_state.read(connection) for k, v in state.alarms.items()}

    chain.wait(lambda: {Alarm.WITHOUT_RECEIPT, Alarm.RETAINED} <= alarms().keys())
    assert f"House {chain.house_id} " in alarms()[Alarm.WITHOUT_RECEIPT]
    chain.wait(lambda: T0 + 2 in chain.stored())
    assert T0 + 1 not in chain.stored()


def test_two_ingests_of_one_name_are_recognized(chain: Chain, broker: TestBroker) -> None:
    files = chain.ingest.files
    settings = BrokerSettings(broker.address, broker.port, files.ca, files.cert, files.key)
    for times in range(1, 4):
        chain.wait_connected(times)
        Connection(settings, "ingest", timeout_s=WAIT_S).close()
        chain.wait(lambda times=times: chain.ingest.said("connection ended", times))  # type: ignore[misc]
    chain.wait(lambda: chain.ingest.said("with the same certificate or name"))


def test_listeners_that_can_not_be_notified_cost_no_reading(chain: Chain) -> None:
    notify = "EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text)"
    with chain.database.begin() as connection:
        connection.exec_driver_sql(f"REVOKE {notify} FROM PUBLIC")
    try:
        chain.publish(T0, T0 + 1)
        chain.wait(lambda: len(chain.stored()) == 2)
        chain.wait(lambda: chain.ingest.said("listeners were not notified"))
    finally:
        with chain.database.begin() as connection:
            connection.exec_driver_sql(f"GRANT {notify} TO PUBLIC")
    assert chain.quarantined() == {}


def test_a_house_of_the_topic_is_all_that_a_message_may_name(chain: Chain) -> None:
    stranger = ReadTopic(chain.house_id, 0, "_edge", T0, "data")
    chain.edge.publish(read_topic(chain.deployment, stranger), json.dumps({"x": 1}).encode())
    chain.publish(T0)
    chain.wait(lambda: len(chain.stored()) == 1)
    assert len(chain.quarantined()) == 1
    with chain.database.begin() as connection:
        (listed,) = store.quarantine.list_all(connection)
    assert listed.house_id == chain.house_id
