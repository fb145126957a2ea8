"""What many houses did lately, read for all at once: the numbers of Home and of the reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmp_console import store
from sgmp_console.fleet import analytics, houses
from sgmp_console.reports.fleet import FRESH_MS, SPARE_MS, next_houses, read_pulses
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.live import HomeLoader
from sgmp_console.store import Database, House
from sgmp_console.store.quality import DayToStore, HouseQuality
from sgmp_console.timeseries import SLOT_MS, Series, calendar
from tests.database import TestServer
from tests.reports.houses import LOAD, at, balanced, without
from tests.statements import counting
from tests.ui.houses import measured

NOW = at("2026-05-14 13:02")
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def kept(database_server: TestServer) -> Iterator[Database]:
    """For tests that only read."""
    with database_server.database() as where:
        yield where.owner


@pytest.fixture(scope="module")
def filled(kept: Database) -> list[House]:
    """Three houses of different zones, one of them without a car."""
    made = []
    for number, zone in enumerate(("America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata")):
        house = houses.create(kept, f"House {number}", time_zone=zone)
        measured(kept, house, balanced(NOW - 16 * DAY_MS, NOW, SLOT_MS // 2, seed=number))
        made.append(house)
    return made


def test_the_numbers_of_a_house_are_those_of_home(kept: Database, filled: list[House]) -> None:
    with kept.begin() as connection:
        pulses = read_pulses(connection, filled, NOW)
    for house in filled:
        today = HomeLoader(kept, house.house_id).load(NOW).energy_today
        pulse = pulses[house.house_id]
        assert pulse.used_kwh == pytest.approx(today.totals.consumption, rel=1e-9)
        assert pulse.autarky == pytest.approx(today.totals.autarky, rel=1e-9)
        assert (pulse.incomplete, pulse.absent) == ((), ())


def test_what_a_battery_held_at_midnight_is_followed_once_a_day(kept: Database, filled: list[House]) -> None:
    with kept.begin() as connection:
        first = read_pulses(connection, filled, NOW)
        openings = {house_id: pulse.opening for house_id, pulse in first.items() if pulse.opening}
        second = read_pulses(connection, filled, NOW, openings)
    for house_id, pulse in first.items():
        assert second[house_id].autarky == pytest.approx(pulse.autarky, rel=1e-12)
        assert second[house_id].opening == pulse.opening


def test_the_curve_is_the_load_of_the_last_24_hours(kept: Database, filled: list[House]) -> None:
    house = filled[1]
    end_ms = NOW // SLOT_MS * SLOT_MS
    with kept.begin() as connection:
        pulse = read_pulses(connection, filled, NOW)[house.house_id]
        expected = ItemReader(connection, house.house_id).slots(["load"], end_ms - DAY_MS, end_ms)["load"]
    np.testing.assert_array_equal(pulse.load.timestamps, expected.slots.starts)
    np.testing.assert_allclose(pulse.load.values, expected.slots.means, rtol=1e-12)


def test_three_houses_cost_as_many_statements_as_one(kept: Database, filled: list[House]) -> None:
    def cost(asked: list[House]) -> int:
        with kept.begin() as connection, counting() as sent:
            read_pulses(connection, asked, NOW)
        return len(sent)

    assert cost(filled) == cost(filled[:1]) == 6


def test_coverage_is_the_share_of_slots_that_the_fields_covered(database: Database) -> None:
    house = houses.create(database, "Maple House", time_zone="UTC")
    end_ms = NOW // HOUR_MS * HOUR_MS
    readings = balanced(end_ms - 10 * DAY_MS, end_ms, SLOT_MS)
    half_a_day = without(readings, end_ms - DAY_MS, end_ms - DAY_MS // 2)
    measured(database, house, half_a_day)
    with database.begin() as connection:
        pulse = read_pulses(connection, [house], end_ms)[house.house_id]
    assert pulse.coverage == pytest.approx(1 - 0.5 / 7)
    assert len(pulse.days) == 30
    assert pulse.days[:19] == (None,) * 19
    assert [share for share in pulse.days if share is not None][:8] == [1.0] * 8


def test_a_field_of_which_nothing_came_lowers_the_coverage(database: Database) -> None:
    house = houses.create(database, "Maple House", time_zone="UTC")
    readings = balanced(NOW - 40 * DAY_MS, NOW, SLOT_MS)
    readings[LOAD] = Series(*(part[:500] for part in (readings[LOAD].timestamps, readings[LOAD].values)))
    measured(database, house, readings)
    with database.begin() as connection:
        pulse = read_pulses(connection, [house], NOW)[house.house_id]
    assert pulse.coverage == pytest.approx(4 / 5)
    assert pulse.used_kwh is None


def test_quality_is_what_the_checks_of_the_last_week_found(database: Database) -> None:
    house = houses.create(database, "Maple House", time_zone="UTC")
    midnight_ms = NOW // DAY_MS * DAY_MS
    with database.begin() as connection:
        for back, flagged in ((1, 36), (2, 0), (9, 288)):
            start_ms = midnight_ms - back * DAY_MS
            day = calendar.date_of(start_ms, "UTC")
            counts = {"MISSING": flagged} if flagged else {}
            checked = DayToStore(
                house.house_id, day, start_ms, start_ms + DAY_MS, 1, NOW, 288, flagged, counts, [], [], []
            )
            store.quality.store_day(connection, checked)
        quality = read_pulses(connection, [house], NOW)[house.house_id].quality
    assert quality == HouseQuality(2, 576, 36, {"MISSING": 36})
    assert quality.good == 1 - 36 / 576


def test_a_house_without_items_has_no_numbers(database: Database) -> None:
    house = houses.create(database, "Maple House", time_zone="UTC")
    with database.begin() as connection:
        pulse = read_pulses(connection, [house], NOW)[house.house_id]
    assert (pulse.used_kwh, pulse.autarky, pulse.coverage, pulse.quality) == (None, None, None, None)
    assert set(pulse.days) == {None}


def test_items_that_no_aggregate_knows_are_read_all_the_same(database: Database) -> None:
    house = houses.create(database, "Maple House", time_zone="UTC")
    measured(database, house, balanced(NOW - DAY_MS, NOW, SLOT_MS // 2))
    with database.begin() as connection:
        for item in ItemReader(connection, house.house_id).items.values():
            if item.name == "load":
                stored = item
    analytics.update(database, replace(stored, formula="sin(egauge.A.Load)+2", aggregated=False))
    with database.begin() as connection:
        pulse = read_pulses(connection, [house], NOW)[house.house_id]
    today = HomeLoader(database, house.house_id).load(NOW).energy_today
    assert pulse.used_kwh == pytest.approx(today.totals.consumption, rel=1e-9)


@given(
    st.sets(st.integers(1, 60)),
    st.sets(st.integers(1, 60), max_size=10),
    st.dictionaries(st.integers(1, 60), st.integers(0, 10 * SPARE_MS)),
    st.integers(1, 25),
)
def test_of_the_houses_whose_pulse_is_due_those_on_screen_are_read_first(
    wanted: set[int], on_screen: set[int], read_ms: dict[int, int], most: int
) -> None:
    now_ms = 10 * SPARE_MS
    block = next_houses(wanted, on_screen, read_ms, now_ms, most)
    assert len(block) == len(set(block)) <= most
    assert set(block) <= wanted
    due = {one for one in wanted & on_screen if one not in read_ms or now_ms - read_ms[one] >= FRESH_MS}
    assert due <= set(block) or set(block) <= due
    assert len(block) == most or due <= set(block)
