"""The connection to the broker, against a real Mosquitto."""

from __future__ import annotations

import contextlib
import datetime
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.cloud.mqtt import (
    KEEP_ALIVE_S,
    Answer,
    BrokerSettings,
    Cause,
    Connection,
    Disconnected,
    Published,
)
from sgmp_console.demo.folder import free_port
from tests.mosquitto import CredentialFiles, TestBroker
from tests.waiting import WAIT_S


def settings(broker: TestBroker, files: CredentialFiles) -> BrokerSettings:
    return BrokerSettings(broker.address, broker.port, files.ca, files.cert, files.key)


def connect(broker: TestBroker, name: str, *, session_s: int = 0) -> Connection:
    return Connection(settings(broker, broker.files_for(name)), name, timeout_s=WAIT_S, session_s=session_s)


def received(connection: Connection, count: int) -> list[Published]:
    found: list[Published] = []
    while len(found) < count:
        found += [one for one in connection.exchange(WAIT_S) if isinstance(one, Published)]
    return found


def answered(connection: Connection, packet_id: int) -> Answer:
    while True:
        for one in connection.exchange(WAIT_S):
            if isinstance(one, Answer) and one.packet_id == packet_id:
                return one


def test_messages_come_in_order_and_again_until_they_are_acknowledged(broker: TestBroker) -> None:
    files = broker.files_for("sgmp_ingest")
    house = connect(broker, "sgmp_house_31")
    topics = [f"sgmp_read/sgmp_house_31/1/meter/{n}/data" for n in range(300)]
    first = Connection(settings(broker, files), "ingest", timeout_s=WAIT_S, session_s=60)
    assert not answered(first, first.subscribe("sgmp_read/+/+/+/+/+")).refused
    for topic in topics:
        house.publish(topic, b"{}", retain=False, expires_s=None)
    house.flush(WAIT_S)
    came = received(first, 300)
    assert [one.topic for one in came] == topics
    first.acknowledge(one.packet_id for one in came[:200])
    first.flush(WAIT_S)
    first.close()
    second = Connection(settings(broker, files), "ingest", timeout_s=WAIT_S, session_s=60)
    again = received(second, 100)
    assert [one.topic for one in again] == topics[200:]
    second.close()
    house.close()


def test_without_reading_it_acknowledges_and_stays_connected(broker: TestBroker) -> None:
    files = broker.files_for("sgmp_ingest")
    house = connect(broker, "sgmp_house_32")
    ingest = Connection(settings(broker, files), "ingest", timeout_s=WAIT_S)
    answered(ingest, ingest.subscribe("sgmp_read/+/+/+/+/+"))
    house.publish("sgmp_read/sgmp_house_32/1/meter/1/data", b"first", retain=False, expires_s=None)
    house.flush(WAIT_S)
    (first,) = received(ingest, 1)
    house.publish("sgmp_read/sgmp_house_32/1/meter/2/data", b"second", retain=False, expires_s=None)
    house.flush(WAIT_S)
    ingest.acknowledge([first.packet_id])
    assert ingest.exchange(0.2, read=False) == []
    assert received(ingest, 1)[0].payload == b"second"
    ingest.close()
    house.close()


@pytest.mark.slow
def test_a_connection_that_is_not_read_is_kept(broker: TestBroker) -> None:
    ingest = Connection(
        settings(broker, broker.files_for("sgmp_ingest")), "ingest", timeout_s=WAIT_S, keep_alive_s=1
    )
    answered(ingest, ingest.subscribe("sgmp_read/+/+/+/+/+"))
    house = connect(broker, "sgmp_house_33")
    house.publish("sgmp_read/sgmp_house_33/1/meter/1/data", b"{}", retain=False, expires_s=None)
    house.flush(WAIT_S)
    until = (
        time.monotonic() + 9.0
    )  # paho gives up after 2 s, and Mosquitto, which looks every 5 s, after less than 8 s
    while time.monotonic() < until:
        ingest.exchange(0.5, read=False)
    assert received(ingest, 1)[0].payload == b"{}"
    assert not answered(ingest, ingest.subscribe("sgmp_read/+/+/+/+/+")).refused
    ingest.close()
    house.close()


def test_a_broker_that_hangs_is_noticed(broker: TestBroker) -> None:
    ingest = Connection(
        settings(broker, broker.files_for("sgmp_ingest")), "ingest", timeout_s=WAIT_S, keep_alive_s=1
    )
    broker.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Disconnected) as ended:
            received(ingest, 1)
    finally:
        broker.signal(signal.SIGCONT)
        ingest.close()
    assert ended.value.cause is Cause.TIMEOUT


def test_another_thread_ends_the_wait(broker: TestBroker) -> None:
    ingest = connect(broker, "sgmp_ingest")
    began = time.monotonic()
    threading.Timer(0.1, ingest.wake).start()
    assert ingest.exchange(WAIT_S) == []
    assert time.monotonic() - began < KEEP_ALIVE_S / 2
    ingest.close()


def test_another_connection_of_the_same_name_ends_the_first(broker: TestBroker) -> None:
    files = broker.files_for("sgmp_ingest")
    first = Connection(settings(broker, files), "ingest", timeout_s=WAIT_S)
    second = Connection(settings(broker, files), "ingest", timeout_s=WAIT_S)
    with pytest.raises(Disconnected) as ended:
        received(first, 1)
    assert ended.value.cause in (Cause.TAKEN_OVER, Cause.ENDED)  # Mosquitto 2.0.11 does not say why
    first.close()
    second.close()


def test_who_does_not_answer_is_unreachable(broker: TestBroker) -> None:
    files = broker.files_for("sgmp_ingest")
    nowhere = BrokerSettings("127.0.0.1", free_port(), files.ca, files.cert, files.key)
    with pytest.raises(Disconnected) as refused:
        Connection(nowhere, "ingest", timeout_s=2.0)
    assert refused.value.cause is Cause.UNREACHABLE


@contextmanager
def tls_server(certificate: Path, key: Path, *, sends: bytes = b"") -> Iterator[int]:
    """Answers one TLS handshake, sends those bytes and waits for the end of the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            raw, _ = listener.accept()
            try:
                with context.wrap_socket(raw, server_side=True) as secured:
                    secured.sendall(sends)
                    while secured.recv(4096):
                        pass
            except OSError:
                raw.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(WAIT_S)


CONNACK, NOT_AUTHORIZED = bytes.fromhex("2003000000"), bytes.fromhex("2003008700")
TAKEN_OVER, SHUTTING_DOWN, GOOD_BYE = (bytes.fromhex(packet) for packet in ("e0018e", "e0018b", "e000"))
TOPIC_OF_NO_TEXT = bytes.fromhex("32070002ff41000100")


@pytest.mark.parametrize(
    ("sends", "cause"),
    [
        (NOT_AUTHORIZED, Cause.REFUSED),
        (CONNACK + TAKEN_OVER, Cause.TAKEN_OVER),
        (CONNACK + SHUTTING_DOWN, Cause.ENDED),
        (CONNACK + GOOD_BYE, Cause.ENDED),
        (CONNACK + TOPIC_OF_NO_TEXT, Cause.ENDED),
        (b"HTTP/1.1 400 Bad Request\r\n" + b"Server: web\r\n" * 10, Cause.ENDED),
    ],
)
def test_the_cause_of_an_end_comes_from_the_code(tmp_path: Path, sends: bytes, cause: Cause) -> None:
    authority = LocalAuthority(tmp_path / "authority")
    files: dict[str, tuple[Path, Path]] = {}
    for name, credentials in {
        "server": authority.issue_server(["localhost"]),
        "client": authority.issue("sgmp_ingest"),
    }.items():
        files[name] = (tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        files[name][0].write_text(credentials.certificate_pem, "ascii")
        files[name][1].write_text(credentials.private_key_pem, "ascii")
    with tls_server(*files["server"], sends=sends) as port:
        broker = BrokerSettings("localhost", port, authority.certificate_file, *files["client"])
        with pytest.raises(Disconnected) as ended:  # noqa: PT012 - it may end before the first turn
            connection = Connection(broker, "ingest", timeout_s=WAIT_S)
            with contextlib.closing(connection):
                received(connection, 1)
    assert ended.value.cause is cause


def test_an_expired_certificate_of_the_broker_is_reported_as_such(broker: TestBroker, tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "authority")
    key = serialization.load_pem_private_key((tmp_path / "authority" / "ca.key").read_bytes(), None)
    ca = x509.load_pem_x509_certificate(authority.certificate_file.read_bytes())
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    expired = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca.subject)
        .public_key(ca.public_key())
        .serial_number(7)
        .not_valid_before(past)
        .not_valid_after(past + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    (tmp_path / "expired.crt").write_bytes(expired.public_bytes(serialization.Encoding.PEM))
    files = broker.write(authority.issue("sgmp_ingest"))
    with tls_server(tmp_path / "expired.crt", tmp_path / "authority" / "ca.key") as port:
        with pytest.raises(Disconnected, match="expired") as refused:
            Connection(
                BrokerSettings("localhost", port, authority.certificate_file, files.cert, files.key),
                "ingest",
                timeout_s=WAIT_S,
            )
        assert refused.value.cause is Cause.EXPIRED
