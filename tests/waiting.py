"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WAIT_S = 60.0
"""How long a test waits for what must happen. Long, since only a failure takes it: a busy machine is not a fault."""


_FIRST_PAUSE_S = 0.002
_LATE_AT_MOST = 1 / 8
"""What has been waited for already, so many times, is the next pause: what comes soon is seen soon, and the long waits
cost few looks."""
_LONGEST_PAUSE_S = 0.1
_PAUSE_PER_LOOK = 3.0
"""So many times as long as a look took is the pause after it: waiting leaves the machine to what is waited for."""


def looks(
    condition: Callable[[], bool],
    pause: Callable[[float], object],
    timeout_s: float,
    every_s: float = _LONGEST_PAUSE_S,
) -> bool:
    """Look soon at first, later every `every_s` seconds, less often where a look takes long; `pause(seconds)` between.

    Whether it became true in time.
    """
    began = time.monotonic()
    while True:
        looked = time.monotonic()
        if condition():
            return True
        now = time.monotonic()
        if now >= began + timeout_s:
            return False
        by_clock_s = min(max(_FIRST_PAUSE_S, _LATE_AT_MOST * (now - began)), every_s)
        pause(max(by_clock_s, _PAUSE_PER_LOOK * (now - looked)))


_TURN_S = 0.05


def wait_until(
    condition: Callable[[], bool],
    timeout_s: float = WAIT_S,
    *,
    every_s: float = _LONGEST_PAUSE_S,
    explain: Callable[[], str] = lambda: "it did not happen in time",
) -> None:
    """Raises AssertionError with what `explain` returns when the time runs out."""
    assert looks(condition, time.sleep, timeout_s, every_s), explain()


@contextmanager
def lateness() -> Iterator[Callable[[], float]]:
    """By how many seconds in all a thread that only sleeps was late since: the machine is busy, and it is no fault of ours.

    To be added to what something may take by the clock.
    """
    ended, late_s = threading.Event(), 0.0

    def sleep() -> None:
        nonlocal late_s
        before = time.monotonic()
        while not ended.wait(_TURN_S):
            now = time.monotonic()
            late_s += max(now - before - _TURN_S, 0.0)
            before = now

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    try:
        yield lambda: late_s
    finally:
        ended.set()
        sleeper.join()


def yardstick_s() -> float:
    """Processor seconds of a million additions, just now: about 0.04 on an idle machine, several times as long where others
    use its caches and its second threads. What a test lets something cost is a multiple of it."""

    def once() -> float:
        began, total = time.process_time(), 0
        for number in range(1_000_000):
            total += number
        return time.process_time() - began

    return max(once() for _ in range(3))


def pass_time(seconds: float) -> None:
    """For what must not happen meanwhile; what must happen is waited for with `wait_until`."""
    time.sleep(seconds)
