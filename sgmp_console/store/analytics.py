"""Analytic items: the named formulas of a house. What a formula may be is checked before, in `fleet.analytics`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors
from sgmp_console.store.tables.houses import analytic_item as table


@dataclass(frozen=True)
class AnalyticItem:
    """`aggregated`: the playbook's "Continuous Aggregation". `unit` is the operator's, "" where not set."""

    item_id: int
    house_id: int
    name: str
    description: str
    formula: str
    aggregated: bool = False
    unit: str = ""
    revision: int = 1


# What accounts read.
_view = sa.table("analytic_items", *(sa.column(c.name, c.type) for c in table.c), schema="sgmp")
_COLUMNS = (
    _view.c.item_id,
    _view.c.house_id,
    _view.c.name,
    _view.c.description,
    _view.c.formula,
    _view.c.aggregated,
    _view.c.unit,
    _view.c.revision,
)


def list_all(connection: sa.Connection, house_id: int) -> list[AnalyticItem]:
    """The house's items in order of name."""
    rows = connection.execute(sa.select(*_COLUMNS).where(_view.c.house_id == house_id).order_by(_view.c.name))
    return [AnalyticItem(*row) for row in rows]


def of_houses(connection: sa.Connection, house_ids: Collection[int]) -> dict[int, list[AnalyticItem]]:
    """As `list_all`, of each of these houses, in one statement."""
    found: dict[int, list[AnalyticItem]] = {house_id: [] for house_id in house_ids}
    asked = sa.select(*_COLUMNS).where(_view.c.house_id.in_(list(house_ids))).order_by(_view.c.name)
    for row in connection.execute(asked):
        found[row.house_id].append(AnalyticItem(*row))
    return found


def get(connection: sa.Connection, item_id: int) -> AnalyticItem:
    """Raises UserError where there is none, or none that the account sees."""
    row = connection.execute(sa.select(*_COLUMNS).where(_view.c.item_id == item_id)).one_or_none()
    if row is None:
        raise UserError("There is no such analytic item. It may have been deleted.")
    return AnalyticItem(*row)


def create(
    connection: sa.Connection,
    house_id: int,
    name: str,
    formula: str,
    *,
    description: str = "",
    aggregated: bool = False,
    unit: str = "",
) -> AnalyticItem:
    """Raises UserError where the name is taken in the house or breaks the rule."""
    sentences = {
        "analytic_item_house_id_name_key": f"An analytic item {name} exists already in this house.",
        "analytic_item_name_check": (
            "An analytic item's name starts with a letter and holds at most 64 letters A-Z, digits and underscores."
        ),
        "analytic_item_house_id_fkey": "There is no such house. It may have been deleted.",
    }
    with constraint_errors(connection, sentences):
        item_id = connection.execute(
            sa.text(
                "SELECT sgmp.create_analytic_item(:house, :name, :description, :formula, :aggregated, :unit)"
            ),
            {
                "house": house_id,
                "name": name,
                "description": description,
                "formula": formula,
                "aggregated": aggregated,
                "unit": unit,
            },
        ).scalar_one()
    return get(connection, item_id)


def update(connection: sa.Connection, item: AnalyticItem) -> AnalyticItem:
    """Store all but the name, which stays. Raises ChangedMeanwhile where `item` is stale, Refused."""
    revision = connection.execute(
        sa.text("SELECT sgmp.update_analytic_item(:item, :seen, :description, :formula, :aggregated, :unit)"),
        {
            "item": item.item_id,
            "seen": item.revision,
            "description": item.description,
            "formula": item.formula,
            "aggregated": item.aggregated,
            "unit": item.unit,
        },
    ).scalar_one()
    if revision is None:
        raise ChangedMeanwhile(f"Analytic item {item.name}")
    return get(connection, item.item_id)


def delete(connection: sa.Connection, item_id: int) -> None:
    """Raises UserError where there is none, Refused."""
    connection.execute(sa.text("SELECT sgmp.delete_analytic_item(:item)"), {"item": item_id})
