"""Ingest under load, with the installed Mosquitto, which sends more than Receive Maximum allows (2.0.11 does)."""

from __future__ import annotations

import json
import os
import time

import psutil
import pytest

from sgmp_console import store
from sgmp_console.cloud.mqtt import Answer, BrokerSettings, Connection
from sgmp_console.store import ingest_state
from sgmp_console.store.ingest_state import Alarm
from sgmp_edge.contract import ReadTopic, client_id, read_topic
from tests.ingest.test_service import T0, WAIT_S, Chain, broker, chain
from tests.mosquitto import TestBroker

__all__ = ["broker", "chain"]

QUEUED = int(os.environ.get("SGMP_TEST_QUEUED", "100000"))
"""With a million, and `--timeout 0`, once by hand for a new version of Mosquitto."""

LOAD_WAIT_S = QUEUED / 1000
IN_FLIGHT = 500
MEMORY_BYTES = 200 * 1024 * 1024


class Publisher:
    """Publishes as fast as the broker acknowledges."""

    def __init__(self, broker: TestBroker, deployment: str, house_id: int) -> None:
        name = client_id(deployment, house_id)
        files = broker.files_for(name)
        settings = BrokerSettings(broker.address, broker.port, files.ca, files.cert, files.key)
        self.connection = Connection(settings, name, timeout_s=WAIT_S)
        self._open = 0

    def publish(self, topic: str, payload: bytes) -> None:
        self.connection.publish(topic, payload, retain=False, expires_s=None)
        self._open += 1
        self.settle(IN_FLIGHT)

    def settle(self, left: int = 0) -> None:
        while self._open > left:
            self._open -= sum(isinstance(one, Answer) for one in self.connection.exchange(WAIT_S))


@pytest.mark.slow
def test_a_long_queue_is_stored_whole_in_bounded_memory(chain: Chain, broker: TestBroker) -> None:
    assert chain.ingest.stop() == 0
    with chain.database.begin() as connection:
        house = store.houses.create(connection, "South")
        device = store.devices.create(connection, house.house_id, "meter", "egauge", {})
    publisher = Publisher(broker, chain.deployment, house.house_id)
    start = T0 - QUEUED * 1000
    for number in range(QUEUED):
        topic = chain.topic(start + number * 1000, house_id=house.house_id, device_id=device.device_id)
        publisher.publish(topic, b'{"x": 1}')
    publisher.settle()
    publisher.connection.close()
    started = time.monotonic()
    chain.ingest.start()
    process = psutil.Process(chain.ingest.pid)
    largest, deadline, stored = 0, started + LOAD_WAIT_S, 0
    while stored < QUEUED and time.monotonic() < deadline:
        largest = max(largest, process.memory_info().rss)
        time.sleep(0.5)
        with chain.database.begin() as connection:
            stored = connection.exec_driver_sql("SELECT count(*) FROM sgmp.reading").scalar_one()
    took_s = time.monotonic() - started
    print(f"{stored / took_s:.0f} messages/s stored, the start included; {largest / 2**20:.0f} MB")
    assert stored == QUEUED
    assert largest < MEMORY_BYTES
    assert chain.ingest.log.read_text().count("connection ended") == 0
    assert chain.quarantined() == {}
    assert chain.ingest.stop() == 0


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
