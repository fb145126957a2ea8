"""Formula text cut into tokens.

Whitespace is blank, tab, line feed, carriage return; everything else that the grammar doesn't know is refused here,
with what to write instead.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum

from sgmp_console.formula.errors import FormulaError, shown
from sgmp_console.formula.identifiers import Identifier, scan


class Kind(Enum):
    NUMBER = "number"
    WORD = "word"  # a name without a dot: a constant, a function, or a mistake
    IDENTIFIER = "identifier"
    SYMBOL = "symbol"  # + - * / ^ ( ) ,
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    position: int
    value: float = 0.0
    identifier: Identifier | None = None

    @property
    def end(self) -> int:
        return self.position + len(self.text)


_BLANKS = re.compile(r"[ \t\r\n]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_GLUED = re.compile(r'[A-Za-z0-9_."]+')
_SYMBOLS = frozenset("+-*/^(),")

# What people type, or paste from a document, and what the grammar calls it.
_INSTEAD = {
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∗": "*",
    "÷": "/",
    "∕": "/",
    "⁄": "/",
    "²": "^2",
    "³": "^3",
    "π": "pi",
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": '"',
    "’": '"',
    "'": '"',
    "[": "(",
    "{": "(",
    "]": ")",
    "}": ")",
    ";": ",",
}


def tokens(text: str) -> list[Token]:
    """All tokens, the last of kind END. Raises FormulaError."""
    found: list[Token] = []
    here = 0
    while here < len(text):
        blanks = _BLANKS.match(text, here)
        if blanks:
            here = blanks.end()
            continue
        token = _token(text, here)
        found.append(token)
        here = token.end
    found.append(Token(Kind.END, "", len(text)))
    return found


def _token(text: str, here: int) -> Token:
    if text.startswith("**", here):
        raise FormulaError("a power is written with ^: x^2", here, 2)
    if text[here] in _SYMBOLS:
        return Token(Kind.SYMBOL, text[here], here)
    number = _NUMBER.match(text, here)
    if number:
        return _number(text, number)
    word = _WORD.match(text, here)
    if word and text.startswith(".", word.end()):
        identifier, end = scan(text, here)
        return Token(Kind.IDENTIFIER, text[here:end], here, identifier=identifier)
    if word:
        return Token(Kind.WORD, word[0], here)
    raise _unknown(text, here)


def _number(text: str, match: re.Match[str]) -> Token:
    written, start, end = match[0], match.start(), match.end()
    glued = _GLUED.match(text, end)
    if glued:
        whole = written + glued[0]
        if glued[0] in ("e", "E"):
            hint = (
                f"the exponent is missing; write {shown(written)}e3, or {shown(written)}*e for Euler's number"
            )
        elif glued[0].startswith("."):
            hint = "a number has one decimal point"
        else:
            hint = (
                f"an operator is missing in `{shown(whole)}`; write {shown(written)}*{shown(glued[0])}. "
                "Names start with a letter"
            )
        raise FormulaError(hint, start, len(whole))
    value = float(written)
    if math.isinf(value):
        raise FormulaError("this number is too large; the largest is about 1.8e308", start, len(written))
    if value == 0 and re.search("[1-9]", re.split("[eE]", written)[0]):
        raise FormulaError("this number is too small; write 0", start, len(written))
    return Token(Kind.NUMBER, written, start, value=value)


def _unknown(text: str, here: int) -> FormulaError:
    character = text[here]
    if character in _INSTEAD:
        return FormulaError(f"write {_INSTEAD[character]} instead of {character}", here, 1)
    if character.isspace() or not character.isprintable():
        return FormulaError(f"remove the invisible character {shown(character)}", here, 1)
    if character == "_":
        return FormulaError("a name starts with a letter, not with an underscore", here, 1)
    if character == '"':
        return FormulaError(
            'quotes hold a part of a field\'s name, after the device: meter."Main House"', here, 1
        )
    if character == "%":
        return FormulaError("there is no % here; divide by 100", here, 1)
    if character in "<>=!&|?":
        return FormulaError(
            "formulas don't compare; pos(x) and neg(x) keep the positive or negative part", here, 1
        )
    if character == ":":
        return FormulaError(
            "`:` stands only in event identifiers: events.charger::EV_START_CHARGING", here, 1
        )
    if character == ".":
        return FormulaError("this dot belongs to nothing; identifiers hold no blanks: device.field", here, 1)
    return FormulaError(f"`{character}` has no meaning in a formula", here, 1)
