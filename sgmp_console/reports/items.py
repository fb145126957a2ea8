"""The analytic items that a page is made of: what they read, and in which order they are evaluated.

Values are kept up to date by their tail only. A reading that arrives changes an item from its own timestamp on, or,
where the formula has `avg`, from the start of the period it falls into: `lookback_ms` is the bound for that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sgmp_console.formula import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Formula,
    FormulaError,
    Identifier,
    identifiers,
    parse,
)
from sgmp_console.formula.tree import Average, nodes
from sgmp_console.timeseries.series import Series


class Item(Protocol):
    """What is needed of an analytic item here."""

    @property
    def name(self) -> str: ...
    @property
    def formula(self) -> str: ...


@dataclass(frozen=True)
class Step:
    """An item that can be evaluated once those before it are. `devices` and `lookback_ms` include theirs."""

    name: str
    formula: Formula
    devices: frozenset[str]
    lookback_ms: int


class ItemGraph:
    """The wanted items of a house, with what they refer to, in order of evaluation.

    `problems` holds the operator's sentence for each wanted item that can't be evaluated; wanted items that the house
    lacks are in neither. `fields` and `events` are all that has to be read.
    """

    def __init__(self, items: Iterable[Item], devices: Collection[str], wanted: Iterable[str]) -> None:
        self._formulas = {item.name: item.formula for item in items}
        self._devices = devices
        self._steps: dict[str, Step] = {}
        self.problems: dict[str, str] = {}
        for name in wanted:
            if name in self._formulas:
                self._add(name, ())
        read = {
            identifier
            for step in self._steps.values()
            for text in step.formula.identifiers
            if not isinstance(identifier := identifiers.parse(text), AnalyticsIdentifier)
        }
        self.fields = frozenset(one for one in read if isinstance(one, DeviceIdentifier))
        self.events = frozenset(one for one in read if isinstance(one, EventIdentifier))

    @property
    def steps(self) -> Collection[Step]:
        return self._steps.values()

    def step(self, name: str) -> Step | None:
        """How an item is evaluated; None if the house lacks it or it has a problem."""
        return self._steps.get(name)

    @property
    def lookback_ms(self) -> int:
        """How far before a range readings must be known for the items in the range to be exact."""
        return max((step.lookback_ms for step in self.steps), default=0)

    def _add(self, name: str, path: tuple[str, ...]) -> str | None:
        """Add an item after those it refers to; the problem that prevents it."""
        if name in self._steps:
            return None
        if name not in self.problems:
            problem = self._resolve(name, (*path, name))
            if problem is None:
                return None
            self.problems[name] = problem
        return self.problems[name]

    def _resolve(self, name: str, path: tuple[str, ...]) -> str | None:
        try:
            formula = parse(self._formulas[name])
        except FormulaError as error:
            return f"The formula of `{name}` can't be read: {error.message}."
        devices: set[str] = set()
        lookback = sum(node.period_ms for node in nodes(formula.tree) if isinstance(node, Average))
        below = 0
        for text in sorted(formula.identifiers):
            identifier = identifiers.parse(text)
            if isinstance(identifier, DeviceIdentifier):
                if identifier.device not in self._devices:
                    return f"`{name}` refers to device `{identifier.device}`, which this house doesn't have."
                devices.add(identifier.device)
            elif isinstance(identifier, AnalyticsIdentifier):
                other = identifier.name
                if other in path:
                    return f"`{other}` refers to itself: {' -> '.join((*path[path.index(other) :], other))}."
                if other not in self._formulas:
                    return f"`{name}` refers to `analytics.{other}`, which this house doesn't have."
                problem = self._add(other, path)
                if problem is not None:
                    return problem
                devices |= self._steps[other].devices
                below = max(below, self._steps[other].lookback_ms)
        self._steps[name] = Step(name, formula, frozenset(devices), lookback + below)
        return None


def bring_forward(
    graph: ItemGraph, series: dict[Identifier, Series], changed_from_ms: int, start_ms: int
) -> None:
    """Evaluate all items anew where readings or events from `changed_from_ms` on have changed.

    `series` holds what the items read and, as AnalyticsIdentifier, their own values so far, which are replaced; those
    before `start_ms` are forgotten.
    """
    for step in graph.steps:
        since = changed_from_ms - step.lookback_ms
        tails = {text: after(series[identifiers.parse(text)], since) for text in step.formula.identifiers}
        key = AnalyticsIdentifier(step.name)
        tail = after(step.formula.evaluate(tails), since)
        series[key] = spliced(series.get(key, Series.empty()), since, tail, start_ms)


def after(series: Series, start_ms: int) -> Series:
    """The part from `start_ms` on."""
    first = int(np.searchsorted(series.timestamps, start_ms))
    return series if first == 0 else Series(series.timestamps[first:], series.values[first:])


def spliced(series: Series, from_ms: int, tail: Series, start_ms: int) -> Series:
    """`series` with `tail` in place of everything from `from_ms` on, and nothing before `start_ms`."""
    first, cut = (int(place) for place in np.searchsorted(series.timestamps, (start_ms, from_ms)))
    if not len(tail):
        return Series(series.timestamps[first:cut], series.values[first:cut])
    return after(
        Series(
            np.concatenate((series.timestamps[first:cut], tail.timestamps)),
            np.concatenate((series.values[first:cut], tail.values)),
        ),
        start_ms,
    )
