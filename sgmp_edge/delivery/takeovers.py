"""Whether another program connects with this house's credentials."""

from __future__ import annotations

SHORT_S = 300.0
"""A connection that the broker closes sooner is suspicious."""
SUSPICIOUS_HANG_UPS = 3
"""So many of them in a row, without an attempt failing in between, mean another client."""


class Takeovers:
    """A broker disconnects a client when another one with its id connects. Not each says so: one that closes each new
    connection soon, and takes the next at once, means the same. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self.count = 0
        self._up_at: float | None = None
        self._hang_ups = 0

    def connected(self, now: float) -> None:
        self._up_at = now

    def disconnected(self, now: float, *, taken_over: bool, hung_up: bool) -> bool:
        """Whether it looks like another client. `taken_over`: the broker says so; `hung_up`: it just closed."""
        stood_s = now - self._up_at if self._up_at is not None else None
        self._up_at = None
        if hung_up and stood_s is not None and stood_s < SHORT_S:
            self._hang_ups += 1
        elif not taken_over:
            self._hang_ups = 0
        suspicious = taken_over or self._hang_ups >= SUSPICIOUS_HANG_UPS
        self.count += suspicious
        return suspicious
