"""A database on another machine: TLS with a verified certificate, or nothing at all.

The embedded server has no TLS, so this is the system's PostgreSQL, on this machine's address in its network.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.demo.postgres import EmbeddedPostgres
from sgmp_console.errors import UserError
from sgmp_console.store import Database, DatabaseUnavailable
from sgmp_console.unprivileged_user import unprivileged_user
from tests.mosquitto import free_port
from tests.waiting import wait_until

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def own_address() -> str | None:
    """This machine's address as others see it; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


class SystemPostgres(EmbeddedPostgres):
    """As the embedded one, with the programs of the system's package."""

    def _programs(self) -> Path:
        return PROGRAMS[-1]


@dataclass(frozen=True)
class TlsServer:
    """`url` is its owner's, on loopback; `elsewhere` the same as seen from other machines. Its certificate is for the
    address, not for loopback."""

    url: str
    elsewhere: str
    port: int
    folder: Path
    authority: LocalAuthority

    def trusting(self, authority: LocalAuthority | None = None) -> str:
        file = (authority or self.authority).certificate_file
        return f"{self.elsewhere}?sslrootcert={file}"


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    address = own_address()
    if not PROGRAMS:
        pytest.skip("no PostgreSQL with TLS is installed (Debian: postgresql)")
    if address is None:
        pytest.skip("this machine has no network, and so no address that is not loopback")
    folder = Path(tempfile.mkdtemp(prefix="sgmp-tls-"))
    folder.chmod(0o711)
    authority = LocalAuthority(folder / "authority")
    issued = authority.issue_server([address])
    cert, key, hba = folder / "server.crt", folder / "server.key", folder / "pg_hba.conf"
    cert.write_text(issued.certificate_pem)
    key.write_text(issued.private_key_pem)
    key.chmod(0o600)
    hba.write_text("local all all scram-sha-256\nhost all all 0.0.0.0/0 scram-sha-256\n")
    if (owner := unprivileged_user()) is not None:
        for path in (cert, key, hba):
            os.chown(path, *owner)
        sockets = folder / "sockets"
        sockets.mkdir()
        os.chown(sockets, *owner)
    else:
        (folder / "sockets").mkdir()
    port = free_port()
    settings = {
        "listen_addresses": "*",
        "hba_file": str(hba),
        "unix_socket_directories": str(folder / "sockets"),
        "ssl_cert_file": str(cert),
        "ssl_key_file": str(key),
        "fsync": "off",
    }
    postgres = SystemPostgres(folder / "postgres", port=port, settings=settings)
    try:
        url = postgres.start()
        set_tls(url, "on")
        yield TlsServer(url, url.replace("127.0.0.1", address), port, folder, authority)
    finally:
        postgres.stop()
        shutil.rmtree(folder)


def set_tls(url: str, state: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET ssl = {state}")
            cursor.execute("SELECT pg_reload_conf()")

        def has_it() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SHOW ssl")
                return cursor.fetchone() == (state,)

        wait_until(has_it)
    finally:
        connection.close()


def is_encrypted(url: str) -> bool:
    database = Database.connect(url)
    try:
        with database.begin() as connection:
            query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            return bool(connection.exec_driver_sql(query).scalar_one())
    finally:
        database.dispose()


def test_with_the_servers_own_authority_it_is_reached_by_tls(server: TlsServer) -> None:
    assert is_encrypted(server.trusting())


def test_of_several_hosts_one_that_answers_is_reached_by_tls(server: TlsServer) -> None:
    address = server.elsewhere.partition("@")[2].partition("/")[0]
    several = server.trusting().replace(address, f"127.0.0.1:{free_port()},{address}")
    assert is_encrypted(several)


def test_an_unknown_authority_is_not_trusted(server: TlsServer, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        Database.connect(server.trusting(LocalAuthority(tmp_path)))


def test_without_an_authority_named_only_public_ones_are_trusted(server: TlsServer) -> None:
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        Database.connect(server.elsewhere)


def test_a_certificate_for_another_name_is_not_taken(server: TlsServer) -> None:
    # Two places, so that loopback is held to the same: the certificate does not name it.
    named = server.trusting().replace(
        server.elsewhere.partition("@")[2].partition("/")[0],
        f"localhost:{server.port},192.0.2.7:{server.port}",
    )
    with pytest.raises(DatabaseUnavailable, match="does not match host name"):
        Database.connect(f"{named}&connect_timeout=2")


def test_a_server_without_tls_is_not_talked_to(server: TlsServer) -> None:
    set_tls(server.url, "off")
    try:
        with pytest.raises(DatabaseUnavailable, match="does not support SSL"):
            Database.connect(server.trusting())
    finally:
        set_tls(server.url, "on")


def test_the_address_can_not_turn_tls_off(server: TlsServer) -> None:
    with pytest.raises(UserError, match="TLS and a verified certificate only"):
        Database.connect(f"{server.elsewhere}?sslmode=disable")


def test_the_environment_can_not_turn_tls_off(server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert is_encrypted(server.trusting())


def test_on_this_machine_a_socket_needs_no_tls(server: TlsServer) -> None:
    user_and_password = server.url.partition("://")[2].partition("@")[0]
    url = f"postgresql://{user_and_password}@/sgmp?host={server.folder / 'sockets'}&port={server.port}"
    assert not is_encrypted(url)
