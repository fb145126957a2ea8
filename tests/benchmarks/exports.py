"""Files of much: all readings as CSV and Parquet beside a bare COPY of them, and the month of a hundred houses as a PDF."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from sgmp_console.quality import Quality
from sgmp_console.reports import export_command, periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import houses, quality, series
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, calendar
from sgmp_console.ui import report_paper
from tests.benchmarks import charts
from tests.benchmarks.result import Result, once
from tests.benchmarks.world import World

HOUSES = 100
OF_BARE_COPY = 0.2
"""At least, of the readings a second that a bare COPY writes: one without order of time, names or ISO 8601."""
_COPY = (
    "COPY (SELECT ts, series_id, value FROM sgmp.reading WHERE ts >= %s AND ts < %s) TO STDOUT (FORMAT csv)"
)


def measure(world: World) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        return [*_readings(world, Path(folder)), *_pdf(world, Path(folder))]


class _Memory:
    """How much more this process holds at most than when it began, MB."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.begin()

    def begin(self) -> None:
        self._before = self._process.memory_info().rss
        self.most_mb = 0.0

    def look(self, _share: float = 0.0) -> None:
        self.most_mb = max(self.most_mb, (self._process.memory_info().rss - self._before) / 1e6)


def _readings(world: World, folder: Path) -> list[Result]:
    bare = once(lambda: _bare(world, folder / "bare.csv"))
    found = [
        *_exported(world, folder / "readings.csv", bare, "as csv"),
        *_exported(world, folder / "readings.parquet", bare, "as parquet"),
    ]
    _store_quality(world)
    return [*found, *_exported(world, folder / "flagged.csv", bare, "as csv, their days checked")]


def _exported(world: World, file: Path, bare_s: float, how: str) -> list[Result]:
    memory = _Memory()
    taken = once(partial(_export, world, file, memory))
    file.unlink()
    ours, theirs = f"{world.readings / taken:,.0f}", f"{world.readings / bare_s:,.0f}"
    # With few readings in each window that is read, its fixed cost decides.
    budget = OF_BARE_COPY if world.dense else None
    what = f"export of {world.readings:,} readings {how}, readings/s; bare COPY to a file"
    return [
        Result(what, ours, theirs, bare_s / taken, budget),
        Result(f"export {how}, memory", "", "", memory.most_mb, 150, at_least=False, unit="MB"),
    ]


def _store_quality(world: World) -> None:
    """As if all days had been checked, and each series had a flag in one slot of every hour."""
    with world.database.begin() as connection:
        house = houses.get(connection, world.house_id)
        found = series.series_of(connection, world.house_id).values()
        for start_ms, end_ms in calendar.days(world.start_ms, world.end_ms, house.time_zone):
            runs = [
                quality.Run(series_id, at, at + SLOT_MS, Quality.SPIKE.value)
                for series_id in found
                for at in range(start_ms, end_ms, HOUR_MS)
            ]
            day = calendar.date_of(start_ms, house.time_zone)
            checked = quality.DayToStore(
                world.house_id, day, start_ms, end_ms, 1, world.end_ms, 0, 0, {}, [], [], runs
            )
            quality.store_day(connection, checked)


def _export(world: World, file: Path, memory: _Memory) -> None:
    first, last = (
        datetime.fromtimestamp(at / 1000, UTC).isoformat() for at in (world.start_ms, world.end_ms)
    )
    asked = argparse.Namespace(
        what="readings",
        house="Bench House",
        range=f"{first}..{last}",
        out=file,
        device=[],
        field=[],
        item=[],
        raw=False,
        format=None,
        force=False,
        json=False,
    )
    export_command.run(world.database, asked, world.end_ms, memory.look)


def _bare(world: World, file: Path) -> None:
    with world.connection, world.connection.cursor() as cursor, file.open("wb") as stream:
        first, last = (datetime.fromtimestamp(at / 1000, UTC) for at in (world.start_ms, world.end_ms))
        cursor.copy_expert(cursor.mogrify(_COPY, (first, last)).decode(), stream)


def _pdf(world: World, folder: Path) -> list[Result]:
    """Of one house as often as there would be houses: each report is read again."""
    charts.started()
    drawn = report_paper.headless("1280x800")
    with world.database.begin() as connection:
        house = houses.get(connection, world.house_id)
    period = periods.custom(world.start_ms, world.end_ms, house.time_zone)
    memory = _Memory()

    def reports() -> Iterator[Report]:
        for number in range(HOUSES):
            with world.database.begin() as connection:
                report = build(connection, house, Kind.ENERGY, period, world.end_ms)
            yield report
            if number > HOUSES // 10:  # fonts and libraries are there
                memory.look()
            else:
                memory.begin()

    taken = once(lambda: drawn.write_pdf(folder / "all.pdf", reports()))
    return [
        Result(f"PDF of {HOUSES} houses' month", f"{taken:.1f} s", "", taken, 60, at_least=False, unit="s"),
        Result("PDF, memory from the 10th house on", "", "", memory.most_mb, 30, at_least=False, unit="MB"),
    ]
