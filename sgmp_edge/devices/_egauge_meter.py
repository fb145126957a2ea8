"""What an eGauge meter reports, over whichever interface, and what its numbers mean.

A register counts: its counter grows each second by the measured value divided by the quantum of the register's
type. The mean of the measured value between two instants is therefore (difference of counters) x quantum /
(seconds between), exactly, however many seconds were not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Register:
    """One register at one instant. `counter` as counted, `rate` in the type's own unit (W, V, ...)."""

    type: str
    counter: int | None
    rate: float | None


@dataclass(frozen=True)
class Snapshot:
    """All registers at the meter's own time `ts` (seconds). Counters compare only under the same `serial`."""

    serial: str
    ts: float
    registers: Mapping[str, Register]


@dataclass(frozen=True)
class HistoryRow:
    """Counters by register name at `ts`, recorded every `step` seconds; None where one is missing."""

    ts: int
    step: int
    counters: Mapping[str, int | None]


@dataclass(frozen=True)
class History:
    """Recorded counters in the order in which the meter sent them, and the type of each register."""

    types: Mapping[str, str]
    rows: tuple[HistoryRow, ...]


class Meter(Protocol):
    """One way to ask a meter. Raises common.py's DeviceErrors."""

    def snapshot(self) -> Snapshot: ...

    def history(self, start_s: int, end_s: int) -> History:
        """Minute rows from `start_s` to `end_s`, both included."""
        ...

    def close(self) -> None: ...


QUANTA: Mapping[str, float] = {
    "P": 1,
    "S": 1,
    "PQ": 1,
    "var": 1,
    "V": 0.001,
    "I": 0.001,
    "F": 0.001,
    "T": 0.001,
    "THD": 0.001,
    "%": 0.001,
    "a": 0.001,
    "aq": 0.001,
    "m": 0.001,
    "ppm": 0.001,
    "v": 0.001,
    "Qe": 0.001,
    "#3": 0.001,
    "#": 1,
    "Ee": 1,
    "Pa": 1,
    "Q": 1,
    "R": 1,
    "Qv": 1e-9,
    "$": 2.0**-29,
}
"""Value of one count by register type, after the vendor's WebAPI document (`PQ` is the XML name of `var`)."""

KILO = frozenset({"P", "S", "PQ", "var"})
"""Types published in thousands of their unit, as the playbook's formulas have them: kW, kVA, kvar."""

_LIMITS: Mapping[str, tuple[float, float]] = {
    "V": (-100_000, 100_000),
    "I": (-100_000, 100_000),
    "F": (0, 1_000),
    "T": (-273.15, 3_000),
    "h": (-1, 110),
}


_STEADY = {"V": 0.1, "F": 0.01}
"""Types that hardly change from one poll to the next, and by which share their mean may differ from their rate."""

_NEVER_NEGATIVE = frozenset({"V", "F", "h", "I", "S", "%", "THD"})
"""Types of which a mean below zero is not one, unless the meter itself rates it below zero (direct current)."""

_MAX_TEMPERATURE_STEP = 20.0
"""Degrees Celsius between the mean since the last poll and the last second."""

_CLEAR_FLOW = 50.0
"""W, VA, var: powers below this change their sign without meaning much."""


def count_difference(newer: int, older: int) -> int:
    """How far a signed 64-bit counter went, a wrap-around included."""
    return (newer - older + 2**63) % 2**64 - 2**63


def mean_between(type_: str, newer: int, older: int, seconds: float) -> float | None:
    """The mean in the type's own unit; None for a type whose counts have no known meaning."""
    if type_ == "d":
        # Discrete states can't be averaged, and the meter does not accumulate them.
        return newer
    per_second = count_difference(newer, older) / seconds
    if type_ == "h":
        # The vendor's documents disagree (0.1 or 0.001); only one of them leads to a humidity.
        return per_second * (0.001 if abs(per_second) > 1_000 else 0.1)
    quantum = QUANTA.get(type_)
    return None if quantum is None else per_second * quantum


def mean_since(older: Snapshot, newer: Snapshot, name: str) -> float | None:
    """The mean of a register between two snapshots, in the type's own unit; None if there is none to believe."""
    register, before = newer.registers[name], older.registers.get(name)
    if before is None or register.counter is None or before.counter is None:
        return None
    mean = mean_between(register.type, register.counter, before.counter, newer.ts - older.ts)
    rate = register.rate
    if mean is None:
        return None
    if register.type in _NEVER_NEGATIVE and mean < 0 and (rate is None or rate >= 0):
        return None
    if register.type == "T" and rate is not None and abs(mean - rate) > _MAX_TEMPERATURE_STEP:
        return None
    return mean


def contradict(older: Snapshot, newer: Snapshot) -> bool:
    """Whether the counters contradict the rates, as after a restore from a backup or a set clock.

    Voltages and frequencies show it best. Of powers, a sign other than now of each of them is taken for it; anything
    else can be a load that was switched.
    """
    steady: list[float] = []
    flows: list[float] = []
    for name, register in newer.registers.items():
        before = older.registers.get(name)
        if before is None or register.counter is None or before.counter is None:
            continue
        mean = mean_between(register.type, register.counter, before.counter, newer.ts - older.ts)
        rate = register.rate
        if mean is None:
            continue
        if register.type in _STEADY and rate is not None and rate > 1:
            steady.append(abs(mean / rate - 1) / _STEADY[register.type])
        elif register.type in _STEADY and rate is None:
            steady.append(0.0 if mean >= 0 else 2.0)
        elif register.type == "T" and rate is not None:
            steady.append(abs(mean - rate) / _MAX_TEMPERATURE_STEP)
        elif register.type in KILO and rate is not None and min(abs(mean), abs(rate)) > _CLEAR_FLOW:
            flows.append(mean / rate)
    if steady:
        return sorted(steady)[len(steady) // 2] > 1
    return len(flows) > 1 and max(flows) < -0.5


def published(type_: str, value: float) -> float:
    """A value in the unit in which it is published, to nine digits: more than a meter has, and no long tails."""
    return float(f"{value / 1000 if type_ in KILO else value:.9g}")


def plausible(type_: str, value: float, max_kw: float) -> bool:
    """Whether a published value can be true at all."""
    low, high = (-max_kw, max_kw) if type_ in KILO else _LIMITS.get(type_, (float("-inf"), float("inf")))
    return low <= value <= high
