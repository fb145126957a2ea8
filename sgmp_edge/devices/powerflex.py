"""PowerFlex charging stations.

The API keeps what the stations said, so nothing is lost by asking late: each poll asks from the last row seen, with
some overlap for rows that come in late, and each row is told once. A charging session lasts from the first row that
is not UNPLUGGED to the next that is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sgmp_edge.common import Event, NotReady, Reading, ReadResult
from sgmp_edge.contract import EV_END_CHARGING, EV_START_CHARGING
from sgmp_edge.devices._powerflex_account import Row, account
from sgmp_edge.devices._values import number

DEVICE_TYPE = {
    "name": "powerflex",
    "title": "PowerFlex charging station",
    "fields": {
        "acc_id": {
            "title": "Garage (acc_id)",
            "kind": "text",
            "required": True,
            "help": "PowerFlex's number of the parking garage or building, as text with its zeros: 03.",
        },
        "acs_id": {
            "title": "Station (acs_id)",
            "kind": "text",
            "required": True,
            "help": "PowerFlex's number of the charging station, as text with its zeros: 02.",
        },
        "password": {
            "title": "Password",
            "kind": "text",
            "required": True,
            "secret": True,
            "help": "Password of the PowerFlex API.",
        },
        "url": {
            "title": "Web address",
            "kind": "url",
            "required": True,
            "help": "Endpoint of the PowerFlex API.",
        },
        "username": {
            "title": "User name",
            "kind": "text",
            "required": True,
            "help": "User name of the PowerFlex API.",
        },
        "interval": {
            "title": "Poll interval (s)",
            "kind": "number",
            "minimum": 1,
            "maximum": 3600,
            "default": 15,
            "help": "Seconds between two reads; without it, 15, or that of the house if it is longer. "
            "No row is lost by a longer one.",
        },
        "certificate_sha256": {
            "title": "Certificate fingerprint",
            "kind": "fingerprint",
            "help": "The SHA-256 fingerprint of the endpoint's certificate, where no public authority signed it.",
        },
    },
    "example": {
        "acc_id": "03",
        "acs_id": "02",
        "password": "mysuperstrongpassword",
        "url": "https://slac.powerflex.com:9443",
        "username": "user@domain.name",
    },
    "units": {
        r"power": "kW",
        r"energy_delivered": "mWh",
        r"mamps_actual": "mA",
        r"voltage": "mV",
        r"pilot_actual": "A",
    },
}

_UNPLUGGED = "UNPLUGGED"

_OVERLAP_S = 30
"""How much of the time before the last row is asked for again."""

_FIRST_LOOK_S = 60
_TRAIL_S = 300
"""While no rows come, the last minutes are asked for: a clock of the API that is behind ours by less is no matter."""

_LONGEST_CATCH_UP_S = 31 * 86400
"""The history that a first poll after a long time goes back to; older readings would not be kept anyway."""

_SILENT_S = 600
"""A station says something every few seconds, also without a car; this long without a row is a failure."""

_NUMBERS = ("energy_delivered", "mamps_actual", "voltage", "power", "pilot_actual")

_SCALES = (1.0, 1e-3, 1e-6)
"""kW in the units in which power may come: kW, W, mW."""

_LARGEST_KW = 1000


@dataclass
class _Session:
    """A car at the station. `start`: seconds, None if it was there before we looked; `energy`: mWh, the most said."""

    start: float | None
    energy: float


class PowerFlex:
    """Fields: charging_state, energy_delivered (mWh), mamps_actual (mA), voltage (mV), power (kW), pilot_actual (A).

    Readings carry the station's own times.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._station = (config["acc_id"], config["acs_id"])
        self._account = account(
            config["url"], config["username"], config["password"], config.get("certificate_sha256")
        )
        self._begun = time.time()
        self._complete_to = self._begun - _FIRST_LOOK_S
        self._told: set[float] = set()
        self._last: float | None = None
        self._plugged: bool | None = None
        self._session: _Session | None = None
        self._power_in_kw = 1.0

    def read(self) -> ReadResult:
        """The rows that came in since the last poll, and the events in them; no row is no failure.

        Raises NotReady when the station has been silent for ten minutes, besides what can happen to a request.
        """
        now = time.time()
        start = max(self._complete_to, now - _LONGEST_CATCH_UP_S)
        rows, end = self._account.rows(*self._station, start, now)
        result = ReadResult()
        for row in rows:
            if row.time not in self._told:
                self._told.add(row.time)
                result.readings.append(Reading(round(row.time * 1000), self._fields(row.columns)))
                result.events += self._follow(row)
        # Up to here nothing new is expected: the overlap before the last row, the trail before now.
        self._complete_to = max(start, min(end, now) - _TRAIL_S, (self._last or 0) - _OVERLAP_S)
        self._told = {at for at in self._told if at >= self._complete_to}
        heard = max(self._last or 0, self._begun)
        if end >= now and now - heard > _SILENT_S:
            when = datetime.fromtimestamp(heard, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise NotReady(
                f"no row of station {'/'.join(self._station)} since {when}; check acc_id and acs_id"
            )
        return result

    def state(self) -> dict[str, Any]:
        session = self._session
        return {
            "complete_to": self._complete_to,
            "told": sorted(self._told),
            "last": self._last,
            "plugged": self._plugged,
            "session": [session.start, session.energy] if session else None,
            "power_in_kw": self._power_in_kw,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._complete_to = float(state["complete_to"])
        self._told = set(state["told"])
        self._last = state["last"]
        self._plugged = state["plugged"]
        self._session = _Session(*state["session"]) if state["session"] else None
        self._power_in_kw = state["power_in_kw"]

    def close(self) -> None:
        self._account.release()

    def _follow(self, row: Row) -> list[Event]:
        """The events that a row brings. A row older than the last one followed only adds to the energy."""
        text = row.columns.get("charging_state")
        energy = number(row.columns.get("energy_delivered"))
        late = self._last is not None and row.time < self._last
        before, plugged = (
            self._plugged,
            self._plugged if late or not isinstance(text, str) else text != _UNPLUGGED,
        )
        events: list[Event] = []
        if plugged and self._session is None:
            # A car that is there at the first look came at a time that nobody knows.
            self._session = _Session(row.time if before is False else None, 0.0)
            if before is False:
                events.append(Event(round(row.time * 1000), EV_START_CHARGING, {}))
        if self._session is not None and energy is not None and row.time >= (self._session.start or 0):
            self._session.energy = max(self._session.energy, energy)
        if self._session is not None and not plugged:
            data: dict[str, float] = {"energy": self._session.energy}
            if self._session.start is not None:
                data["duration"] = round((row.time - self._session.start) * 1000)
            events.append(Event(round(row.time * 1000), EV_END_CHARGING, data))
            self._session = None
        if not late:
            self._plugged, self._last = plugged, row.time
        return events

    def _fields(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name in _NUMBERS:
            value = number(columns.get(name))
            if value is not None:
                fields[name] = value
        if isinstance(columns.get("charging_state"), str):
            fields["charging_state"] = columns["charging_state"]
        if "power" in fields:
            power = self._power_kw(fields["power"], fields.get("mamps_actual"), fields.get("voltage"))
            if power is None:
                del fields["power"]
            else:
                fields["power"] = power
        return fields

    def _power_kw(self, power: float, milliamperes: float | None, millivolts: float | None) -> float | None:
        """The power in kW, whether the API gave kW, W or mW; None if it is neither.

        The document says kW, stations were seen to send mW; current and voltage tell.
        """
        if power == 0:
            return 0.0
        if milliamperes and millivolts:
            # Three phases or a poor power factor are within a factor of ten; another unit is a thousand away.
            expected = abs(milliamperes * millivolts) * 1e-9
            fitting = [scale for scale in _SCALES if expected / 10 < abs(power) * scale < expected * 10]
            if not fitting:
                return None
            self._power_in_kw = fitting[0]
        elif abs(power) * self._power_in_kw > _LARGEST_KW:
            return None
        return power * self._power_in_kw
