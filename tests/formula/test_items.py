"""Several items at once: fetched once, computed once, cut at the range, and a fault keeps to itself."""

from collections.abc import Mapping

import numpy as np

from sgmp_console.formula import DeviceIdentifier, EventIdentifier, ItemValues, evaluate_items
from sgmp_console.formula.items import SourceIdentifier
from sgmp_console.timeseries import Series

X, Y = DeviceIdentifier("d", "x"), DeviceIdentifier("d", "y")
EVENTS = EventIdentifier((), ("EV_START_CHARGING",), None)
EVERYTHING = {
    X: Series(np.arange(-100, 100) * 1_000, np.arange(-100.0, 100)),
    Y: Series(np.arange(-100, 100) * 1_000, np.ones(200)),
    EVENTS: Series([500], [1]),
}


class Store:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[frozenset[SourceIdentifier], int, int]] = []

    def load(
        self, wanted: frozenset[SourceIdentifier], start_ms: int, end_ms: int
    ) -> Mapping[SourceIdentifier, Series]:
        self.asked.append((wanted, start_ms, end_ms))
        return {one: EVERYTHING[one].between(start_ms, end_ms) for one in wanted if one in EVERYTHING}


def evaluated(
    names: list[str], items: dict[str, str], start: int = 0, end: int = 3_000
) -> tuple[ItemValues, Store]:
    store = Store()
    return evaluate_items(names, items, start, end, store.load), store


def values(result: ItemValues, name: str) -> dict[int, float]:
    series = result.series[name]
    return dict(zip(series.timestamps.tolist(), series.values.tolist(), strict=True))


def test_items_that_refer_to_items_are_computed_from_one_fetch() -> None:
    items = {"a": "d.x*2", "b": "analytics.a + d.y", "c": "analytics.a - analytics.b", "unasked": "d.z"}

    result, store = evaluated(["c", "a"], items)

    assert values(result, "c") == {0: -1, 1_000: -1, 2_000: -1}
    assert values(result, "a") == {0: 0, 1_000: 2, 2_000: 4}
    assert result.series.keys() == {"a", "c"}
    assert store.asked == [(frozenset({X, Y}), 0, 3_000)]


def test_a_field_written_in_two_ways_is_fetched_once() -> None:
    result, store = evaluated(["a"], {"a": 'd.x + d."x"'})

    assert values(result, "a") == {0: 0, 1_000: 2, 2_000: 4}
    assert store.asked[0][0] == {X}


def test_averages_at_the_edges_see_the_whole_of_their_periods() -> None:
    # The same numbers, whatever range they are asked for with.
    items = {"inner": "avg(d.x, 5000)", "outer": "avg(analytics.inner, 10000) + 0*d.y"}
    whole, _ = evaluated(["outer", "inner"], items, -50_000, 50_000)
    part, store = evaluated(["outer", "inner"], items, 7_000, 12_000)

    assert store.asked == [(frozenset({X, Y}), 7_000, 20_000)]
    assert values(part, "outer") == {10_000: values(whole, "outer")[10_000]} == {10_000: 14.5}
    assert values(part, "inner") == {10_000: 12.0}


def test_an_item_at_fault_does_not_spoil_the_others() -> None:
    items = {
        "good": "d.x",
        "broken": "d.x +",
        "round": "analytics.about",
        "about": "analytics.round",
        "dangling": "1 + analytics.gone",
        "needs": "d.x*analytics.broken",
    }

    result, _ = evaluated([*items, "unknown"], items)

    assert result.series.keys() == {"good"}
    assert {name: error.message for name, error in result.errors.items()} == {
        "broken": "a value is missing at the end",
        "round": "these items refer to one another in a circle: round → about → round",
        "about": "these items refer to one another in a circle: round → about → round",
        "dangling": "no analytic item `gone` in this house",
        "needs": "`analytics.broken` can't be evaluated: a value is missing at the end",
        "unknown": "no analytic item `unknown` in this house",
    }
    assert (result.errors["dangling"].position, result.errors["needs"].position) == (4, 4)


def test_nothing_to_compute_fetches_nothing() -> None:
    result, store = evaluated(["broken", "constant"], {"broken": "(", "constant": "5"})

    assert store.asked == []
    assert values(result, "constant") == {}


def test_a_series_without_readings_gives_no_values() -> None:
    result, _ = evaluated(["a", "starts"], {"a": "d.x + other.z", "starts": "events.::EV_START_CHARGING"})

    assert values(result, "a") == {}
    assert values(result, "starts") == {500: 1}


def test_an_item_mentioned_a_thousand_times_over_is_computed_once() -> None:
    # Written out, the last of these would mention d.x 2^60 times.
    items = {"i0": "d.x"} | {f"i{k + 1}": f"(analytics.i{k} + analytics.i{k})/2" for k in range(60)}

    result, _ = evaluated(["i60"], items)

    assert values(result, "i60") == {0: 0, 1_000: 1, 2_000: 2}
