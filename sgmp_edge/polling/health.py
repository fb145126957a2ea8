"""How a device is doing, and what is reported of it: once when it goes down, hourly while it stays down, once when it is
back. Pure: the caller says what happened and when.

Times to wait are monotonic seconds (`now_s`), which no step of the clock touches; the wall clock (`now_ms`) is for the
stamps in warnings only.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sgmp_edge.backoff import BackOff
from sgmp_edge.contract import Outcome, WarningChange, WarningKind

FAILURES_UNTIL_DOWN = 3
"""One lost poll is not an outage."""
BOOT_S = 60.0
"""How long a device may be not ready before it counts as down."""
REPEAT_S = 3600.0
"""Between two warnings that a device is still down."""
LONGEST_PAUSE_S = 30.0
"""The longest pause of a device that does not answer, unless its interval is longer."""
RECHECK_S = (10.0, 50.0)
"""Credentials that have worked are tried again so soon: devices refuse good ones while they restart or are busy."""
RECHECKS = 2
LOCKOUT_S = 3600.0
"""Between attempts with credentials that stay refused: a device may lock an account that keeps trying."""
MAX_REQUESTED_PAUSE_S = 3600.0
"""However long a device or service asks to be left alone."""


class Health:
    """One device's. `state` is the outcome of its last poll.

    `credentials_worked`: they did in an earlier life of the edge.
    """

    def __init__(self, *, credentials_worked: bool = False) -> None:
        self.state: Outcome = Outcome.STARTING
        self.down = False
        self._credentials_worked = credentials_worked
        self._failures = 0
        self._refusals = 0
        self._requested_pause_s = 0.0
        self._since_s = 0.0
        self._since_ms = 0
        self._reported_s = 0.0

    def succeeded(self) -> list[Mapping[str, Any]]:
        """Data of the WARNING to publish, if any."""
        was_down, since_ms, count = self.down, self._since_ms, self._failures
        self.state, self.down, self._failures, self._refusals = Outcome.OK, False, 0, 0
        self._requested_pause_s = 0.0
        self._credentials_worked = True
        if not was_down:
            return []
        return [_warning("Device is back", WarningChange.BACK, Outcome.OK, since_ms, count)]

    def failed(
        self, outcome: Outcome, text: str, *, now_s: float, now_ms: int, retry_after_s: float = 0.0
    ) -> list[Mapping[str, Any]]:
        """Data of the WARNING to publish, if any.

        `text` says why, without secrets. `retry_after_s`: the device asks to be left alone for so long.
        """
        if self._failures == 0:
            self._since_s, self._since_ms = now_s, now_ms
        self.state = outcome
        self._failures += 1
        self._refusals += outcome is Outcome.UNAUTHORIZED
        self._requested_pause_s = min(max(retry_after_s, 0.0), MAX_REQUESTED_PAUSE_S)
        if not self.down:
            self.down = self._counts_as_down(outcome, now_s)
            if not self.down:
                return []
            change = WarningChange.DOWN
        elif now_s - self._reported_s >= REPEAT_S:
            change = WarningChange.STILL_DOWN
        else:
            return []
        self._reported_s = now_s
        return [_warning(f"Device is down: {text}", change, outcome, self._since_ms, self._failures)]

    def pause_s(self, interval_s: float) -> float:
        """How long to leave the device alone after what happened last; 0: until the next tick."""
        return max(self._own_pause_s(interval_s), self._requested_pause_s)

    def _counts_as_down(self, outcome: Outcome, now_s: float) -> bool:
        if outcome is Outcome.NOT_READY:
            return now_s - self._since_s >= BOOT_S
        if outcome is Outcome.UNAUTHORIZED and not self._credentials_worked:
            return True
        return self._failures >= FAILURES_UNTIL_DOWN

    def _own_pause_s(self, interval_s: float) -> float:
        if self.state is Outcome.UNAUTHORIZED:
            if self._credentials_worked and self._refusals <= RECHECKS:
                return random.uniform(*RECHECK_S)  # noqa: S311 - no secret
            return LOCKOUT_S
        if self._failures < 2 or self.state is Outcome.NOT_READY:
            return 0.0
        pause_s = BackOff(interval_s, max(LONGEST_PAUSE_S, interval_s)).after(self._failures)
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


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
