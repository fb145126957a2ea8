"""Slots: what a mean, an energy and a coverage are.

A slot is an interval of 5 minutes, aligned to UTC. Its mean is the arithmetic mean of the values in it; a slot
without a value is uncovered, and stays out of every mean and sum. Everything said about a range is said of its slots,
so a quantity is the same at every zoom, on screen and in every export.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries.averages import period_means, starts_of_runs
from sgmp_console.timeseries.series import Series

SLOT_MS = 300_000
HOUR_MS = 3_600_000
SLOTS_PER_HOUR = HOUR_MS // SLOT_MS


def snap(start_ms: int, end_ms: int) -> tuple[int, int]:
    """The smallest half-open range of whole slots that holds [start_ms, end_ms). Raises ValueError if end < start."""
    if end_ms < start_ms:
        raise ValueError(f"a range ends at {end_ms} before it starts at {start_ms}")
    return start_ms // SLOT_MS * SLOT_MS, -(-end_ms // SLOT_MS) * SLOT_MS


def last_slots(now_ms: int, count: int) -> tuple[int, int]:
    """The range of the newest `count` slots, the last one being the unfinished slot that holds `now_ms`."""
    end = now_ms // SLOT_MS * SLOT_MS + SLOT_MS
    return end - count * SLOT_MS, end


@dataclass(frozen=True, eq=False)
class SlotMeans:
    """The covered slots of the half-open range [start_ms, end_ms), which begins and ends on slots.

    `starts`: int64, UTC ms, ascending. `means`: float64, the mean of each of these slots, in the unit of the series.
    """

    start_ms: int
    end_ms: int
    starts: NDArray[np.int64]
    means: NDArray[np.float64]

    @property
    def count(self) -> int:
        """All slots of the range, covered or not."""
        return (self.end_ms - self.start_ms) // SLOT_MS

    @property
    def covered(self) -> int:
        return len(self.starts)

    @property
    def coverage(self) -> float | None:
        """The covered part, 0 to 1; None for an empty range."""
        return self.covered / self.count if self.count else None

    @property
    def mean(self) -> float | None:
        """The mean of the covered slots, in the unit of the series; None if there is none or it overflows."""
        total = _total(self.means)
        return None if total is None else total / self.covered

    @property
    def energy_kwh(self) -> float | None:
        """The energy of a power in kW, in the covered slots only; None, not zero, if there is none or it overflows."""
        total = _total(self.means)
        return None if total is None else total / SLOTS_PER_HOUR

    @property
    def series(self) -> Series:
        """The means at the starts of their slots."""
        return Series(self.starts, self.means)

    def between(self, start_ms: int, end_ms: int) -> SlotMeans:
        """The part of the range that lies in [start_ms, end_ms), snapped to slots."""
        start, end = snap(start_ms, end_ms)
        start, end = max(start, self.start_ms), min(end, self.end_ms)
        end = max(start, end)
        first, last = np.searchsorted(self.starts, (start, end))
        return SlotMeans(start, end, self.starts[first:last], self.means[first:last])

    def hours(self, origin_ms: int = 0) -> HourMeans:
        """The hours these slots make up, counted from `origin_ms` (a slot boundary).

        The default gives hours of UTC. Where the house's zone is off by half an hour, give the start of the house's
        day, so that its hours don't straddle midnight.
        """
        keys = np.floor_divide(self.starts - origin_ms, HOUR_MS)
        first = starts_of_runs(keys)
        with np.errstate(over="ignore"):
            sums = np.add.reduceat(self.means, first) if len(first) else np.empty(0)
        covered = np.diff(np.append(first, len(keys))).astype(np.int64)
        return HourMeans(keys[first] * HOUR_MS + origin_ms, covered, sums)


@dataclass(frozen=True, eq=False)
class HourMeans:
    """The hours that have a covered slot. `covered`: how many of their twelve; `sums`: the sum of the slots' means.

    A sum that overflows is infinite, and nothing that it is part of has a value.
    """

    starts: NDArray[np.int64]
    covered: NDArray[np.int64]
    sums: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """Each hour's mean of its covered slots."""
        return self.sums / self.covered

    @property
    def energies_kwh(self) -> NDArray[np.float64]:
        """Each hour's energy of a power in kW, in its covered slots only."""
        return self.sums / SLOTS_PER_HOUR

    @property
    def mean(self) -> float | None:
        """The mean of all covered slots; equal to that of the slots the hours were made of."""
        total = _total(self.sums)
        return None if total is None else total / float(self.covered.sum())

    @property
    def energy_kwh(self) -> float | None:
        """The energy of a power in kW, in the covered slots only."""
        total = _total(self.sums)
        return None if total is None else total / SLOTS_PER_HOUR


def _total(parts: NDArray[np.float64]) -> float | None:
    """The sum; None where there is nothing to add up or the sum overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(parts.sum())
    return total if len(parts) and math.isfinite(total) else None


def slot_means(series: Series, start_ms: int, end_ms: int) -> SlotMeans:
    """The slots of a series in the range snapped to slots. NaN and infinities in the series don't count."""
    start, end = snap(start_ms, end_ms)
    means = period_means(series.between(start, end), SLOT_MS).finite()
    return SlotMeans(start, end, means.timestamps, means.values)


@dataclass(frozen=True)
class Extremes:
    """The least and the greatest value, each with the first time (UTC ms) it was reached."""

    minimum: float
    minimum_ms: int
    maximum: float
    maximum_ms: int


def extremes(series: Series) -> Extremes | None:
    """The extremes of the raw values; None if there are none."""
    series = series.finite()
    if not len(series):
        return None
    least, greatest = int(np.argmin(series.values)), int(np.argmax(series.values))
    return Extremes(
        float(series.values[least]),
        int(series.timestamps[least]),
        float(series.values[greatest]),
        int(series.timestamps[greatest]),
    )
