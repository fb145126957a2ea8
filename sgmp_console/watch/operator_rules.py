"""Rules of operators: what the values of a formula say of one. `judge` is asked by the watch and by the page, `episodes` by the
editor for the past; both mean the same. Pure but for `standings`, which makes a fixed number of statements."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from enum import Enum
from functools import lru_cache

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.formula import (
    EventIdentifier,
    Identifier,
    ItemGraph,
    event_series,
)
from sgmp_console.store import OperatorRule, rules
from sgmp_console.store.findings import Recurring
from sgmp_console.store.rules import HouseField, HouseWithRules
from sgmp_console.timeseries import Series, calendar
from sgmp_console.watch.windows import is_within, recurrence

_log = logging.getLogger(__name__)

ONE_VALUE_LASTS_MS = 60_000
"""A rule without hold time opens by a single value, and one value of it counts for so long: the watch looks each few seconds, and
readings come late by some."""

EVENT_LASTS_MS = 3_600_000
"""An event counts for so long; no event is no missing data."""

_READ_CLASSES_MS = (120_000, 900_000, 3_600_000)
"""Fields are read from one of these times on, or from a whole hour: each is a statement of its own."""

_DAILY = frozenset(range(1, 8))
_ONE_DAY = timedelta(days=1)


class Standing(Enum):
    HOLDS = "holds"
    CLEAR = "clear"
    BETWEEN = "between"
    """It neither holds nor is over: between the threshold and the one that ends it."""
    SUSPENDED = "suspended"
    """Nothing can be said: data are missing, or the formula can't be evaluated in this house."""


@dataclass(frozen=True)
class Judged:
    """How a rule stands in a house. `since_ms`: of HOLDS, the first of the values that followed one another and fulfil it;
    `broken_ms`: the newest before these that did not, if it is known. `value` at `at_ms` is the newest; `worst` is the one furthest
    beyond the threshold of those that were looked at. `problem`: why nothing can be said."""

    standing: Standing
    since_ms: int = 0
    broken_ms: int | None = None
    value: float | None = None
    at_ms: int | None = None
    worst: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class RuleInHouse:
    house_id: int
    rule: OperatorRule
    judged: Judged


def is_asked(rule: OperatorRule, zone: str, now_ms: int) -> bool:
    """Whether it is one of its hours."""
    return rule.hours is None or is_within(Recurring(_DAILY, *rule.hours), zone, now_ms)


def judge(
    rule: OperatorRule, values: Series, now_ms: int, zone: str, *, lasts_ms: int, of_events: bool
) -> Judged:
    """`values`: the newest, in order of time. `lasts_ms`: older ones say nothing of now."""
    if not is_asked(rule, zone, now_ms):
        return Judged(Standing.CLEAR)
    values = values.since(now_ms - (EVENT_LASTS_MS if of_events else lasts_ms))
    if not len(values):
        return (
            Judged(Standing.CLEAR)
            if of_events
            else Judged(Standing.SUSPENDED, problem="There are no values of late.")
        )
    times, states = values.timestamps, _states(rule, values, zone)
    at_ms, value = int(times[-1]), float(values.values[-1])
    last = len(states) - 1
    if (
        not rule.hold_s
        and (lately := np.flatnonzero((states > 0) & (times > now_ms - ONE_VALUE_LASTS_MS))).size
    ):
        last = int(lately[-1])
    if states[last] <= 0:
        return Judged(Standing.CLEAR if states[last] < 0 else Standing.BETWEEN, value=value, at_ms=at_ms)
    others = np.flatnonzero(states[:last] <= 0)
    first = int(others[-1]) + 1 if len(others) else 0
    broken_ms = int(times[first - 1]) if first else None
    since_ms = int(times[first])
    if rule.changed_ms > since_ms:
        since_ms, broken_ms = min(rule.changed_ms, now_ms), rule.changed_ms - 1
    run = values.values[first : last + 1]
    return Judged(
        Standing.HOLDS, since_ms, broken_ms, value, at_ms, float(run.max() if rule.above else run.min())
    )


def _states(rule: OperatorRule, values: Series, zone: str) -> NDArray[np.int8]:
    """Of each value: 1 it fulfils the condition, -1 it ends it, 0 neither."""
    sign = 1.0 if rule.above else -1.0
    beyond = sign * values.values > sign * rule.threshold
    over = sign * values.values <= sign * rule.clears_at
    states = beyond.astype(np.int8) - over.astype(np.int8)
    return (
        states
        if rule.hours is None
        else np.where(_within(rule.hours, values.timestamps, zone), states, np.int8(-1))
    )


def _within(hours: tuple[time, time], times: NDArray[np.int64], zone: str) -> NDArray[np.bool_]:
    within = np.zeros(len(times), np.bool_)
    if len(times):
        day = calendar.date_of(int(times[0]), zone) - _ONE_DAY
        while day <= calendar.date_of(int(times[-1]), zone):
            start_ms, end_ms = recurrence(Recurring(_DAILY, *hours), day, zone)
            within |= (times >= start_ms) & (times < end_ms)
            day += _ONE_DAY
    return within


# --- The past -----------------------------------------------------------------------------------------------------------------


def episodes(
    rule: OperatorRule, values: Series, end_ms: int, zone: str, *, lasts_ms: int, of_events: bool
) -> list[tuple[int, int]]:
    """From when to when it would have been a finding, over values of the past up to `end_ms`, as the watch goes: what is missing
    for longer than `lasts_ms` begins a hold time again, and ends nothing."""
    hold_ms = rule.hold_s * 1000
    clear_ms = rule.clear_s * 1000 if rule.hold_s else max(rule.clear_s * 1000, ONE_VALUE_LASTS_MS)
    times, states = values.timestamps, _states(rule, values, zone)
    if of_events:
        lasts_ms = EVENT_LASTS_MS
        alone = np.flatnonzero(np.diff(times, append=end_ms) > lasts_ms)
        times = np.insert(times, alone + 1, times[alone] + lasts_ms)
        states = np.insert(states, alone + 1, -1)
    found: list[tuple[int, int]] = []
    opened: int | None = None
    gone: int | None = None
    is_new = np.diff(states, prepend=np.int8(2)) != 0
    if not of_events:
        is_new |= np.diff(times, prepend=times[:1]) > lasts_ms
    starts = np.flatnonzero(is_new)
    for first, following in zip(starts.tolist(), [*starts[1:].tolist(), len(times)], strict=False):
        start_ms = int(times[first])
        next_ms = int(times[following]) if following < len(times) else end_ms
        # Until when it is seen so: until the next value, or until this one says nothing any more.
        until_ms = next_ms if of_events else min(next_ms, int(times[following - 1]) + lasts_ms)
        if states[first] >= 0:
            gone = None
            if states[first] > 0 and opened is None and until_ms - start_ms >= hold_ms:
                opened = start_ms
        elif opened is not None:
            gone = start_ms if gone is None else gone
            if until_ms - gone >= clear_ms:
                found.append((opened, gone))
                opened = gone = None
    return found if opened is None else [*found, (opened, end_ms)]


# --- All houses -----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _plan(formulas: tuple[tuple[str, str], ...], items: str, devices: frozenset[str]) -> ItemGraph:
    """How the rules of a house are computed; houses with the same rules, items and devices have one plan."""
    # An item can't be called by a number, so rules get in nobody's way.
    return ItemGraph({**json.loads(items), **dict(formulas)}, [key for key, _ in formulas], devices)


def standings(
    connection: sa.Connection, now_ms: int, lasts_ms: Mapping[int, Mapping[str, int]]
) -> list[RuleInHouse]:
    """How all rules that are enabled stand in their houses. `lasts_ms`: by house the devices in use, and for how long a reading of
    each says how it is now."""
    enabled = [rule for rule in rules.read(connection) if rule.enabled]
    if not enabled:
        return []
    by_house: dict[int | None, list[OperatorRule]] = {}
    for rule in enabled:
        by_house.setdefault(rule.house_id, []).append(rule)
    planned: list[tuple[HouseWithRules, list[OperatorRule], ItemGraph]] = []
    since_ms: dict[HouseField, int] = {}
    with_events: list[int] = []
    named: set[EventIdentifier] = set()
    for house in rules.houses(connection):
        own = [*by_house.get(None, ()), *by_house.get(house.house_id, ())]
        devices = lasts_ms.get(house.house_id, {})
        formulas = tuple((str(rule.rule_id), rule.formula) for rule in own)
        graph = _plan(formulas, house.items, frozenset(devices))
        planned.append((house, own, graph))
        if graph.fields:
            start_ms = now_ms - _read_class(max(lasting(graph, rule, devices) for rule in own))
            since_ms |= {(house.house_id, (one.device, one.field)): start_ms for one in graph.fields}
        if graph.events:
            with_events.append(house.house_id)
            named |= graph.events
    readings = rules.readings(connection, since_ms, now_ms + 1)
    events = rules.events(
        connection,
        with_events,
        now_ms - EVENT_LASTS_MS,
        {kind for one in named for kind in one.types},
        others=any(not one.types for one in named),
    )
    found: list[RuleInHouse] = []
    for house, own, graph in planned:
        series: dict[Identifier, Series] = {
            one: readings[house.house_id, (one.device, one.field)] for one in graph.fields
        }
        series |= {one: event_series(one, events[house.house_id]) for one in graph.events}
        devices = lasts_ms.get(house.house_id, {})
        try:
            judged = judge_house(graph, own, series, now_ms, house.zone, devices)
        except Exception:  # noqa: BLE001 - a formula or zone that nobody thought of; other houses are judged
            _log.exception("the rules of house %s can't be judged", house.house_id)
            judged = [Judged(Standing.SUSPENDED, problem="It can't be evaluated.") for _ in own]
        found += [RuleInHouse(house.house_id, *pair) for pair in zip(own, judged, strict=True)]
    return found


def judge_house(
    graph: ItemGraph,
    own: Sequence[OperatorRule],
    series: Mapping[Identifier, Series],
    now_ms: int,
    zone: str,
    lasts_ms: Mapping[str, int],
) -> list[Judged]:
    """Rules of a house, each an item of the graph under its number. `lasts_ms`: as in `standings`, of this house."""
    values = graph.evaluate(series)
    found = []
    for rule in own:
        key = str(rule.rule_id)
        step = graph.step(key)
        if step is None:
            found.append(Judged(Standing.SUSPENDED, problem=graph.problems.get(key, "")))
            continue
        known = values[key]
        if step.lookback_ms:  # the mean of a period that is not over is not known yet
            known = known.between(0, now_ms - step.lookback_ms + 1)
        lasts = lasting(graph, rule, lasts_ms)
        found.append(judge(rule, known, now_ms, zone, lasts_ms=lasts, of_events=not step.devices))
    return found


def lasting(graph: ItemGraph, rule: OperatorRule, lasts_ms: Mapping[str, int]) -> int:
    """For how long a value of a rule says how it is now; the readings of so long are enough to have it."""
    step = graph.step(str(rule.rule_id))
    if step is None:
        return 0
    return 2 * step.lookback_ms + max((lasts_ms[device] for device in step.devices), default=0)


def _read_class(reach_ms: int) -> int:
    hour = _READ_CLASSES_MS[-1]
    return next((one for one in _READ_CLASSES_MS if reach_ms <= one), -(-reach_ms // hour) * hour)
