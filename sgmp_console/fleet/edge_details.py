"""All that the page of a house's edge shows: what it last reported of itself, and how that went over the last day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from sgmp_console.fleet import devices_overview, edge_state
from sgmp_console.fleet.device_details import FINDINGS_MS, OUTCOMES_MS, RECENT_EVERY_MS
from sgmp_console.fleet.devices_overview import DeviceOverview
from sgmp_console.fleet.edge_state import EdgeStanding
from sgmp_console.fleet.sync import SyncState
from sgmp_console.store import Event, House, config_versions, events, findings
from sgmp_console.store.events import EdgeStatus
from sgmp_console.store.findings import Finding
from sgmp_console.timeseries import Series
from sgmp_edge import contract

_WARNINGS_MS = 7 * 24 * 3_600_000
_NEWEST_WARNINGS = 20
_ONLINE = contract.EdgeState.ONLINE


@dataclass(frozen=True)
class EdgeReport:
    """What an edge last said of itself; None where it did not say, or said nonsense. `oldest_ms`: of the oldest message that it
    holds, UTC. `in_memory`: of the backlog, what no disk holds. `dropped`: lost since its outbox was made. `takeovers`: how often
    another program with its credentials cut it off. `config_version`: what it runs. `takes_commands`: whether it lets devices be
    controlled."""

    uptime_s: int | None = None
    oldest_ms: int | None = None
    in_memory: int | None = None
    dropped: int | None = None
    takeovers: int | None = None
    polls: int | None = None
    disk_free_mb: int | None = None
    status_interval_s: float | None = None
    config_version: int | None = None
    takes_commands: bool | None = None


@dataclass(frozen=True, eq=False)
class EdgeDay:
    """What an edge reported in [start_ms, end_ms), UTC ms: its backlog, the free disk in GB, and when its program was started."""

    house_id: int
    start_ms: int
    end_ms: int
    backlog: Series
    disk_free_gb: Series
    starts: tuple[int, ...]

    def serves(self, house_id: int, now_ms: int) -> bool:
        """Whether it need not be read again."""
        return self.house_id == house_id and 0 <= now_ms - self.end_ms < RECENT_EVERY_MS


@dataclass(frozen=True, eq=False)
class EdgeDetails:
    """`heard_ms`: when its last status came, by the database's clock. `clock_off_ms`: how far its own clock was ahead then; None
    where that can't be said. `warnings`: of the edge itself, the newest first. `findings`: of the whole house, open ones first."""

    house: House
    edge: EdgeStanding
    sync: SyncState
    report: EdgeReport
    heard_ms: int | None
    clock_off_ms: int | None
    devices: tuple[DeviceOverview, ...]
    day: EdgeDay
    warnings: tuple[Event, ...]
    findings: tuple[Finding, ...]
    now_ms: int


def details(
    connection: sa.Connection, house_id: int, now_ms: int, before: EdgeDetails | None = None
) -> EdgeDetails:
    """`before`: what was read last, whose day serves for a minute. A fixed number of statements. Raises UserError where there is no
    such house, or none that the account sees."""
    overview = devices_overview.overview(connection, house_id, now_ms)
    state = config_versions.edge_state(connection, house_id)
    day = before.day if before is not None else None
    if day is None or not day.serves(house_id, now_ms):
        day = _read_day(connection, house_id, now_ms)
    warnings = events.newest(
        connection,
        house_id,
        now_ms - _WARNINGS_MS,
        now_ms + 1,
        devices=(contract.EDGE_DEVICE_NAME,),
        types=(contract.WARNING,),
        limit=_NEWEST_WARNINGS,
    )
    known = findings.read(connection, house_id, ended_since_ms=now_ms - FINDINGS_MS)
    return EdgeDetails(
        overview.house,
        overview.edge,
        overview.sync,
        report(state.status or {}),
        state.heard_ms,
        _clock_off_ms(state),
        overview.devices,
        day,
        tuple(warnings),
        tuple(one for one in known if not one.device and one.house_id == house_id),
        now_ms,
    )


def _read_day(connection: sa.Connection, house_id: int, now_ms: int) -> EdgeDay:
    start_ms = now_ms - OUTCOMES_MS
    statuses = [one for one in events.edge_statuses(connection, house_id, start_ms) if one.state == _ONLINE]
    return EdgeDay(
        house_id,
        start_ms,
        now_ms,
        _series([(one.at_ms, one.backlog) for one in statuses]),
        _series([(one.at_ms, one.disk_free_mb and one.disk_free_mb / 1000) for one in statuses]),
        _starts(statuses, start_ms),
    )


def report(status: Mapping[str, object]) -> EdgeReport:
    """Nothing that an edge may have said makes it fail."""
    count = {
        key: edge_state.count_in(status, key)
        for key in (
            "uptime_s",
            "in_memory",
            "dropped",
            "takeovers",
            "polls",
            "disk_free_mb",
            "config_version",
        )
    }
    control = status.get("control")
    return EdgeReport(
        **count,
        oldest_ms=edge_state.instant_in(status, "oldest_ms"),
        status_interval_s=edge_state.number_in(status, "status_interval_s"),
        takes_commands=control if isinstance(control, bool) else None,
    )


def _clock_off_ms(state: config_versions.EdgeState) -> int | None:
    """Not of the last will: MQTT fixed its timestamp long before it came. What it left in place is of the last true status."""
    if state.heard_ms is None or state.status_ms is None:
        return None
    return state.status_ms - state.heard_ms


def _series(values: Sequence[tuple[int, float | None]]) -> Series:
    known = {at_ms: value for at_ms, value in values if value is not None}
    return Series(
        np.array(sorted(known), np.int64), np.array([known[at] for at in sorted(known)], np.float64)
    )


def _starts(statuses: Sequence[EdgeStatus], start_ms: int) -> tuple[int, ...]:
    """A program that was started again has been up for less long than the time since its status before."""
    found = []
    before: EdgeStatus | None = None
    for status in statuses:
        if status.uptime_s is None:
            continue
        began_ms = status.at_ms - round(status.uptime_s * 1000)
        if began_ms > (start_ms if before is None else before.at_ms):
            found.append(began_ms)
        before = status
    return tuple(found)
