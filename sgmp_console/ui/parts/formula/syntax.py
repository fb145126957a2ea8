"""The kinds of words in a formula and their colours. Works on texts that can't be read, too: half-written ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from PySide6.QtGui import QColor

from sgmp_console.formula import CONSTANTS, FUNCTIONS, identifiers
from sgmp_console.ui.theme import Tokens

# Alternatives in order: an identifier, a word alone, a number.
_WORDS = re.compile(
    r'(?P<identifier>[A-Za-z][A-Za-z0-9_]*\.(?:[A-Za-z0-9_.:]|"(?:[^"]|"")*"?)*)'
    r"|(?P<word>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
)


@dataclass(frozen=True)
class Span:
    """`kind` is device, item, event, function, number or "" for a word that means nothing yet."""

    position: int
    length: int
    kind: str


def spans(text: str) -> Iterator[Span]:
    """The coloured parts of a formula's text, in order; positions in characters."""
    for found in _WORDS.finditer(text):
        yield Span(found.start(), len(found[0]), _kind(found))


def kind_of_identifier(text: str) -> str:
    head = text.partition(".")[0]
    return {identifiers.EVENTS: "event", identifiers.ANALYTICS: "item"}.get(head, "device")


def colour(kind: str, tokens: Tokens) -> QColor:
    return {
        "device": tokens.syntax_device,
        "item": tokens.syntax_item,
        "event": tokens.syntax_event,
        "function": tokens.syntax_function,
        "number": tokens.syntax_number,
    }.get(kind, tokens.ink_primary)


def _kind(found: re.Match[str]) -> str:
    if found["identifier"] is not None:
        return kind_of_identifier(found["identifier"])
    if found["number"] is not None:
        return "number"
    if found["word"] in FUNCTIONS:
        return "function"
    return "number" if found["word"] in CONSTANTS else ""
