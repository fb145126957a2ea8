"""eGauge energy meters.

Each poll is one request. What is published is the mean since the poll before, from the meter's own counters, so that
the energy of a day does not depend on how often it was polled; only the first value after a start, a gap or a new
meter configuration is the rate of the last second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sgmp_edge.common import AT_TICK, BadAnswer, Event, NotReady, Reading, ReadResult
from sgmp_edge.contract import WARNING, DriverCondition, WarningChange
from sgmp_edge.devices._egauge_meter import (
    HistoryRow,
    Meter,
    Snapshot,
    contradict,
    mean_between,
    mean_since,
    plausible,
    published,
)
from sgmp_edge.devices._egauge_webapi import WebApiMeter
from sgmp_edge.devices._egauge_xml import XmlMeter
from sgmp_edge.devices._http import DigestAuth, HttpClient, origin, pause_of
from sgmp_edge.devices._notices import Notices
from sgmp_edge.devices._values import field_name, plain_text

DEVICE_TYPE: dict[str, Any] = {
    "name": "egauge",
    "title": "eGauge meter",
    "fields": {
        "ip": {
            "title": "Local address",
            "kind": "host",
            "required": True,
            "help": "IP address or host name of the meter, with a port if it is not 80 (443 for https).",
        },
        "keys": {
            "title": "Registers",
            "kind": "text_list",
            "help": "Register names to read, as the meter shows them; `ts` is the meter's own clock. Empty: all.",
        },
        "interval": {},
        "interface": {
            "title": "Interface",
            "kind": "choice",
            "choices": ["xml", "webapi"],
            "default": "xml",
            "help": "`xml` works on every meter; `webapi` is the JSON interface of newer firmware, which needs "
            "a user name and a password.",
        },
        "scheme": {},
        "certificate_sha256": {},
        "username": {
            "title": "User name",
            "kind": "text",
            "help": "Only for a meter that asks for a password.",
        },
        "password": {
            "title": "Password",
            "kind": "text",
            "secret": True,
            "help": "Only for a meter that asks for a password.",
        },
        "max_kw": {
            "title": "Largest plausible power (kW)",
            "kind": "number",
            "minimum": 1,
            "maximum": 100000,
            "default": 200,
            "help": "A power beyond this is a jump of the counter; the value is left out.",
        },
    },
    "example": {
        "ip": "198.129.116.113",
        "keys": [
            "A.Battery",
            "A.SubPanel",
            "A.GridPower",
            "A.Solar",
            "A.EV",
            "A.L1_Voltage",
            "A.L2_Voltage",
            "A.L1_Frequency",
            "A.L2_Frequency",
            "A.Load",
            "ts",
        ],
    },
    # The type of a register is known to the meter only; its name is a hint. Only whole words count:
    # `Lamps` does not mean amperes, and `Generation` is not a ratio.
    "units": {
        r"ts": "s",
        r"(?i).*volt.*": "V",
        r"(?i).*freq.*": "Hz",
        r"(?i)(.*[^a-z])?(current|amps?)([^a-z].*)?": "A",
        r"(?i)(.*[^a-z])?(temp|temperature)([^a-z].*)?": "°C",
        r"(?i)(.*[^a-z])?(humidity|thd)([^a-z].*)?": "%",
        r"(?i)(.*[^a-z])?irradiance([^a-z].*)?": "W/m²",
        r"(?i)(.*[^a-z])?(reactive|vars?)([^a-z].*)?": "kvar",
        r"(?i)(.*[^a-z])?(pressure|flow|wind|speed|angle|count|factor|ratio|co2|ppm|state|relay)([^a-z].*)?": "",
        r".*\*": "kVA",
        r".*": "kW",
    },
}

CLOCK_KEY = "ts"
"""The key that asks for the meter's own time, in seconds since 1970 UTC."""

_LONGEST_MEAN_S = 65
"""A mean over a longer time would be put down at one instant; `recover` has that time minute by minute."""

_CLOCK_STEP_S = 1.5
"""The meter measures once a second; the same time for longer than this is a clock that stands still."""

_CLOCKS_APART_S = 2.0
"""How far the meter's seconds between two polls may differ from ours, beside what the requests took: it stamps whole
seconds, and measures in the one before."""

_WRONG_CLOCK_S = 5.0
_NEVER_SET_S = 31 * 86_400.0
"""The meter's clock counts as wrong from 5 seconds on. A clock a month off was never set, which may be ours: what the
meter recorded under it is of no known time."""

_MAX_TIME_S = 1e11
"""Far beyond any time in seconds since 1970."""

_HISTORY_PIECE_S = 6 * 3600
"""360 rows: a request that the meter answers in a second, and a quarter of a megabyte."""


@dataclass(frozen=True)
class _Poll:
    """An answer, when it had come (monotonic seconds), and how long it took."""

    snapshot: Snapshot
    at: float
    took: float


class EGauge:
    """Fields are the configured keys, exactly as written; kW, kVA, kvar, V, A, Hz, degrees Celsius, %."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._keys: list[str] = list(config.get("keys") or [])
        self._max_kw = float(config.get("max_kw", DEVICE_TYPE["fields"]["max_kw"]["default"]))
        self._longest_mean_s = max(_LONGEST_MEAN_S, 2.5 * float(config.get("interval", 0)))
        self._meter = _meter(config)
        self._previous: _Poll | None = None
        self._ahead_s = 0
        self._silent: frozenset[str] = frozenset()
        self._notices = Notices()

    def read(self) -> dict[str, float] | ReadResult:
        """One row; with events where something about the meter or its registers changed.

        Nothing when polled twice within a second of the meter. Raises NotReady while the meter's clock stands still,
        besides what can happen to a request.
        """
        begun = time.monotonic()
        snapshot = self._meter.snapshot()
        now = time.monotonic()
        if not 0 < snapshot.ts < _MAX_TIME_S:
            raise BadAnswer("the meter's clock shows no time")
        previous = self._previous
        if previous and (snapshot.serial, snapshot.ts) == (previous.snapshot.serial, previous.snapshot.ts):
            if now - previous.at < _CLOCK_STEP_S:
                return ReadResult()
            raise NotReady("the meter's clock stands still; its values are those of an earlier poll")
        poll = _Poll(snapshot, now, now - begun)
        faults: dict[str, str] = {}
        older = self._baseline(poll)
        if older is not None and contradict(older, snapshot):
            older = None
            faults["counters"] = (
                "the meter's counters contradict its rates, as after a set clock or a restored backup;"
                " the means of that time are left out"
            )
        self._previous = poll
        faults |= self._compare_clocks(snapshot.ts)
        fields, silent = self._fields(snapshot, older, faults)
        events = self._events(silent, faults, snapshot)
        if CLOCK_KEY in self._keys:
            fields[CLOCK_KEY] = int(snapshot.ts)
        if not fields and not events:
            raise NotReady("the meter has no values for the registers asked for")
        return ReadResult([Reading(AT_TICK, fields)] if fields else [], events) if events else fields

    def recover(self, start_ms: int, end_ms: int) -> ReadResult:
        """The meter's minute means of the half-open range, each stamped at the end of its minute by our clock.

        Where the meter itself recorded nothing, nothing is returned. One request for each six hours.
        """
        readings: dict[int, Reading] = {}
        ahead = self._ahead_s
        for start_s, end_s in _pieces(start_ms // 1000 + ahead, -(-end_ms // 1000) + ahead):
            history = self._meter.history(start_s, end_s)
            names = {key: name for key, name in self._names(history.types).items() if name is not None}
            for older, newer in pairwise(sorted(history.rows, key=lambda row: row.ts)):
                at_ms = (newer.ts - ahead) * 1000
                if start_ms <= at_ms < end_ms:
                    fields = self._minute(names, history.types, older, newer)
                    if fields:
                        readings[at_ms] = Reading(at_ms, fields)
        return ReadResult([readings[at] for at in sorted(readings)])

    def close(self) -> None:
        self._meter.close()

    def _baseline(self, poll: _Poll) -> Snapshot | None:
        """The earlier snapshot to compare with; None to start over with the rates."""
        previous = self._previous
        if previous is None or previous.snapshot.serial != poll.snapshot.serial:
            return None
        elapsed, counted = poll.at - previous.at, poll.snapshot.ts - previous.snapshot.ts
        if counted < 0 or elapsed > self._longest_mean_s or counted > 2 * elapsed + 10:
            # Out of reach for a while, or its clock was set: the difference belongs to no single instant.
            return None
        apart = abs(counted - elapsed)
        # Polls within a second of each other are too close to judge the meter's seconds by ours.
        if elapsed > 1 and apart > _CLOCKS_APART_S + poll.took + previous.took:
            return None
        return previous.snapshot

    def _compare_clocks(self, ts: float) -> dict[str, str]:
        """Note by how much the meter's clock is ahead of ours, for `recover`; what to report of it."""
        ahead = ts - time.time()
        wrong = _WRONG_CLOCK_S < abs(ahead) < _NEVER_SET_S
        self._ahead_s = round(ahead) if wrong else 0
        if not wrong:
            return {}
        direction = "ahead of" if ahead > 0 else "behind"
        return {
            "clock": f"the meter's clock is {abs(ahead):.0f} s {direction} this edge's; set the time on one of them"
        }

    def _fields(
        self, snapshot: Snapshot, older: Snapshot | None, faults: dict[str, str]
    ) -> tuple[dict[str, float], frozenset[str]]:
        """(values by field, the keys without a register or value)."""
        fields: dict[str, float] = {}
        silent: set[str] = set()
        jumped: set[str] = set()
        for key, name in self._names(snapshot.registers).items():
            values = [] if name is None else _candidates(name, snapshot, older)
            believable = [value for type_, value in values if plausible(type_, value, self._max_kw)]
            if believable:
                field = field_name(key)
                if field is None:
                    faults["name"] = (
                        "the meter has a register whose name can't be that of a field; it is left out"
                    )
                elif field in fields:
                    faults[f"twice {field}"] = (
                        f"the meter has two registers that read `{plain_text(field)}`; the second is left out"
                    )
                else:
                    fields[field] = believable[0]
            elif not values and (name is None or older is not None or key in self._silent):
                silent.add(key)
            if len(believable) < len(values):
                jumped.add(key)
        for key in jumped:
            faults[f"jump {key}"] = (
                f"register `{plain_text(key)}` jumped further than can be"
                f" (for power, more than the {self._max_kw:g} kW of `max_kw`); the jump is left out"
            )
        return fields, frozenset(silent)

    def _minute(
        self, names: Mapping[str, str], types: Mapping[str, str], older: HistoryRow, newer: HistoryRow
    ) -> dict[str, float]:
        """The means between two rows, if they are neighbours."""
        seconds = newer.ts - older.ts
        if not 0 < seconds <= max(older.step, newer.step):
            return {}
        fields: dict[str, float] = {}
        for key, name in names.items():
            end, start = newer.counters.get(name), older.counters.get(name)
            if end is None or start is None:
                continue
            mean = mean_between(types[name], end, start, seconds)
            field = field_name(key)
            if (
                field is not None
                and mean is not None
                and not (types[name] == "V" and mean < 0)
                and plausible(types[name], published(types[name], mean), self._max_kw)
            ):
                fields.setdefault(field, published(types[name], mean))
        return fields

    def _names(self, available: Mapping[str, object]) -> dict[str, str | None]:
        """The register behind each field, None where the meter has none."""
        if not self._keys:
            return {name: name for name in available}
        return {key: _register_name(key, available) for key in self._keys if key != CLOCK_KEY}

    def _events(self, silent: frozenset[str], faults: Mapping[str, str], snapshot: Snapshot) -> list[Event]:
        """What went wrong, or right again, since the last poll: once each."""
        warnings: list[dict[str, object]] = []
        if lost := [plain_text(key) for key in sorted(silent - self._silent)]:
            offered = ", ".join(plain_text(name) for name in sorted(snapshot.registers)[:20])
            text = f"no value from register {_listed(lost)}; the meter has {offered}"
            warnings.append({"data": text, **_silence(WarningChange.BEGINS, lost)})
        if back := [plain_text(key) for key in sorted(self._silent - silent)]:
            text = f"register {_listed(back)} has values again"
            warnings.append({"data": text, **_silence(WarningChange.ENDS, back)})
        self._silent = silent
        warnings += [{"data": text} for text in self._notices.new(faults)]
        return [Event(AT_TICK, WARNING, data) for data in warnings]


def _candidates(name: str, snapshot: Snapshot, older: Snapshot | None) -> list[tuple[str, float]]:
    """(type, value as published) of a register, the best first: the mean since `older`, the last second's rate.

    Of humidity the rate comes first: the vendor's documents disagree about what a count of it is.
    """
    register = snapshot.registers[name]
    if register.type == "d":
        return [] if register.counter is None else [("d", register.counter)]
    mean = mean_since(older, snapshot, name) if older else None
    values = (register.rate, mean) if register.type == "h" else (mean, register.rate)
    return [(register.type, published(register.type, value)) for value in values if value is not None]


def _meter(config: Mapping[str, Any]) -> Meter:
    scheme = config.get("scheme", "http")
    username, password = config.get("username", ""), config.get("password", "")
    webapi = config.get("interface", "xml") == "webapi"
    http = HttpClient(
        f"the meter at {config['ip']}",
        origin(config["ip"], scheme=scheme),
        auth=DigestAuth(username, password) if username and not webapi else None,
        certificate_sha256=config.get("certificate_sha256"),
        pause=pause_of(config["ip"]),
    )
    return WebApiMeter(http, username, password) if webapi else XmlMeter(http)


def _register_name(key: str, available: Mapping[str, object]) -> str | None:
    """The register that a key means: the one of that very name, else the only one that reads the same.

    The playbook's keys (`A.L1_Voltage`) name a register of a group; on a meter without groups that is `L1 Voltage`.
    """
    if key in available:
        return key
    for wanted in (_spoken(key), _spoken(key.partition(".")[2])):
        alike = [name for name in available if wanted and _spoken(name) == wanted]
        if len(alike) == 1:
            return alike[0]
    return None


def _spoken(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _silence(change: WarningChange, registers: list[str]) -> dict[str, object]:
    return {"change": change, "condition": DriverCondition.SILENT_REGISTER, "subjects": registers}


def _pieces(start_s: int, end_s: int) -> Iterator[tuple[int, int]]:
    """Consecutive (start, end), each a minute earlier at the front, since the first minute needs one before it."""
    while start_s < end_s:
        piece_end = min(start_s + _HISTORY_PIECE_S, end_s)
        yield start_s - 60, piece_end
        start_s = piece_end
