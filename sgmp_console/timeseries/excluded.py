"""Times that count in no mean and no sum: slots that are taken as uncovered, whatever was measured in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries.slots import HOUR_MS, SLOT_MS, SlotMeans, snap


@dataclass(frozen=True, eq=False)
class Excluded:
    """Ranges of whole slots, [starts[i], ends[i]) in UTC ms, in order of time, none touching another."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> Excluded:
        """All slots of which a part lies in one of these ranges (UTC ms, of any order)."""
        merged: list[list[int]] = []
        for start, end in sorted(snap(*one) for one in ranges):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        starts, ends = (np.array([one[place] for one in merged], np.int64) for place in (0, 1))
        return cls(starts, ends)

    def covers(self, starts: NDArray[np.int64], length_ms: int) -> NDArray[np.bool_]:
        """Which of the intervals of that length that begin at `starts` are excluded as a whole."""
        if not len(self.starts):
            return np.zeros(len(starts), np.bool_)
        place = np.searchsorted(self.starts, starts, side="right") - 1
        covered: NDArray[np.bool_] = (place >= 0) & (starts + length_ms <= self.ends[place])
        return covered

    def holds(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these times (UTC ms) are excluded."""
        return self.covers(times, 1)

    def touches(self, starts: NDArray[np.int64], length_ms: int) -> NDArray[np.bool_]:
        """Of which of the intervals of that length that begin at `starts` a part is excluded."""
        before = np.searchsorted(self.ends, starts, side="right")
        after = np.searchsorted(self.starts, starts + length_ms, side="left")
        touched: NDArray[np.bool_] = after > before
        return touched

    def parted_hours(self, start_ms: int, end_ms: int) -> NDArray[np.int64]:
        """The hours (UTC) of [start_ms, end_ms), which begins and ends with one, of which a part is excluded, not all."""
        hours = np.arange(start_ms, end_ms, HOUR_MS, dtype=np.int64)
        return hours[self.touches(hours, HOUR_MS) & ~self.covers(hours, HOUR_MS)]

    def slots(self, start_ms: int, end_ms: int) -> int:
        """How many slots of [start_ms, end_ms) are excluded."""
        lengths = np.minimum(self.ends, end_ms) - np.maximum(self.starts, start_ms)
        return int(np.maximum(lengths, 0).sum()) // SLOT_MS

    def without(self, slots: SlotMeans) -> SlotMeans:
        """The slots but the excluded ones."""
        kept = ~self.holds(slots.starts)
        return SlotMeans(slots.start_ms, slots.end_ms, slots.starts[kept], slots.means[kept])
