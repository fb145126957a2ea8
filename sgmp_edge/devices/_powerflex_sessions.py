"""Charging sessions from the rows of a charging station. Pure.

A session lasts from the first row that is not UNPLUGGED to the next that is. Its energy is the sum of the rises of
`energy_delivered`: the counter starts again from zero whenever it falls, and after a session it may keep its value
until the next one delivers something.
"""

from __future__ import annotations

from dataclasses import dataclass

from sgmp_edge.common import Event
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING

_UNPLUGGED = "UNPLUGGED"
_JITTER = 0.01
"""A fall by less than this share is a value rounded otherwise, not a counter that starts again."""


@dataclass(frozen=True, order=True)
class Sample:
    """What sessions need of a row. `time`: seconds, UTC; `plugged`: None where the row has no state; `energy`: mWh."""

    time: float
    plugged: bool | None = None
    energy: float | None = None


@dataclass(frozen=True)
class Session:
    """A car at the station. `start`: seconds, None if it was there before the first row; `energy`: mWh so far."""

    start: float | None
    energy: float


@dataclass(frozen=True)
class Station:
    """What is known of a station after a row; `energy` is the value of its counter."""

    plugged: bool | None = None
    energy: float | None = None
    session: Session | None = None


def plugged_by(state: object) -> bool | None:
    """Whether a `charging_state` means that a car is there; None if it is not a state."""
    if not isinstance(state, str) or not state.strip():
        return None
    return state.strip().upper() != _UNPLUGGED


def follow(station: Station, row: Sample) -> tuple[Station, list[Event]]:
    """The station after one more row, and the events that the row brings."""
    plugged = station.plugged if row.plugged is None else row.plugged
    energy = station.energy if row.energy is None else row.energy
    session, events = station.session, []
    if plugged and session is None:
        # A car that is there at the first row came at a time that nobody knows.
        session = Session(row.time if station.plugged is False else None, 0.0)
        if session.start is not None:
            events.append(_event(row.time, EV_START_CHARGING, {}))
        delivered = 0.0 if _same(station.energy, energy) else energy or 0.0
        session = Session(session.start, delivered)
    elif session is not None:
        session = Session(session.start, session.energy + _rise(station.energy, energy))
    if session is not None and plugged is False:
        data: dict[str, float] = {"energy": session.energy}
        if session.start is not None:
            data["duration"] = round((row.time - session.start) * 1000)
        events.append(_event(row.time, EV_END_CHARGING, data))
        session = None
    if _same(station.energy, energy):
        energy = station.energy
    return Station(plugged, energy, session), events


def _rise(before: float | None, after: float | None) -> float:
    if after is None or _same(before, after):
        return 0.0
    return after - before if before is not None and after > before else after


def _same(before: float | None, after: float | None) -> bool:
    """Whether the counter stands where it stood."""
    if before is None or after is None:
        return before is after
    return before * (1 - _JITTER) < after <= before or after == before


def _event(time: float, type_: str, data: dict[str, float]) -> Event:
    return Event(round(time * 1000), type_, data)
