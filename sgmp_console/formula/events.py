"""Events as series."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sgmp_console.formula.identifiers import EventIdentifier
from sgmp_console.timeseries.series import Series

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


class HappenedEvent(Protocol):
    """An event as the store gives it."""

    @property
    def timestamp_ms(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


def event_series(identifier: EventIdentifier, events: Iterable[HappenedEvent]) -> Series:
    """The series of an event identifier over events of any order and kind.

    Each matching event counts 1 without a field, else gives the field's number, if it has one. A series has one value
    per instant, and no event may be lost or merged: of several at one instant the later ones (by device, then type)
    stand each a millisecond after the one before.
    """
    matching = sorted(
        (
            event
            for event in events
            if (not identifier.devices or event.device in identifier.devices)
            and (not identifier.types or event.type in identifier.types)
        ),
        key=lambda event: (event.timestamp_ms, event.device, event.type),
    )
    timestamps: list[int] = []
    values: list[float] = []
    previous: int | None = None
    for event in matching:
        instant = event.timestamp_ms if previous is None else max(event.timestamp_ms, previous + 1)
        previous = instant
        value = 1.0 if identifier.field is None else _number(_found(event.data, identifier.field))
        if value is not None:
            timestamps.append(instant)
            values.append(value)
    return Series(timestamps, values)


def _found(data: Any, path: str) -> Any:
    """What stands at a dotted path of nested objects and lists; a key may itself hold dots. None if nothing does."""
    if isinstance(data, list):
        data = {str(index): element for index, element in enumerate(data)}
    if not isinstance(data, Mapping):
        return None
    if path in data:
        return data[path]
    for place, character in enumerate(path):
        if character == "." and path[:place] in data:
            found = _found(data[path[:place]], path[place + 1 :])
            if found is not None:
                return found
    return None


def _number(value: Any) -> float | None:
    """Numbers, numeric texts and booleans, as for readings; None for anything else and for what isn't finite."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    if not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
