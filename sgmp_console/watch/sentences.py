"""What a finding says to people: one line, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgmp_console.quality import Quality
from sgmp_console.store import ingest_state
from sgmp_console.store.ingest_state import Alarm
from sgmp_console.timeseries import SLOTS_PER_HOUR, calendar
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
    Rule.EDGE_CERTIFICATE: "Generate new credentials on the page Houses and install them on the Pi: an expired certificate "
    "lets nobody in.",
    Rule.EDGE_DISK: "Free some of the Pi's disk: without room, readings are lost in an outage.",
    Rule.CONFIG_NOT_SENT: "Synchronize Configuration sends it.",
    Rule.CONFIG_DRIFT: "Synchronize again; the edge's log says why it did not confirm.",
    Rule.CONFIG_REJECTED: "Correct what the edge refused, then Synchronize Configuration.",
    Rule.QUARANTINE: "Look at their reason, then have them read again or discard them.",
    Rule.DEVICE_DOWN: "Look at the device, its network and its credentials.",
    Rule.DEVICE_SILENT: "The edge is there and says nothing of it: look at the device and at its fields.",
}


_OF_QUALITY: Mapping[Quality, tuple[str, str]] = {
    Quality.MISSING: (
        "no readings",
        "If the edge holds none for later, they are lost: look at the device and its network.",
    ),
    Quality.STUCK: (
        "the same value all the time",
        "Look at the meter or its interface: what is measured does not stand still so long.",
    ),
    Quality.OUT_OF_RANGE: (
        "values that can't be",
        "Check the register, its unit and the ratio of its transformer.",
    ),
    Quality.SPIKE: (
        "single values far from all others",
        "Look for a loose clamp or a disturbed line.",
    ),
    Quality.SUN_AT_NIGHT: (
        "power of the sun at night",
        "Check what the transformer is clamped to, the edge's clock, and the place and time zone of the house.",
    ),
    Quality.WRONG_SIGN: (
        "values below zero where there can be none",
        "Turn the current transformer round, or change the sign in the formula.",
    ),
    Quality.UNBALANCED: (
        "Sources and uses of the house don't add up",
        "Check the transformers and formulas of sun, grid, battery, load and car.",
    ),
    Quality.COUNTER_BACK: (
        "a counter went back",
        "If the meter was replaced or reset, nothing is wrong; else check the register.",
    ),
    Quality.FIELD_VANISHED: (
        "no values of a field any more, while others come",
        "Check the register's name in the meter and in the device's configuration.",
    ),
}
"""What is said of a device's day, and what to do."""


@dataclass(frozen=True)
class Sentence:
    """`text`: one line without a full stop; `to_do`: sentences, or empty. Both may hold texts of edges and devices: plain."""

    text: str
    to_do: str = ""


def sentence(
    rule: str,
    device: str,
    subject: str,
    details: Mapping[str, Any],
    zone: str = "UTC",
    *,
    value: float | None = None,
) -> Sentence:
    """Of a finding. `zone`: whose clock shows its times. `value`: its own. A rule or alarm that is not known here shows its name."""
    try:
        known = Rule(rule)
        alarm = Alarm(subject) if known is Rule.INGEST_ALARM else None
    except ValueError:
        return Sentence(" ".join(filter(None, (device, rule, subject))))
    if alarm is not None:
        about = details.get("about")
        text = ingest_state.sentence(alarm, about if isinstance(about, Mapping) else {})
        first, _, rest = text.partition(". ")
        return Sentence(one_line(first.rstrip(".")), one_line(rest))
    if known is Rule.DATA_QUALITY:
        return _of_quality(device, subject, details, zone)
    if known is Rule.OPERATOR:
        return _of_operator(subject, details, value)
    return Sentence(one_line(_text(known, device, subject, details, zone)), _TO_DO.get(known, ""))


def _of_quality(device: str, subject: str, details: Mapping[str, Any], zone: str) -> Sentence:
    text, to_do = next(
        (said for kind, said in _OF_QUALITY.items() if (kind.name or "").lower() == subject), (subject, "")
    )
    fields, slots, day_ms = details.get("fields"), details.get("slots"), details.get("day_ms")
    about = f" ({', '.join(map(str, fields))})" if isinstance(fields, list) and fields else ""
    lasted = f", {slots / SLOTS_PER_HOUR:.1f} h" if isinstance(slots, int) else ""
    on = f" of {calendar.local(day_ms, zone or 'UTC'):%d %b %Y}" if isinstance(day_ms, int) else ""
    return Sentence(one_line(f"{f'{device}: ' if device else ''}{text}{about}{lasted}{on}"), to_do)


def _of_operator(subject: str, details: Mapping[str, Any], value: float | None) -> Sentence:
    name, guidance = str(details.get("name", subject)), one_line(str(details.get("guidance", "")))
    threshold, unit = details.get("threshold"), str(details.get("unit", ""))
    if not isinstance(threshold, int | float):
        return Sentence(one_line(name), guidance)
    reached = "" if value is None else f"{quantity(value, unit)}, "
    return Sentence(
        one_line(f"{name}: {reached}{beyond(bool(details.get('above')))} {quantity(threshold, unit)}"),
        guidance,
    )


def beyond(above: bool) -> str:
    """Of a threshold."""
    return "above" if above else "below"


def quantity(value: float, unit: str) -> str:
    """As an operator would type it, with its unit."""
    number = f"{value:.6g}"
    return f"{number} {unit}" if unit else number


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
        case Rule.EDGE_CERTIFICATE:
            return f"The certificate of the edge expires {_day(details, zone)}"
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
