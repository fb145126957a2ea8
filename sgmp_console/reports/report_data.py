"""What reports are made of: items over a period, their balance, charging sessions, findings and notes.

`ReportData` reads each item once. All numbers come from `ItemReader`, so they are those of every other view: a mean is
that of the covered slots, an energy the sum of their means / 12, an extreme that of the raw values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.formula import FormulaError, energy_refusal, inlined, parse
from sgmp_console.reports.balance import BALANCE_ITEMS, Balance, ledger_from_ms, weekly_balance, without_car
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.item_source import Source, combined
from sgmp_console.reports.item_values import ItemUnreadable
from sgmp_console.reports.periods import Period
from sgmp_console.reports.polls import Polls, polling_intervals, polls
from sgmp_console.reports.sessions import LOOK_BACK_MS, Session, StationPower, paired, with_powers, with_split
from sgmp_console.reports.steps import Steps, hour_grids, joined, series_without_car
from sgmp_console.reports.time_marks import TimeMark, marks_between, of_devices
from sgmp_console.store import AnalyticItem, House, events, findings, notes, readings
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, SlotMeans, calendar, snap
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

_STATION_POWER = "power"
"""The field of a charging station with its power, kW."""

_MAX_FINDINGS = 2000
"""Of those that ended since a period began, the newest are read."""

LOAD_WITHOUT_EV = "load without ev"
"""In place of an item's name: the load with the car taken off, slot by slot. Not an identifier, so no item is called so."""


@dataclass(eq=False)
class ReportData:
    """What one report of `house` is made of, each thing read once, over [period.start_ms, passed_ms), within one transaction."""

    connection: sa.Connection
    house: House
    period: Period
    now_ms: int
    in_hours: bool = False
    """Also where the period is shown in slots."""
    also: tuple[AnalyticItem, ...] = ()
    """Items that the house does not have, and this report is about."""

    def __post_init__(self) -> None:
        self.step_ms = HOUR_MS if self.in_hours else self.period.step_ms
        self.missing: dict[str, None] = {}
        self.problems: dict[str, str] = {}
        """By item, why it can't be evaluated."""
        self._steps: dict[str, Steps | None] = {}
        self._polls_known: dict[str, Polls | None] = {}
        self._raw: dict[str, Series] = {}
        self.balance_source: Source | None = None

    @cached_property
    def reader(self) -> ItemReader:
        return ItemReader(self.connection, self.house.house_id, self.also)

    @cached_property
    def passed_ms(self) -> int:
        return self.period.passed_ms(self.now_ms)

    @property
    def slots(self) -> int:
        """The slots of the period that have passed."""
        return (self.passed_ms - self.period.start_ms) // SLOT_MS

    def item(self, name: str) -> AnalyticItem | None:
        """None, and noted as missing, where the house does not have it."""
        found = self.reader.items.get(name)
        if found is None:
            self.missing[name] = None
        return found

    def steps(self, *names: str) -> list[Steps | None]:
        """The items in the steps of the period, read together; None for those that are missing or can't be read."""
        if LOAD_WITHOUT_EV in names and LOAD_WITHOUT_EV not in self._steps:
            self._steps[LOAD_WITHOUT_EV] = self._load_without_ev()
        wanted = [name for name in names if name not in self._steps]
        present = [name for name in wanted if self.item(name) is not None]
        self._steps |= dict.fromkeys(wanted)
        try:
            self._steps |= self._read(present)
        except ItemUnreadable:
            for name in present:  # one of them can't be read, the others can
                try:
                    self._steps |= self._read([name])
                except ItemUnreadable as error:
                    self.problems[error.name] = str(error)
        return [self._steps[name] for name in names]

    def _read(self, names: Sequence[str]) -> dict[str, Steps]:
        if not names or self.passed_ms <= self.period.start_ms:
            return {}
        start, end = self.period.start_ms, self.passed_ms
        if self.step_ms == SLOT_MS:
            found = self.reader.slots(names, start, end)
            return {
                name: Steps(
                    one.slots.starts,
                    np.ones(len(one.slots.starts), np.int64),
                    one.slots.means,
                    SLOT_MS,
                    one.source,
                )
                for name, one in found.items()
            }
        parts: dict[str, list[Steps]] = {name: [] for name in names}
        for first, last, origin in hour_grids(start, end, self.period.zone):
            for name, hours in self.reader.hours(names, first, last, origin_ms=origin).items():
                means = hours.hours
                parts[name].append(Steps(means.starts, means.covered, means.sums, HOUR_MS, hours.source))
        return {name: joined(one) for name, one in parts.items()}

    def _load_without_ev(self) -> Steps | None:
        """In the slots in which load and car have a value; none where either can't be read."""
        load, ev = self.steps("load", "ev")
        if load is None or ev is None:
            return None
        found = self.reader.slots(["load", "ev"], self.period.start_ms, self.passed_ms)
        both = [found[name].slots for name in ("load", "ev")]
        starts, of_load, of_ev = np.intersect1d(
            both[0].starts, both[1].starts, assume_unique=True, return_indices=True
        )
        means = without_car(both[0].means[of_load], both[1].means[of_ev])
        slots = SlotMeans(self.period.start_ms, self.passed_ms, starts, means)
        source = combined({load.source, ev.source})
        if self.period.step_ms == SLOT_MS:
            return Steps(starts, np.ones(len(starts), np.int64), means, SLOT_MS, source)
        hours = [
            slots.between(first, last).hours(origin)
            for first, last, origin in hour_grids(self.period.start_ms, self.passed_ms, self.period.zone)
        ]
        return joined([Steps(one.starts, one.covered, one.sums, HOUR_MS, source) for one in hours])

    def readings(self, name: str) -> Series | None:
        """The raw values of an item that can be read; None where some of them are gone."""
        wanted = {"load", "ev"} if name == LOAD_WITHOUT_EV else {name}
        if not wanted <= self._raw.keys():
            # All at once: the curves of a report are asked for one after the other.
            names = [
                known
                for known, steps in self._steps.items()
                if steps is not None and known != LOAD_WITHOUT_EV
            ]
            self._raw = self.reader.values(names, self.period.start_ms, self.passed_ms)
        raw = (
            series_without_car(self._raw["load"], self._raw["ev"])
            if name == LOAD_WITHOUT_EV
            else self._raw[name]
        )
        steps = self._steps[name]
        kept = np.unique(raw.timestamps // SLOT_MS)
        return raw if steps is not None and len(kept) >= len(steps.starts) else None

    def slot_means(self, name: str) -> NDArray[np.float64]:
        """The means of the item's covered five-minute slots; empty where it can't be read."""
        if self.steps(name)[0] is None or not self.slots:
            return np.empty(0)
        return self.reader.slots([name], self.period.start_ms, self.passed_ms)[name].slots.means

    @cached_property
    def balance(self) -> Balance | None:
        """Where energy came from and went in the period; None where no item of it can be read.

        Solar, battery or car that the house has no item of count as zero.
        """
        present = [name for name in BALANCE_ITEMS if name in self.reader.items]
        for name in present:
            if refusal := self.energy_refusal(name):
                self.problems[name] = f"`{name}` has no energy: {refusal}."
                return None
        if not present or not self.slots:
            return None
        try:
            found = self.reader.slots(
                present, ledger_from_ms(self.period.start_ms, self.period.zone), self.passed_ms
            )
        except ItemUnreadable as error:
            self.problems[error.name] = str(error)
            return None
        self.balance_source = combined({one.source for one in found.values()})
        means = {name: one.slots for name, one in found.items()}
        return weekly_balance(
            means,
            self.period.start_ms,
            self.passed_ms,
            self.period.zone,
            load_contains_ev=self.house.load_contains_ev,
        )

    def day_bounds(self) -> list[int]:
        """The starts of the house's days in the passed part of the period, and its end; UTC ms, on slots."""
        start, end = self.period.start_ms, self.passed_ms
        days = calendar.days(start, end, self.period.zone) if end > start else []
        return [max(first, start) for first, _ in days] + [end] * min(1, len(days))

    @cached_property
    def sessions(self) -> Sequence[Session]:
        """The charging sessions of which a part lies in the period, with what the stations' powers and the balance say
        of them."""
        start, end = self.period.start_ms, self.passed_ms
        # Up to now, so that one that goes on after the period is not taken for running.
        happened = events.read(
            self.connection,
            self.house.house_id,
            start - LOOK_BACK_MS,
            max(end, self.now_ms + 1),
            types=(EV_START_CHARGING, EV_END_CHARGING),
        )
        found = [one for one in paired(happened) if one.overlaps(start, end)]
        stations = {one.station for one in found}
        powers = self._station_powers(stations, start, end) if found else {}
        balanced = self.balance if found else None
        sessions = []
        for one in found:
            power = powers[one.station]
            sessions.append(with_split(with_powers(one, power, start, end), power, balanced, start, end))
        return sessions

    def _station_powers(
        self, stations: Collection[str], start_ms: int, end_ms: int
    ) -> dict[str, StationPower]:
        """By station, of slots where the readings are no longer kept."""
        fields = {one: (one, _STATION_POWER) for one in stations}
        found = readings.read(self.connection, self.house.house_id, fields.values(), start_ms, end_ms)
        powers = {one: StationPower(found[key]) for one, key in fields.items()}
        raw_from_ms = self.reader.raw_from_ms
        if raw_from_ms <= start_ms:
            return powers
        slots = self.reader.field_slots(fields.values(), snap(start_ms, end_ms)[0], min(raw_from_ms, end_ms))
        return {one: powers[one].with_means_of(slots[key], raw_from_ms) for one, key in fields.items()}

    @cached_property
    def marks(self) -> tuple[TimeMark, ...]:
        """The findings that held in the period, and its notes, in order of time."""
        start, end, house_id = self.period.start_ms, self.passed_ms, self.house.house_id
        held = findings.read(self.connection, house_id, ended_since_ms=start, newest_ended=_MAX_FINDINGS)
        # Also notes of what is to come: the time axis shows the whole period.
        end_ms = max(end, self.period.end_ms)
        written = notes.read(self.connection, house_id, start, end_ms)
        return marks_between(held, written, start, end_ms, self.period.zone)

    def marks_of(self, devices: frozenset[str]) -> tuple[TimeMark, ...]:
        """Those of some devices, and those of the whole house."""
        return of_devices(self.marks, devices)

    @property
    def excluded_slots(self) -> int:
        """The slots of the period that have passed and that notes exclude."""
        return self.reader.excluded.slots(self.period.start_ms, self.passed_ms)

    def polls(self, name: str) -> Polls | None:
        if name not in self._polls_known:
            self._polls_known[name] = polls(
                self.reader, name, self.period.start_ms, self.passed_ms, self._intervals_s
            )
        return self._polls_known[name]

    @cached_property
    def _intervals_s(self) -> Mapping[str, float]:
        return polling_intervals(self.connection, self.house.house_id)

    def unit(self, name: str) -> str:
        item = self.reader.items.get("load" if name == LOAD_WITHOUT_EV else name)
        return item.unit if item else ""

    def energy_refusal(self, name: str) -> str | None:
        """Why an item of the house has no energy; None if it has, is missing or can't be read."""
        item = self.reader.items.get(name)
        if item is None:
            return None
        formulas = {one.name: one.formula for one in self.reader.items.values()}
        try:
            return energy_refusal(inlined(parse(item.formula), formulas), item.unit)
        except FormulaError:
            return None

    def has_energy(self, name: str) -> bool:
        if name == LOAD_WITHOUT_EV:
            return self.has_energy("load") and self.has_energy("ev")
        return name in self.reader.items and self.energy_refusal(name) is None
