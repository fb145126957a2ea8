"""Seeded randomness that is a function of time: the same instant gives the same value in every process.

Minutes are whole UTC minutes since 1970, so that a value does not depend on where a caller begins to look.
"""

from __future__ import annotations

import hashlib
import random
from functools import cache
from itertools import pairwise

_MASK = 0xFFFFFFFFFFFFFFFF
_BLOCK = 128


def stream(*parts: object) -> int:
    """The 64-bit seed of a named stream of randomness, e.g. `stream(house_seed, "clouds")`."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def generator(*parts: object) -> random.Random:
    """A generator of its own for a named thing, e.g. the appliances of one date."""
    return random.Random(stream(*parts))  # noqa: S311 - simulated weather and habits guard nothing


def uniform(seed: int, index: int) -> float:
    """A value in [-1, 1) for an integer, without state (SplitMix64)."""
    z = (seed + index * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) * 2.0**-63 - 1.0


def smooth(seed: int, period: int, first_minute: int, count: int) -> list[float]:
    """`count` values in [-1, 1), one a minute: a random value each `period` minutes, eased in between."""
    start = first_minute // period
    stop = (first_minute + count - 1) // period + 2
    weights = _easing(period)
    values = [a + (b - a) * weight for a, b in pairwise(_knots(seed, start, stop)) for weight in weights]
    skip = first_minute - start * period
    return values[skip : skip + count]


def _knots(seed: int, start: int, stop: int) -> list[float]:
    """Random values in [-1, 1) for the integers of a range; drawn in blocks, which is ten times as fast."""
    first, last = start // _BLOCK, (stop - 1) // _BLOCK
    values: list[float] = []
    for block in range(first, last + 1):
        draw = random.Random((seed + block * 0x9E3779B97F4A7C15) & _MASK).random  # noqa: S311 - as above
        values += [2 * draw() - 1 for _ in range(_BLOCK)]
    return values[start - first * _BLOCK : stop - first * _BLOCK]


@cache
def _easing(period: int) -> tuple[float, ...]:
    return tuple(x * x * (3 - 2 * x) for x in (step / period for step in range(period)))
