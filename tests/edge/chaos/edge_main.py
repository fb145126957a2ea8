"""The edge of a bare copy, run as its Main_Publisher.py would, with what chaos needs around it and nothing changed in it.

`python -m tests.edge.chaos.edge_main CODE JOURNAL PAGE UNSYNCED [ARGUMENT...]`: the device types get classes that keep a journal, added
to the map as the playbook says; the clock is off by what PAGE says; the process kills itself after the line that PAGE
names; what SQLite has not synced is noted in UNSYNCED.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.edge.chaos.page import CLOCK_MS, DIED_AT, LINES_LEFT, STEP, STEPS, WATCHED, open_page
from tests.edge.chaos.unsynced import Watch, available

CODE = Path(sys.argv[1])
JOURNAL = Path(sys.argv[2])
PAGE = open_page(Path(sys.argv[3]))


class Journal:
    """One device's: a line for each reading that a driver returned, numbered from 1 whatever happens to the edge."""

    def __init__(self, name: str) -> None:
        self._path = JOURNAL / name
        self._count = self._path.read_bytes().count(b"\n") if self._path.exists() else 0
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, data: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        numbered = {**data, "journal": self._count}
        os.write(self._file, json.dumps([os.getpid(), time.monotonic(), numbered]).encode() + b"\n")
        return numbered


def journaled(driver: type, name: str) -> type:
    """The driver's class, with a journal of what its `read()` returned."""

    class Journaled(driver):  # type: ignore[misc]
        def read(self) -> Any:
            if not hasattr(self, "journal"):
                self.journal = Journal(name + getattr(self, "key", ""))
            result = super().read()
            if isinstance(result, dict):
                return self.journal.note(result)
            for reading in result.readings if result is not None else ():
                reading.data = self.journal.note(dict(reading.data))
            return result

    return Journaled


class Counter:
    """Counts in the memory that the edge keeps for it: what is lost or doubled shows as a hole or a repeat."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.key = config["key"]
        self.count = 0

    def read(self) -> dict[str, Any]:
        self.count += 1
        return {"count": self.count, "nested": {"half": self.count / 2}}

    def state(self) -> dict[str, int]:
        return {"count": self.count}

    def restore(self, state: dict[str, int]) -> None:
        self.count = state["count"]


def die_at_lines() -> None:
    """Trace the watched files; end the process without a word at the line that the page asks for."""
    watched = {str(CODE / name): number for number, name in enumerate(WATCHED)}
    missing = [file for file in watched if not Path(file).is_file()]
    assert not missing, f"the harness watches files that are not there: {missing}"

    def at_line(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "line" and PAGE[LINES_LEFT]:
            step = PAGE[STEP]
            if not step or frame.f_code.co_name == STEPS[step]:
                PAGE[LINES_LEFT] -= 1
                if not PAGE[LINES_LEFT]:
                    file = watched[frame.f_code.co_filename]
                    PAGE[DIED_AT] = file * 100_000 + frame.f_lineno
                    os.kill(os.getpid(), signal.SIGKILL)
        return at_line

    def at_call(frame: FrameType, _event: str, _: Any) -> Callable[..., Any] | None:
        return at_line if frame.f_code.co_filename in watched else None

    threading.settrace(at_call)
    sys.settrace(at_call)


def main() -> int:
    right_time = time.time
    time.time = lambda: right_time() + PAGE[CLOCK_MS] / 1000  # before anybody has taken it
    watch = Watch(Path(sys.argv[4]), PAGE) if available() else None
    sys.path.insert(0, str(CODE))
    importlib.import_module("standalone").make_package()
    publisher = importlib.import_module("sgmp_edge.delivery.publisher")
    publisher.RECONNECT_MS = (200, 2_000)  # type: ignore[attr-defined]  # a run has a minute, not years
    program = importlib.import_module("Main_Publisher")
    drivers = importlib.import_module("sgmp_edge.polling.drivers")
    real = drivers.Catalogue()
    for name in ("egauge", "sonnen", "powerflex"):
        program.DEVICE_TYPES[name] = journaled(real.driver_class(name), name)
    program.DEVICE_TYPES["chaos_counter"] = journaled(Counter, "counter")
    sys.argv[1:] = sys.argv[5:]
    die_at_lines()
    code: int = program.main()
    del watch
    return code


if __name__ == "__main__":
    raise SystemExit(main())
