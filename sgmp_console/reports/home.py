"""What the Home dashboard shows of one house: plain values, no Qt, no SQL.

`reports.live.HomeLoader` fills these on a worker thread; the window only draws them. A snapshot is whole and never
changes: everything on Home can be drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sgmp_console.reports.balance import BALANCE_ITEMS, Totals, needed_to_check
from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.store.findings import Finding
from sgmp_console.timeseries import Series

if TYPE_CHECKING:
    from sgmp_console.fleet.edge_state import EdgeStanding

POWER_SOURCES = ("solar", "battery_discharging", "grid_import")
POWER_USES = ("load", "ev", "battery_charging", "grid_export")
POWER_ITEMS = (*POWER_SOURCES, *POWER_USES)
"""The curves of the power chart, kW, in the order of its legend: what carried the house, and what it went into."""

LINE_ITEMS = ("l1_frequency", "l1_voltage", "l2_voltage")
"""Grid frequency (Hz) and voltages (V)."""

HOME_ITEMS = (*POWER_ITEMS, "soc", *LINE_ITEMS)
"""All analytic items that Home reads; each is one of the required ones."""

STALE_AFTER_MS = 60_000
"""A newest value older than this is not shown as current, where it is not known how often its device is polled."""

LEAST_STALE_AFTER_MS = 20_000
"""However often a device is polled: a batch may be late by so much without anything being wrong."""

GAP_MS = 150_000
"""Readings further apart than this have a gap between them: history is kept at one-minute steps or finer."""


@dataclass(frozen=True)
class Latest:
    """The newest value of a quantity, however old.

    `stale_after_ms` is a few polls of the devices behind it.
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
    its series is empty then. `band`: where the values are means, the least and the greatest of what each is the mean of,
    as far as they are known.
    """

    item: str
    unit: str
    series: Series
    latest: Latest | None = None
    problem: str | None = None
    gap_ms: int = GAP_MS
    band: tuple[Series, Series] | None = None


@dataclass(frozen=True, eq=False)
class EnergyToday:
    """`[start_ms, end_ms)`: the house's local midnight to the end of the last slot that is over.

    The running slot is not counted: its mean stands for five minutes that have not passed yet. `totals`: where the
    energy came from and went, of the slots in which every item has a value and that no note excludes. `absent`: items of the balance that the
    house does not have, or that can't be evaluated; they count as zero. `missing`: by item, how many slots have no
    value of it.
    """

    start_ms: int
    end_ms: int
    totals: Totals
    absent: tuple[str, ...] = ()
    missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def can_be_checked(self) -> bool:
        """Whether a residual says something: not with a part that is missing."""
        present = set(BALANCE_ITEMS) - set(self.absent)
        return present.issuperset(needed_to_check(present))


@dataclass(frozen=True)
class ChargingToday:
    """EV charging since the house's midnight, from the chargers' own events.

    `sessions` counts those of which a part is today's: a car that was plugged in the evening before counts, too.
    `started` and `ended` count what happened today. None where the house has no such item. `energy_kwh` is what the
    sessions that ended took; None where the house has no such item or none ended.
    """

    started: int | None
    ended: int | None
    energy_kwh: float | None
    sessions: int | None = None


@dataclass(frozen=True)
class DeviceAge:
    """A device of the house and when its newest reading was measured; None: it never sent one."""

    name: str
    type: str
    newest_ms: int | None
    stale_after_ms: int = STALE_AFTER_MS
    """A few polls of this device."""

    def is_silent(self, now_ms: int) -> bool:
        """It delivered readings before, and none lately."""
        return self.newest_ms is not None and now_ms - self.newest_ms > self.stale_after_ms


@dataclass(frozen=True, eq=False)
class HomeSnapshot:
    """All that Home shows of a house at `now_ms`.

    `curves` has an entry for each of HOME_ITEMS that the house has, over `[start_ms, end_ms)` (24 h, and what an edge
    whose clock is ahead has already sent). `devices` are in order of name. `missing_items` are the required analytic items
    that the house does not have, in the playbook's order. `findings`: those that are open, then those that ended today, each
    with the newest first. `watched_ms`: when the watch last looked at all houses; None: it never did.
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
    findings: tuple[Finding, ...] = ()
    watched_ms: int | None = None
    edge: EdgeStanding | None = None
    """What the house's edge last reported of itself; None: not read."""
    marks: tuple[TimeMark, ...] = ()
    """The findings that held in the window, and its notes, in order of time."""
    load_without_ev: Curve | None = None
    """The load with the car taken off, where the load's meter measures it, too: what stands in sums beside the car."""

    @property
    def newest_ms(self) -> int | None:
        """The newest reading of any device; None where there never was one."""
        return max((d.newest_ms for d in self.devices if d.newest_ms is not None), default=None)

    def silent_devices(self, now_ms: int) -> tuple[DeviceAge, ...]:
        """Those that delivered before and do not now."""
        return tuple(device for device in self.devices if device.is_silent(now_ms))

    def is_heard(self, now_ms: int) -> bool:
        """Whether any device delivers readings now."""
        return any(device.newest_ms is not None and not device.is_silent(now_ms) for device in self.devices)

    @property
    def power_curves(self) -> Mapping[str, Curve]:
        """Those that add up: the load does not contain the car."""
        return self.curves if self.load_without_ev is None else {**self.curves, "load": self.load_without_ev}

    def latest(self, item: str) -> Latest | None:
        """The newest value of an item; None where the house has no such item or there never was a value."""
        curve = self.curves.get(item)
        return curve.latest if curve else None

    def latest_power(self, item: str) -> Latest | None:
        """As `latest`, of `power_curves`."""
        curve = self.power_curves.get(item)
        return curve.latest if curve else None
