"""Diagnose a house from what the database holds: edge, configuration, each device, analytic items, quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.diagnosis.steps import Step
from sgmp_console.fleet import devices_overview, sync
from sgmp_console.fleet.devices_overview import DeviceOverview, DevicesOverview
from sgmp_console.fleet.edge_state import Presence
from sgmp_console.fleet.required import missing_items
from sgmp_console.store.findings import Finding, State
from sgmp_console.timeseries import calendar
from sgmp_console.watch.sentences import sentence
from sgmp_edge.contract import Outcome

_PRESENCE = {
    Presence.NEVER: "It has never reported",
    Presence.ONLINE: "Online",
    Presence.SILENT: "It should have reported by now",
    Presence.OFFLINE: "The broker lost it",
    Presence.STOPPED: "Its program was stopped",
}
_SYNC = {
    sync.Outcome.NEVER: "Nothing was ever sent",
    sync.Outcome.NOT_SENT: "Version {} was not sent",
    sync.Outcome.PENDING: "The edge has not confirmed version {}",
    sync.Outcome.IN_SYNC: "The edge runs version {}",
    sync.Outcome.REJECTED: "The edge refused version {}",
    sync.Outcome.DRIFTED: "The edge runs something else than version {}",
}


@dataclass(frozen=True)
class HouseDiagnosis:
    """`cause`: the likeliest cause of what is wrong and what to do, in one or two sentences; empty where nothing is wrong."""

    cause: str
    steps: tuple[Step, ...]


def house(connection: sa.Connection, name: str, now_ms: int) -> HouseDiagnosis:
    """Raises UserError where there is no such house, or none that the account sees."""
    house_id = store.houses.by_name(connection, name).house_id
    about = devices_overview.overview(connection, house_id, now_ms)
    zone = about.house.time_zone
    active = sorted(
        (one for one in store.findings.read(connection, house_id) if one.state is State.ACTIVE),
        key=lambda finding: finding.urgency,
    )
    wrong = [_finding(finding, zone) for finding in active]
    steps = (
        _watch(store.findings.watch_age_ms(connection)),
        _edge(about),
        _configuration(about),
        *(_device(device, about) for device in about.devices),
        _items(connection, house_id),
        _quarantine(connection, house_id),
    )
    return HouseDiagnosis(_cause(wrong, steps), (*steps, *wrong))


def _cause(wrong: Sequence[Step], steps: Sequence[Step]) -> str:
    """The worst finding: what follows from it has none. Where the watch found nothing, the first step that fails."""
    if wrong:
        return f"{wrong[0].text}. {wrong[0].remedy}".strip()
    failed = next((step for step in steps if step.ok is False), None)
    return f"{failed.name}: {failed.text}. {failed.remedy}".strip() if failed else ""


def _judged(name: str, ok: bool, text: str, remedy: str) -> Step:
    return Step(name, ok, text, "" if ok else remedy)


def _watch(age_ms: int | None) -> Step:
    remedy = "Start it with `sgmp-console watch`: without it nothing is found."
    if age_ms is None:
        return Step("Watch", False, "It has never looked", remedy)
    return _judged(
        "Watch", age_ms <= store.findings.WATCH_SILENT_MS, f"It looked {age_ms // 1000:,} s ago", remedy
    )


def _edge(about: DevicesOverview) -> Step:
    edge = about.edge
    parts = [_PRESENCE[edge.presence]]
    if edge.heard_ms is not None:
        parts.append(f"last heard {_time(edge.heard_ms, about.house.time_zone)}")
    if edge.software:
        parts.append(f"software {edge.software}")
    if edge.backlog:
        parts.append(f"holds {edge.backlog:,} messages")
    remedy = (
        "Give the house's credentials to its Raspberry Pi and start its program."
        if edge.presence is Presence.NEVER
        else "Look at the Pi's power and network. It keeps what it reads and sends it later."
    )
    return _judged("Edge", edge.is_online, ", ".join(parts), remedy)


def _configuration(about: DevicesOverview) -> Step:
    state = about.sync
    text = _SYNC[state.outcome].format(state.version)
    if state.reason:
        text = f"{text}: {state.reason}"
    if state.changed:
        text = f"{text}; devices were changed since"
    return _judged(
        "Configuration",
        state.outcome is sync.Outcome.IN_SYNC and not state.changed,
        text,
        "Use Synchronize Configuration.",
    )


def _device(device: DeviceOverview, about: DevicesOverview) -> Step:
    newest = (
        "no reading yet"
        if device.newest_ms is None
        else f"newest reading {_time(device.newest_ms, about.house.time_zone)}"
    )
    if not about.edge.is_online:
        return Step(f"Device {device.device.name}", None, f"Not known while the edge is away, {newest}")
    state = device.state.replace("_", " ") or "not synchronized"
    return _judged(
        f"Device {device.device.name}",
        device.state == Outcome.OK,
        f"{state.capitalize()}, {newest}",
        "Look at the device, its network and its credentials; Test in its dialog reads it once.",
    )


def _items(connection: sa.Connection, house_id: int) -> Step:
    present = {item.name for item in store.analytics.list_all(connection, house_id)}
    if missing := missing_items(present):
        return Step("Analytic items", False, f"Missing: {', '.join(missing)}", "Home offers to create them.")
    return Step("Analytic items", True, "All that dashboard and reports need")


def _quarantine(connection: sa.Connection, house_id: int) -> Step:
    usage = store.quarantine.usage(connection).get(house_id)
    if usage is None or not usage.messages:
        return Step("Quarantine", True, "Empty")
    return Step(
        "Quarantine",
        False,
        f"{usage.messages:,} {'message' if usage.messages == 1 else 'messages'} could not be read",
        "The page Quarantine shows their reasons.",
    )


def _finding(finding: Finding, zone: str) -> Step:
    said = sentence(finding.rule, finding.device, finding.subject, finding.details, zone, value=finding.value)
    return Step("Finding", False, f"{said.text}, since {_time(finding.from_ms, zone)}", said.to_do)


def _time(timestamp_ms: int, zone: str) -> str:
    """By the clock of the house."""
    return calendar.local(timestamp_ms, zone).strftime("%Y-%m-%d %H:%M:%S")
