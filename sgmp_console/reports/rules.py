"""How the rules of a house stand now, and what one would have found in the past: for the page and its editor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from sgmp_console.formula import ItemGraph, SourceIdentifier
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.store import Database, House, OperatorRule, devices, findings, houses, rules, standings
from sgmp_console.store.findings import Finding
from sgmp_console.store.watching import DeviceAge
from sgmp_console.timeseries import Series, typical_interval_ms
from sgmp_console.watch.facts import LEAST_SILENT_MS, SILENT_POLLS, silent_after_ms
from sgmp_console.watch.operator_rules import EVENT_LASTS_MS, Judged, episodes, judge_house, lasting
from sgmp_console.watch.rules import Rule

PAST_DAYS = 7
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class RuleOverview:
    """A rule in the house on screen. `judged` None: it is disabled. `finding`: the one that it has open here."""

    rule: OperatorRule
    judged: Judged | None
    finding: Finding | None


@dataclass(frozen=True)
class RulesOverview:
    """`items`: the names of the house's analytic items. `watch_age_ms`: as `findings.watch_age_ms`."""

    house: House
    rules: tuple[RuleOverview, ...]
    items: frozenset[str]
    watch_age_ms: int | None


@dataclass(frozen=True)
class Past:
    """In [start_ms, end_ms) a rule would have had these findings, from when to when. `problem`: why that can't be said."""

    start_ms: int
    end_ms: int
    episodes: tuple[tuple[int, int], ...] = ()
    problem: str = ""


def overview(connection: sa.Connection, house_id: int, now_ms: int) -> RulesOverview:
    """A fixed number of statements, and one more for each event identifier."""
    house, reader = houses.get(connection, house_id), ItemReader(connection, house_id)
    found = rules.read(connection, house_id)
    judged = _judged(connection, reader, [rule for rule in found if rule.enabled], house, now_ms)
    opened = {
        one.subject: one
        for one in findings.read(connection, house_id)
        if one.rule == Rule.OPERATOR and one.house_id == house_id
    }
    return RulesOverview(
        house,
        tuple(RuleOverview(rule, judged.get(rule.rule_id), opened.get(str(rule.rule_id))) for rule in found),
        frozenset(reader.items),
        findings.watch_age_ms(connection),
    )


def past(database: Database, house: House, items: Mapping[str, str], rule: OperatorRule, now_ms: int) -> Past:
    """Over the last PAST_DAYS, from all readings. `items`: the formulas of the house by name.

    How often its devices were polled is taken from the values themselves.
    """
    start_ms, key = now_ms - PAST_DAYS * _DAY_MS, str(rule.rule_id)
    graph = ItemGraph({**items, key: rule.formula}, [key])
    step = graph.step(key)
    if step is None:
        return Past(start_ms, now_ms, problem=graph.problems.get(key, ""))
    with database.begin() as connection:
        reader = ItemReader(connection, house.house_id)
        read = reader.load(graph.sources, *graph.reach([key], start_ms, now_ms))
    values = graph.evaluate(dict(read.items()))[key].between(start_ms, now_ms)
    if not len(values) and step.devices:
        return Past(start_ms, now_ms, problem=f"The formula had no value in the last {PAST_DAYS} days.")
    polls_ms = 0 if step.lookback_ms else SILENT_POLLS * (typical_interval_ms(values) or 0)
    lasts_ms = 2 * step.lookback_ms + max(LEAST_SILENT_MS, polls_ms)
    of_events = not step.devices
    found = episodes(rule, values, now_ms, house.time_zone, lasts_ms=lasts_ms, of_events=of_events)
    return Past(start_ms, now_ms, tuple(found))


def _judged(
    connection: sa.Connection, reader: ItemReader, enabled: list[OperatorRule], house: House, now_ms: int
) -> dict[int, Judged]:
    lasts_ms = _lasts(connection, house.house_id)
    graph = _graph(reader, enabled, lasts_ms)
    read: dict[SourceIdentifier, Series] = {}
    if graph.fields:
        reach = max(lasting(graph, rule, lasts_ms) for rule in enabled)
        read |= reader.load(frozenset(graph.fields), now_ms - reach, now_ms + 1)
    if graph.events:
        read |= reader.load(frozenset(graph.events), now_ms - EVENT_LASTS_MS, now_ms + 1)
    judged = judge_house(graph, enabled, dict(read.items()), now_ms, house.time_zone, lasts_ms)
    return {rule.rule_id: one for rule, one in zip(enabled, judged, strict=True)}


def _graph(reader: ItemReader, own: list[OperatorRule], lasts_ms: Mapping[str, int]) -> ItemGraph:
    formulas = {name: item.formula for name, item in reader.items.items()}
    keyed = {str(rule.rule_id): rule.formula for rule in own}
    return ItemGraph({**formulas, **keyed}, keyed, lasts_ms)


def _lasts(connection: sa.Connection, house_id: int) -> dict[str, int]:
    """Devices of the house by name, and for how long a reading of each says how it is now."""
    standing = standings.of_house(connection, house_id)
    found = {}
    for device in devices.list_all(connection, house_id):
        interval = device.config.get("interval")
        interval_s = float(interval) if isinstance(interval, int | float) else None
        found[device.name] = silent_after_ms(DeviceAge(house_id, device.name, interval_s, None), standing)
    return found
