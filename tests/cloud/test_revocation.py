"""A revoked edge loses its connection to a real Mosquitto, and can't come back."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sgmp_console.cloud import revocation
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.cloud.mqtt import BrokerSettings, Cause, Connection, Disconnected
from tests.mosquitto import CredentialFiles, TestBroker, running_broker
from tests.waiting import WAIT_S, wait_until


@pytest.fixture
def own_broker() -> Iterator[TestBroker]:
    with running_broker() as broker:
        yield broker


def connect(broker: TestBroker, files: CredentialFiles) -> Connection:
    settings = BrokerSettings(broker.address, broker.port, files.ca, files.cert, files.key)
    return Connection(settings, "ignored", timeout_s=WAIT_S)


def ends(connection: Connection) -> bool:
    try:
        connection.exchange(0.2)
    except Disconnected:
        return True
    return False


def test_a_revoked_edge_is_disconnected_and_kept_out(own_broker: TestBroker, tmp_path: Path) -> None:
    lost, kept = (own_broker.authority.issue(f"sgmp_house_{house}") for house in (1, 2))
    lost_files, kept_files = own_broker.write(lost), own_broker.write(kept)
    broker_list = own_broker.folder / "broker" / "revoked.pem"
    marker = tmp_path / "restart"
    command = [
        *(sys.executable, "-m", "sgmp_console", "revocation", "watch"),
        *("--list", str(own_broker.authority.revocation_file), "--broker-list", str(broker_list)),
        *("--restart", f"touch {marker}"),
    ]

    def restart_when_asked() -> bool:
        """Stands for systemd."""
        if not marker.exists():
            return False
        marker.unlink()
        own_broker.restart()
        return True

    with subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL) as watching:
        try:
            wait_until(restart_when_asked)
            edge = connect(own_broker, lost_files)
            own_broker.authority.revoke(lost.fingerprint)
            wait_until(restart_when_asked)
            wait_until(lambda: ends(edge))
            edge.close()
            with pytest.raises(Disconnected) as refused:
                connect(own_broker, lost_files)
            # The broker may close before it said why.
            assert refused.value.cause in (Cause.NOT_LET_IN, Cause.ENDED)
            connect(own_broker, kept_files).close()
        finally:
            watching.send_signal(signal.SIGTERM)
        assert watching.wait(WAIT_S) == 0


@pytest.mark.expected_warnings("not now")
def test_a_restart_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "_RETRY_S", 0.01)
    authority = LocalAuthority(tmp_path / "authority")
    stop = threading.Event()
    attempts: list[int] = []

    def restart() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise revocation.RestartFailed("not now")
        stop.set()

    revocation.watch(authority.revocation_file, tmp_path / "revoked.pem", restart, stop)
    assert len(attempts) == 3


def test_a_damaged_list_never_reaches_the_broker(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "authority")
    target = tmp_path / "revoked.pem"
    assert revocation.install(authority.revocation_file, target)
    before = target.read_bytes()
    (tmp_path / "damaged.pem").write_text("not a list")
    with pytest.raises(revocation.ListUnusable, match=r"damaged\.pem"):
        revocation.install(tmp_path / "damaged.pem", target)
    assert target.read_bytes() == before
    assert not revocation.install(authority.revocation_file, target)


def test_a_list_that_would_let_nobody_in_or_somebody_again_never_reaches_the_broker(tmp_path: Path) -> None:
    authority, other = LocalAuthority(tmp_path / "authority"), LocalAuthority(tmp_path / "other")
    target = tmp_path / "broker" / "revoked.pem"
    target.parent.mkdir()
    (target.parent / "ca.crt").write_text(authority.ca_pem)
    older = tmp_path / "older.pem"
    older.write_bytes(authority.revocation_file.read_bytes())
    authority.revoke(authority.issue("sgmp_house_1").fingerprint)
    assert revocation.install(authority.revocation_file, target)
    before = target.read_bytes()

    expired = tmp_path / "expired.pem"
    expired.write_bytes(expired_list(tmp_path / "authority"))
    for source, why in (
        (older, "does not name 1 of the certificates"),
        (other.revocation_file, "another certificate authority"),
        (expired, "would let nobody in"),
    ):
        with pytest.raises(revocation.ListUnusable, match=why):
            revocation.install(source, target)
    assert target.read_bytes() == before


def expired_list(folder: Path) -> bytes:
    """As openssl makes one for 30 days, a year later."""
    certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=365)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(then)
        .next_update(then + datetime.timedelta(days=30))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
