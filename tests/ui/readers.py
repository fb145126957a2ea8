"""A reader of houses whose snapshots a test chooses, so that each state of Home can be brought about."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import replace

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.store.changes import Change, Reconnected


class ChosenReader:
    """Answers with what it was last told, on whatever thread asks. `gate` closed holds the answers back."""

    def __init__(self, answer: HomeSnapshot | Exception) -> None:
        self.answer = answer
        self.gate = threading.Event()
        self.gate.set()
        self.heard: queue.Queue[Change | Reconnected] = queue.Queue()
        self.loads: list[int] = []
        self.updates: list[tuple[int, int]] = []

    def open(self, house_id: int) -> ChosenReader:
        self.house_id = house_id
        return self

    def load(self, now_ms: int) -> HomeSnapshot:
        self.loads.append(self.house_id)
        return self._give()

    def update(self, now_ms: int, from_ms: int) -> HomeSnapshot:
        self.updates.append((now_ms, from_ms))
        return self._give()

    def listen(self) -> Iterator[Change | Reconnected | None]:
        """Yields what is put into `heard`."""
        while True:
            try:
                yield self.heard.get(timeout=0.01)
            except queue.Empty:
                yield None

    def _give(self) -> HomeSnapshot:
        house_id = self.house_id
        assert self.gate.wait(20)
        if isinstance(self.answer, Exception):
            raise self.answer
        return replace(self.answer, house_id=house_id)


class Clock:
    """Now, as the test says."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms
