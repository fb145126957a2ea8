"""EV charging sessions, paired from the chargers' own events. Pure: events, power curves and a balance in, sessions out.

A session lasts from plugging in (`EV_START_CHARGING`) to unplugging (`EV_END_CHARGING`). Its energy is what the charger
counted. An END without a START, or a START that another START follows, is shown as what it is; a START that an edge
repeats after a restart belongs to the session that the END's duration names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sgmp_console.reports.balance import COLUMNS, ROWS, SOURCES, Balance
from sgmp_console.reports.item_source import ALWAYS
from sgmp_console.store import Event
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, SlotAggregates, snap
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

LOOK_BACK_MS = 60 * 24 * HOUR_MS
"""Sessions that began up to so long before a period are found; cars are rarely plugged in longer."""

CHARGING_KW = 0.1
"""A car that takes more than this is charging; less is standby of the charger."""

_MAX_STEP_MS = 150_000
"""Readings further apart have a gap between them, which counts neither as charging nor as a pause."""

_SAME_START_MS = 60_000
"""A START so close to the one that an END's duration names is that one: both times are those of polls."""

_MILLIWATT_HOURS = 1e-6
"""kWh of one mWh, the unit of the chargers' events."""


@dataclass(frozen=True)
class Split:
    """Where the energy of a session's part in the period came from, kWh.

    `unknown_kwh`: from no known source, or taken while the balance was not known; the times without a balance are
    `not_attributed_ms`. The four energies add up to what the charger counted for a session that lies in the period
    whole, else to what the station's power readings in the period add up to.
    """

    solar_kwh: float
    battery_kwh: float
    grid_kwh: float
    unknown_kwh: float
    not_attributed_ms: int


@dataclass(frozen=True)
class Session:
    """A car at a station. Times UTC ms; powers kW.

    `plugged_ms` is None where the START was not recorded and the END does not say how long it lasted; `unplugged_ms` is
    None while the car is plugged in, and where the END was not recorded (`end_missing`). `energy_kwh`: by the charger,
    of the whole session, None until it ends. `charging_ms`, `mean_kw`, `peak_kw`, `pauses` come from the power readings
    inside the period and are None without any; `approximate`: from the means of slots, since readings of it are no longer
    kept. `split` is None where its energy in the period is not known.
    """

    station: str
    plugged_ms: int | None
    unplugged_ms: int | None
    energy_kwh: float | None = None
    start_missing: bool = False
    end_missing: bool = False
    charging_ms: int | None = None
    mean_kw: float | None = None
    peak_kw: float | None = None
    pauses: int | None = None
    approximate: bool = False
    split: Split | None = None

    @property
    def is_running(self) -> bool:
        return self.unplugged_ms is None and not self.end_missing

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether a part of it lies in [start_ms, end_ms)."""
        begins = self.plugged_ms if self.plugged_ms is not None else self.unplugged_ms
        ends = self.unplugged_ms if self.unplugged_ms is not None else self.plugged_ms
        if begins is None or ends is None:
            return False
        if self.is_running:
            return begins < end_ms
        return begins < end_ms and (ends > start_ms or begins >= start_ms)

    def cut_at(self, start_ms: int, end_ms: int) -> tuple[bool, bool]:
        """Whether the period [start_ms, end_ms) cuts off its start, and its end. A running one has no end to cut off."""
        starts_before = self.plugged_ms is not None and self.plugged_ms < start_ms
        ends_after = self.unplugged_ms is not None and self.unplugged_ms > end_ms
        return starts_before, ends_after

    def part(self, start_ms: int, end_ms: int) -> tuple[int, int] | None:
        """The part of it in [start_ms, end_ms), UTC ms; None where its start or its end is not known."""
        if self.plugged_ms is None or self.end_missing:
            return None
        until = end_ms if self.unplugged_ms is None else min(self.unplugged_ms, end_ms)
        since = max(self.plugged_ms, start_ms)
        return since, max(since, until)

    def plugged_in_ms(self, start_ms: int, end_ms: int) -> int | None:
        """How long it was plugged in within [start_ms, end_ms); None where that is not known."""
        part = self.part(start_ms, end_ms)
        return None if part is None else part[1] - part[0]


def paired(events: Iterable[Event]) -> list[Session]:
    """The sessions that events (of any order and any type) tell of, in order of time."""
    started: dict[str, list[int]] = {}  # by station: STARTs that no END followed yet
    found: list[Session] = []
    for event in sorted(events, key=lambda event: (event.timestamp_ms, event.type == EV_START_CHARGING)):
        if event.type == EV_START_CHARGING:
            started.setdefault(event.device, []).append(event.timestamp_ms)
        elif event.type == EV_END_CHARGING:
            found += _ended(event, started.pop(event.device, []))
    for station, starts in started.items():
        found += [Session(station, since, None, end_missing=True) for since in starts[:-1]]
        found.append(Session(station, starts[-1], None))
    return sorted(
        found, key=lambda one: one.plugged_ms if one.plugged_ms is not None else one.unplugged_ms or 0
    )


def _ended(end: Event, starts: list[int]) -> list[Session]:
    """The session that an END ends, and before it those whose END was lost. `starts`: the STARTs since the last END."""
    energy, duration = _number(end.data, "energy"), _number(end.data, "duration")
    by_duration = end.timestamp_ms - round(duration) if duration is not None else None
    plugged = starts[-1] if starts else by_duration
    start_missing = not starts
    if starts and by_duration is not None:
        near = min(starts, key=lambda at: abs(at - by_duration))
        if abs(near - by_duration) <= _SAME_START_MS:
            plugged = near  # those after it were repeated by a restart
        elif by_duration < starts[0]:
            plugged, start_missing = by_duration, True
    lost = [at for at in starts if plugged is not None and at < plugged]
    session = Session(
        end.device,
        plugged,
        end.timestamp_ms,
        None if energy is None else energy * _MILLIWATT_HOURS,
        start_missing=start_missing,
    )
    return [*(Session(end.device, at, None, end_missing=True) for at in lost), session]


@dataclass(frozen=True)
class StationPower:
    """What a station reported of its power, kW.

    `readings`; before `raw_from_ms` (UTC ms) they are points that stand for the means of slots, as `with_means_of` makes
    them. `peaks`: the highest reading of each of these slots, at its start.
    """

    readings: Series
    peaks: Series = field(default_factory=Series.empty)
    raw_from_ms: int = ALWAYS

    def with_means_of(self, slots: SlotAggregates, raw_from_ms: int) -> StationPower:
        """With slots in place of the readings before `raw_from_ms`, which are no longer kept: of those that are there all
        the same, until the server deletes them, none is replaced."""
        if len(self.readings):
            raw_from_ms = min(raw_from_ms, int(self.readings.timestamps[0]) // SLOT_MS * SLOT_MS)
        gone = slots.in_bounds & (slots.starts < raw_from_ms)
        starts, means = slots.starts[gone], slots.sums[gone] / slots.n[gone]
        # A point holds to the next one, and no step is a gap: to the very end of its slot.
        times = (starts[:, None] + np.array([0, SLOT_MS // 2, SLOT_MS - 1])).ravel()
        kept = self.readings.since(max(raw_from_ms, int(times[-1]) + 1) if len(times) else raw_from_ms)
        readings = Series(
            np.concatenate([times, kept.timestamps]), np.concatenate([np.repeat(means, 3), kept.values])
        )
        return StationPower(readings, Series(starts, slots.maxima[gone]), raw_from_ms)


def with_powers(session: Session, power: StationPower, start_ms: int, end_ms: int) -> Session:
    """The session with what its station's power says of it within [start_ms, end_ms)."""
    within = session.part(start_ms, end_ms)
    if within is None:
        return session
    part = power.readings.between(*within).finite()
    if len(part) < 2:
        return session
    steps = np.diff(part.timestamps)
    values = part.values[:-1]
    known = steps <= _MAX_STEP_MS
    charging = known & (values > CHARGING_KW)
    charging_ms = int(steps[charging].sum())
    mean = float((values * steps)[charging].sum() / charging_ms) if charging_ms else None
    return replace(
        session,
        charging_ms=charging_ms,
        mean_kw=mean,
        peak_kw=float(np.concatenate((part.values, power.peaks.between(*within).values)).max()),
        pauses=_pauses(charging[known]),
        approximate=bool(part.timestamps[0] < power.raw_from_ms),
    )


def with_split(
    session: Session, power: StationPower, balance: Balance | None, start_ms: int, end_ms: int
) -> Session:
    """The session with where the energy of its part in [start_ms, end_ms) came from.

    The energy of each slot, by the station's `power` (kW), is shared as the car's is in the balance. Where the station
    reports no power, the house's own curve of the car stands in for it.
    """
    within = session.part(start_ms, end_ms)
    if within is None or within[0] == within[1]:
        return session
    first, last = snap(*within)
    slots = np.arange(first, last, SLOT_MS, dtype=np.int64)
    overlap = np.minimum(slots + SLOT_MS, within[1]) - np.maximum(slots, within[0])
    shares, car_kwh = _shares(balance, slots)
    attributed = np.isin(slots, balance.starts) if balance is not None else np.zeros(len(slots), bool)
    weights = _slot_energies(power.readings.between(*within).finite(), within, slots)
    is_measured = bool(weights.sum() > 0)
    is_whole = within == (session.plugged_ms, session.unplugged_ms) and session.energy_kwh is not None
    energy = session.energy_kwh if is_whole else float(weights.sum()) if is_measured else None
    if energy is None:
        return session
    if not is_measured:
        weights = car_kwh * overlap / SLOT_MS
    scale = energy / weights.sum() if weights.sum() > 0 else 0.0
    parts = scale * np.nansum(weights[:, None] * shares, axis=0)
    solar, grid, battery = (float(parts[ROWS.index(row)]) for row in SOURCES)
    unknown = max(0.0, energy - solar - grid - battery)
    not_attributed_ms = int(overlap[~attributed].sum())
    return replace(session, split=Split(solar, battery, grid, unknown, not_attributed_ms))


def _shares(
    balance: Balance | None, slots: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each row of the balance gave of what the car took, in each slot (slot x ROWS), NaN where that is not known;
    and what the car took, kWh.

    Where the house's meter saw no car in a slot, its other consumption has the same sources.
    """
    shares, car_kwh = np.full((len(slots), len(ROWS)), np.nan), np.zeros(len(slots))
    if balance is None:
        return shares, car_kwh
    _, here, there = np.intersect1d(slots, balance.starts, assume_unique=True, return_indices=True)
    car = balance.flows[there][:, :, COLUMNS.index("ev")]
    load = balance.flows[there][:, :, COLUMNS.index("load")]
    served = np.where(car.sum(axis=1, keepdims=True) > 0, car, load)
    total = served.sum(axis=1, keepdims=True)
    shares[here] = np.divide(served, total, out=np.full_like(served, np.nan), where=total > 0)
    car_kwh[here] = car.sum(axis=1)
    return shares, car_kwh


def _slot_energies(power: Series, within: tuple[int, int], slots: NDArray[np.int64]) -> NDArray[np.float64]:
    """kWh in each slot: a reading holds to the next, unless there is a gap between them."""
    energies = np.zeros(len(slots))
    if not len(power) or not len(slots):
        return energies
    times = np.union1d(power.timestamps, np.append(slots, within[1]))
    times = times[(times >= power.timestamps[0]) & (times <= within[1])]
    steps = np.diff(times)
    holds = np.searchsorted(power.timestamps, times[:-1], side="right") - 1
    following = np.append(power.timestamps[1:], within[1])
    known = following[holds] - power.timestamps[holds] <= _MAX_STEP_MS
    np.add.at(
        energies,
        (times[:-1] - slots[0]) // SLOT_MS,
        np.where(known, np.maximum(power.values[holds], 0.0) * steps / HOUR_MS, 0.0),
    )
    return energies


def _pauses(charging: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """How often charging stopped and went on again."""
    if not charging.any():
        return 0
    began = int(np.count_nonzero(np.diff(charging.astype(np.int8)) == 1)) + int(charging[0])
    return began - 1


_LARGEST = 1e12
"""mWh (a gigawatt-hour) and ms (31 years): what is beyond, or below zero, is no number of a charger's."""


def _number(data: Mapping[str, object], key: str) -> float | None:
    value = data.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= _LARGEST else None  # type: ignore[arg-type,operator]
