"""Values beside the polls that were due."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.polls import polling_intervals, polls
from sgmp_console.store import Database
from sgmp_console.timeseries import HOUR_MS, Series
from tests.reports.stored import StoredHouse

START_MS = (int(time.time()) // 86_400 - 2) * 24 * HOUR_MS


@pytest.fixture
def house(database: Database) -> StoredHouse:
    return StoredHouse.make(database, "Maple House")


def each_minute(hours: int) -> Series:
    ticks = START_MS + np.arange(0, hours * HOUR_MS, 60_000, dtype=np.int64)
    return Series(ticks, np.arange(len(ticks), dtype=np.float64))


@pytest.mark.parametrize("aggregated", [True, False])
def test_polls_that_are_missing_within_covered_slots_are_counted(
    house: StoredHouse, aggregated: bool
) -> None:
    every = each_minute(2)
    keep = np.ones(len(every), bool)
    keep[10:14] = keep[20] = False  # four of a slot's five, and one of another's
    house.store({("a", "x"): Series(every.timestamps[keep], every.values[keep])})
    house.item("power", "a.x", aggregated=aggregated)
    house.populate()
    with house.database.begin() as connection:
        reader = ItemReader(connection, house.house_id)
        counted = polls(reader, "power", START_MS, START_MS + 2 * HOUR_MS, {})
        slots = reader.slots(["power"], START_MS, START_MS + 2 * HOUR_MS)["power"].slots

    assert slots.coverage == 1
    assert counted is not None
    assert (counted.values, counted.expected) == (115, 120)


def test_a_polling_interval_is_that_of_the_devices_config(house: StoredHouse) -> None:
    house.store({("a", "x"): each_minute(1)})
    house.item("power", "a.x", aggregated=False)
    with house.database.begin() as connection:
        device = next(one for one in store.devices.list_all(connection, house.house_id) if one.name == "a")
        store.devices.update(connection, replace(device, config={**device.config, "interval": 30}))
        intervals_s = polling_intervals(connection, house.house_id)
        reader = ItemReader(connection, house.house_id)
        counted = polls(reader, "power", START_MS, START_MS + HOUR_MS, intervals_s)

    assert counted is not None
    assert (counted.values, counted.expected, counted.share) == (60, 120, 0.5)
