"""What is stored of one device: its fields now, what its edge reported of it, and its configuration over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sgmp_console import store
from sgmp_console.store import Batch, Database, Device, EventRow, ReadingRow, TextRow
from sgmp_console.store.events import EdgeStatus

T0 = 1_750_000_000_000


@pytest.fixture
def meter(database: Database) -> Device:
    with database.begin() as connection:
        house = store.houses.create(connection, "North")
        return store.devices.create(
            connection, house.house_id, "meter", "sonnen", {"ip": "192.0.2.1", "token": "s3cret"}
        )


def reported(database: Database, meter: Device, at_ms: int, **data: Any) -> None:
    row = EventRow(meter.house_id, 0, "_edge", at_ms, "EDGE_STATUS", data)
    with database.begin() as connection:
        store.readings.write(connection, Batch(events=[row]))


def test_each_field_has_its_newest_reading_and_its_newest_text(database: Database, meter: Device) -> None:
    address = (meter.house_id, meter.device_id, "meter")
    with database.begin() as connection:
        store.readings.write(
            connection,
            Batch(
                readings=[
                    ReadingRow(*address, T0, {"a": 1.0, "b": 2.0}),
                    ReadingRow(*address, T0 + 1, {"a": 3.0}),
                ],
                texts=[
                    TextRow(*address, T0, {"state": "idle"}),
                    TextRow(*address, T0 + 2, {"state": "busy"}),
                ],
            ),
        )
        fields = store.readings.fields_now(connection, meter.device_id)
    assert [(one.field, one.reading, one.text) for one in fields] == [
        ("a", (T0 + 1, 3.0), None),
        ("b", (T0, 2.0), None),
        ("state", None, (T0 + 2, "busy")),
    ]


def test_what_an_edge_reported_of_a_device_comes_in_order_of_time(database: Database, meter: Device) -> None:
    reported(database, meter, T0 + 60_000, state="online", devices={"meter": "ok"}, backlog=7, uptime_s=60)
    reported(database, meter, T0, state="online", devices={"meter": "timed_out"}, disk_free_mb=900)
    reported(database, meter, T0 - 1, state="online", devices={"meter": "ok"})
    with database.begin() as connection:
        found = store.events.edge_statuses(connection, meter.house_id, T0, device="meter")
    assert found == [
        EdgeStatus(T0, "online", "timed_out", disk_free_mb=900),
        EdgeStatus(T0 + 60_000, "online", "ok", backlog=7, uptime_s=60),
    ]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"state": 7, "devices": "all"},
        {"state": "x" * 5000, "devices": {"meter": "y" * 5000}},
        {"state": "online", "devices": {"meter": {"ok": True}}, "backlog": 10**400, "uptime_s": True},
        {"state": None, "devices": [], "backlog": -1, "disk_free_mb": "much"},
    ],
)
def test_whatever_an_edge_reports_can_be_read_and_is_bounded(
    database: Database, meter: Device, odd: dict[str, Any]
) -> None:
    reported(database, meter, T0, **odd)
    with database.begin() as connection:
        (found,) = store.events.edge_statuses(connection, meter.house_id, T0, device="meter")
    assert len(found.state) <= 16
    assert len(found.outcome) <= 64
    assert (found.backlog, found.disk_free_mb, found.uptime_s) == (None, None, None)


def test_the_history_of_a_device_says_what_changed_the_newest_first(
    database: Database, meter: Device
) -> None:
    with database.begin() as connection:
        moved = {"ip": "192.0.2.2", "token": "***"}
        changed = store.devices.update(connection, replace(meter, config=moved))
        store.devices.create(connection, meter.house_id, "other", "sonnen", {})
        store.devices.delete(connection, changed.device_id)
        found = store.audit.of_device(connection, meter.device_id, 10)
    assert [entry.act for entry in found] == ["delete", "change", "create"]
    assert found[1].before == {"config": {"ip": "192.0.2.1"}}
    assert found[1].after == {"config": {"ip": "192.0.2.2"}}


def test_units_that_were_set_are_in_the_history_of_their_device(database: Database, meter: Device) -> None:
    address = (meter.house_id, meter.device_id, "meter", T0)
    with database.begin() as connection:
        store.readings.write(connection, Batch(readings=[ReadingRow(*address, {"a": 1.0})]))
        store.readings.set_unit(connection, meter.house_id, ("meter", "a"), "kW")
        newest = store.audit.of_device(connection, meter.device_id, 1)
    assert [(entry.subject, entry.after) for entry in newest] == [("meter.a", {"unit": "kW"})]


def test_what_has_become_a_secret_since_is_masked_in_the_history_too(
    database: Database, meter: Device
) -> None:
    with database.begin() as connection:
        # What is declared of types is of the installation, and stays from test to test.
        declared = connection.begin_nested()
        connection.exec_driver_sql("UPDATE sgmp.device_setting SET secret = true WHERE setting = 'ip'")
        (created,) = store.audit.of_device(connection, meter.device_id, 10)
        declared.rollback()
    assert created.after is not None
    assert created.after["config"] == {"ip": "***", "token": "***"}
