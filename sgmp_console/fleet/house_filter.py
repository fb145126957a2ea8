"""The filter of a list of houses: `harbor age>10m findings>0 edge:offline`. Pure.

Terms stand side by side, and a house must meet all of them: words that stand somewhere in it, a quantity that is compared
(`age>10m`), a text that contains something (`software:1.2`). While a term is being typed (`age>`) it does not narrow.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_TERM = re.compile(r"(?P<key>[a-z]+)(?P<operator>>=|<=|>|<|=|:)(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<unit>[a-z%]*)")

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
}

_DURATIONS = {"s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
"""ms of a unit."""

_PERCENT = {"": 1, "%": 1}
"""Of what is a share, and compared in percent."""

QUANTITIES: Mapping[str, Mapping[str, float]] = {
    "age": _DURATIONS,
    "backlog": {"": 1},
    "findings": {"": 1},
    "critical": {"": 1},
    "warnings": {"": 1},
    "energy": {"": 1, "kwh": 1},
    "autarky": _PERCENT,
    "quality": _PERCENT,
    "setup": {"": 1},
}
"""What can be compared -> its units, each in that of `Facts.quantities`; "" is a number without one."""

TEXTS = ("house", "edge", "configuration", "software")
"""What can be searched on its own."""


@dataclass(frozen=True)
class Facts:
    """What a filter looks at in a house. `text` gives all of it, for words. `quantities`: by QUANTITIES, age in ms, shares 0 to 1,
    energy in kWh; None: not known, which meets no comparison. `texts`: by TEXTS."""

    text: Callable[[], str]
    quantities: Mapping[str, float | None] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HouseFilter:
    """`problem`: the sentence about a term that can't be used, or ""; the others narrow all the same."""

    words: tuple[str, ...] = ()
    comparisons: tuple[tuple[str, str, float], ...] = ()
    """Quantity, operator, value in the unit of `Facts.quantities`."""
    texts: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    def accepts(self, facts: Facts) -> bool:
        """Whether the house meets all terms."""
        return (
            all(part in facts.texts.get(key, "").casefold() for key, part in self.texts)
            and all(
                (known := facts.quantities.get(key)) is not None and _COMPARISONS[sign](known, value)
                for key, sign, value in self.comparisons
            )
            and self._has_words(facts)
        )

    def _has_words(self, facts: Facts) -> bool:
        text = facts.text().casefold() if self.words else ""
        return all(word in text for word in self.words)


def parse(text: str) -> HouseFilter:
    """What was typed, as far as it can be understood; never raises."""
    words: list[str] = []
    comparisons: list[tuple[str, str, float]] = []
    texts: list[tuple[str, str]] = []
    problem = ""
    for term in text.casefold().split():
        match = _TERM.fullmatch(term)
        key, sign, value = match.group("key", "operator", "value") if match else ("", "", "")
        if key in TEXTS and sign in (":", "="):
            if value:
                texts.append((key, value))
        elif key in QUANTITIES and sign in _COMPARISONS:
            number = _value(key, value)
            if number is not None:
                comparisons.append((key, sign, number))
            elif value:
                problem = problem or _unusable(key, value)
        elif key in QUANTITIES or (key in TEXTS and sign):
            problem = problem or _misused(key)
        else:
            words.append(term)
    return HouseFilter(tuple(words), tuple(comparisons), tuple(texts), problem)


def _value(key: str, text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    factor = QUANTITIES[key].get(match["unit"]) if match else None
    if match is None or factor is None:
        return None
    value = float(match["number"]) * factor
    return value / 100 if QUANTITIES[key] is _PERCENT else value


def _unusable(key: str, value: str) -> str:
    if QUANTITIES[key] is _DURATIONS:
        return f"{key} is compared with a duration, such as {key}>30s, {key}>10m, {key}>2h or {key}>3d; not with {value}."
    return f"{key} is compared with a number, such as {key}>5; not with {value}."


def _misused(key: str) -> str:
    if key in QUANTITIES:
        return f"{key} is compared: {key}>, {key}>=, {key}<, {key}<= or {key}=."
    return f"{key} is searched: {key}: and a part of it."
