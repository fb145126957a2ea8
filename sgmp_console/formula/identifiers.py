"""What an identifier refers to.

`egauge.A.L1_Voltage`, `meter."Main House"`, `events.charger::EV_END_CHARGING.energy`, `analytics.battery`.
`scan` reads one out of a formula's text; `parse` takes one alone; `write` is the way back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sgmp_console.formula.errors import FormulaError, shown

EVENTS = "events"
ANALYTICS = "analytics"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FIELD_PART = re.compile(r"[A-Za-z0-9_]+")
# `_edge` is the name under which an edge itself reports; event types are free words of the drivers.
_EVENT_WORD = re.compile(r"[A-Za-z0-9_]+")
_QUOTED = re.compile(r'"((?:[^"]|"")*+)"')


@dataclass(frozen=True, slots=True)
class DeviceIdentifier:
    """A field of a device. `field` is the dotted path as stored, without quotes."""

    device: str
    field: str


@dataclass(frozen=True, slots=True)
class EventIdentifier:
    """A field of events, or their count when `field` is None. Empty `devices` or `types` means all."""

    devices: tuple[str, ...]
    types: tuple[str, ...]
    field: str | None


@dataclass(frozen=True, slots=True)
class AnalyticsIdentifier:
    """Another analytic item of the house."""

    name: str


Identifier = DeviceIdentifier | EventIdentifier | AnalyticsIdentifier


def parse(text: str) -> Identifier:
    """The identifier that is the whole of `text`. Raises FormulaError."""
    start = _NAME.match(text)
    if start is None or not text.startswith(".", start.end()):
        raise FormulaError(f"`{shown(text)}` is no identifier; write device.field", 0, len(text))
    identifier, end = scan(text, 0)
    if end != len(text):
        raise FormulaError(
            f"`{shown(text[end:])}` does not belong to the identifier before it", end, len(text) - end
        )
    return identifier


def write(identifier: Identifier) -> str:
    """The text of an identifier, field parts quoted where the grammar needs it. `parse(write(x)) == x`."""
    if isinstance(identifier, AnalyticsIdentifier):
        return f"{ANALYTICS}.{identifier.name}"
    if isinstance(identifier, EventIdentifier):
        text = f"{EVENTS}.{':'.join(identifier.devices)}::{':'.join(identifier.types)}"
        return text if identifier.field is None else f"{text}.{_write_field(identifier.field)}"
    return f"{identifier.device}.{_write_field(identifier.field)}"


def _write_field(field: str) -> str:
    parts = field.split(".")
    if not all(parts):  # a leading, trailing or doubled dot is part of the name
        parts = [field]
    return ".".join(
        part if _FIELD_PART.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in parts
    )


def scan(text: str, start: int) -> tuple[Identifier, int]:
    """Read the identifier that begins at `start`: a name that a dot follows. Returns it and where it ends.

    Raises FormulaError when what follows the dot isn't the rest of an identifier.
    """
    name = _NAME.match(text, start)
    if name is None:
        raise ValueError("an identifier begins with a name")
    if name[0] == EVENTS:
        return _scan_events(text, start, name.end() + 1)
    if name[0] == ANALYTICS:
        return _scan_analytics(text, start, name.end() + 1)
    field, end = _scan_field(text, start, name.end())
    return DeviceIdentifier(name[0], field), end


def _scan_field(text: str, start: int, dot: int) -> tuple[str, int]:
    """The dotted path whose first dot stands at `dot`."""
    parts = []
    end = dot
    while text.startswith(".", end):
        part, end = _scan_field_part(text, start, end + 1)
        parts.append(part)
    if text.startswith('"', end):
        raise FormulaError("a dot is missing before the quoted part", end, 1)
    return ".".join(parts), end


def _scan_field_part(text: str, start: int, here: int) -> tuple[str, int]:
    plain = _FIELD_PART.match(text, here)
    if plain:
        return plain[0], plain.end()
    if not text.startswith('"', here):
        before = shown(text[start : here - 1])
        raise FormulaError(
            f"after the dot of `{before}.` a field name is missing; quote names with other characters than "
            f'letters, digits and underscores: {before}."Main House"',
            start,
            here - start,
        )
    quoted = _QUOTED.match(text, here)
    if quoted is None:
        raise FormulaError('the closing quote (") is missing', here, len(text) - here)
    part = quoted[1].replace('""', '"')
    if not part.strip():
        raise FormulaError(
            "the quotes are empty; write the field's name between them", here, quoted.end() - here
        )
    for offset, character in enumerate(quoted[1]):
        if not character.isprintable():
            raise FormulaError(
                f"a field name can't hold the invisible character {shown(character)}", here + 1 + offset, 1
            )
    return part, quoted.end()


def _scan_analytics(text: str, start: int, here: int) -> tuple[Identifier, int]:
    name = _NAME.match(text, here)
    if name is None:
        raise FormulaError(
            "after `analytics.` the name of an item is missing: analytics.battery", start, here - start
        )
    if text.startswith(".", name.end()):
        raise FormulaError(f"an analytic item has no fields; write analytics.{shown(name[0])}", name.end(), 1)
    return AnalyticsIdentifier(name[0]), name.end()


def _scan_events(text: str, start: int, here: int) -> tuple[Identifier, int]:
    devices, here = _scan_list(text, here)
    if not text.startswith("::", here):
        raise FormulaError(
            "an event identifier is written events.devices::types.field; both lists may be empty: "
            "events.::EV_START_CHARGING",
            start,
            here - start,
        )
    types, end = _scan_list(text, here + 2)
    if text.startswith(":", end):
        raise FormulaError("only one `::` stands in an event identifier, between devices and types", end, 1)
    field = None
    if text.startswith(".", end):
        field, end = _scan_field(text, start, end)
    return EventIdentifier(devices, types, field), end


def _scan_list(text: str, here: int) -> tuple[tuple[str, ...], int]:
    """Names with a single `:` between them, or none at all."""
    names: list[str] = []
    word = _EVENT_WORD.match(text, here)
    while word:
        if word[0] not in names:
            names.append(word[0])
        here = word.end()
        if not text.startswith(":", here) or text.startswith("::", here):
            break
        word = _EVENT_WORD.match(text, here + 1)
        if word is None:
            raise FormulaError("after this `:` a name is missing", here, 1)
    return tuple(names), here
