from __future__ import annotations

from dataclasses import dataclass

import pytest

from sgmp_console import store
from sgmp_console.store import Batch, Database, Device, House, ReadingRow, Written


@dataclass(frozen=True)
class Place:
    """A house with one meter."""

    database: Database
    house: House
    meter: Device

    def write(self, readings: dict[int, dict[str, float]]) -> Written:
        """Store `{timestamp_ms: {field: value}}` of the meter."""
        rows = [
            ReadingRow(self.house.house_id, self.meter.device_id, self.meter.name, at, values)
            for at, values in readings.items()
        ]
        with self.database.begin() as connection:
            return store.readings.write(connection, Batch(readings=rows))

    def read(self, field: str, start_ms: int, end_ms: int) -> dict[int, float]:
        with self.database.begin() as connection:
            found = store.readings.read(
                connection, self.house.house_id, [(self.meter.name, field)], start_ms, end_ms
            )
        series = found[self.meter.name, field]
        return dict(zip(series.timestamps.tolist(), series.values.tolist(), strict=True))


def make_place(database: Database, name: str = "North") -> Place:
    with database.begin() as connection:
        house = store.houses.create(connection, name, time_zone="America/Los_Angeles")
        meter = store.devices.create(
            connection, house.house_id, "meter", "egauge", {"ip": "198.51.100.7", "keys": ["A.Solar"]}
        )
    return Place(database, house, meter)


@pytest.fixture
def place(database: Database) -> Place:
    return make_place(database)
