"""Means over periods of a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries.series import Series


def starts_of_runs(keys: NDArray[np.int64]) -> NDArray[np.intp]:
    """The index at which each run of equal keys begins, as np.add.reduceat wants it."""
    if not len(keys):
        return np.empty(0, np.intp)
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))


def period_means(series: Series, period_ms: int) -> Series:
    """The mean of the finite values of each period, at its start `floor(timestamp / period) * period`.

    Only periods that hold a value appear; the cost follows the samples, not the length of time.
    """
    series = series.finite()
    if not len(series):
        return series
    periods = np.floor_divide(series.timestamps, np.int64(period_ms))
    first = starts_of_runs(periods)
    counts = np.diff(np.append(first, len(periods)))
    with np.errstate(over="ignore"):
        means = np.add.reduceat(series.values, first) / counts
    return Series(periods[first] * period_ms, means)
