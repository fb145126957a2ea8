"""PowerFlex charging stations.

The API keeps what the stations report, so nothing is lost by asking late: each poll asks from the last row on, with some
overlap for rows that come in late, and each row is published once. What a station reports is followed in the order of
its own times, whenever it came in and whatever our clock shows.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from itertools import pairwise
from time import monotonic
from typing import Any

from sgmp_edge.common import AT_TICK, DeviceError, Event, NotReady, Reading, ReadResult
from sgmp_edge.contract import WARNING
from sgmp_edge.devices._powerflex_account import MAX_TIME_S, Row, account
from sgmp_edge.devices._powerflex_sessions import Sample, Session, Station, follow, plugged_by
from sgmp_edge.devices._values import number, plain_text

log = logging.getLogger(__name__)

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
            "default": 15,
            "help": "Seconds between two reads; without it, 15, or that of the house if it is longer. "
            "No row is lost by a longer one.",
        },
        "certificate_sha256": {},
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

_OVERLAP_S = 30
"""How much of the time before the last row is asked for again, for rows that come in late."""

_FIRST_LOOK_S = 60

_TRAIL_S = 300
"""What a poll asks for of a station that has been silent for long."""

_POLLS_FROM_LAST_ROW = 20
"""So many silent polls in a row ask from the last row on; later ones only now and then."""

_HOLE_S = 60
_LONGEST_HOLE_S = 4 * 3600
"""A station that was silent for so long may have been cut off: what its gateway kept of that time may come after what
the station reports live, and the newest of it first."""

_POLLS_FOR_HOLE = 256
_POLLS_AFTER_NEWS = 8
"""For so many polls a silence is asked for again, now and then; for so many after something of it came in, more of it is
expected soon."""

_LONGEST_CATCH_UP_S = 31 * 86400
"""The history that a poll after a long time goes back to; older readings would not be kept anyway."""

_CATCH_UP_S = 3.0
"""How long one poll goes on with what was missed."""

_SILENT_S = 600
"""A station reports every few seconds, also without a car; this long without a row is a failure."""

_MAX_WINDOW_ROWS = 5000
"""Rows kept to recognize repeats; a day's worth, while 30 seconds are enough unless a clock is wrong."""

_NUMBERS = ("energy_delivered", "mamps_actual", "voltage", "power", "pilot_actual")

_SCALES = (1.0, 1e-3, 1e-6)
"""kW in the units in which power may come: kW, W, mW."""

_MAX_KW = 1000


class PowerFlex:
    """Fields: charging_state, energy_delivered (mWh), mamps_actual (mA), voltage (mV), power (kW), pilot_actual (A).

    Readings carry the station's own times. Up to `_complete_to` all is done: published, followed, and never asked
    for again. The rows of after that which were published are in `_window`: what comes in late is put in its place
    among them, and the sessions are followed again from there.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._id = (config["acc_id"], config["acs_id"])
        self._account = account(
            config["url"], config["username"], config["password"], config.get("certificate_sha256")
        )
        self._begun = time.time()
        self._begun_at = monotonic()
        self._complete_to = self._begun - _FIRST_LOOK_S
        self._settled = Station()
        self._window: list[Sample] = []
        self._sent: set[tuple[str, int]] = set()
        self._last: float | None = None
        self._scan: float | None = None
        self._scan_has_news = False
        self._silent_polls = 0
        self._hole: tuple[float, float] | None = None
        self._hole_polls = 0
        self._hole_fills = False
        self._power_in_kw = 1.0

    def read(self) -> ReadResult:
        """The rows that came in since the last poll, and the events in them; no row is not a failure.

        Raises NotReady when the station has been silent for ten minutes, besides what can happen to a request.
        """
        now = time.time()
        if self._last is None:
            # A clock that was ahead at the start: what came since then is not older than our start.
            self._complete_to = min(self._complete_to, now - (monotonic() - self._begun_at) - _FIRST_LOOK_S)
        newest = max(now, self._last or 0)
        result = ReadResult()
        until = monotonic() + _CATCH_UP_S
        try:
            while not self._take_piece(now, newest, result) and monotonic() < until:
                pass
        except DeviceError:
            if not result.readings and not result.events:
                raise
            log.debug("the rest of what was missed follows at the next poll", exc_info=True)
        self._note_hole()
        result.events += self._events()
        self._settle(now)
        heard = max(self._last or 0, self._begun)
        if not result.readings and not result.events and self._scan is None and now - heard > _SILENT_S:
            when = datetime.fromtimestamp(heard, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise NotReady(
                f"no row of station {'/'.join(self._id)} since {when}; check acc_id, acs_id and this edge's clock"
            )
        return result

    def state(self) -> dict[str, Any]:
        session = self._settled.session
        return {
            "complete_to": self._complete_to,
            "last": self._last,
            "plugged": self._settled.plugged,
            "energy": self._settled.energy,
            "session": [session.start, session.energy] if session else None,
            "window": [[row.time, row.plugged, row.energy] for row in self._window],
            "sent": sorted(self._sent),
            "power_in_kw": self._power_in_kw,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises ValueError, KeyError or TypeError for what is not a memory, as of a damaged disk."""
        last = None if state["last"] is None else _time(state["last"])
        complete_to = _time(state["complete_to"])
        energy = None
        session = Session(*state["session"]) if state["session"] else None
        if session is not None:
            start = None if session.start is None else _time(session.start)
            session = Session(start, float(session.energy))
        if "window" in state:
            energy = _energy(state["energy"])
            window = [Sample(_time(at), _flag(plugged), _energy(mwh)) for at, plugged, mwh in state["window"]]
            sent = {(str(type_), int(at)) for type_, at in state["sent"]}
        else:
            # As earlier versions saved it: the watermark went on without rows, also with a wrong clock.
            energy = session.energy if session else None
            window, sent = [Sample(_time(at)) for at in state["told"]], set()
            if last is not None:
                complete_to = min(complete_to, last + 0.001)
        power_in_kw = float(state["power_in_kw"])
        self._settled = Station(_flag(state["plugged"]), energy, session)
        self._last, self._complete_to, self._window, self._sent = last, complete_to, window, sent
        self._power_in_kw = power_in_kw if power_in_kw in _SCALES else 1.0

    def close(self) -> None:
        self._account.release()

    def _take_piece(self, now: float, newest: float, result: ReadResult) -> bool:
        """Fetch a piece and take what is new in it; True when all up to `newest` is fetched."""
        start = self._scan
        trailing = False
        if start is None:
            self._scan_has_news = False
            start = max(self._complete_to, newest - _LONGEST_CATCH_UP_S)
            silent = self._silent_polls
            trailing = silent > _POLLS_FROM_LAST_ROW and silent & (silent - 1) != 0
            if trailing:
                start = max(start, newest - _TRAIL_S)
            elif self._hole is not None and not _is_look(self._hole_polls):
                start = max(start, min(self._window[-1].time, now) - _OVERLAP_S)
        piece = self._account.rows(*self._id, start, newest)
        result.events += [Event(AT_TICK, WARNING, {"data": text}) for text in piece.faults]
        known = {row.time for row in self._window}
        rows = {
            row.time: row for row in piece.rows if row.time >= self._complete_to and row.time not in known
        }
        if rows and trailing and start > self._complete_to:
            # It reports again; rows of the time between may have come in only now, and come first.
            self._silent_polls = 0
            return False
        if rows:
            self._scan_has_news = True
            self._publish(list(rows.values()), result)
        if piece.end < newest:
            self._scan = piece.end
            return False
        self._scan = None
        self._silent_polls = 0 if self._scan_has_news else self._silent_polls + 1
        self._hole_polls += 1
        return True

    def _publish(self, rows: list[Row], result: ReadResult) -> None:
        """Each row as a reading, and in its place in the window."""
        if self._hole is not None and any(self._hole[0] < row.time < self._hole[1] for row in rows):
            self._hole_polls, self._hole_fills = 0, True
        for row in rows:
            result.readings.append(Reading(round(row.time * 1000), self._fields(row.columns)))
            energy = number(row.columns.get("energy_delivered"))
            plugged = plugged_by(row.columns.get("charging_state"))
            self._window.append(Sample(row.time, plugged, energy if energy is None or energy >= 0 else None))
        self._window.sort(key=lambda sample: sample.time)
        self._last = max(self._last or 0, self._window[-1].time)

    def _events(self) -> list[Event]:
        """Those of the window that were not sent yet; none while rows of a silence come in, which may move them."""
        if self._hole_fills:
            return []
        station = self._settled
        course: list[Event] = []
        for sample in self._window:
            station, events = follow(station, sample)
            course += events
        known = {(event.type, event.timestamp) for event in course}
        moved = self._sent - known
        new: list[Event] = []
        for event in course:
            if (event.type, event.timestamp) in self._sent:
                continue
            self._sent.add((event.type, event.timestamp))
            before = next((earlier for earlier in moved if _is_the_same(event, earlier, known)), None)
            if before is None:
                new.append(event)
            else:
                moved.remove(before)
        return new

    def _settle(self, now: float) -> None:
        """Close the window up to the overlap before the last row, or before a silence of which rows may still come:
        neither the passing of time nor a row that is stamped ahead of now closes it."""
        if self._last is not None:
            done = min(self._last, now, self._hole[0] if self._hole else now)
            self._complete_to = max(self._complete_to, done - _OVERLAP_S)
        if len(self._window) > _MAX_WINDOW_ROWS:
            self._complete_to = max(self._complete_to, self._window[-_MAX_WINDOW_ROWS].time)
        while self._window and self._window[0].time < self._complete_to:
            self._settled, _ = follow(self._settled, self._window.pop(0))
        self._sent = {(type_, at) for type_, at in self._sent if at >= self._complete_to * 1000 - 1}

    def _note_hole(self) -> None:
        """Which silence in the window, if any, is to be asked for again, and whether rows of it come in."""
        times = [sample.time for sample in self._window]
        begin = 0.0
        if self._hole is not None:
            begin, end = self._hole
            filled = not _holes([time for time in times if begin <= time <= end])
            self._hole_fills = self._hole_fills and not filled and self._hole_polls < _POLLS_AFTER_NEWS
            if self._hole_polls >= (_POLLS_AFTER_NEWS if filled else _POLLS_FOR_HOLE):
                self._hole, begin = None, end
        if self._hole is None:
            self._hole = next(iter(_holes([time for time in times if time >= begin])), None)
            self._hole_polls = 0

    def _fields(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name in _NUMBERS:
            value = number(columns.get(name))
            if value is not None:
                fields[name] = value
        if isinstance(columns.get("charging_state"), str) and columns["charging_state"].strip():
            fields["charging_state"] = plain_text(columns["charging_state"])
        if "power" in fields:
            power = self._power_kw(fields["power"], fields.get("mamps_actual"), fields.get("voltage"))
            if power is None:
                del fields["power"]
            else:
                fields["power"] = power
        return fields

    def _power_kw(self, power: float, milliamperes: float | None, millivolts: float | None) -> float | None:
        """The power in kW, whether the API gave kW, W or mW; None if it is neither.

        Documented as kW, seen in mW; current and voltage show which.
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
        elif abs(power) * self._power_in_kw > _MAX_KW:
            return None
        return power * self._power_in_kw


def _is_the_same(event: Event, sent: tuple[str, int], course: Set[tuple[str, int]]) -> bool:
    """Whether an event was sent already, with the time of a later or earlier row, as the car neither came nor left
    between the two: rows that came in since have moved it."""
    first, last = sorted((event.timestamp, sent[1]))
    between = any(type_ != event.type and first <= at <= last for type_, at in course)
    return sent[0] == event.type and not between


def _holes(times: Sequence[float]) -> list[tuple[float, float]]:
    """The silences between rows, each from the last row before it to the first after it."""
    return [
        (before, after) for before, after in pairwise(times) if _HOLE_S < after - before < _LONGEST_HOLE_S
    ]


def _is_look(polls: int) -> bool:
    """Whether a silence is asked for with this poll: with each while more of it is expected, later with each 4th."""
    return polls < _POLLS_AFTER_NEWS or polls % 4 == 0


def _time(value: Any) -> float:
    """Seconds, UTC. Raises ValueError or TypeError."""
    seconds = float(value)
    if not 0 < seconds < MAX_TIME_S:
        raise ValueError("not a time")
    return seconds


def _energy(value: Any) -> float | None:
    if value is not None and not 0 <= float(value) < math.inf:
        raise ValueError("not an energy")
    return None if value is None else float(value)


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)
