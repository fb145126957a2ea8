"""What the edge reports of itself: its status each minute, and warnings, each at most once an hour."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from . import VERSION, contract
from .contract import EdgeState, Outcome, WarningChange, WarningKind
from .delivery.courier import Status

AFTER_CONNECT_S = 1.0
"""From a new connection to the first status: by then the retained configuration has come and been applied."""
AFTER_CHANGE_S = 10.0
"""Between two statuses where a device's state changed: nobody waits a minute to hear of it, and a device that comes and
goes all the time does not fill the database."""
REPEAT_WARNING_S = 3600.0


class Reporting:
    """Belongs to the main loop. `health`: state by device name; `report` stores an event of the edge."""

    def __init__(
        self,
        *,
        interval_s: float,
        poll_interval_s: float,
        allow_control: bool,
        health: Callable[[], Mapping[str, Outcome]],
        polls: Callable[[], int],
        poll_times: Callable[[], Mapping[str, int]],
        disk_free_mb: Callable[[], int | None],
        certificate_expires_ms: Callable[[], int | None],
        document: Callable[[], contract.ConfigDocument | None],
        report: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self._interval_s = interval_s
        self._poll_interval_s = poll_interval_s
        self._disk_free_mb = disk_free_mb
        self._certificate_expires_ms = certificate_expires_ms
        self._allow_control = allow_control
        self._health = health
        self._polls = polls
        self._poll_times = poll_times
        self._document = document
        self._report = report
        self._started_s = time.monotonic()
        self._due_s = self._started_s + AFTER_CONNECT_S
        self._status = Status()
        self._reported_s = 0.0
        self._reported_health: Mapping[str, Outcome] | None = None
        self._warned: dict[WarningKind, float] = {}

    def connected(self) -> None:
        self._due_s = time.monotonic() + AFTER_CONNECT_S

    def due(self, now_s: float) -> bool:
        """Whether a status is to be published now; says so once."""
        if self._reported_health is not None and self._reported_health != self._health():
            self._due_s = min(self._due_s, self._reported_s + AFTER_CHANGE_S)
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._interval_s
        return True

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next status."""
        return self._due_s - now_s

    def take(self, status: Status) -> None:
        """Take note of how the courier is doing, and warn of what is wrong with it."""
        if status.dropped > self._status.dropped:
            self.warn(WarningKind.OUTBOX_FULL, "The outbox is full; the oldest readings are dropped")
        if status.disk_problem:
            text = f"The disk takes no readings ({status.disk_problem}); they wait in memory"
            self.warn(WarningKind.DISK, text)
        self._status = status
        self._reported_s, self._reported_health = time.monotonic(), self._health()

    def status(self, state: EdgeState) -> Mapping[str, Any]:
        """Data of an EDGE_STATUS."""
        document = self._document()
        return {
            "state": state,
            "backlog": self._status.backlog,
            "oldest_ms": self._status.oldest_ms,
            "dropped": self._status.dropped,
            "in_memory": self._status.in_memory,
            "devices": self._health(),
            "config_version": document.version if document else None,
            "config_sha256": document.sha256 if document else None,
            "control": self._allow_control,
            "takeovers": self._status.takeovers,
            "polls": self._polls(),
            "poll_ms": self._poll_times(),
            "poll_interval_s": self._poll_interval_s,
            "status_interval_s": self._interval_s,
            "disk_free_mb": self._disk_free_mb(),
            "certificate_expires_ms": self._certificate_expires_ms(),
            "uptime_s": int(time.monotonic() - self._started_s),
            "software": VERSION,
        }

    def warn(self, kind: WarningKind, text: str) -> None:
        """Report a WARNING of the edge itself; one of a kind at most once an hour."""
        now_s = time.monotonic()
        if now_s - self._warned.get(kind, -REPEAT_WARNING_S) >= REPEAT_WARNING_S:
            self._warned[kind] = now_s
            self._report(contract.WARNING, {"data": text, "kind": kind, "change": WarningChange.NOTICE})
