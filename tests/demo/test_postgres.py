"""The embedded PostgreSQL: made, started, killed, found again; nobody else's server is taken for ours."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from sgmp_console.demo.postgres import EmbeddedPostgres, EmbeddedPostgresFailed
from sgmp_console.unprivileged_user import unprivileged_user
from tests.waiting import WAIT_S, wait_until

CARELESS = {"fsync": "off"}


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A folder with a database that was made and stopped; copies of it save making it again."""
    folder = Path(tempfile.mkdtemp(prefix="sgmp-postgres-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder / "original", settings=CARELESS)
    postgres.start()
    postgres.stop()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(made: Path, request: pytest.FixtureRequest) -> Path:
    copy = made / str(request.node.name)
    shutil.copytree(made / "original", copy)
    for path in (copy, *copy.rglob("*")):
        status = (made / "original" / path.relative_to(copy)).stat()
        os.chown(path, status.st_uid, status.st_gid)
    return copy


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder, settings=CARELESS)
    yield server
    server.stop()


def ask(url: str, question: str) -> Any:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()[0][0] if cursor.description else None
    finally:
        connection.close()


def pid_of(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text("ascii").split()[0])


def test_it_starts_asks_for_a_password_and_stops(postgres: EmbeddedPostgres, folder: Path) -> None:
    url = postgres.start()
    assert postgres.is_running()
    assert postgres.start() == url
    assert ask(url, "SELECT current_user || ' of ' || current_database()") == "sgmp of sgmp"
    password = (folder / "owner_password").read_text("ascii")
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        ask(url.replace(password, "wrong"), "SELECT 1")
    postgres.stop()
    assert not postgres.is_running()
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        ask(url, "SELECT 1")


def test_it_listens_on_loopback_only(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()
    assert ask(url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(url, "SHOW unix_socket_directories") == ""


def test_files_are_the_servers_users_alone(postgres: EmbeddedPostgres, folder: Path) -> None:
    postgres.start()
    assert (folder / "data").stat().st_mode & 0o077 == 0
    assert (folder / "owner_password").stat().st_mode & 0o077 == 0
    owner = unprivileged_user()
    if owner is not None:
        assert (folder / "data").stat().st_uid == owner[0]


def test_data_stay_from_start_to_start_on_the_same_port(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for round_number in range(2):
        server = EmbeddedPostgres(folder, port=port, settings=CARELESS)
        try:
            url = server.start()
            assert f":{port}/" in url
            if round_number == 0:
                ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
            assert ask(url, "SELECT answer FROM kept") == 42
        finally:
            server.stop()


def test_after_a_crash_of_the_server_it_starts_again(postgres: EmbeddedPostgres, folder: Path) -> None:
    ask(postgres.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(pid_of(folder), signal.SIGKILL)
    wait_until(lambda: not postgres.is_running())
    assert ask(postgres.start(), "SELECT answer FROM kept") == 42


def test_the_server_ends_with_whoever_started_it(folder: Path) -> None:
    code = (
        "import sys, pathlib, time; from sgmp_console.demo.postgres import EmbeddedPostgres;"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1])); server.start();"
        "print('up', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"up\n"
    pid = pid_of(folder)
    starter.kill()
    starter.wait(WAIT_S)
    starter.stdout.close()
    wait_until(lambda: not _alive(pid))


@pytest.mark.expected_warnings("a database server was left over")
def test_a_server_left_over_is_replaced(postgres: EmbeddedPostgres, folder: Path) -> None:
    other = EmbeddedPostgres(folder, settings=CARELESS)
    url = other.start()
    left_over = pid_of(folder)
    assert ask(postgres.start(), "SELECT 1") == 1
    assert pid_of(folder) != left_over
    with pytest.raises(psycopg2.OperationalError):
        ask(url, "SELECT 1")
    other.stop()
    assert postgres.is_running()


def test_a_port_of_somebody_else_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = EmbeddedPostgres(folder, port=taken.getsockname()[1], settings=CARELESS)
        with pytest.raises(EmbeddedPostgresFailed, match="could not create any TCP/IP sockets"):
            server.start()
        assert not server.is_running()


def test_data_of_another_version_are_left_alone(postgres: EmbeddedPostgres, folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("12\n", "ascii")
    with pytest.raises(EmbeddedPostgresFailed, match="made by PostgreSQL 12"):
        postgres.start()


def test_a_lost_password_is_told(postgres: EmbeddedPostgres, folder: Path) -> None:
    (folder / "owner_password").unlink()
    with pytest.raises(EmbeddedPostgresFailed, match="owner_password is missing"):
        postgres.start()


def test_what_an_interrupted_start_left_is_made_anew(made: Path) -> None:
    folder = made / "interrupted"
    (folder / "data.new" / "base").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18\n", "ascii")
    server = EmbeddedPostgres(folder, settings=CARELESS)
    try:
        assert ask(server.start(), "SELECT 1") == 1
    finally:
        server.stop()


@pytest.mark.skipif(unprivileged_user() is None, reason="only root runs the server as somebody else")
def test_a_folder_that_the_servers_user_can_not_reach_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresFailed, match="can't reach"):
        EmbeddedPostgres(closed / "database").start()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_statement_that_fails_is_not_in_the_log(postgres: EmbeddedPostgres) -> None:
    """Statements hold secrets of devices."""
    url = postgres.start()
    with pytest.raises(psycopg2.Error):
        ask(url, "SELECT 's3cret' FROM nowhere")
    wait_until(lambda: "nowhere" in postgres.log_file.read_text("utf-8"), 15)
    assert "s3cret" not in postgres.log_file.read_text("utf-8")


def test_wrong_passwords_are_answered_late(postgres: EmbeddedPostgres) -> None:
    assert ask(postgres.start(), "SELECT current_setting('auth_delay.milliseconds')") == "500ms"


def test_other_roles_reach_no_database_but_ours(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()
    ask(url, "CREATE ROLE somebody LOGIN PASSWORD 'pw'")
    ask(url, "GRANT CONNECT ON DATABASE sgmp TO somebody")
    theirs = "postgresql://somebody:pw@" + url.partition("@")[2]
    assert ask(theirs, "SELECT 1") == 1
    for database in ("postgres", "template1"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            ask(theirs.rpartition("/")[0] + f"/{database}", "SELECT 1")


def test_connections_are_left_for_the_owner_whatever_others_hold(folder: Path) -> None:
    server = EmbeddedPostgres(
        folder,
        settings={
            **CARELESS,
            "max_connections": "8",
            "reserved_connections": "2",
            "superuser_reserved_connections": "2",
        },
    )
    url = server.start()
    for name, rights in (("somebody", ""), ("ingest", "GRANT pg_use_reserved_connections TO ingest")):
        ask(
            url, f"CREATE ROLE {name} LOGIN PASSWORD 'pw'; GRANT CONNECT ON DATABASE sgmp TO {name}; {rights}"
        )
    held = []
    try:
        theirs = "postgresql://somebody:pw@" + url.partition("@")[2]
        held += [psycopg2.connect(theirs) for _ in range(4)]
        with pytest.raises(psycopg2.OperationalError, match="reserved"):
            psycopg2.connect(theirs)
        assert ask("postgresql://ingest:pw@" + url.partition("@")[2], "SELECT 1") == 1
        assert ask(url, "SELECT current_setting('authentication_timeout')") == "10s"
        assert ask(url, "SELECT current_setting('temp_file_limit')") == "4GB"
    finally:
        for connection in held:
            connection.close()
        server.stop()
