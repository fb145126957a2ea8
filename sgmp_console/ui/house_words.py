"""How houses stand, in words and marks, for the lists that show them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sgmp_console.fleet.checklist import ChecklistStep, Task
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
TASKS = {
    Task.CREDENTIALS: "Credentials",
    Task.EDGE: "Edge heard",
    Task.DEVICES: "Devices",
    Task.SYNCHRONIZE: "Configuration confirmed",
    Task.DATA: "Data arrive",
    Task.ITEMS: "Required analytic items",
    Task.WIRING: "Wiring checked",
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


def progress(house: HouseOverview) -> str:
    """How far it is set up, as a sentence."""
    known = house.checklist
    if known is None:
        return "Not known."
    if not known.open:
        return "Everything is done."
    done = len(known.steps) - len(known.open)
    return f"{done} of {len(known.steps)} steps are done. Next: {TASKS[known.open[0]].lower()}."


def progress_count(house: HouseOverview) -> str:
    """In the width of a column."""
    known = house.checklist
    if known is None:
        return formats.MISSING
    return "Finished" if not known.open else f"{len(known.steps) - len(known.open)} of {len(known.steps)}"


def step(house: HouseOverview, about: ChecklistStep, now_ms: int, zone: ZoneInfo) -> str:
    """What there is to say of a step of its checklist."""
    known = house.checklist
    age = "" if about.at_ms is None else formats.age(about.at_ms, now_ms)
    match about.task:
        case Task.CREDENTIALS if about.at_ms is not None:
            return f"Generated {age}."
        case Task.CREDENTIALS:
            return "In use." if about.done else "None were generated yet: they let the edge in."
        case Task.EDGE:
            created = formats.age(known.setup.created_ms, now_ms) if known is not None else ""
            return (
                f"Last heard {age}."
                if about.done
                else f"Created {created}, nothing heard yet. Install the credentials on the Raspberry Pi, and start its program."
            )
        case Task.DEVICES:
            return f"{formats.count(house.devices, 'device')}." if about.done else "The house has none yet."
        case Task.SYNCHRONIZE:
            said = edge_words.sync_state(house.sync, house.edge, now_ms, zone).text
            return f"{said}." if not said.endswith(".") else said
        case Task.DATA:
            return f"Newest reading {age}." if about.done else "No reading has come yet."
        case Task.ITEMS:
            missing = known.missing if known is not None else ()
            return (
                f"Missing: {', '.join(missing)}."
                if missing
                else "Dashboards and reports have what they need."
            )
        case Task.WIRING:
            check = known.setup.check if known is not None else None
            if check is None:
                return "Not checked yet. It takes half a day of data with all meters at the least."
            found = (
                f"{formats.count(check.wrong, 'thing')} to correct" if check.wrong else "Nothing to correct"
            )
            left = f", {check.unknown} not known" if check.unknown else ""
            return f"{found}{left}; checked {age} by {check.who}."
