"""A revoked edge loses its connection to a real Mosquitto, and can't come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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
