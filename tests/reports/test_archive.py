"""`sgmp-console archive`: raw readings of months that are over, whole, once, and never lost again."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from sgmp_console import cli, commands, store
from sgmp_console.environment import DATABASE_URL
from sgmp_console.reports import archive
from sgmp_console.store import Database, devices, tallies
from sgmp_console.timeseries import Series, calendar
from tests.database import TestDatabase, TestServer
from tests.series import write_series

ZONE = "America/Los_Angeles"
HOUR_MS = 3_600_000
AUGUST, SEPTEMBER, OCTOBER = (calendar.month(2026, month, ZONE) for month in (8, 9, 10))
NOW_MS = OCTOBER[0] + 5 * HOUR_MS
"""Early in October by the house's clock."""


class Stored:
    """A house with one meter, in a database whose archive is `folder`."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        with database.begin() as connection:
            self.house = store.houses.create(connection, "Maple House", time_zone=ZONE)
        self.meter = self.add_meter()

    def add_meter(self) -> int:
        with self.database.begin() as connection:
            return devices.create(connection, self.house.house_id, "meter", "egauge", {}).device_id

    def write(self, start_ms: int, values: list[float], field: str = "=A.Solar") -> None:
        times = start_ms + 60_000 * np.arange(len(values), dtype=np.int64)
        with self.database.begin() as connection:
            write_series(
                connection, self.house.house_id, self.meter, {field: Series(times, np.array(values))}
            )

    def archive(
        self, now_ms: int = NOW_MS, show: Callable[[float], None] = lambda _share: None
    ) -> list[archive.Month]:
        return list(archive.run(self.database, self.folder, [self.house], now_ms, show))

    def file(self, name: str) -> Path:
        return self.folder / f"house_{self.house.house_id}" / name

    def rows(self, month: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pyarrow.parquet.read_table(self.file(f"{month}.parquet")).to_pylist()
        return found


@pytest.fixture
def stored(database: Database, tmp_path: Path) -> Stored:
    house = Stored(database, tmp_path / "archive")
    house.write(AUGUST[1] - 120_000, [1.0, -2.0, 3.0, 4.0])  # two in August, two in September
    house.write(OCTOBER[0], [7.0])
    return house


@pytest.fixture
def plain_server(database_server: TestServer) -> None:
    if database_server.has_timescale:
        pytest.skip("TimescaleDB's policy says what was dropped")


def outcomes(months: list[archive.Month]) -> list[tuple[str, archive.Outcome, int]]:
    return [(month.name, month.outcome, month.readings) for month in months]


def test_each_month_that_is_over_is_a_file_with_an_account_that_adds_up(stored: Stored) -> None:
    assert outcomes(stored.archive()) == [
        ("2026-08", archive.Outcome.WRITTEN, 2),
        ("2026-09", archive.Outcome.WRITTEN, 2),
    ]
    assert [row["value"] for row in stored.rows("2026-08")] == [1.0, -2.0]
    assert not stored.file("2026-10.parquet").exists()
    (line,) = csv.DictReader(stored.file("2026-08.csv").read_text().splitlines())
    assert line == {
        "device": "meter", "field": "'=A.Solar", "day": "2026-09-01", "readings": "2", "sum": "-1.0", "sum_of_sizes": "3.0",
    }  # fmt: skip


def test_a_second_run_changes_nothing(stored: Stored) -> None:
    stored.archive()
    before = {path: path.stat().st_mtime_ns for path in stored.folder.rglob("*")}
    assert {month.outcome for month in stored.archive()} == {archive.Outcome.UNCHANGED}
    assert {path: path.stat().st_mtime_ns for path in stored.folder.rglob("*")} == before


def test_a_month_into_which_readings_came_late_is_written_again(stored: Stored) -> None:
    stored.archive()
    stored.write(SEPTEMBER[0] + HOUR_MS, [5.0, 6.0])
    assert outcomes(stored.archive()) == [
        ("2026-08", archive.Outcome.UNCHANGED, 2),
        ("2026-09", archive.Outcome.WRITTEN, 4),
    ]
    assert [row["value"] for row in stored.rows("2026-09")] == [3.0, 4.0, 5.0, 6.0]


def test_a_file_without_its_account_is_read_instead(stored: Stored) -> None:
    stored.archive()
    stored.file("2026-08.csv").unlink()
    assert {month.outcome for month in stored.archive()} == {archive.Outcome.UNCHANGED}


def test_a_file_that_can_not_be_read_is_never_replaced(stored: Stored) -> None:
    stored.archive()
    stored.file("2026-08.csv").write_text("nonsense")
    stored.file("2026-08.parquet").write_bytes(b"nonsense")
    months = stored.archive()
    assert [month.outcome for month in months] == [archive.Outcome.UNREADABLE, archive.Outcome.UNCHANGED]
    assert stored.file("2026-08.parquet").read_bytes() == b"nonsense"
    assert archive.archived_until(months, [stored.house], NOW_MS) == AUGUST[0]


def drop_before(stored: Stored, at_ms: int) -> None:
    """As retention does, whichever server it is."""
    with stored.database.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM sgmp.reading WHERE ts < to_timestamp({at_ms / 1000})")
        connection.exec_driver_sql(
            "INSERT INTO sgmp.installation VALUES ('raw_kept_from', to_timestamp(%s)::text)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (at_ms / 1000,),
        )


def test_a_file_is_kept_when_its_readings_are_dropped_and_is_never_made_of_what_is_left(
    stored: Stored, plain_server: None
) -> None:
    stored.archive()
    drop_before(stored, SEPTEMBER[0] + 30_000)
    assert outcomes(stored.archive()) == [("2026-09", archive.Outcome.KEPT, 2)]
    stored.write(SEPTEMBER[0] + HOUR_MS, [5.0])
    (late,) = stored.archive()
    assert late.outcome is archive.Outcome.INCOMPLETE
    assert archive.archived_until([late], [stored.house], NOW_MS) == SEPTEMBER[0]


def test_a_month_whose_beginning_was_dropped_before_is_written_and_says_so(
    stored: Stored, plain_server: None
) -> None:
    drop_before(stored, SEPTEMBER[0] + 30_000)
    (month,) = stored.archive()
    assert (month.outcome, month.readings) == (archive.Outcome.WRITTEN, 1)
    assert month.dropped_before_ms == SEPTEMBER[0] + 30_000


def test_readings_of_a_device_that_was_replaced_are_in_the_archive(stored: Stored) -> None:
    with stored.database.begin() as connection:
        devices.delete(connection, stored.meter)
    stored.meter = stored.add_meter()
    stored.write(SEPTEMBER[0] + HOUR_MS, [9.0])
    stored.archive()
    assert [row["value"] for row in stored.rows("2026-09")] == [3.0, 4.0, 9.0]


def test_an_archive_that_was_interrupted_goes_on(stored: Stored) -> None:
    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored.archive(show=interrupt)
    assert not stored.file("2026-08.parquet").exists()
    assert stored.file("2026-08.parquet.part.json").exists()
    assert [month.outcome for month in stored.archive()] == 2 * [archive.Outcome.WRITTEN]
    assert sorted(path.name for path in stored.file("").iterdir()) == [
        "2026-08.csv", "2026-08.parquet", "2026-09.csv", "2026-09.parquet",
    ]  # fmt: skip


def test_a_part_that_is_older_than_late_readings_is_not_taken_for_the_month(stored: Stored) -> None:
    shares = Counter[float]()

    def store_late(share: float) -> None:
        if share == 1.0 and not shares[share]:
            stored.write(AUGUST[0], [8.0])
        shares[share] += 1

    assert outcomes(stored.archive(show=store_late))[0] == ("2026-08", archive.Outcome.WRITTEN, 3)
    assert [row["value"] for row in stored.rows("2026-08")] == [8.0, 1.0, -2.0]


def test_the_command_says_what_may_be_dropped_and_drops_nothing(
    stored: Stored,
    test_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    before = tallies.count(stored.database).total
    assert cli.main(["archive", str(stored.folder)]) == commands.OK
    printed = capsys.readouterr().out
    assert "written      Maple House, 2026-08: 2 readings" in printed
    assert printed.endswith("may be dropped: the archive has them. Nothing was dropped.\n")
    assert cli.main(["archive", str(stored.folder), "--json"]) == commands.OK
    said = json.loads(capsys.readouterr().out)
    assert {month["outcome"] for month in said["months"]} == {"unchanged"}
    assert said["archived_until_ms"] >= OCTOBER[0]
    assert tallies.count(stored.database).total == before


def test_only_the_owner_archives(
    stored: Stored,
    test_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with stored.database.begin() as connection:
        store.set_ingest_password(connection, test_database.deployment, "ingest")
    role = store.ingest_role(test_database.deployment)
    monkeypatch.setenv(DATABASE_URL, test_database.address.replace("://", f"://{role}:ingest@"))
    assert cli.main(["archive", str(stored.folder)]) == commands.FAILED
    assert "the database's owner" in capsys.readouterr().err
    assert not stored.folder.exists()
