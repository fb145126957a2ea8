"""How a device is doing, and what is to be said about it: once when it goes down, hourly while it stays down, once
when it is back. Pure: the poller tells what happened and when.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sgmp_edge.contract import Outcome, WarningChange, WarningKind

FAILURES_UNTIL_DOWN = 3
"""One lost poll is no outage."""
PATIENCE_MS = 60_000
"""How long a device may be not ready (booting) before it counts as down."""
REPEAT_MS = 3_600_000
LONGEST_PAUSE_MS = 30_000
REFUSED_PAUSE_MS = 3_600_000
"""Between attempts with credentials that were refused: a device may lock an account that keeps trying."""


class Health:
    """One device's. `state` is the outcome of its last poll."""

    def __init__(self) -> None:
        self.state: Outcome = Outcome.STARTING
        self.down = False
        self._failures = 0
        self._since_ms = 0
        self._said_ms = 0

    def succeeded(self, now_ms: int) -> list[Mapping[str, Any]]:
        """Data of the WARNING to publish, if any."""
        was_down, since, count = self.down, self._since_ms, self._failures
        self.state, self.down, self._failures = Outcome.OK, False, 0
        if not was_down:
            return []
        return [_warning("Device is back", WarningChange.BACK, Outcome.OK, since, count)]

    def failed(self, now_ms: int, outcome: Outcome, text: str) -> list[Mapping[str, Any]]:
        """Data of the WARNING to publish, if any. `text` says why, without secrets."""
        if self._failures == 0:
            self._since_ms = now_ms
        self.state = outcome
        self._failures += 1
        if not self.down:
            if outcome == Outcome.NOT_READY:
                self.down = now_ms - self._since_ms >= PATIENCE_MS
            else:
                self.down = outcome == Outcome.UNAUTHORIZED or self._failures >= FAILURES_UNTIL_DOWN
            if not self.down:
                return []
            change = WarningChange.DOWN
        elif now_ms - self._said_ms >= REPEAT_MS:
            change = WarningChange.STILL_DOWN
        else:
            return []
        self._said_ms = now_ms
        return [_warning(f"Device is down: {text}", change, outcome, self._since_ms, self._failures)]

    def pause_ms(self, interval_ms: int) -> int:
        """How long to leave the device alone after what happened last; 0: until the next tick."""
        if self.state == Outcome.UNAUTHORIZED:
            return REFUSED_PAUSE_MS
        if self._failures < 2 or self.state == Outcome.NOT_READY:
            return 0
        pause = min(interval_ms * 2 ** min(self._failures - 1, 16), max(LONGEST_PAUSE_MS, interval_ms))
        return int(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def _warning(
    text: str, change: WarningChange, outcome: Outcome, since_ms: int, count: int
) -> Mapping[str, Any]:
    # The text stays the same from repeat to repeat, so that repeats can be grouped; what counts is beside it.
    return {
        "data": text,
        "kind": WarningKind.DEVICE,
        "change": change,
        "outcome": outcome,
        "since_ms": since_ms,
        "failed_polls": count,
    }
