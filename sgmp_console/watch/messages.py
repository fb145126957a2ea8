"""What recipients get: the text of a mail, the document of a webhook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sgmp_console.store.watching import Claimed
from sgmp_console.timeseries import calendar
from sgmp_console.watch.sentences import Sentence, one_line, sentence

_KINDS = {"opened": "", "closed": "Over: ", "reminder": "Still: "}
_MAX_SUBJECT = 200
_MAX_LISTED = 500
"""Findings in a mail; a webhook gets all."""


@dataclass(frozen=True)
class Message:
    subject: str
    text: str
    document: Mapping[str, Any]


def compose(claimed: Claimed, deployment: str) -> Message:
    """The same each time that it is called for a message, so that a repeat is one."""
    document = {
        "key": claimed.key,
        "deployment": deployment,
        "kind": claimed.kind,
        "findings": [_document(item) for item in claimed.items],
    }
    if claimed.kind == "test":
        text = f"This is a test message of SGMP, deployment {deployment}. Findings are sent this way."
        return Message(f"[{deployment}] Test message", text + "\n", document)
    lines = [_lines(item) for item in claimed.items[:_MAX_LISTED]]
    if len(claimed.items) > _MAX_LISTED:
        lines.append([f"... and {len(claimed.items) - _MAX_LISTED} more."])
    if claimed.kind == "digest":
        subject = f"[{deployment}] {_summary(claimed.items)}"
    else:
        subject = f"[{deployment}] {lines[0][0] if lines else claimed.kind}"
    return Message(subject[:_MAX_SUBJECT], "\n\n".join("\n".join(block) for block in lines) + "\n", document)


def _summary(items: Sequence[Mapping[str, Any]]) -> str:
    houses = {item["house"] for item in items if item["house"]}
    opened = sum(item["kind"] != "closed" for item in items)
    return f"{opened} findings, {len(items) - opened} over, in {len(houses)} houses"


def _sentence(item: Mapping[str, Any]) -> Sentence:
    return sentence(
        item["rule"],
        item["device"],
        item["subject"],
        item["details"],
        item["zone"] or "UTC",
        value=item["value"],
    )


def _lines(item: Mapping[str, Any]) -> list[str]:
    """The first is also the subject of a mail about it alone."""
    about = _sentence(item)
    zone = item["zone"] or "UTC"
    house = f"{one_line(item['house'])}: " if item["house"] else ""
    lines = [f"{_KINDS[item['kind']]}{house}{about.text}"]
    since = f"Since {_moment(item['from_ms'], zone)}"
    if item["to_ms"] is not None and item["kind"] == "closed":
        lines.append(f"{since}, over at {_moment(item['to_ms'], zone)}, after {_duration(item)}")
    else:
        lines.append(f"{since}. {item['severity'].capitalize()}.")
        if about.to_do:
            lines.append(about.to_do)
    return lines


def _moment(at_ms: int, zone: str) -> str:
    return f"{calendar.local(at_ms, zone):%Y-%m-%d %H:%M:%S %Z}"


def _duration(item: Mapping[str, Any]) -> str:
    minutes, seconds = divmod(max(item["to_ms"] - item["from_ms"], 0) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _document(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": item["finding_id"],
        "kind": item["kind"],
        "house_id": item["house_id"],
        "house": item["house"],
        "device": item["device"] or None,
        "rule": item["rule"],
        "subject": item["subject"] or None,
        "severity": item["severity"],
        "from": _iso(item["from_ms"]),
        "to": _iso(item["to_ms"]) if item["kind"] == "closed" else None,
        "value": item["value"],
        "text": _sentence(item).text,
    }


def _iso(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
