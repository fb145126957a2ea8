"""Cars that come, charge and go at a charging station."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sgmp_console.demo.simulator import noise

MINUTE_MS = 60_000

UNPLUGGED = "UNPLUGGED"
READY = "READY"
ADAPTIVE = "ADAPTIVE"
NOT_CHARGING = "NOT CHARGING"

_AHEAD_MS = 3_600_000
_TAPER_MINUTES = 8
"""A car asks for less and less in its last minutes."""


@dataclass(frozen=True)
class Session:
    """One car at the station, from plug to unplug (UTC milliseconds, whole minutes).

    `watts` is the charging power at each whole minute from `charging_ms` on, zero at both ends, linear in between.
    """

    plugged_ms: int
    charging_ms: int
    unplugged_ms: int
    watts: tuple[float, ...]

    @property
    def charged_ms(self) -> int:
        """When it stopped charging."""
        return self.charging_ms + (len(self.watts) - 1) * MINUTE_MS

    @cached_property
    def energy_wh(self) -> float:
        """What the whole session delivers."""
        return self._delivered_by_minute[-1]

    @cached_property
    def _delivered_by_minute(self) -> tuple[float, ...]:
        return tuple(accumulate(((a + b) / 120 for a, b in pairwise(self.watts)), initial=0.0))

    def delivered_wh(self, time_ms: int) -> float:
        """What it has delivered by an instant."""
        index, within = divmod(time_ms - self.charging_ms, MINUTE_MS)
        if index < 0:
            return 0.0
        if index >= len(self.watts) - 1:
            return self.energy_wh
        a, b = self.watts[index], self.watts[index + 1]
        part = within / MINUTE_MS
        return self._delivered_by_minute[index] + (a + (b - a) * part / 2) * part / 60

    def power_w(self, time_ms: int) -> float:
        index, within = divmod(time_ms - self.charging_ms, MINUTE_MS)
        if index < 0 or index >= len(self.watts) - 1:
            return 0.0
        a, b = self.watts[index], self.watts[index + 1]
        return a + (b - a) * within / MINUTE_MS


class StationState(NamedTuple):
    """A charging station at an instant. `energy_wh`: delivered in the session under way, 0 without a car."""

    charging_state: str
    power_w: float
    energy_wh: float
    session: Session | None


class Station:
    """A charging station with a seeded habit: most evenings until the morning, now and then at midday."""

    def __init__(self, seed: int, name: str, zone: ZoneInfo) -> None:
        self._key = (seed, "station", name)
        self._zone = zone
        habit = noise.generator(*self._key)
        self._power_w = habit.choice((3_700.0, 7_200.0, 7_200.0, 9_600.0))
        self._evening_chance = habit.uniform(0.65, 0.9)
        self._midday_chance = habit.uniform(0.15, 0.35)
        self._found: tuple[int, int, Session | None] = (0, 0, None)
        self._of_date = lru_cache(maxsize=16)(self._plan)

    def sessions(self, start_ms: int, end_ms: int) -> list[Session]:
        """All sessions that touch [start_ms, end_ms), in order; they never overlap."""
        first = self._local_date(start_ms) - 2
        last = self._local_date(end_ms) + 1
        return [
            session
            for ordinal in range(first, last + 1)
            for session in self._of_date(ordinal)
            if session.plugged_ms < end_ms and session.unplugged_ms > start_ms
        ]

    def at(self, time_ms: int) -> StationState:
        session = self._session_at(time_ms)
        if session is None:
            return StationState(UNPLUGGED, 0.0, 0.0, None)
        if time_ms < session.charging_ms:
            return StationState(READY, 0.0, 0.0, session)
        if time_ms < session.charged_ms:
            return StationState(ADAPTIVE, session.power_w(time_ms), session.delivered_wh(time_ms), session)
        return StationState(NOT_CHARGING, 0.0, session.energy_wh, session)

    def _session_at(self, time_ms: int) -> Session | None:
        start, end, session = self._found
        if not start <= time_ms < end:
            # Neighbouring instants are asked for, mostly: remember for how long the answer is good.
            start, end, session = time_ms, time_ms + _AHEAD_MS, None
            for near in self.sessions(start, end):
                if near.plugged_ms > time_ms:
                    end = near.plugged_ms
                    break
                start, end, session = near.plugged_ms, near.unplugged_ms, near
                break
            self._found = (start, end, session)
        return session

    def _local_date(self, time_ms: int) -> int:
        return datetime.datetime.fromtimestamp(time_ms / 1000, self._zone).toordinal()

    def _plan(self, ordinal: int) -> tuple[Session, ...]:
        """The sessions that begin on a local date."""
        day = noise.generator(*self._key, ordinal)
        weekend = datetime.date.fromordinal(ordinal).isoweekday() > 5
        planned = []
        if day.random() < self._midday_chance * (1.8 if weekend else 1.0):
            arrival = day.uniform(9.8, 12.2)
            planned.append((arrival, arrival + day.uniform(2.0, 4.0), day.uniform(2_500, 7_000)))
        if day.random() < self._evening_chance:
            planned.append((day.uniform(17.1, 20.7), 24 + day.uniform(6.3, 8.7), day.uniform(5_000, 17_000)))
        return tuple(
            self._session(ordinal, arrival, departure, energy_wh, waits=day.randint(1, 4))
            for arrival, departure, energy_wh in planned
        )

    def _session(
        self, ordinal: int, arrival_h: float, departure_h: float, energy_wh: float, waits: int
    ) -> Session:
        midnight = datetime.datetime.combine(datetime.date.fromordinal(ordinal), datetime.time())

        def local(hours: float) -> int:
            wall = midnight + datetime.timedelta(minutes=round(hours * 60))
            return round(wall.replace(tzinfo=self._zone).timestamp()) // 60 * MINUTE_MS

        plugged, unplugged = local(arrival_h), local(departure_h)
        charging = plugged + waits * MINUTE_MS
        most_minutes = (unplugged - charging) // MINUTE_MS - 10
        full = min(round(energy_wh * 60 / self._power_w), most_minutes - _TAPER_MINUTES)
        taper = [self._power_w * (1 - step / (_TAPER_MINUTES + 1)) for step in range(1, _TAPER_MINUTES + 1)]
        watts = (0.0, *([self._power_w] * max(1, full)), *taper, 0.0)
        return Session(plugged, charging, unplugged, watts)
