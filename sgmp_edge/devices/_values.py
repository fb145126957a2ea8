"""Numbers, names and texts as devices send them, and JSON that is nearly right: one odd value never costs the others."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from sgmp_edge.contract import number_in

MAX_FIELD_LENGTH = 255
"""Characters of a field's whole path that ingest takes."""
MAX_TEXT_LENGTH = 200
"""Characters of a text value: a state or a mode, not a document."""
MAX_REPAIRED_BYTES = 2**20
"""Of JSON with mistakes in it; the parts of a larger one would take a Pi's memory."""

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_KEY = re.compile(r'"|[^\W\d]')
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WRONG_ESCAPE = re.compile(r'\\(\\|["/bfnrt]|u[0-9a-fA-F]{4})|\\')


def number(value: Any) -> float | int | None:
    """A device's number, which may come as text or as a flag; None for null, NaN, infinities and anything else."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        value = number_in(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else None
    if not isinstance(value, float) or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def plain_text(value: str) -> str:
    """A device's text in one line of bounded length."""
    return "".join(c if c.isprintable() else " " for c in value[:MAX_TEXT_LENGTH])


def field_name(name: str, prefix: str = "") -> str | None:
    """A device's name of a value as a field can be called: an odd blank becomes a blank.

    None where it can't be a name, with the `prefix` before it: empty, or longer than ingest takes.
    """
    printable = "".join(c if c.isprintable() else " " for c in name)
    return printable if printable.strip() and len(prefix) + len(printable) <= MAX_FIELD_LENGTH else None


def parse_json(body: bytes) -> Any:
    """JSON as devices write it: `nan`, `+5`, a missing value or a wrong escape cost that value alone.

    Raises ValueError where no document can be made of it.
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        return _load(text)
    except ValueError:
        if len(body) > MAX_REPAIRED_BYTES or not text.lstrip().startswith(("{", "[")):
            raise
    return _load(_repaired(text))


def _load(text: str) -> Any:
    """An object or a list is complete at its end, whatever is left of an earlier answer after it."""
    try:
        document, end = _DECODER.raw_decode(text.lstrip())
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if text.lstrip()[end:].strip() and not isinstance(document, dict | list):
        raise ValueError("more than a value")
    return document


def _whole(digits: str) -> int | None:
    """Python itself refuses the whole document over a number of thousands of digits."""
    return int(digits) if len(digits) <= 400 else None


_DECODER = json.JSONDecoder(strict=False, parse_int=_whole, parse_constant=lambda _: None)


def _repaired(text: str) -> str:
    """The same document with what is not JSON replaced: numbers written otherwise, bare words, missing values."""
    pieces: list[str] = []
    inside: list[str] = []
    given: list[str] = _PIECE.findall(text)
    at = 0
    while at < len(given):
        piece = given[at]
        at += 1
        before = pieces[-1] if pieces else ""
        in_object = inside[-1:] == ["{"]
        if piece in ("}", "]", ","):
            if before == ":" or (before in ("[", ",") and not in_object and piece == ","):
                pieces.append("null")
            elif before == ",":
                pieces.pop()
            if piece == "," and pieces[-1:] == ["{"]:
                continue
            if piece != "," and inside:
                inside.pop()
        elif piece in ("{", "["):
            inside.append(piece)
        elif piece != ":" and before in (":", "[", ",") and (end := _end_of_value(given, at, in_object)) > at:
            # More than one value: 1,5 or 12:30 or 1 000. None of it is one.
            piece, at = "null", end
        elif piece.startswith('"'):
            piece = _WRONG_ESCAPE.sub(lambda found: found[0] if found[1] else "\\\\", piece)
        elif piece != ":" and in_object and before in ("{", ","):
            piece = json.dumps(piece)
        elif piece != ":":
            piece = _literal(piece)
        pieces.append(piece)
        if inside[-1:] == ["{"] and (before == ":" or piece in ("}", "]")) and piece not in ("{", "[", ","):
            pieces += [","] if _is_key(given, at) else []  # it is missing
    return " ".join(pieces)


def _end_of_value(pieces: list[str], at: int, in_object: bool) -> int:
    """Where what follows a value begins; after `at` where more stands there than one value."""
    if in_object and pieces[at : at + 1] == [":"] and not _is_value(pieces, at - 2):
        return at  # a key
    while at < len(pieces) and pieces[at] not in ("{", "[", "}", "]"):
        if in_object and _is_key(pieces, at):
            break
        if pieces[at] == "," and (
            not in_object or pieces[at + 1 : at + 2] in ([], ["}"], [","]) or _is_key(pieces, at + 1)
        ):
            break
        at += 1
    return at


def _is_value(pieces: list[str], before: int) -> bool:
    return before >= 0 and pieces[before] == ":"


def _is_key(pieces: list[str], at: int) -> bool:
    return (
        pieces[at + 1 : at + 2] == [":"]
        and pieces[at] not in (*"{}[]:,",)
        and _KEY.match(pieces[at]) is not None
    )


def _literal(piece: str) -> str:
    if piece in ("true", "false", "null") or _JSON_NUMBER.fullmatch(piece):
        return piece
    value = number_in(piece)
    return "null" if value is None or not math.isfinite(value) else repr(value)
