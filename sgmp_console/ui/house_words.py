"""How houses stand, in words and marks, for the lists that show them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.fleet.sync import Outcome, SyncState
from sgmp_console.store.findings import Finding, State
from sgmp_console.ui import edge_words, finding_words, formats
from sgmp_console.ui.parts.rows import Mark

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


def edge(house: HouseOverview) -> tuple[str, Mark]:
    """How its edge is doing."""
    return presence(house.edge)


def presence(edge: EdgeStanding) -> tuple[str, Mark]:
    """How an edge is doing, in a word."""
    return _EDGE[edge.presence]


def configuration(house: HouseOverview) -> tuple[str, Mark]:
    """Whether its edge runs what is stored."""
    return in_short(house.sync, house.edge)


def in_short(state: SyncState, edge: EdgeStanding) -> tuple[str, Mark]:
    """Whether an edge runs what is stored, in two words."""
    changed = state.changed and state.outcome not in (Outcome.NEVER, Outcome.NOT_SENT)
    if state.outcome is Outcome.IN_SYNC and not changed and edge.is_away:
        return _WAS_IN_SYNC
    return _CHANGED if changed else _SYNC[state.outcome]


def configuration_tip(house: HouseOverview, now_ms: int) -> str:
    return edge_words.sync_state(house.sync, house.edge, now_ms, ZoneInfo(house.house.time_zone)).text


def active(house: HouseOverview) -> list[Finding]:
    """What needs somebody, the worst first."""
    return [finding for finding in house.findings if finding.state is State.ACTIVE]


def findings_tip(house: HouseOverview, now_ms: int) -> str:
    """The worst of them, a line each."""
    zone = house.house.time_zone
    return "\n".join(
        f"{finding_words.said(finding, zone).text}, {finding_words.when(finding, now_ms, ZoneInfo(zone))}"
        for finding in house.findings[:_LISTED]
    )


def newest(house: HouseOverview, now_ms: int) -> str:
    """The age of its newest reading."""
    return formats.MISSING if house.newest_ms is None else formats.age(house.newest_ms, now_ms)
