"""Continuous aggregates as numbers: what is kept of a series per slot and per hour.

This states their meaning once. The store keeps the same columns in SQL; `aggregate` is the reference they are tested
against.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries.averages import starts_of_runs
from sgmp_console.timeseries.series import READING_LIMIT, Series
from sgmp_console.timeseries.slots import HOUR_MS, SLOT_MS


@dataclass(frozen=True, eq=False)
class SlotAggregates:
    """One row per slot that holds a finite value. All arrays are equally long; `starts` is ascending, UTC ms.

    `n`: values in the slot. `sums`, `positive_sums`, `negative_sums`: of x, of max(x, 0), of min(x, 0), in the unit
    of the series. `minima`, `maxima`: of x. `timestamp_hash`: the fingerprint of the slot's timestamps (`timestamp_hash`
    summed), or None if it is not kept; two series with equal `n` and `timestamp_hash` have the same timestamps there.
    """

    starts: NDArray[np.int64]
    n: NDArray[np.int64]
    sums: NDArray[np.float64]
    positive_sums: NDArray[np.float64]
    negative_sums: NDArray[np.float64]
    minima: NDArray[np.float64]
    maxima: NDArray[np.float64]
    timestamp_hash: NDArray[np.int64] | None = None

    @property
    def in_bounds(self) -> NDArray[np.bool_]:
        """Where no value is beyond READING_LIMIT: the sums are finite there, and so is what is computed from them."""
        return _in_bounds(self.minima, self.maxima)

    def only(self, kept: NDArray[np.bool_]) -> SlotAggregates:
        """Those slots."""
        return _only(self, kept)


@dataclass(frozen=True, eq=False)
class HourAggregates:
    """One row per UTC hour with a covered slot, derived from the slots.

    `covered`: covered slots. `sums`, `positive_sums`, `negative_sums`: the sums of the slots' means of x, of
    max(x, 0), of min(x, 0). `minima`, `maxima`: of x. `n` and `timestamp_hash`: the slots' summed, or None if not kept.
    """

    starts: NDArray[np.int64]
    covered: NDArray[np.int64]
    sums: NDArray[np.float64]
    positive_sums: NDArray[np.float64]
    negative_sums: NDArray[np.float64]
    minima: NDArray[np.float64]
    maxima: NDArray[np.float64]
    n: NDArray[np.int64] | None = None
    timestamp_hash: NDArray[np.int64] | None = None

    @property
    def in_bounds(self) -> NDArray[np.bool_]:
        """As in SlotAggregates."""
        return _in_bounds(self.minima, self.maxima)

    def only(self, kept: NDArray[np.bool_]) -> HourAggregates:
        """Those hours."""
        return _only(self, kept)


_Rows = TypeVar("_Rows", SlotAggregates, HourAggregates)


def _only(rows: _Rows, kept: NDArray[np.bool_]) -> _Rows:
    if kept.all():
        return rows
    columns: dict[str, Any] = {one.name: getattr(rows, one.name) for one in fields(rows)}
    return replace(rows, **{name: column[kept] for name, column in columns.items() if column is not None})


def _in_bounds(minima: NDArray[np.float64], maxima: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (minima >= -READING_LIMIT) & (maxima <= READING_LIMIT)  # false for NaN


def timestamp_hash(timestamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """A scattered 32-bit number per timestamp (ms), whose sum distinguishes two sets of timestamps.

    Fields that come in the same messages have equal sums; different sets of equal size agree with a chance of about
    2**-32. (Sums of powers of the timestamps don't do: on a regular grid they agree for many different gaps.) It is
    PostgreSQL's `hashint8`, which never changes since hash indexes rest on it, so SQL and NumPy add up the same.
    """
    high = (timestamps >> 32).astype(np.uint32)
    key = timestamps.astype(np.uint32) ^ np.where(timestamps >= 0, high, ~high)
    seed = np.uint32(0x9E3779B9 + 4 + 3_923_095)
    a, b, c = key + seed, np.full_like(key, seed), np.full_like(key, seed)
    for left, right, bits in (
        (c, b, 14),
        (a, c, 11),
        (b, a, 25),
        (c, b, 16),
        (a, c, 4),
        (b, a, 14),
        (c, b, 24),
    ):
        left ^= right
        left -= (right << np.uint32(bits)) | (right >> np.uint32(32 - bits))
    return c.view(np.int32).astype(np.int64)


def aggregate(series: Series) -> SlotAggregates:
    """The slots of a series. NaN and infinities don't count; sums that overflow are infinite."""
    series = series.finite()
    t, x = series.timestamps, series.values
    slots = np.floor_divide(t, SLOT_MS)
    first = starts_of_runs(slots)
    if not len(first):
        nothing, none = np.empty(0), np.empty(0, np.int64)
        return SlotAggregates(none, none, nothing, nothing, nothing, nothing, nothing, none)
    with np.errstate(over="ignore"):
        return SlotAggregates(
            starts=slots[first] * SLOT_MS,
            n=np.diff(np.append(first, len(t))).astype(np.int64),
            sums=np.add.reduceat(x, first),
            positive_sums=np.add.reduceat(np.maximum(x, 0.0), first),
            negative_sums=np.add.reduceat(np.minimum(x, 0.0), first),
            minima=np.minimum.reduceat(x, first),
            maxima=np.maximum.reduceat(x, first),
            timestamp_hash=np.add.reduceat(timestamp_hash(t), first),
        )


def hourly(slots: SlotAggregates) -> HourAggregates:
    """The UTC hours that the slots make up."""
    hours = np.floor_divide(slots.starts, HOUR_MS)
    first = starts_of_runs(hours)
    if not len(first):
        nothing, none = np.empty(0), np.empty(0, np.int64)
        return HourAggregates(none, none, nothing, nothing, nothing, nothing, nothing, none, none)
    with np.errstate(over="ignore", invalid="ignore"):
        return HourAggregates(
            starts=hours[first] * HOUR_MS,
            covered=np.diff(np.append(first, len(hours))).astype(np.int64),
            sums=np.add.reduceat(slots.sums / slots.n, first),
            positive_sums=np.add.reduceat(slots.positive_sums / slots.n, first),
            negative_sums=np.add.reduceat(slots.negative_sums / slots.n, first),
            minima=np.minimum.reduceat(slots.minima, first),
            maxima=np.maximum.reduceat(slots.maxima, first),
            n=np.add.reduceat(slots.n, first),
            timestamp_hash=None
            if slots.timestamp_hash is None
            else np.add.reduceat(slots.timestamp_hash, first),
        )
