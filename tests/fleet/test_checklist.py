"""What a house needs, from created to finished."""

from __future__ import annotations

from sgmp_console import store
from sgmp_console.fleet import analytics, devices, houses_overview
from sgmp_console.fleet.checklist import Task
from sgmp_console.store import Batch, Database, EventRow, House, ReadingRow
from sgmp_edge import contract
from tests.fleet.configs import EGAUGE

NOW_MS = 1_790_000_000_000
SONNEN = {"ip": "192.0.2.2", "serial": "1"}


def left(database: Database) -> list[Task]:
    with database.begin() as connection:
        (found,) = houses_overview.overview(connection, NOW_MS)
    assert found.checklist is not None
    return list(found.checklist.open)


def reported(database: Database, house: House, kind: str, data: dict[str, object]) -> None:
    edge = (contract.EDGE_DEVICE_ID, contract.EDGE_DEVICE_NAME)
    row = EventRow(house.house_id, *edge, NOW_MS - 1000, kind, data)
    with database.begin() as connection:
        store.readings.write(connection, Batch(events=[row]))


def test_each_step_of_a_house_is_done_when_it_is(database: Database, house: House) -> None:
    tasks = list(Task)
    assert left(database) == tasks
    with database.begin() as connection:
        store.audit.note(connection, "issue_credentials", "credentials", "x", house_id=house.house_id)
    assert left(database) == tasks[1:]
    reported(database, house, contract.EDGE_STATUS, {"state": "online", "devices": {}})
    assert left(database) == tasks[2:]
    egauge = devices.create(database, house.house_id, "egauge", "egauge", EGAUGE)
    devices.create(database, house.house_id, "sonnen", "sonnen", SONNEN)
    assert left(database) == tasks[3:]
    with database.begin() as connection:
        store.config_versions.add(connection, house.house_id, 1, "a" * 64, [])
    reported(database, house, contract.CONFIG_APPLIED, {"version": 1, "sha256": "a" * 64})
    assert left(database) == tasks[4:]
    reading = ReadingRow(house.house_id, egauge.device_id, "egauge", NOW_MS - 4000, {"A.Load": 1.5})
    with database.begin() as connection:
        store.readings.write(connection, Batch(readings=[reading]))
    assert left(database) == tasks[5:]
    analytics.create_required(database, house.house_id)
    assert left(database) == [Task.WIRING]
    with database.begin() as connection:
        store.standings.note_wiring(connection, house.house_id, wrong=2, unknown=1)
    assert left(database) == [Task.WIRING]
    with database.begin() as connection:
        assert store.standings.note_wiring(connection, house.house_id, wrong=0, unknown=1)
    assert left(database) == []
    with database.begin() as connection:
        found = houses_overview.overview(connection, NOW_MS)[0].checklist
    assert found is not None
    assert found.setup.check is not None
    assert (found.setup.check.wrong, found.setup.check.unknown) == (0, 1)
    assert all(step.at_ms for step in found.steps if step.task not in (Task.DEVICES, Task.ITEMS))


def test_an_edge_that_was_heard_has_credentials_wherever_they_come_from(
    database: Database, house: House
) -> None:
    reported(database, house, contract.EDGE_STATUS, {"state": "online", "devices": {}})
    assert Task.CREDENTIALS not in left(database)
