"""The newest day of one house, held in memory and brought forward with each tick; Home is drawn from it.

Pure: readings and events are handed in, snapshots come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sgmp_console.fleet import edge_state
from sgmp_console.fleet.required import missing_items
from sgmp_console.formula import Identifier, ItemGraph, TailValues, event_series
from sgmp_console.reports.balance import BALANCE_ITEMS, Ledger, balance
from sgmp_console.reports.home import (
    GAP_MS,
    HOME_ITEMS,
    LEAST_STALE_AFTER_MS,
    STALE_AFTER_MS,
    ChargingToday,
    Curve,
    DeviceAge,
    EnergyToday,
    HomeSnapshot,
    Latest,
)
from sgmp_console.reports.sessions import paired
from sgmp_console.reports.steps import series_without_car
from sgmp_console.reports.time_marks import marks_between
from sgmp_console.store import AnalyticItem, Device, Event, FieldKey, House
from sgmp_console.store.config_versions import EdgeState
from sgmp_console.store.findings import Finding
from sgmp_console.store.notes import Note
from sgmp_console.timeseries import (
    SLOT_MS,
    Excluded,
    GrowingSeries,
    Series,
    SlotMeans,
    calendar,
    slot_means,
)
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

DAY_MS = 86_400_000

AHEAD_MS = 300_000
"""How far an edge's clock may be ahead of ours before its readings wait until their time has come."""

_OF_CHARGERS = (EV_START_CHARGING, EV_END_CHARGING)

EV_ITEMS = ("ev_event_count", "ev_charge_energy")
"""Items that Home counts charging sessions with."""

_POLLS = 5
"""So many polls without a value make it stale, and a gap."""

_MWH_PER_KWH = 1e6

_RECENT, _LEAST_RECENT = 9, 3
"""Timestamps of a device that tell how often it is polled: at most, and at least."""

_NO_TIMES = np.empty(0, np.int64)


@dataclass(frozen=True)
class Definition:
    """What a house consists of; a new one needs a new HomeState."""

    house: House
    devices: Sequence[Device]
    items: Sequence[AnalyticItem]


class HomeState:
    """The item values and events of a house from `start_ms` on.

    `fields`, `event_types` (empty: all) and `reads_from` say what has to be read from the database.
    """

    def __init__(self, definition: Definition, now_ms: int) -> None:
        self.definition = definition
        names = {device.name for device in definition.devices}
        formulas = {item.name: item.formula for item in definition.items}
        self._graph = ItemGraph(formulas, (*HOME_ITEMS, *EV_ITEMS), names)
        self.start_ms = self._first_needed(now_ms)
        self.event_types = self._event_types()
        self._values = TailValues(self._graph)
        self._slots = {name: GrowingSeries() for name in BALANCE_ITEMS if self._graph.step(name)}
        self._events: list[Event] = []
        self._earlier_sessions: list[Event] = []  # of chargers, before `start_ms`
        self._newest_of_device: dict[str, int] = {}
        self._older: dict[str, Latest] = {}
        self._witnesses: dict[str, FieldKey] = {}
        self._recent: dict[str, NDArray[np.int64]] = {}  # by device: its newest timestamps
        self._edge = EdgeState()
        self._findings: tuple[Finding, ...] = ()
        self._notes: tuple[Note, ...] = ()
        self._excluded = Excluded.of(())
        self._watched_ms: int | None = None
        self._ledger: tuple[int, Ledger] | None = None  # at a midnight

    @property
    def fields(self) -> frozenset[FieldKey]:
        """What the items read, and of each other device one field that shows its age."""
        return frozenset(
            (*((one.device, one.field) for one in self._graph.fields), *self._witnesses.values())
        )

    def covers(self, now_ms: int) -> bool:
        """Whether a snapshot for `now_ms` can be made; not after the clock was set back."""
        return self._first_needed(now_ms) >= self.start_ms

    def reads_from(self, from_ms: int) -> int:
        """From when on readings are needed where those from `from_ms` on have changed."""
        return max(self.start_ms, from_ms - self._graph.lookback_ms)

    def note_newest(self, newest: Mapping[FieldKey, tuple[int, float]]) -> None:
        """Learn the newest reading of each field of the house, however old."""
        self._newest_of_device, self._witnesses = {}, {}
        for key, (timestamp, _) in newest.items():
            device, _ = key
            if timestamp > self._newest_of_device.get(device, -1):
                self._newest_of_device[device] = timestamp
                self._witnesses[device] = key
        self._older = {}
        if any(not len(self._values[step.name]) for step in self._graph.steps if step.devices):
            self._older = self._values_of(newest)

    def ledger_due_ms(self, now_ms: int, from_ms: int) -> int | None:
        """The midnight at which the battery's ledger is to be read where readings from `from_ms` on have changed."""
        today, _ = calendar.day_of(now_ms, self.definition.house.time_zone)
        known = self._ledger is not None and self._ledger[0] == today and from_ms >= today
        return None if known or self._graph.step("battery_discharging") is None else today

    def note_ledger(self, midnight_ms: int, ledger: Ledger) -> None:
        """Learn what the battery held at a midnight of the house."""
        self._ledger = (midnight_ms, ledger)

    def note_earlier_sessions(self, events: Iterable[Event]) -> None:
        """Learn what chargers reported before `start_ms`: a car may have been plugged in for days."""
        self._earlier_sessions = list(events)

    def note_findings(self, findings: Iterable[Finding], watched_ms: int | None) -> None:
        """Learn what is wrong in the house, and was in the window and today; and when the watch last looked."""
        self._findings, self._watched_ms = tuple(findings), watched_ms

    def note_notes(self, written: Iterable[Note]) -> None:
        """Learn the notes of the time from `start_ms` on."""
        self._notes = tuple(written)
        self._excluded = Excluded.of((one.from_ms, one.to_ms) for one in self._notes if one.excluded)

    def note_edge(self, edge: EdgeState) -> None:
        """Learn what the house's edge last reported of itself."""
        self._edge = edge

    def take(
        self, now_ms: int, from_ms: int, readings: Mapping[FieldKey, Series], events: Iterable[Event]
    ) -> None:
        """Put everything from `from_ms` on in the place of what is held of that time.

        `readings`: of each of `fields`, from `reads_from` on. `events`: from `from_ms` on. What `now_ms` no longer
        needs is forgotten.
        """
        from_ms = max(from_ms, self.start_ms)
        start = self.start_ms = max(self.start_ms, self._first_needed(now_ms))
        self._earlier_sessions += [
            event for event in self._events if event.timestamp_ms < start and event.type in _OF_CHARGERS
        ]
        self._events = [event for event in self._events if start <= event.timestamp_ms < from_ms]
        self._events.extend(event for event in events if event.timestamp_ms >= max(start, from_ms))
        read: dict[Identifier, Series] = {one: readings[one.device, one.field] for one in self._graph.fields}
        read |= {one: event_series(one, self._events) for one in self._graph.events}
        self._values.bring_forward(read, from_ms, start)
        self._sum_up(from_ms)
        for (device, _), series in readings.items():
            if len(series):
                self._note_delivery(device, series.timestamps)

    def snapshot(self, now_ms: int) -> HomeSnapshot:
        """All that Home shows at `now_ms`."""
        definition = self.definition
        today, _ = calendar.day_of(now_ms, definition.house.time_zone)
        end = now_ms + AHEAD_MS
        present = {item.name for item in definition.items}
        curves = {
            item.name: self._curve(item, now_ms - DAY_MS, end)
            for item in definition.items
            if item.name in HOME_ITEMS
        }
        return HomeSnapshot(
            house_id=definition.house.house_id,
            house_name=definition.house.name,
            time_zone=definition.house.time_zone,
            now_ms=now_ms,
            start_ms=now_ms - DAY_MS,
            end_ms=now_ms,
            devices=tuple(
                DeviceAge(
                    device.name,
                    device.type,
                    self._newest_of_device.get(device.name),
                    self._stale_after_ms([device]),
                )
                for device in sorted(definition.devices, key=lambda device: device.name)
            ),
            missing_items=missing_items(present),
            curves=curves,
            energy_today=self._energy(today, now_ms),
            charging_today=self._charging(today, end),
            findings=tuple(one for one in self._findings if one.to_ms is None or one.to_ms >= today),
            marks=marks_between(
                self._findings, self._notes, now_ms - DAY_MS, now_ms, definition.house.time_zone
            ),
            watched_ms=self._watched_ms,
            edge=edge_state.judge(self._edge, now_ms),
            load_without_ev=_without_ev(curves) if definition.house.load_contains_ev else None,
        )

    def _note_delivery(self, device: str, timestamps: NDArray[np.int64]) -> None:
        newest = int(timestamps[-1])
        self._newest_of_device[device] = max(newest, self._newest_of_device.get(device, newest))
        known = self._recent.get(device, _NO_TIMES)
        if not len(known) or newest >= known[-1]:
            self._recent[device] = np.unique(np.concatenate((known, timestamps[-_RECENT:])))[-_RECENT:]

    def _stale_after_ms(self, devices: Iterable[Device]) -> int:
        """A few polls of the slowest of these devices."""
        return max((self._stale_of(device) for device in devices), default=STALE_AFTER_MS)

    def _stale_of(self, device: Device) -> int:
        interval_ms = _interval_ms(device)
        recent = self._recent.get(device.name, _NO_TIMES)
        if not interval_ms and len(recent) < _LEAST_RECENT:
            return STALE_AFTER_MS
        measured_ms = float(np.median(np.diff(recent))) if len(recent) >= _LEAST_RECENT else 0.0
        return max(LEAST_STALE_AFTER_MS, round(_POLLS * max(interval_ms, measured_ms)))

    def _first_needed(self, now_ms: int) -> int:
        """The last 24 hours and the house's day so far, which can have 25."""
        today, _ = calendar.day_of(now_ms, self.definition.house.time_zone)
        return min(now_ms - DAY_MS, today)

    def _event_types(self) -> tuple[str, ...]:
        types = set(_OF_CHARGERS)
        for identifier in self._graph.events:
            if not identifier.types:
                return ()
            types.update(identifier.types)
        return tuple(sorted(types))

    def _curve(self, item: AnalyticItem, start_ms: int, end_ms: int) -> Curve:
        step = self._graph.step(item.name)
        if step is None:
            return Curve(item.name, item.unit, Series.empty(), problem=self._graph.problems[item.name])
        stale_after_ms = self._stale_after_ms(self._devices(step.devices))
        polls = _POLLS * max((_interval_ms(device) for device in self._devices(step.devices)), default=0)
        shown = self._values[item.name].between(start_ms, end_ms)
        latest = self._older.get(item.name)
        if len(shown):
            latest = Latest(int(shown.timestamps[-1]), float(shown.values[-1]))
        if latest is not None:
            # A mean of `avg` carries the start of its period.
            latest = replace(latest, stale_after_ms=stale_after_ms + step.lookback_ms)
        gap = max(GAP_MS, polls, step.lookback_ms * 3 // 2)
        return Curve(item.name, item.unit, shown, latest, gap_ms=gap)

    def _devices(self, names: Iterable[str]) -> list[Device]:
        wanted = set(names)
        return [device for device in self.definition.devices if device.name in wanted]

    def _sum_up(self, from_ms: int) -> None:
        """Bring the slot means forward that energies are made of."""
        for name, slots in self._slots.items():
            step = self._graph.step(name)
            changed = from_ms - (step.lookback_ms if step else 0)
            since = max(changed, self.start_ms) // SLOT_MS * SLOT_MS
            values = self._values[name].since(since)
            end = int(values.timestamps[-1]) + 1 if len(values) else since
            slots.replace_from(
                since, slot_means(values, since, end).series, self.start_ms // SLOT_MS * SLOT_MS
            )

    def _energy(self, today_ms: int, now_ms: int) -> EnergyToday:
        # Midnight is on a slot everywhere: no zone's offset is finer than a quarter of an hour.
        end = max(today_ms, now_ms // SLOT_MS * SLOT_MS)
        means = {}
        for name, slots in self._slots.items():
            covered = slots.series.between(today_ms, end)
            means[name] = self._excluded.without(SlotMeans(today_ms, end, covered.timestamps, covered.values))
        opening = self._ledger[1] if self._ledger is not None and self._ledger[0] == today_ms else Ledger()
        balanced = balance(
            means, today_ms, end, load_contains_ev=self.definition.house.load_contains_ev, opening=opening
        )
        absent = tuple(name for name in BALANCE_ITEMS if name not in means)
        return EnergyToday(today_ms, end, balanced.total, absent, balanced.missing)

    def _charging(self, today_ms: int, end_ms: int) -> ChargingToday:
        started, energy = (
            self._values[name].between(today_ms, end_ms) if self._graph.step(name) else None
            for name in EV_ITEMS
        )
        return ChargingToday(
            started=None if started is None else round(started.values.sum()),
            ended=None if energy is None else len(energy),
            energy_kwh=None
            if energy is None or not len(energy)
            else float(energy.values.sum()) / _MWH_PER_KWH,
            sessions=None if started is None else self._sessions(today_ms, end_ms),
        )

    def _sessions(self, start_ms: int, end_ms: int) -> int:
        """As the EV report counts them: those of which a part lies in the range."""
        events = (*self._earlier_sessions, *self._events)
        found = paired(event for event in events if event.timestamp_ms < end_ms)
        return sum(session.overlaps(start_ms, end_ms) for session in found)

    def _values_of(self, newest: Mapping[FieldKey, tuple[int, float]]) -> dict[str, Latest]:
        """The items' values at the newest readings: how long ago a house fell silent is worth telling."""
        read: dict[Identifier, Series] = dict.fromkeys(self._graph.events, Series.empty())
        for one in self._graph.fields:
            reading = newest.get((one.device, one.field))
            read[one] = Series([reading[0]], [reading[1]]) if reading else Series.empty()
        values = TailValues(self._graph)
        values.bring_forward(read, 0, 0)
        return {
            step.name: Latest(int(last.timestamps[-1]), float(last.values[-1]))
            for step in self._graph.steps
            if len(last := values[step.name])
        }


def _without_ev(curves: Mapping[str, Curve]) -> Curve | None:
    """The load less the car, at the times at which both have a value."""
    load, ev = curves.get("load"), curves.get("ev")
    if load is None or ev is None:
        return None
    series = series_without_car(load.series, ev.series)
    latest = None
    if len(series):
        stale_after_ms = load.latest.stale_after_ms if load.latest is not None else STALE_AFTER_MS
        latest = Latest(int(series.timestamps[-1]), float(series.values[-1]), stale_after_ms)
    return replace(load, series=series, latest=latest, problem=load.problem or ev.problem)


def _interval_ms(device: Device) -> int:
    """How often a device is polled, where its config says so; 0 where the house's own rhythm holds."""
    interval = device.config.get("interval")
    return round(interval * 1000) if isinstance(interval, (int, float)) else 0
