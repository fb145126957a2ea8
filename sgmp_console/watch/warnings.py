"""What the WARNING events of devices say: what is wrong, and what is over."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sgmp_console.store import Event
from sgmp_edge.contract import WARNING, DriverCondition, WarningChange, WarningKind

FirstReading = Callable[[str, int], int | None]
"""When a device first delivered a reading after a time (UTC ms); None where it has not."""

_QUOTED = re.compile(r"`([^`]+)`")
_TEXTS_WITHOUT_CODES = (
    (
        DriverCondition.SILENT_REGISTER,
        WarningChange.BEGINS,
        re.compile(r"no value from register (.+?); the meter has .*", re.DOTALL),
    ),
    (DriverCondition.SILENT_REGISTER, WarningChange.ENDS, re.compile(r"register (.+) has values again")),
    (DriverCondition.ALERT, WarningChange.BEGINS, re.compile(r"the battery reports (.+)")),
    (DriverCondition.ALERT, WarningChange.ENDS, re.compile(r"the battery no longer reports (.+)")),
)
"""What the drivers of older edges say, which send no `condition`. The one place that reads a sentence."""


@dataclass(frozen=True)
class WarningGroup:
    """WARNING events of the same device about the same thing.

    `resolved_ms`: since when it is over; None while it is active. `is_outage`: the device is (or was) down, from
    `first_ms` on; others may have been reported `count` times without lasting. `lasts`: what ends it will be reported.
    """

    device: str
    text: str
    count: int
    first_ms: int
    last_ms: int
    resolved_ms: int | None = None
    is_outage: bool = False
    lasts: bool = False
    kind: WarningKind = WarningKind.DRIVER

    @property
    def is_active(self) -> bool:
        return self.resolved_ms is None


@dataclass
class _Open:
    """A warning as its events come in. `subjects`: what has not recovered yet, where the texts name it."""

    device: str
    text: str
    first_ms: int
    last_ms: int
    count: int = 0
    is_outage: bool = False
    kind: WarningKind = WarningKind.DRIVER
    subjects: set[str] = field(default_factory=set)

    def group(self, resolved_ms: int | None = None) -> WarningGroup:
        return WarningGroup(
            self.device,
            self.text,
            self.count,
            self.first_ms,
            self.last_ms,
            resolved_ms,
            self.is_outage,
            self.is_outage or bool(self.subjects),
            self.kind,
        )


def warning_groups(
    events: Iterable[Event], first_reading: FirstReading = lambda _device, _after_ms: None
) -> tuple[WarningGroup, ...]:
    """The WARNING events among `events`, grouped: those still active first, each part with the newest first.

    What a device recovers from closes a warning, and is none itself. An outage is also over once the device delivers
    readings again: a device that was configured again does not say that it is back.
    """
    opened: dict[tuple[str, str], _Open] = {}
    over: list[WarningGroup] = []
    for event in sorted(events, key=lambda event: event.timestamp_ms):
        if event.type == WARNING:
            _take(event, opened, over, first_reading)
    active: list[WarningGroup] = []
    for warning in opened.values():
        back_ms = first_reading(warning.device, warning.last_ms) if warning.is_outage else None
        (active if back_ms is None else over).append(warning.group(back_ms))
    active.sort(key=lambda group: (-group.last_ms, group.device, group.text))
    over.sort(key=lambda group: (-(group.resolved_ms or 0), group.device, group.text))
    return (*active, *over)


def _take(
    event: Event,
    opened: dict[tuple[str, str], _Open],
    over: list[WarningGroup],
    first_reading: FirstReading,
) -> None:
    at_ms, device, text = event.timestamp_ms, event.device, _warning_text(event.data)
    change, subjects = _change(event.data, text)
    outage = (device, "")
    if change is WarningChange.BACK:
        if outage in opened:
            over.append(opened.pop(outage).group(at_ms))
        return
    if change is WarningChange.ENDS:
        _end(subjects, event, opened, over)
        return
    if change in (WarningChange.NOTICE, WarningChange.BEGINS):
        key, began_ms = (device, text), at_ms
    else:
        key, began_ms = outage, _since(event)
        before = opened.get(outage)
        back_ms = first_reading(device, before.last_ms) if before is not None else None
        if before is not None and back_ms is not None and back_ms < began_ms:
            over.append(opened.pop(outage).group(back_ms))  # another outage: between them it delivered
    warning = opened.setdefault(key, _Open(device, text, began_ms, at_ms))
    warning.text, warning.last_ms, warning.is_outage = text, at_ms, key == outage
    warning.kind = WarningKind.of(event.data.get("kind"))
    warning.first_ms = min(warning.first_ms, began_ms)
    warning.count += 1
    warning.subjects |= subjects


def _end(
    ended: set[str], event: Event, opened: dict[tuple[str, str], _Open], over: list[WarningGroup]
) -> None:
    for key, warning in list(opened.items()):
        if warning.device == event.device and warning.subjects & ended:
            warning.subjects -= ended
            if not warning.subjects:
                over.append(opened.pop(key).group(event.timestamp_ms))


def _change(data: Mapping[str, Any], text: str) -> tuple[WarningChange, set[str]]:
    """What a warning changes, and what it begins or ends, each with its condition."""
    change = WarningChange.of(data.get("change"))
    if change in (WarningChange.BEGINS, WarningChange.ENDS):
        names = data.get("subjects")
        listed = names if isinstance(names, list) else []
        return change, {f"{data.get('condition')} {name}" for name in listed if isinstance(name, str)}
    if change is WarningChange.NOTICE and "condition" not in data:
        for condition, change_of_text, pattern in _TEXTS_WITHOUT_CODES:
            if match := pattern.fullmatch(text):
                names = _QUOTED.findall(match[1]) or [match[1]]
                return change_of_text, {f"{condition} {name}" for name in names}
    return change, set()


def _since(event: Event) -> int:
    since = event.data.get("since_ms")
    if isinstance(since, int) and not isinstance(since, bool) and 0 < since <= event.timestamp_ms:
        return since
    return event.timestamp_ms


def _warning_text(data: Mapping[str, Any]) -> str:
    text = data.get("data")
    return text.strip() if isinstance(text, str) and text.strip() else "no text given"
