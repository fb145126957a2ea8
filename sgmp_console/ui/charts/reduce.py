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
        _, first = _columns(t, start_ms, end_ms, columns)
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


def _columns(
    timestamps: NDArray[np.int64], start_ms: int, end_ms: int, columns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of `columns` equal parts have a timestamp, and the first in each; what lies beyond an end is in a part there.

    By searching for the edges: a million timestamps are not touched for that.
    """
    edges = start_ms + (np.arange(1, columns + 1) * max(1, end_ms - start_ms) + columns - 1) // columns
    firsts = np.concatenate(([0], np.searchsorted(timestamps, edges[:-1])))
    ends = np.append(firsts[1:], len(timestamps))
    filled = np.flatnonzero(ends > firsts)
    return filled, firsts[filled]


def lonely(series: Series, start_ms: int, end_ms: int, gap_ms: int) -> Series:
    """The points with a gap on either side, which no line shows."""
    t = series.timestamps
    first, last = np.searchsorted(t, (start_ms, end_ms))
    if first == last:
        return Series.empty()
    begin, end = max(0, int(first) - 1), min(len(t), int(last) + 1)
    apart = np.diff(t[begin:end]) > gap_ms
    alone = np.concatenate(([True], apart)) & np.concatenate((apart, [True]))
    alone = alone[first - begin : last - begin]
    return Series(t[first:last][alone], series.values[first:last][alone])


def column_means(
    series: Series, start_ms: int, end_ms: int, columns: int, gap_ms: int
) -> NDArray[np.float64]:
    """The mean of each of `columns` equal parts of [start_ms, end_ms), NaN in gaps.

    A part without a value between two that have one, no further apart than `gap_ms`, lies on the line between them.
    """
    inside = series.between(start_ms, end_ms)
    filled, first = _columns(inside.timestamps, start_ms, end_ms, columns)
    if not len(inside):
        return np.full(columns, np.nan)
    counts = np.diff(np.append(first, len(inside)))
    means = np.add.reduceat(inside.values, first) / counts
    return _over_columns(filled, means, columns, (end_ms - start_ms) / columns, gap_ms)


def column_band(
    lows: Series, highs: Series, start_ms: int, end_ms: int, columns: int, gap_ms: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and the highest of each part, as `column_means` has the means. `lows` and `highs` share timestamps."""
    low, high = lows.between(start_ms, end_ms), highs.between(start_ms, end_ms)
    filled, first = _columns(low.timestamps, start_ms, end_ms, columns)
    if not len(low):
        return np.full(columns, np.nan), np.full(columns, np.nan)
    width_ms = (end_ms - start_ms) / columns
    return (
        _over_columns(filled, np.minimum.reduceat(low.values, first), columns, width_ms, gap_ms),
        _over_columns(filled, np.maximum.reduceat(high.values, first), columns, width_ms, gap_ms),
    )


def _over_columns(
    filled: NDArray[np.int64], values: NDArray[np.float64], columns: int, width_ms: float, gap_ms: int
) -> NDArray[np.float64]:
    """All columns from those that are filled, with lines over narrow gaps."""
    every = np.full(columns, np.nan)
    every[filled] = values
    missing = np.flatnonzero(np.isnan(every))
    after = np.searchsorted(filled, missing)
    between = (after > 0) & (after < len(filled))
    missing, after = missing[between], after[between]
    narrow = (filled[after] - filled[after - 1]) * max(1.0, width_ms) <= gap_ms + max(1.0, width_ms)
    every[missing[narrow]] = np.interp(missing[narrow], filled, values)
    return every


def gaps(series: Series, start_ms: int, end_ms: int, gap_ms: int) -> list[tuple[int, int]]:
    """The stretches of [start_ms, end_ms] without values for longer than `gap_ms`, the ends included."""
    first, last = np.searchsorted(series.timestamps, (start_ms, end_ms))
    t = series.timestamps[first:last]
    before = np.flatnonzero(np.diff(t) > gap_ms)
    starts = [start_ms, *t[before].tolist(), *t[-1:].tolist()]
    ends = [*t[:1].tolist(), *t[before + 1].tolist(), end_ms]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end - start > gap_ms]


def common_gaps(each: list[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """The stretches in which no line has values."""
    if not each or not all(each):
        return []
    starts = np.sort(np.concatenate([[start for start, _ in one] for one in each]))
    ends = np.sort(np.concatenate([[end for _, end in one] for one in each]))
    # All lines have a gap where as many more gaps have begun than ended; a line's own gaps don't overlap.
    at = np.unique(np.concatenate([starts, ends]))
    open_ones = np.searchsorted(starts, at, side="right") - np.searchsorted(ends, at, side="right")
    common = np.flatnonzero(open_ones == len(each))
    return [(int(at[place]), int(at[place + 1])) for place in common if place + 1 < len(at)]


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
