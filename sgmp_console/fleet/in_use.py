"""What is used is not deleted: the one sentence that says so, before the question and when it is tried."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from sgmp_console.store import analytics, rules


def formulas(connection: sa.Connection, house_id: int) -> dict[str, str]:
    """All formulas of a house: of its items by name, and of its own rules by what they are called in a sentence."""
    items = {item.name: item.formula for item in analytics.list_all(connection, house_id)}
    own = (rule for rule in rules.read(connection, house_id) if rule.house_id is not None)
    return {**items, **{f"the rule {rule.name}": rule.formula for rule in own}}


def refusal(users: Mapping[str, Collection[str]]) -> str:
    """Why none of these was deleted: what uses each; "" where nothing is used."""
    used = [f"{name} is used by {', '.join(by)}" for name, by in users.items() if by]
    if not used:
        return ""
    return f"Nothing was deleted: {'; '.join(used)}. Change or delete what uses it first."
