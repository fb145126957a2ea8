"""How a house's edge is doing, judged from what it last said about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import sqlalchemy as sa

from sgmp_console.store import config_versions
from sgmp_console.store.config_versions import EdgeState
from sgmp_edge import contract

SILENT_AFTER_MS = 150_000
"""An edge reports each minute while it is connected; two reports may be lost or late."""

_LONGEST_VERSION = 40
"""Characters of a version that are kept: an edge may say anything."""

_YEAR_9999_MS = 253_370_764_800_000
"""UTC. No date of Python or PostgreSQL's drivers is later than that year."""

_ABSURD_COUNT = 1e15
"""No edge counts as far, and no time has as many milliseconds; larger ones don't fit into a floating-point number."""

_ABSURD = 1e9
"""No interval or duration is as long."""

_SILENT_REPORTS = 2.5
"""The same of an edge that was set to report more rarely."""


class Presence(Enum):
    NEVER = "never"
    """It never reported: it is not installed yet, or older than reports."""
    ONLINE = "online"
    SILENT = "silent"
    """It ought to have reported since."""
    OFFLINE = "offline"
    """The broker lost it."""
    STOPPED = "stopped"
    """It ended in good order."""


@dataclass(frozen=True)
class EdgeStanding:
    """`heard_ms` (UTC): its last report, None where there is none. `devices`: what it last said of each, by name:
    `starting`, or how the last poll ended. `backlog`: messages that it holds, None where it did not say. `software`: its
    version, as it was reported. `certificate_expires_ms` (UTC): that of the certificate it connected with. `poll_interval_s`:
    how often it polls devices for which nothing else is set. Both None where it did not say. `poll_ms`: how long the last good
    poll of each device took. `silent_after_ms`: what it said may no longer be so after so long."""

    presence: Presence
    heard_ms: int | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    backlog: int | None = None
    software: str = ""
    certificate_expires_ms: int | None = None
    poll_interval_s: float | None = None
    poll_ms: Mapping[str, int] = field(default_factory=dict)
    silent_after_ms: float = SILENT_AFTER_MS

    @property
    def is_online(self) -> bool:
        return self.presence is Presence.ONLINE

    @property
    def is_away(self) -> bool:
        """Whether it reported before and does not now: what it said may no longer be so."""
        return self.presence in (Presence.OFFLINE, Presence.SILENT, Presence.STOPPED)


def standing(connection: sa.Connection, house_id: int, now_ms: int) -> EdgeStanding:
    """How the edge of a house is doing at `now_ms` (UTC)."""
    return judge(config_versions.edge_state(connection, house_id), now_ms)


def judge(state: EdgeState, now_ms: int) -> EdgeStanding:
    """The standing from what is stored; nothing that an edge may have said makes it fail."""
    if state.status is None or state.status_ms is None:
        return EdgeStanding(Presence.NEVER)
    reported = state.status.get("devices")
    devices = (
        {name: word for name, word in reported.items() if isinstance(word, str)}
        if isinstance(reported, dict)
        else {}
    )
    reported_state = state.status.get("state")
    silent_after_ms = _silent_after_ms(number_in(state.status, "status_interval_s"))
    if reported_state == contract.EdgeState.OFFLINE:
        presence = Presence.OFFLINE
    elif reported_state == contract.EdgeState.STOPPED:
        presence = Presence.STOPPED
    elif now_ms - state.status_ms > silent_after_ms:
        presence = Presence.SILENT
    else:
        presence = Presence.ONLINE
    software = state.status.get("software")
    return EdgeStanding(
        presence,
        state.status_ms,
        devices,
        count_in(state.status, "backlog"),
        software[:_LONGEST_VERSION] if isinstance(software, str) else "",
        instant_in(state.status, "certificate_expires_ms"),
        number_in(state.status, "poll_interval_s"),
        _poll_times(state.status.get("poll_ms")),
        silent_after_ms,
    )


def count_in(status: Mapping[str, Any], key: str) -> int | None:
    """A whole number from 0 on that an edge reported; None for anything else."""
    count = status.get(key)
    return (
        count
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < _ABSURD_COUNT
        else None
    )


def number_in(status: Mapping[str, Any], key: str) -> float | None:
    """A number above 0 that an edge reported; None for anything else."""
    number = status.get(key)
    if isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < _ABSURD:
        return float(number)
    return None


def instant_in(status: Mapping[str, Any], key: str) -> int | None:
    """A time (UTC ms) that an edge reported; None for anything else."""
    at_ms = count_in(status, key)
    return at_ms if at_ms is not None and at_ms < _YEAR_9999_MS else None


def _poll_times(reported: object) -> Mapping[str, int]:
    if not isinstance(reported, dict):
        return {}
    counts = {name: count_in(reported, name) for name in reported}
    return {name: count for name, count in counts.items() if count is not None and count < _ABSURD}


def _silent_after_ms(interval_s: float | None) -> float:
    return (
        SILENT_AFTER_MS if interval_s is None else max(SILENT_AFTER_MS, _SILENT_REPORTS * 1000 * interval_s)
    )
