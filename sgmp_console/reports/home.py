"""What the Home dashboard shows of one house: plain values, no Qt, no SQL.

`reports.live.HomeLoader` fills these on a worker thread; the window only draws them. A snapshot is whole and never
changes: whoever has one can draw everything on Home from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sgmp_console.timeseries.series import Series

POWER_ITEMS = (
    "solar",
    "load",
    "battery_charging",
    "battery_discharging",
    "ev",
    "grid_import",
    "grid_export",
)
"""The curves of the power chart, kW, in the order of its legend."""

LINE_ITEMS = ("l1_frequency", "l1_voltage", "l2_voltage")
"""Grid frequency (Hz) and voltages (V)."""

HOME_ITEMS = (*POWER_ITEMS, "soc", *LINE_ITEMS)
"""All analytic items that Home reads; each is one of the required ones."""

ENERGY_SOURCES = ("grid_import", "battery_discharging", "solar")
"""Where today's energy came from, in the order shown."""

STALE_AFTER_MS = 60_000
"""A newest value older than this is not shown as current: edges poll every few seconds."""

GAP_MS = 150_000
"""Readings further apart than this have a gap between them: history is kept at one-minute steps or finer."""


@dataclass(frozen=True)
class Latest:
    """The newest value of a quantity, however old.

    `stale_after_ms` is longer than STALE_AFTER_MS where the devices behind it are polled less often than usual.
    """

    timestamp_ms: int
    value: float
    stale_after_ms: int = STALE_AFTER_MS

    def is_stale(self, now_ms: int) -> bool:
        return now_ms - self.timestamp_ms > self.stale_after_ms


@dataclass(frozen=True, eq=False)
class Curve:
    """An analytic item over the snapshot's window.

    `series` holds finite values only; two points further apart than `gap_ms` have a gap between them, never a line.
    `latest` may lie before the window, and is None where there never was a value. `problem` is the operator's
    sentence where the item can't be evaluated ("`ev` refers to device `egauge`, which this house doesn't have.");
    its series is empty then.
    """

    item: str
    unit: str
    series: Series
    latest: Latest | None = None
    problem: str | None = None
    gap_ms: int = GAP_MS


@dataclass(frozen=True)
class EnergyShare:
    """Energy of one source since the house's midnight.

    `energy_kwh` is the sum of the covered slots' means / 12, None where no slot is covered. `coverage` is covered
    slots / all slots so far, 0 to 1.
    """

    item: str
    energy_kwh: float | None
    coverage: float


@dataclass(frozen=True)
class EnergyToday:
    """`[start_ms, end_ms)`: the house's local midnight to the end of the last slot that is over.

    The running slot is not counted: its mean stands for five minutes that have not passed yet.
    """

    start_ms: int
    end_ms: int
    shares: tuple[EnergyShare, ...]


@dataclass(frozen=True)
class ChargingToday:
    """EV charging since the house's midnight, from the chargers' own events.

    `started` and `ended` count sessions; None where the house lacks the item. `energy_kwh` is what the sessions that
    ended took; None where the house lacks the item or none ended.
    """

    started: int | None
    ended: int | None
    energy_kwh: float | None


@dataclass(frozen=True)
class WarningGroup:
    """WARNING events of today (the house's day) of the same device and text."""

    device: str
    text: str
    count: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True)
class DeviceAge:
    """A device of the house and when its newest reading was measured; None: it never sent one."""

    name: str
    type: str
    newest_ms: int | None


@dataclass(frozen=True, eq=False)
class HomeSnapshot:
    """All that Home shows of a house at `now_ms`.

    `curves` has an entry for each of HOME_ITEMS that the house has, over `[start_ms, end_ms)` (24 h, and what an edge
    whose clock is ahead has already sent). `devices` are in order of name. `missing_items` are the required analytic items that the house lacks, in the playbook's order. `warnings` come
    newest first.
    """

    house_id: int
    house_name: str
    time_zone: str
    now_ms: int
    start_ms: int
    end_ms: int
    devices: tuple[DeviceAge, ...]
    missing_items: tuple[str, ...]
    curves: Mapping[str, Curve]
    energy_today: EnergyToday
    charging_today: ChargingToday
    warnings: tuple[WarningGroup, ...]

    @property
    def newest_ms(self) -> int | None:
        """The newest reading of any device; None where there never was one."""
        return max((d.newest_ms for d in self.devices if d.newest_ms is not None), default=None)

    def latest(self, item: str) -> Latest | None:
        """The newest value of an item; None where the house lacks it or there never was one."""
        curve = self.curves.get(item)
        return curve.latest if curve else None
