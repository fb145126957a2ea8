"""All that the editor says about a formula while it is written. Called on worker threads; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from sgmp_console.fleet import analytics
from sgmp_console.fleet.analytics_overview import (
    AggregationEffect,
    AggregationState,
    aggregation_effect,
    aggregation_state,
)
from sgmp_console.formula import (
    AnalyticsIdentifier,
    Catalogue,
    EventIdentifier,
    Formula,
    FormulaError,
    Identifier,
    Misaligned,
    Problem,
    aggregation_refusal,
    equal_items,
    evaluate_items,
    inlined,
    items_in,
    misaligned,
    parse,
    problems,
    simplified,
    unit,
    written,
)
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.store import Database, population
from sgmp_console.timeseries import Extremes, Series, extremes, last_slots, slot_means

DAY_SLOTS = 288


@dataclass(frozen=True, eq=False)
class HouseFormulas:
    """What the formulas of a house are assessed against, as it was read at one time.

    `count_days`: on how many days any of these series has readings; asks the database once for each set of series.
    """

    catalogue: Catalogue
    aggregation: AggregationState
    count_days: Callable[[frozenset[int]], int]


def read_house(database: Database, house_id: int, now_ms: int) -> HouseFormulas:
    @cache
    def count_days(series_ids: frozenset[int]) -> int:
        with database.begin() as connection:
            return population.days_to_count(connection, series_ids, now_ms)

    with database.begin() as connection:
        return HouseFormulas(
            analytics.catalogue(connection, house_id), aggregation_state(connection, house_id), count_days
        )


@dataclass(frozen=True, eq=False)
class Assessment:
    """What a text is as a formula of a house.

    `formula` is None where it can't be read. `problems`: errors first. `equals`: the items that always have the same
    values. `exact`: whether its numbers can be had exactly from continuous aggregates. `simpler`: a shorter formula
    with the same values, "" where none is known. `items`: the formulas of the house's items by name, as it was checked
    against them.
    """

    text: str
    formula: Formula | None
    problems: tuple[Problem, ...]
    unit: str = ""
    equals: tuple[str, ...] = ()
    exact: bool = False
    simpler: str = ""
    effect: AggregationEffect | None = None
    items: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> Problem | None:
        """Why it can't be stored."""
        return next((problem for problem in self.problems if problem.is_error), None)


def assess(house: HouseFormulas, text: str, *, name: str, item_id: int) -> Assessment:
    """`name` is that of the item it is written for, by which a cycle is found; `item_id` is 0 for a new one."""
    try:
        formula = parse(text)
    except FormulaError as error:
        return Assessment(text, None, (Problem.of(error),))
    known = analytics.with_declared_units(house.catalogue, formula)
    effect = aggregation_effect(house.aggregation, formula, house.count_days, item_id=item_id)
    found = tuple(problems(formula, known, name=name or None))
    if any(problem.is_error for problem in found):
        return Assessment(text, formula, found, effect=effect, items=known.items)
    others = {item: item_text for item, item_text in known.items.items() if item != name}
    # Others would need SymPy, and one would wait for it at the first key.
    shorter = written(simplified(formula.tree)) if formula.linear is not None else formula.text
    return Assessment(
        text,
        formula,
        found,
        unit(formula, known),
        tuple(equal_items(formula, others)),
        _is_exact(formula, others),
        shorter if len(shorter) < len(written(formula.tree)) else "",
        effect,
        known.items,
    )


def _is_exact(formula: Formula, items: Mapping[str, str]) -> bool:
    try:
        whole = inlined(formula, items)
    except FormulaError:
        return False
    return whole.exact_on_aggregates and aggregation_refusal(whole) is None


@dataclass(frozen=True, eq=False)
class Preview:
    """A formula's values of the last 24 hours, [start_ms, end_ms), a range of slots that ends with the running one.

    `coverage`: slots with a value / all slots, 0 to 1. `mean` is that of the slots. `of_events`: the values stand for
    single events, and there is no coverage to speak of. `apart`: two parts that share few timestamps. `silent`:
    identifiers without a value in this time.
    """

    text: str
    now_ms: int
    start_ms: int
    end_ms: int
    values: Series
    mean: float | None
    coverage: float
    extremes: Extremes | None
    of_events: bool
    apart: Misaligned | None
    silent: tuple[str, ...]
    problem: str = ""


def preview(
    database: Database, house_id: int, formula: Formula, *, items: Mapping[str, str], name: str, now_ms: int
) -> Preview:
    """Read what the formula needs and compute it. `items` as it was assessed with; `name` as in `assess`."""
    start_ms, end_ms = last_slots(now_ms, DAY_SLOTS)
    with database.begin() as connection:
        # An item can't be named "", so this one gets in nobody's way.
        mentioned = [item for item in items_in(formula) if item in items and item != name]
        computed = evaluate_items(
            ["", *mentioned],
            {**items, "": formula.text},
            start_ms,
            end_ms,
            ItemReader(connection, house_id).load,
        )
    values: dict[Identifier, Series] = dict(computed.read.items())
    values.update({AnalyticsIdentifier(item): series for item, series in computed.series.items() if item})
    own = computed.series.get("", Series.empty())
    of_each = {one.text: values.get(one.identifier, Series.empty()) for one in formula.references}
    means = slot_means(own, start_ms, end_ms)
    return Preview(
        formula.text,
        now_ms,
        start_ms,
        end_ms,
        own,
        means.mean,
        means.coverage or 0.0,
        extremes(own),
        _is_of_events(formula, items),
        misaligned(formula, of_each),
        tuple(sorted(text for text, series in of_each.items() if not len(series))),
        computed.errors[""].message if "" in computed.errors else "",
    )


def _is_of_events(formula: Formula, items: Mapping[str, str]) -> bool:
    try:
        references = inlined(formula, items).references
    except FormulaError:
        return False
    return bool(references) and all(isinstance(one.identifier, EventIdentifier) for one in references)
