"""The nightly checks: what is wrong with a house's day is stored and opens a finding; what comes late is checked again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.fleet.required import required_items
from sgmp_console.quality import VERSION, Quality
from sgmp_console.store import Database, House, quality, watching
from sgmp_console.store.findings import Finding
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series
from sgmp_console.watch import nightly
from sgmp_console.watch.nightly import Nightly
from sgmp_console.watch.sentences import sentence
from tests.reports.houses import GRID, LOAD, Field
from tests.series import write_series
from tests.statements import counting
from tests.watch.conftest import MINUTE, Fleet
from tests.watch.demo_day import DAY_MS, ZONE, demo_day

START_MS, PLACE, CLEAN = demo_day(int(time.time() * 1000) - 3 * DAY_MS)
"""Of these days, so that raw readings are kept on every server."""
DAY_END_MS = START_MS + DAY_MS
NIGHT_MS = DAY_END_MS + 2 * HOUR_MS


@dataclass
class MeasuredHouse:
    """A house with the required items, whose night the test has."""

    fleet: Fleet
    house: House
    device_ids: Mapping[str, int]

    def store(self, readings: Mapping[Field, Series]) -> None:
        with self.fleet.database.begin() as connection:
            for name, device_id in self.device_ids.items():
                mine = {key[1]: series for key, series in readings.items() if key[0] == name}
                write_series(connection, self.house.house_id, device_id, mine)

    def night(self, now_ms: int = NIGHT_MS) -> list[nightly.Due]:
        """What the watch checks at a time."""
        with self.fleet.database.begin() as connection:
            waiting = nightly.due(connection, now_ms)
        for one in waiting:
            with self.fleet.database.begin() as connection:
                nightly.check(connection, one, now_ms)
        return waiting

    def bits(self, key: Field) -> np.ndarray:
        """The stored bits of a field, of each slot of the day."""
        with self.fleet.database.begin() as connection:
            series_id = store.series_of(connection, self.house.house_id)[key]
            runs = quality.runs(connection, self.house.house_id, START_MS, DAY_END_MS)
        found = np.zeros(DAY_MS // SLOT_MS, np.int64)
        for run in runs:
            if run.series_id == series_id:
                found[(run.start_ms - START_MS) // SLOT_MS : (run.end_ms - START_MS) // SLOT_MS] |= run.bits
        return found

    def version(self) -> int | None:
        """By which version the day was checked."""
        with self.fleet.database.begin() as connection:
            days = quality.checked_days(connection, self.house.house_id, START_MS, DAY_END_MS)
        return days[0].version if days else None

    def findings(self) -> list[Finding]:
        """Open ones of quality, after a look of the watch."""
        return [one for one in self.fleet.turn() if one.rule == "data_quality"]


@pytest.fixture
def measured(fleet: Fleet) -> MeasuredHouse:
    with fleet.database.begin() as connection:
        house = store.houses.create(connection, "Maple House", time_zone=ZONE, place=PLACE)
        device_ids = {
            name: store.devices.create(connection, house.house_id, name, name, {}).device_id
            for name in ("egauge", "sonnen")
        }
        for item in required_items().values():
            store.analytics.create(connection, house.house_id, item.name, item.formula, unit=item.unit)
    fleet.ingest()
    return MeasuredHouse(fleet, house, device_ids)


def turned_round(series: Series, first_hour: float) -> Series:
    late = series.timestamps >= START_MS + first_hour * HOUR_MS
    return Series(series.timestamps, np.where(late, -series.values, series.values))


def before(readings: Mapping[Field, Series], hour: float) -> dict[Field, Series]:
    return {key: series.between(START_MS, START_MS + int(hour * HOUR_MS)) for key, series in readings.items()}


def after(readings: Mapping[Field, Series], hour: float) -> dict[Field, Series]:
    return {
        key: series.between(START_MS + int(hour * HOUR_MS), DAY_END_MS) for key, series in readings.items()
    }


def test_a_clean_day_opens_nothing(measured: MeasuredHouse) -> None:
    measured.store(CLEAN)

    checked = measured.night()

    assert (START_MS, DAY_END_MS) in [(one.start_ms, one.end_ms) for one in checked]
    assert measured.version() == VERSION
    assert not any(measured.bits(key).any() for key in CLEAN)
    assert measured.findings() == []


def test_a_fault_is_in_the_store_and_opens_one_finding_that_says_what_to_do(measured: MeasuredHouse) -> None:
    measured.store({**CLEAN, LOAD: turned_round(CLEAN[LOAD], 6)})

    measured.night()

    found = measured.bits(LOAD)
    assert not found[: 6 * 12].any()
    assert (found[6 * 12 :] & Quality.WRONG_SIGN).all()
    about = {(one.device, one.subject): one for one in measured.findings()}
    assert set(about) == {("egauge", "wrong_sign"), ("", "unbalanced")}
    finding = about["egauge", "wrong_sign"]
    assert finding.from_ms == START_MS + 6 * HOUR_MS
    said = sentence(finding.rule, finding.device, finding.subject, finding.details, ZONE)
    assert said.text.startswith("egauge: values below zero where there can be none (A.Load), 18.0 h of ")
    assert "Turn the current transformer round" in said.to_do


def test_a_finding_ends_with_a_day_on_which_nothing_is_wrong(measured: MeasuredHouse) -> None:
    measured.store({**CLEAN, LOAD: turned_round(CLEAN[LOAD], 6)})
    measured.night()
    assert measured.findings()
    following = {key: Series(series.timestamps + DAY_MS, series.values) for key, series in CLEAN.items()}
    measured.store(following)

    measured.night(NIGHT_MS + DAY_MS)

    assert measured.findings() == []


def test_what_is_wrong_of_a_device_does_not_end_while_nothing_comes_of_it(measured: MeasuredHouse) -> None:
    measured.store({**CLEAN, LOAD: turned_round(CLEAN[LOAD], 6)})
    measured.night()
    measured.findings()

    measured.night(NIGHT_MS + DAY_MS)

    open_now = {(one.device, one.subject): one.suspended for one in measured.findings()}
    assert open_now["egauge", "wrong_sign"]
    assert open_now["", "unbalanced"]
    assert not open_now["egauge", "missing"]


def test_a_late_reading_makes_its_day_be_checked_again(measured: MeasuredHouse) -> None:
    measured.store(before(CLEAN, 20))
    measured.night()
    assert (measured.bits(GRID)[20 * 12 :] == Quality.MISSING).all()
    assert measured.night(NIGHT_MS + HOUR_MS) == []

    measured.store(after(CLEAN, 20))
    checked = measured.night(NIGHT_MS + HOUR_MS)

    assert [(one.start_ms, one.end_ms) for one in checked] == [(START_MS, DAY_END_MS)]
    assert not measured.bits(GRID).any()
    assert measured.night(NIGHT_MS + 2 * HOUR_MS) == []


def test_a_day_is_checked_again_at_the_earliest_after_ten_minutes(measured: MeasuredHouse) -> None:
    measured.store(before(CLEAN, 20))
    measured.night()
    measured.store(after(CLEAN, 20))

    assert measured.night(NIGHT_MS + 5 * MINUTE) == []
    assert measured.version() == 0
    assert len(measured.night(NIGHT_MS + 10 * MINUTE)) == 1


def test_what_comes_late_for_a_day_that_is_not_over_is_no_reason_to_check_one(
    measured: MeasuredHouse,
) -> None:
    measured.night(START_MS + 2 * HOUR_MS)
    measured.store(before(CLEAN, 3))

    assert measured.night(START_MS + 4 * HOUR_MS) == []


def test_a_day_is_checked_when_it_has_been_over_for_an_hour(measured: MeasuredHouse) -> None:
    measured.night(DAY_END_MS - 1)
    measured.store(CLEAN)

    assert measured.night(DAY_END_MS + HOUR_MS - 1) == []
    assert [one.start_ms for one in measured.night(DAY_END_MS + HOUR_MS)] == [START_MS]


def test_days_before_raw_readings_were_dropped_are_left_alone(measured: MeasuredHouse) -> None:
    with measured.fleet.database.begin() as connection:
        kept_ms = connection.exec_driver_sql(
            "SELECT (extract(epoch FROM nullif(sgmp.raw_kept_from(), '-infinity')) * 1000)::bigint"
        ).scalar_one()
        if kept_ms is None:
            kept_ms = START_MS - 2 * DAY_MS
            connection.exec_driver_sql(
                "INSERT INTO sgmp.installation VALUES ('raw_kept_from', to_timestamp(%s / 1000.0)::text)",
                (kept_ms,),
            )

    checked = measured.night(kept_ms + 3 * DAY_MS)

    assert checked
    assert all(one.start_ms >= kept_ms for one in checked)


def test_a_house_that_can_not_be_checked_costs_no_other(measured: MeasuredHouse, database: Database) -> None:
    with database.begin() as connection:
        store.houses.create(connection, "Odd", time_zone="Mars/Olympus")
    measured.store(CLEAN)

    measured.night()

    assert measured.version() == VERSION


@pytest.fixture
def watcher(measured: MeasuredHouse) -> Nightly:
    """By the database's clock."""
    measured.store(CLEAN)
    measured.fleet.turn()
    return Nightly(measured.fleet.database)


def test_a_turn_checks_what_fits_into_it_and_the_next_goes_on(watcher: Nightly) -> None:
    assert watcher.turn(0.0) == 1
    assert watcher.turn(0.0) == 1
    assert watcher.turn(60.0) >= nightly.DAYS_BACK - 2
    assert watcher.turn(60.0) == 0


def test_two_watchers_do_not_check_at_the_same_time(measured: MeasuredHouse, watcher: Nightly) -> None:
    with measured.fleet.database.begin() as connection:
        assert watching.take_turn(connection, "another", 0) is not None
        assert watcher.turn(60.0) == 0
    assert watcher.turn(60.0) >= nightly.DAYS_BACK


def test_of_more_days_than_a_turn_looks_for_the_newest_of_all_houses_come_first(
    measured: MeasuredHouse,
) -> None:
    with measured.fleet.database.begin() as connection:
        store.houses.create(connection, "South", time_zone=ZONE)
        store.houses.create(connection, "Nowhere", time_zone="Europe/Atlantis")
        every = nightly.due(connection, NIGHT_MS)
        newest = nightly.due(connection, NIGHT_MS, 3)
    assert len(every) == 2 * nightly.DAYS_BACK
    assert newest == every[:3]
    assert [one.end_ms for one in newest[:2]] == [DAY_END_MS, DAY_END_MS]
    assert newest[2].end_ms < DAY_END_MS


def test_a_day_takes_a_fixed_number_of_statements(measured: MeasuredHouse) -> None:
    measured.store(CLEAN)
    with measured.fleet.database.begin() as connection:
        with counting() as statements:
            waiting = nightly.due(connection, NIGHT_MS)
        assert len(statements) == 3
        day = next(one for one in waiting if one.start_ms == START_MS)
        with counting() as statements:
            nightly.check(connection, day, NIGHT_MS)
    assert len(statements) <= 4


def test_the_watch_may_do_all_of_it_by_its_own_rights(measured: MeasuredHouse, watch: Database) -> None:
    measured.store({**CLEAN, LOAD: turned_round(CLEAN[LOAD], 6)})
    measured.fleet.turn()

    assert Nightly(watch).turn(60.0) >= nightly.DAYS_BACK

    assert measured.version() == VERSION
    with watch.begin() as connection:
        assert [one.house_id for one in quality.faults(connection)] == [measured.house.house_id]
