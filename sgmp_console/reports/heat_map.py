"""An item by hour and day, and by hour and weekday: what a heat map shows. Pure.

Cells are the hours of the house's days, counted from its midnight, as in every table of hours. A cell stands at the hour
that the clock shows when it begins. Where the clock is set back an hour comes twice, and both cells share the place;
where it is set forward the place is empty, and so it is outside the period.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries import HOUR_MS, SLOT_MS, HourMeans, calendar

HALF_HOURS = 48
"""Places of a line: each hour has two, so that one that comes twice can be divided."""

NOWHERE = -1
"""At a place that no cell has."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells in lines of 24 hours.

    `places[line, half hour]`: the cell there, or NOWHERE. Of each cell: `covered` of its `slots` five-minute slots have a
    value, whose means add up to `sums`, in the unit of the item.
    """

    places: NDArray[np.int64]
    covered: NDArray[np.int64]
    slots: NDArray[np.int64]
    sums: NDArray[np.float64]

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """The mean of each cell's covered slots; NaN where none is."""
        known = self.covered > 0
        means = np.full(len(self.sums), np.nan)
        means[known] = self.sums[known] / self.covered[known]
        return means

    def merged(self, lines: NDArray[np.int64], count: int) -> Grid:
        """The cells of all lines that become line `lines[old]` of `count`, hour by hour, as one cell each."""
        line, half = np.nonzero(self.places != NOWHERE)
        # A cell that fills its hour has both places: it counts once.
        cell, first = np.unique(self.places[line, half], return_index=True)
        keys = lines[line[first]] * HALF_HOURS + half[first] // 2 * 2
        unique, target = np.unique(keys, return_inverse=True)
        places = np.full((count, HALF_HOURS), NOWHERE, np.int64)
        for shift in (0, 1):
            places.flat[unique + shift] = np.arange(len(unique))
        covered, slots = np.zeros((2, len(unique)), np.int64)
        sums = np.zeros(len(unique))
        np.add.at(covered, target, self.covered[cell])
        np.add.at(slots, target, self.slots[cell])
        np.add.at(sums, target, self.sums[cell])
        return Grid(places, covered, slots, sums)


@dataclass(frozen=True, eq=False)
class HeatMap:
    """An item over a period. Line `i` of `days` is the house's day that begins at `day_starts[i]`, UTC ms, and cell `i`
    is about [starts[i], ends[i]). `weekdays` has seven lines, from Monday on: the same cells, added up."""

    item: str
    unit: str
    zone: str
    day_starts: tuple[int, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    days: Grid
    weekdays: Grid


def heat_map(
    item: str,
    unit: str,
    zone: str,
    start_ms: int,
    end_ms: int,
    every: NDArray[np.int64],
    known: HourMeans,
) -> HeatMap:
    """Of [start_ms, end_ms), UTC ms, on slots. `every`: where all its hours begin, the first maybe before it; `known`:
    those that have a value."""
    starts, ends = np.maximum(every, start_ms), np.append(every[1:], [end_ms] * min(1, len(every)))
    covered, sums = np.zeros(len(every), np.int64), np.zeros(len(every))
    at = np.searchsorted(every, known.starts)
    covered[at], sums[at] = known.covered, known.sums
    day_starts, line, hour = _clock(every, zone)
    places = np.full((len(day_starts), HALF_HOURS), NOWHERE, np.int64)
    cells = np.arange(len(every))
    again = np.ones(len(every), np.bool_)
    again[np.unique(line * 24 + hour, return_index=True)[1]] = False
    for shift, part in ((0, ~again), (1, ~again), (1, again)):
        places[line[part], 2 * hour[part] + shift] = cells[part]
    days = Grid(places, covered, (ends - starts) // SLOT_MS, sums)
    weekday = [calendar.date_of(start, zone).weekday() for start in day_starts]
    return HeatMap(
        item, unit, zone, day_starts, starts, ends, days, days.merged(np.array(weekday, np.int64), 7)
    )


def _clock(
    starts: NDArray[np.int64], zone: str
) -> tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.int64]]:
    """The days that the hours lie in, and of each hour the place of its day and what the clock shows, 0 to 23."""
    if not len(starts):
        return (), starts, starts
    days = calendar.days(int(starts[0]), int(starts[-1]) + 1, zone)
    begins = np.array([first for first, _ in days], np.int64)
    line = np.searchsorted(begins, starts, side="right") - 1
    hour = (starts - begins[line]) // HOUR_MS
    for place, (first, last) in enumerate(days):
        if last - first != 24 * HOUR_MS or calendar.local(first, zone).hour:
            of_day = np.flatnonzero(line == place)
            hour[of_day] = [calendar.local(at, zone).hour for at in starts[of_day].tolist()]
    return tuple(begins.tolist()), line, hour
