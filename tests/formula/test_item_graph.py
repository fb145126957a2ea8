"""Analytic items: resolved against the house, evaluated in order, and brought forward by their tail only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmp_console.formula import (
    AnalyticsIdentifier,
    DeviceIdentifier,
    EventIdentifier,
    Identifier,
    ItemGraph,
    TailValues,
)
from sgmp_console.timeseries import Series


def graph(formulas: dict[str, str], wanted: tuple[str, ...], devices: tuple[str, ...] = ("m",)) -> ItemGraph:
    return ItemGraph(formulas, wanted, devices)


def test_an_item_is_evaluated_after_those_it_refers_to() -> None:
    found = graph({"c": "analytics.a + analytics.b", "a": "m.x", "b": "2 * analytics.a"}, ("c",))
    assert [step.name for step in found.steps] == ["a", "b", "c"]
    assert found.fields == {DeviceIdentifier("m", "x")}


def test_only_what_is_wanted_is_read() -> None:
    found = graph({"a": "m.x", "b": "m.y + events.::WARNING"}, ("a",))
    assert found.fields == {DeviceIdentifier("m", "x")}
    assert not found.events


def test_events_are_read_for_event_identifiers() -> None:
    assert graph({"a": "events.m::X.energy"}, ("a",)).events == {EventIdentifier(("m",), ("X",), "energy")}


@pytest.mark.parametrize(
    ("formulas", "sentence"),
    [
        ({"a": "n.x"}, "`a` refers to device `n`, which this house doesn't have."),
        ({"a": "analytics.b", "b": "n.x"}, "`b` refers to device `n`, which this house doesn't have."),
        ({"a": "analytics.z"}, "`a` can't be evaluated: no analytic item `z` in this house."),
        (
            {"a": "analytics.b", "b": "1 + analytics.a"},
            "`a` can't be evaluated: these items refer to one another in a circle: a → b → a.",
        ),
    ],
)
def test_an_item_that_cannot_be_evaluated_says_why(formulas: dict[str, str], sentence: str) -> None:
    found = graph(formulas, ("a",))
    assert found.problems["a"] == sentence
    assert found.step("a") is None


def test_a_formula_that_cannot_be_read_says_why() -> None:
    assert graph({"a": "m.x +"}, ("a",)).problems["a"].startswith("`a` can't be evaluated: ")


def test_one_broken_item_leaves_the_others() -> None:
    found = graph({"a": "n.x", "b": "m.x"}, ("a", "b"))
    assert [step.name for step in found.steps] == ["b"]


def test_the_lookback_adds_up_along_what_an_item_refers_to() -> None:
    found = graph({"a": "avg(analytics.b, 60000) + m.x", "b": "avg(avg(m.x, 1000), 5000)"}, ("a",))
    assert {step.name: step.lookback_ms for step in found.steps} == {"b": 6000, "a": 66000}
    assert found.lookback_ms == 66000


def test_an_item_with_known_values_is_taken_as_it_is() -> None:
    found = graph({"a": "analytics.b * 2", "b": "m.x"}, ("a",))
    values = found.evaluate({AnalyticsIdentifier("b"): Series([5], [7.0])})
    assert values["a"].values.tolist() == [14.0]


FORMULAS = {
    "plain": "pos(m.x) / 1000",
    "two": "m.x - m.y",
    "mean": "avg(m.x, 7) + avg(m.y, 7)",
    "deep": "avg(avg(m.x, 3) * 2, 10)",
    "nested": "analytics.two + analytics.plain",
    "nested_mean": "avg(analytics.deep, 25) - avg(analytics.two, 25)",
}

readings = st.dictionaries(st.integers(0, 200), st.floats(-1e6, 1e6), max_size=40)


@given(
    first=readings, second=readings, ticks=st.lists(st.integers(0, 200), max_size=6), start=st.integers(0, 60)
)
@settings(max_examples=150, deadline=None)
def test_bringing_forward_gives_what_evaluating_everything_gives(
    first: dict[int, float], second: dict[int, float], ticks: list[int], start: int
) -> None:
    """What is known changes from some time on, late data included; each time only that much is read again."""
    order = graph(FORMULAS, tuple(FORMULAS))
    everything = {DeviceIdentifier("m", "x"): _series(first), DeviceIdentifier("m", "y"): _series(second)}

    def read(known_from: int, since: int) -> dict[Identifier, Series]:
        return {
            key: one.between(max(known_from, since - order.lookback_ms, start), 1000)
            for key, one in everything.items()
        }

    held = TailValues(order)
    known_from = 1000
    for tick in [*ticks, start]:
        known_from = min(known_from, tick)
        held.bring_forward(read(known_from, tick), tick, start)
    whole = TailValues(order)
    whole.bring_forward(read(0, start), start, start)
    for name in FORMULAS:
        np.testing.assert_array_equal(held[name].timestamps, whole[name].timestamps)
        np.testing.assert_allclose(held[name].values, whole[name].values, rtol=1e-12)


def _series(values: dict[int, float]) -> Series:
    stamps: list[Any] = sorted(values)
    return Series(stamps, [values[stamp] for stamp in stamps])
