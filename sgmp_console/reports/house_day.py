"""The newest day of one house, held in memory and brought forward with each tick; Home is drawn from it.

Pure: readings and events are handed in, snapshots come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sgmp_console.fleet.required import required_items
from sgmp_console.formula import AnalyticsIdentifier, DeviceIdentifier, Identifier
from sgmp_console.reports.events import EventLike, event_series, warning_groups
from sgmp_console.reports.home import (
    ENERGY_SOURCES,
    GAP_MS,
    HOME_ITEMS,
    STALE_AFTER_MS,
    ChargingToday,
    Curve,
    DeviceAge,
    EnergyShare,
    EnergyToday,
    HomeSnapshot,
    Latest,
)
from sgmp_console.reports.items import Item, ItemGraph, bring_forward, spliced
from sgmp_console.timeseries import SLOT_MS, Series, slot_means
from sgmp_console.timeseries.calendar import day_of
from sgmp_edge.contract import EV_END_CHARGING, WARNING

DAY_MS = 86_400_000

AHEAD_MS = 300_000
"""How far an edge's clock may be ahead of ours before its readings wait until their time has come."""

EV_ITEMS = ("ev_event_count", "ev_charge_energy")
"""Items that Home counts charging sessions with."""

_POLLS = 5
"""So many polls without a value make it stale, and a gap."""

_LONGEST_LOOKBACK_MS = DAY_MS
_MWH_PER_KWH = 1e6


class DeviceLike(Protocol):
    """What is needed of a device here."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...


class ItemLike(Item, Protocol):
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True)
class Definition:
    """What a house consists of; a new one needs a new HouseDay."""

    house_id: int
    house_name: str
    time_zone: str
    devices: Sequence[DeviceLike]
    items: Sequence[ItemLike]


class HouseDay:
    """The readings, events and item values of a house from `start_ms` on.

    `fields`, `event_types` (empty: all) and `start_ms` say what has to be read from the database.
    """

    def __init__(self, definition: Definition, now_ms: int) -> None:
        self.definition = definition
        self._graph = ItemGraph(
            definition.items, {device.name for device in definition.devices}, (*HOME_ITEMS, *EV_ITEMS)
        )
        self.start_ms = self._first_needed(now_ms)
        self.fields = tuple(sorted((one.device, one.field) for one in self._graph.fields))
        self.event_types = self._event_types()
        self._series: dict[Identifier, Series] = dict.fromkeys(
            (*self._graph.fields, *self._graph.events), Series.empty()
        )
        self._events: list[EventLike] = []
        self._newest_of_device: dict[str, int] = {}
        self._before: dict[str, Latest] = {}

    def covers(self, now_ms: int) -> bool:
        """Whether a snapshot for `now_ms` can be made; not after the clock was set back."""
        return self._first_needed(now_ms) >= self.start_ms

    def take(
        self,
        now_ms: int,
        from_ms: int,
        readings: Mapping[tuple[str, str], Series],
        events: Iterable[EventLike],
        newest: Mapping[tuple[str, str], tuple[int, float]],
    ) -> None:
        """Put everything from `from_ms` on in the place of what is held of that time.

        `readings` has an entry for each of `fields`. `newest` has the newest reading of each field of the house.
        What `now_ms` no longer needs is forgotten.
        """
        start = self.start_ms = max(self.start_ms, self._first_needed(now_ms))
        for device, field in self.fields:
            key = DeviceIdentifier(device, field)
            self._series[key] = spliced(self._series[key], from_ms, readings[device, field], start)
        self._events = [event for event in self._events if start <= event.timestamp_ms < from_ms]
        self._events.extend(event for event in events if event.timestamp_ms >= max(start, from_ms))
        for identifier in self._graph.events:
            self._series[identifier] = event_series(self._events, identifier)
        bring_forward(self._graph, self._series, from_ms, start)
        self._newest_of_device = {}
        for (device, _), (timestamp, _) in newest.items():
            self._newest_of_device[device] = max(timestamp, self._newest_of_device.get(device, timestamp))
        self._remember_older_values(newest)

    def snapshot(self, now_ms: int) -> HomeSnapshot:
        """All that Home shows at `now_ms`."""
        definition = self.definition
        today, _ = day_of(now_ms, definition.time_zone)
        end = now_ms + AHEAD_MS
        present = {item.name for item in definition.items}
        return HomeSnapshot(
            house_id=definition.house_id,
            house_name=definition.house_name,
            time_zone=definition.time_zone,
            now_ms=now_ms,
            start_ms=now_ms - DAY_MS,
            end_ms=now_ms,
            devices=tuple(
                DeviceAge(device.name, device.type, self._newest_of_device.get(device.name))
                for device in sorted(definition.devices, key=lambda device: device.name)
            ),
            missing_items=tuple(name for name in required_items() if name not in present),
            curves={
                item.name: self._curve(item, now_ms - DAY_MS, end)
                for item in definition.items
                if item.name in HOME_ITEMS
            },
            energy_today=self._energy(today, now_ms),
            charging_today=self._charging(today, end),
            warnings=warning_groups(self._events_between(today, end)),
        )

    def _first_needed(self, now_ms: int) -> int:
        """The last 24 hours and the house's day so far, which can have 25."""
        today, _ = day_of(now_ms, self.definition.time_zone)
        return min(now_ms - DAY_MS, today) - min(self._graph.lookback_ms, _LONGEST_LOOKBACK_MS)

    def _event_types(self) -> tuple[str, ...]:
        types = {WARNING, EV_END_CHARGING}
        for identifier in self._graph.events:
            if not identifier.types:
                return ()
            types.update(identifier.types)
        return tuple(sorted(types))

    def _values(self, name: str) -> Series | None:
        """An item's values; None where the house lacks it or it can't be evaluated."""
        return self._series.get(AnalyticsIdentifier(name)) if self._graph.step(name) else None

    def _curve(self, item: ItemLike, start_ms: int, end_ms: int) -> Curve:
        step, values = self._graph.step(item.name), self._values(item.name)
        if step is None or values is None:
            return Curve(item.name, item.unit, Series.empty(), problem=self._graph.problems[item.name])
        polls = _POLLS * max((_interval_ms(device) for device in self._devices(step.devices)), default=0)
        shown = values.between(start_ms, end_ms)
        latest = self._before.get(item.name)
        if len(shown):
            latest = Latest(int(shown.timestamps[-1]), float(shown.values[-1]))
        if latest is not None:
            # A mean of `avg` carries the start of its period.
            latest = replace(latest, stale_after_ms=max(STALE_AFTER_MS, polls) + step.lookback_ms)
        gap = max(GAP_MS, polls, step.lookback_ms * 3 // 2)
        return Curve(item.name, item.unit, shown, latest, gap_ms=gap)

    def _devices(self, names: Iterable[str]) -> list[DeviceLike]:
        wanted = set(names)
        return [device for device in self.definition.devices if device.name in wanted]

    def _energy(self, today_ms: int, now_ms: int) -> EnergyToday:
        # Midnight is on a slot everywhere: no zone's offset is finer than a quarter of an hour.
        end = max(today_ms, now_ms // SLOT_MS * SLOT_MS)
        shares = []
        for name in ENERGY_SOURCES:
            values = self._values(name)
            slots = slot_means(Series.empty() if values is None else values, today_ms, end)
            shares.append(EnergyShare(name, slots.energy_kwh, slots.coverage or 0.0))
        return EnergyToday(today_ms, end, tuple(shares))

    def _charging(self, today_ms: int, end_ms: int) -> ChargingToday:
        started, energies = (self._values(name) for name in EV_ITEMS)
        energy = None if energies is None else energies.between(today_ms, end_ms)
        return ChargingToday(
            started=None if started is None else round(started.between(today_ms, end_ms).values.sum()),
            # Counted from the events: two that end at the same poll are one point of the item.
            ended=None
            if energies is None
            else sum(event.type == EV_END_CHARGING for event in self._events_between(today_ms, end_ms)),
            energy_kwh=None
            if energy is None or not len(energy)
            else float(energy.values.sum()) / _MWH_PER_KWH,
        )

    def _events_between(self, start_ms: int, end_ms: int) -> list[EventLike]:
        return [event for event in self._events if start_ms <= event.timestamp_ms < end_ms]

    def _remember_older_values(self, newest: Mapping[tuple[str, str], tuple[int, float]]) -> None:
        """The last value of items that have none in the time held: how long ago they stopped is worth telling."""
        self._before = {}
        series: dict[Identifier, Series] | None = None
        for step in self._graph.steps:
            if len(self._series[AnalyticsIdentifier(step.name)]):
                continue
            if series is None:
                series = self._newest_only(newest)
            last = series[AnalyticsIdentifier(step.name)]
            if len(last):
                self._before[step.name] = Latest(int(last.timestamps[-1]), float(last.values[-1]))

    def _newest_only(self, newest: Mapping[tuple[str, str], tuple[int, float]]) -> dict[Identifier, Series]:
        series: dict[Identifier, Series] = dict.fromkeys(self._graph.events, Series.empty())
        for one in self._graph.fields:
            last = newest.get((one.device, one.field))
            series[one] = Series([last[0]], [last[1]]) if last else Series.empty()
        bring_forward(self._graph, series, 0, 0)
        return series


def _interval_ms(device: DeviceLike) -> int:
    """How often a device is polled, where its config says so; 0 where the house's own rhythm holds."""
    interval = device.config.get("interval")
    return round(interval * 1000) if isinstance(interval, (int, float)) else 0
