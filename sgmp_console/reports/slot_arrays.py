"""Slots and hours put together and taken apart. Pure NumPy."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries import HOUR_MS, HourMeans, SlotMeans

NO_HOURS = HourMeans(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))

_MAX_RUNS = 16
"""Ranges that a scattered set of slots is read in."""


def joined_slots(parts: Collection[SlotMeans], start_ms: int, end_ms: int) -> SlotMeans:
    """Parts that share no slot, as one range in order of time."""
    starts = np.concatenate([part.starts for part in parts] or [np.empty(0, np.int64)])
    means = np.concatenate([part.means for part in parts] or [np.empty(0)])
    order = np.argsort(starts)
    return SlotMeans(start_ms, end_ms, starts[order], means[order])


def joined_hours(parts: Collection[HourMeans]) -> HourMeans:
    """Parts of which some may hold different slots of the same hour."""
    starts = np.concatenate([part.starts for part in parts])
    unique, place = np.unique(starts, return_inverse=True)
    covered = np.zeros(len(unique), np.int64)
    sums = np.zeros(len(unique))
    np.add.at(covered, place, np.concatenate([part.covered for part in parts]))
    np.add.at(sums, place, np.concatenate([part.sums for part in parts]))
    return HourMeans(unique, covered, sums)


def without_hours(hours: HourMeans, others: HourMeans) -> HourMeans:
    return only_hours(hours, np.isin(hours.starts, others.starts, assume_unique=True, invert=True))


def only_hours(hours: HourMeans, kept: NDArray[np.bool_]) -> HourMeans:
    return HourMeans(hours.starts[kept], hours.covered[kept], hours.sums[kept])


def runs(starts: NDArray[np.int64], step_ms: int) -> list[tuple[int, int]]:
    """A few ranges that hold the given slots or hours (ascending); what lies in short gaps is read along."""
    if not len(starts):
        return []
    gaps = np.diff(starts)
    breaks = np.flatnonzero(gaps > 12 * step_ms)
    breaks = np.sort(breaks[np.argsort(gaps[breaks])][1 - _MAX_RUNS :])
    firsts = np.concatenate(([0], breaks + 1))
    lasts = np.concatenate((breaks, [len(starts) - 1]))
    return [
        (int(starts[first]), int(starts[last]) + step_ms)
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    ]


def whole_hours(start_ms: int, end_ms: int) -> tuple[int, int]:
    return -(-start_ms // HOUR_MS) * HOUR_MS, end_ms // HOUR_MS * HOUR_MS


def outside(start_ms: int, end_ms: int, inner_start: int, inner_end: int) -> list[tuple[int, int]]:
    """What of a range lies before and after the whole hours in it."""
    if inner_start >= inner_end:
        return [(start_ms, end_ms)] if start_ms < end_ms else []
    return [(first, last) for first, last in ((start_ms, inner_start), (inner_end, end_ms)) if first < last]
