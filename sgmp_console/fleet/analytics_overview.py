"""What can be said about a house's analytic items at a glance: for their list, and for the editor's promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.fleet.required import missing_items, required_items
from sgmp_console.formula import (
    DeviceIdentifier,
    Formula,
    FormulaError,
    aggregation_refusal,
    identifiers,
    inlined,
    parse,
    users_of_item,
)
from sgmp_console.store import (
    AnalyticItem,
    FieldKey,
    House,
    SeriesIds,
    aggregates,
    analytics,
    houses,
    series_of,
)


@dataclass(frozen=True)
class ItemOverview:
    """An analytic item and how it stands.

    `exact`: its numbers can be had exactly from continuous aggregates. `used_by`: the items that refer to it.
    `populated`: its aggregates hold all that is stored; False while some of it still has to be counted. `problem`: why
    its formula can't be evaluated, "" if it can. `required`: dashboards and reports need an item of this name.
    """

    item: AnalyticItem
    exact: bool
    used_by: tuple[str, ...]
    populated: bool
    problem: str
    required: bool


@dataclass(frozen=True)
class AnalyticsOverview:
    """All items of a house in order of name. `missing`: the required ones it does not have, in the playbook's order."""

    house: House
    items: tuple[ItemOverview, ...]
    missing: tuple[str, ...]


def overview(connection: sa.Connection, house_id: int) -> AnalyticsOverview:
    """Raises UserError where there is no such house, or none that the account sees."""
    house = houses.get(connection, house_id)
    items = analytics.list_all(connection, house_id)
    formulas = {item.name: item.formula for item in items}
    complete = aggregates.standing(connection, house_id).complete_from_ms
    waiting = {field for field, from_ms in complete.items() if from_ms is not None}
    required = required_items()
    return AnalyticsOverview(
        house,
        tuple(_overview(item, formulas, waiting, item.name in required) for item in items),
        missing_items(formulas),
    )


def _overview(
    item: AnalyticItem, formulas: Mapping[str, str], waiting: Collection[FieldKey], required: bool
) -> ItemOverview:
    exact, populated, problem = False, True, ""
    try:
        formula = inlined(parse(item.formula), formulas)
    except FormulaError as error:
        problem = error.message
    else:
        exact = formula.exact_on_aggregates and aggregation_refusal(formula) is None
        populated = not (item.aggregated and any(field in waiting for field in _fields(formula)))
    return ItemOverview(item, exact, users_of_item(item.name, formulas), populated, problem, required)


@dataclass(frozen=True)
class AggregatedField:
    """One field of a formula. `asked_by`: the other items for which its aggregates are kept already."""

    identifier: str
    asked_by: tuple[str, ...]


@dataclass(frozen=True)
class AggregationEffect:
    """What continuous aggregation of a formula amounts to.

    `refusal`: why it is not possible, None if it is. `stored_days`: how many days of readings are stored of the fields
    that no other item asks for, and would have to be counted; 0 where the database needs no population.
    """

    refusal: str | None
    fields: tuple[AggregatedField, ...] = ()
    stored_days: int = 0


@dataclass(frozen=True)
class AggregationState:
    """What is kept of a house's aggregates, as it was read at one time.

    `askers`: by field, the items for which its aggregates are kept, id -> name. `incomplete`: fields whose stored
    readings are not all counted. `series`: the fields that have readings.
    """

    askers: Mapping[FieldKey, Mapping[int, str]]
    incomplete: Collection[FieldKey]
    series: SeriesIds


def aggregation_state(connection: sa.Connection, house_id: int) -> AggregationState:
    names = {item.item_id: item.name for item in analytics.list_all(connection, house_id)}
    series = series_of(connection, house_id)
    complete = aggregates.standing(connection, house_id, series=series).complete_from_ms
    return AggregationState(
        {
            key: {item_id: names[item_id] for item_id in item_ids if item_id in names}
            for key, item_ids in aggregates.registered(connection, house_id).items()
        },
        {key for key, from_ms in complete.items() if from_ms is not None},
        series,
    )


def aggregation_effect(
    state: AggregationState,
    formula: Formula,
    count_days: Callable[[frozenset[int]], int],
    *,
    item_id: int = 0,
) -> AggregationEffect:
    """What would be kept for an item with this formula. `item_id`: of the item that is edited, 0 for a new one.

    `count_days`: on how many days any of these series has readings, as `store.population.days_to_count` knows.
    """
    refusal = aggregation_refusal(formula)
    if refusal is not None:
        return AggregationEffect(refusal)
    keys = list(dict.fromkeys(_fields(formula)))
    fields = tuple(
        AggregatedField(
            identifiers.write(DeviceIdentifier(*key)),
            tuple(sorted(name for asker, name in state.askers.get(key, {}).items() if asker != item_id)),
        )
        for key in keys
    )
    uncounted = frozenset(
        state.series[key]
        for key in keys
        if key in state.series and (key not in state.askers or key in state.incomplete)
    )
    return AggregationEffect(None, fields, count_days(uncounted) if uncounted else 0)


def _fields(formula: Formula) -> list[FieldKey]:
    """The device fields of a formula, in reading order."""
    return [
        (one.identifier.device, one.identifier.field)
        for one in formula.references
        if isinstance(one.identifier, DeviceIdentifier)
    ]
