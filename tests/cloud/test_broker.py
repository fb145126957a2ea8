"""The console's publishing, against a real Mosquitto with mutual TLS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sgmp_console.cloud.broker import Broker, BrokerRefused, BrokerUnavailable
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.demo.folder import free_port
from tests.mosquitto import TestBroker, TestClient

Connect = Callable[..., TestClient]


@pytest.fixture(scope="module")
def console(broker: TestBroker) -> Broker:
    files = broker.files_for("sgmp_console")
    return Broker(broker.address, broker.port, files.ca, files.cert, files.key)


def test_an_edge_finds_the_document_when_it_comes_online(console: Broker, connect: Connect) -> None:
    console.publish_retained("sgmp_config/sgmp_house_1/devices", b"[1]")
    console.publish_retained("sgmp_config/sgmp_house_1/devices", b"[2]")
    edge = connect("sgmp_house_1")
    edge.subscribe("sgmp_config/sgmp_house_1/devices")
    assert edge.next_message() == ("sgmp_config/sgmp_house_1/devices", b"[2]")


def test_an_edge_that_is_online_is_told_at_once(console: Broker, connect: Connect) -> None:
    edge = connect("sgmp_house_1")
    edge.subscribe("sgmp_config/sgmp_house_1/probe")
    console.publish_retained("sgmp_config/sgmp_house_1/probe", b"{}")
    assert edge.next_message() == ("sgmp_config/sgmp_house_1/probe", b"{}")


def test_a_request_is_left_for_nobody(console: Broker, connect: Connect) -> None:
    edge = connect("sgmp_house_2")
    console.publish_once("sgmp_config/sgmp_house_2/probe", b"too early", expires_s=60)
    edge.subscribe("sgmp_config/sgmp_house_2/probe")
    console.publish_once("sgmp_config/sgmp_house_2/probe", b"{}", expires_s=60)
    assert edge.next_message() == ("sgmp_config/sgmp_house_2/probe", b"{}")


def test_what_the_access_list_forbids_is_refused(console: Broker) -> None:
    with pytest.raises(BrokerRefused, match="access list"):
        console.publish_retained("sgmp_read/sgmp_house_1/1/meter/0/data", b"{}")


def test_a_broker_that_is_away_is_told_in_time(console: Broker) -> None:
    with pytest.raises(BrokerUnavailable, match=r"did not answer within 1 s \(.*refused"):
        replace(console, port=free_port()).publish_retained("sgmp_config/x/devices", b"[]", timeout_s=1.0)


def test_a_certificate_of_another_authority_is_not_let_in(
    broker: TestBroker, console: Broker, tmp_path: Path
) -> None:
    stranger = broker.write(LocalAuthority(tmp_path / "stranger").issue("sgmp_console"))
    imposter = replace(console, cert=stranger.cert, key=stranger.key)
    with pytest.raises(BrokerUnavailable):
        imposter.publish_retained("sgmp_config/sgmp_house_1/devices", b"[]", timeout_s=1.5)


def test_a_broker_of_another_authority_is_not_talked_to(console: Broker, tmp_path: Path) -> None:
    other = LocalAuthority(tmp_path / "other").certificate_file
    with pytest.raises(BrokerUnavailable):
        replace(console, ca=other).publish_retained("sgmp_config/x/devices", b"[]", timeout_s=1.5)


def test_missing_credentials_are_named(console: Broker, tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"nowhere\.crt"):
        replace(console, cert=tmp_path / "nowhere.crt").publish_retained("sgmp_config/x/devices", b"[]")
