"""What pages say of a house's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sgmp_console.reports.home import WarningGroup
from sgmp_console.store import Event
from sgmp_edge.contract import WARNING


def warning_groups(events: Iterable[Event]) -> tuple[WarningGroup, ...]:
    """The WARNING events among `events`, grouped by device and text, the newest group first."""
    times: dict[tuple[str, str], list[int]] = {}
    for event in events:
        if event.type == WARNING:
            times.setdefault((event.device, _warning_text(event.data)), []).append(event.timestamp_ms)
    groups = [
        WarningGroup(device, text, len(stamps), min(stamps), max(stamps))
        for (device, text), stamps in times.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.last_ms, group.device, group.text)))


def _warning_text(data: Mapping[str, Any]) -> str:
    text = data.get("data")
    return text.strip() if isinstance(text, str) and text.strip() else "no text given"
