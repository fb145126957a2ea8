"""Whatever comes from the broker is stored, set aside with a sentence, or counted: mutations of real messages, and noise.

`SGMP_TEST_FUZZED=100000 python -m pytest tests/ingest/test_fuzz.py --timeout 0 -s` tries more than the suite does.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator

from sgmp_console import store
from sgmp_console.ingest.decode import decode
from sgmp_console.ingest.inbox import Inbox, Message
from sgmp_console.ingest.writer import Writer
from sgmp_console.measurements import Unreadable
from sgmp_console.store import Database
from tests.edge.drivers_sonnen import CELLS, STATUS

MESSAGES = int(os.environ.get("SGMP_TEST_FUZZED", "2000"))
BATCH = 250
NOW = int(time.time() * 1000)
SEED = 10

METER: dict[str, object] = {
    "A.GridPower": -0.25,
    "A.Solar": 3.2,
    "A.L1_Voltage": 120.5,
    "Pool Pump": 1.0,
    "ts": 1_700_000_000,
}
STATION: dict[str, object] = {"charging_state": "ADAPTIVE", "energy_delivered": 3720, "power": 1.664}
READINGS: list[dict[str, object]] = [{"status": STATUS, "battery": {"battery_status": CELLS}}, METER, STATION]
EVENTS: list[dict[str, object]] = [
    {"type": "EV_START_CHARGING", "data": {}},
    {"type": "EV_END_CHARGING", "data": {"duration": 300_000, "energy": 2_500_000.5}},
    {"type": "WARNING", "data": {"data": "Device is down: no answer", "kind": "device", "since_ms": NOW}},
    {"type": "EDGE_STATUS", "data": {"backlog": 3, "dropped": 0, "devices": {"meter": "ok"}}},
]
ODD_VALUES = [
    "NaN", "-Infinity", "1e400", "9" * 500, "1e100", "1.1e100", "null", "true", '"1_0"', '"１２"', '" 12 "', '"\\ud800"',
    '"\\u0000"', '"' + "x" * 10_001 + '"', "[" * 40 + "]" * 40, "[" * 2000 + "]" * 2000, '{"a":{"b":[1,{"c":null}]}}', "{}",
    '""', "-0", "01", "1,5", "+5", "undefined", '"\\x"', "'a'", '{"x":1,"x":2}', '{"":1}', '"NaN"', "0.1e-400",
]  # fmt: skip
ODD_PARTS = [
    "", " ", "0", "-1", "007", "9" * 18, "9" * 30, "_edge", "Meter", "me/ter", "ü", "\u202e", "+", "#", "$SYS", "x" * 300,
    "1750000000000.0", "1e12", str(NOW + 10**9), "1000", "data", "event", "Data", "sgmp_house_1", "sgmp_read", "\0", "%s", "'",
]  # fmt: skip


class Fuzz:
    def __init__(self, deployment: str, house_id: int, devices: list[tuple[int, str]]) -> None:
        self._chance = random.Random(SEED)
        self._deployment = deployment
        self._house = f"{deployment}_house_{house_id}"
        self._devices = devices
        self._number = 0

    def message(self) -> tuple[str, bytes]:
        chance = self._chance
        self._number += 1
        at = NOW - 1000 * self._number
        content: dict[str, object]
        if chance.random() < 0.3:
            device, content, kind = (0, "_edge"), chance.choice(EVENTS), "event"
        elif chance.random() < 0.2:
            device, content, kind = chance.choice(self._devices), chance.choice(EVENTS[:3]), "event"
        else:
            device, content, kind = chance.choice(self._devices), chance.choice(READINGS), "data"
        parts = [f"{self._deployment}_read", self._house, str(device[0]), device[1], str(at), kind]
        payload = json.dumps(content).encode()
        for _ in range(chance.choice([0, 1, 1, 1, 2])):
            if chance.random() < 0.2:
                chance.choice([self._odd_part, self._moved_part, self._odd_characters])(parts)
            else:
                payload = chance.choice(
                    [self._odd_value, self._odd_value, self._odd_value, self._odd_bytes, self._noise]
                )(payload)
        return "/".join(parts), payload

    def _odd_part(self, parts: list[str]) -> None:
        parts[self._chance.randrange(len(parts))] = self._chance.choice(ODD_PARTS)

    def _moved_part(self, parts: list[str]) -> None:
        part = parts.pop(self._chance.randrange(len(parts)))
        for _ in range(self._chance.randrange(3)):
            parts.insert(self._chance.randrange(len(parts) + 1), part)
        parts += [] if parts else [""]

    def _odd_characters(self, parts: list[str]) -> None:
        place = self._chance.randrange(len(parts))
        at = self._chance.randrange(len(parts[place]) + 1)
        parts[place] = (
            parts[place][:at] + self._chance.choice(["x", "0", " ", "é", "\n", "."]) + parts[place][at + 1 :]
        )

    def _odd_value(self, payload: bytes) -> bytes:
        """Something else in place of a value or name."""
        pieces = payload.split(b", ")
        place = self._chance.randrange(len(pieces))
        name, colon, _ = pieces[place].rpartition(b": ")
        odd = self._chance.choice(ODD_VALUES).encode("utf-8", "surrogatepass")
        pieces[place] = name + colon + odd
        return b", ".join(pieces)

    def _odd_bytes(self, payload: bytes) -> bytes:
        """A part that is missing, twice, or other bytes."""
        at, size = self._chance.randrange(len(payload) + 1), self._chance.choice([1, 1, 2, 5, 40])
        part = payload[at : at + size]
        other = [b"", part * 2, part[::-1], self._chance.randbytes(size), b'"', b"}", b"\xff", b"\\", b","]
        return payload[:at] + self._chance.choice(other) + payload[at + size :]

    def _noise(self, payload: bytes) -> bytes:
        return self._chance.choice(
            [b"", payload[:1], b"[]", b"null", self._chance.randbytes(30), payload * 3]
        )


def batches(make: Callable[[], tuple[str, bytes]]) -> Iterator[list[Message]]:
    """As ingest takes them out of its inbox; one that comes twice is one."""
    inbox = Inbox()
    for start in range(0, MESSAGES, BATCH):
        inbox.put(Message(*make(), NOW) for _ in range(min(BATCH, MESSAGES - start)))
        while messages := inbox.take(1, BATCH, 10**9, wait_s=0, fill_s=0):
            yield messages


def test_nothing_that_comes_from_the_broker_is_lost_and_what_is_set_aside_has_a_sentence(
    database: Database, deployment: str
) -> None:
    with database.begin() as connection:
        house_id = store.houses.create(connection, "North").house_id
        devices = [
            (store.devices.create(connection, house_id, name, "egauge", {}).device_id, name)
            for name in ("meter", "sonnen", "station")
        ]
    known = {(house_id, 0): "_edge", **{(house_id, number): name for number, name in devices}}
    writer = Writer(deployment, database)
    outcomes: Counter[str] = Counter()
    readings: set[tuple[int, str, int]] = set()
    events: set[tuple[int, int, str, str]] = set()
    refused: set[tuple[str, bytes]] = set()
    total = 0
    for batch in batches(Fuzz(deployment, house_id, devices).message):
        writer.write(batch)
        total += len(batch)
        for message in batch:
            try:
                content = decode(deployment, known, message.topic, message.payload, NOW)
            except Unreadable as error:
                outcomes["set aside whole"] += 1
                refused.add((message.topic, message.payload))
                assert_sentence(str(error))
                continue
            outcomes["stored, with fields set aside" if content.odd else "stored"] += 1
            for odd in content.odd:
                assert_sentence(str(odd))
            if content.reading is not None:
                readings |= {
                    (content.reading.device_id, field, content.reading.timestamp_ms)
                    for field in content.reading.values
                }
            if (event := content.event) is not None:
                events.add(
                    (event.device_id, event.timestamp_ms, event.type, json.dumps(event.data, sort_keys=True))
                )
    figures = writer.statistics
    assert (figures.messages, sum(outcomes.values())) == (total, total)
    assert figures.readings == len(readings)
    with database.begin() as connection:
        count = connection.exec_driver_sql
        assert count("SELECT count(*) FROM sgmp.reading WHERE series_id <> 0").scalar_one() == len(readings)
        assert count("SELECT count(*) FROM sgmp.event").scalar_one() == len(events)
        set_aside = {
            (topic, bytes(payload))
            for topic, payload in count("SELECT topic, payload FROM sgmp.quarantine").all()
        }
        reasons = [reason for (reason,) in count("SELECT reason FROM sgmp.quarantine").all()]
    for reason in reasons:
        assert_sentence(reason)
    missing = {(topic.replace("\0", "\ufffd"), payload) for topic, payload in refused} - set_aside
    without_room = sum(writer.without_room().values())
    assert len(missing) <= without_room
    assert outcomes["stored"] > total / 10
    assert outcomes["set aside whole"] > total / 10
    print(
        f"\n{total} messages: {dict(outcomes)}; {len(set_aside)} in quarantine, {without_room} without room, {len(events)} events"
    )


def assert_sentence(reason: str) -> None:
    """Of a refusal that was foreseen: not that of an exception, or of the database."""
    assert reason.endswith(".")
    assert reason.isprintable()
    assert len(reason) < 1000
    assert "can't be decoded" not in reason
    assert "SQLSTATE" not in reason
