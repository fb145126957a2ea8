"""Analytic items evaluated: in the order in which they refer to one another, each identifier read once.

`evaluate_items` computes a range at once. `ItemGraph` and `TailValues` keep values up to date by their tail only: a
reading that arrives changes an item from its own timestamp on, or, where the formula has `avg`, from the start of the
period it falls into; `lookback_ms` is the bound for that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sgmp_console.formula.catalogue import absent, ordered
from sgmp_console.formula.errors import FormulaError
from sgmp_console.formula.evaluation import evaluate
from sgmp_console.formula.formula import Formula
from sgmp_console.formula.identifiers import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Identifier,
)
from sgmp_console.formula.tree import Average, Reference, nodes
from sgmp_console.timeseries.growing import GrowingSeries
from sgmp_console.timeseries.series import Series

SourceIdentifier = DeviceIdentifier | EventIdentifier

Load = Callable[[frozenset[SourceIdentifier], int, int], Mapping[SourceIdentifier, Series]]
"""Gives the series of identifiers in a half-open range, UTC ms. One it leaves out has no readings there."""

_EMPTY = Series.empty()


@dataclass(frozen=True)
class Step:
    """An item that can be evaluated once those before it are. `devices` and `lookback_ms` include theirs."""

    name: str
    formula: Formula
    devices: frozenset[str]
    lookback_ms: int


class ItemGraph:
    """The wanted items of a house and those they refer to, in order of evaluation.

    `items`: the formulas of the house by name. `devices`: those the house has; an item that reads another one can't be
    evaluated (None: any device will do). An item at fault doesn't keep the others from being computed: `errors` has the
    FormulaErrors, `problems` the operator's sentence for each item among them that can't be evaluated. Wanted items that
    the house doesn't have are in neither.
    """

    def __init__(
        self, items: Mapping[str, str], wanted: Iterable[str], devices: Collection[str] | None = None
    ) -> None:
        resolved = ordered([name for name in dict.fromkeys(wanted) if name in items], items)
        self._steps: dict[str, Step] = {}
        self.errors = resolved.errors
        self.problems = {name: unreadable(name, error) for name, error in resolved.errors.items()}
        for name, formula in resolved.formulas.items():
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

    @property
    def sources(self) -> frozenset[SourceIdentifier]:
        """All that has to be read."""
        return self.fields | self.events

    def step(self, name: str) -> Step | None:
        """How an item is evaluated; None if the house doesn't have it or it has a problem."""
        return self._steps.get(name)

    @property
    def lookback_ms(self) -> int:
        """How far before a range readings must be known for the items in the range to be exact."""
        return max((step.lookback_ms for step in self.steps), default=0)

    def reach(self, names: Iterable[str], start_ms: int, end_ms: int) -> tuple[int, int]:
        """The range of readings on which the items' values in [start_ms, end_ms) depend."""
        ranges = dict.fromkeys(names, (start_ms, end_ms))
        # From the items asked for down to those they refer to, each seen after all that mention it.
        for name in reversed(self._steps):
            if name not in ranges:
                continue
            for reference, start, end in self._steps[name].formula.reaches(*ranges[name]):
                if isinstance(reference.identifier, AnalyticsIdentifier):
                    before = ranges.get(reference.identifier.name, (start, end))
                    ranges[reference.identifier.name] = (min(before[0], start), max(before[1], end))
                start_ms, end_ms = min(start_ms, start), max(end_ms, end)
        return start_ms, end_ms

    def evaluate(self, series: Mapping[Identifier, Series]) -> dict[str, Series]:
        """The values of all items that can be evaluated, by name.

        `series` of the identifiers read; one that is not among them has no values. An item that is among them is taken
        as it is there.
        """
        values: dict[str, Series] = {}

        def series_of(reference: Reference) -> Series:
            if isinstance(reference.identifier, AnalyticsIdentifier):
                return values[reference.identifier.name]
            return series.get(reference.identifier, _EMPTY)

        for name, step in self._steps.items():
            known = series.get(AnalyticsIdentifier(name))
            values[name] = evaluate(step.formula.tree, series_of) if known is None else known
        return values

    def _resolved(self, name: str, formula: Formula, devices: Collection[str] | None) -> Step | str:
        """The step of an item, or the sentence that says why there is none."""
        used: set[str] = set()
        lookback_of_items = 0
        for reference in formula.references:
            match reference.identifier:
                case DeviceIdentifier(device=device):
                    if devices is not None and device not in devices:
                        return f"`{name}` refers to device `{device}`, which this house doesn't have."
                    used.add(device)
                case AnalyticsIdentifier(name=other):
                    if other in self.problems:
                        return self.problems[other]
                    used |= self._steps[other].devices
                    lookback_of_items = max(lookback_of_items, self._steps[other].lookback_ms)
        own = sum(node.period_ms for node in nodes(formula.tree) if isinstance(node, Average))
        return Step(name, formula, frozenset(used), own + lookback_of_items)


def unreadable(name: str, error: FormulaError) -> str:
    """The operator's sentence for an item that can't be evaluated."""
    return f"`{name}` can't be evaluated: {error.message}."


@dataclass(frozen=True)
class ItemValues:
    """By name of item: its values, or why it has none that can be computed; and the series that were read for them."""

    series: Mapping[str, Series]
    errors: Mapping[str, FormulaError]
    read: Mapping[SourceIdentifier, Series]


def evaluate_items(
    names: Iterable[str], items: Mapping[str, str], start_ms: int, end_ms: int, load: Load
) -> ItemValues:
    """The values of items in the half-open range [start_ms, end_ms).

    `items`: all formulas of the house by name; add a formula under a name of its own to evaluate one that isn't
    stored. `load` is called at most once, over the range widened by what the averages in the formulas reach.
    An item at fault (unknown, unreadable, part of a cycle, referring to such) doesn't keep the others from being
    computed.
    """
    wanted = list(dict.fromkeys(names))
    graph = ItemGraph(items, wanted)
    errors = {name: FormulaError(absent(name), 0, 0) for name in wanted if name not in items}
    errors |= {name: graph.errors[name] for name in wanted if name in graph.errors}
    computable = [name for name in wanted if graph.step(name) is not None]
    read: Mapping[SourceIdentifier, Series] = {}
    if graph.sources and computable:
        read = load(graph.sources, *graph.reach(computable, start_ms, end_ms))
    values = graph.evaluate(dict(read.items()))
    return ItemValues({name: values[name].between(start_ms, end_ms) for name in computable}, errors, read)


class TailValues:
    """The values of a graph's items from some time on, kept up to date by their tail."""

    def __init__(self, graph: ItemGraph) -> None:
        self._graph = graph
        self._held = {step.name: GrowingSeries() for step in graph.steps}

    def __getitem__(self, name: str) -> Series:
        """What is held of an item; raises KeyError for one that can't be evaluated."""
        return self._held[name].series

    def bring_forward(self, read: Mapping[Identifier, Series], from_ms: int, start_ms: int) -> None:
        """Evaluate all items again where readings or events from `from_ms` on have changed.

        `read` has the series of all of the graph's `fields` and `events`, from `from_ms - graph.lookback_ms` or
        `start_ms` on, whichever is later. Values before `start_ms` are forgotten.
        """
        for step in self._graph.steps:
            since = max(from_ms - step.lookback_ms, start_ms)
            inputs = {
                reference.text: self._series(reference.identifier, read).since(since)
                for reference in step.formula.references
            }
            values = step.formula.evaluate(inputs)
            self._held[step.name].replace_from(since, values.since(since), start_ms)

    def _series(self, identifier: Identifier, read: Mapping[Identifier, Series]) -> Series:
        return self[identifier.name] if isinstance(identifier, AnalyticsIdentifier) else read[identifier]
