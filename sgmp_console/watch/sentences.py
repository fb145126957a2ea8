"""What a finding says to people: one line, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgmp_console.store import ingest_state
from sgmp_console.store.ingest_state import Alarm
from sgmp_console.timeseries import calendar
from sgmp_console.watch.rules import Rule
from sgmp_edge.contract import WarningKind

_EDGE_KINDS = {
    WarningKind.OUTBOX_FULL: "The edge's outbox is full: the oldest readings are dropped",
    WarningKind.OUTBOX_DAMAGED: "The edge's outbox was damaged: readings may be lost",
    WarningKind.DISK: "The edge's disk takes no readings: they wait in memory",
    WarningKind.SECOND_EDGE: "Another program uses the house's credentials",
}

_TO_DO = {
    Rule.INGEST_SILENT: "Start ingest (`sgmp-console ingest`); its log says why it ended. The broker keeps what edges send.",
    Rule.BROKER_AWAY: "Look at the broker and its certificates; ingest's log says more. Edges keep what they read.",
    Rule.CERTIFICATE: "Renew it, and restart what uses it.",
    Rule.INITIAL_PASSWORD: "Reset the password when it has expired.",
    Rule.DELIVERY: "Correct the recipient, or the mail server of the watch.",
    Rule.EDGE_OFFLINE: "Look at the Pi's power and network. It keeps what it reads and sends it later.",
    Rule.EDGE_BACKLOG: "It sends live readings first. Look at the connection of the house if the backlog does not shrink.",
    Rule.EDGE_CLOCK: "Look at the time service (NTP) of the Pi: readings get the edge's time.",
    Rule.EDGE_DISK: "Free some of the Pi's disk: without room, readings are lost in an outage.",
    Rule.CONFIG_NOT_SENT: "Synchronize Configuration sends it.",
    Rule.CONFIG_DRIFT: "Synchronize again; the edge's log says why it did not confirm.",
    Rule.CONFIG_REJECTED: "Correct what the edge refused, then Synchronize Configuration.",
    Rule.QUARANTINE: "Look at their reason, then have them read again or discard them.",
    Rule.DEVICE_DOWN: "Look at the device, its network and its credentials.",
    Rule.DEVICE_SILENT: "The edge is there and says nothing of it: look at the device and at its fields.",
}


@dataclass(frozen=True)
class Sentence:
    """`text`: one line without a full stop; `to_do`: sentences, or empty. Both may hold texts of edges and devices: plain."""

    text: str
    to_do: str = ""


def sentence(rule: str, device: str, subject: str, details: Mapping[str, Any], zone: str = "UTC") -> Sentence:
    """Of a finding. `zone`: whose clock shows its times. A rule that is not known here shows its name."""
    try:
        known = Rule(rule)
    except ValueError:
        return Sentence(" ".join(filter(None, (device, rule, subject))))
    if known is Rule.INGEST_ALARM:
        about = details.get("about")
        text = ingest_state.sentence(Alarm(subject), about if isinstance(about, Mapping) else {})
        first, _, rest = text.partition(". ")
        return Sentence(one_line(first.rstrip(".")), one_line(rest))
    return Sentence(one_line(_text(known, device, subject, details, zone)), _TO_DO.get(known, ""))


def one_line(text: str) -> str:
    """Foreign text as part of a line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _text(rule: Rule, device: str, subject: str, details: Mapping[str, Any], zone: str) -> str:
    reported = str(details.get("text", ""))
    match rule:
        case Rule.INGEST_SILENT:
            return "Ingest is silent: nothing of any house is stored"
        case Rule.BROKER_AWAY:
            return "Ingest does not reach the broker: nothing of any house arrives"
        case Rule.CERTIFICATE:
            problem = str(details.get("problem") or "")
            return (
                f"{subject}: {problem}"
                if problem
                else f"The certificate {subject} expires {_day(details, zone)}"
            )
        case Rule.INITIAL_PASSWORD:
            return f"{subject} has not signed in yet; the initial password expires {_day(details, zone)}"
        case Rule.DELIVERY:
            count = details.get("messages", 0)
            return f"{_number(count, 'message')} to {subject} not delivered: {details.get('problem', '')}"
        case Rule.EDGE_OFFLINE:
            return "The edge was stopped" if details.get("presence") == "stopped" else "The edge is offline"
        case Rule.EDGE_BACKLOG:
            return "The edge holds readings of long ago that it has not sent"
        case Rule.EDGE_CLOCK:
            return f"The edge's clock is {'ahead' if details.get('ahead') else 'behind'}"
        case Rule.EDGE_DISK:
            return f"The edge's disk is nearly full: {details.get('free_mb')} MB free"
        case Rule.EDGE_WARNING:
            kinds = {kind.value: text for kind, text in _EDGE_KINDS.items()}
            return kinds.get(subject, reported or subject)
        case Rule.CONFIG_NOT_SENT:
            return "The configuration was changed and not sent to the edge"
        case Rule.CONFIG_DRIFT:
            running = details.get("running")
            instead = "" if running is None else f"; it runs version {running}"
            return (
                f"The edge has not confirmed version {details.get('version')} of its configuration{instead}"
            )
        case Rule.CONFIG_REJECTED:
            return f"The edge refused version {details.get('version')} of its configuration: {details.get('reason', '')}"
        case Rule.QUARANTINE:
            count = details.get("messages", 0)
            return f"{_number(count, 'message')} could not be read and {'is' if count == 1 else 'are'} in quarantine"
        case Rule.DEVICE_DOWN:
            return f"{device} is down: {_reason(reported)}" if reported else f"{device} is down"
        case Rule.DEVICE_SILENT:
            return f"No readings from {device}"
        case _:
            return f"{device}: {reported or subject}"


def _reason(text: str) -> str:
    # The edge's own words for the same; only shortened, nothing depends on it.
    return text.removeprefix("Device is down: ")


def _day(details: Mapping[str, Any], zone: str) -> str:
    expires_ms = details.get("expires_ms")
    if not isinstance(expires_ms, int):
        return "soon"
    return f"on {calendar.local(expires_ms, zone or 'UTC'):%d %b %Y %H:%M}"


def _number(count: object, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
