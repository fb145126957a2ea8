"""Formulas tried on made-up readings: disproves in microseconds what only algebra can prove."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

from sgmp_console.formula import identifiers
from sgmp_console.formula.evaluation import evaluate
from sgmp_console.formula.tree import Average, Node, Reference, nodes
from sgmp_console.timeseries.series import Series

_COUNT = 24
_MIN_SAMPLES = 6
_TOLERANCE = 1e-9


def sampled(root: Node) -> Series:
    """A formula's values on readings that depend on the identifiers only, so that two formulas can be compared.

    In place of real averages stand means of three of the data's values: linear in the data, as they are.
    """
    return evaluate(root, _reading, _average)


def _reading(reference: Reference) -> Series:
    return _readings(identifiers.write(reference.identifier))


def _average(average: Average) -> Series | None:
    if not any(isinstance(node, Reference) for node in nodes(average)):
        return None
    data = sampled(average.data)
    generator = np.random.default_rng(average.period_ms)
    total, count = np.zeros(_COUNT), np.zeros(_COUNT)
    for _ in range(3):
        target = generator.permutation(_COUNT)[data.timestamps]
        total[target] += data.values
        count[target] += 1
    kept = np.flatnonzero(count)
    return Series(kept, total[kept] / count[kept])


def may_be_equal(one: Series, other: Series) -> bool:
    """False if two results of `sampled` show that their formulas differ."""
    if not np.array_equal(one.timestamps, other.timestamps):
        return False
    if len(one) < _MIN_SAMPLES:
        return False  # hardly ever defined: nothing can be said
    scale = np.maximum(np.abs(one.values), np.abs(other.values))
    return bool(np.all(np.abs(one.values - other.values) <= _TOLERANCE * np.maximum(scale, 1e-3)))


def may_be_zero(result: Series) -> bool:
    """False if a result of `sampled` shows a value other than zero."""
    return bool(np.all(np.abs(result.values) <= _TOLERANCE))


@lru_cache(maxsize=1024)
def _readings(name: str) -> Series:
    """Readings of either sign and of several magnitudes, always the same for a name."""
    generator = np.random.default_rng(zlib.crc32(name.encode("utf-8")))
    magnitudes = np.tile([0.1, 1.0, 3.0], _COUNT // 3)
    return Series(np.arange(_COUNT), generator.normal(0.0, 1.0, _COUNT) * magnitudes)
