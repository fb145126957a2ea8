"""Times that a note excludes: every number is that of a house in which nothing was measured then, and comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from sgmp_console.reports import export, periods
from sgmp_console.reports.fleet import read_pulses
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.live import HomeLoader
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import Kind, Report
from sgmp_console.reports.time_marks import MarkKind
from sgmp_console.store import Database, notes
from sgmp_console.store.notes import NoteKind
from sgmp_console.timeseries import HOUR_MS, SLOT_MS
from sgmp_console.ui.pages.reports.figures import why_text
from tests.database import TestServer
from tests.reports.houses import at, balanced, without
from tests.reports.test_reports import MINUTE_MS, StoredHouse

START = "2026-03-02 00:00"
DAYS = 3
TIMES = (("2026-03-02 10:07", "2026-03-02 10:22"), ("2026-03-02 22:40", "2026-03-03 03:10"), ("2026-03-04 12:00", "2026-03-04 14:00"))  # fmt: skip
"""A part of an hour, a night, whole hours."""


@dataclass
class Case:
    """A house with all readings, and one without those of the times that are excluded in the first."""

    noted: StoredHouse
    bare: StoredHouse
    zone: str

    @property
    def now_ms(self) -> int:
        return at(START, self.zone) + DAYS * 24 * HOUR_MS

    def periods(self) -> list[Period]:
        texts = ("2026-03-02", "2026-03-02T08:30..2026-03-04T20:15")
        return [periods.parse(text, self.now_ms, self.zone) for text in texts]

    def times(self) -> list[tuple[int, int]]:
        return [(at(first, self.zone), at(last, self.zone)) for first, last in TIMES]

    @contextmanager
    def excluded(self) -> Iterator[None]:
        """While a note excludes each of the times."""
        house_id = self.noted.house.house_id
        with self.noted.database.begin() as connection:
            ids = [
                notes.add(connection, house_id, NoteKind.EXPERIMENT, *one, "Heater", excluded=True)
                for one in self.times()
            ]
        yield
        with self.noted.database.begin() as connection:
            for note_id in ids:
                notes.delete(connection, note_id)


@pytest.fixture(scope="module")
def database(database_server: TestServer) -> Iterator[Database]:
    with database_server.database() as where:
        yield where.owner


@pytest.fixture(scope="module", params=["UTC", "Asia/Kathmandu"])
def case(database: Database, request: pytest.FixtureRequest) -> Case:
    """In whole hours of UTC aggregates are read; hours that begin at a quarter are added up from slots."""
    zone = request.param
    made = Case(
        StoredHouse(database, zone, f"Noted {zone}"), StoredHouse(database, zone, f"Bare {zone}"), zone
    )
    fields = balanced(at(START, zone), made.now_ms, MINUTE_MS)
    made.noted.store(fields)
    for first, last in made.times():
        start, end = first // SLOT_MS * SLOT_MS, -(-last // SLOT_MS) * SLOT_MS
        fields = without(fields, start, end)
    made.bare.store(fields)
    return made


def reports(house: StoredHouse, case: Case) -> list[Report]:
    return [house.report(kind, period, case.now_ms) for kind in Kind for period in case.periods()]


def bits(report: Report) -> list[bytes]:
    """All of a report's numbers."""
    arrays = [
        array
        for curve in report.curves
        for array in (curve.starts, curve.values, curve.lows, curve.highs)
        if array is not None
    ]
    if report.heat_map is not None:
        arrays += [report.heat_map.days.sums, report.heat_map.weekdays.sums]
    return [export.csv_bytes(report), *(array.tobytes() for array in arrays)]


def numbers(row: tuple[float | int | str | None, ...]) -> list[float]:
    return [float("nan") if cell is None else cell for cell in row if not isinstance(cell, str)]


def test_an_excluded_time_is_as_if_nothing_had_been_measured_in_it(case: Case) -> None:
    with case.excluded():
        found = reports(case.noted, case)
    for mine, theirs in zip(found, reports(case.bare, case), strict=True):
        for figure, other in zip(mine.figures, theirs.figures, strict=True):
            assert (figure.key, figure.why.covered) == (other.key, other.why.covered)
            assert numbers((figure.value,)) == pytest.approx(
                numbers((other.value,)), rel=1e-9, abs=1e-9, nan_ok=True
            )
            assert figure.at_ms == other.at_ms, (mine.kind, figure.key)
        for curve, beside in zip(mine.curves, theirs.curves, strict=True):
            np.testing.assert_array_equal(curve.starts, beside.starts)
            np.testing.assert_allclose(curve.values, beside.values, rtol=1e-9, atol=1e-9)
        tables = [table for table in mine.tables if table.key != "notes"]
        for table, other_table in zip(tables, theirs.tables, strict=True):
            for row, other_row in zip(table.rows, other_table.rows, strict=True):
                assert numbers(row) == pytest.approx(numbers(other_row), rel=1e-9, abs=1e-9, nan_ok=True)


def test_including_it_again_restores_every_bit(case: Case) -> None:
    before = [bits(report) for report in reports(case.noted, case)]
    with case.excluded():
        assert [bits(report) for report in reports(case.noted, case)] != before
    assert [bits(report) for report in reports(case.noted, case)] == before


def test_a_note_that_no_longer_excludes_leaves_every_figure_as_it_was(case: Case) -> None:
    house_id, period = case.noted.house.house_id, case.periods()[0]
    before = case.noted.report(Kind.ENERGY, period, case.now_ms)
    with case.noted.database.begin() as connection:
        note_id = notes.add(connection, house_id, NoteKind.OUTAGE, *case.times()[0], excluded=True)
    with case.noted.database.begin() as connection:
        stored = notes.get(connection, house_id, note_id)
        notes.change(connection, stored, replace(stored, excluded=False))
    after = case.noted.report(Kind.ENERGY, period, case.now_ms)
    assert [figure.value for figure in after.figures] == [figure.value for figure in before.figures]
    with case.noted.database.begin() as connection:
        notes.delete(connection, note_id)


def test_home_fleet_and_exported_items_leave_it_out_as_reports_do(case: Case) -> None:
    now_ms = case.now_ms - HOUR_MS
    midnight = periods.parse("2026-03-04", now_ms, case.zone).start_ms

    def looked_at(house: StoredHouse) -> tuple[list[float], list[float | None], int]:
        today = HomeLoader(house.database, house.house.house_id).load(now_ms).energy_today
        with house.database.begin() as connection:
            pulse = read_pulses(connection, [house.house], now_ms)[house.house.house_id]
            slots = ItemReader(connection, house.house.house_id).slots(["load"], midnight, now_ms)["load"]
        return today.totals.flows.ravel().tolist(), [pulse.used_kwh, pulse.autarky], slots.slots.covered

    with case.excluded():
        mine = looked_at(case.noted)
    theirs = looked_at(case.bare)
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


def test_why_names_the_note_and_says_what_is_not_covered(case: Case) -> None:
    period = case.periods()[0]
    with case.excluded():
        report = case.noted.report(Kind.SOLAR, period, case.now_ms)
    figure = report.figure("energy")
    assert [one.kind for one in figure.why.marks] == [MarkKind.NOTE] * 2
    lines = why_text(report, figure, ZoneInfo(case.zone)).splitlines()
    assert "Excluded by notes: 20 slots (1.7 h), which count as not covered." in lines
    assert any(
        line.startswith("Note: Experiment: Heater (excluded from means and sums), from 2026-03-02 10:07")
        for line in lines
    )
    rows = {tuple(row) for block in export.blocks(report) if block.key == "notes" for row in block.rows}
    assert {(row[0], str(row[1])[:16], row[-2]) for row in rows} == {
        ("Experiment: Heater", "2026-03-02T10:07", "yes"),
        ("Experiment: Heater", "2026-03-02T22:40", "yes"),
    }
