"""The checks. Each takes arrays and returns which of their elements are wrong.

`times`: int64, UTC ms, in the order of arrival where that is what is checked, else ascending. `values`: float64 of the same
length. Slots are the intervals of 5 minutes of a range that begins on a slot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries import HOUR_MS, SLOT_MS, starts_of_runs

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPIKE_SIGMAS = 5.0
"""How far a spike is from its nearer neighbour, in standard deviations of the steps between neighbours."""

SPIKE_WINDOW = 60
"""Steps before and after a reading, of which the deviation is taken: where clouds pass, steps are large for an hour."""

BALANCE_SLOTS = 3
BALANCE_KW = 0.3
BALANCE_SHARE = 0.1
"""Of all that flows: meters of class 1 on five flows, and powers that were not measured at the same instant."""

VANISHED_SLOTS = 12
"""A field has vanished when its device delivered without it for so many slots: an hour."""

USUAL_SHARE = 0.9
"""A field that is there in fewer of the slots comes and goes by nature, and can't vanish."""

TWILIGHT_SLOTS = 6
"""Half an hour before sunrise and after sunset, panels see the bright sky."""


def missing(times: Times, start_ms: int, slots: int, interval_ms: int) -> Mask:
    """Slots with less than half of the polls that are due each `interval_ms`. Where polls are rarer than slots, those
    further from any reading than an interval."""
    inside = times[(times >= start_ms) & (times < start_ms + slots * SLOT_MS)]
    present = np.bincount((inside - start_ms) // SLOT_MS, minlength=slots)
    width = -(-interval_ms // SLOT_MS)
    if width > 1:
        near = np.convolve(present, np.ones(2 * width - 1, np.int64), "full")
        rare: Mask = near[width - 1 : width - 1 + slots] == 0
        return rare
    found: Mask = present < max(1.0, SLOT_MS / interval_ms / 2)
    return found


def stuck(times: Times, values: Values, stuck_ms: int) -> Mask:
    """Readings of a run of the same value that lasts `stuck_ms`. Zero is what is switched off, not stuck."""
    first = starts_of_runs(values.view(np.int64))
    lengths = np.diff(first, append=len(values))
    lasted = times[first + lengths - 1] - times[first]
    return np.repeat((lasted >= stuck_ms) & (values[first] != 0), lengths)


def out_of_range(values: Values, low: float, high: float) -> Mask:
    """Readings beyond the limits, NaN and infinities."""
    wrong: Mask = ~((values >= low) & (values <= high) & np.isfinite(values))
    return wrong


def spike(values: Values) -> Mask:
    """Single readings that are further from both neighbours, to the same side, than `SPIKE_SIGMAS` deviations of the
    steps: those of the whole series, or of the surroundings where they are larger. A reading's own two steps don't count."""
    found = np.zeros(len(values), np.bool_)
    if len(values) < 2 * SPIKE_WINDOW:
        return found
    steps = np.diff(values)
    before, after = steps[:-1], -steps[1:]
    distance = np.where(before * after > 0, np.minimum(np.abs(before), np.abs(after)), 0.0)
    squares = steps * steps
    own, total = squares[:-1] + squares[1:], float(squares.sum())
    least = SPIKE_SIGMAS**2 * (total - float(own.max())) / len(steps)
    for place in np.flatnonzero(distance * distance > least):
        near = squares[max(place - SPIKE_WINDOW, 0) : place + 2 + SPIKE_WINDOW]
        variance = max((total - own[place]) / (len(steps) - 2), (near.sum() - own[place]) / (len(near) - 2))
        limit = SPIKE_SIGMAS * np.sqrt(max(variance, 0.0)) + 1e-9 * np.abs(values[place + 1])
        found[place + 1] = distance[place] > limit
    return found


def time_back(times: Times) -> Mask:
    """Readings stamped before one that came earlier."""
    found = np.zeros(len(times), np.bool_)
    found[1:] = times[1:] < np.maximum.accumulate(times)[:-1]
    return found


def time_repeated(times: Times) -> Mask:
    """Readings stamped as the newest that came earlier."""
    found = np.zeros(len(times), np.bool_)
    found[1:] = times[1:] == np.maximum.accumulate(times)[:-1]
    return found


def dark(irradiance: Values) -> Mask:
    """Slots in which the sun is down, with `irradiance` (W/m2) that of a clear sky at their starts, but for twilight."""
    is_up = (irradiance > 0).astype(np.int64)
    near = np.convolve(is_up, np.ones(2 * TWILIGHT_SLOTS + 1, np.int64), "full")
    found: Mask = near[TWILIGHT_SLOTS : TWILIGHT_SLOTS + len(is_up)] == 0
    return found


def counter_back(times: Times, values: Values, drift: float) -> Mask:
    """Readings of a counter below the one before by more than `drift` (its unit per hour)."""
    found = np.zeros(len(values), np.bool_)
    allowed = drift * np.diff(times) / HOUR_MS + 1e-9 * np.abs(values[:-1])
    found[1:] = np.diff(values) < -allowed
    return found


def unbalanced(sources: Values, uses: Values) -> Mask:
    """Slots of `BALANCE_SLOTS` or more in a row in which sources and uses (kW, series by slots, NaN for no value) differ by
    more than `BALANCE_KW` and `BALANCE_SHARE` of the larger sum. A slot without one of the values is not judged."""
    came, went = sources.sum(axis=0), uses.sum(axis=0)
    allowed = np.maximum(BALANCE_KW, BALANCE_SHARE * np.maximum(np.abs(came), np.abs(went)))
    differs: Mask = np.asarray(np.abs(came - went) > allowed)
    first = starts_of_runs(differs.astype(np.int64))
    lengths = np.diff(first, append=len(differs))
    return np.repeat(differs[first] & (lengths >= BALANCE_SLOTS), lengths)


def appeared(present: Mask, known: Mask) -> Mask:
    """`present`: fields by slots. `known`: fields that the device had before. The first slot of each field it had not."""
    found = np.zeros_like(present)
    fresh = np.flatnonzero(~known & present.any(axis=1))
    found[fresh, present[fresh].argmax(axis=1)] = True
    return found


def vanished(present: Mask, known: Mask) -> Mask:
    """As `appeared`: the slots in which the device delivered after the last value of each field that it had, where they
    are `VANISHED_SLOTS` or more."""
    delivers: Mask = np.logical_or.reduce(present, axis=0)
    slots = np.arange(present.shape[1])
    last = np.where(present.any(axis=1), present.shape[1] - 1 - present[:, ::-1].argmax(axis=1), -1)
    until = np.where(last >= 0, np.cumsum(delivers)[last], 0)
    is_usual = np.where(last >= 0, present.sum(axis=1) >= USUAL_SHARE * until, known)
    after = delivers[None, :] & (slots[None, :] > last[:, None]) & is_usual[:, None]
    found: Mask = after & (after.sum(axis=1, keepdims=True) >= VANISHED_SLOTS)
    return found
