"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_S = 60.0
"""How long a test waits for what must happen. Long, since only a failure takes it: a busy machine is not a fault."""


def wait_until(
    condition: Callable[[], bool],
    timeout_s: float = WAIT_S,
    *,
    every_s: float = 0.02,
    explain: Callable[[], str] = lambda: "it did not happen in time",
) -> None:
    """Look every `every_s` seconds. Raises AssertionError with what `explain` returns when the time runs out."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(explain())
        time.sleep(every_s)


def pass_time(seconds: float) -> None:
    """For what must not happen meanwhile; what must happen is waited for with `wait_until`."""
    time.sleep(seconds)
