"""From a message to rows: pure, and total. Every message is either read or refused whole, with the reason.

What a field becomes: numbers, numeric texts and booleans (1/0) are values; null, NaN and infinities are dropped; other
text is text. Nested objects are flattened with dots, list elements by their index.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sgmp_console.store import EventRow, ReadingRow, TextRow
from sgmp_edge import contract

MAX_DEPTH = 32
MAX_FIELDS = 2_000
"""Of one message; an edge that sends more reports something else than measurements."""

MAX_FIELD_LENGTH = 255
MAX_TEXT_LENGTH = 10_000

EARLIEST_MS = 1_262_304_000_000
"""2010-01-01: a clock that says less was never set."""

FUTURE_MS = 24 * 3_600_000
"""How far a clock may be ahead of ours."""

Directory = Mapping[tuple[int, int], str]
"""(house id, device id) -> device name, of all there are; device id 0 is the house's edge itself."""

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NO_NUMBER = frozenset({"nan", "inf", "infinity"})
_EVENT_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class Unreadable(ValueError):
    """Why a message can't be read, in a sentence for operators."""


class UnknownSender(Unreadable):
    """The topic names a house or device that the directory lacks; it may have been made just now."""


@dataclass(frozen=True)
class Decoded:
    """What one message holds; a message of nulls alone holds nothing."""

    reading: ReadingRow | None = None
    texts: TextRow | None = None
    event: EventRow | None = None


def decode(deployment: str, directory: Directory, topic: str, payload: bytes, received_ms: int) -> Decoded:
    """Read a message of a `read_topic`. `received_ms`: UTC ms, by our clock. Raises Unreadable."""
    try:
        where = contract.parse_read_topic(deployment, topic)
    except contract.ContractError as error:
        raise Unreadable(f"The topic can't be read: {error}.") from None
    _check_sender(where, directory)
    _check_time(where.timestamp_ms, received_ms)
    content = _parse(payload)
    if where.kind == "event":
        return Decoded(event=_event(where, content))
    if where.device_id == contract.EDGE_DEVICE_ID:
        raise Unreadable("An edge reports events about itself, not readings.")
    values, texts = flatten(content)
    address = (where.house_id, where.device_id, where.device_name, where.timestamp_ms)
    return Decoded(
        reading=ReadingRow(*address, values) if values else None,
        texts=TextRow(*address, texts) if texts else None,
    )


def house_of(deployment: str, topic: str) -> int | None:
    """The house whose topic this is, as far as it can be told."""
    try:
        return contract.parse_read_topic(deployment, topic).house_id
    except contract.ContractError:
        return None


def flatten(content: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """The values and the texts of a device's JSON object, by field. Raises Unreadable."""
    values: dict[str, float] = {}
    texts: dict[str, str] = {}
    for count, (field, leaf) in enumerate(_leaves(content, "", 1)):
        if count >= MAX_FIELDS:
            raise Unreadable(f"It has more than {MAX_FIELDS} fields.")
        if field in values or field in texts:
            raise Unreadable(f"Two of its values are called {field[:80]!r}.")
        if isinstance(leaf, str):
            number = _number_in(leaf)
            if number is None:
                if len(leaf) > MAX_TEXT_LENGTH:
                    raise Unreadable(f"The text {field[:80]!r} has more than {MAX_TEXT_LENGTH} characters.")
                texts[field] = storable_text(leaf)
                continue
        else:
            number = _as_float(leaf)
        if math.isfinite(number):
            values[field] = number
    return values, texts


def storable_text(text: str) -> str:
    """PostgreSQL keeps neither NUL nor halves of surrogate pairs, JSON may bring both."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _check_sender(where: contract.ReadTopic, directory: Directory) -> None:
    name = directory.get((where.house_id, where.device_id))
    if name is None:
        if (where.house_id, contract.EDGE_DEVICE_ID) not in directory:
            raise UnknownSender(f"There is no house {where.house_id}.")
        raise UnknownSender(f"House {where.house_id} has no device {where.device_id} ({where.device_name}).")
    if name != where.device_name:
        raise Unreadable(
            f"Device {where.device_id} is called {name}, not {where.device_name}: Synchronize Configuration makes the "
            "edge know."
        )


def _check_time(timestamp_ms: int, received_ms: int) -> None:
    if timestamp_ms < EARLIEST_MS:
        raise Unreadable("Its time is before 2010: the edge's clock was not set.")
    if timestamp_ms > received_ms + FUTURE_MS:
        raise Unreadable("Its time is more than a day ahead: the edge's clock, or ours, is wrong.")


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        content = json.loads(payload.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise Unreadable(f"It is not UTF-8: byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"It is not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise Unreadable(f"It is nested more than {MAX_DEPTH} levels deep.") from None
    except Unreadable:
        raise
    except ValueError:
        # Python's own limit on the digits of a whole number.
        raise Unreadable("It holds a whole number of thousands of digits.") from None
    if not isinstance(content, dict):
        raise Unreadable(f"It is a JSON {_json_type(content)}, not an object.")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"Two of its values are called {twice[:80]!r}.")
    return content


def _event(where: contract.ReadTopic, content: dict[str, Any]) -> EventRow:
    kind = content.get("type")
    if not isinstance(kind, str) or not _EVENT_TYPE.fullmatch(kind):
        raise Unreadable("The event's `type` must be a name of letters, digits and underscores.")
    data = content.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise Unreadable(f"The event's `data` is a JSON {_json_type(data)}, not an object.")
    return EventRow(
        where.house_id, where.device_id, where.device_name, where.timestamp_ms, kind, _storable(data, 1)
    )


def _storable(value: Any, depth: int) -> Any:
    """As jsonb takes it. Raises Unreadable."""
    if depth > MAX_DEPTH:
        raise Unreadable(f"It is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, dict):
        return {storable_text(key): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, bool) or value is None:
        return value
    return value if math.isfinite(_as_float(value)) else None


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str | float | int | bool]]:
    """Fields and their values; nulls are left out. Raises Unreadable."""
    if depth > MAX_DEPTH:
        raise Unreadable(f"It is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}.{index}" if path else str(index), depth + 1)
    elif value is not None:
        yield _field(path), value


def _field(path: str) -> str:
    if not path:
        raise Unreadable("One of its values has no name.")
    if len(path) > MAX_FIELD_LENGTH:
        raise Unreadable(f"A field's name has more than {MAX_FIELD_LENGTH} characters: {path[:40]!r}.")
    field = storable_text(path)
    if field != path or not field.isprintable():
        raise Unreadable(f"A field's name holds characters that can't be shown: {path[:80]!r}.")
    return field


def _number_in(text: str) -> float | None:
    """The number that a text is, NaN for the ways to write that there is none; None for other text."""
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        return float(stripped)
    return math.nan if stripped.lstrip("+-").lower() in _NO_NUMBER else None


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _json_type(value: object) -> str:
    if isinstance(value, list):
        return "list"
    if isinstance(value, str):
        return "text"
    return "null" if value is None else "boolean" if isinstance(value, bool) else "number"
