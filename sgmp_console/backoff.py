"""How long to wait between attempts."""

from __future__ import annotations

import random
from collections.abc import Iterator


def delays(first_s: float = 0.5, longest_s: float = 15.0) -> Iterator[float]:
    """Seconds between attempts, without end: each twice the one before, and never in step with others'."""
    delay_s = first_s
    while True:
        yield delay_s * random.uniform(0.7, 1.3)  # noqa: S311 - not a secret
        delay_s = min(delay_s * 2, longest_s)
