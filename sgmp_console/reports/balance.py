"""The energy balance of a house: where its energy came from and where it went, slot by slot.

Pure NumPy. Within a slot the sun serves the load and the car first (each its share), then the battery, then the export;
the battery serves load and car, then the export; the grid serves the rest, then the battery. Where import and export
(or charging and discharging) both happen within one slot, this order alone could leave a source over beside a use that
nothing serves. The flows are then exchanged so far that only the difference of all sources and all uses is left: the
residual. So in every slot

    row of a source = the source        column of a use = the use        residual = sources - uses

where the residual is the column UNMATCHED (energy that no use accounts for) or the row UNKNOWN (energy used that no
source accounts for), never both.

A ledger follows what the battery holds by its origin. What leaves it, as discharge or as loss, is taken pro rata.
Everything is in kWh per slot, so hours, days, months and any other range are plain sums.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sgmp_console.timeseries import SLOT_MS, SLOTS_PER_HOUR, SlotMeans, calendar, snap

SOURCES = ("solar", "grid_import", "battery_discharging")
USES = ("load", "ev", "battery_charging", "grid_export")
BALANCE_ITEMS = (*SOURCES, *USES)
"""The analytic items that a balance is made of; those that a house doesn't have are zero."""

UNKNOWN = "unknown"
"""The row of what no source accounts for, and the origin of what the battery held before its ledger began."""
UNMATCHED = "unmatched"
"""The column of what no use accounts for."""

ROWS = (*SOURCES, UNKNOWN)
COLUMNS = (*USES, UNMATCHED)
ORIGINS = ("solar", "grid_import", UNKNOWN)

_SUN, _GRID, _BATTERY, _UNKNOWN = range(len(ROWS))
_LOAD, _EV, _CHARGING, _EXPORT, _UNMATCHED = range(len(COLUMNS))
_CONSUMED = [_LOAD, _EV]

_Array = NDArray[np.float64]


def without_car(load_kw: _Array, ev_kw: _Array) -> _Array:
    """What is left of a load whose meter measures the car, too. As everywhere in the balance, a car that drifts below zero
    took nothing, and less than nothing is not left."""
    return np.maximum(load_kw - np.maximum(ev_kw, 0.0), 0.0)


def needed_to_check(present: Collection[str]) -> tuple[str, ...]:
    """The items without which nobody knows whether a house adds up, for one that has the items `present`.

    A house may do without a car or a battery; a battery has both of its items.
    """
    battery = ("battery_discharging", "battery_charging")
    has_battery = any(item in present for item in battery)
    return ("solar", "grid_import", "load", "grid_export", *(battery if has_battery else ()))


@dataclass(frozen=True)
class Ledger:
    """What a battery holds, by origin, in kWh. `unknown`: stored before the ledger began, or from no known source."""

    solar: float = 0.0
    grid_import: float = 0.0
    unknown: float = 0.0

    @property
    def stored_kwh(self) -> float:
        return self.solar + self.grid_import + self.unknown

    def limited(self, stored_kwh: float) -> Ledger:
        """The ledger of a battery that holds no more than `stored_kwh`: the rest was lost, pro rata.

        Losses show only where the content is known, for example as state of charge times capacity.
        """
        if self.stored_kwh <= stored_kwh or self.stored_kwh == 0:
            return self
        kept = max(stored_kwh, 0.0) / self.stored_kwh
        return Ledger(self.solar * kept, self.grid_import * kept, self.unknown * kept)


@dataclass(frozen=True, eq=False)
class Totals:
    """The balance of some time, in kWh of its attributed slots.

    `flows`: ROWS x COLUMNS. `discharged`: ORIGINS x COLUMNS, the battery's row of `flows` by the origin of what was
    stored. `attributed` and `slots` count slots; of those not attributed nothing is in the sums.
    """

    flows: _Array = field(default_factory=lambda: np.zeros((len(ROWS), len(COLUMNS))))
    discharged: _Array = field(default_factory=lambda: np.zeros((len(ORIGINS), len(COLUMNS))))
    attributed: int = 0
    slots: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.flows + other.flows,
            self.discharged + other.discharged,
            self.attributed + other.attributed,
            self.slots + other.slots,
        )

    def flow(self, row: str, column: str) -> float:
        """From a source (or UNKNOWN) to a use (or UNMATCHED)."""
        return float(self.flows[ROWS.index(row), COLUMNS.index(column)])

    def through_battery(self, origin: str, column: str) -> float:
        """What the battery delivered to a use of energy that came from an origin, at whatever time."""
        return float(self.discharged[ORIGINS.index(origin), COLUMNS.index(column)])

    def source(self, name: str) -> float:
        return float(self.flows[ROWS.index(name)].sum())

    def use(self, name: str) -> float:
        return float(self.flows[:, COLUMNS.index(name)].sum())

    @property
    def consumption(self) -> float:
        """What the house used: load and car."""
        return float(self.flows[:, _CONSUMED].sum())

    @property
    def residual(self) -> float:
        """What does not add up, whichever sign it had in each slot."""
        return float(self.flows[_UNKNOWN].sum() + self.flows[:, _UNMATCHED].sum())

    @property
    def not_attributed_hours(self) -> float:
        return (self.slots - self.attributed) / SLOTS_PER_HOUR

    def consumed_from(self, origin: str) -> float:
        """What the house used of an origin (ORIGINS), directly or through the battery."""
        row = {"solar": _SUN, "grid_import": _GRID, UNKNOWN: _UNKNOWN}[origin]
        directly = self.flows[row, _CONSUMED].sum()
        return float(directly + self.discharged[ORIGINS.index(origin), _CONSUMED].sum())

    @property
    def autarky(self) -> float | None:
        """The share of the consumption not from the grid, directly or through the battery, 0 to 1.

        Consumption of unknown origin is left out. None where nothing of known origin was used.
        """
        own, grid = self.consumed_from("solar"), self.consumed_from("grid_import")
        return _share(own, grid)

    @property
    def self_consumption(self) -> float | None:
        """The share of the sun not exported, 0 to 1; what no use accounts for is left out. None without sun."""
        sun = self.flows[_SUN]
        return _share(float(sun[[*_CONSUMED, _CHARGING]].sum()), float(sun[_EXPORT]))


def _share(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest > 0 else None


@dataclass(frozen=True, eq=False)
class Balance:
    """The balance of the half-open range [start_ms, end_ms) of whole slots.

    `starts`: of the attributed slots, int64 ms, ascending. `flows`: slot x ROWS x COLUMNS; `discharged`: slot x ORIGINS
    x COLUMNS, kWh. `missing`: by item how many slots have no value of it. `opening`, `closing`: the ledger at the
    range's start and end.
    """

    start_ms: int
    end_ms: int
    starts: NDArray[np.int64]
    flows: _Array
    discharged: _Array
    missing: Mapping[str, int]
    opening: Ledger
    closing: Ledger

    @property
    def total(self) -> Totals:
        return self.between(self.start_ms, self.end_ms)

    def between(self, start_ms: int, end_ms: int) -> Totals:
        """The sums of the slots in the part of a range, snapped to slots, that lies in this one."""
        start, end = snap(start_ms, end_ms)
        start, end = max(start, self.start_ms), min(end, self.end_ms)
        first, last = np.searchsorted(self.starts, (start, max(start, end)))
        return Totals(
            self.flows[first:last].sum(axis=0),
            self.discharged[first:last].sum(axis=0),
            int(last - first),
            max(end - start, 0) // SLOT_MS,
        )

    def parts(self, bounds: Sequence[int]) -> list[Totals]:
        """The sums between neighbouring bounds (UTC ms, ascending, on slots): hours, days, months."""
        return [self.between(start, end) for start, end in pairwise(bounds)]


def joined(parts: Sequence[Balance]) -> Balance:
    """Balances of ranges that follow one another, as one. Raises ValueError for none."""
    if not parts:
        raise ValueError("no balance to join")
    missing = {name: sum(part.missing.get(name, 0) for part in parts) for name in parts[0].missing}
    return Balance(
        parts[0].start_ms,
        parts[-1].end_ms,
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.flows for part in parts]),
        np.concatenate([part.discharged for part in parts]),
        missing,
        parts[0].opening,
        parts[-1].closing,
    )


def weekly_balance(
    means: Mapping[str, SlotMeans],
    start_ms: int,
    end_ms: int,
    zone: str,
    *,
    load_contains_ev: bool = False,
) -> Balance:
    """The balance of a range with the battery's ledger as it is everywhere: opened with each week of the house.

    A week opens with the ledger that the week before leaves if it began with an empty one: by then a battery has been
    turned over. So what a slot's energy came from depends on the slot alone and not on the range that is asked for, late
    readings change it by themselves, and any range is the sum of its slots. `means` from `ledger_from_ms(start_ms, zone)`
    on; `zone` is the house's.
    """
    start, end = snap(start_ms, end_ms)
    parts = []
    for first, last in _weeks(start, max(end, start + 1), zone):
        before, _ = _week_of(first - 1, zone)
        opening = balance(means, before, first, load_contains_ev=load_contains_ev).closing
        if first < start:
            opening = balance(means, first, start, load_contains_ev=load_contains_ev, opening=opening).closing
        parts.append(
            balance(
                means,
                max(first, start),
                min(last, end),
                load_contains_ev=load_contains_ev,
                opening=opening,
            )
        )
    return joined(parts)


def ledger_from_ms(start_ms: int, zone: str) -> int:
    """From when on the battery's ledger has to be followed to know it at `start_ms`, UTC ms."""
    monday, _ = _week_of(start_ms, zone)
    return _week_of(monday - 1, zone)[0]


def opening_ledger(
    means: Mapping[str, SlotMeans], at_ms: int, zone: str, *, load_contains_ev: bool = False
) -> Ledger:
    """The battery's ledger at an instant, for a balance that begins there. `means` as for `weekly_balance`."""
    return weekly_balance(means, at_ms, at_ms, zone, load_contains_ev=load_contains_ev).opening


def _week_of(at_ms: int, zone: str) -> tuple[int, int]:
    """The house's week, Monday's midnight to the next, that holds an instant."""
    when = calendar.date_of(at_ms, zone)
    monday = when - timedelta(days=when.weekday())
    return calendar.day(monday, zone)[0], calendar.day(monday + timedelta(days=7), zone)[0]


def _weeks(start_ms: int, end_ms: int, zone: str) -> list[tuple[int, int]]:
    weeks = [_week_of(start_ms, zone)]
    while weeks[-1][1] < end_ms:
        weeks.append(_week_of(weeks[-1][1], zone))
    return weeks


def balance(
    means: Mapping[str, SlotMeans],
    start_ms: int,
    end_ms: int,
    *,
    load_contains_ev: bool = False,
    opening: Ledger = Ledger(),
) -> Balance:
    """The balance of the slots in [start_ms, end_ms), snapped to slots.

    `means`: by name of BALANCE_ITEMS the slot means in kW; an item that is not among them counts as zero, one that is
    there but has no value in a slot leaves that slot unattributed. Negative means count as zero. `load_contains_ev`:
    the meter of the load measures the car, too. `opening`: the battery's ledger at `start_ms`.
    """
    start, end = snap(start_ms, end_ms)
    starts, kwh, missing = _attributed(means, start, end)
    if load_contains_ev:
        kwh["load"] = without_car(kwh["load"], kwh["ev"])
    flows = _flows([kwh[name] for name in SOURCES], [kwh[name] for name in USES])
    discharged, closing = _through_battery(flows, opening)
    return Balance(start, end, starts, flows, discharged, missing, opening, closing)


@dataclass(frozen=True)
class CarInLoad:
    """What does not add up over a range, whichever sign it has in each slot, kWh: with the load taken not to contain the
    car (`apart_kwh`), and to contain it (`together_kwh`).

    `at_most_kwh`: by so much the two can differ. A house that used nothing while the car was charged says nothing.
    """

    apart_kwh: float
    together_kwh: float
    at_most_kwh: float

    @property
    def suggestion(self) -> bool | None:
        """Whether the load contains the car: what leaves less over. None where that can't be known."""
        difference = self.apart_kwh - self.together_kwh
        if self.at_most_kwh < _LEAST_EVIDENCE_KWH or abs(difference) < self.at_most_kwh / 4:
            return None
        return difference > 0


_LEAST_EVIDENCE_KWH = 0.5
"""Less than a short charge says nothing beside the tolerance of meters."""


def car_in_load(means: Mapping[str, SlotMeans], start_ms: int, end_ms: int) -> CarInLoad:
    """What the balance says of whether the meter of the load measures the car, too. `means` as for `balance`."""
    start, end = snap(start_ms, end_ms)
    _, kwh, _ = _attributed(means, start, end)
    others = sum(kwh[name] for name in SOURCES) - kwh["battery_charging"] - kwh["grid_export"]
    return CarInLoad(
        float(np.abs(others - kwh["load"] - kwh["ev"]).sum()),
        float(np.abs(others - np.maximum(kwh["load"], kwh["ev"])).sum()),
        float(np.minimum(kwh["load"], kwh["ev"]).sum()),
    )


def _attributed(
    means: Mapping[str, SlotMeans], start_ms: int, end_ms: int
) -> tuple[NDArray[np.int64], dict[str, _Array], dict[str, int]]:
    """The slots in which every item has a value, each item's kWh in them, and how many slots each has no value in."""
    starts = np.arange(start_ms, end_ms, SLOT_MS, dtype=np.int64)
    count = len(starts)
    covered: dict[str, SlotMeans] = {
        name: means[name].between(start_ms, end_ms) for name in BALANCE_ITEMS if name in means
    }
    for one in covered.values():
        starts = starts[np.isin(starts, one.starts, assume_unique=True)]
    kwh = dict.fromkeys(BALANCE_ITEMS, np.zeros(len(starts)))
    for name, one in covered.items():
        places = np.searchsorted(one.starts, starts)
        kwh[name] = np.maximum(one.means[places], 0.0) / SLOTS_PER_HOUR
    return starts, kwh, {name: count - one.covered for name, one in covered.items()}


# --- Flows within a slot ------------------------------------------------------------------------------------------


def _flows(sources: Sequence[_Array], uses: Sequence[_Array]) -> _Array:
    flows = _Slots(sources, uses)
    flows.serve(_SUN, _CONSUMED)
    flows.serve(_SUN, [_CHARGING])
    flows.serve(_SUN, [_EXPORT])
    flows.serve(_BATTERY, _CONSUMED)
    flows.serve(_BATTERY, [_EXPORT])
    flows.serve(_GRID, _CONSUMED)
    flows.serve(_GRID, [_CHARGING])
    # The grid is left over beside an export: what sun and battery gave to others was exported, and the grid was there.
    flows.exchange(_GRID, _EXPORT, giver=_SUN, taken_from=[_CHARGING])
    flows.exchange(_GRID, _EXPORT, giver=_BATTERY, taken_from=_CONSUMED)
    flows.exchange(_GRID, _EXPORT, giver=_SUN, taken_from=_CONSUMED)
    # The battery is left over beside a charging that nothing serves.
    flows.exchange(_BATTERY, _CHARGING, giver=_SUN, taken_from=[_EXPORT])
    flows.exchange(_BATTERY, _CHARGING, giver=_GRID, taken_from=_CONSUMED)
    flows.exchange(_BATTERY, _CHARGING, giver=_SUN, taken_from=_CONSUMED)
    # Nothing else took part: it went in and out within the slot.
    flows.serve(_GRID, [_EXPORT])
    flows.serve(_BATTERY, [_CHARGING])
    return flows.closed()


class _Slots:
    """Flows of all slots under way, and what is left of each source and use."""

    def __init__(self, sources: Sequence[_Array], uses: Sequence[_Array]) -> None:
        self._left = np.stack(sources, axis=1)
        self._wanted = np.stack(uses, axis=1)
        self._flows = np.zeros((len(self._left), len(ROWS), len(COLUMNS)))

    def serve(self, source: int, uses: Sequence[int]) -> None:
        """Let a source serve uses, each in proportion to what it still wants."""
        wanted = self._wanted[:, uses]
        parts = _split(np.minimum(self._left[:, source], wanted.sum(axis=1)), wanted)
        self._flows[:, source, uses] += parts
        self._wanted[:, uses] = np.maximum(wanted - parts, 0.0)
        self._left[:, source] = np.maximum(self._left[:, source] - parts.sum(axis=1), 0.0)

    def exchange(self, source: int, use: int, *, giver: int, taken_from: Sequence[int]) -> None:
        """Let `giver` serve `use` with what it gave to others, and `source` serve those."""
        taken = self._flows[:, giver, taken_from]
        possible = np.minimum(self._left[:, source], self._wanted[:, use])
        parts = _split(np.minimum(possible, taken.sum(axis=1)), taken)
        amount = parts.sum(axis=1)
        self._flows[:, giver, taken_from] = np.maximum(taken - parts, 0.0)
        self._flows[:, giver, use] += amount
        self._flows[:, source, taken_from] += parts
        self._wanted[:, use] = np.maximum(self._wanted[:, use] - amount, 0.0)
        self._left[:, source] = np.maximum(self._left[:, source] - amount, 0.0)

    def closed(self) -> _Array:
        """The flows, with what is left on either side as the residual."""
        self._flows[:, : len(SOURCES), _UNMATCHED] = self._left
        self._flows[:, _UNKNOWN, : len(USES)] = self._wanted
        return self._flows


def _split(amount: _Array, among: _Array) -> _Array:
    """An amount per slot in proportion to `among` (slot x part)."""
    whole = among.sum(axis=1)
    shares = np.divide(among, whole[:, None], out=np.zeros_like(among), where=whole[:, None] > 0)
    parts: _Array = shares * amount[:, None]
    return parts


# --- The battery's ledger -----------------------------------------------------------------------------------------


def _through_battery(flows: _Array, opening: Ledger) -> tuple[_Array, Ledger]:
    """The battery's row of each slot by origin (slot x ORIGINS x COLUMNS), and the ledger after the last slot.

    Within a slot the battery is charged first, so that a discharge can't take what is not there yet.
    """
    shares = np.zeros((len(flows), len(ORIGINS)))
    cycled = flows[:, _BATTERY, _CHARGING]  # goes out and in again, with the same origin
    charged = flows[:, [_SUN, _GRID, _UNKNOWN], _CHARGING]
    taken = flows[:, _BATTERY].sum(axis=1) - cycled
    active = np.flatnonzero(flows[:, _BATTERY].sum(axis=1) + charged.sum(axis=1))
    solar, grid, unknown = opening.solar, opening.grid_import, opening.unknown
    each = zip(active.tolist(), charged[active].tolist(), taken[active].tolist(), strict=True)
    # A loop in Python: what is stored depends on every slot before. Plain floats, since a year has 105,000 slots.
    for slot, (new_solar, new_grid, new_unknown), out in each:
        solar, grid, unknown = solar + new_solar, grid + new_grid, unknown + new_unknown
        stored = solar + grid + unknown
        if stored <= 0.0:
            shares[slot] = (0.0, 0.0, 1.0)
            continue
        known = 1.0 if out <= stored else stored / out  # the part of the discharge that the ledger has
        shares[slot] = (solar / stored * known, grid / stored * known, unknown / stored * known + 1.0 - known)
        kept = 1.0 - out / stored if out < stored else 0.0
        solar, grid, unknown = solar * kept, grid * kept, unknown * kept
    return shares[:, :, None] * flows[:, None, _BATTERY, :], Ledger(solar, grid, unknown)
