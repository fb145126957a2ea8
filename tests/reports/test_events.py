"""What pages make of events."""

from __future__ import annotations

import pytest

from sgmp_console.formula import EventIdentifier
from sgmp_console.formula.identifiers import parse
from sgmp_console.reports.events import event_series, warning_groups
from sgmp_console.reports.home import WarningGroup
from tests.reports.houses import Event

END = "EV_END_CHARGING"
EVENTS = [
    Event(1000, "garage", "EV_START_CHARGING"),
    Event(2000, "street", "EV_START_CHARGING"),
    Event(3000, "garage", END, {"duration": 2000, "energy": 500}),
    Event(9000, "street", END, {"duration": "7000", "energy": 1500}),
]


def points(identifier: str, events: list[Event] = EVENTS) -> list[tuple[int, float]]:
    parsed = parse(identifier)
    assert isinstance(parsed, EventIdentifier)
    series = event_series(events, parsed)
    return list(zip(series.timestamps.tolist(), series.values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("events.::EV_END_CHARGING.duration", [(3000, 2000), (9000, 7000)]),
        ("events.street::EV_END_CHARGING.energy", [(9000, 1500)]),
        ("events.::EV_START_CHARGING", [(1000, 1), (2000, 1)]),
        ("events.garage::", [(1000, 1), (3000, 1)]),
        ("events.garage:street::EV_START_CHARGING:EV_END_CHARGING.energy", [(3000, 500), (9000, 1500)]),
        ("events.::EV_END_CHARGING.cost", []),
    ],
)
def test_an_event_identifier_selects_devices_types_and_field(
    identifier: str, expected: list[tuple[int, float]]
) -> None:
    assert points(identifier) == expected


def test_events_of_the_same_poll_are_added_up() -> None:
    both = [Event(5000, name, END, {"energy": 250}) for name in ("garage", "street")]
    assert points("events.::EV_END_CHARGING", both) == [(5000, 2)]
    assert points("events.::EV_END_CHARGING.energy", both) == [(5000, 500)]


@pytest.mark.parametrize("value", [None, "about 3", float("nan"), float("inf"), {}, [1], 10**400])
def test_what_is_no_finite_number_has_no_value(value: object) -> None:
    assert points("events.::X.a", [Event(1, "d", "X", {"a": value})]) == []


def test_nested_fields_and_keys_with_dots_are_found() -> None:
    event = Event(1, "d", "X", {"a": {"b": {"c": 1}}, "x.y": {"z": True}})
    assert points("events.::X.a.b.c", [event]) == [(1, 1)]
    assert points("events.::X.x.y.z", [event]) == [(1, 1)]


def test_warnings_are_grouped_per_device_and_text_the_newest_first() -> None:
    events = [
        Event(10, "sonnen", "WARNING", {"data": "no answer within 3 s"}),
        Event(20, "egauge", "WARNING", {"data": "no answer within 3 s"}),
        Event(30, "sonnen", "WARNING", {"data": " no answer within 3 s"}),
        Event(25, "sonnen", "WARNING", {}),
        Event(40, "sonnen", "EV_START_CHARGING"),
    ]
    assert warning_groups(events) == (
        WarningGroup("sonnen", "no answer within 3 s", 2, 10, 30),
        WarningGroup("sonnen", "no text given", 1, 25, 25),
        WarningGroup("egauge", "no answer within 3 s", 1, 20, 20),
    )
