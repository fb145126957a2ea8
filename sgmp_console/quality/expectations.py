"""What may be expected of a series, by what it measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_MINUTE_MS = 60_000


class Meaning(StrEnum):
    """What a series measures, in which unit."""

    VOLTAGE = "voltage"
    """V, of a leg to neutral or between legs."""
    FREQUENCY = "frequency"
    """Hz, of the mains."""
    PERCENT = "percent"
    """%, such as a state of charge."""
    POWER = "power"
    """kW, of either sign."""
    REGULATED_POWER = "regulated_power"
    """kW, of what a controller may keep at the same value for hours: batteries, chargers."""
    LOAD_POWER = "load_power"
    """kW, consumption positive."""
    SOLAR_POWER = "solar_power"
    """kW, generation positive."""
    COUNTER = "counter"
    """kWh, counted since some beginning."""
    OTHER = "other"
    """Of which nothing is known but when it should come."""


@dataclass(frozen=True)
class Expectation:
    """`low` and `high`: physical limits, in the unit of the meaning. `stuck_ms`: for how long a value other than 0 may
    stay the same, bit for bit; None: for ever. `least`: what is below is of the wrong sign. `at_night`: what a series of
    the sun may show in the dark; None: of other things. `drift`: how much a counter may go back, per hour; None: not a
    counter."""

    low: float = -math.inf
    high: float = math.inf
    stuck_ms: int | None = None
    has_spikes: bool = False
    least: float = -math.inf
    at_night: float | None = None
    drift: float | None = None


MAX_HOUSE_KW = 100.0
"""Of a house's connection: 400 A at 240 V, the largest that is common, is 96 kW."""

_OFFSET_KW = 0.1
"""What a current transformer without current, or an inverter in standby, may show: of either sign."""

_STANDBY_KW = 0.05
"""What an inverter takes at night. Real counters of solar energy go back by it: by up to 6 W in the recorded fortnight
that the tests read."""

PERCENT_ROUNDING = 0.5
"""What a share may be beyond nothing or the whole: devices round, and compute in floating point."""

EXPECTATIONS: Mapping[Meaning, Expectation] = {
    # From a 100 V leg 20 % low to two 120 V legs or a 230 V phase 20 % high.
    Meaning.VOLTAGE: Expectation(80.0, 290.0, stuck_ms=15 * _MINUTE_MS, has_spikes=True),
    # EN 50160 allows 47 to 52 Hz for an interconnected grid; a generator in island operation may be further off.
    Meaning.FREQUENCY: Expectation(45.0, 66.0, stuck_ms=15 * _MINUTE_MS, has_spikes=True),
    Meaning.PERCENT: Expectation(0.0 - PERCENT_ROUNDING, 100.0 + PERCENT_ROUNDING),
    Meaning.POWER: Expectation(-MAX_HOUSE_KW, MAX_HOUSE_KW, stuck_ms=30 * _MINUTE_MS, has_spikes=True),
    Meaning.REGULATED_POWER: Expectation(-MAX_HOUSE_KW, MAX_HOUSE_KW, has_spikes=True),
    Meaning.LOAD_POWER: Expectation(
        -MAX_HOUSE_KW, MAX_HOUSE_KW, stuck_ms=30 * _MINUTE_MS, has_spikes=True, least=-_OFFSET_KW
    ),
    Meaning.SOLAR_POWER: Expectation(
        -MAX_HOUSE_KW,
        MAX_HOUSE_KW,
        stuck_ms=30 * _MINUTE_MS,
        has_spikes=True,
        least=-_OFFSET_KW,
        at_night=_OFFSET_KW,
    ),
    Meaning.COUNTER: Expectation(drift=_STANDBY_KW),
    Meaning.OTHER: Expectation(),
}
