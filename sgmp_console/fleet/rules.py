"""Creating, changing and deleting rules of operators, with everything that is checked before."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import time

import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.fleet import analytics
from sgmp_console.fleet.editing import editing
from sgmp_console.fleet.required import required_items
from sgmp_console.formula import (
    AnalyticsIdentifier,
    Catalogue,
    FormulaError,
    Identifier,
    ItemGraph,
    parse,
    problems,
    unit,
)
from sgmp_console.measurements import MAX_VALUE
from sgmp_console.store import Database, OperatorRule, rules
from sgmp_console.store.findings import Severity

MAX_REACH_MS = 3_600_000
"""How far back the averages of a rule's formula may reach: so much is read of each house every few seconds."""


def create(database: Database, rule: OperatorRule) -> OperatorRule:
    """Raises FormulaError with the place in the formula, UserError (name taken, threshold, times)."""
    with _editing(database, rule.house_id) as connection:
        return rules.create(connection, _checked(connection, rule))


def update(database: Database, rule: OperatorRule) -> OperatorRule:
    """Store all but its house. Raises as `create` does, and ChangedMeanwhile where `rule` is stale."""
    with _editing(database, rule.house_id) as connection:
        return rules.update(connection, _checked(connection, rule))


def enable(database: Database, chosen: Collection[OperatorRule], *, enabled: bool) -> None:
    """Have them judged or not, all or none. What one that is disabled has open is resolved. Raises ChangedMeanwhile."""
    with database.begin() as connection:
        for rule in chosen:
            rules.update(connection, replace(rule, enabled=enabled))


def delete(database: Database, rule_ids: Collection[int]) -> None:
    """All or none; what they have open is resolved. Raises UserError where one is not there any more."""
    with database.begin() as connection:
        for rule_id in sorted(rule_ids):
            rules.delete(connection, rule_id)


@contextmanager
def _editing(database: Database, house_id: int | None) -> Iterator[sa.Connection]:
    if house_id is not None:
        with editing(database, house_id) as connection:
            yield connection
    else:
        with database.begin() as connection:
            yield connection


def _checked(connection: sa.Connection, rule: OperatorRule) -> OperatorRule:
    """The rule with its unit. One of all houses can't be checked against any: a house that has not what it names suspends it."""
    formula = parse(rule.formula)
    known: Catalogue | None = None
    if rule.house_id is not None:
        known = analytics.with_declared_units(analytics.catalogue(connection, rule.house_id), formula)
    for problem in problems(formula, known):
        if problem.is_error:
            raise FormulaError(problem.message, problem.position, problem.length)
    if known is None:
        required: dict[Identifier, str] = {
            AnalyticsIdentifier(one.name): one.unit for one in required_items().values()
        }
        known = analytics.with_declared_units(Catalogue(units=required), formula)
    if sentence := problem_of(rule) or reach_problem(rule.formula, known.items):
        raise UserError(sentence)
    return replace(
        rule, name=rule.name.strip(), guidance=rule.guidance.strip(), unit=unit(formula, known)[:64]
    )


def problem_of(rule: OperatorRule) -> str:
    """What is wrong beside the formula, or ""."""
    if not rule.name.strip():
        return "Enter a name."
    if not all(math.isfinite(one) and abs(one) <= MAX_VALUE for one in (rule.threshold, rule.clears_at)):
        return "A threshold is a number."
    if rule.clears_at != rule.threshold and (rule.clears_at > rule.threshold) == rule.above:
        side = "below" if rule.above else "above"
        return f"It is over at a value {side} the threshold, or at the threshold."
    return ""


def reach_problem(formula: str, items: Mapping[str, str] | None = None) -> str:
    """Why the averages of a formula reach back too far, or ""."""
    graph = ItemGraph({**(items or {}), "": formula}, [""])
    step = graph.step("")
    if step is None or step.lookback_ms <= MAX_REACH_MS:
        return ""
    return f"The averages of a rule reach back at most {MAX_REACH_MS // 60_000} minutes; these reach {step.lookback_ms // 60_000}."


@dataclass(frozen=True)
class Suggestion:
    """A rule to begin with. `needs`: the analytic item that it reads."""

    rule: OperatorRule
    needs: str


SUGGESTIONS = (
    Suggestion(
        OperatorRule(
            "Battery nearly empty",
            "analytics.soc",
            above=False,
            threshold=10,
            clear_threshold=15,
            hold_s=1800,
            guidance="Look whether the battery charges: its mode, the sun of the day, and what its display says.",
        ),
        "soc",
    ),
    Suggestion(
        OperatorRule(
            "Grid voltage off by more than 10 % of 230 V",
            "abs(analytics.l1_voltage - 230)",
            above=True,
            threshold=23,
            clear_threshold=20,
            hold_s=300,
            clear_s=60,
            guidance="If inverters switch off, too, call the operator of the grid.",
        ),
        "l1_voltage",
    ),
    Suggestion(
        OperatorRule(
            "Grid voltage off by more than 10 % of 120 V",
            "abs(analytics.l1_voltage - 120)",
            above=True,
            threshold=12,
            clear_threshold=10,
            hold_s=300,
            clear_s=60,
            guidance="If inverters switch off, too, call the operator of the grid.",
        ),
        "l1_voltage",
    ),
    Suggestion(
        OperatorRule(
            "Load near the main fuse",
            "analytics.load",
            above=True,
            threshold=15,
            clear_threshold=12,
            hold_s=60,
            clear_s=300,
            severity=Severity.CRITICAL,
            guidance="Switch something off. Three fuses of 25 A at 230 V carry 17 kW, one of 100 A at 240 V carries 24 kW.",
        ),
        "load",
    ),
    Suggestion(
        OperatorRule(
            "No sun at day",
            "analytics.solar",
            above=False,
            threshold=0.02,
            clear_threshold=0.05,
            hold_s=3600,
            hours=(time(10), time(15)),
            guidance="Look at the inverter and its fuse; snow and heavy clouds do the same.",
        ),
        "solar",
    ),
    Suggestion(
        OperatorRule(
            "Car charges at night",
            "analytics.ev",
            above=True,
            threshold=0.5,
            hold_s=600,
            clear_s=600,
            hours=(time(22), time(6)),
            severity=Severity.INFO,
            guidance="If it should charge from the sun, look at its schedule.",
        ),
        "ev",
    ),
)
"""What the page offers; each is adapted before it is stored."""
