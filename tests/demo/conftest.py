"""The whole chain as the demo runs it, without a window."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import psycopg2.extensions
import pytest

START_S = 60.0


class RunningDemo:
    """A supervisor as the window starts it. `folder`: its data; `ready`: what it said when all was up."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sgmp_console", "demo", "--supervise", "--data", str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Raises AssertionError where it failed or took too long."""
        deadline = time.monotonic() + START_S
        while not (self.lines and "ready" in self.lines[-1]):
            line = self._next_line(deadline)
            assert line is not None, f"ended before it was ready: {self.lines[-3:]}\n{self._last_words()}"
            self.lines.append(json.loads(line))
            assert "failed" not in self.lines[-1], f"{self.lines[-1]}\n{self._last_words()}"

    @property
    def ready(self) -> dict[str, Any]:
        return next(line["ready"] for line in self.lines if "ready" in line)

    def children(self) -> dict[str, psutil.Process]:
        """The supervisor's children by what they are."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except psutil.Error:
                continue
            for name, sign in {
                "broker": "mosquitto.conf",
                "database": "pginstall/bin/postgres",
                "ingest": "ingest",
                "watch": "watch",
                "history": "sgmp_console.demo.history",
                "edge-maple": "edges/maple",
                "edge-harbor": "edges/harbor",
                "simulator-maple": "America/Los_Angeles",
                "simulator-harbor": "Europe/Berlin",
            }.items():
                if any(word.endswith(sign) for word in words):
                    found[name] = child
        return found

    def connect(self) -> psycopg2.extensions.connection:
        """To its database, as the owner. Raises psycopg2.OperationalError while that is away."""
        password = (self.folder / "database" / "owner_password").read_text("ascii")
        state = json.loads((self.folder / "demo.json").read_text("utf-8"))
        connection = psycopg2.connect(
            host="127.0.0.1", port=state["ports"]["database"], user="sgmp", password=password, dbname="sgmp"
        )
        connection.autocommit = True
        return connection

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall()
        finally:
            connection.close()

    def stop(self) -> int:
        """Close its standard input, as a window that goes away does. Returns the exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def _next_line(self, deadline: float) -> str | None:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))
        assert readable, f"not ready after {START_S:g} s: {self.lines[-3:]}\n{self._last_words()}"
        return self.process.stdout.readline() or None

    def _last_words(self) -> str:
        logs = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(
            f"{log.name}: {line}"
            for log in logs
            for line in log.read_text("utf-8", "replace").splitlines()[-8:]
        )


@contextmanager
def _open_folder() -> Iterator[Path]:
    """Not pytest's: as root, that one is closed to the ordinary user whom the servers run as."""
    folder = Path(tempfile.mkdtemp(prefix="sgmp-demo-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def demo_folder() -> Iterator[Path]:
    with _open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One for all tests of a file."""
    with _open_folder() as folder:
        yield folder
