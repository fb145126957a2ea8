"""How devices and their edge are doing, in words. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from sgmp_console.fleet.devices_overview import UNKNOWN, DeviceOverview
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.fleet.sync import Outcome as SyncOutcome
from sgmp_console.fleet.sync import SyncState
from sgmp_console.store import Device
from sgmp_console.ui import finding_words, formats
from sgmp_edge import contract
from sgmp_edge.contract import Outcome

_STATES: Mapping[str, str] = {
    Outcome.OK: "Ok",
    Outcome.STARTING: "Starting",
    Outcome.UNREACHABLE: "Unreachable",
    Outcome.TIMED_OUT: "No answer in time",
    Outcome.UNAUTHORIZED: "Credentials refused",
    Outcome.BAD_ANSWER: "Unusable answer",
    Outcome.NOT_READY: "Not ready",
    Outcome.ERROR: "Error",
}
_TIPS: Mapping[str, str] = {
    Outcome.UNREACHABLE: "The edge finds nothing at the device's address.",
    Outcome.TIMED_OUT: "The device is there, but does not answer in time.",
    Outcome.UNAUTHORIZED: "The device does not accept the user name, password or token in its config. The edge tries again "
    "hourly, since devices may lock an account that keeps trying.",
    Outcome.BAD_ANSWER: "What answers is not understood: another device, or other firmware.",
    Outcome.NOT_READY: "The device answers, but has no values yet.",
    Outcome.ERROR: "The device's driver failed. The edge's log says more.",
    Outcome.STARTING: "The edge has not read the device yet.",
}


@dataclass(frozen=True)
class StatusText:
    """Words, the icon and token they go with, and what a tool tip adds."""

    text: str
    icon: str
    tint: str
    tip: str = ""


def device_state(row: DeviceOverview, edge: EdgeStanding, now_ms: int) -> StatusText:
    """How a device is doing, as its edge says; nothing old is shown as current."""
    if not edge.is_online:
        return StatusText("Not known", "offline", "ink_muted", f"{edge_words(edge, now_ms)}.")
    if row.state == UNKNOWN:
        return StatusText(
            "Not synchronized",
            "info",
            "ink_muted",
            "The edge does not know this device yet. Synchronize Configuration makes it known.",
        )
    words = _STATES.get(row.state, row.state)
    tip = _TIPS.get(row.state, "")
    if row.state == Outcome.OK:
        if row.findings:
            said = "\n".join(finding_words.said(finding).text for finding in row.findings)
            words = f"{words}, {formats.count(len(row.findings), 'finding')}"
            return StatusText(words, "warning", "state_warning", said)
        return StatusText(words, "check", "state_ok", tip)
    if row.down_since_ms is not None:
        words = f"{words} for {formats.duration(now_ms - row.down_since_ms)}"
    if row.state in (Outcome.STARTING, Outcome.NOT_READY):
        return StatusText(words, "clock", "ink_muted", tip)
    return StatusText(words, "fault", "state_fault", tip)


def edge_words(edge: EdgeStanding, now_ms: int) -> str:
    """A sentence without its full stop."""
    if edge.heard_ms is None:
        return "The edge of this house has not reported yet"
    age = formats.age(edge.heard_ms, now_ms)
    match edge.presence:
        case Presence.ONLINE:
            return "The edge is online"
        case Presence.STOPPED:
            return f"The edge's program was stopped {age}"
        case Presence.OFFLINE:
            return f"The edge is offline; it was last heard of {age}"
    return f"The edge should have reported by now; it was last heard of {age}"


def state_words(state: str) -> str:
    """How a device is doing, in words."""
    return _STATES.get(state, state)


def outcome_look(outcome: str) -> tuple[str, str]:
    """How polls ended, in words, and the token of it; "" for what is not known."""
    if not outcome:
        return "Not known", ""
    if outcome == Outcome.OK:
        return _STATES[outcome], "state_ok"
    waits = outcome in (Outcome.STARTING, Outcome.NOT_READY)
    return state_words(outcome), "state_warning" if waits else "state_fault"


def devices_down(edge: EdgeStanding) -> dict[str, str]:
    """The devices that the edge can't read, by name, with their states; none is known of while it is away."""
    fine = (Outcome.OK, Outcome.STARTING, Outcome.NOT_READY)
    return (
        {name: state for name, state in edge.devices.items() if state not in fine} if edge.is_online else {}
    )


def sync_state(state: SyncState, edge: EdgeStanding, now_ms: int, zone: tzinfo) -> StatusText:
    """Whether the edge does what was sent to it; while it is away, what it did when it was last heard of."""
    version = f"version {state.version}"
    since = "" if state.since_ms is None else formats.moment(state.since_ms, now_ms, zone)
    current = _outcome(state, version, since)
    if state.outcome is SyncOutcome.IN_SYNC and edge.is_away:
        current = StatusText(
            f"The edge ran {version} when it was last heard of, confirmed {since}.", "clock", "ink_muted"
        )
    if state.changed and state.outcome is not SyncOutcome.NEVER:
        changed = f"Devices were changed since {version} was sent: the edge does not know of it yet."
        if state.outcome is SyncOutcome.NOT_SENT:
            return current  # sending brings what was changed since, too
        rest = "" if state.outcome in (SyncOutcome.IN_SYNC, SyncOutcome.PENDING) else f" {current.text}"
        return StatusText(changed + rest, "warning", "state_warning", current.text)
    return current


def _outcome(state: SyncState, version: str, since: str) -> StatusText:
    match state.outcome:
        case SyncOutcome.NEVER:
            return StatusText(
                "Nothing was ever sent to the edge of this house: it knows no devices.", "info", "ink_muted"
            )
        case SyncOutcome.NOT_SENT:
            return StatusText(
                f"Not sent yet: the broker did not take {version}, created {since}. Synchronize again to send it.",
                "warning",
                "state_warning",
            )
        case SyncOutcome.PENDING:
            return StatusText(
                f"The edge has not confirmed {version} yet, sent {since}. It takes it when it is online.",
                "clock",
                "ink_muted",
            )
        case SyncOutcome.IN_SYNC:
            return StatusText(f"In sync: the edge runs {version}, confirmed {since}.", "check", "state_ok")
        case SyncOutcome.REJECTED:
            return StatusText(
                f"The edge refused {version} at {since} and goes on with what it had: {state.reason}.",
                "fault",
                "state_fault",
            )
    return StatusText(
        f"The edge runs something else than {version}, which was sent last (noticed {since}).",
        "warning",
        "state_warning",
    )


def differences(before: Device, after: Device) -> tuple[str, ...]:
    """In what two states of a device differ, in words without values of settings."""
    found = []
    if before.type != after.type:
        found.append(f"type {contract.type_title(after.type)}")
    if before.description != after.description:
        found.append(f"description “{after.description}”")
    keys = sorted(
        key
        for key in before.config.keys() | after.config.keys()
        if before.config.get(key) != after.config.get(key)
    )
    if keys:
        found.append(f"settings {', '.join(keys)}" if len(keys) > 1 else f"setting {keys[0]}")
    return tuple(found)
