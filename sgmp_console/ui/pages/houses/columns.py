"""What the list of houses shows of them, and how."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sgmp_console.fleet.edge_state import Presence
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.fleet.sync import Outcome
from sgmp_console.store.findings import Finding, State
from sgmp_console.ui import edge_words, finding_words, formats
from sgmp_console.ui.edge_words import StatusText
from sgmp_console.ui.parts.table import Column, Mark

_EDGE = {
    Presence.ONLINE: ("Online", Mark("check", "state_ok")),
    Presence.OFFLINE: ("Offline", Mark("offline", "state_fault")),
    Presence.STOPPED: ("Stopped", Mark("offline", "ink_muted")),
    Presence.SILENT: ("Silent", Mark("warning", "state_warning")),
    Presence.NEVER: ("Never heard", Mark("clock", "ink_muted")),
}
_SYNC = {
    Outcome.NEVER: ("Never sent", Mark("info", "ink_muted")),
    Outcome.NOT_SENT: ("Not sent", Mark("warning", "state_warning")),
    Outcome.PENDING: ("Not confirmed", Mark("clock", "ink_muted")),
    Outcome.IN_SYNC: ("In sync", Mark("check", "state_ok")),
    Outcome.REJECTED: ("Refused by the edge", Mark("fault", "state_fault")),
    Outcome.DRIFTED: ("Drifted", Mark("warning", "state_warning")),
}
_LISTED = 20
"""Findings in a tip."""

_CHANGED = ("Changed since", Mark("warning", "state_warning"))
_WAS_IN_SYNC = ("Was in sync", Mark("clock", "ink_muted"))
"""Of an edge that is away: nobody knows what it runs now."""


@dataclass(frozen=True)
class HouseRow:
    """A house as it stands at `now_ms` (UTC). `credentials`: its own column, looked up on its own."""

    overview: HouseOverview
    credentials: StatusText
    now_ms: int


def credentials_status(valid: int) -> StatusText:
    """What to say of a house with so many valid credentials."""
    if valid == 0:
        tip = "No edge is let in as this house: generate new credentials."
        return StatusText("None", "warning", "state_warning", tip)
    if valid == 1:
        return StatusText("Valid", "check", "state_ok")
    tip = "Older credentials let the edge in, too, until they are revoked."
    return StatusText(f"{valid} valid", "info", "ink_muted", tip)


def _sync(row: HouseRow) -> tuple[str, Mark]:
    state = row.overview.sync
    changed = state.changed and state.outcome not in (Outcome.NEVER, Outcome.NOT_SENT)
    if state.outcome is Outcome.IN_SYNC and not changed and row.overview.edge.is_away:
        return _WAS_IN_SYNC
    return _CHANGED if changed else _SYNC[state.outcome]


def _devices(row: HouseRow) -> str:
    down, devices = len(edge_words.devices_down(row.overview.edge)), row.overview.devices
    return f"{down:,} of {devices:,} down" if down else f"{devices:,}"


def _devices_tip(row: HouseRow) -> str:
    down = edge_words.devices_down(row.overview.edge)
    return "\n".join(f"{name}: {edge_words.state_words(state)}" for name, state in down.items()) or _devices(
        row
    )


def _active(row: HouseRow) -> list[Finding]:
    return [finding for finding in row.overview.findings if finding.state is State.ACTIVE]


def _findings(row: HouseRow) -> str:
    active, noted = len(_active(row)), len(row.overview.findings) - len(_active(row))
    return " + ".join(filter(None, (f"{active:,}" if active else "", f"{noted:,} noted" if noted else "")))


def _findings_mark(row: HouseRow) -> Mark | None:
    return Mark(*finding_words.look(row.overview.findings[0])) if row.overview.findings else None


def _findings_tip(row: HouseRow) -> str:
    zone = row.overview.house.time_zone
    return "\n".join(
        f"{finding_words.said(finding, zone).text}, {finding_words.when(finding, row.now_ms, ZoneInfo(zone))}"
        for finding in row.overview.findings[:_LISTED]
    )


def _gravity(row: HouseRow) -> float:
    """The worst first, then the most."""
    return float(sum(1000.0**finding.severity.rank for finding in _active(row)))


def _sync_tip(row: HouseRow) -> str:
    zone = ZoneInfo(row.overview.house.time_zone)
    return edge_words.sync_state(row.overview.sync, row.overview.edge, row.now_ms, zone).text


def _newest(row: HouseRow) -> str:
    newest_ms = row.overview.newest_ms
    return formats.MISSING if newest_ms is None else formats.age(newest_ms, row.now_ms)


def _credentials_mark(row: HouseRow) -> Mark | None:
    return Mark(row.credentials.icon, row.credentials.tint) if row.credentials.icon else None


COLUMNS: tuple[Column[HouseRow], ...] = (
    Column(
        "Name",
        lambda row: row.overview.house.name,
        144,
        strong=True,
    ),
    Column(
        "House ID",
        lambda row: str(row.overview.house.house_id),
        72,
        sort=lambda row: row.overview.house.house_id,
        right=True,
    ),
    Column("Description", lambda row: row.overview.house.description, optional=1),
    Column("Time zone", lambda row: row.overview.house.time_zone, 168, optional=2),
    Column(
        "Devices",
        _devices,
        84,
        sort=lambda row: float(1e6 * len(edge_words.devices_down(row.overview.edge)) + row.overview.devices),
        tip=_devices_tip,
        mark=lambda row: Mark("fault", "state_fault") if edge_words.devices_down(row.overview.edge) else None,
        right=True,
    ),
    Column("Findings", _findings, 88, sort=_gravity, mark=_findings_mark, tip=_findings_tip),
    Column(
        "Edge",
        lambda row: _EDGE[row.overview.edge.presence][0],
        128,
        mark=lambda row: _EDGE[row.overview.edge.presence][1],
        tip=lambda row: f"{edge_words.edge_words(row.overview.edge, row.now_ms)}.",
    ),
    # Sorted as floating point: milliseconds overflow an int of Qt.
    Column(
        "Newest reading",
        _newest,
        128,
        sort=lambda row: float(row.overview.newest_ms or 0),
        whole=True,
        optional=3,
    ),
    Column("Configuration", lambda row: _sync(row)[0], 152, mark=lambda row: _sync(row)[1], tip=_sync_tip),
    Column(
        "Credentials",
        lambda row: row.credentials.text,
        104,
        mark=_credentials_mark,
        tip=lambda row: row.credentials.tip or row.credentials.text,
    ),
)
