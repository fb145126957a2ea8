"""All checks of a range, as bits: those of a series, and those of what several series say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmp_console.quality import checks
from sgmp_console.quality.bits import Quality
from sgmp_console.quality.expectations import Expectation
from sgmp_console.timeseries import SLOT_MS, starts_of_runs

Bits = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class SeriesQuality:
    """`readings`: the bits of each reading, as they came. `slots`: those of each slot of the range: of its readings, and
    `MISSING`."""

    readings: Bits
    slots: Bits


def check_series(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    expectation: Expectation,
    start_ms: int,
    end_ms: int,
    interval_ms: int,
    *,
    irradiance: NDArray[np.float64] | None = None,
) -> SeriesQuality:
    """Of readings in the order of arrival (UTC ms, the unit of the expectation) that should come each `interval_ms`.

    The range begins and ends on slots. `irradiance`: of a clear sky at the start of each slot, W/m2 (of the sun's series; None
    where the place is not known). A reading that is stamped out of order is judged by its stamp alone.
    """
    slots = np.zeros((end_ms - start_ms) // SLOT_MS, np.uint16)
    readings = np.zeros(len(times), np.uint16)
    _mark(slots, checks.missing(times, start_ms, len(slots), interval_ms), Quality.MISSING)
    if not len(times):
        return SeriesQuality(readings, slots)
    back, repeated = checks.time_back(times), checks.time_repeated(times)
    out_of_order = back | repeated
    if out_of_order.any():
        _mark(readings, back, Quality.TIME_BACK)
        _mark(readings, repeated, Quality.TIME_REPEATED)
        kept = ~out_of_order
        readings[kept] |= _of_values(times[kept], values[kept], expectation, start_ms, irradiance)
        order = np.argsort(times, kind="stable")
    else:
        readings |= _of_values(times, values, expectation, start_ms, irradiance)
        order = np.arange(len(times))
    places = (times[order] - start_ms) // SLOT_MS
    inside = (places >= 0) & (places < len(slots))
    places, bits = places[inside], readings[order][inside]
    if len(places):
        first = starts_of_runs(places)
        slots[places[first]] |= np.bitwise_or.reduceat(bits, first)
    return SeriesQuality(readings, slots)


def _mark(bits: Bits, wrong: NDArray[np.bool_], quality: Quality) -> None:
    bits[wrong] |= np.uint16(quality)


def _of_values(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    expectation: Expectation,
    start_ms: int,
    irradiance: NDArray[np.float64] | None,
) -> Bits:
    bits = np.zeros(len(times), np.uint16)
    impossible = checks.out_of_range(values, expectation.low, expectation.high)
    if impossible.any():
        _mark(bits, impossible, Quality.OUT_OF_RANGE)
        kept = ~impossible
        # The rest is judged as if it had not come: one absurd value would hide spikes of a usual size.
        bits[kept] = _of_values(times[kept], values[kept], expectation, start_ms, irradiance)
        return bits
    if not len(values):
        return bits
    if expectation.stuck_ms is not None:
        _mark(bits, checks.stuck(times, values, expectation.stuck_ms), Quality.STUCK)
    if expectation.has_spikes:
        _mark(bits, checks.spike(values), Quality.SPIKE)
    _mark(bits, values < expectation.least, Quality.WRONG_SIGN)
    if expectation.drift is not None:
        _mark(bits, checks.counter_back(times, values, expectation.drift), Quality.COUNTER_BACK)
    if expectation.at_night is not None and irradiance is not None and len(irradiance):
        places = np.clip((times - start_ms) // SLOT_MS, 0, len(irradiance) - 1)
        _mark(bits, checks.dark(irradiance)[places] & (values > expectation.at_night), Quality.SUN_AT_NIGHT)
    return bits


def check_balance(sources: NDArray[np.float64], uses: NDArray[np.float64]) -> Bits:
    """Of a house: the bits of each slot. Slot means in kW, series by slots, NaN for a slot without a value."""
    return np.where(checks.unbalanced(sources, uses), Quality.UNBALANCED, 0).astype(np.uint16)


def check_fields(present: NDArray[np.bool_], known: NDArray[np.bool_]) -> Bits:
    """Of a device: the bits of each field and slot. `present`: whether the field has a value in the slot; `known`: whether
    the device had the field before the range."""
    gone = np.where(checks.vanished(present, known), Quality.FIELD_VANISHED, 0)
    fresh = np.where(checks.appeared(present, known), Quality.FIELD_APPEARED, 0)
    return (gone | fresh).astype(np.uint16)


def counts(bits: Bits) -> Mapping[Quality, int]:
    """How many have each bit; those that none has are left out."""
    return {bit: found for bit in Quality if (found := int(np.count_nonzero(bits & bit)))}
