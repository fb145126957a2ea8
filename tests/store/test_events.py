"""Events are stored once; an edge's word about itself becomes the state of its house."""

from __future__ import annotations

from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.store import Batch, Database, Event, EventRow, Rejected
from tests.store.conftest import Place, make_place

T0 = 1_750_000_000_000


def event(place: Place, at: int, kind: str = "WARNING", **data: Any) -> EventRow:
    return EventRow(place.house.house_id, place.meter.device_id, "meter", at, kind, data)


def edge_event(place: Place, at: int, kind: str, **data: Any) -> EventRow:
    return EventRow(place.house.house_id, 0, "_edge", at, kind, data)


def write(place: Place, *rows: EventRow) -> int:
    with place.database.begin() as connection:
        return store.readings.write(connection, Batch(events=list(rows))).events


def state(place: Place) -> store.config_versions.EdgeState:
    with place.database.begin() as connection:
        return store.config_versions.edge_state(connection, place.house.house_id)


def test_events_are_read_in_order_of_time(place: Place, database: Database) -> None:
    write(
        place, event(place, T0 + 5, "EV_END_CHARGING", duration=1, energy=2.5), event(place, T0, data="late")
    )
    with database.begin() as connection:
        found = store.events.read(connection, place.house.house_id, T0, T0 + 5)
        all_of_it = store.events.read(connection, place.house.house_id, T0, T0 + 6)
    assert found == [Event(T0, "meter", "WARNING", {"data": "late"})]
    assert all_of_it == [*found, Event(T0 + 5, "meter", "EV_END_CHARGING", {"duration": 1, "energy": 2.5})]


def test_types_that_a_device_invents_are_listed_up_to_a_thousand(place: Place, database: Database) -> None:
    write(place, *(event(place, T0 + number, f"TYPE_{number}") for number in range(1_200)))
    with database.begin() as connection:
        assert len(store.events.types(connection, place.house.house_id)) == 1_000


def test_the_same_event_twice_is_one(place: Place) -> None:
    assert write(place, event(place, T0, a=1, b=2), event(place, T0, b=2, a=1)) == 1
    assert write(place, event(place, T0, a=1, b=2)) == 0


def test_events_that_differ_in_anything_are_two(place: Place, database: Database) -> None:
    south = make_place(database, "South")
    rows = [
        event(place, T0),
        event(place, T0 + 1),
        event(place, T0, data="x"),
        event(place, T0, "EV_START_CHARGING"),
        event(south, T0),
        edge_event(place, T0, "WARNING"),
    ]
    assert write(place, *rows) == len(rows)


def test_events_are_found_by_device_and_type(place: Place, database: Database) -> None:
    write(
        place, event(place, T0), event(place, T0, "EV_START_CHARGING"), edge_event(place, T0, "EDGE_STATUS")
    )
    with database.begin() as connection:

        def types(**only: Any) -> set[str]:
            return {e.type for e in store.events.read(connection, place.house.house_id, 0, T0 + 1, **only)}

        assert types(devices=["meter"]) == {"WARNING", "EV_START_CHARGING"}
        assert types(types=["WARNING", "EDGE_STATUS"]) == {"WARNING", "EDGE_STATUS"}
        assert types(devices=["_edge"], types=["WARNING"]) == set()


def test_an_edge_tells_its_state(place: Place) -> None:
    write(
        place,
        edge_event(place, T0, "EDGE_STATUS", backlog=3),
        edge_event(place, T0 + 1, "CONFIG_APPLIED", version=4, sha256="abc"),
        edge_event(place, T0 + 2, "CONFIG_REJECTED", reason="unknown type"),
    )
    found = state(place)
    assert (found.status, found.status_ms) == ({"backlog": 3}, T0)
    assert (found.applied_version, found.applied_sha256, found.applied_ms) == (4, "abc", T0 + 1)
    assert (found.rejected_reason, found.rejected_ms) == ("unknown type", T0 + 2)


def test_a_backlog_does_not_bring_back_an_older_state(place: Place) -> None:
    write(place, edge_event(place, T0 + 60_000, "EDGE_STATUS", backlog=0))
    write(place, edge_event(place, T0, "EDGE_STATUS", backlog=9))
    assert state(place).status == {"backlog": 0}


def test_a_last_will_counts_although_it_was_written_when_the_connection_was_made(place: Place) -> None:
    write(place, edge_event(place, T0 + 60_000, "EDGE_STATUS", state="online", devices={"meter": "ok"}))
    write(place, edge_event(place, T0, "EDGE_STATUS", state="offline"))
    assert state(place).status == {"state": "offline", "devices": {"meter": "ok"}}
    assert state(place).status_ms == T0 + 60_000
    write(place, edge_event(place, T0 + 120_000, "EDGE_STATUS", state="online"))
    assert state(place).status == {"state": "online"}


@pytest.mark.parametrize("version", ["4", "x", None, 1.5, -1, 10**12, [1], {"a": 1}, True])
def test_whatever_an_edge_says_is_stored(place: Place, version: Any) -> None:
    row = edge_event(place, T0, "CONFIG_APPLIED", version=version, sha256=[version])
    assert write(place, row) == 1
    assert state(place).applied_version in (4, None)


def test_a_device_can_not_speak_for_the_edge(place: Place) -> None:
    write(place, event(place, T0, "EDGE_STATUS", backlog=9))
    assert state(place).status is None


def test_a_message_in_quarantine_is_kept_once_and_whole(place: Place, database: Database) -> None:
    rejected = Rejected(T0, "sgmp_read/x", b"\0\xff{", "It is not UTF-8.", place.house.house_id)
    with database.begin() as connection:
        assert store.quarantine.store(connection, [rejected, rejected])[0] == 1
        assert store.quarantine.store(connection, [rejected])[0] == 0
        assert store.quarantine.read(connection) == [rejected]
        assert store.quarantine.read(connection, place.house.house_id) == [rejected]
        assert store.quarantine.read(connection, place.house.house_id + 1) == []
