"""What pages make of a house's events: series for event identifiers, today's warnings, charging sessions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from sgmp_console.formula import EventIdentifier
from sgmp_console.reports.home import WarningGroup
from sgmp_console.timeseries.series import Series
from sgmp_edge.contract import WARNING


class EventLike(Protocol):
    """What is needed of an event here."""

    @property
    def timestamp_ms(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def data(self) -> Mapping[str, object]: ...


def event_series(events: Iterable[EventLike], identifier: EventIdentifier) -> Series:
    """What an event identifier stands for: the values of its field, or 1 for each event where it has none.

    Stations of a house are polled at the same tick, so several events can have the same timestamp: they are added up,
    so that counts and energies stay right. Events without the field, or with something that is no number in it, have
    no value.
    """
    sums: dict[int, float] = {}
    for event in events:
        if identifier.devices and event.device not in identifier.devices:
            continue
        if identifier.types and event.type not in identifier.types:
            continue
        value = 1.0 if identifier.field is None else _number(_at(event.data, identifier.field))
        if value is not None:
            sums[event.timestamp_ms] = sums.get(event.timestamp_ms, 0.0) + value
    timestamps = sorted(sums)
    return Series(timestamps, [sums[timestamp] for timestamp in timestamps])


def warning_groups(events: Iterable[EventLike]) -> tuple[WarningGroup, ...]:
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


def _warning_text(data: Mapping[str, object]) -> str:
    text = data.get("data")
    return text.strip() if isinstance(text, str) and text.strip() else "no text given"


def _at(data: object, field: str) -> object:
    """The value at a dotted path; a key may hold dots itself."""
    if not isinstance(data, Mapping):
        return None
    if field in data:
        return data[field]
    head, dot, rest = field.partition(".")
    while dot:
        if head in data and (found := _at(data[head], rest)) is not None:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def _number(value: object) -> float | None:
    """As readings are taken in: numbers, numeric texts, and booleans as 1 and 0; nothing that is not finite."""
    if not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
