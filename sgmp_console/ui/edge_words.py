"""How devices and their edge are doing, in words. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from sgmp_console.fleet.devices_overview import OK, UNKNOWN, DeviceOverview
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.fleet.sync import Outcome, SyncState
from sgmp_console.store import Device
from sgmp_console.ui import formats

_STATES: Mapping[str, str] = {
    OK: "Ok",
    "starting": "Starting",
    "unreachable": "Unreachable",
    "timed_out": "No answer in time",
    "unauthorized": "Credentials refused",
    "bad_answer": "Unusable answer",
    "not_ready": "Not ready",
    "error": "Error",
}
_TIPS: Mapping[str, str] = {
    "unreachable": "The edge finds nothing at the device's address.",
    "timed_out": "The device is there, but does not answer in time.",
    "unauthorized": "The device does not accept the user name, password or token in its config. The edge tries again "
    "hourly, since devices may lock an account that keeps trying.",
    "bad_answer": "What answers is not understood: another device, or other firmware.",
    "not_ready": "The device answers, but has no values yet.",
    "error": "The device's driver failed. The edge's log says more.",
    "starting": "The edge has not read the device yet.",
}


@dataclass(frozen=True)
class StatusText:
    """Words, the icon and token they go with, and what a tool tip adds."""

    text: str
    icon: str
    tint: str
    tip: str = ""


def device_state(row: DeviceOverview, edge: EdgeStanding, now_ms: int) -> StatusText:
    """How a device is doing, as its edge says; nothing old is told as current."""
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
    if row.state_since_ms is not None:
        words = f"{words} for {formats.duration(now_ms - row.state_since_ms)}"
    tip = _TIPS.get(row.state, "")
    if row.state == OK:
        return StatusText(words, "check", "state_ok", tip)
    if row.state in ("starting", "not_ready"):
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


def sync_state(state: SyncState, now_ms: int, zone: tzinfo) -> StatusText:
    """Whether the edge does what it was told."""
    version = f"version {state.version}"
    since = "" if state.since_ms is None else formats.moment(state.since_ms, now_ms, zone)
    told = _outcome(state, version, since)
    if state.changed and state.outcome is not Outcome.NEVER:
        changed = f"Devices were changed since {version} was sent: the edge does not know of it yet."
        if state.outcome is Outcome.NOT_SENT:
            return told  # sending brings what was changed since, too
        rest = "" if state.outcome in (Outcome.IN_SYNC, Outcome.PENDING) else f" {told.text}"
        return StatusText(changed + rest, "warning", "state_warning", told.text)
    return told


def _outcome(state: SyncState, version: str, since: str) -> StatusText:
    match state.outcome:
        case Outcome.NEVER:
            return StatusText(
                "Nothing was ever sent to the edge of this house: it knows no devices.", "info", "ink_muted"
            )
        case Outcome.NOT_SENT:
            return StatusText(
                f"Not sent yet: the broker did not take {version}, created {since}. Synchronize again to send it.",
                "warning",
                "state_warning",
            )
        case Outcome.PENDING:
            return StatusText(
                f"The edge has not confirmed {version} yet, sent {since}. It takes it when it is online.",
                "clock",
                "ink_muted",
            )
        case Outcome.IN_SYNC:
            return StatusText(f"In sync: the edge runs {version}, confirmed {since}.", "check", "state_ok")
        case Outcome.REJECTED:
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
        found.append(f"type {after.type}")
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
