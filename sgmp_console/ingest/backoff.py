"""How long to wait between attempts."""

from __future__ import annotations

import random
from collections.abc import Iterator

_FIRST_S = 0.5
_LONGEST_S = 15.0


def delays() -> Iterator[float]:
    """Seconds between attempts, without end: longer and longer, and never in step with others'."""
    delay = _FIRST_S
    while True:
        yield delay * random.uniform(0.7, 1.3)  # noqa: S311 - not a secret
        delay = min(delay * 2, _LONGEST_S)
