"""Messages in quarantine: bounded, listed, read again, discarded, and only by accounts that may."""

from __future__ import annotations

import time

from sgmp_console import store
from sgmp_console.store import Database, Rejected
from sgmp_console.store.quarantine import Usage
from tests.store.conftest import Place

T0 = int(time.time() * 1000) - 60_000


def reject(number: int, house_id: int | None, size: int = 10) -> Rejected:
    return Rejected(T0, f"sgmp_read/{number}", b"x" * size, "It is not JSON.", house_id)


def set_aside(database: Database, *rows: Rejected) -> int:
    with database.begin() as connection:
        return store.quarantine.store(connection, rows)[0]


def test_a_house_has_room_for_fifty_megabytes_and_the_rest_is_counted(
    place: Place, database: Database
) -> None:
    house_id = place.house.house_id
    megabyte = 1_000_000
    assert set_aside(database, *(reject(n, house_id, megabyte) for n in range(52))) == 49
    assert set_aside(database, reject(100, None)) == 1  # other houses have theirs
    with database.begin() as connection:
        usage = store.quarantine.usage(connection)
    assert (usage[house_id].messages, usage[house_id].refused) == (49, 3)
    assert usage[None] == Usage(1, len("sgmp_read/100") + 10, 0)


def test_a_house_has_room_for_ten_thousand_messages(place: Place, database: Database) -> None:
    house_id = place.house.house_id
    rows = [reject(n, house_id) for n in range(10_020)]
    assert set_aside(database, *rows) == 10_000
    assert set_aside(database, *rows[:5]) == 0
    with database.begin() as connection:
        assert store.quarantine.usage(connection)[house_id].refused == 20


def test_the_list_is_read_in_pages_without_payloads(place: Place, database: Database) -> None:
    house_id = place.house.house_id
    set_aside(database, *(reject(n, house_id, 1000) for n in range(5)))
    with database.begin() as connection:
        first = store.quarantine.list_all(connection, house_id, limit=3)
        second = store.quarantine.list_all(connection, house_id, before_id=first[-1].quarantine_id, limit=3)
        assert [one.topic[-1] for one in [*first, *second]] == ["4", "3", "2", "1", "0"]
        assert (first[0].size, len(first[0].beginning)) == (1000, 200)
        whole = store.quarantine.whole(connection, first[0].quarantine_id)
    assert whole is not None
    assert whole.payload == b"x" * 1000


def test_what_is_discarded_makes_room(place: Place, database: Database) -> None:
    house_id = place.house.house_id
    set_aside(database, reject(1, house_id), reject(2, house_id))
    with database.begin() as connection:
        numbers = [one.quarantine_id for one in store.quarantine.list_all(connection)]
        assert store.quarantine.discard(connection, numbers) == 2
        assert store.quarantine.usage(connection)[house_id].messages == 0
        assert next(entry.act for entry in store.audit.read(connection)) == "discard"


def test_old_messages_go(place: Place, database: Database) -> None:
    set_aside(database, reject(1, place.house.house_id))
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.quarantine SET received_at = now() - interval '91 days'")
        assert (
            connection.exec_driver_sql("SELECT sgmp.drop_old_quarantine(interval '90 days')").scalar_one()
            == 1
        )
        assert store.quarantine.list_all(connection) == []
