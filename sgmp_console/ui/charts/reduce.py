"""What a line looks like at a given width: lows and highs per pixel column, and the gaps. Pure NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries import Series


def reduced(
    series: Series, start_ms: int, end_ms: int, columns: int, gap_ms: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A line to draw: x in seconds since 1970 UTC, y, with a NaN in y wherever there is a gap.

    At most about two points for each of `columns`: the lowest and the highest value, in the order in which they lead
    from the column before to the one after, so no extreme is lost. Neighbours further apart than `gap_ms` are not
    joined; a point alone between two gaps comes twice, which draws a dot.
    """
    inside = _with_neighbours(series, start_ms, end_ms, gap_ms)
    t, v = inside.timestamps, inside.values
    if len(t) == 0:
        return np.empty(0), np.empty(0)
    if len(t) > 2 * columns:
        column = (t - start_ms) * columns // max(1, end_ms - start_ms)
        first = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
        last = np.append(first[1:], len(t)) - 1
        low, high = np.minimum.reduceat(v, first), np.maximum.reduceat(v, first)
        rising = v[first] <= v[last]
        y = np.empty(2 * len(first))
        y[0::2] = np.where(rising, low, high)
        y[1::2] = np.where(rising, high, low)
        x = np.empty(2 * len(first))
        x[0::2] = t[first]
        x[1::2] = t[last]
        broken = 2 * (np.flatnonzero(t[first[1:]] - t[last[:-1]] > gap_ms) + 1)
    else:
        x, y = t.astype(np.float64), v
        broken = np.flatnonzero(np.diff(t) > gap_ms) + 1
        edges = np.concatenate(([0], broken, [len(x)]))
        lonely = edges[:-1][np.diff(edges) == 1]
        if len(lonely):
            x, y = np.insert(x, lonely, x[lonely]), np.insert(y, lonely, y[lonely])
            broken = broken + np.searchsorted(lonely, broken)
    if len(broken):
        x, y = np.insert(x, broken, x[broken - 1]), np.insert(y, broken, np.nan)
    return x / 1000.0, y


def lonely(series: Series, start_ms: int, end_ms: int, gap_ms: int) -> Series:
    """The points with a gap on either side, which no line shows."""
    t = series.timestamps
    if not len(t):
        return series
    apart = np.diff(t) > gap_ms
    alone = np.concatenate(([True], apart)) & np.concatenate((apart, [True]))
    alone &= (t >= start_ms) & (t < end_ms)
    return Series(t[alone], series.values[alone])


def column_means(
    series: Series, start_ms: int, end_ms: int, columns: int, gap_ms: int
) -> NDArray[np.float64]:
    """The mean of each of `columns` equal parts of [start_ms, end_ms), NaN in gaps.

    A part without a value between two that have one, no further apart than `gap_ms`, lies on the line between them.
    """
    inside = series.between(start_ms, end_ms)
    means = np.full(columns, np.nan)
    if not len(inside):
        return means
    width_ms = max(1.0, (end_ms - start_ms) / columns)
    column = np.minimum(((inside.timestamps - start_ms) / width_ms).astype(np.int64), columns - 1)
    first = np.flatnonzero(np.diff(column, prepend=-1))
    counts = np.diff(np.append(first, len(column)))
    means[column[first]] = np.add.reduceat(inside.values, first) / counts
    present = np.flatnonzero(~np.isnan(means))
    missing = np.flatnonzero(np.isnan(means))
    after = np.searchsorted(present, missing)
    between = (after > 0) & (after < len(present))
    missing, after = missing[between], after[between]
    narrow = (present[after] - present[after - 1]) * width_ms <= gap_ms + width_ms
    means[missing[narrow]] = np.interp(missing[narrow], present, means[present])
    return means


def gaps(series: Series, start_ms: int, end_ms: int, gap_ms: int) -> list[tuple[int, int]]:
    """The stretches of [start_ms, end_ms] without values for longer than `gap_ms`, the ends included."""
    t = series.between(start_ms, end_ms).timestamps
    edges = np.concatenate(([start_ms], t, [end_ms]))
    wide = np.flatnonzero(np.diff(edges) > gap_ms)
    return [(int(edges[i]), int(edges[i + 1])) for i in wide]


def common_gaps(each: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """The stretches in which no line has values."""
    if not each:
        return []
    common = each[0]
    for other in each[1:]:
        common = [(max(a, c), min(b, d)) for a, b in common for c, d in other if max(a, c) < min(b, d)]
    return common


def _with_neighbours(series: Series, start_ms: int, end_ms: int, gap_ms: int) -> Series:
    """The series in [start_ms, end_ms) and one point either side, so that lines run to the edge of the chart."""
    first, last = np.searchsorted(series.timestamps, (start_ms, end_ms))
    if (
        first > 0
        and first < len(series)
        and series.timestamps[first] - series.timestamps[first - 1] <= gap_ms
    ):
        first -= 1
    if 0 < last < len(series) and series.timestamps[last] - series.timestamps[last - 1] <= gap_ms:
        last += 1
    return Series(series.timestamps[first:last], series.values[first:last])
