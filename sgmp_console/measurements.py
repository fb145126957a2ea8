"""What a measurement may be, and how a device's JSON becomes measurements. Pure, and below `store`, `fleet` and `ingest`.

What a field becomes: numbers, numeric texts and booleans (1/0) are values; null, NaN and infinities are missing; other
text is text. Nested objects are flattened with dots, list elements by their index. A field that breaks a rule is left
out and named; it never costs the others.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sgmp_console.timeseries import READING_LIMIT
from sgmp_edge import contract

MAX_VALUE = READING_LIMIT
"""The largest size of a reading, in any unit (design, 7 "Bounds"): the sum of a year's readings is still a number."""

EARLIEST_MS = 1_262_304_000_000
"""2010-01-01, UTC ms: a clock that shows less was never set."""

AHEAD_MS = 5 * 60_000
"""How far a timestamp may be ahead of its reception (design, 7 "Bounds")."""

MAX_DEPTH = 32
MAX_FIELDS = 2_000
"""Of one message; an edge that sends more reports something else than measurements."""

MAX_FIELD_LENGTH = 255
MAX_TEXT_LENGTH = 10_000

_MAX_DIGITS = 400
"""Of a whole number; anything longer is out of a float's range."""


class Unreadable(ValueError):
    """Why a payload can't be read, in a sentence for operators."""


class Problem(StrEnum):
    """What can be wrong with a single field."""

    UNNAMED = "unnamed"
    NAME_TOO_LONG = "name_too_long"
    NAME_UNPRINTABLE = "name_unprintable"
    REPEATED = "repeated"
    TOO_DEEP = "too_deep"
    TOO_MANY = "too_many"
    TEXT_TOO_LONG = "text_too_long"
    OUT_OF_RANGE = "out_of_range"
    NO_SERIES = "no_series"


_SENTENCES = {
    Problem.UNNAMED: "One of its values has no name.",
    Problem.NAME_TOO_LONG: f"A field's name has more than {MAX_FIELD_LENGTH} characters: {{field}}.",
    Problem.NAME_UNPRINTABLE: "A field's name holds characters that can't be shown: {field}.",
    Problem.REPEATED: "Two of its values are called {field}.",
    Problem.TOO_DEEP: f"{{field}} is nested more than {MAX_DEPTH} levels deep.",
    Problem.TOO_MANY: f"It has more than {MAX_FIELDS} fields.",
    Problem.TEXT_TOO_LONG: f"The text {{field}} has more than {MAX_TEXT_LENGTH} characters.",
    Problem.NO_SERIES: "Its device has more fields than can be stored; new ones are left out.",
    Problem.OUT_OF_RANGE: f"The value of {{field}} is beyond {MAX_VALUE:g}.",
}


@dataclass(frozen=True)
class OddField:
    """A field that is left out. `name` is foreign text, shortened; `str()` is the sentence for operators."""

    name: str
    problem: Problem

    def __str__(self) -> str:
        return _SENTENCES[self.problem].format(field=repr(self.name))


@dataclass(frozen=True)
class Measurements:
    """By field: values, texts, and the fields that were left out."""

    values: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    odd: tuple[OddField, ...] = ()


@dataclass(frozen=True)
class _Repeated:
    """Stands for the values of a name that an object holds more than once."""

    values: tuple[Any, ...]


def parse(payload: bytes) -> dict[str, Any]:
    """The JSON object that a payload is. Raises Unreadable."""
    try:
        content = _DECODER.decode(payload.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"It is not UTF-8: byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"It is not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise Unreadable("It is nested hundreds of levels deep.") from None
    if not isinstance(content, dict):
        raise Unreadable(f"It is a JSON {json_type(content)}, not an object.")
    return content


def flatten(content: Mapping[str, Any]) -> Measurements:
    """The measurements of a device's JSON object."""
    values: dict[str, float] = {}
    texts: dict[str, str] = {}
    odd: dict[tuple[str, Problem], OddField] = {}
    repeated: set[str] = set()

    def leave_out(name: str, problem: Problem) -> None:
        shown = storable_text(name[:80])
        odd.setdefault((shown, problem), OddField(shown, problem))

    for name, leaf in _leaves(content, "", 1):
        if isinstance(leaf, Problem):
            leave_out(name, leaf)
        elif name in values or name in texts or name in repeated:
            # Which of them is meant is not known, so neither is.
            values.pop(name, None)
            texts.pop(name, None)
            repeated.add(name)
            leave_out(name, Problem.REPEATED)
        elif len(values) + len(texts) >= MAX_FIELDS:
            leave_out("", Problem.TOO_MANY)
            break
        elif isinstance(leaf, str) and (number := contract.number_in(leaf)) is None:
            if len(leaf) > MAX_TEXT_LENGTH:
                leave_out(name, Problem.TEXT_TOO_LONG)
            else:
                texts[name] = storable_text(leaf)
        else:
            value = number if isinstance(leaf, str) else float_of(leaf)
            if value is None or math.isnan(value):
                continue
            if abs(value) > MAX_VALUE:
                leave_out(name, Problem.OUT_OF_RANGE)
            else:
                values[name] = value
    return Measurements(values, texts, tuple(odd.values()))


def storable(value: Any, depth: int = 1) -> tuple[Any, list[Problem]]:
    """`value`, parsed from JSON, as jsonb takes it, and what was left out for that (null stands in its place)."""
    if isinstance(value, _Repeated):
        return None, [Problem.REPEATED]
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        return None, [Problem.TOO_DEEP]
    problems: list[Problem] = []
    if isinstance(value, dict):
        content = {}
        for name, item in value.items():
            content[storable_text(name)], found = storable(item, depth + 1)
            problems += found
        return content, problems
    if isinstance(value, list):
        items = []
        for item in value:
            kept, found = storable(item, depth + 1)
            items.append(kept)
            problems += found
        return items, problems
    if isinstance(value, str):
        return storable_text(value), problems
    if isinstance(value, bool) or value is None:
        return value, problems
    return (value if abs(float_of(value)) <= MAX_VALUE else None), problems


def storable_text(text: str) -> str:
    """PostgreSQL keeps neither NUL nor halves of surrogate pairs, JSON may bring both."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def float_of(value: float) -> float:
    """Infinite where a whole number is out of a float's range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def json_type(value: object) -> str:
    """What JSON calls it."""
    if isinstance(value, list):
        return "list"
    if isinstance(value, str):
        return "text"
    if isinstance(value, _Repeated):
        return "value that is there twice"
    return "null" if value is None else "boolean" if isinstance(value, bool) else "number"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        several: dict[str, list[Any]] = {}
        for name, value in pairs:
            several.setdefault(name, []).append(value)
        for name, values in several.items():
            if len(values) > 1:
                content[name] = _Repeated(tuple(values))
    return content


def _whole_number(text: str) -> float:
    """Python refuses whole numbers of some thousand digits; here they are what any such number is as a float."""
    if len(text) <= _MAX_DIGITS:
        return int(text)
    return -math.inf if text.startswith("-") else math.inf


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole_number, parse_constant=lambda _name: None
)


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str | float | Problem]]:
    """Fields with their values, or with what is wrong with them; nulls are left out."""
    if isinstance(value, _Repeated):
        yield path, Problem.REPEATED
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            yield path, Problem.TOO_DEEP
            return
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, f"{path}.{name}" if path else str(name), depth + 1)
    elif value is not None:
        name = _plain_blanks(path)
        yield name, _name_problem(name) or value


def _plain_blanks(name: str) -> str:
    """With the blanks that only look like one (no-break, thin) as blanks: meters' registers are named by hand."""
    if name.isascii():
        return name
    return "".join(" " if unicodedata.category(one) == "Zs" else one for one in name)


def _name_problem(name: str) -> Problem | None:
    if not name:
        return Problem.UNNAMED
    if len(name) > MAX_FIELD_LENGTH:
        return Problem.NAME_TOO_LONG
    if not name.isprintable() or storable_text(name) != name:
        return Problem.NAME_UNPRINTABLE
    return None
