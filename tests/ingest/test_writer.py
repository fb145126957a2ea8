"""What becomes of messages in the database: stored, set aside, or kept waiting, and never lost."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest

from sgmp_console import store
from sgmp_console.ingest.inbox import Message
from sgmp_console.ingest.writer import Writer
from sgmp_console.store import Database, OtherSchema, StatementFailed
from sgmp_console.store.readings import MAX_SERIES
from sgmp_edge.contract import ReadTopic, read_topic

NOW = int(time.time() * 1000)


@dataclass
class Stored:
    """A house with a device, and a writer."""

    database: Database
    deployment: str
    house_id: int
    device_id: int
    writer: Writer

    def message(self, at: int, payload: bytes) -> Message:
        where = ReadTopic(self.house_id, self.device_id, "meter", at, "data")
        return Message(read_topic(self.deployment, where), payload, NOW)

    def values(self, field: str = "x") -> dict[int, float]:
        with self.database.begin() as connection:
            series = store.readings.read(connection, self.house_id, [("meter", field)], 0, NOW + 10**9)
        found = series["meter", field]
        return dict(zip(found.timestamps.tolist(), found.values.tolist(), strict=True))

    def reasons(self) -> list[str]:
        with self.database.begin() as connection:
            return [one.reason for one in store.quarantine.read(connection)]


@pytest.fixture
def stored(database: Database, deployment: str) -> Stored:
    with database.begin() as connection:
        house = store.houses.create(connection, "North")
        device = store.devices.create(connection, house.house_id, "meter", "egauge", {})
    return Stored(database, deployment, house.house_id, device.device_id, Writer(deployment, database))


def test_an_odd_field_is_set_aside_once_and_costs_nothing_else(stored: Stored) -> None:
    for number in range(3):
        stored.writer.write([stored.message(NOW - number, b'{"x": 1, "y\\u0000": 2, "z": 1e101}')])
    assert len(stored.values()) == 3
    (reason,) = stored.reasons()
    assert "Only part of it was stored" in reason
    assert "beyond 1e+100" in reason


def test_what_two_ingests_report_is_reported_once(stored: Stored) -> None:
    for _ in range(2):
        Writer(stored.deployment, stored.database).write([stored.message(NOW, b'{"x": 1, "y\\u0000": 2}')])
    assert len(stored.reasons()) == 1


def test_readings_at_the_bound_are_stored_though_their_sum_is_not_finite_to_everybody(
    stored: Stored,
) -> None:
    stored.writer.write([stored.message(NOW - n, b'{"x": 1e100}') for n in range(3)])
    assert set(stored.values().values()) == {1e100}
    assert stored.reasons() == []


@pytest.mark.parametrize("sqlstate", ["54000", "P0001", "42883", "XX000", "0A000"])
def test_only_data_can_bring_a_message_into_quarantine(stored: Stored, sqlstate: str) -> None:
    message = stored.message(NOW, b'{"x": 1}')
    with stored.database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END$$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER fail BEFORE INSERT ON sgmp.series EXECUTE FUNCTION public.fail()"
        )
    try:
        with pytest.raises((OtherSchema, StatementFailed)):
            stored.writer.write([message])
        assert stored.reasons() == []
    finally:
        with stored.database.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION public.fail() CASCADE")
    stored.writer.write([message])
    assert stored.values() == {NOW: 1.0}


@pytest.mark.expected_warnings("can't be stored whole", "refuses the data")
def test_data_that_the_database_refuses_cost_only_their_message(stored: Stored) -> None:
    with stored.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE sgmp.series ADD CONSTRAINT odd CHECK (field <> 'odd')")
    try:
        stored.writer.write(
            [stored.message(NOW - n, b'{"odd": 1}' if n == 3 else b'{"x": 1}') for n in range(8)]
        )
    finally:
        with stored.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE sgmp.series DROP CONSTRAINT odd")
    assert len(stored.values()) == 7
    (reason,) = stored.reasons()
    assert "23514" in reason


def test_a_device_has_some_thousand_fields_and_no_more(stored: Stored) -> None:
    for start in range(0, MAX_SERIES + 1500, 1500):
        fields = {f"invented{n}": n for n in range(start, start + 1500)}
        stored.writer.write([stored.message(NOW + start, json.dumps(fields).encode())])
    with stored.database.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sgmp.series").scalar_one() == MAX_SERIES
    stored.writer.write([stored.message(NOW + 9000, b'{"invented0": 5, "another": 6}')])
    assert stored.values("invented0")[NOW + 9000] == 5.0
    (reason,) = stored.reasons()
    assert "more fields than can be stored" in reason


def test_what_was_set_aside_is_read_again_when_it_can_be(stored: Stored) -> None:
    topic = stored.message(NOW, b"").topic.replace("/meter/", "/boiler/")
    stored.writer.write(
        [Message(topic, b'{"x": 7}', NOW), stored.message(NOW, b"[1]"), stored.message(NOW, b'{"y": 1}')]
    )
    assert len(stored.reasons()) == 2
    with stored.database.begin() as connection:
        connection.exec_driver_sql("UPDATE sgmp.device SET name = 'boiler'")
        numbers = [one.quarantine_id for one in store.quarantine.list_all(connection)]
        assert store.quarantine.request_replay(connection, numbers) == 2
    assert stored.writer.replay()
    assert stored.writer.replay()
    assert not stored.writer.replay()
    with stored.database.begin() as connection:
        assert store.readings.latest(connection, stored.house_id)["boiler", "x"] == (NOW, 7.0)
        (left,) = store.quarantine.list_all(connection)
        assert (left.replay, left.beginning) == (False, b"[1]")
        assert store.quarantine.request_replay(connection, numbers) == 1
    assert stored.writer.replay()


def test_messages_for_which_quarantine_has_no_room_are_counted_by_house(stored: Stored) -> None:
    stored.writer.write([stored.message(NOW - n, b"?" + bytes([n % 256])) for n in range(10_003)])
    assert stored.writer.without_room() == {str(stored.house_id): 3}


def test_a_reading_ahead_of_now_is_not_the_newest(stored: Stored) -> None:
    stored.writer.write([stored.message(NOW - 60_000, b'{"x": 1}')])
    with stored.database.begin() as connection:
        store.readings.write(
            connection,
            store.Batch(
                readings=[
                    store.ReadingRow(stored.house_id, stored.device_id, "meter", NOW + 82_800_000, {"x": 2})
                ]
            ),
        )
        assert store.readings.latest(connection, stored.house_id)["meter", "x"] == (NOW - 60_000, 1.0)
    ahead = stored.message(NOW + 400_000, b'{"x": 3}')
    stored.writer.write([ahead])
    assert "5 minutes ahead" in stored.reasons()[0]
    assert stored.writer.statistics.newest_ms == NOW - 60_000
