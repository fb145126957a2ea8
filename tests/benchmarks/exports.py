"""Files of much: all readings as CSV and Parquet beside a bare COPY of them, and the month of a hundred houses as a PDF."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from sgmp_console.reports import export_command, periods
from sgmp_console.reports.kinds import build
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import houses
from tests.benchmarks.result import Result, once
from tests.benchmarks.world import World

HOUSES = 100
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
    found = []
    for ending in ("csv", "parquet"):
        memory = _Memory()
        file = folder / f"readings.{ending}"
        taken = once(partial(_export, world, file, memory))
        what = f"export of {world.readings:,} readings as {ending}, readings/s; COPY to a file"
        ours, theirs = f"{world.readings / taken:,.0f}", f"{world.readings / bare:,.0f}"
        found.append(Result(what, ours, theirs, bare / taken, None))
        found.append(
            Result(f"export as {ending}, memory", "", "", memory.most_mb, 150, at_least=False, unit="MB")
        )
    return found


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
    from sgmp_console.ui import report_paper

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
