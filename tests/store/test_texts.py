"""A text is stored when it changes, and once an hour, in whatever order it arrives."""

from __future__ import annotations

import random

import pytest

from sgmp_console import store
from sgmp_console.store import Batch, Database, TextRow
from tests.store.conftest import Place

HOUR_MS = 3_600_000
T0 = 1_750_000_000_000 // HOUR_MS * HOUR_MS


def write(place: Place, *texts: tuple[int, str], field: str = "state") -> int:
    rows = [
        TextRow(place.house.house_id, place.meter.device_id, "meter", at, {field: text}) for at, text in texts
    ]
    with place.database.begin() as connection:
        return store.readings.write(connection, Batch(texts=rows)).texts


def stored(database: Database) -> list[tuple[int, str]]:
    with database.begin() as connection:
        rows = connection.exec_driver_sql(
            "SELECT extract(epoch FROM ts) * 1000, value FROM sgmp.text_reading ORDER BY ts"
        )
        return [(int(ms), text) for ms, text in rows]


def in_force(rows: list[tuple[int, str]], at: int) -> str:
    return [text for ms, text in rows if ms <= at][-1]


def test_only_changes_are_stored(place: Place, database: Database) -> None:
    assert write(place, (T0, "idle"), (T0 + 1, "idle"), (T0 + 2, "busy"), (T0 + 3, "busy")) == 2
    assert write(place, (T0 + 4, "busy"), (T0 + 5, "idle")) == 1
    assert stored(database) == [(T0, "idle"), (T0 + 2, "busy"), (T0 + 5, "idle")]


def test_an_unchanged_text_is_stored_once_an_hour(place: Place, database: Database) -> None:
    write(place, *((T0 + minute * 60_000, "idle") for minute in range(150)))
    assert stored(database) == [(T0 + hour * HOUR_MS, "idle") for hour in range(3)]


def test_a_repeat_is_not_stored_again(place: Place) -> None:
    assert write(place, (T0, "idle"), (T0, "idle")) == 1
    assert write(place, (T0, "idle")) == 0


def test_fields_do_not_mix(place: Place) -> None:
    assert write(place, (T0, "idle")) == 1
    assert write(place, (T0 + 1, "busy"), field="mode") == 1
    assert write(place, (T0 + 2, "idle")) == 0


@pytest.mark.parametrize("seed", range(5))
def test_late_texts_change_nothing_before_their_time_and_little_after(
    place: Place, database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    truth = [(T0 + i * 60_000, chance.choice(["idle", "busy"])) for i in range(180)]
    arriving = truth[120:] + truth[:120]  # live first, the backlog after it
    for start in range(0, len(arriving), 7):
        write(place, *arriving[start : start + 7])
    rows = stored(database)
    assert all(in_force(rows, at) == text for at, text in truth)


def test_a_state_is_listed_when_it_changes_and_a_clock_is_not(place: Place, database: Database) -> None:
    write(place, (T0 - 5, "idle"), *((T0 + hour * HOUR_MS, "idle") for hour in range(3)))
    write(place, (T0 + 3 * HOUR_MS, "charging"), (T0 + 4 * HOUR_MS, "charging"), (T0 + 5 * HOUR_MS, "idle"))
    write(place, *((T0 + second * 1000, f"12:00:{second}") for second in range(30)), field="clock")
    with database.begin() as connection:
        found = store.events.state_changes(connection, place.house.house_id, T0, T0 + 6 * HOUR_MS)
        assert [(one.timestamp_ms - T0, one.device, one.field, one.value) for one in found] == [
            (5 * HOUR_MS, "meter", "state", "idle"),
            (3 * HOUR_MS, "meter", "state", "charging"),
        ]
        first = store.events.state_changes(connection, place.house.house_id, T0 - 5, T0)
    assert [one.value for one in first] == ["idle"]
