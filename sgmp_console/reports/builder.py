"""The parts that reports are built of: items over a period, and figures with their reasons.

A `Builder` reads each item once. All numbers come from `ItemReader`, so they are those of every other view: a mean is
that of the covered slots, an energy the sum of their means / 12, an extreme that of the raw values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.formula import FormulaError, energy_refusal, inlined, parse, written
from sgmp_console.reports.balance import BALANCE_ITEMS, Balance, ledger_from_ms, weekly_balance
from sgmp_console.reports.clear_sky import irradiance
from sgmp_console.reports.heat_map import NOWHERE, WEEKDAYS, HeatMap, heat_map
from sgmp_console.reports.item_reader import ItemReader, ItemUnreadable, Polls, missing_item
from sgmp_console.reports.item_source import Source, combined
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import (
    Bars,
    BarStep,
    Column,
    Curve,
    Figure,
    Gap,
    Resolution,
    Section,
    Table,
    TableColumn,
    Trouble,
    Why,
)
from sgmp_console.reports.sessions import LOOK_BACK_MS, Session, paired, with_powers, with_split
from sgmp_console.store import AnalyticItem, House, events, findings, readings
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, SLOTS_PER_HOUR, HourMeans, Series, SlotMeans, calendar
from sgmp_console.watch.sentences import sentence
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

_STATION_POWER = "power"
"""The field of a charging station with its power, kW."""

_MAX_DAY_BARS = 62
"""Days: longer periods have a bar for each month."""

MAX_READINGS_MS = 6 * HOUR_MS
"""Curves of periods up to this show every reading: at one each four seconds some 5,000."""

_MAX_GAPS = 3
_DAYLIGHT_W_M2 = 200.0
"""Of a clear sky; with less the sun stands low, and roofs and trees decide."""
_MIN_DAYLIGHT_STEPS = 12

_REPORTED_MS = 24 * HOUR_MS
"""So long before the end of a period it is looked for what a device reports of itself."""
_NOT_REPORTED = "There is no reading of it in the last day of the period."

_MAX_FINDINGS = 2000
"""Of those that ended since a period began, the newest are read."""
_MIN_GAP_MS = 2 * SLOT_MS


LOAD_WITHOUT_EV = "load without ev"
"""In place of an item's name: the load with the car taken off, slot by slot. Not an identifier, so no item is called so."""


@dataclass(frozen=True, eq=False)
class Steps:
    """An item in the steps of a period (slots or hours) that have a value.

    `covered`: how many five-minute slots of the step have one; `sums`: the sum of their means, in the item's unit.
    """

    starts: NDArray[np.int64]
    covered: NDArray[np.int64]
    sums: NDArray[np.float64]
    step_ms: int
    source: Source

    @property
    def means(self) -> NDArray[np.float64]:
        return self.sums / self.covered

    @property
    def energies_kwh(self) -> NDArray[np.float64]:
        """The energy in each step of a power in kW, in its covered slots."""
        return self.sums / SLOTS_PER_HOUR

    @property
    def mean(self) -> float | None:
        return self._parts.mean

    @property
    def energy_kwh(self) -> float | None:
        return self._parts.energy_kwh

    @property
    def _parts(self) -> HourMeans:
        return HourMeans(self.starts, self.covered, self.sums)


@dataclass(eq=False)
class Builder:
    """Builds the parts of one report of `house` over [period.start_ms, passed_ms), within one transaction."""

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
        self._raw_known: dict[str, Series] = {}
        self._balance_source: Source | None = None

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

    # --- Items -------------------------------------------------------------------------------------------------------

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
        for first, last, origin in _hour_grids(start, end, self.period.zone):
            for name, hours in self.reader.hours(names, first, last, origin_ms=origin).items():
                means = hours.hours
                parts[name].append(Steps(means.starts, means.covered, means.sums, HOUR_MS, hours.source))
        return {name: _joined(one) for name, one in parts.items()}

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
        means = np.maximum(both[0].means[of_load] - both[1].means[of_ev], 0.0)
        slots = SlotMeans(self.period.start_ms, self.passed_ms, starts, means)
        source = combined({load.source, ev.source})
        if self.period.step_ms == SLOT_MS:
            return Steps(starts, np.ones(len(starts), np.int64), means, SLOT_MS, source)
        hours = [
            slots.between(first, last).hours(origin)
            for first, last, origin in _hour_grids(self.period.start_ms, self.passed_ms, self.period.zone)
        ]
        return _joined([Steps(one.starts, one.covered, one.sums, HOUR_MS, source) for one in hours])

    def slot_means(self, name: str) -> NDArray[np.float64]:
        """The means of the item's covered five-minute slots; empty where it can't be read."""
        if self.steps(name)[0] is None or not self.slots:
            return np.empty(0)
        return self.reader.slots([name], self.period.start_ms, self.passed_ms)[name].slots.means

    def balance(self) -> Balance | None:
        """Where energy came from and went in the period; None where no item of it can be read.

        Solar, battery or car that the house has no item of count as zero.
        """
        return self._balance

    @cached_property
    def _balance(self) -> Balance | None:
        present = [name for name in BALANCE_ITEMS if name in self.reader.items]
        for name in present:
            if refusal := self._energy_refusal(name):
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
        self._balance_source = combined({one.source for one in found.values()})
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

    def sessions(self) -> Sequence[Session]:
        """The charging sessions of which a part lies in the period, with what the stations' powers and the balance say
        of them."""
        return self._sessions

    @cached_property
    def _sessions(self) -> Sequence[Session]:
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
        powers = readings.read(
            self.connection, self.house.house_id, [(one, _STATION_POWER) for one in stations], start, end
        )
        balanced = self.balance() if found else None
        sessions = []
        for one in found:
            power = powers[one.station, _STATION_POWER]
            sessions.append(with_split(with_powers(one, power, start, end), power, balanced, start, end))
        return sessions

    # --- Reasons and figures -----------------------------------------------------------------------------------------

    def why(self, name: str, note: str = "") -> Why:
        """Where figures of an item come from."""
        item = self.reader.items.get(name)
        if item is None:
            return Why(name, "", "", 0, self.slots, note=missing_item(name))
        steps = self.steps(name)[0]
        if steps is None:
            waiting = "" if self.slots else "This period has not begun yet."
            return Why(
                name, item.formula, "", 0, self.slots, note=self.problems.get(name, "") or note or waiting
            )
        covered = int(steps.covered.sum())
        if not covered and not note:
            note = "There are no readings in this period."
        return Why(
            name,
            item.formula,
            self._expanded(item),
            covered,
            self.slots,
            _gaps(steps.starts, steps.step_ms, self.period.start_ms, self.passed_ms),
            steps.source,
            note,
            self._polls(name),
            self.troubles_of(self.reader.devices_of(name)),
        )

    def why_balance(self, note: str = "") -> Why:
        """Where figures of the balance come from."""
        present = [name for name in BALANCE_ITEMS if name in self.reader.items]
        item = ", ".join(present)
        formula = "; ".join(f"{name} = {self.reader.items[name].formula}" for name in present)
        expanded = "; ".join(f"{name} = {self._expanded(self.reader.items[name])}" for name in present)
        found = self.balance()
        if found is None:
            problem = next((self.problems[name] for name in present if name in self.problems), "")
            return Why(item, formula, expanded, 0, self.slots, note=problem or note)
        without = [f"{name} {count:,}" for name, count in found.missing.items() if count]
        if without:
            note = f"{note} Slots without a value: {', '.join(without)}.".strip()
        devices = frozenset().union(*map(self.reader.devices_of, present))
        gaps = _gaps(found.starts, SLOT_MS, self.period.start_ms, self.passed_ms)
        return Why(
            item,
            formula,
            expanded,
            len(found.starts),
            self.slots,
            gaps,
            self._balance_source,
            note,
            findings=self.troubles_of(devices),
        )

    @cached_property
    def troubles(self) -> tuple[Trouble, ...]:
        """The findings that held in the period, in order of time."""
        start, end = self.period.start_ms, self.passed_ms
        found = findings.read(
            self.connection, self.house.house_id, ended_since_ms=start, newest_ended=_MAX_FINDINGS
        )
        zone = self.period.zone
        return tuple(
            Trouble(
                one.device,
                sentence(one.rule, one.device, one.subject, one.details, zone).text,
                one.from_ms,
                one.to_ms,
            )
            for one in sorted(found, key=lambda one: one.from_ms)
            if one.from_ms < end and (one.to_ms is None or one.to_ms > start)
        )

    def troubles_of(self, devices: Collection[str]) -> tuple[Trouble, ...]:
        """Those of some devices, and those of the whole house."""
        return tuple(one for one in self.troubles if not one.device or one.device in devices)

    def _polls(self, name: str) -> Polls | None:
        if name not in self._polls_known:
            self._polls_known[name] = self.reader.polls(name, self.period.start_ms, self.passed_ms)
        return self._polls_known[name]

    def why_events(self, note: str) -> Why:
        """Where figures about sessions come from."""
        read = ", ".join(f"events.::{type_name}" for type_name in (EV_START_CHARGING, EV_END_CHARGING))
        stations = {session.station for session in self.sessions()}
        return Why(read, read, read, 0, 0, note=note, findings=self.troubles_of(stations))

    def _expanded(self, item: AnalyticItem) -> str:
        try:
            formulas = {one.name: one.formula for one in self.reader.items.values()}
            return written(inlined(parse(item.formula), formulas).tree)
        except FormulaError:
            return ""

    def mean(self, key: str, title: str, name: str) -> Figure:
        steps = self.steps(name)[0]
        return Figure(key, title, steps.mean if steps else None, self._unit(name), self.why(name))

    def energy(self, key: str, title: str, name: str) -> Figure:
        """The energy of a power. An item that is not one has none, with the reason."""
        refusal = self._energy_refusal(name)
        if refusal is not None:
            return Figure(key, title, None, "kWh", self.why(name, f"`{name}` has no energy: {refusal}."))
        steps = self.steps(name)[0]
        return Figure(key, title, steps.energy_kwh if steps else None, "kWh", self.why(name))

    def _energy_refusal(self, name: str) -> str | None:
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
        return name in self.reader.items and self._energy_refusal(name) is None

    def reported(self, fields: Mapping[str, tuple[str, str, str]]) -> list[Figure]:
        """What devices report of themselves, as it stands at the end of the period: a figure of each field that the house
        has. `fields`: by the last part of a field's name key, title and unit."""
        named = {
            key: fields[last]
            for key in sorted(self.reader.series)
            if (last := key[1].rpartition(".")[2]) in fields
        }
        if not named or not self.slots:
            return []
        since = max(self.period.start_ms, self.passed_ms - _REPORTED_MS)
        found = readings.read(self.connection, self.house.house_id, list(named), since, self.passed_ms)
        figures: dict[str, Figure] = {}
        for (device, field), (key, title, unit) in named.items():
            series = found[device, field].finite()
            note = "What the device reported last in the period." if len(series) else _NOT_REPORTED
            name = f"{device}.{field}"
            why = Why(name, name, name, 0, 0, note=note, findings=self.troubles_of([device]))
            value, at_ms = (
                (float(series.values[-1]), int(series.timestamps[-1])) if len(series) else (None, None)
            )
            figures.setdefault(key, Figure(key, title, value, unit, why, at_ms, section=Section.REPORTED))
        return list(figures.values())

    def highest(self, key: str, title: str, name: str) -> Figure:
        return self._extreme(key, title, name, highest=True)

    def lowest(self, key: str, title: str, name: str) -> Figure:
        return self._extreme(key, title, name, highest=False)

    def _extreme(self, key: str, title: str, name: str, *, highest: bool) -> Figure:
        why = self.why(name)
        if not why.covered:
            return Figure(key, title, None, self._unit(name), why)
        found = self.reader.extremes(name, self.period.start_ms, self.passed_ms)
        if found is None:
            return Figure(key, title, None, self._unit(name), why)
        if highest:
            value, at_ms, hour_ms = found.maximum, found.maximum_ms, found.maximum_hour_ms
        else:
            value, at_ms, hour_ms = found.minimum, found.minimum_ms, found.minimum_hour_ms
        if at_ms is None:
            why = replace(why, note="The raw readings of that hour are no longer kept.")
        return Figure(key, title, value, self._unit(name), why, at_ms, hour_ms)

    def _unit(self, name: str) -> str:
        item = self.reader.items.get("load" if name == LOAD_WITHOUT_EV else name)
        return item.unit if item else ""

    def highest_hour(self, key: str, title: str, name: str) -> Figure:
        return self._extreme_hour(key, title, name, highest=True)

    def lowest_hour(self, key: str, title: str, name: str) -> Figure:
        return self._extreme_hour(key, title, name, highest=False)

    def _extreme_hour(self, key: str, title: str, name: str, *, highest: bool) -> Figure:
        """Of the hours' means, the first of equals."""
        steps = self.steps(name)[0]
        why = self.why(name)
        if steps is None or not len(steps.starts):
            return Figure(key, title, None, self._unit(name), why)
        why = replace(why, note="The mean of the covered slots of the hour that begins then.")
        place = int(np.argmax(steps.means) if highest else np.argmin(steps.means))
        at_ms = max(int(steps.starts[place]), self.period.start_ms)
        return Figure(key, title, float(steps.means[place]), self._unit(name), why, at_ms)

    # --- Curves and tables -------------------------------------------------------------------------------------------

    def curve(self, key: str, title: str, name: str, quantity: str) -> Curve | None:
        """The item's readings in a short period, else its mean in each step with the band of what it is the mean of; None
        where there is none."""
        steps = self.steps(name)[0]
        if steps is None:
            return None
        raw = self._readings(name, steps)
        if raw is not None:
            return Curve(
                key, title, self._unit(name), quantity, Resolution.READINGS, raw.timestamps, raw.values
            )
        band = None
        if name != LOAD_WITHOUT_EV:
            band = self.reader.bands(name, steps.starts, self.step_ms, self.period.start_ms, self.passed_ms)
        lows, highs = band or (None, None)
        return Curve(
            key,
            title,
            self._unit(name),
            quantity,
            self._resolution,
            steps.starts,
            steps.means,
            False,
            lows,
            highs,
        )

    @property
    def _resolution(self) -> Resolution:
        return Resolution.SLOTS if self.step_ms == SLOT_MS else Resolution.HOURS

    def _readings(self, name: str, steps: Steps) -> Series | None:
        """The raw values of an item, where the period is short and none of them are gone."""
        if self.period.end_ms - self.period.start_ms > MAX_READINGS_MS:
            return None
        wanted = {"load", "ev"} if name == LOAD_WITHOUT_EV else {name}
        if not wanted <= self._raw_known.keys():
            # All at once: the curves of a report are asked for one after the other.
            names = [
                one for one, found in self._steps.items() if found is not None and one != LOAD_WITHOUT_EV
            ]
            self._raw_known = self.reader.values(names, self.period.start_ms, self.passed_ms)
        known = self._raw_known
        raw = _difference(known["load"], known["ev"]) if name == LOAD_WITHOUT_EV else known[name]
        kept = np.unique(raw.timestamps // SLOT_MS)
        return raw if len(kept) >= len(steps.starts) else None

    def cumulative(self, key: str, title: str, name: str, quantity: str) -> Curve | None:
        """The energy since the start of the period, at the end of each step, kWh. A gap adds nothing."""
        steps = self.steps(name)[0]
        if steps is None or not self.has_energy(name):
            return None
        totals = np.cumsum(steps.energies_kwh)
        return Curve(key, title, "kWh", quantity, self._resolution, steps.starts, totals, cumulative=True)

    def clear_sky(self, key: str, title: str, name: str, quantity: str) -> Curve | None:
        """What a power of the sun would be under a clear sky, where the house's place is known: the irradiance on a
        horizontal plane, scaled so that 95 % of the daylight steps of the period lie below it. None where there are too few."""
        steps, place = self.steps(name)[0], self.house.place
        if steps is None or place is None:
            return None
        middle = self.period.step_ms // 2
        light = irradiance(steps.starts + middle, place)
        is_day = light > _DAYLIGHT_W_M2
        if np.count_nonzero(is_day) < _MIN_DAYLIGHT_STEPS:
            return None
        scale = float(np.quantile(steps.means[is_day] / light[is_day], 0.95))
        starts = _all_steps(self.period.start_ms, self.passed_ms, self.period.step_ms, self.period.zone)
        resolution = Resolution.SLOTS if self.period.step_ms == SLOT_MS else Resolution.HOURS
        values = scale * irradiance(starts + middle, place)
        return Curve(key, title, self._unit(name), quantity, resolution, starts, values)

    def bar_bounds(self) -> tuple[BarStep, tuple[int, ...]]:
        """What the bars of the period stand for, and where they begin and end; also those that have not passed yet."""
        start, end, zone = self.period.start_ms, self.period.end_ms, self.period.zone
        if self.period.step_ms == SLOT_MS:
            step, edges = BarStep.HOUR, _all_steps(start, end, HOUR_MS, zone).tolist()
        elif end - start <= _MAX_DAY_BARS * 24 * HOUR_MS:
            step, edges = BarStep.DAY, [first for first, _ in calendar.days(start, end, zone)]
        else:
            step, edges = BarStep.MONTH, [calendar.month_of(start, zone)[0]]
            while (after := calendar.month_of(edges[-1], zone)[1]) < end:
                edges.append(after)
        return step, (*(max(edge, start) for edge in edges), end)

    def bars(self, *names: str, below: Collection[str] = ()) -> Bars | None:
        """The energies of powers per hour, day or month; None where none of them has one."""
        step, bounds = self.bar_bounds()
        energies = {}
        for name, steps in zip(names, self.steps(*names), strict=True):
            if steps is None or not self.has_energy(name):
                continue
            # The first step may begin before the period that cuts it.
            places = np.searchsorted(steps.starts, [0, *bounds[1:]])
            energies[name] = tuple(
                float(steps.sums[one:two].sum()) / SLOTS_PER_HOUR if two > one else None
                for one, two in pairwise(places.tolist())
            )
        return Bars(step, bounds, energies, frozenset(below)) if energies else None

    def step_table(self, names: Sequence[tuple[str, str]]) -> Table:
        """One row per step of the period: start, end, and for each (item, title) its mean, energy and covered slots."""
        found = [
            (name, title, steps)
            for (name, title), steps in zip(names, self.steps(*[n for n, _ in names]), strict=True)
        ]
        columns = [TableColumn("Start", Column.TIME), TableColumn("End", Column.TIME)]
        for name, title, _ in found:
            columns.append(TableColumn(f"{title}, mean", Column.NUMBER, self._unit(name)))
            if self.has_energy(name):
                columns.append(TableColumn(f"{title}, energy", Column.NUMBER, "kWh"))
            columns.append(TableColumn(f"{title}, slots covered", Column.NUMBER))
        rows = self._step_rows([(self.has_energy(name), steps) for name, _, steps in found])
        title = "Hours" if self.step_ms == HOUR_MS else "Five-minute slots"
        return Table("steps", title, tuple(columns), tuple(rows))

    def weekday_table(self, title: str, of: HeatMap) -> Table:
        """One row per weekday and hour of the clock that the period has: the mean of all its covered slots."""
        columns = (
            TableColumn("Weekday", Column.TEXT),
            TableColumn("Hour", Column.TEXT),
            TableColumn(f"{title}, mean", Column.NUMBER, of.unit),
            TableColumn(f"{title}, slots covered", Column.NUMBER),
            TableColumn(f"{title}, slots", Column.NUMBER),
        )
        grid = of.weekdays
        rows: list[tuple[float | int | str | None, ...]] = []
        for line, weekday in enumerate(WEEKDAYS):
            for hour in range(24):
                cell = int(grid.places[line, 2 * hour])
                if cell == NOWHERE:
                    continue
                mean = float(grid.means[cell]) if grid.covered[cell] else None
                rows.append((weekday, f"{hour:02d}:00", mean, int(grid.covered[cell]), int(grid.slots[cell])))
        return Table("weekdays", "Weekdays", columns, tuple(rows))

    def _step_rows(
        self, items: Sequence[tuple[bool, Steps | None]]
    ) -> list[tuple[float | int | str | None, ...]]:
        """`items`: for each whether it has an energy, and its steps. The first and last row are cut by the period."""
        start, end = self.period.start_ms, self.passed_ms
        starts = _all_steps(start, end, self.step_ms, self.period.zone)
        ends = np.append(starts[1:], [end] * min(1, len(starts)))
        columns: list[Sequence[float | int | None]] = [np.maximum(starts, start).tolist(), ends.tolist()]
        for has_energy, steps in items:
            if steps is None:
                columns += [[None] * len(starts)] * (1 + has_energy) + [[0] * len(starts)]
                continue
            places = np.searchsorted(starts, steps.starts).tolist()
            columns.append(_spread(steps.means, places, len(starts), None))
            if has_energy:
                columns.append(_spread(steps.energies_kwh, places, len(starts), None))
            columns.append(_spread(steps.covered, places, len(starts), 0))
        return list(zip(*columns, strict=True))

    def heat_map(self, name: str) -> HeatMap | None:
        """The item by hour and day, and by hour and weekday; None where it can't be read. For a builder `in_hours`."""
        steps = self.steps(name)[0]
        if steps is None:
            return None
        start, end, zone = self.period.start_ms, self.passed_ms, self.period.zone
        every = _all_steps(start, end, HOUR_MS, zone)
        known = HourMeans(steps.starts, steps.covered, steps.sums)
        return heat_map(name, self._unit(name), zone, start, end, every, known)

    def day_table(self, names: Sequence[tuple[str, str]]) -> Table:
        """One row per day of the house: start, end, and for each (power, title) its energy and coverage."""
        found = self.steps(*[name for name, _ in names])
        columns = [TableColumn("Day", Column.DAY), TableColumn("End", Column.TIME, file_only=True)]
        for _, title in names:
            columns += [
                TableColumn(f"{title}, energy", Column.NUMBER, "kWh"),
                TableColumn(f"{title}, coverage", Column.NUMBER, "%"),
            ]
        rows = []
        times = []
        for start, end in calendar.days(
            self.period.start_ms, max(self.passed_ms, self.period.start_ms), self.period.zone
        ):
            first, last = max(start, self.period.start_ms), min(end, self.passed_ms)
            times.append((first, last))
            row: list[float | int | str | None] = [first, last]
            for (name, _), steps in zip(names, found, strict=True):
                if steps is None:
                    row += [None, 0.0]
                    continue
                # The first step may begin before the period that cuts it.
                one, two = np.searchsorted(steps.starts, (start, last))
                covered = int(steps.covered[one:two].sum())
                has_value = covered and self.has_energy(name)
                energy = float(steps.sums[one:two].sum()) / SLOTS_PER_HOUR if has_value else None
                row += [energy, 100.0 * covered / ((last - first) // SLOT_MS) if last > first else 0.0]
            rows.append(tuple(row))
        return Table("days", "Days", tuple(columns), tuple(rows), tuple(times))


def _difference(one: Series, other: Series) -> Series:
    """At the timestamps that both have; not below zero."""
    at, of_one, of_other = np.intersect1d(
        one.timestamps, other.timestamps, assume_unique=True, return_indices=True
    )
    return Series(at, np.maximum(one.values[of_one] - other.values[of_other], 0.0))


def _spread(
    values: NDArray[np.float64] | NDArray[np.int64], places: Sequence[int], count: int, empty: int | None
) -> list[float | int | None]:
    """The values at their places of a column, the other cells `empty`."""
    cells: list[float | int | None] = [empty] * count
    for place, value in zip(places, values.tolist(), strict=True):
        cells[place] = value
    return cells


def _hour_grids(start_ms: int, end_ms: int, zone: str) -> list[tuple[int, int, int]]:
    """Parts of a range whose hours begin at the same minute, as (start, end, origin of its hours).

    Hours are counted from the midnight of each house day. That is one part for nearly all zones; more where clocks
    change by half an hour.
    """
    parts: list[tuple[int, int, int]] = []
    for midnight, after in calendar.days(start_ms, end_ms, zone):
        first, last = max(midnight, start_ms), min(after, end_ms)
        if parts and (midnight - parts[-1][2]) % HOUR_MS == 0 and parts[-1][1] == first:
            parts[-1] = (parts[-1][0], last, parts[-1][2])
        else:
            parts.append((first, last, midnight))
    return parts


def _all_steps(start_ms: int, end_ms: int, step_ms: int, zone: str) -> NDArray[np.int64]:
    """The starts of all steps of a range; the first and last hour may be cut by its ends."""
    if step_ms == SLOT_MS:
        return np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)
    parts = []
    for first, last, origin in _hour_grids(start_ms, end_ms, zone):
        begin = (first - origin) // HOUR_MS * HOUR_MS + origin
        parts.append(np.arange(begin, last, HOUR_MS, dtype=np.int64))
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _joined(parts: Sequence[Steps]) -> Steps:
    source = combined({part.source for part in parts if len(part.starts)} or {part.source for part in parts})
    return Steps(
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.covered for part in parts]),
        np.concatenate([part.sums for part in parts]),
        parts[0].step_ms,
        source,
    )


def _gaps(starts: NDArray[np.int64], step_ms: int, start_ms: int, end_ms: int) -> tuple[Gap, ...]:
    """The longest times without a covered slot, longest first. Of hours, those without any covered slot."""
    edges = np.concatenate([[start_ms], starts, [end_ms]])
    ends = np.concatenate([[start_ms], starts + step_ms, [end_ms]])
    lengths = edges[1:] - ends[:-1]
    longest = np.argsort(-lengths, kind="stable")[:_MAX_GAPS]
    return tuple(
        Gap(int(ends[place]), int(edges[place + 1])) for place in longest if lengths[place] >= _MIN_GAP_MS
    )
