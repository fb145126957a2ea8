"""A real Mosquitto with mutual TLS for tests, and a small client that collects what it receives."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awscrt import mqtt5
from awsiot import mqtt5_client_builder

from sgmp_console.cloud.local_ca import Credentials, LocalAuthority
from sgmp_console.demo.folder import LOOPBACK
from sgmp_console.demo.folder import free_port as free_port  # for those who need a broker that is not there
from sgmp_console.demo.mosquitto import find_mosquitto, prepare_broker
from sgmp_console.demo.processes import Child, Program
from sgmp_console.unprivileged_user import unprivileged_user
from tests.waiting import WAIT_S, wait_until


@dataclass(frozen=True)
class CredentialFiles:
    ca: Path
    cert: Path
    key: Path


class TestBroker:
    """Mosquitto as the demo runs it, in a folder of its own. `address`, `port`, `deployment`, `authority`."""

    __test__ = False
    address = LOOPBACK

    def __init__(self, folder: Path, deployment: str = "sgmp") -> None:
        self.folder = folder
        self.deployment = deployment
        self.port = free_port()
        self.authority = LocalAuthority(folder / "authority")
        self._child: Child | None = None

    def start(self) -> None:
        prepare_broker(
            self.folder / "broker", self.authority, self.deployment, self.port, unprivileged_user()
        )
        self._start()

    def restart(self) -> None:
        """With the files that it has, as a service manager does."""
        self.stop()
        self._start()

    def _start(self) -> None:
        owner = unprivileged_user()
        command = [str(find_mosquitto()), "-c", str(self.folder / "broker" / "mosquitto.conf")]
        self._child = Child(Program("mosquitto", command, self.folder / "mosquitto.log", owner=owner))
        wait_until(self._answers, explain=(self.folder / "mosquitto.log").read_text)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(WAIT_S)
            self._child = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            wait_until(lambda: self._child is not None and self._child.exit_code() is not None)

    def files_for(self, common_name: str) -> CredentialFiles:
        return self.write(self.authority.issue(common_name))

    def write(self, credentials: Credentials) -> CredentialFiles:
        folder = self.folder / "issued" / credentials.fingerprint
        folder.mkdir(parents=True)
        files = CredentialFiles(folder / "ca.crt", folder / "client.crt", folder / "client.key")
        files.ca.write_text(credentials.ca_pem, "ascii")
        files.cert.write_text(credentials.certificate_pem, "ascii")
        files.key.write_text(credentials.private_key_pem, "ascii")
        return files

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0


@contextmanager
def running_broker(deployment: str = "sgmp") -> Iterator[TestBroker]:
    folder = Path(tempfile.mkdtemp(prefix="sgmp-broker-"))
    folder.chmod(0o711)  # as root, the broker runs as somebody else, who must get through
    broker = TestBroker(folder, deployment)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(folder)


class TestClient:
    """One connection. `received` holds (topic, payload) in order of arrival."""

    __test__ = False

    def __init__(
        self, broker: TestBroker, files: CredentialFiles, client_id: str, *, session_s: int = 0
    ) -> None:
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.failure: Future[Any] = Future()
        self._connected: Future[Any] = Future()
        self._stopped: Future[None] = Future()
        self._client = mqtt5_client_builder.mtls_from_path(
            str(files.cert),
            str(files.key),
            ca_filepath=str(files.ca),
            endpoint=broker.address,
            port=broker.port,
            client_id=client_id,
            session_expiry_interval_sec=session_s,
            session_behavior=(
                mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS
                if session_s
                else mqtt5.ClientSessionBehaviorType.CLEAN
            ),
            # Its default is AWS IoT Core's limit of 100 messages a second.
            extended_validation_and_flow_control_options=(mqtt5.ExtendedValidationAndFlowControlOptions.NONE),
            min_reconnect_delay_ms=200,
            max_reconnect_delay_ms=500,
            enable_metrics_collection=False,
            on_publish_received=lambda data: self.received.put(
                (data.publish_packet.topic, bytes(data.publish_packet.payload or b""))
            ),
            on_lifecycle_connection_success=lambda data: _settle(self._connected, data),
            on_lifecycle_connection_failure=lambda data: _settle(self.failure, data),
            on_lifecycle_stopped=lambda _: _settle(self._stopped, None),
        )
        self._client.start()

    def wait_connected(self) -> None:
        self._connected.result(WAIT_S)

    def subscribe(self, topic_filter: str) -> None:
        subscription = mqtt5.Subscription(topic_filter=topic_filter, qos=mqtt5.QoS.AT_LEAST_ONCE)
        answer = self._client.subscribe(mqtt5.SubscribePacket(subscriptions=[subscription])).result(WAIT_S)
        assert max(answer.reason_codes) <= mqtt5.SubackReasonCode.GRANTED_QOS_2

    def publish(self, topic: str, payload: bytes) -> mqtt5.PubackReasonCode:
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        return self._client.publish(packet).result(WAIT_S).puback.reason_code

    def publish_carelessly(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """As no edge does: without a receipt (QoS 0), or left in the broker for good."""
        qos = mqtt5.QoS.AT_LEAST_ONCE if retain else mqtt5.QoS.AT_MOST_ONCE
        self._client.publish(
            mqtt5.PublishPacket(topic=topic, payload=payload, qos=qos, retain=retain)
        ).result(WAIT_S)

    def next_message(self) -> tuple[str, bytes]:
        return self.received.get(timeout=WAIT_S)

    def close(self) -> None:
        self._client.stop()
        self._stopped.result(WAIT_S)


def _settle(future: Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)
