"""Readings go in once, however often they come, and come out as they went in."""

from __future__ import annotations

import pytest

from sgmp_console import store
from sgmp_console.store import Batch, Database, ReadingRow

T0 = 1_750_000_000_000


@pytest.mark.parametrize("again", [1, 2])
def test_trial(database: Database, again: int) -> None:
    with database.begin() as connection:
        house = store.houses.create(connection, "North")
        assert house.house_id == 1
        device = store.devices.create(connection, 1, "meter", "egauge", {"ip": "10.0.0.1", "keys": ["A"]})
        batch = Batch(
            readings=[ReadingRow(1, device.device_id, "meter", T0 + i, {"A": i}) for i in range(10)]
        )
        assert store.readings.write(connection, batch).readings == 10
        assert len(store.readings.read(connection, 1, [("meter", "A")], T0, T0 + 5)["meter", "A"]) == 5
