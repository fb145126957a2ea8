"""EV charging sessions, paired from the chargers' own events. Pure: events and power curves in, sessions out.

A session lasts from plugging in (`EV_START_CHARGING`) to unplugging (`EV_END_CHARGING`). Its energy is what the charger
counted. An END without a START, or a START that another START follows, is shown as what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sgmp_console.store import Event
from sgmp_console.timeseries import HOUR_MS, Series
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

LOOK_BACK_MS = 14 * 24 * HOUR_MS
"""Sessions that began up to two weeks before a period are found; cars are rarely plugged in longer."""

CHARGING_KW = 0.1
"""A car that takes more than this is charging; less is standby of the charger."""

_MAX_STEP_MS = 150_000
"""Readings further apart have a gap between them, which counts neither as charging nor as a pause."""

_MILLIWATT_HOURS = 1e-6
"""kWh of one mWh, the unit of the chargers' events."""


@dataclass(frozen=True)
class Session:
    """A car at a station. Times UTC ms; powers kW.

    `plugged_ms` is None where the START was not recorded and the END does not say how long it lasted; `unplugged_ms` is
    None while the car is plugged in, and where the END was not recorded (`end_missing`). `energy_kwh`: by the charger,
    of the whole session, None until it ends. `charging_ms`, `mean_kw`, `peak_kw`, `pauses` come from the power readings
    inside the period and are None without any.
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
        return begins < end_ms and ends >= start_ms

    def cut_at(self, start_ms: int, end_ms: int) -> tuple[bool, bool]:
        """Whether the period [start_ms, end_ms) cuts off its start, and its end."""
        starts_before = self.plugged_ms is not None and self.plugged_ms < start_ms
        ends_after = self.unplugged_ms is not None and self.unplugged_ms > end_ms
        return starts_before, ends_after

    def plugged_in_ms(self, start_ms: int, end_ms: int) -> int | None:
        """How long it was plugged in within [start_ms, end_ms); None where that is not known."""
        if self.plugged_ms is None or self.end_missing:
            return None
        until = end_ms if self.unplugged_ms is None else min(self.unplugged_ms, end_ms)
        return max(0, until - max(self.plugged_ms, start_ms))


def paired(events: Iterable[Event]) -> list[Session]:
    """The sessions that events (of any order and any type) tell of, in order of time."""
    open_at: dict[str, int] = {}
    found: list[Session] = []
    for event in sorted(events, key=lambda event: (event.timestamp_ms, event.type == EV_START_CHARGING)):
        if event.type == EV_START_CHARGING:
            if event.device in open_at:
                found.append(Session(event.device, open_at[event.device], None, end_missing=True))
            open_at[event.device] = event.timestamp_ms
        elif event.type == EV_END_CHARGING:
            energy = _number(event.data, "energy")
            plugged = open_at.pop(event.device, None)
            duration = _number(event.data, "duration")
            start_missing = plugged is None
            if plugged is None and duration is not None:
                plugged = event.timestamp_ms - round(duration)
            found.append(
                Session(
                    event.device,
                    plugged,
                    event.timestamp_ms,
                    None if energy is None else energy * _MILLIWATT_HOURS,
                    start_missing=start_missing,
                )
            )
    found += [Session(station, since, None) for station, since in open_at.items()]
    return sorted(
        found, key=lambda one: one.plugged_ms if one.plugged_ms is not None else one.unplugged_ms or 0
    )


def with_powers(session: Session, power: Series, start_ms: int, end_ms: int) -> Session:
    """The session with what its station's power readings (kW) say of it within [start_ms, end_ms)."""
    if session.plugged_ms is None or session.end_missing:
        return session
    until = end_ms if session.unplugged_ms is None else min(session.unplugged_ms, end_ms)
    part = power.between(max(session.plugged_ms, start_ms), until).finite()
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
        peak_kw=float(part.values.max()),
        pauses=_pauses(charging[known]),
    )


def _pauses(charging: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """How often charging stopped and went on again."""
    if not charging.any():
        return 0
    began = int(np.count_nonzero(np.diff(charging.astype(np.int8)) == 1)) + int(charging[0])
    return began - 1


def _number(data: Mapping[str, object], key: str) -> float | None:
    value = data.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
