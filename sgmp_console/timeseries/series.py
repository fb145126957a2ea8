"""The one shape in which measurements travel through the console."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

READING_LIMIT = 1e100
"""The largest size of a reading, in its unit. No meter comes near; below it no sum over a range overflows."""


@dataclass(frozen=True, eq=False)
class Series:
    """Values at instants.

    `timestamps`: int64, UTC milliseconds, ascending and unique. `values`: float64 of the same length. A missing
    value is an absent timestamp, never a NaN put in its place; a NaN or infinity given here stays, and what
    computes drops it (`finite`). Raises ValueError when the two arrays break this.
    """

    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __init__(self, timestamps: ArrayLike, values: ArrayLike) -> None:
        t = np.ascontiguousarray(timestamps, dtype=np.int64)
        v = np.ascontiguousarray(values, dtype=np.float64)
        if t.ndim != 1 or t.shape != v.shape:
            raise ValueError(
                f"timestamps {t.shape} and values {v.shape} must be one-dimensional and equally long"
            )
        if len(t) > 1 and not bool(np.all(t[1:] > t[:-1])):
            raise ValueError("timestamps must be ascending and unique")
        object.__setattr__(self, "timestamps", t)
        object.__setattr__(self, "values", v)

    @classmethod
    def empty(cls) -> Series:
        return cls(np.empty(0, np.int64), np.empty(0, np.float64))

    def __len__(self) -> int:
        return len(self.timestamps)

    def between(self, start_ms: int, end_ms: int) -> Series:
        """The part in the half-open range [start_ms, end_ms)."""
        first, last = np.searchsorted(self.timestamps, (start_ms, end_ms))
        return Series(self.timestamps[first:last], self.values[first:last])

    def since(self, start_ms: int) -> Series:
        """The part from `start_ms` on."""
        first = int(np.searchsorted(self.timestamps, start_ms))
        return self if first == 0 else Series(self.timestamps[first:], self.values[first:])

    def finite(self) -> Series:
        """Without NaN and infinities."""
        keep = np.isfinite(self.values)
        return self if bool(keep.all()) else Series(self.timestamps[keep], self.values[keep])
