"""Rules of operators: what opens and closes, over real houses; and that the past is counted as the watch judges."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_console import store
from sgmp_console.errors import Taken, UserError
from sgmp_console.fleet import analytics, devices
from sgmp_console.fleet import rules as acts
from sgmp_console.formula import FormulaError
from sgmp_console.store import Batch, Database, OperatorRule, ReadingRow, rules
from sgmp_console.store.findings import Finding, Severity
from sgmp_console.timeseries import Series
from sgmp_console.watch import operator_rules
from sgmp_console.watch.engine import Condition, Facts, Known, step
from sgmp_console.watch.operator_rules import Standing, episodes, judge
from sgmp_console.watch.rules import Key, Rule, Scope, Terms
from sgmp_console.watch.sentences import sentence
from tests.watch.conftest import MINUTE, Fleet, WatchedHouse

LOW = OperatorRule(
    "Battery low", "battery.soc", above=False, threshold=10, clear_threshold=15, hold_s=120, guidance="Look."
)


def measure(house: WatchedHouse, **values: float) -> None:
    """A reading of the battery now, and all else is well."""
    fleet = house.fleet
    fleet.all_is_well()
    address = (house.house.house_id, house.battery.device_id, "battery", fleet.now_ms)
    with fleet.database.begin() as connection:
        store.readings.write(connection, Batch(readings=[ReadingRow(*address, values)]))


def turns(house: WatchedHouse, minutes: float, **values: float) -> list[Finding]:
    """Half-minutes with the same readings. What the rules have open after them."""
    found: list[Finding] = []
    for _ in range(round(2 * minutes)):
        house.fleet.now_ms += MINUTE // 2
        measure(house, **values)
        found = [one for one in house.fleet.turn() if one.rule == Rule.OPERATOR]
    return found


def add(house: WatchedHouse, rule: OperatorRule, *, everywhere: bool = False) -> OperatorRule:
    """A rule that has been there for long."""
    with house.fleet.database.begin() as connection:
        made = rules.create(connection, replace(rule, house_id=None if everywhere else house.house.house_id))
        connection.exec_driver_sql("UPDATE sgmp.rule SET changed_at = changed_at - interval '2 days'")
    return made


def test_a_rule_opens_after_its_hold_time_and_closes_beyond_the_threshold_that_ends_it(
    fleet: Fleet, north: WatchedHouse
) -> None:
    add(north, LOW)
    assert turns(north, 1, soc=9.0) == []
    (opened,) = turns(north, 2, soc=8.0)
    assert (opened.severity, opened.value) == (Severity.WARNING, 8.0)
    said = sentence(opened.rule, "", opened.subject, opened.details, value=opened.value)
    assert (said.text, said.to_do) == ("Battery low: 8, below 10", "Look.")
    assert len(turns(north, 1, soc=12.0)) == 1  # neither below 10 nor above 15
    assert turns(north, 0.5, soc=16.0) == []
    (ended,) = [one for one in fleet.read() if one.rule == Rule.OPERATOR]
    assert ended.to_ms is not None
    assert ended.value == 8.0


def test_one_value_on_the_other_side_begins_the_hold_time_again_even_between_two_looks(
    north: WatchedHouse,
) -> None:
    add(north, LOW)
    turns(north, 1.5, soc=9.0)
    north.fleet.now_ms += 1_000
    measure(north, soc=11.0)
    assert turns(north, 1.5, soc=9.0) == []
    assert len(turns(north, 1, soc=9.0)) == 1


def test_missing_data_suspend_a_rule_and_begin_its_hold_time_again(fleet: Fleet, north: WatchedHouse) -> None:
    add(north, replace(LOW, hold_s=180))
    turns(north, 0.5, soc=9.0)
    for _ in range(4):  # without the field; what is two minutes old is missing
        fleet.all_is_well(MINUTE)
        fleet.turn()
    assert turns(north, 3, soc=9.0) == []
    (opened,) = turns(north, 0.5, soc=9.0)
    assert not opened.suspended
    for _ in range(4):
        fleet.all_is_well(MINUTE)
        fleet.turn()
    (suspended,) = [one for one in fleet.open() if one.rule == Rule.OPERATOR]
    assert (suspended.suspended, suspended.finding_id) == (True, opened.finding_id)
    assert turns(north, 0.5, soc=50.0) == []


def test_an_edge_that_is_gone_suspends_the_rules_of_its_house(fleet: Fleet, north: WatchedHouse) -> None:
    add(north, replace(LOW, hold_s=0))
    turns(north, 0.5, soc=9.0)
    for _ in range(6):
        fleet.now_ms += MINUTE
        fleet.ingest()
        found = {one.rule: one for one in fleet.turn()}
    assert found["edge_offline"].is_open
    assert found[Rule.OPERATOR].suspended


def test_a_rule_without_hold_time_sees_a_single_value_between_two_looks(north: WatchedHouse) -> None:
    add(north, OperatorRule("Peak", "battery.watts * 2", above=True, threshold=10))
    turns(north, 1, watts=1.0)
    north.fleet.now_ms += 2_000
    measure(north, watts=6.0)
    north.fleet.now_ms += 2_000
    measure(north, watts=1.0)
    (opened,) = [one for one in north.fleet.turn() if one.rule == Rule.OPERATOR]
    assert opened.value == 12.0
    assert turns(north, 2, watts=1.0) == []


def test_a_rule_of_all_houses_is_judged_in_each_that_has_what_it_names(
    fleet: Fleet, north: WatchedHouse
) -> None:
    south = fleet.add("South")
    for house in (north, south):
        with fleet.database.begin() as connection:
            if house is north:
                store.analytics.create(connection, house.house.house_id, "soc", "battery.soc", unit="%")
    acts.create(fleet.database, replace(LOW, name="All", formula="analytics.soc", hold_s=0))
    measure(south, soc=5.0)
    (opened,) = turns(north, 0.5, soc=5.0)
    assert opened.house_id == north.house.house_id
    assert opened.details["unit"] == "%"


def test_a_mean_counts_once_its_period_is_over(north: WatchedHouse) -> None:
    add(north, OperatorRule("Mean", "avg(battery.watts, 300000)", above=True, threshold=10))
    north.fleet.now_ms -= north.fleet.now_ms % (5 * MINUTE)
    assert turns(north, 4.5, watts=20.0) == []
    assert len(turns(north, 1, watts=0.0)) == 1


def test_an_event_counts_for_an_hour_and_none_is_not_missing(fleet: Fleet, north: WatchedHouse) -> None:
    add(north, OperatorRule("Charged", "events.::EV_END_CHARGING.energy", above=True, threshold=100))
    assert turns(north, 0.5, power=1.0) == []
    north.event(north.battery.device_id, "battery", "EV_END_CHARGING", None, {"energy": 200.0})
    assert len(turns(north, 0.5, power=1.0)) == 1
    fleet.all_is_well(61 * MINUTE)
    fleet.turn()
    assert turns(north, 2, power=1.0) == []


@pytest.mark.parametrize("end", ["disable", "delete"])
def test_what_a_rule_has_open_is_resolved_when_it_is_disabled_or_deleted(
    fleet: Fleet, north: WatchedHouse, end: str
) -> None:
    made = add(north, replace(LOW, hold_s=0))
    assert len(turns(north, 0.5, soc=5.0)) == 1
    if end == "delete":
        acts.delete(fleet.database, [made.rule_id])
    else:
        acts.enable(fleet.database, [made], enabled=False)
    assert turns(north, 0.5, soc=5.0) == []


def test_a_rule_that_asks_something_else_begins_again(fleet: Fleet, north: WatchedHouse) -> None:
    made = add(north, LOW)
    turns(north, 1.5, soc=9.0)
    with fleet.database.begin() as connection:
        rules.update(connection, replace(made, threshold=9.5))
        connection.exec_driver_sql(
            "UPDATE sgmp.rule SET changed_at = to_timestamp(%s / 1000.0)", (fleet.now_ms,)
        )
    assert turns(north, 1.5, soc=9.0) == []
    assert len(turns(north, 1, soc=9.0)) == 1


def test_the_watch_itself_may_read_all_that_rules_need(
    fleet: Fleet, north: WatchedHouse, watch: Database
) -> None:
    add(north, LOW)
    add(north, OperatorRule("Warned", "events.::WARNING", above=True, threshold=0), everywhere=True)
    turns(north, 0.5, soc=9.0)
    lasts_ms = {north.house.house_id: {"battery": 2 * MINUTE}}
    with watch.begin() as connection:
        found = operator_rules.standings(connection, fleet.now_ms, lasts_ms)
    assert {one.rule.name: one.judged.standing for one in found} == {
        "Battery low": Standing.HOLDS,
        "Warned": Standing.CLEAR,
    }


# --- What is stored -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": " "}, UserError),
        ({"formula": "nosuch.soc"}, FormulaError),
        ({"formula": "battery.soc +"}, FormulaError),
        ({"formula": "avg(battery.soc, 86400000)"}, UserError),
        ({"clear_threshold": 5.0}, UserError),
        ({"threshold": float("nan")}, UserError),
        ({"hold_s": 8 * 86_400}, UserError),
        ({"hours": (time(8), time(8))}, UserError),
    ],
)
def test_a_rule_is_checked_before_it_is_stored(
    fleet: Fleet, north: WatchedHouse, change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        acts.create(fleet.database, replace(LOW, house_id=north.house.house_id, **change))  # type: ignore[arg-type]


def test_the_name_of_a_rule_is_taken_in_its_house_and_what_it_uses_stays(
    fleet: Fleet, north: WatchedHouse
) -> None:
    own = replace(LOW, house_id=north.house.house_id, formula="analytics.soc", hours=(time(22), time(6)))
    item = analytics.create(fleet.database, north.house.house_id, "soc", "battery.soc")
    made = acts.create(fleet.database, own)
    assert replace(made, rule_id=0, changed_ms=0) == own
    with pytest.raises(Taken):
        acts.create(fleet.database, own)
    acts.create(fleet.database, replace(own, house_id=None))
    with pytest.raises(UserError, match="soc is used by the rule Battery low"):
        analytics.delete(fleet.database, north.house.house_id, [item.item_id])
    acts.update(fleet.database, replace(made, formula="battery.soc"))
    with pytest.raises(UserError, match="the rule Battery low"):
        devices.delete(fleet.database, north.house.house_id, [north.battery.device_id])
    with fleet.database.begin() as connection:
        written = [(one.act, one.subject) for one in store.audit.read(connection, kinds=["rule"])]
    assert written == [("change", "Battery low"), ("create", "Battery low"), ("create", "Battery low")]


@pytest.mark.parametrize("suggestion", acts.SUGGESTIONS, ids=lambda one: one.rule.name)
def test_each_suggestion_can_be_stored_for_all_houses(fleet: Fleet, suggestion: acts.Suggestion) -> None:
    assert acts.create(fleet.database, suggestion.rule).unit in ("%", "V", "kW")


# --- The past -------------------------------------------------------------------------------------------------------------------

SECOND = 1000
KEY = Key(1, "", Rule.OPERATOR, "1")
LASTS_MS = 45 * SECOND


@st.composite
def pasts(draw: st.DrawFn) -> tuple[OperatorRule, Series, int]:
    gaps = draw(st.lists(st.sampled_from([10, 10, 10, 20, 60, 100]), min_size=1, max_size=25))
    values = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=len(gaps), max_size=len(gaps)))
    rule = OperatorRule(
        "x",
        "a.b",
        above=True,
        threshold=1.5,
        clear_threshold=draw(st.sampled_from([None, 0.5])),
        hold_s=draw(st.sampled_from([5, 15, 35])),
        clear_s=draw(st.sampled_from([0, 5, 25])),
    )
    times = 1_750_000_000_000 + SECOND * np.cumsum(gaps)
    return rule, Series(times, values), int(times[-1]) + 7 * SECOND


@settings(max_examples=60, deadline=None)
@given(pasts())
def test_the_past_is_counted_as_a_watch_would_have_judged_it(past: tuple[OperatorRule, Series, int]) -> None:
    rule, values, end_ms = past
    terms = {KEY: Terms(Scope.HOUSE, Severity.WARNING, rule.hold_s * SECOND, rule.clear_s * SECOND)}
    known: Known | None = None
    watched: list[tuple[int, int]] = []
    for now_ms in range(int(values.timestamps[0]), end_ms + 1, SECOND):
        judged = judge(rule, values.between(0, now_ms + 1), now_ms, "UTC", lasts_ms=LASTS_MS, of_events=False)
        held = Condition(judged.since_ms, broken_ms=judged.broken_ms)
        facts = Facts(
            {KEY: held} if judged.standing is Standing.HOLDS else {},
            frozenset([KEY]) if judged.standing is Standing.SUSPENDED else frozenset(),
            between=frozenset([KEY]) if judged.standing is Standing.BETWEEN else frozenset(),
            terms=terms,
        )
        changes = step([known] if known else [], facts, now_ms)
        known = None if changes.forgotten else known
        for finding in changes.stored:
            known = finding
            if finding.to_ms is not None:
                watched.append((finding.from_ms, finding.to_ms))
                known = None
    if known is not None and known.opened_ms is not None:
        watched.append((known.from_ms, end_ms))
    assert episodes(rule, values, end_ms, "UTC", lasts_ms=LASTS_MS, of_events=False) == watched


def test_hours_are_those_of_the_clock_of_the_house() -> None:
    hour = 60 * MINUTE
    midnight = 1_750_024_800_000  # 2025-06-16 00:00 in Berlin
    night = OperatorRule("x", "a.b", above=True, threshold=0, hold_s=60, hours=(time(22), time(6)))
    times = [midnight + 10 * MINUTE * step for step in range(24 * 6)]
    values = Series(times, [1.0] * len(times))
    found = episodes(
        night, values, midnight + 24 * hour, "Europe/Berlin", lasts_ms=15 * MINUTE, of_events=False
    )
    assert found == [(midnight, midnight + 6 * hour), (midnight + 22 * hour, midnight + 24 * hour)]
