"""The analytic items that a page is made of: what they read, and in which order they are evaluated.

Values are kept up to date by their tail only. A reading that arrives changes an item from its own timestamp on, or,
where the formula has `avg`, from the start of the period it falls into: `lookback_ms` is the bound for that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sgmp_console.formula import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Formula,
    Identifier,
)
from sgmp_console.formula.catalogue import ordered
from sgmp_console.formula.tree import Average, nodes
from sgmp_console.reports.growing import GrowingSeries
from sgmp_console.store import AnalyticItem
from sgmp_console.timeseries.series import Series


@dataclass(frozen=True)
class Step:
    """An item that can be evaluated once those before it are. `devices` and `lookback_ms` include theirs."""

    name: str
    formula: Formula
    devices: frozenset[str]
    lookback_ms: int


class ItemGraph:
    """The wanted items of a house and those they refer to, in order of evaluation.

    `problems` holds the operator's sentence for each item among them that can't be evaluated; wanted items that the
    house lacks are in neither. `fields` and `events` are all that has to be read.
    """

    def __init__(
        self, items: Iterable[AnalyticItem], devices: Collection[str], wanted: Iterable[str]
    ) -> None:
        texts = {item.name: item.formula for item in items}
        found = ordered([name for name in wanted if name in texts], texts)
        self._steps: dict[str, Step] = {}
        self.problems = {
            name: f"`{name}` can't be evaluated: {error.message}." for name, error in found.errors.items()
        }
        for name, formula in found.formulas.items():
            step = self._resolved(name, formula, devices)
            if isinstance(step, Step):
                self._steps[name] = step
            else:
                self.problems[name] = step
        read = {reference.identifier for step in self.steps for reference in step.formula.references}
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

    def _resolved(self, name: str, formula: Formula, devices: Collection[str]) -> Step | str:
        """The step of an item, or the sentence that says why there is none."""
        used: set[str] = set()
        lookback_of_items = 0
        for reference in formula.references:
            match reference.identifier:
                case DeviceIdentifier(device=device):
                    if device not in devices:
                        return f"`{name}` refers to device `{device}`, which this house doesn't have."
                    used.add(device)
                case AnalyticsIdentifier(name=other):
                    if other in self.problems:
                        return self.problems[other]
                    used |= self._steps[other].devices
                    lookback_of_items = max(lookback_of_items, self._steps[other].lookback_ms)
        own = sum(node.period_ms for node in nodes(formula.tree) if isinstance(node, Average))
        return Step(name, formula, frozenset(used), own + lookback_of_items)


class ItemValues:
    """The values of a graph's items from some time on, kept up to date by their tail."""

    def __init__(self, graph: ItemGraph) -> None:
        self._graph = graph
        self._held = {step.name: GrowingSeries() for step in graph.steps}

    def __getitem__(self, name: str) -> Series:
        """What is held of an item; raises KeyError for one that can't be evaluated."""
        return self._held[name].series

    def bring_forward(self, read: Mapping[Identifier, Series], from_ms: int, start_ms: int) -> None:
        """Evaluate all items anew where readings or events from `from_ms` on have changed.

        `read` has the series of all of the graph's `fields` and `events`, from `from_ms - graph.lookback_ms` or
        `start_ms` on, whichever is later. Values before `start_ms` are forgotten.
        """
        for step in self._graph.steps:
            since = max(from_ms - step.lookback_ms, start_ms)
            inputs = {
                reference.text: after(
                    self[reference.identifier.name]
                    if isinstance(reference.identifier, AnalyticsIdentifier)
                    else read[reference.identifier],
                    since,
                )
                for reference in step.formula.references
            }
            values = step.formula.evaluate(inputs)
            self._held[step.name].replace_from(since, after(values, since), start_ms)


def after(series: Series, start_ms: int) -> Series:
    """The part from `start_ms` on."""
    first = int(np.searchsorted(series.timestamps, start_ms))
    return series if first == 0 else Series(series.timestamps[first:], series.values[first:])
