"""Analytic items: the named formulas of a house. What a formula may be is checked before, in `fleet.analytics`."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.store.errors import ChangedMeanwhile
from sgmp_console.store.rows import constraint_errors
from sgmp_console.store.tables import analytic_item as table


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


_COLUMNS = (
    table.c.item_id,
    table.c.house_id,
    table.c.name,
    table.c.description,
    table.c.formula,
    table.c.aggregated,
    table.c.unit,
    table.c.revision,
)


def list_all(connection: sa.Connection, house_id: int) -> list[AnalyticItem]:
    """The house's items in order of name."""
    rows = connection.execute(sa.select(*_COLUMNS).where(table.c.house_id == house_id).order_by(table.c.name))
    return [AnalyticItem(*row) for row in rows]


def get(connection: sa.Connection, item_id: int) -> AnalyticItem:
    """Raises UserError where there is none, or none that the account sees."""
    row = connection.execute(sa.select(*_COLUMNS).where(table.c.item_id == item_id)).one_or_none()
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
        row = connection.execute(
            table.insert()
            .values(
                house_id=house_id,
                name=name,
                formula=formula,
                description=description,
                aggregated=aggregated,
                unit=unit,
            )
            .returning(*_COLUMNS)
        ).one()
    return AnalyticItem(*row)


def update(connection: sa.Connection, item: AnalyticItem) -> AnalyticItem:
    """Store all but the name, which stays. Raises ChangedMeanwhile where `item` is stale."""
    row = connection.execute(
        table.update()
        .where(table.c.item_id == item.item_id, table.c.revision == item.revision)
        .values(
            description=item.description,
            formula=item.formula,
            aggregated=item.aggregated,
            unit=item.unit,
            revision=table.c.revision + 1,
        )
        .returning(*_COLUMNS)
    ).one_or_none()
    if row is None:
        raise ChangedMeanwhile(f"Analytic item {item.name}")
    return AnalyticItem(*row)


def delete(connection: sa.Connection, item_id: int) -> None:
    """Raises UserError where there is none."""
    if connection.execute(table.delete().where(table.c.item_id == item_id)).rowcount == 0:
        raise UserError("There is no such analytic item. It may have been deleted.")
