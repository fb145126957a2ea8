"""Home snapshots of an invented house, for tests and their pictures. The sums hold: what comes in goes out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.reports.balance import COLUMNS, ROWS, UNKNOWN, Totals
from sgmp_console.reports.home import (
    ChargingToday,
    Curve,
    DeviceAge,
    EnergyToday,
    HomeSnapshot,
    Latest,
)
from sgmp_console.store.findings import Finding, Severity, State
from sgmp_console.timeseries.series import Series

ZONE = ZoneInfo("America/Los_Angeles")
NOW_MS = int(datetime(2025, 5, 14, 14, 3, 12, tzinfo=ZONE).timestamp() * 1000)
DAY_MS = 86_400_000

UNITS = {"soc": "%", "l1_frequency": "Hz", "l1_voltage": "V", "l2_voltage": "V"}


@cache
def snapshot(
    *,
    now_ms: int = NOW_MS,
    step_ms: int = 4000,
    outages_ms: tuple[tuple[int, int], ...] = ((31_000_000, 38_000_000),),
    house_id: int = 1,
    house_name: str = "Maple House",
    seed: int = 7,
) -> HomeSnapshot:
    """A day of readings every `step_ms`; `outages_ms` are stretches before now, [from, to), without readings."""
    rng = np.random.default_rng(seed)
    start = now_ms - DAY_MS
    t = np.arange(start, now_ms, step_ms, dtype=np.int64) + step_ms // 2
    offset = datetime.fromtimestamp(now_ms / 1000, ZONE).utcoffset()
    assert offset is not None
    hour = ((t / 1000 + offset.total_seconds()) % 86_400) / 3600
    wobble = np.interp(t, t[::200], rng.normal(0, 1, len(t[::200])))
    solar = np.clip(5.4 * np.sin((hour - 6) / 13 * np.pi), 0, None) * np.clip(0.9 + 0.15 * wobble, 0.2, 1.05)
    load = 0.6 + 1.4 * np.exp(-(((hour - 19) / 2) ** 2)) + 0.7 * np.exp(-(((hour - 7.5) / 1.2) ** 2))
    load = load + 0.12 * np.abs(wobble) + rng.normal(0, 0.03, len(t))
    ev = np.where((hour > 20.5) & (hour < 23.2) | (hour > 13.2) & (hour < 14.4), 3.6, 0.0)
    surplus = solar - load
    battery = np.clip(-surplus, -3.3, 2.5) * ((hour > 8) & (hour < 23.5))
    grid = load + ev - solar - battery
    soc = np.clip(45 + np.cumsum(-battery) * step_ms / 3_600_000 * 7, 8, 97)
    values = {
        "solar": solar,
        "load": load,
        "battery_charging": np.clip(-battery, 0, None),
        "battery_discharging": np.clip(battery, 0, None),
        "ev": ev,
        "grid_import": np.clip(grid, 0, None),
        "grid_export": np.clip(-grid, 0, None),
        "soc": soc,
        "l1_frequency": 60 + np.cumsum(rng.normal(0, 1, len(t))) * 0.0002 + rng.normal(0, 0.004, len(t)),
        "l1_voltage": 121.4 + 0.6 * wobble + rng.normal(0, 0.1, len(t)),
        "l2_voltage": 120.8 + 0.5 * np.roll(wobble, 99) + rng.normal(0, 0.1, len(t)),
    }
    there = np.ones(len(t), bool)
    for before, until in outages_ms:
        there &= ~((t >= now_ms - until) & (t < now_ms - before))
    curves = {item: _curve(item, t[there], value[there]) for item, value in values.items()}
    midnight = datetime.fromtimestamp(now_ms / 1000, ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    midnight_ms = int(midnight.timestamp() * 1000)
    newest = int(t[there][-1]) if there.any() else None
    return HomeSnapshot(
        house_id=house_id,
        house_name=house_name,
        time_zone=ZONE.key,
        now_ms=now_ms,
        start_ms=start,
        end_ms=now_ms,
        devices=(
            DeviceAge("egauge", "egauge", newest),
            DeviceAge("powerflex", "powerflex", newest and newest - 9000),
            DeviceAge("sonnen", "sonnen", newest),
        ),
        missing_items=(),
        curves=curves,
        energy_today=EnergyToday(
            midnight_ms, now_ms - now_ms % 300_000, _totals(), missing={"battery_charging": 24, "solar": 0}
        ),
        charging_today=ChargingToday(started=2, ended=1, energy_kwh=7.9, sessions=2),
        findings=(
            Finding(
                7,
                1,
                "powerflex",
                "device_down",
                "",
                Severity.CRITICAL,
                now_ms - 9_000_000,
                None,
                details={"text": "Device is down: sign-in refused: check username and password"},
            ),
            Finding(
                6,
                1,
                "egauge",
                "device_warning",
                "register A.SubPanel jumped further than can be",
                Severity.WARNING,
                now_ms - 5_000_000,
                None,
                value=12,
                details={"text": "register A.SubPanel jumped further than can be"},
            ),
            Finding(
                5,
                1,
                "",
                "config_not_sent",
                "",
                Severity.INFO,
                now_ms - 7_200_000,
                None,
                state=State.ACKNOWLEDGED,
                who="ann@example.org",
                note="after the visit",
            ),
            Finding(
                4,
                1,
                "sonnen",
                "device_down",
                "",
                Severity.CRITICAL,
                now_ms - 38_000_000,
                now_ms - 31_000_000,
                details={"text": "Device is down: no answer within 3 s"},
                state=State.RESOLVED,
            ),
        ),
        watched_ms=now_ms - 3_000,
        edge=EdgeStanding(Presence.ONLINE, now_ms - 20_000),
    )


def _totals() -> Totals:
    """14 h of which 12 are attributed: 22.15 kWh used, of which the sun delivered 12."""
    flows = np.zeros((len(ROWS), len(COLUMNS)))
    for source, use, kwh in (
        ("solar", "load", 9.0), ("solar", "ev", 3.0), ("solar", "battery_charging", 6.5), ("solar", "grid_export", 3.2),
        ("battery_discharging", "load", 3.18), ("grid_import", "load", 5.07), ("grid_import", "ev", 1.6),
        (UNKNOWN, "load", 0.3),
    ):  # fmt: skip
        flows[ROWS.index(source), COLUMNS.index(use)] = kwh
    return Totals(flows, attributed=144, slots=168)


def empty(*, devices: bool, missing: tuple[str, ...]) -> HomeSnapshot:
    """A house that was just made."""
    full = snapshot()
    return replace(
        full,
        devices=(DeviceAge("egauge", "egauge", None),) if devices else (),
        missing_items=missing,
        curves={},
        energy_today=replace(full.energy_today, totals=Totals(slots=168)),
        charging_today=ChargingToday(None, None, None),
        findings=(),
    )


def stale(*, for_ms: int = 1_500_000) -> HomeSnapshot:
    """A house that was last heard of some time ago."""
    return snapshot(outages_ms=((0, for_ms),))


def _curve(item: str, t: np.ndarray, values: np.ndarray) -> Curve:
    series = Series(t, values)
    latest = Latest(int(t[-1]), float(values[-1])) if len(t) else None
    return Curve(item, UNITS.get(item, "kW"), series, latest)
