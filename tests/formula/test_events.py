"""Events as series."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sgmp_console.formula import EventIdentifier, event_series, identifiers


@dataclass(frozen=True)
class Happened:
    timestamp_ms: int
    device: str
    type: str
    data: Mapping[str, Any]


EVENTS = [
    Happened(3_000, "garage", "EV_END_CHARGING", {"duration": 60_000, "energy": "1500.5"}),
    Happened(1_000, "garage", "EV_START_CHARGING", {}),
    Happened(2_000, "yard", "EV_START_CHARGING", {}),
    Happened(
        4_000, "yard", "EV_END_CHARGING", {"duration": None, "detail": {"levels": [1, {"x": True}], "a.b": 7}}
    ),
    Happened(5_000, "yard", "WARNING", {"data": "no answer"}),
]


def series(text: str, events: list[Happened] = EVENTS) -> dict[int, float]:
    identifier = identifiers.parse(text)
    assert isinstance(identifier, EventIdentifier)
    result = event_series(identifier, events)
    return dict(zip(result.timestamps.tolist(), result.values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("events.::EV_START_CHARGING", {1_000: 1, 2_000: 1}),
        ("events.yard::EV_START_CHARGING", {2_000: 1}),
        ("events.yard:garage::", {1_000: 1, 2_000: 1, 3_000: 1, 4_000: 1, 5_000: 1}),
        ("events.::EV_START_CHARGING:WARNING", {1_000: 1, 2_000: 1, 5_000: 1}),
        ("events.::EV_END_CHARGING.duration", {3_000: 60_000}),
        ("events.::EV_END_CHARGING.energy", {3_000: 1500.5}),
        ("events.::.detail.levels.0", {4_000: 1}),
        ("events.::.detail.levels.1.x", {4_000: 1}),
        ("events.::.detail.a.b", {4_000: 7}),
        ("events.::WARNING.data", {}),
        ("events.::.detail", {}),
        ("events.::.nothing.at.all", {}),
    ],
)
def test_events_are_chosen_and_give_their_field_or_one(text: str, expected: dict[int, float]) -> None:
    assert series(text) == expected


def test_two_cars_that_arrive_in_the_same_instant_are_two() -> None:
    events = [
        Happened(1_000, name, "EV_END_CHARGING", {"energy": energy} if energy else {})
        for name, energy in (("c", 3), ("a", 1), ("b", None), ("d", 4))
    ] + [Happened(1_001, "e", "EV_END_CHARGING", {"energy": 5})]

    assert series("events.::EV_END_CHARGING", events) == {1_000: 1, 1_001: 1, 1_002: 1, 1_003: 1, 1_004: 1}
    # Both series of an event stand at the same instants, so they can be divided.
    assert series("events.::EV_END_CHARGING.energy", events) == {1_000: 1, 1_002: 3, 1_003: 4, 1_004: 5}


@pytest.mark.parametrize(
    "value", ["", "1_000", "nan", "inf", "1e999", "0x1f", "12 W", None, [], {}, float("nan")]
)
def test_what_is_no_finite_number_gives_no_value(value: object) -> None:
    assert series("events.::X.f", [Happened(0, "d", "X", {"f": value})]) == {}


@pytest.mark.parametrize(("value", "expected"), [(" 5 ", 5), ("-1e3", -1000), (False, 0), (10**400, None)])
def test_numeric_texts_and_booleans_are_numbers(value: object, expected: float | None) -> None:
    assert series("events.::X.f", [Happened(0, "d", "X", {"f": value})]) == (
        {} if expected is None else {0: expected}
    )
