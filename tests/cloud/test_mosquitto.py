"""resources/mosquitto as a real Mosquitto applies it: who may do what, and what is kept."""

from __future__ import annotations

import signal
from collections.abc import Callable
from shutil import copyfile

from awscrt.mqtt5 import PubackReasonCode

from tests.mosquitto import TestBroker, TestClient, running_broker
from tests.waiting import WAIT_S

Connect = Callable[..., TestClient]

HOUSE_1 = "sgmp_read/sgmp_house_1/5/meter/1700000000000/data"
HOUSE_2 = "sgmp_read/sgmp_house_2/6/meter/1700000000000/data"


def test_ingest_receives_what_houses_publish(connect: Connect) -> None:
    ingest, house = connect("sgmp_ingest"), connect("sgmp_house_1")
    ingest.subscribe("sgmp_read/+/+/+/+/+")
    assert house.publish(HOUSE_1, b"{}") == PubackReasonCode.SUCCESS
    assert ingest.next_message() == (HOUSE_1, b"{}")


def test_a_house_can_not_publish_for_another(connect: Connect) -> None:
    ingest, house = connect("sgmp_ingest"), connect("sgmp_house_1")
    ingest.subscribe("sgmp_read/+/+/+/+/+")
    assert house.publish(HOUSE_2, b"forged") == PubackReasonCode.NOT_AUTHORIZED
    assert house.publish("sgmp_config/sgmp_house_1/devices", b"[]") == PubackReasonCode.NOT_AUTHORIZED
    house.publish(HOUSE_1, b"own")
    assert ingest.next_message() == (HOUSE_1, b"own")


def test_a_house_can_not_listen_to_another(connect: Connect) -> None:
    console, house = connect("sgmp_console"), connect("sgmp_house_1")
    for topic_filter in ("sgmp_config/#", "sgmp_config/sgmp_house_2/devices", "#"):
        house.subscribe(topic_filter)
    console.publish("sgmp_config/sgmp_house_2/devices", b"of house 2")
    console.publish("sgmp_control/sgmp_house_2/battery", b"of house 2")
    console.publish("sgmp_config/sgmp_house_1/devices", b"of house 1")
    # Delivered in order: what came first is all that was delivered.
    assert house.next_message() == ("sgmp_config/sgmp_house_1/devices", b"of house 1")


def test_a_house_can_not_take_anothers_session(broker: TestBroker, connect: Connect) -> None:
    victim = connect("sgmp_house_2", session_s=60)
    victim.subscribe("sgmp_config/sgmp_house_2/devices")
    connect("sgmp_house_1", client_id="sgmp_house_2")
    connect("sgmp_console").publish("sgmp_config/sgmp_house_2/devices", b"still here")
    assert victim.next_message() == ("sgmp_config/sgmp_house_2/devices", b"still here")


def test_nothing_is_lost_while_ingest_is_away_and_the_broker_restarts() -> None:
    with running_broker() as broker:
        ingest_files, house_files = broker.files_for("sgmp_ingest"), broker.files_for("sgmp_house_1")
        ingest = TestClient(broker, ingest_files, "sgmp_ingest", session_s=3600)
        ingest.wait_connected()
        ingest.subscribe("sgmp_read/+/+/+/+/+")
        ingest.close()
        house = TestClient(broker, house_files, "sgmp_house_1")
        house.wait_connected()
        topics = [f"sgmp_read/sgmp_house_1/5/meter/{timestamp}/data" for timestamp in range(3000)]
        for topic in topics:
            assert house.publish(topic, b"{}") == PubackReasonCode.SUCCESS
        house.close()
        broker.stop()
        broker.start()
        ingest = TestClient(broker, ingest_files, "sgmp_ingest", session_s=3600)
        ingest.wait_connected()
        assert [ingest.next_message()[0] for _ in topics] == topics
        ingest.close()


def test_a_publisher_learns_that_nobody_listens_yet() -> None:
    # Before ingest was ever there the broker keeps nothing: an edge that took this for success would lose data.
    with running_broker() as broker:
        house = TestClient(broker, broker.files_for("sgmp_house_1"), "sgmp_house_1")
        house.wait_connected()
        assert house.publish(HOUSE_1, b"{}") == PubackReasonCode.NO_MATCHING_SUBSCRIBERS
        house.close()


def test_a_revoked_certificate_is_refused_once_the_list_is_read_again() -> None:
    with running_broker() as broker:
        lost, kept = broker.authority.issue("sgmp_house_1"), broker.authority.issue("sgmp_house_1")
        lost_files, kept_files = broker.write(lost), broker.write(kept)
        before = TestClient(broker, lost_files, "sgmp_house_1")
        before.wait_connected()
        before.close()
        broker.authority.revoke(lost.fingerprint)
        copyfile(broker.authority.revocation_file, broker.folder / "broker" / "revoked.pem")
        broker.signal(signal.SIGHUP)
        # The signal is taken at the broker's next turn, which a connection brings about.
        first = TestClient(broker, kept_files, "sgmp_house_1")
        first.wait_connected()
        first.close()
        after = TestClient(broker, lost_files, "sgmp_house_1")
        after.failure.result(WAIT_S)
        after.close()
