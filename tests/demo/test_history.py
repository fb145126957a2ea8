"""What of the past a demo loads, and that it is what its edges would have recorded."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from sgmp_console.demo.folder import DemoFolder, DemoState
from sgmp_console.demo.history import DAY_MS, MissingHistory, Span, load, newest_readings
from sgmp_console.demo.houses import DEMO_HOUSES
from sgmp_console.fleet import analytics, devices, houses
from sgmp_console.store import Database, events, readings

NOW_MS = 1_795_400_000_000
MAPLE, HARBOR = DEMO_HOUSES


@pytest.fixture
def folder(tmp_path: Path) -> DemoFolder:
    return DemoFolder(tmp_path)


def _total_ms(spans: list[Span]) -> int:
    return sum(span.end_ms - span.start_ms for span in spans)


def test_a_new_demo_misses_all_its_past_newest_first(folder: DemoFolder) -> None:
    missing = MissingHistory(folder)
    missing.find({}, NOW_MS, days=3)
    spans = missing.newest_first()
    assert _total_ms(spans) == len(DEMO_HOUSES) * 3 * DAY_MS
    assert [span.end_ms for span in spans] == sorted((span.end_ms for span in spans), reverse=True)
    assert max(span.end_ms - span.start_ms for span in spans) <= DAY_MS


def test_a_later_start_misses_the_time_it_was_off(folder: DemoFolder) -> None:
    missing = MissingHistory(folder)
    missing.find({}, NOW_MS, days=1)
    for span in missing.newest_first():
        missing.loaded(span)
    assert missing.newest_first() == []
    later = MissingHistory(folder)
    later.find({MAPLE.key: NOW_MS + 100, HARBOR.key: NOW_MS + 200}, NOW_MS + DAY_MS, days=1)
    found = {
        house: sorted(spans, key=lambda span: span.start_ms)
        for house, spans in itertools.groupby(
            sorted(later.newest_first(), key=lambda span: span.house.key), lambda span: span.house.key
        )
    }
    assert (found[MAPLE.key][0].start_ms, found[MAPLE.key][-1].end_ms) == (NOW_MS + 101, NOW_MS + DAY_MS)
    assert found[HARBOR.key][0].start_ms == NOW_MS + 201


def test_a_load_that_was_cut_off_is_gone_on_with(folder: DemoFolder) -> None:
    missing = MissingHistory(folder)
    missing.find({}, NOW_MS, days=2)
    first, *rest = missing.newest_first()
    missing.loaded(first)
    assert MissingHistory(folder).newest_first() == rest


def test_history_is_what_the_items_read_and_loading_it_twice_changes_nothing(database: Database) -> None:
    house = houses.create(database, MAPLE.name, time_zone=MAPLE.zone)
    for kind, config in MAPLE.device_configs(dict.fromkeys(MAPLE.ports, 8080)).items():
        devices.create(database, house.house_id, kind, kind, config)
    assert not analytics.create_required(database, house.house_id).obstacles
    state = DemoState(house_ids={MAPLE.key: house.house_id})
    span = Span(MAPLE, NOW_MS - DAY_MS, NOW_MS)
    for everything in (True, True, False):
        load(database, state, span, everything=everything)
    with database.begin() as connection:
        wanted = [("egauge", "A.GridPower"), ("sonnen", "status.Pac_total_W"), ("egauge", "A.L1_Voltage")]
        found = readings.read(connection, house.house_id, wanted, span.start_ms, span.end_ms)
        charging = events.read(connection, house.house_id, span.start_ms, span.end_ms)
        newest = newest_readings(connection, state.house_ids)
    cut_off_s = NOW_MS % 60_000 // 1000
    assert [len(found[key]) for key in wanted] == [1440 + cut_off_s - 1] * 3
    assert NOW_MS - 1000 <= newest[MAPLE.key] < NOW_MS
    assert len({(event.timestamp_ms, event.type) for event in charging}) == len(charging) > 0
