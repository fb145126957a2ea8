"""The demo's data folder: what is where, who uses it, and what is remembered from run to run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import shutil
import socket
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TypeGuard

import platformdirs
from filelock import FileLock, Timeout

from sgmp_console.errors import UserError
from sgmp_console.files import write_atomic
from sgmp_console.unprivileged_user import unprivileged_user

_STATE = "demo.json"
_LOCK = "lock"
_PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections, which could take a server's port between two runs."""
LOOPBACK = "127.0.0.1"


class FolderInUse(UserError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another demo is running in {folder}. Close it first, or start this one elsewhere with --data."
        )


class FolderRefused(UserError):
    """A folder that the demo can't or should not use."""


@dataclass
class DemoState:
    """What stays the same from run to run. Holds secrets: its file is readable by its owner only."""

    deployment: str = "demo"
    admin_email: str = "admin@demo.example"
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(15), repr=False)
    ports: dict[str, int] = field(default_factory=dict)
    """The loopback port of each server, by its name."""
    known_ports: dict[str, int] = field(default_factory=dict)
    """Where the houses' devices were last configured to be: an address of another port is an operator's."""
    house_ids: dict[str, int] = field(default_factory=dict)
    """The house that each of demo.houses became, by its key."""

    def require_types(self) -> None:
        """Raises TypeError for what no state of ours holds. Ports may be anything: others are chosen."""
        if not all(isinstance(one, str) for one in (self.deployment, self.admin_email, self.admin_password)):
            raise TypeError("a text is expected")
        if not all(isinstance(one, dict) for one in (self.ports, self.known_ports, self.house_ids)):
            raise TypeError("a table is expected")
        if not all(isinstance(house_id, int) for house_id in self.house_ids.values()):
            raise TypeError("the id of a house is a number")


class DemoFolder:
    """Paths, lock and state of one demo. `owner`: who runs its servers, where we are root (see unprivileged_user)."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.owner = unprivileged_user()
        self.logs = self.path / "logs"
        self.database = self.path / "database"
        self.broker = self.path / "broker"
        self.authority = self.path / "authority"
        self.authority_file = self.authority / "ca.crt"
        self.certificates = self.path / "certificates"
        """Of the window and of ingest: those of the houses are with their edges."""

    def progress(self, task: str) -> Path:
        """Where a task of the start writes how far it is."""
        return self.path / "progress" / f"{task}.jsonl"

    def edge(self, key: str) -> Path:
        """The home of a house's edge daemon: configuration, credentials, outbox."""
        return self.path / "edges" / key

    @contextlib.contextmanager
    def locked(self, *, reset: bool = False) -> Iterator[DemoState]:
        """Have the folder to ourselves and its state loaded; made where it isn't there, emptied first on `reset`.

        The lock goes with this process, however it ends. Raises FolderInUse, FolderRefused.
        """
        self._make()
        with self._lock():
            if reset:
                self._empty()
            state = self._read_or_begin()
            self.save(state)
            yield state

    def save(self, state: DemoState) -> None:
        write_atomic(self.path / _STATE, json.dumps(asdict(state), indent=1).encode("utf-8"))

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()) and not (self.path / _STATE).exists() and not self._is_only_ours():
                raise FolderRefused(
                    f"{self.path} holds other files and no demo. Name an empty or new folder with --data."
                )
        except OSError as error:
            raise FolderRefused(
                f"The demo can't use {self.path} ({error.strerror}). Name another folder with --data."
            ) from error
        # What a house does all day is nobody else's business; but as root, the servers' user must get through.
        self.path.chmod(0o700 if self.owner is None else 0o711)
        if self.owner is not None:
            blocked = [folder for folder in self.path.parents if not _may_pass(folder, self.owner)]
            if blocked:
                raise FolderRefused(
                    f"The demo's servers do not run as root, and the user they run as can't get through "
                    f"{blocked[0]} to {self.path}. Name a folder elsewhere with --data, for example under /var/lib."
                )

    def _is_only_ours(self) -> bool:
        """The traces of a first start that was cut off before it wrote its state."""
        return {entry.name for entry in self.path.iterdir()} <= {_LOCK, _STATE + ".new"}

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            with FileLock(self.path / _LOCK, blocking=False):
                yield
        except Timeout:
            raise FolderInUse(self.path) from None

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def read(self) -> DemoState:
        """The state as it is, for a process that the user of the folder has started."""
        return self._read_or_begin()

    def _read_or_begin(self) -> DemoState:
        try:
            stored = json.loads((self.path / _STATE).read_text("utf-8"))
            known = {field.name for field in fields(DemoState)}
            state = DemoState(**{key: value for key, value in stored.items() if key in known})
            state.require_types()
            return state
        except FileNotFoundError:
            return DemoState()
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise FolderRefused(
                f"The demo in {self.path} is damaged. Start it once with --reset, which makes a new one."
            ) from error


def default_folder() -> Path:
    """Where the demo lives if nothing else is said."""
    if sys.platform != "win32" and os.geteuid() == 0:
        return Path("/var/lib/sgmp/demo")  # root's home is closed to the ordinary user who runs the servers
    return Path(platformdirs.user_data_dir("sgmp", appauthor=False)) / "demo"


def choose_ports(state: DemoState, names: list[str]) -> None:
    """Give each server a free loopback port: the one it had, if nobody took it meanwhile."""
    chosen: set[int] = set()
    for name in names:
        port = state.ports.get(name)
        if not _is_port(port) or port in chosen or not _is_free(port):
            port = free_port(chosen)
        chosen.add(port)
        state.ports[name] = port


def _is_port(port: object) -> TypeGuard[int]:
    return isinstance(port, int) and 1 <= port <= 65535


def free_port(but_not: Collection[int] = ()) -> int:
    """A loopback port that nobody uses now, and no outgoing connection will by chance."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - no secret
        if port not in but_not and _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if sys.platform != "win32":
            # As the servers do; without it, connections of the last run that still linger would block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _may_pass(folder: Path, owner: tuple[int, int]) -> bool:
    status = folder.stat()
    if status.st_uid == owner[0]:
        return bool(status.st_mode & 0o100)
    if status.st_gid == owner[1]:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)
