"""A device's config as text: read with the place of every setting, written so that one can read it. No Qt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any

from sgmp_console.formula import Problem
from sgmp_edge import contract

_BLANK = " \t\r\n"


@dataclass(frozen=True)
class ConfigText:
    """`config` is None where the text can't be read; `problem` says why then. `places`: (position, length) of each
    setting's name. Positions are characters."""

    text: str = field(repr=False)
    config: Mapping[str, Any] | None = field(repr=False)
    problem: Problem | None
    places: Mapping[str, tuple[int, int]]

    def marks(self, problems: tuple[contract.ConfigProblem, ...]) -> tuple[Problem, ...]:
        """Problems of settings at their places; of one that is missing, at the end."""
        if self.problem is not None:
            return (self.problem,)
        if not self.text.strip():
            return ()
        end = max(self.text.rfind("}"), 0)
        found = []
        for one in problems:
            position, length = self.places.get(one.key, (end, 1))
            found.append(Problem(sentence(one), position, length))
        return tuple(found)


def read(text: str) -> ConfigText:
    """Any text."""
    places: dict[str, tuple[int, int]] = {}
    try:
        config = _object(text, places)
    except _Unreadable as error:
        return ConfigText(text, None, _problem(text, error.sentence, error.position), {})
    except JSONDecodeError as error:
        return ConfigText(text, None, _problem(text, _inside_value(text, error.pos), error.pos), {})
    except RecursionError:
        return ConfigText(text, None, _problem(text, "It is nested too deeply", 0), {})
    return ConfigText(text, config, None, places)


def write(config: Mapping[str, Any]) -> str:
    """Settings on lines of their own, in their order; a list of texts one to a line where it is long."""
    return json.dumps(dict(config), indent=2, ensure_ascii=False)


def with_setting(config: Mapping[str, Any], key: str, value: Any, order: tuple[str, ...]) -> dict[str, Any]:
    """The config with another value (None: without the setting). A new setting takes its place in `order`."""
    changed = dict(config)
    if value is None:
        changed.pop(key, None)
        return changed
    if key in changed:
        changed[key] = value
        return changed
    later = order[order.index(key) + 1 :] if key in order else ()
    items: list[tuple[str, Any]] = []
    placed = False
    for name, old in changed.items():
        if not placed and name in later:
            items.append((key, value))
            placed = True
        items.append((name, old))
    if not placed:
        items.append((key, value))
    return dict(items)


def sentence(problem: contract.ConfigProblem) -> str:
    """A problem as a sentence that names the setting."""
    text = f"{problem.key} {problem.message}" if problem.key else f"the config {problem.message}"
    return f"{text}." if problem.key else f"{text[0].upper()}{text[1:]}."


def place_of(text: str, position: int) -> str:
    """`line 3, column 12`, from 1."""
    before = text[:position]
    return f"line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))}"


def _problem(text: str, message: str, position: int) -> Problem:
    at = min(position, max(len(text) - 1, 0))
    return Problem(f"{message} ({place_of(text, position)}).", at, 1)


_NO_VALUE = "A value is missing here: a text in double quotes, a number, true, false or a list"
_NO_COMMA = "A comma or a closing bracket is missing here"
_NO_QUOTE = "A text begins here that has no closing quote"


class _Unreadable(Exception):
    def __init__(self, sentence: str, position: int) -> None:
        super().__init__(sentence)
        self.sentence, self.position = sentence, position


def _inside_value(text: str, position: int) -> str:
    """What is wrong where the JSON library gave up inside a value: by what stands there, not by its words."""
    here, before = text[position : position + 1], text[:position].rstrip(_BLANK)[-1:]
    if here == "\\":
        return 'After \\ only one of " \\ / b f n r t u can stand'
    if here and here < " ":
        return "A text has no closing quote before the end of its line"
    if here == '"' and _is_open(text, position):
        return _NO_QUOTE
    return _NO_VALUE if before in ("", "[", "{", ",", ":") else _NO_COMMA


def _is_open(text: str, position: int) -> bool:
    """Whether the text that begins there never ends."""
    try:
        json.JSONDecoder().raw_decode(text, position)
    except JSONDecodeError:
        return True
    return False


def _object(text: str, places: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The object that the whole text is. Raises _Unreadable, and JSONDecodeError inside a value."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise _Unreadable("The config must be a JSON object, from { to }", at)
    config: dict[str, Any] = {}
    at = _skip(text, at + 1)
    decode = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
    while text[at : at + 1] != "}":
        if config:
            if text[at : at + 1] != ",":
                raise _Unreadable(_NO_COMMA, at)
            at = _skip(text, at + 1)
        if text[at : at + 1] != '"':
            raise _Unreadable("A setting's name in double quotes is missing here", at)
        begin = at
        key, at = decode(text, at)
        if key in config:
            raise _Unreadable(f"The setting {key[:40]} stands here twice", begin)
        places[key] = (begin, at - begin)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise _Unreadable("A colon is missing here", at)
        at = _skip(text, at + 1)
        try:
            config[key], at = decode(text, at)
        except _NotFinite as error:
            raise _Unreadable(f"{error} is not a JSON number", at) from None
        at = _skip(text, at)
    at = _skip(text, at + 1)
    if at < len(text):
        raise _Unreadable("The config ends before this", at)
    return config


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


class _NotFinite(ValueError):
    """NaN and the infinities are no JSON."""


def _refuse_constant(name: str) -> Any:
    raise _NotFinite(name)
