"""Several series brought to the timestamps they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries.series import Series


def align(series: Sequence[Series]) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """The timestamps all series have (exact match), and each one's values at them, in the order given."""
    if not series:
        return np.empty(0, np.int64), []
    shared = min(series, key=len).timestamps
    for one in series:
        if not _same(one.timestamps, shared):
            shared = shared[_places(one.timestamps, shared)[1]]
    columns = []
    for one in series:
        if _same(one.timestamps, shared):
            columns.append(one.values)
        else:
            columns.append(one.values[_places(one.timestamps, shared)[0]])
    return shared, columns


def shared_fraction(one: Series, other: Series) -> float | None:
    """How much of the shorter series' timestamps the other has too, 0 to 1; None if one of them is empty."""
    shorter, longer = sorted((one.timestamps, other.timestamps), key=len)
    if not len(shorter):
        return None
    return float(np.mean(_places(longer, shorter)[1]))


def _same(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    # Fields of one device come in the same messages: nearly always this is all there is to do.
    return one is other or (len(one) == len(other) and bool(np.array_equal(one, other)))


def _places(
    timestamps: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted timestamp would stand, and whether it is there."""
    if not len(timestamps):
        return np.zeros(len(wanted), np.intp), np.zeros(len(wanted), np.bool_)
    places = np.minimum(np.searchsorted(timestamps, wanted), len(timestamps) - 1)
    return places, timestamps[places] == wanted


def typical_interval_ms(series: Series) -> int | None:
    """The median time between neighbours; None for fewer than two values."""
    return int(np.median(np.diff(series.timestamps))) if len(series) > 1 else None
