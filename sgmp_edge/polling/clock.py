"""When to poll: ticks that all devices of a house share, on a clock that may be stepped.

A tick is a whole multiple of a device's interval since 1970, in UTC milliseconds; readings of one tick carry the same
timestamp whichever device they come from. A Pi has no clock of its own that outlives a power cut, so the wall clock
may jump. Two polls of a device must never get the same timestamp, since the database would take the second for a
repeat of the first:

- set back by up to a minute: no polls until the last tick is over;
- set back further (it was wrong before): polls go on at the new time, shifted by one more millisecond each time that
  happens, until the newest timestamp given so far is over;
- behind the last tick at the start, or behind the newest file of the edge (a Pi that booted without a network): no
  polls until it is set, or for `PATIENCE_S`. A reading at a wrong time is worse than none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

HOLD_MS = 60_000
PATIENCE_S = 300.0
STEP_MS = 1_000
"""A difference between wall clock and monotonic clock that counts as a step."""


@dataclass(frozen=True)
class Mark:
    """What must outlive a restart: the newest tick ever given, the latest one, and the shift in use. UTC ms, ms.

    Latest and newest differ only after the clock was set far back.
    """

    newest_ms: int = 0
    latest_ms: int = 0
    shift_ms: int = 0


class Clock:
    """Wall clock and ticks. `step_ms()` is to be asked each time the loop wakes.

    `earliest_ms` (UTC): it can't be earlier than that.
    """

    def __init__(
        self,
        mark: Mark,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        earliest_ms: int = 0,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self.mark = mark
        self._offset_ms = self._offset()
        self._set_after_ms = max(mark.latest_ms, earliest_ms)
        behind = self._set_after_ms > self.now_ms()
        self._patient_until = monotonic() + PATIENCE_S if behind else None

    def is_set(self) -> bool:
        """False while the clock is behind what it was before the start, and may yet be set."""
        if self._patient_until is None:
            return True
        if self.now_ms() <= self._set_after_ms and self._monotonic() < self._patient_until:
            return False
        self._patient_until = None
        self._shift_if_far_back()
        return True

    def now_ms(self) -> int:
        """UTC milliseconds."""
        return int(self._wall() * 1000)

    def step_ms(self) -> int:
        """By how much the wall clock was stepped since the last call; 0 if it was not."""
        offset = self._offset()
        step = offset - self._offset_ms
        self._offset_ms = offset
        if abs(step) < STEP_MS:  # slewed, or not at all
            return 0
        if self._patient_until is None:
            self._shift_if_far_back()
        return step

    def next_tick(self, interval_ms: int, after_ms: int | None = None) -> int:
        """The first tick of an interval after `after_ms` (default: now) that is not held back."""
        after = self.now_ms() if after_ms is None else after_ms
        if 0 <= self.mark.latest_ms - after <= HOLD_MS:
            after = self.mark.latest_ms
        return (after // interval_ms + 1) * interval_ms

    def timestamp(self, tick_ms: int) -> int:
        """The timestamp for readings of a tick; remembers it as given."""
        if tick_ms > self.mark.newest_ms:
            self.mark = Mark(tick_ms, tick_ms, 0)
            return tick_ms
        self.mark = replace(self.mark, latest_ms=max(self.mark.latest_ms, tick_ms))
        return tick_ms + self.mark.shift_ms

    def _shift_if_far_back(self) -> None:
        if self.mark.latest_ms - self.now_ms() > HOLD_MS:
            self.mark = Mark(self.mark.newest_ms, 0, self.mark.shift_ms + 1)

    def _offset(self) -> int:
        return int((self._wall() - self._monotonic()) * 1000)
