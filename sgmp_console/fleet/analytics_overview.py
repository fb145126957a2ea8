"""What can be said about a house's analytic items at a glance: for their list, and for the editor's promises."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.fleet.required import required_items
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
from sgmp_console.store import AnalyticItem, FieldKey, House, aggregates, analytics, houses, population


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
        tuple(name for name in required if name not in formulas),
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


def aggregation_effect(
    connection: sa.Connection, house_id: int, formula: Formula, *, now_ms: int, item_id: int = 0
) -> AggregationEffect:
    """What would be kept for an item with this formula. `item_id`: of the item that is edited, 0 for a new one."""
    refusal = aggregation_refusal(formula)
    if refusal is not None:
        return AggregationEffect(refusal)
    names = {item.item_id: item.name for item in analytics.list_all(connection, house_id)}
    registered = aggregates.registered(connection, house_id)
    complete = aggregates.standing(connection, house_id).complete_from_ms
    found, uncounted = [], []
    for key in dict.fromkeys(_fields(formula)):
        askers = registered.get(key, frozenset())
        others = sorted(names[one] for one in askers - {item_id} if one in names)
        found.append(AggregatedField(identifiers.write(DeviceIdentifier(*key)), tuple(others)))
        if not askers or complete.get(key) is not None:
            uncounted.append(key)
    days = population.days_to_count(connection, house_id, uncounted, now_ms)
    return AggregationEffect(None, tuple(found), days)


def _fields(formula: Formula) -> list[FieldKey]:
    """The device fields of a formula, in reading order."""
    return [
        (one.identifier.device, one.identifier.field)
        for one in formula.references
        if isinstance(one.identifier, DeviceIdentifier)
    ]
