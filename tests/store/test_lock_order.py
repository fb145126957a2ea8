"""Whoever stores, aggregates, registers or tidies up at the same time takes locks in one order: no deadlock."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import psycopg2
import pytest
import sqlalchemy as sa

from sgmp_console import store
from sgmp_console.ingest.writer import Writer
from sgmp_console.store import (
    Batch,
    Database,
    DatabaseUnavailable,
    DeviceSeries,
    EventRow,
    ReadingRow,
    Rejected,
    TextRow,
)
from sgmp_console.timeseries import Series
from tests.database import TestDatabase
from tests.reports.stored import work_off_late_ranges
from tests.store.conftest import Place, make_place
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("SGMP_TEST_LOCK_ROUNDS", "5"))
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def _impatient(test_database: TestDatabase) -> None:
    """Deadlocks are noticed after 20 ms."""
    with psycopg2.connect(test_database.url) as connection, connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{test_database.name}" SET deadlock_timeout = 20')


class Meeting:
    """Acts that begin at the same instant, again and again; the deadlocks that they met."""

    def __init__(self, number: int) -> None:
        self._start = threading.Barrier(number)
        self._pool = ThreadPoolExecutor(number)
        self.deadlocks: list[str] = []

    def hold(self, *acts: Callable[[], object]) -> None:
        list(self._pool.map(self._act, acts))

    def _act(self, act: Callable[[], object]) -> None:
        self._start.wait()
        try:
            act()
        except DatabaseUnavailable as error:
            self.deadlocks.append(f"{act}: {error}")
        except psycopg2.errors.DeadlockDetected as error:
            self.deadlocks.append(f"{act}: {error}")


def days_of(number: int) -> list[int]:
    """Recent ones, some whose aggregates are kept up to date in another way, some that no partition or chunk has yet."""
    today = int(time.time() * 1000) // DAY_MS * DAY_MS
    return [today - days * DAY_MS for days in (0, 3, 28, 40 + 2 * number, 41 + 2 * number, 300 + 9 * number)]


def content(places: Sequence[Place], number: int) -> tuple[Batch, list[Rejected]]:
    """Of all places much that is new, each time in another order and another part of it."""
    batch, rejected = Batch(), []
    days = days_of(number)
    for place in places:
        house, device, name = place.house.house_id, place.meter.device_id, place.meter.name
        for at in random.sample(days, 4):
            fields = random.sample([f"f{number}_{n}" for n in range(5)], 3)
            batch.readings.append(ReadingRow(house, device, name, at, dict.fromkeys(fields[:2], 1.0)))
            batch.texts.append(TextRow(house, device, name, at, {fields[2]: f"text {number}"}))
            batch.events.append(EventRow(house, device, name, at, "WARNING", {"data": f"{number}"}))
            batch.events.append(EventRow(house, 0, "_edge", at, "EDGE_STATUS", {"backlog": number}))
        rejected += [
            Rejected(days[0], f"topic {house} {part}", b"%d" % number, "Why.", house) for part in range(2)
        ]
    rejected.append(Rejected(days[0], "topic", b"%d" % number, "Why."))
    for rows in (batch.readings, batch.texts, batch.events, rejected):
        random.shuffle(rows)
    return batch, rejected


def series(places: Sequence[Place], number: int) -> Batch:
    """The same fields as whole series."""
    days = np.array(sorted(days_of(number)))
    fields = {f"f{number}_{n}": Series(days, np.ones(len(days))) for n in random.sample(range(5), 3)}
    return Batch(
        series=[
            DeviceSeries(place.house.house_id, place.meter.device_id, fields)
            for place in random.sample(places, len(places))
        ]
    )


def test_all_that_store_register_and_tidy_up_at_the_same_time(
    database: Database, test_database: TestDatabase
) -> None:
    places = [make_place(database, name) for name in ("North", "South", "West")]
    writer = Writer(test_database.deployment, database)
    with database.begin() as connection:
        items = [
            store.analytics.create(connection, place.house.house_id, "power", "meter.x") for place in places
        ]
    meeting = Meeting(6)

    def store_batch(number: int) -> None:
        batch, rejected = content(places, number)
        with database.begin() as connection:
            store.readings.write(connection, batch)
            store.quarantine.store(connection, rejected)

    def store_series(number: int) -> None:
        with database.begin() as connection:
            store.readings.write(connection, series(places, number))

    def register(number: int) -> None:
        fields = [("meter", f"f{number}_{n}") for n in range(5)]
        for place, item in zip(places, items, strict=True):
            with database.begin() as connection:
                store.aggregates.register(connection, place.house.house_id, item.item_id, fields)
            store.aggregates.populate(database, place.house.house_id)

    def settle_quarantine() -> None:
        with database.begin() as connection:
            listed = store.quarantine.list_all(connection)
            chosen = [one.quarantine_id for one in random.sample(listed, len(listed) // 2)]
            store.quarantine.request_replay(connection, chosen[::2])
            store.quarantine.discard(connection, chosen[1::2])
        while writer.replay():
            pass
        with database.begin() as connection:
            connection.exec_driver_sql("SELECT sgmp.drop_old_quarantine(interval '90 days')")

    for number in range(ROUNDS):
        meeting.hold(
            partial(store_batch, number),
            partial(store_batch, number),
            partial(store_series, number),
            partial(register, number),
            settle_quarantine,
            partial(work_off_late_ranges, test_database.url),
        )
    assert meeting.deadlocks == []


Store = Callable[[sa.Connection], object]


@dataclass(frozen=True)
class Order:
    """Two things in the order of their locks, and what stores the first, the second, or both (the second named first)."""

    first: Store
    second: Store
    both: Store


def order(places: Sequence[Place], kind: str) -> Order:
    north, south = places
    now = int(time.time() * 1000)

    def batch(*rows: tuple[Place, str, int]) -> Store:
        readings = [
            ReadingRow(
                place.house.house_id, place.meter.device_id, "meter", now - days * DAY_MS, {field: 1.0}
            )
            for place, field, days in rows
        ]
        return lambda connection: store.readings.write(connection, Batch(readings=readings))

    def events(*of: Place) -> Store:
        rows = [
            EventRow(place.house.house_id, 0, "_edge", now, "EDGE_STATUS", {"backlog": 1}) for place in of
        ]
        return lambda connection: store.readings.write(connection, Batch(events=rows))

    def rejected(*of: Place) -> Store:
        rows = [
            Rejected(now, f"topic {place.house.house_id}", b"?", "Why.", place.house.house_id) for place in of
        ]
        return lambda connection: store.quarantine.store(connection, rows)

    def texts(*days: int) -> Store:
        rows = [
            TextRow(
                north.house.house_id,
                north.meter.device_id,
                "meter",
                now - ago * DAY_MS,
                {"mode": f"day {ago}"},
            )
            for ago in days
        ]
        return lambda connection: store.readings.write(connection, Batch(texts=rows))

    if kind == "new series":
        return Order(
            batch((north, "f1", 1)), batch((north, "f2", 1)), batch((north, "f2", 1), (north, "f1", 1))
        )
    if kind == "readings of two days":
        return Order(batch((north, "b", 2)), batch((north, "a", 1)), batch((north, "a", 1), (north, "b", 2)))
    if kind == "texts":
        return Order(texts(2), texts(1), texts(1, 2))
    if kind == "events":
        return Order(events(north), events(south), events(south, north))
    return Order(rejected(north), rejected(south), rejected(south, north))


@pytest.mark.parametrize("kind", ["new series", "readings of two days", "texts", "events", "quarantine"])
def test_who_waits_for_one_thing_holds_none_that_comes_later(database: Database, kind: str) -> None:
    places = [make_place(database, name) for name in ("North", "South")]
    for place in places:
        days = [int(time.time() * 1000) - days * DAY_MS - 1 for days in (1, 2)]
        place.write({at: dict.fromkeys(("a", "b", "mode"), 0.0) for at in days})
    acts = order(places, kind)
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def store_both() -> None:
        with database.begin() as connection:
            acts.both(connection)

    def waits() -> bool:
        with database.begin() as connection:
            return bool(connection.execute(waiting).scalar_one())

    with ThreadPoolExecutor(1) as pool:
        with database.begin() as holder:
            acts.first(holder)
            both = pool.submit(store_both)
            wait_until(waits)
            with database.begin() as connection:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '3s'")
                acts.second(connection)
        both.result()
