"""The checks of quality of a house's day, of all its series together: bits of each slot, and what an operator should know. Pure.

What a field measures is known by the analytic items that read it: of a field that no item reads, only its times are judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sgmp_console.formula import (
    DeviceIdentifier,
    FormulaError,
    ItemGraph,
    inlined,
    parse,
)
from sgmp_console.quality import (
    EXPECTATIONS,
    Meaning,
    Quality,
    check_balance,
    check_fields,
    check_series,
)
from sgmp_console.store import Place
from sgmp_console.timeseries import SLOT_MS, Series, slot_means, starts_of_runs
from sgmp_console.timeseries.clear_sky import irradiance

Bits = NDArray[np.uint16]
FieldKey = tuple[str, str]

_MEANINGS: Mapping[str, Meaning] = {
    "solar": Meaning.SOLAR_POWER,
    "load": Meaning.LOAD_POWER,
    "gridpower": Meaning.POWER,
    "grid_import": Meaning.POWER,
    "grid_export": Meaning.POWER,
    "battery": Meaning.REGULATED_POWER,
    "battery_charging": Meaning.REGULATED_POWER,
    "battery_discharging": Meaning.REGULATED_POWER,
    "ev": Meaning.REGULATED_POWER,
    "soc": Meaning.PERCENT,
    "l1_voltage": Meaning.VOLTAGE,
    "l2_voltage": Meaning.VOLTAGE,
    "l1_frequency": Meaning.FREQUENCY,
}
"""What the required items are (playbook), in the unit that the meaning has."""

_SOURCES, _USES = ("solar", "gridpower", "battery"), ("load", "ev")
_NEEDED = ("solar", "gridpower", "load")
"""Without these nothing can be said of a house's balance; one without a battery or a car has none."""

_RHYTHM_SHARE = 0.25
"""So many of a device's readings follow one another as quickly as it is polled, whatever was lost of the others."""

_LEAST_INTERVAL_MS, _MOST_INTERVAL_MS = 1_000, 3_600_000

_USUAL_SHARE = 0.9
"""A field that is there in fewer of its device's slots comes and goes by nature: it isn't missing."""

FAULT_SLOTS: Mapping[Quality, int] = {
    Quality.MISSING: 12,
    Quality.STUCK: 3,
    Quality.OUT_OF_RANGE: 3,
    Quality.SPIKE: 12,
    Quality.SUN_AT_NIGHT: 3,
    Quality.WRONG_SIGN: 3,
    Quality.UNBALANCED: 12,
    Quality.COUNTER_BACK: 1,
    Quality.FIELD_VANISHED: 12,
}
"""In how many slots of a day a device must have a bit for an operator to hear of it. MISSING: without any reading."""

_MAX_FIELDS = 5
_MAX_NAME = 100
MAX_FAULTS = 200
"""Of a house: each is less than a kilobyte, and is stored with its day."""


@dataclass(frozen=True)
class CheckedField:
    """`unit`: "" where it is not known. `recent`: it came within the week before; `expected`: up to the day's start, or it has
    been missing since it did."""

    series_id: int
    device: str
    name: str
    unit: str
    recent: bool
    expected: bool

    @property
    def key(self) -> FieldKey:
        return self.device, self.name


@dataclass(frozen=True, eq=False)
class HouseDay:
    """[start_ms, end_ms), whole slots. `readings` by series. `items`: the formulas of the house by name."""

    start_ms: int
    end_ms: int
    fields: Sequence[CheckedField]
    readings: Mapping[int, Series]
    items: Mapping[str, str]
    place: Place | None = None
    load_contains_ev: bool = False


@dataclass(frozen=True)
class Fault:
    """What an operator should know of a device, or of the house's balance (`device` empty): of `fields` (the first few), in so
    many slots, from the first to the last."""

    device: str
    kind: Quality
    fields: tuple[str, ...]
    slots: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, eq=False)
class HouseQuality:
    """`bits` of each slot by series, of those that have any; `balance`: those of the house.

    `slots` were judged, of all series; `flagged` of them have a bit, `counts` have each. Of the devices `silent` ("": the balance)
    nothing came that could be judged.
    """

    bits: Mapping[int, Bits] = field(default_factory=dict)
    balance: Bits = field(default_factory=lambda: np.empty(0, np.uint16))
    slots: int = 0
    flagged: int = 0
    counts: Mapping[Quality, int] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    silent: Sequence[str] = ()


def check_house(day: HouseDay) -> HouseQuality:
    """All checks of a day."""
    count = (day.end_ms - day.start_ms) // SLOT_MS
    meanings = meanings_of(day.items)
    starts = day.start_ms + SLOT_MS * np.arange(count, dtype=np.int64)
    sky = None if day.place is None else irradiance(starts, day.place.latitude, day.place.longitude)
    bits: dict[int, Bits] = {}
    judged, flagged, counts = 0, 0, Counter[Quality]()
    faults: list[Fault] = []
    silent: list[str] = []
    devices: dict[str, list[CheckedField]] = {}
    for one in day.fields:
        if one.recent or len(day.readings.get(one.series_id, ())):
            devices.setdefault(one.device, []).append(one)
    for device, fields in devices.items():
        of_device = _check_device(day, fields, meanings, sky, count)
        for (one, first), row in zip(of_device.judged, of_device.bits, strict=True):
            judged += count - first
            if row.any():
                bits[one.series_id] = row
                flagged += int(np.count_nonzero(row & ~np.uint16(Quality.FIELD_APPEARED)))
                counts.update(_counted(row))
        faults += _faults_of(device, of_device, day.start_ms)
        if not of_device.present.any():
            silent.append(device)
    balance = _balance(day, count)
    if balance is None:
        silent.append("")
        balance = np.zeros(count, np.uint16)
    elif balance.any():
        counts.update(_counted(balance))
        faults += _fault("", Quality.UNBALANCED, [("", balance != 0)], day.start_ms)
    return HouseQuality(bits, balance, judged, flagged, counts, faults[:MAX_FAULTS], silent)


def _counted(row: Bits) -> dict[Quality, int]:
    return {
        quality: found
        for quality in Quality
        if (found := int(np.count_nonzero(row & np.uint16(quality))))
        and quality is not Quality.FIELD_APPEARED
    }


# --- What fields measure ----------------------------------------------------------------------------------------------


def meanings_of(items: Mapping[str, str]) -> dict[FieldKey, tuple[Meaning, float]]:
    """What the fields that the items read measure, and the factor that brings a reading to the unit and the sign of that.

    A field is what an item is that reads it alone. Several that are added up, as the sun of two roofs, are each the same; those
    that are subtracted from one another are not.
    """
    alone: dict[FieldKey, tuple[Meaning, float]] = {}
    added: dict[FieldKey, tuple[Meaning, float]] = {}
    for name, meaning in _MEANINGS.items():
        terms = _terms(name, items)
        if len({factor > 0 for factor in terms.values()}) == 1:
            for key, factor in terms.items():
                (alone if len(terms) == 1 else added).setdefault(key, (meaning, factor))
    return {**added, **alone}


def _terms(name: str, items: Mapping[str, str]) -> dict[FieldKey, float]:
    """The fields that an item adds up, each with its factor; none where it does something else with them."""
    if name not in items:
        return {}
    try:
        formula = inlined(parse(items[name]), items)
    except FormulaError:
        return {}
    form = formula.linear
    if form is None or form.constant:
        return {}
    identifiers = {reference.text: reference.identifier for reference in formula.references}
    terms: dict[FieldKey, float] = {}
    for text, term in form.terms.items():
        identifier = identifiers.get(text)
        factor = float(term.positive or term.negative)
        if not isinstance(identifier, DeviceIdentifier) or not factor:
            return {}
        terms[identifier.device, identifier.field] = factor
    return terms


# --- A device ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Device:
    """`judged`: its fields, each with the first slot in which it could be there. `bits`: of each of these, by slots.
    `present`: whether anything came of the device, by slots; `first`: the first slot in which it could have."""

    judged: Sequence[tuple[CheckedField, int]]
    bits: NDArray[np.uint16]
    present: NDArray[np.bool_]
    first: int


def _check_device(
    day: HouseDay,
    fields: Sequence[CheckedField],
    meanings: Mapping[FieldKey, tuple[Meaning, float]],
    sky: NDArray[np.float64] | None,
    count: int,
) -> _Device:
    series = [day.readings.get(one.series_id, Series.empty()) for one in fields]
    each_present = np.zeros((len(fields), count), np.bool_)
    for row, readings in zip(each_present, series, strict=True):
        row[(readings.timestamps - day.start_ms) // SLOT_MS] = True
    present: NDArray[np.bool_] = np.logical_or.reduce(each_present, axis=0)
    recent = np.array([one.recent for one in fields], np.bool_)
    expected = np.array([one.expected for one in fields], np.bool_)
    bits = check_fields(each_present, expected) & np.uint16(Quality.FIELD_VANISHED)
    if recent.any():  # all fields of a new device are new
        bits |= check_fields(each_present, recent) & np.uint16(Quality.FIELD_APPEARED)
    interval_ms = _interval_ms(series)
    firsts = np.where(recent, 0, each_present.argmax(axis=1))
    for number, (one, readings) in enumerate(zip(fields, series, strict=True)):
        first = int(firsts[number])
        meaning, factor = meanings.get(
            one.key, (Meaning.COUNTER if one.unit == "kWh" else Meaning.OTHER, 1.0)
        )
        own = check_series(
            readings.timestamps,
            readings.values if factor == 1.0 else readings.values * factor,
            EXPECTATIONS[meaning],
            day.start_ms,
            day.end_ms,
            interval_ms,
            irradiance=sky,
        ).slots
        lost = (own & np.uint16(Quality.MISSING)) != 0
        lost[:first] = False
        if each_present[number].sum() < _USUAL_SHARE * present[first:].sum():
            lost &= ~present
        bits[number] |= np.where(lost, own, own & ~np.uint16(Quality.MISSING))
    first = 0 if recent.any() else int(present.argmax())
    judged = [(one, int(at)) for one, at in zip(fields, firsts, strict=True)]
    return _Device(judged, bits, present, first)


def _interval_ms(series: Iterable[Series]) -> int:
    """How often the device was polled on the day, by its busiest field. The configuration may have changed since."""
    busiest = max(series, key=len)
    if len(busiest) < 2:
        return SLOT_MS
    steps = np.diff(busiest.timestamps)
    interval = int(np.quantile(steps, _RHYTHM_SHARE, method="lower"))
    return min(max(interval, _LEAST_INTERVAL_MS), _MOST_INTERVAL_MS)


def _faults_of(device: str, checked: _Device, start_ms: int) -> list[Fault]:
    found: list[Fault] = []
    names = [one.name for one, _ in checked.judged]
    for kind in FAULT_SLOTS:
        if kind is Quality.MISSING:
            silent = (checked.bits & np.uint16(kind)).any(axis=0) & ~checked.present
            silent[: checked.first] = False
            found += _fault(device, kind, [("", silent)], start_ms)
        else:
            rows = (checked.bits & np.uint16(kind)) != 0
            found += _fault(device, kind, zip(names, rows, strict=True), start_ms)
    return found


def _fault(
    device: str, kind: Quality, rows: Iterable[tuple[str, NDArray[np.bool_]]], start_ms: int
) -> list[Fault]:
    """One, if any of the fields has the bit often enough."""
    wrong = [(name, row) for name, row in rows if np.count_nonzero(row) >= FAULT_SLOTS[kind]]
    if not wrong:
        return []
    slots = np.logical_or.reduce([row for _, row in wrong], axis=0)
    at = np.flatnonzero(slots)
    fields = tuple(name[:_MAX_NAME] for name, _ in wrong[:_MAX_FIELDS] if name)
    first_ms, last_ms = (start_ms + int(one) * SLOT_MS for one in (at[0], at[-1] + 1))
    return [Fault(device, kind, fields, len(at), first_ms, last_ms)]


# --- The balance ------------------------------------------------------------------------------------------------------


def _balance(day: HouseDay, count: int) -> Bits | None:
    """Of the house; None where it never has values of all that it needs. One without the items adds up."""
    present = [name for name in (*_SOURCES, *_USES) if name in day.items]
    graph = ItemGraph(day.items, present)
    if not set(_NEEDED) <= set(present) or graph.events or any(graph.step(name) is None for name in present):
        return np.zeros(count, np.uint16)
    ids = {one.key: one.series_id for one in day.fields}
    read = {
        identifier: day.readings.get(ids.get((identifier.device, identifier.field), 0), Series.empty())
        for identifier in graph.fields
    }
    values = graph.evaluate(dict(read.items()))

    def means(name: str) -> NDArray[np.float64]:
        row = np.full(count, np.nan)
        slots = slot_means(values[name], day.start_ms, day.end_ms)
        row[(slots.starts - day.start_ms) // SLOT_MS] = slots.means
        return row

    sources = np.stack([means(name) for name in _SOURCES if name in present])
    uses = np.stack(
        [means(name) for name in _USES if name in present and not (name == "ev" and day.load_contains_ev)]
    )
    if not np.isfinite(np.concatenate([sources, uses])).all(axis=0).any():
        return None
    return check_balance(sources, uses)


# --- Runs -------------------------------------------------------------------------------------------------------------


def runs_of(bits: Bits, start_ms: int) -> list[tuple[int, int, int]]:
    """Neighbouring slots with the same bits: from, to (UTC ms), bits; those without any are left out."""
    if not bits.any():
        return []
    first = starts_of_runs(bits.astype(np.int64))
    ends = np.append(first[1:], len(bits))
    return [
        (start_ms + int(start) * SLOT_MS, start_ms + int(end) * SLOT_MS, int(bits[start]))
        for start, end in zip(first, ends, strict=True)
        if bits[start]
    ]
