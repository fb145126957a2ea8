"""How the demo's processes say how far they are.

The supervisor prints JSON lines for the window (docs/architecture.md); a child that prepares something appends lines
of the same kind to a file, which the supervisor reads as it grows: files, because no pipe can be waited for in the
same way on every system.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

from sgmp_console.files import private_opener


class Reporter(Protocol):
    """Gets what the demo does."""

    def stage(self, stage: str, text: str, fraction: float | None = None) -> None:
        """`text` is the operator's sentence; `fraction` 0 to 1 of this stage, None where it is not known."""

    def ready(self, ready: Mapping[str, Any]) -> None:
        """The console can sign in: `{"profile": {...}, "email": ..., "password": ...}`; the password is "" where the
        operator changed it."""

    def failed(self, sentence: str) -> None: ...


class JsonReporter:
    """Lines for the program that started us."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def stage(self, stage: str, text: str, fraction: float | None = None) -> None:
        self._line({"stage": stage, "text": text, "fraction": fraction})

    def ready(self, ready: Mapping[str, Any]) -> None:
        self._line({"ready": dict(ready)})

    def failed(self, sentence: str) -> None:
        self._line({"failed": sentence})

    def _line(self, line: Mapping[str, Any]) -> None:
        print(json.dumps(line), file=self._out, flush=True)


class TextReporter:
    """Lines for a person at a terminal. The password is not among them: a terminal's lines end up in logs."""

    def __init__(self, out: TextIO, errors: TextIO, folder: Path) -> None:
        self._out = out
        self._errors = errors
        self._folder = folder
        self._started = time.monotonic()
        self._last = ""

    def stage(self, stage: str, text: str, fraction: float | None = None) -> None:
        if text != self._last:
            self._last = text
            print(f"{time.monotonic() - self._started:6.1f} s  {text}", file=self._out, flush=True)

    def ready(self, ready: Mapping[str, Any]) -> None:
        profile = ready["profile"]
        print(
            "",
            "The demo is running; Ctrl-C stops it.",
            f"  Database     {profile['database_url']}",
            f"  MQTT broker  {profile['broker_host']}:{profile['broker_port']}, certificates in "
            f"{Path(profile['broker_cert']).parent}",
            f"  Sign in as   {ready['email']}, {self._where_password(ready)}",
            "",
            sep="\n",
            file=self._out,
            flush=True,
        )

    def _where_password(self, ready: Mapping[str, Any]) -> str:
        if ready["password"]:
            return f"password in {self._folder / 'demo.json'}"
        return "with the password that was chosen in the window (--reset begins again with a new one)"

    def failed(self, sentence: str) -> None:
        print(sentence, file=self._errors, flush=True)


class ProgressFile:
    """Where a child process appends what it has done; `result` is its last line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stage(self, text: str, fraction: float | None = None) -> None:
        self._append({"text": text, "fraction": fraction})

    def result(self, result: Mapping[str, Any]) -> None:
        self._append({"result": dict(result)})

    def failed(self, sentence: str) -> None:
        self._append({"failed": sentence})

    def _append(self, line: Mapping[str, Any]) -> None:
        with open(self._path, "a", encoding="utf-8", opener=private_opener) as file:
            file.write(json.dumps(line) + "\n")


class ProgressReader:
    """The other end of a ProgressFile. Begins with an empty file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", "utf-8")
        self.path = path
        self._read_to = 0

    def lines(self) -> list[dict[str, Any]]:
        """The lines that were completed since the last call."""
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._read_to += len(complete)
        return [json.loads(line) for line in complete.splitlines()]
