"""How long to wait before the next attempt: twice as long after each failure, up to a bound."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_DOUBLINGS = 32
"""So that no count of failures overflows."""


@dataclass(frozen=True)
class BackOff:
    """Seconds after the first failure, and the most after any."""

    first_s: float
    longest_s: float

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, from 1."""
        return min(self.first_s * 2.0 ** min(max(failures - 1, 0), _MAX_DOUBLINGS), self.longest_s)
