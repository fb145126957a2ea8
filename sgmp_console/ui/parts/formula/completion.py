"""What can stand at a place in a formula: devices' fields, items, events, functions. No Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from sgmp_console.fleet.analytics import EVENT_UNITS
from sgmp_console.formula import (
    CONSTANTS,
    FUNCTIONS,
    AnalyticsIdentifier,
    Catalogue,
    DeviceIdentifier,
    EventIdentifier,
    identifiers,
)
from sgmp_edge import contract


class What(Enum):
    """The value is the word for it in the list."""

    FIELD = "field"
    ITEM = "item"
    EVENT = "event"
    FUNCTION = "function"
    CONSTANT = "constant"


@dataclass(frozen=True)
class Candidate:
    """`text` is inserted; `detail` is its unit or what it does."""

    text: str
    what: What
    detail: str


@dataclass(frozen=True)
class Fragment:
    """The beginning of a name before the cursor, at `position` (characters)."""

    text: str
    position: int


MAX_SHOWN = 60

_FRAGMENT = re.compile(r'[A-Za-z](?:[A-Za-z0-9_.:]|"(?:[^"]|"")*"|"[^"]*$)*$')

_FUNCTION_DETAILS = {
    "sin": "sine, of radians",
    "cos": "cosine, of radians",
    "tan": "tangent, of radians",
    "abs": "without its sign",
    "exp": "e to the power",
    "pos": "negative values become 0",
    "neg": "positive values become 0",
    "avg": "mean over a period in ms: avg(data, 300000)",
}
_CONSTANT_DETAILS = {"pi": "3.14159…", "e": "2.71828…, Euler's number"}
_EVENTS_OF_DEVICES = (contract.EV_START_CHARGING, contract.EV_END_CHARGING, contract.WARNING)


def fragment(text: str, cursor: int) -> Fragment:
    """What of a name stands before the cursor; empty where none begins there."""
    found = _FRAGMENT.search(text[:cursor])
    if found is None:
        return Fragment("", cursor)
    return Fragment(found[0], found.start())


def all_candidates(catalogue: Catalogue, *, except_item: str = "") -> list[Candidate]:
    """Everything that may be written in a formula of the house, in a fixed order. `except_item` is being edited."""
    found = [
        Candidate(identifiers.write(one), What.FIELD, catalogue.units.get(one, ""))
        for device in sorted(catalogue.devices)
        for one in (DeviceIdentifier(device, field) for field in sorted(catalogue.devices[device]))
    ]
    found += [
        Candidate(identifiers.write(one), What.ITEM, catalogue.units.get(one, ""))
        for one in (AnalyticsIdentifier(name) for name in sorted(catalogue.items) if name != except_item)
    ]
    for kind in sorted({*catalogue.event_types, *_EVENTS_OF_DEVICES}):
        found.append(Candidate(identifiers.write(EventIdentifier((), (kind,), None)), What.EVENT, "count"))
        found += [
            Candidate(identifiers.write(EventIdentifier((), (kind,), field)), What.EVENT, unit)
            for (of_kind, field), unit in EVENT_UNITS.items()
            if of_kind == kind
        ]
    found += [Candidate(f"{name}(", What.FUNCTION, _FUNCTION_DETAILS[name]) for name in FUNCTIONS]
    found += [Candidate(name, What.CONSTANT, _CONSTANT_DETAILS[name]) for name in CONSTANTS]
    return found


def matching(candidates: list[Candidate], begun: str) -> list[Candidate]:
    """Those that fit what was begun, best first: it starts the name, a part of it, or stands in it."""
    wanted = begun.lower()
    ranked = sorted(
        (rank, place, candidate)
        for place, candidate in enumerate(candidates)
        if (rank := _rank(candidate.text.lower(), wanted)) is not None
    )
    return [candidate for _, _, candidate in ranked[:MAX_SHOWN]]


def _rank(name: str, wanted: str) -> int | None:
    if name.startswith(wanted):
        return 0
    if any(part.startswith(wanted) for part in re.split(r'[.:_"(]+', name)):
        return 1
    return 2 if wanted in name else None
