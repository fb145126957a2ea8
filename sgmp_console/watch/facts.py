"""What holds now, from what is stored. Pure but for `read`, which makes a fixed number of statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from sgmp_console.fleet import edge_state, sync
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.fleet.sync import Outcome as SyncOutcome
from sgmp_console.quality import Quality
from sgmp_console.store import Event, IngestState, ingest_state, quality, standings, watching
from sgmp_console.store.config_versions import EdgeState
from sgmp_console.store.ingest_state import Alarm
from sgmp_console.store.quality import HouseFaults
from sgmp_console.store.standings import HouseStanding
from sgmp_console.store.watching import (
    DeviceAge,
    DeviceKey,
    InitialPassword,
    Quarantined,
    StoredFinding,
    Undelivered,
)
from sgmp_console.watch import operator_rules
from sgmp_console.watch.engine import Condition, Facts, Past
from sgmp_console.watch.operator_rules import RuleInHouse, Standing
from sgmp_console.watch.rules import TERMS, Key, Rule, Terms
from sgmp_console.watch.warnings import WarningGroup, warning_groups
from sgmp_edge import contract
from sgmp_edge.contract import EDGE_DEVICE_NAME, WarningKind

_S = 1000
_MINUTE = 60 * _S
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

INGEST_SILENT_MS = 60 * _S
"""Ingest reports every five seconds."""

WARNINGS_SINCE_MS = 7 * _DAY
"""Warnings of so long are looked at; a device that is down says so every hour."""

NOTICE_LASTS_MS = 2 * _HOUR
"""A warning that nothing ends is over when it was not repeated for so long: what lasts is repeated hourly."""

LEAST_SILENT_MS = 120 * _S
SILENT_POLLS = 5
"""A device is silent when nothing came from it for so many polls, and for two minutes at the least."""

UNKNOWN_RHYTHM_MS = 15 * _MINUTE
"""Instead of so many polls, where an edge is too old to say how often it polls."""

BACKLOG_MS = 10 * _MINUTE
"""What an edge holds for longer than this is a backlog; live readings go first, and history fills up behind them."""

CLOCK_OFF_MS = 60 * _S
DISK_FREE_MB = 500
PASSWORD_NOTICE_MS = 2 * _DAY
"""Before an initial password expires."""

CERTIFICATE_NOTICE_MS = 30 * _DAY

_MAX_TEXT = 500

_ABSURD = 1e15
"""Larger than any number and any time (ms) that an edge reports."""

_NO_SUBJECTS = {
    # The broker cannot be reached, by ingest's own word; other alarms speak of single houses or of ingest itself.
    Alarm.LATE_HOUSES,
}
"""Alarms that other rules find better: which edge or device is silent."""


@dataclass(frozen=True)
class Certificate:
    """A file that is watched. `expires_ms` None: it can't be read, for `problem`."""

    file: str
    expires_ms: int | None
    problem: str = ""


@dataclass(frozen=True)
class Stored:
    """All that is read in a turn. `warnings`: of devices that have an open finding, or warned lately; `first_ms`: when each
    of them delivered a reading after its last warning."""

    houses: Mapping[int, HouseStanding] = field(default_factory=dict)
    devices: Sequence[DeviceAge] = ()
    ingest: Sequence[IngestState] = ()
    quarantined: Sequence[Quarantined] = ()
    passwords: Sequence[InitialPassword] = ()
    undelivered: Sequence[Undelivered] = ()
    warnings: Mapping[DeviceKey, Sequence[Event]] = field(default_factory=dict)
    first_ms: Mapping[DeviceKey, int] = field(default_factory=dict)
    certificates: Sequence[Certificate] = ()
    quality: Sequence[HouseFaults] = ()
    rules: Sequence[RuleInHouse] = ()


def read(
    connection: sa.Connection,
    now_ms: int,
    warned: Collection[DeviceKey],
    known: Sequence[StoredFinding],
    certificates: Sequence[Certificate] = (),
) -> Stored:
    """`warned`: devices with new warnings."""
    asked = set(warned) | {
        (row.house_id, row.device or EDGE_DEVICE_NAME)
        for row in known
        if row.to_ms is None and row.house_id is not None and row.rule in _OF_WARNINGS
    }
    houses = standings.of_all(connection)
    asked = {device for device in asked if device[0] in houses}
    warnings = watching.warnings_of(connection, asked, now_ms - WARNINGS_SINCE_MS)
    last_ms = {device: events[-1].timestamp_ms for device, events in warnings.items() if events}
    devices = watching.device_ages(connection)
    lasts_ms: dict[int, dict[str, int]] = {}
    for age in devices:
        lasts_ms.setdefault(age.house_id, {})[age.device] = silent_after_ms(age, houses.get(age.house_id))
    return Stored(
        houses,
        devices,
        ingest_state.read(connection),
        watching.quarantined(connection),
        watching.initial_passwords(connection),
        watching.undelivered(connection),
        warnings,
        watching.first_readings_after(connection, last_ms),
        certificates,
        quality.faults(connection),
        operator_rules.standings(connection, now_ms, lasts_ms),
    )


def judge(stored: Stored, now_ms: int) -> Facts:
    """What holds of it at `now_ms`, by the database's clock."""
    facts = _Facts(now_ms)
    _judge_ingest(facts, stored.ingest)
    for house_id, standing in stored.houses.items():
        _judge_edge(facts, house_id, standing)
        _judge_configuration(facts, house_id, standing)
    for age in stored.devices:
        _judge_age(facts, age, stored.houses.get(age.house_id))
    present = {(age.house_id, age.device) for age in stored.devices}
    for device, events in stored.warnings.items():
        if device in present or device[1] == EDGE_DEVICE_NAME:
            _judge_warnings(facts, device, events, stored.first_ms.get(device), stored.houses[device[0]])
    for held in stored.quarantined:
        details = {"messages": held.messages, "reason": held.reason[:_MAX_TEXT]}
        facts.holds(
            Key(held.house_id, "", Rule.QUARANTINE), held.first_ms, value=float(held.messages), **details
        )
    for password in stored.passwords:
        if now_ms > password.expires_ms - PASSWORD_NOTICE_MS:
            key = Key(password.house_id, "", Rule.INITIAL_PASSWORD, password.email)
            facts.holds(key, password.expires_ms - PASSWORD_NOTICE_MS, expires_ms=password.expires_ms)
    for certificate in stored.certificates:
        expires_ms = certificate.expires_ms
        if expires_ms is None or now_ms > expires_ms - CERTIFICATE_NOTICE_MS:
            since_ms = now_ms if expires_ms is None else expires_ms - CERTIFICATE_NOTICE_MS
            key = Key(None, "", Rule.CERTIFICATE, certificate.file[-300:])
            facts.holds(key, since_ms, expires_ms=expires_ms, problem=certificate.problem)
    for waiting in stored.undelivered:
        key = Key(waiting.house_id, "", Rule.DELIVERY, waiting.address[:300])
        facts.holds(
            key,
            waiting.since_ms,
            value=float(waiting.messages),
            messages=waiting.messages,
            problem=waiting.problem,
        )
    for faults in stored.quality:
        _judge_quality(facts, faults, present)
    for one in stored.rules:
        _judge_rule(facts, one)
    return Facts(
        facts.conditions, frozenset(facts.unknown), facts.past, frozenset(facts.between), facts.terms
    )


_OF_WARNINGS = {Rule.DEVICE_DOWN, Rule.DEVICE_WARNING, Rule.EDGE_WARNING}


class _Facts:
    """Being gathered."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.conditions: dict[Key, Condition] = {}
        self.unknown: set[Key] = set()
        self.past: list[Past] = []
        self.between: set[Key] = set()
        self.terms: dict[Key, Terms] = {}

    def holds(self, key: Key, since_ms: int, *, value: float | None = None, **details: Any) -> None:
        self.conditions[key] = Condition(since_ms, value, details)


def _judge_ingest(facts: _Facts, states: Sequence[IngestState]) -> None:
    if not states:
        return  # none was ever started
    newest = max(state.updated_ms for state in states)
    if facts.now_ms - newest > INGEST_SILENT_MS:
        facts.holds(Key(None, "", Rule.INGEST_SILENT), newest)
        return
    alive = [state for state in states if facts.now_ms - state.updated_ms <= INGEST_SILENT_MS]
    if not any(state.statistics.get("receiving") for state in alive):
        link = str(alive[0].statistics.get("link", ""))[:64]
        facts.holds(Key(None, "", Rule.BROKER_AWAY), facts.now_ms, link=link)
    for state in alive:
        reported = state.statistics.get("alarms")
        for alarm in state.alarms:
            if alarm not in _NO_SUBJECTS and isinstance(reported, Mapping):
                about = {str(name)[:64]: value for name, value in reported[alarm.value].items()}
                key = Key(None, "", Rule.INGEST_ALARM, alarm.value)
                facts.holds(key, facts.now_ms, about=_bounded(about))


def _judge_edge(facts: _Facts, house_id: int, standing: HouseStanding) -> None:
    edge, status = _standing(standing.edge, facts.now_ms), standing.edge.status or {}
    offline = Key(house_id, "", Rule.EDGE_OFFLINE)
    if edge.presence is Presence.NEVER or edge.heard_ms is None:
        return
    expires_ms = edge.certificate_expires_ms
    if expires_ms is not None and facts.now_ms > expires_ms - CERTIFICATE_NOTICE_MS:
        key = Key(house_id, "", Rule.EDGE_CERTIFICATE)
        facts.holds(key, max(0, expires_ms - CERTIFICATE_NOTICE_MS), expires_ms=expires_ms)
    if edge.presence is not Presence.ONLINE:
        facts.holds(offline, edge.heard_ms, presence=edge.presence.value)
        return
    oldest_ms = _number(status.get("oldest_ms"))
    if oldest_ms is not None and facts.now_ms - oldest_ms > BACKLOG_MS:
        key = Key(house_id, "", Rule.EDGE_BACKLOG)
        facts.holds(key, facts.now_ms, value=_number(status.get("backlog")), oldest_ms=int(oldest_ms))
    if standing.edge.heard_ms is not None and standing.edge.status_ms is not None:
        off_ms = standing.edge.status_ms - standing.edge.heard_ms
        if abs(off_ms) > CLOCK_OFF_MS:
            key = Key(house_id, "", Rule.EDGE_CLOCK)
            facts.holds(key, standing.edge.heard_ms, value=abs(off_ms) / 1000, ahead=off_ms > 0)
    disk = Key(house_id, "", Rule.EDGE_DISK)
    free_mb = _number(status.get("disk_free_mb"))
    if free_mb is None:
        facts.unknown.add(disk)
    elif free_mb < DISK_FREE_MB:
        facts.holds(disk, facts.now_ms, free_mb=int(free_mb))


def _judge_configuration(facts: _Facts, house_id: int, standing: HouseStanding) -> None:
    state = sync.judge(standing.newest, standing.edge, changed=standing.changed)
    since_ms = facts.now_ms if state.since_ms is None else state.since_ms
    match state.outcome:
        case SyncOutcome.REJECTED:
            reason = (state.reason or "")[:_MAX_TEXT]
            facts.holds(
                Key(house_id, "", Rule.CONFIG_REJECTED), since_ms, version=state.version, reason=reason
            )
        case SyncOutcome.PENDING | SyncOutcome.DRIFTED:
            key = Key(house_id, "", Rule.CONFIG_DRIFT)
            facts.holds(key, since_ms, version=state.version, running=standing.edge.applied_version)
        case SyncOutcome.NOT_SENT:
            facts.holds(Key(house_id, "", Rule.CONFIG_NOT_SENT), since_ms, version=state.version)
        case SyncOutcome.IN_SYNC if state.changed:
            facts.holds(Key(house_id, "", Rule.CONFIG_NOT_SENT), facts.now_ms, version=state.version)
        case SyncOutcome.NEVER if standing.devices:
            facts.holds(Key(house_id, "", Rule.CONFIG_NOT_SENT), facts.now_ms, version=None)


def _judge_age(facts: _Facts, age: DeviceAge, standing: HouseStanding | None) -> None:
    key = Key(age.house_id, age.device, Rule.DEVICE_SILENT)
    if standing is None or age.newest_ms is None or not standing.edge.status:
        facts.unknown.add(key)
    elif facts.now_ms - age.newest_ms > silent_after_ms(age, standing):
        facts.holds(key, age.newest_ms)


def silent_after_ms(age: DeviceAge, standing: HouseStanding | None) -> int:
    """How old the newest reading of a device may be."""
    status = (standing.edge.status if standing else None) or {}
    interval_s = age.interval_s or _number(status.get("poll_interval_s"))
    polls_ms = UNKNOWN_RHYTHM_MS if interval_s is None else round(SILENT_POLLS * interval_s * 1000)
    return max(LEAST_SILENT_MS, polls_ms)


def _judge_warnings(
    facts: _Facts, device: DeviceKey, events: Sequence[Event], first_ms: int | None, standing: HouseStanding
) -> None:
    house_id, name = device
    status, status_ms = standing.edge.status or {}, standing.edge.status_ms
    states = status.get("devices")
    runs = isinstance(states, Mapping) and states.get(name) == contract.Outcome.OK

    def delivered(_device: str, after_ms: int) -> int | None:
        """Also by the word of its edge: a device without fields delivers nothing."""
        later = [at for at in (first_ms, status_ms if runs else None) if at is not None and at > after_ms]
        return min(later, default=None)

    for group in warning_groups(events, delivered):
        key = _key_of(house_id, name, group)
        details = {"text": group.text[:_MAX_TEXT], "count": group.count}
        ends_ms = group.resolved_ms
        if ends_ms is None and not group.lasts and facts.now_ms - group.last_ms > NOTICE_LASTS_MS:
            ends_ms = group.last_ms
        if ends_ms is None:
            facts.holds(key, group.first_ms, value=float(group.count), **details)
        else:
            facts.past.append(Past(key, group.first_ms, ends_ms, details))


_OF_VALUES = [kind for kind in Quality if kind is not Quality.MISSING]
"""Of a device of which nothing came, only that can be said."""


def _judge_quality(facts: _Facts, found: HouseFaults, present: Collection[DeviceKey]) -> None:
    """Of the newest day that was checked: what was wrong on it holds until a day is checked on which it is not."""
    for fault in found.faults:
        device = str(fault["device"])
        if device and (found.house_id, device) not in present:
            continue  # deleted since
        key = Key(found.house_id, device, Rule.DATA_QUALITY, str(fault["kind"]))
        facts.holds(
            key,
            int(fault["from_ms"]),
            value=float(fault["slots"]),
            fields=list(fault["fields"]),
            slots=int(fault["slots"]),
            day_ms=found.start_ms,
        )
    for device in found.silent:
        for kind in _OF_VALUES if device else [Quality.UNBALANCED]:
            facts.unknown.add(Key(found.house_id, str(device), Rule.DATA_QUALITY, (kind.name or "").lower()))


def _judge_rule(facts: _Facts, found: RuleInHouse) -> None:
    rule, judged = found.rule, found.judged
    key = Key(found.house_id, "", Rule.OPERATOR, str(rule.rule_id))
    facts.terms[key] = replace(
        TERMS[Rule.OPERATOR], severity=rule.severity, hold_ms=rule.hold_s * 1000, clear_ms=rule.clear_s * 1000
    )
    match judged.standing:
        case Standing.SUSPENDED:
            facts.unknown.add(key)
        case Standing.BETWEEN:
            facts.between.add(key)
        case Standing.HOLDS:
            facts.conditions[key] = Condition(
                judged.since_ms,
                # In three digits: a value that creeps is not a change of the finding each few seconds.
                None if judged.worst is None else float(f"{judged.worst:.3g}"),
                {
                    "name": rule.name,
                    "above": rule.above,
                    "threshold": rule.threshold,
                    "unit": rule.unit,
                    "guidance": rule.guidance[:_MAX_TEXT],
                },
                less_is_worse=not rule.above,
                broken_ms=judged.broken_ms,
            )
        case Standing.CLEAR:
            pass


def _key_of(house_id: int, device: str, group: WarningGroup) -> Key:
    if device == EDGE_DEVICE_NAME:
        kind = group.kind if group.kind is not WarningKind.DRIVER else group.text[:300]
        return Key(house_id, "", Rule.EDGE_WARNING, str(kind))
    if group.is_outage:
        return Key(house_id, device, Rule.DEVICE_DOWN)
    return Key(house_id, device, Rule.DEVICE_WARNING, group.text[:300])


def _standing(edge: EdgeState, now_ms: int) -> EdgeStanding:
    """By our clock, and not by the edge's."""
    heard_ms = edge.status_ms if edge.heard_ms is None else edge.heard_ms
    return edge_state.judge(replace(edge, status_ms=heard_ms), now_ms)


def _number(value: object) -> float | None:
    """None for what no edge can mean, such as a whole number that no floating-point number holds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _ABSURD:
        return float(value)
    return None


def _bounded(about: Mapping[str, Any]) -> dict[str, Any]:
    """What an alarm is about, of some houses only: there may be many."""
    return {
        name: dict(list(value.items())[:10]) if isinstance(value, Mapping) else value
        for name, value in about.items()
        if isinstance(value, Mapping | int | float | str)
    }
