"""Listeners hear of what was committed, once it is, and after every gap that there was one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.store import Batch, Change, Database, EventRow, ReadingRow, Reconnected
from sgmp_console.store.database import CHANGE_CHANNEL
from tests.database import TestDatabase
from tests.proxy import proxy_to
from tests.store.conftest import Place, make_place
from tests.waiting import WAIT_S

T0 = 1_750_000_000_000


def heard(listener: Iterator[Change | Reconnected | None]) -> Change | Reconnected:
    """The next that is something."""
    deadline = time.monotonic() + WAIT_S
    for one in listener:
        if one is not None:
            return one
        assert time.monotonic() < deadline, "heard nothing"
    raise AssertionError("listening ended")


def test_a_batch_is_heard_of_with_its_houses_and_since_when(place: Place, database: Database) -> None:
    south = make_place(database, "South")
    listener = store.listen(database)
    assert heard(listener) == Reconnected()
    rows = [
        ReadingRow(p.house.house_id, p.meter.device_id, "meter", at, {"x": 1.0})
        for p, at in ((place, T0 + 5), (place, T0 + 1), (south, T0 + 9))
    ]
    events = [EventRow(south.house.house_id, south.meter.device_id, "meter", T0 + 3, "WARNING", {})]
    with database.begin() as connection:
        store.readings.write(connection, Batch(readings=rows, events=events))
    assert {heard(listener), heard(listener)} == {
        Change(place.house.house_id, T0 + 1),
        Change(south.house.house_id, T0 + 3),
    }


@pytest.mark.parametrize(
    "payload", ["", "x", "1", "1 x", "1 2 3", "9" * 40 + " 1", "1 " + "9" * 40, "\u0661 1"]
)
def test_what_somebody_else_notifies_disturbs_nobody(place: Place, database: Database, payload: str) -> None:
    listener = store.listen(database)
    assert heard(listener) == Reconnected()
    with database.begin() as connection:
        connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANGE_CHANNEL, payload))
    place.write({T0: {"x": 1.0}})
    assert heard(listener) == Change(place.house.house_id, T0)


def test_what_was_rolled_back_is_not_heard_of(place: Place, database: Database) -> None:
    listener = store.listen(database)
    assert heard(listener) == Reconnected()
    row = ReadingRow(place.house.house_id, place.meter.device_id, "meter", T0, {"x": 1.0})

    def write_and_fail() -> None:
        with database.begin() as connection:
            store.readings.write(connection, Batch(readings=[row]))
            raise UserError("no")

    with pytest.raises(UserError):
        write_and_fail()
    place.write({T0 + 7: {"x": 1.0}})
    assert heard(listener) == Change(place.house.house_id, T0 + 7)


def test_it_gives_way_now_and_then_so_that_it_can_be_stopped(database: Database) -> None:
    listener = store.listen(database)
    assert heard(listener) == Reconnected()
    started = time.monotonic()
    for _ in range(3):
        assert next(listener) is None
    assert time.monotonic() - started > 0.3, "it asks without a pause"


def test_a_gap_is_told_when_it_is_over(place: Place, test_database: TestDatabase) -> None:
    parts = urlsplit(test_database.url)
    with proxy_to(parts.port or 5432) as proxy:
        url = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}").geturl()
        listener = store.listen(url)
        assert heard(listener) == Reconnected()
        proxy.cut()
        assert next(listener) is None
        assert next(listener) is None
        proxy.mend()
        assert heard(listener) == Reconnected()
        place.write({T0: {"x": 1.0}})
        assert heard(listener) == Change(place.house.house_id, T0)
        listener.close()


def test_it_listens_though_more_than_1024_files_are_open(place: Place, database: Database) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no limit to raise")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2048 if hard == resource.RLIM_INFINITY else min(2048, hard)
    assert wanted >= 1200
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    reading, writing = os.pipe()
    files = [os.dup(reading) for _ in range(1100)]
    try:
        listener = store.listen(database)
        assert heard(listener) == Reconnected()
        place.write({T0: {"x": 1.0}})
        assert heard(listener) == Change(place.house.house_id, T0)
    finally:
        for file in (*files, reading, writing):
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
