"""Which text is a number. One rule for both sides: drivers read devices by it, ingest reads payloads by it.

Python's own `float()` and `int()` take more than devices mean: `1_000`, digits of other scripts, `infinity`.
"""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NO_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
"""How devices and languages write that there is no value."""


def number_in(text: str) -> float | None:
    """The number that a text is, blanks around it aside; None where it is other text, and stays text.

    NaN for the ways to write that there is no number (`nan`, `-inf`, `Infinity`), infinite where it is out of
    range (`1e999`): both are missing values, not text.
    """
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        return float(stripped)
    return math.nan if _NO_NUMBER.fullmatch(stripped) else None


def integer_in(text: str) -> int | None:
    """The whole number that a text is, to the last digit, as a counter beyond 2**53 needs it; else None."""
    stripped = text.strip()
    return int(stripped) if _INTEGER.fullmatch(stripped) else None
