"""Our MQTT client: against a real Mosquitto, and against bytes that no broker sends."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.cloud.mqtt import (
    Answer,
    BrokerSettings,
    Cause,
    Connection,
    Disconnected,
    PacketReader,
    Published,
)
from sgmp_console.demo.folder import free_port
from tests.mosquitto import WAIT_S, CredentialFiles, TestBroker


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
def tls_server(certificate: Path, key: Path) -> Iterator[int]:
    """Answers one TLS handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            raw, _ = listener.accept()
            try:
                context.wrap_socket(raw, server_side=True).close()
            except OSError:
                raw.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(WAIT_S)


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


# --- Bytes ----------------------------------------------------------------------------------------------------------


def publication(topic: bytes, payload: bytes, packet_id: int, properties: bytes = b"") -> bytes:
    body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", packet_id)
    body += bytes([len(properties)]) + properties + payload
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([0x32]) + bytes(encoded) + body


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
            st.binary(max_size=400),
            st.integers(1, 65_535),
            st.binary(max_size=20),
        ),
        max_size=8,
    ),
    st.lists(st.integers(1, 60), max_size=40),
)
def test_publications_are_read_however_they_are_cut(
    messages: list[tuple[str, bytes, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(
        publication(topic.encode(), payload, number, properties)
        for topic, payload, number, properties in messages
    )
    reader = PacketReader()
    found = []
    for cut in [*cuts, len(stream)]:
        reader.feed(stream[:cut])
        stream = stream[cut:]
        found += reader.packets()
    assert found == [Published(topic, payload, number) for topic, payload, number, _ in messages]


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_are_packets_or_end_the_connection(chunks: list[bytes]) -> None:
    reader = PacketReader()
    for chunk in chunks:
        reader.feed(chunk)
        try:
            reader.packets()
        except Disconnected:
            return
