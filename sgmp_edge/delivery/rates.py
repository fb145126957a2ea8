"""How much may go in a second."""

from __future__ import annotations

from dataclasses import dataclass

BURST_S = 0.05
"""A rate limit allows this many seconds' worth at once."""


@dataclass(frozen=True)
class Limits:
    """What the broker allows one connection, and our own manners."""

    publishes_per_s: float = 100.0
    bytes_per_s: float = 512 * 1024.0
    backlog_spread_s: float = 30.0
    """The longest random wait before a large backlog."""
    resend_s: float = 60.0
    """How long a message is kept after it was acknowledged."""


class Bucket:
    """A rate limit: in any second at most `per_s` units go. `now` is monotonic seconds."""

    def __init__(self, per_s: float) -> None:
        self._burst = per_s * BURST_S
        self._fill_per_s = per_s - self._burst
        self._level = self._burst
        self._at: float | None = None

    def wait_s(self, now: float, units: float, reserve: float = 0.0) -> float:
        """Seconds until `units` can be taken while the share `reserve` of a burst is left; 0: now."""
        passed_s = max(now - self._at, 0.0) if self._at is not None else 0.0
        self._level = min(self._burst, self._level + passed_s * self._fill_per_s)
        self._at = now
        # A message larger than a burst goes when the bucket is full, and leaves it in debt.
        missing = min(units + reserve * self._burst, self._burst) - self._level
        return max(missing / self._fill_per_s, 0.0)

    def take(self, units: float) -> None:
        self._level -= units
