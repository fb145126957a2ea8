"""Whether a house is wired and configured rightly, by what it recorded over some days. Pure.

All flows are held against each other: grid + solar + battery = load + car, in every slot. Where that does not add up, each
single correction (a sign, a scale, two registers exchanged) is tried, and the one that makes it add up is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sgmp_console.quality import checks
from sgmp_console.quality.expectations import EXPECTATIONS, Meaning
from sgmp_console.timeseries import HOUR_MS, SLOT_MS

Values = NDArray[np.float64]
Flows: TypeAlias = Mapping[str, Values]

FLOWS = ("solar", "grid", "battery", "load", "ev")
"""kW, each as it should be signed: generation, import, discharging, consumption and charging positive."""

NEEDED = ("solar", "grid", "load")
"""A house may do without a battery or a car."""

ADDS_UP = 0.05
"""What may be left over, as a share of all that flows: two meters of class 1, and powers of different instants."""

LEAST_COVERAGE = 0.9
LEAST_SLOTS = 144
"""Half a day with all values, or nothing is said of signs."""

ALIVE_KW = 0.05
"""What never shows more has not been used in these days, or is not connected."""

CLOCK_OFF_MS = 45 * 60_000
CLOCK_SURELY_OFF_MS = 3 * HOUR_MS
"""Panels that face east or west shift the middle of the day by up to two hours; none generate in the dark."""

ZONE_OFF_H = 2.75
"""Clocks differ from the sun by up to two and a half hours with daylight saving time; western China by three."""

_SCALES = (1000.0, 0.001, 2.0, 0.5)
_DAY_SLOTS = 288


class Check(StrEnum):
    """What is looked at."""

    REGISTERS = "registers"
    POLLS = "polls"
    BALANCE = "balance"
    STATE_OF_CHARGE = "state_of_charge"
    MAINS = "mains"
    CLOCK = "clock"
    ZONE = "zone"


class Outcome(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """There is not enough to judge by."""


class Fault(StrEnum):
    """What is wrong."""

    NO_VALUES = "no_values"
    POLLS_MISSING = "polls_missing"
    TURNED = "turned"
    SCALE = "scale"
    EXCHANGED = "exchanged"
    CAR_IN_LOAD = "car_in_load"
    CAR_NOT_IN_LOAD = "car_not_in_load"
    DEAD = "dead"
    UNEXPLAINED = "unexplained"
    OUT_OF_RANGE = "out_of_range"
    LEGS_DIFFER = "legs_differ"
    CLOCK_OFF = "clock_off"
    ZONE_OFF = "zone_off"


@dataclass(frozen=True)
class Verdict:
    """`text`: what was seen. `remedy`: what to do; "" where nothing is wrong. `subjects`: the analytic items it is about."""

    check: Check
    outcome: Outcome
    text: str
    remedy: str = ""
    fault: Fault | None = None
    subjects: tuple[str, ...] = ()


def _percent(share: float, digits: int = 0) -> str:
    return f"{share * 100:.{digits}f} %"


def _wrong(check: Check, fault: Fault, subjects: tuple[str, ...], text: str, remedy: str) -> Verdict:
    return Verdict(check, Outcome.WRONG, text, remedy, fault, subjects)


@dataclass(frozen=True, eq=False)
class Recorded:
    """Slot means, one for each start of a slot (UTC ms), NaN where there is none; an item that is not there is left out.

    `charge` in %, `voltages` in V and `frequency` in Hz by the name of their items. `clear_sky`: W/m2, and `longitude` in degrees
    (east positive), where the place is known. `offset_h`: of the house's zone from UTC, in the middle of the range.
    """

    starts: NDArray[np.int64]
    flows: Flows
    charge: Values | None = None
    voltages: Flows = field(default_factory=dict)
    frequency: Flows = field(default_factory=dict)
    clear_sky: Values | None = None
    longitude: float | None = None
    offset_h: float = 0.0
    load_contains_ev: bool = False


TITLES: Mapping[Check, str] = {
    Check.REGISTERS: "Registers",
    Check.POLLS: "Polls",
    Check.BALANCE: "Energy balance",
    Check.STATE_OF_CHARGE: "State of charge",
    Check.MAINS: "Voltage and frequency",
    Check.CLOCK: "Clock",
    Check.ZONE: "Time zone",
}


def commission(recorded: Recorded) -> list[Verdict]:
    """A verdict of each thing that is looked at; more where more is wrong."""
    balance = _balance(recorded)
    return [
        *_registers(recorded),
        _polls(recorded),
        balance,
        _state_of_charge(recorded),
        *_mains(recorded),
        _clock(recorded, is_solar_right="solar" not in balance.subjects),
        _zone(recorded),
    ]


def _registers(recorded: Recorded) -> Iterator[Verdict]:
    columns = {
        **dict.fromkeys(NEEDED),
        **recorded.flows,
        **({} if recorded.charge is None else {"soc": recorded.charge}),
        **recorded.voltages,
        **recorded.frequency,
    }
    empty = [name for name, values in columns.items() if values is None or not np.isfinite(values).any()]
    if not empty:
        yield Verdict(Check.REGISTERS, Outcome.RIGHT, "All items have values.")
    for name in empty:
        yield _wrong(
            Check.REGISTERS,
            Fault.NO_VALUES,
            (name,),
            f"{name} has no value.",
            "Check the register's name in the device's configuration, and the item's formula.",
        )


def _polls(recorded: Recorded) -> Verdict:
    shares = {
        name: float(np.isfinite(values).mean())
        for name, values in recorded.flows.items()
        if np.isfinite(values).any()
    }
    if not shares:
        return Verdict(Check.POLLS, Outcome.UNKNOWN, "There are no values.")
    rare = tuple(name for name, share in shares.items() if share < LEAST_COVERAGE)
    if rare:
        return _wrong(
            Check.POLLS,
            Fault.POLLS_MISSING,
            rare,
            f"{', '.join(rare)}: values in only {_percent(min(shares[name] for name in rare))} of the time.",
            "Check the interval of the device and its network.",
        )
    return Verdict(
        Check.POLLS, Outcome.RIGHT, f"Values in {_percent(min(shares.values()), 1)} of the time or more."
    )


@dataclass(frozen=True)
class _Correction:
    fault: Fault
    subjects: tuple[str, ...]
    condition: str
    remedy: str
    apply: Callable[[Flows], Flows]
    car_in_load: bool


def _balance(recorded: Recorded) -> Verdict:
    missing = [name for name in NEEDED if name not in recorded.flows]
    if missing:
        return Verdict(Check.BALANCE, Outcome.UNKNOWN, f"Not known without {', '.join(missing)}.")
    names = [name for name in FLOWS if name in recorded.flows]
    rows = np.stack([recorded.flows[name] for name in names])
    whole = np.isfinite(rows).all(axis=0)
    if np.count_nonzero(whole) < LEAST_SLOTS:
        text = "There are not twelve hours in which all of them have values."
        return Verdict(Check.BALANCE, Outcome.UNKNOWN, text)
    flows = dict(zip(names, rows[:, whole], strict=True))
    in_load = recorded.load_contains_ev
    left = _left_over(flows, car_in_load=in_load)
    negative = [
        name
        for name in ("solar", "load", "ev")
        if name in flows
        and float(flows[name].sum()) < -0.5 * float(np.abs(flows[name]).sum())
        and float(flows[name].min()) < -ALIVE_KW
    ]
    if left <= ADDS_UP and not negative:
        return Verdict(Check.BALANCE, Outcome.RIGHT, f"Sources and uses differ by {_percent(left, 1)}.")
    # The simplest explanation first: a later kind is looked at where no earlier one makes the flows add up.
    for corrections in _corrections(flows, in_load, negative):
        if not corrections:
            continue
        results = [_left_over(each.apply(flows), car_in_load=each.car_in_load) for each in corrections]
        best = min(results)
        if best <= ADDS_UP and (best < left / 2 or negative):
            chosen = corrections[results.index(best)]
            text = f"Sources and uses differ by {_percent(left)}, and by {_percent(best, 1)} if {chosen.condition}."
            return _wrong(Check.BALANCE, chosen.fault, chosen.subjects, text, chosen.remedy)
    dead = tuple(name for name in NEEDED if float(np.abs(flows[name]).max()) <= ALIVE_KW)
    if dead:
        return _wrong(
            Check.BALANCE,
            Fault.DEAD,
            dead,
            f"Sources and uses differ by {_percent(left)}, and {', '.join(dead)} never shows anything.",
            "If its formula takes positive values only, turn its current transformer round; else check that it is connected.",
        )
    return _wrong(
        Check.BALANCE,
        Fault.UNEXPLAINED,
        (),
        f"Sources and uses differ by {_percent(left)}, and no single correction explains it.",
        "Check each register and its current transformer.",
    )


def _left_over(flows: Flows, *, car_in_load: bool) -> float:
    """The share of all that flows."""

    def flow(name: str) -> Values | float:
        return flows.get(name, 0.0)

    ev = 0.0 if car_in_load else flow("ev")
    residual = flow("grid") + flow("solar") + flow("battery") - flow("load") - ev
    turnover = sum(float(np.abs(values).sum()) for values in flows.values()) / 2
    return float(np.abs(residual).sum()) / turnover if turnover else 0.0


def _corrections(flows: Flows, in_load: bool, negative: Sequence[str]) -> Iterator[list[_Correction]]:
    names = list(flows)

    def multiplied(chosen: Sequence[str], factor: float) -> Callable[[Flows], Flows]:
        return lambda flows: {
            name: values * factor if name in chosen else values for name, values in flows.items()
        }

    def exchanged(first: str, second: str) -> Callable[[Flows], Flows]:
        return lambda flows: {**flows, first: flows[second], second: flows[first]}

    def turned(chosen: tuple[str, ...]) -> _Correction:
        verb = "has its" if len(chosen) == 1 else "have their"
        return _Correction(
            Fault.TURNED,
            chosen,
            f"{' and '.join(chosen)} {verb} sign turned round",
            f"Turn the current transformer of {' and of '.join(chosen)} round, or change the sign in the formula.",
            multiplied(chosen, -1.0),
            in_load,
        )

    if in_load:
        condition, fault = "the load does not contain the car", Fault.CAR_NOT_IN_LOAD
    else:
        condition, fault = "the load contains the car", Fault.CAR_IN_LOAD
    remedy = "Change the setting “Car in the load” of the house."
    if negative:
        yield [turned(tuple(negative))]
    yield [turned((name,)) for name in names]
    if "ev" in flows:
        yield [_Correction(fault, ("load",), condition, remedy, dict, not in_load)]
    yield [
        _Correction(
            Fault.SCALE,
            (name,),
            f"{name} is multiplied by {factor:g}",
            "Check its unit, the ratio of its current transformer, and that each leg is counted once.",
            multiplied((name,), factor),
            in_load,
        )
        for name in names
        for factor in _SCALES
    ]
    yield [
        _Correction(
            Fault.EXCHANGED,
            pair,
            f"{pair[0]} and {pair[1]} are exchanged",
            "Check the names of the two registers, and which current transformer is where.",
            exchanged(*pair),
            in_load,
        )
        for pair in combinations(names, 2)
    ]
    yield [turned(pair) for pair in combinations(names, 2)]


def _state_of_charge(recorded: Recorded) -> Verdict:
    check, battery, charge = Check.STATE_OF_CHARGE, recorded.flows.get("battery"), recorded.charge
    if battery is None or charge is None:
        return Verdict(check, Outcome.UNKNOWN, "There is no battery power, or no state of charge.")
    change = np.diff(charge)
    power = (battery[1:] + battery[:-1]) / 2
    known = np.isfinite(change) & np.isfinite(power) & (np.abs(power) > ALIVE_KW)
    if np.count_nonzero(known) < 12:
        return Verdict(check, Outcome.UNKNOWN, "The battery was not used for an hour.")
    low, high = float(np.nanmin(charge)), float(np.nanmax(charge))
    percent = EXPECTATIONS[Meaning.PERCENT]
    if low < percent.low or high > percent.high or high <= 1:
        text = f"soc lies between {low:g} and {high:g}: it should be a percentage."
        return _wrong(check, Fault.OUT_OF_RANGE, ("soc",), text, "Check its register and unit.")
    moved = power[known] * change[known]
    if float(moved.sum()) > 0:
        text = "The state of charge rises while the battery discharges."
        return _wrong(check, Fault.TURNED, ("battery",), text, "Change the sign of battery in its formula.")
    return Verdict(check, Outcome.RIGHT, "The state of charge falls while the battery discharges.")


def _mains(recorded: Recorded) -> Iterator[Verdict]:
    medians = {
        name: (meaning, float(np.nanmedian(values)))
        for meaning, columns in (
            (Meaning.VOLTAGE, recorded.voltages),
            (Meaning.FREQUENCY, recorded.frequency),
        )
        for name, values in columns.items()
        if np.isfinite(values).any()
    }
    if not medians:
        yield Verdict(Check.MAINS, Outcome.UNKNOWN, "There is no voltage and no frequency.")
        return
    wrong = [
        name
        for name, (meaning, value) in medians.items()
        if not EXPECTATIONS[meaning].low <= value <= EXPECTATIONS[meaning].high
    ]
    for name in wrong:
        yield _wrong(
            Check.MAINS,
            Fault.OUT_OF_RANGE,
            (name,),
            f"{name} is {medians[name][1]:g}: that is not of mains.",
            "Check its unit, and that it is not exchanged with another register.",
        )
    legs = {name: value for name, (meaning, value) in medians.items() if meaning is Meaning.VOLTAGE}
    if not wrong and len(legs) > 1 and max(legs.values()) > 1.1 * min(legs.values()):
        shown = ", ".join(f"{name} {value:.0f} V" for name, value in legs.items())
        yield _wrong(
            Check.MAINS,
            Fault.LEGS_DIFFER,
            tuple(legs),
            f"The legs differ: {shown}.",
            "One of them is measured between two legs, or its register is another one.",
        )
    elif not wrong:
        yield Verdict(Check.MAINS, Outcome.RIGHT, "Voltages and frequency are those of mains.")


def _by_time_of_day(starts: NDArray[np.int64], values: Values) -> Values:
    """The largest value at each slot of a day of UTC: what a clear day looks like."""
    places = starts // SLOT_MS % _DAY_SLOTS
    largest = np.zeros(_DAY_SLOTS)
    np.maximum.at(largest, places, np.nan_to_num(values))
    return largest


def _clock(recorded: Recorded, *, is_solar_right: bool) -> Verdict:
    solar, sky = recorded.flows.get("solar"), recorded.clear_sky
    if sky is None:
        text = "The place of the house is not known (page Houses, Edit)."
        return Verdict(Check.CLOCK, Outcome.UNKNOWN, text)
    if solar is None or not is_solar_right or not np.nanmax(solar, initial=0.0) > 10 * ALIVE_KW:
        return Verdict(Check.CLOCK, Outcome.UNKNOWN, "There was no sun to tell the time by.")
    seen = _by_time_of_day(recorded.starts, solar)
    expected = _by_time_of_day(recorded.starts, sky)
    fits = [float(np.dot(np.roll(expected, shift), seen)) for shift in range(_DAY_SLOTS)]
    shift = int(np.argmax(fits))
    off_ms = (shift if shift <= _DAY_SLOTS // 2 else shift - _DAY_SLOTS) * SLOT_MS
    generated = np.nan_to_num(np.maximum(solar, 0.0))
    at_night = float(generated[checks.dark(sky)].sum()) / float(generated.sum())
    if abs(off_ms) >= CLOCK_SURELY_OFF_MS or (abs(off_ms) >= CLOCK_OFF_MS and at_night > 0.0002):
        return _wrong(
            Check.CLOCK,
            Fault.CLOCK_OFF,
            ("solar",),
            f"The sun is seen {abs(off_ms) / HOUR_MS:.1f} h {'late' if off_ms > 0 else 'early'}.",
            "Set the clock of the edge, or correct the place of the house.",
        )
    return Verdict(Check.CLOCK, Outcome.RIGHT, "The sun is seen when it should be.")


def _zone(recorded: Recorded) -> Verdict:
    if recorded.longitude is None:
        return Verdict(
            Check.ZONE, Outcome.UNKNOWN, "The place of the house is not known (page Houses, Edit)."
        )
    off_h = (recorded.offset_h - recorded.longitude / 15 + 12) % 24 - 12
    if abs(off_h) > ZONE_OFF_H:
        text = f"By the clock of the house the sun is highest at {(12 + off_h) % 24:.0f}:00."
        return _wrong(
            Check.ZONE, Fault.ZONE_OFF, (), text, "Correct the time zone or the place of the house."
        )
    return Verdict(Check.ZONE, Outcome.RIGHT, "The time zone fits the place.")
