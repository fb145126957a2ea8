"""Items in the steps of a period, slots or hours: plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmp_console.reports.balance import without_car
from sgmp_console.reports.item_source import Source, combined
from sgmp_console.reports.report import Gap
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, SLOTS_PER_HOUR, HourMeans, Series, calendar

_MAX_GAPS = 3
_MIN_GAP_MS = 2 * SLOT_MS


@dataclass(frozen=True, eq=False)
class Steps:
    """An item in the steps of a period (slots or hours) that have a value.

    `covered`: how many five-minute slots of the step have one; `sums`: the sum of their means, in the item's unit.
    """

    starts: NDArray[np.int64]
    covered: NDArray[np.int64]
    sums: NDArray[np.float64]
    step_ms: int
    source: Source

    @property
    def means(self) -> NDArray[np.float64]:
        return self.sums / self.covered

    @property
    def energies_kwh(self) -> NDArray[np.float64]:
        """The energy in each step of a power in kW, in its covered slots."""
        return self.sums / SLOTS_PER_HOUR

    @property
    def mean(self) -> float | None:
        return self._parts.mean

    @property
    def energy_kwh(self) -> float | None:
        return self._parts.energy_kwh

    @property
    def _parts(self) -> HourMeans:
        return HourMeans(self.starts, self.covered, self.sums)


def joined(parts: Sequence[Steps]) -> Steps:
    source = combined({part.source for part in parts if len(part.starts)} or {part.source for part in parts})
    return Steps(
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.covered for part in parts]),
        np.concatenate([part.sums for part in parts]),
        parts[0].step_ms,
        source,
    )


def hour_grids(start_ms: int, end_ms: int, zone: str) -> list[tuple[int, int, int]]:
    """Parts of a range whose hours begin at the same minute, as (start, end, origin of its hours).

    Hours are counted from the midnight of each house day. That is one part for nearly all zones; more where clocks
    change by half an hour.
    """
    parts: list[tuple[int, int, int]] = []
    for midnight, after in calendar.days(start_ms, end_ms, zone):
        first, last = max(midnight, start_ms), min(after, end_ms)
        if parts and (midnight - parts[-1][2]) % HOUR_MS == 0 and parts[-1][1] == first:
            parts[-1] = (parts[-1][0], last, parts[-1][2])
        else:
            parts.append((first, last, midnight))
    return parts


def all_steps(start_ms: int, end_ms: int, step_ms: int, zone: str) -> NDArray[np.int64]:
    """The starts of all steps of a range; the first and last hour may be cut by its ends."""
    if step_ms == SLOT_MS:
        return np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)
    parts = []
    for first, last, origin in hour_grids(start_ms, end_ms, zone):
        begin = (first - origin) // HOUR_MS * HOUR_MS + origin
        parts.append(np.arange(begin, last, HOUR_MS, dtype=np.int64))
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def gaps(starts: NDArray[np.int64], step_ms: int, start_ms: int, end_ms: int) -> tuple[Gap, ...]:
    """The longest times without a covered slot, longest first. Of hours, those without any covered slot."""
    edges = np.concatenate([[start_ms], starts, [end_ms]])
    ends = np.concatenate([[start_ms], starts + step_ms, [end_ms]])
    lengths = edges[1:] - ends[:-1]
    longest = np.argsort(-lengths, kind="stable")[:_MAX_GAPS]
    return tuple(
        Gap(int(ends[place]), int(edges[place + 1])) for place in longest if lengths[place] >= _MIN_GAP_MS
    )


def series_without_car(load: Series, ev: Series) -> Series:
    """At the timestamps that both have, kW."""
    at, of_load, of_ev = np.intersect1d(
        load.timestamps, ev.timestamps, assume_unique=True, return_indices=True
    )
    return Series(at, without_car(load.values[of_load], ev.values[of_ev]))
