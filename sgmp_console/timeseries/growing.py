"""A series that is kept for a while: it grows at its end, and its beginning is forgotten."""

from __future__ import annotations

import numpy as np

from sgmp_console.timeseries.series import Series

_SPARE = 4096


class GrowingSeries:
    """What is handed out by `series` never changes: later values are written behind it, corrections into a copy."""

    def __init__(self) -> None:
        self._timestamps = np.empty(0, np.int64)
        self._values = np.empty(0, np.float64)
        self._first = self._end = 0  # the part in use
        self._series = Series.empty()

    @property
    def series(self) -> Series:
        return self._series

    def replace_from(self, from_ms: int, tail: Series, start_ms: int) -> None:
        """Put `tail`, all of it at or after `from_ms`, in the place of everything from there on.

        What is before `start_ms` is forgotten.
        """
        held = self._timestamps[self._first : self._end]
        cut = self._first + int(np.searchsorted(held, from_ms))
        if cut < self._end or cut + len(tail) > len(self._timestamps):
            self._move(cut, len(tail))
        end = self._end + len(tail)
        self._timestamps[self._end : end] = tail.timestamps
        self._values[self._end : end] = tail.values
        self._end = end
        self._first += int(np.searchsorted(self._timestamps[self._first : self._end], start_ms))
        self._series = Series(
            self._timestamps[self._first : self._end], self._values[self._first : self._end]
        )

    def _move(self, cut: int, more: int) -> None:
        """Go on in new arrays, with what is in use before `cut` and room for `more` values and then some."""
        kept = cut - self._first
        timestamps = np.empty(kept + more + _SPARE, np.int64)
        values = np.empty(kept + more + _SPARE, np.float64)
        timestamps[:kept] = self._timestamps[self._first : cut]
        values[:kept] = self._values[self._first : cut]
        self._timestamps, self._values = timestamps, values
        self._first, self._end = 0, kept
