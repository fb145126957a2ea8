"""Invented houses for the tests of reports: what they consist of, and what their meters would have read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from sgmp_console.fleet.required import required_items
from sgmp_console.reports.home_state import Definition, HomeState
from sgmp_console.store import AnalyticItem, Device, Event, House
from sgmp_console.timeseries import Series

LOS_ANGELES = "America/Los_Angeles"
FAR = 4_102_444_800_000  # 2100

GRID = ("egauge", "A.GridPower")
LOAD = ("egauge", "A.Load")
EV = ("egauge", "A.EV")
SOLAR = ("egauge", "A.Solar")
BATTERY = ("sonnen", "status.Pac_total_W")
SOC = ("sonnen", "battery.battery_status.relativestateofcharge")

Field = tuple[str, str]
Readings = Mapping[Field, Series]


def item(name: str, formula: str, unit: str = "kW") -> AnalyticItem:
    return AnalyticItem(0, 7, name, "", formula, unit=unit)


def device(name: str, kind: str, **config: Any) -> Device:
    return Device(0, 7, name, kind, config=config)


def event(timestamp_ms: int, device_name: str, kind: str, **data: Any) -> Event:
    return Event(timestamp_ms, device_name, kind, data)


DEVICES = (device("sonnen", "sonnen"), device("egauge", "egauge"), device("powerflex", "powerflex"))
ITEMS = tuple(item(one.name, one.formula, one.unit) for one in required_items().values())


def definition(
    *, items: Sequence[AnalyticItem] = ITEMS, devices: Sequence[Device] = DEVICES, zone: str = LOS_ANGELES
) -> Definition:
    return Definition(House(7, "Maple House", time_zone=zone), devices, items)


def at(text: str, zone: str = LOS_ANGELES) -> int:
    """UTC ms of a local time such as `2026-03-08 14:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def balanced(start_ms: int, end_ms: int, step_ms: int = 4000, *, seed: int = 1) -> dict[Field, Series]:
    """Readings of a house in which grid = load + EV - solar - battery at every instant, as the meters sign them."""
    rng = np.random.default_rng(seed)
    t = np.arange(start_ms, end_ms, step_ms, dtype=np.int64)
    solar, load, ev = rng.uniform(0, 6, len(t)), rng.uniform(0.2, 4, len(t)), rng.uniform(0, 7, len(t))
    battery = rng.uniform(-3, 3, len(t))
    grid = load + ev - solar - battery
    values = {
        GRID: -grid,
        LOAD: -load,
        EV: -ev,
        SOLAR: solar,
        BATTERY: battery * 1000,
        SOC: rng.uniform(5, 95, len(t)),
        ("egauge", "A.L1_Frequency"): rng.normal(60, 0.02, len(t)),
        ("egauge", "A.L1_Voltage"): rng.normal(121, 0.5, len(t)),
        ("egauge", "A.L2_Voltage"): rng.normal(120, 0.5, len(t)),
    }
    return {key: Series(t, value) for key, value in values.items()}


def lived_in(start_ms: int, end_ms: int, step_ms: int, zone: str = LOS_ANGELES) -> dict[Field, Series]:
    """Readings that look like a house: sun by day and season, meals, a car in the evening, a battery in between."""
    t = np.arange(start_ms, end_ms, step_ms, dtype=np.int64)
    rng = np.random.default_rng(5)
    offsets = {
        day: (ZoneInfo(zone).utcoffset(datetime.fromtimestamp(day * 86_400, ZoneInfo(zone))) or timedelta())
        for day in np.unique(t // 86_400_000).tolist()
    }
    shift = np.array([offsets[day].total_seconds() for day in (t // 86_400_000).tolist()])
    local = t / 1000 + shift
    hour, day = local % 86_400 / 3600, local // 86_400
    season = np.cos((day % 365.25 - 172) / 365.25 * 2 * np.pi)  # 1 at midsummer
    clouds = rng.uniform(0.25, 1.0, int(day[-1] - day[0]) + 1)[(day - day[0]).astype(int)]
    height = np.cos((hour - 12.7) / (12.2 + 3.4 * season) * np.pi)
    solar = np.where(np.abs(hour - 12.7) < 6.1 + 1.7 * season, np.maximum(height, 0), 0.0)
    solar *= (4.2 + 2.2 * season) * clouds * rng.uniform(0.93, 1.0, len(t))
    meals = sum(
        size * np.exp(-(((hour - at) / width) ** 2))
        for at, size, width in ((7.5, 1.6, 0.8), (12.5, 0.7, 1), (19, 2.6, 1.6))
    )
    load = 0.35 + meals * rng.uniform(0.6, 1.3, len(t)) + 0.4 * np.maximum(-season, 0)
    charges = rng.uniform(0, 1, int(day[-1] - day[0]) + 1)[(day - day[0]).astype(int)] < 0.45
    ev = np.where(charges & (hour >= 21) & (hour < 23.4), 7.2, 0.0)
    wanted = load + ev - solar
    battery, held = np.zeros(len(t)), 5.0
    charge = np.zeros(len(t))
    for place, want in enumerate(wanted.tolist()):
        power = min(max(want, -3.3, -(10 - held) * 3_600_000 / step_ms), 3.3, held * 3_600_000 / step_ms)
        held -= power * step_ms / 3_600_000
        battery[place], charge[place] = power, held * 10
    values = {
        GRID: -(wanted - battery),
        LOAD: -load,
        EV: -ev,
        SOLAR: solar,
        BATTERY: battery * 1000,
        SOC: charge,
        ("egauge", "A.L1_Frequency"): rng.normal(60, 0.02, len(t)),
        ("egauge", "A.L1_Voltage"): rng.normal(121, 0.5, len(t)),
        ("egauge", "A.L2_Voltage"): rng.normal(120, 0.5, len(t)),
    }
    return {key: Series(t, value) for key, value in values.items()}


def without(readings: Readings, start_ms: int, end_ms: int) -> dict[Field, Series]:
    """The readings with a gap in [start_ms, end_ms)."""
    left = {}
    for key, series in readings.items():
        keep = (series.timestamps < start_ms) | (series.timestamps >= end_ms)
        left[key] = Series(series.timestamps[keep], series.values[keep])
    return left


def newest(readings: Readings) -> dict[Field, tuple[int, float]]:
    return {
        key: (int(series.timestamps[-1]), float(series.values[-1]))
        for key, series in readings.items()
        if len(series)
    }


def filled(
    now_ms: int, readings: Readings, events: Sequence[Event] = (), *, of: Definition | None = None
) -> HomeState:
    """A HomeState that was handed all of `readings` and `events` at `now_ms`."""
    day = HomeState(definition() if of is None else of, now_ms)
    bring(day, now_ms, day.start_ms, readings, events)
    return day


def bring(
    day: HomeState, now_ms: int, from_ms: int, readings: Readings, events: Sequence[Event] = ()
) -> None:
    """Hand a day what a database that holds `readings` and `events` has from `from_ms` on."""
    day.note_newest(newest(readings))
    since = day.reads_from(from_ms)
    tails = {key: readings.get(key, Series.empty()).between(since, FAR) for key in day.fields}
    day.take(now_ms, from_ms, tails, [one for one in events if one.timestamp_ms >= from_ms])
