"""Several analytic items evaluated in one go: each identifier is fetched once, each item computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sgmp_console.formula.catalogue import Ordered, ordered
from sgmp_console.formula.errors import FormulaError
from sgmp_console.formula.evaluation import evaluate
from sgmp_console.formula.identifiers import AnalyticsIdentifier, DeviceIdentifier, EventIdentifier
from sgmp_console.formula.tree import Reference
from sgmp_console.timeseries.series import Series

SourceIdentifier = DeviceIdentifier | EventIdentifier

Load = Callable[[frozenset[SourceIdentifier], int, int], Mapping[SourceIdentifier, Series]]
"""Gives the series of identifiers in a half-open range, UTC ms. One it leaves out has no readings there."""


@dataclass(frozen=True)
class ItemValues:
    """By name of item: its values, or why it has none that can be computed."""

    series: Mapping[str, Series]
    errors: Mapping[str, FormulaError]


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
    found = ordered([name for name in wanted if name in items], items)
    errors = {
        name: FormulaError(f"no analytic item `{name}` in this house", 0, 0)
        for name in wanted
        if name not in items
    }
    errors |= {name: found.errors[name] for name in wanted if name in found.errors}
    computable = [name for name in wanted if name in found.formulas]
    sources = frozenset(
        reference.identifier
        for formula in found.formulas.values()
        for reference in formula.references
        if not isinstance(reference.identifier, AnalyticsIdentifier)
    )
    loaded: Mapping[SourceIdentifier, Series] = {}
    if sources and computable:
        loaded = load(sources, *_reach(computable, found, start_ms, end_ms))
    values: dict[str, Series] = {}

    def series_of(reference: Reference) -> Series:
        if isinstance(reference.identifier, AnalyticsIdentifier):
            return values[reference.identifier.name]
        return loaded.get(reference.identifier, _EMPTY)

    for name, formula in found.formulas.items():
        values[name] = evaluate(formula.tree, series_of)
    return ItemValues({name: values[name].between(start_ms, end_ms) for name in computable}, errors)


_EMPTY = Series.empty()


def _reach(names: Iterable[str], found: Ordered, start_ms: int, end_ms: int) -> tuple[int, int]:
    """The range of readings on which the items' values in [start_ms, end_ms) depend."""
    ranges: dict[str, tuple[int, int]] = {}
    for name in names:
        ranges[name] = (start_ms, end_ms)
    # From the items asked for down to those they refer to, each seen after all that mention it.
    for name in reversed(list(found.formulas)):
        if name not in ranges:
            continue
        for reference, start, end in found.formulas[name].reaches(*ranges[name]):
            if isinstance(reference.identifier, AnalyticsIdentifier):
                before = ranges.get(reference.identifier.name, (start, end))
                ranges[reference.identifier.name] = (min(before[0], start), max(before[1], end))
            start_ms, end_ms = min(start_ms, start), max(end_ms, end)
    return start_ms, end_ms
