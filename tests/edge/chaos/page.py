"""A page of memory that the harness and an edge under test share; it outlives both. Standard library only: the edge
runs without the project in its path.
"""

from __future__ import annotations

import mmap
from pathlib import Path

WORDS = 16
CLOCK_MS, LINES_LEFT, STEP, DISK, DIED_AT, DISK_CALLS_LEFT = range(6)
"""Words of the page: what the edge's clock is off by; after how many lines of the code under test it dies (0: never);
which of STEPS those lines are counted in; what the disk does; the line at which it died; after how many of SQLite's
writes and syncs it dies (0: never)."""

STEPS = (
    "",  # any line of the watched files
    "_transaction",
    "_write",
    "flush",
    "_put",
    "_take",
    "_send",
    "answered",
    "next",
    "_read_page",
    "_rewind",
    "remove_acknowledged",
    "_up",
    "_rows",
    "_flush",
    "_polled",
    "saved_state",
)
"""Functions between whose lines the edge is killed."""

WATCHED = (
    "delivery/outbox.py",
    "delivery/courier.py",
    "delivery/queue.py",
    "polling/poller.py",
    "polling/device.py",
    "polling/clock.py",
    "daemon.py",
)
"""Files of the edge between whose lines it is killed."""

DISK_FINE, DISK_FULL, DISK_WRITE_FAILS, DISK_SYNC_FAILS = range(4)


def open_page(path: Path) -> memoryview:
    """The page as signed 64-bit words, made where it is missing."""
    if not path.exists():
        path.write_bytes(bytes(WORDS * 8))
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), WORDS * 8)).cast("q")
