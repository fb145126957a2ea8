"""How findings are shown, wherever they are."""

from __future__ import annotations

from datetime import tzinfo

from sgmp_console.store.findings import WATCH_SILENT_MS, Finding, Severity, State
from sgmp_console.ui import formats
from sgmp_console.watch.rules import Rule
from sgmp_console.watch.sentences import Sentence, sentence

_LOOKS = {
    Severity.CRITICAL: ("fault", "state_fault"),
    Severity.WARNING: ("warning", "state_warning"),
    Severity.INFO: ("info", "ink_muted"),
}


def look(finding: Finding) -> tuple[str, str]:
    """Icon and token."""
    if not finding.is_open:
        return "check", "ink_muted"
    icon, tint = _LOOKS[finding.severity]
    return icon, tint if finding.state is State.ACTIVE else "ink_muted"


def said(finding: Finding, zone_name: str = "UTC") -> Sentence:
    return sentence(
        finding.rule, finding.device, finding.subject, finding.details, zone_name, value=finding.value
    )


def when(finding: Finding, now_ms: int, zone: tzinfo) -> str:
    """Since when, or from when to when, and who takes care of it."""
    first = formats.moment(finding.from_ms, now_ms, zone)
    if finding.to_ms is not None:
        lasted = formats.duration(finding.to_ms - finding.from_ms)
        return f"{first} to {formats.moment(finding.to_ms, now_ms, zone)}, {lasted}"
    parts = [f"since {first}, {formats.duration(now_ms - finding.from_ms)}"]
    if finding.suspended:
        parts.append("not known at present")
    match finding.state:
        case State.ACKNOWLEDGED:
            parts.append(f"acknowledged by {finding.who}")
        case State.SILENCED if finding.silenced_until_ms is not None:
            until = formats.moment(finding.silenced_until_ms, now_ms, zone)
            parts.append(f"silenced until {until} by {finding.who}")
        case _:
            pass
    if finding.note and finding.state is not State.ACTIVE:
        parts.append(finding.note)
    return " · ".join(parts)


_OF_EDGE = frozenset(
    (
        Rule.EDGE_OFFLINE,
        Rule.EDGE_BACKLOG,
        Rule.EDGE_CLOCK,
        Rule.EDGE_DISK,
        Rule.EDGE_CERTIFICATE,
        Rule.EDGE_WARNING,
    )
)


def page_of(finding: Finding) -> str:
    """The page that shows what it is about, device or edge; "" where none does."""
    if finding.device:
        return "device"
    return "edge" if finding.rule in _OF_EDGE else ""


def watch_problem(watched_ms: int | None, now_ms: int) -> str:
    """Why an empty list means nothing, or ""; without its full stop."""
    if watched_ms is None:
        return "Nothing is watched: no watch has ever run"
    if now_ms - watched_ms > WATCH_SILENT_MS:
        return f"Nothing is watched: the watch last looked {formats.age(watched_ms, now_ms)}"
    return ""
