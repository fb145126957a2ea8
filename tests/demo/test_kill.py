"""The chain loses nothing and doubles nothing, whichever of its processes is killed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from sgmp_console.measurements import flatten
from sgmp_edge.contract import EDGE_DEVICE_ID
from tests.demo.conftest import RunningDemo
from tests.waiting import wait_until

RECOVERY_S = 120.0
VICTIMS = ("ingest", "broker", "database", "edge-maple", "edge-harbor", "simulator-maple")
EDGES = ("maple", "harbor")

Reading = tuple[int, int, str, int]  # house, device, field, timestamp


@pytest.fixture
def demo(demo_folder: Path) -> Iterator[RunningDemo]:
    demo = RunningDemo(demo_folder, "--history-days", "0", "--poll", "1")
    try:
        demo.wait_until_ready()
        yield demo
    finally:
        assert demo.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_reading_is_stored_exactly_once_whatever_is_killed(demo: RunningDemo) -> None:
    houses: dict[str, int] = json.loads((demo.folder / "demo.json").read_text())["house_ids"]
    wait_until(lambda: _newest_ms(demo).keys() >= set(houses.values()), RECOVERY_S, every_s=0.2)
    for edge in EDGES:
        _keep_journal(demo.folder / "edges" / edge / "outbox.sqlite3")
    since_ms = int(time.time() * 1000) + 1000  # what was measured before may have been put before, too

    for victim in VICTIMS:
        before = demo.children()[victim]
        before.kill()
        killed_ms = time.time() * 1000
        wait_until(_all_live(demo, houses, killed_ms + 1000), RECOVERY_S, every_s=0.2, explain=lambda: victim)  # noqa: B023
        assert demo.children()[victim].pid != before.pid

    until_ms = int(time.time() * 1000)
    put = {
        houses[edge]: _journal(demo.folder / "edges" / edge / "outbox.sqlite3", until_ms) for edge in EDGES
    }
    wanted = Counter(reading for house, rows in put.items() for reading in _readings(house, rows))
    wait_until(lambda: not wanted - _stored(demo, until_ms), RECOVERY_S, every_s=0.5)

    assert max(wanted.values()) == 1
    assert _since(since_ms, _stored(demo, until_ms)) == _since(since_ms, wanted)
    assert _stored_events(demo, until_ms) & _events(put) == _events(put)
    assert max(_stored_events(demo, until_ms).values()) == 1
    assert demo.query("SELECT reason, count(*) FROM sgmp.quarantine GROUP BY 1") == []
    assert len(wanted) > 1000


def _since(since_ms: int, readings: Counter[Reading]) -> Counter[Reading]:
    return Counter({reading: count for reading, count in readings.items() if reading[3] >= since_ms})


def _keep_journal(outbox: Path) -> None:
    """Have the edge's own database write down what is put into the outbox, in the same transaction."""
    with closing(sqlite3.connect(outbox, timeout=10)) as connection:
        connection.executescript(
            "CREATE TABLE journal (device_id INTEGER, timestamp_ms INTEGER, kind TEXT, payload BLOB);"
            "CREATE TRIGGER journal AFTER INSERT ON message BEGIN"
            " INSERT INTO journal VALUES (new.device_id, new.timestamp_ms, new.kind, new.payload);"
            "END"
        )


def _journal(outbox: Path, until_ms: int) -> list[tuple[int, int, str, bytes]]:
    """Device id, timestamp, kind and payload of what was put."""
    with closing(sqlite3.connect(outbox, timeout=10)) as connection:
        return connection.execute(
            "SELECT device_id, timestamp_ms, kind, payload FROM journal WHERE timestamp_ms <= ?", (until_ms,)
        ).fetchall()


def _readings(house: int, rows: list[tuple[int, int, str, bytes]]) -> Iterator[Reading]:
    for device, timestamp_ms, kind, payload in rows:
        if kind == "data":
            for field in flatten(json.loads(payload)).values:
                yield house, device, field, timestamp_ms


def _events(put: dict[int, list[tuple[int, int, str, bytes]]]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for house, rows in put.items():
        for device, timestamp_ms, kind, payload in rows:
            if kind == "event":
                event = json.loads(payload)
                found[
                    house, device, timestamp_ms, event["type"], json.dumps(event["data"], sort_keys=True)
                ] += 1
    return found


def _stored(demo: RunningDemo, until_ms: int) -> Counter[Reading]:
    return Counter(
        demo.query(
            "SELECT s.house_id, s.device_id, s.field, round(extract(epoch FROM r.ts) * 1000)::bigint"
            " FROM sgmp.reading r JOIN sgmp.series s USING (series_id) WHERE r.ts <= to_timestamp(%s / 1000.0)",
            until_ms,
        )
    )


def _stored_events(demo: RunningDemo, until_ms: int) -> Counter[tuple[Any, ...]]:
    rows = demo.query(
        "SELECT house_id, device_id, round(extract(epoch FROM ts) * 1000)::bigint, type, data FROM sgmp.event"
        " WHERE ts <= to_timestamp(%s / 1000.0)",
        until_ms,
    )
    return Counter(
        (house, device or EDGE_DEVICE_ID, ms, kind, json.dumps(data, sort_keys=True))
        for house, device, ms, kind, data in rows
    )


def _newest_ms(demo: RunningDemo) -> dict[int, int]:
    """Of each house, the newest reading."""
    return dict(
        demo.query(
            "SELECT s.house_id, round(extract(epoch FROM max(r.ts)) * 1000)::bigint"
            " FROM sgmp.reading r JOIN sgmp.series s USING (series_id) GROUP BY 1"
        )
    )


def _all_live(demo: RunningDemo, houses: dict[str, int], since_ms: float) -> Callable[[], bool]:
    def all_live() -> bool:
        try:
            newest = _newest_ms(demo)
        except psycopg2.OperationalError:
            return False
        return all(newest.get(house, 0) >= since_ms for house in houses.values())

    return all_live
