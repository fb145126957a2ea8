"""`sgmp-console export`: what is stored, as it is stored, in one file."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from sgmp_console import cli, commands, store
from sgmp_console.environment import DATABASE_URL
from sgmp_console.quality import Quality
from sgmp_console.reports import export_command, partial_file
from sgmp_console.reports.export_rows import HEADERS, What
from sgmp_console.store import Batch, Database, EventRow
from sgmp_console.store.quality import DayToStore, Run
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series, calendar
from tests.database import TestDatabase, TestServer
from tests.reports.houses import balanced
from tests.reports.test_reports import DAY, MINUTE_MS, StoredHouse
from tests.series import write_series
from tests.waiting import wait_until

NOW_MS = round(time.time() * 1000)
ASK = ["--house", "Maple House", "--range", "2026-05-12..2026-05-14"]


def store_house(database: Database) -> StoredHouse:
    """With one event and a day that was checked."""
    made = StoredHouse(database, "America/Los_Angeles")
    made.store(balanced(DAY.start_ms, DAY.start_ms + 13 * HOUR_MS, MINUTE_MS))
    store_an_event(made)
    store_a_check(made)
    return made


def store_an_event(stored: StoredHouse) -> None:
    at = DAY.start_ms + HOUR_MS
    event = EventRow(
        stored.house.house_id, stored.devices["egauge"], "egauge", at, "WARNING", {"a": "=1+1; ü"}
    )
    with stored.database.begin() as connection:
        store.readings.write(connection, Batch(events=[event]))


@pytest.fixture(scope="module")
def kept(database_server: TestServer) -> Iterator[tuple[StoredHouse, str]]:
    """A house and the address of its database, which these tests only read."""
    with database_server.database() as where:
        yield store_house(where.owner), where.url


@pytest.fixture
def stored(kept: tuple[StoredHouse, str], monkeypatch: pytest.MonkeyPatch) -> StoredHouse:
    monkeypatch.setenv(DATABASE_URL, kept[1])
    return kept[0]


@pytest.fixture
def changing(database: Database, test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> StoredHouse:
    """One that a test may change."""
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    return store_house(database)


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))


def export(what: str, file: Path, *more: str) -> int:
    return cli.main(["export", what, *ASK, "--out", str(file), *more])


def test_readings_are_those_that_are_stored_in_order_of_time(stored: StoredHouse, tmp_path: Path) -> None:
    assert export("readings", tmp_path / "a.csv") == commands.OK
    found = rows(tmp_path / "a.csv")
    assert len(found) == sum(len(series) for series in stored.readings.values())
    assert [row["timestamp"] for row in found] == sorted(row["timestamp"] for row in found)
    solar = [float(row["value"]) for row in found if (row["device"], row["field"]) == ("egauge", "A.Solar")]
    assert solar == stored.readings["egauge", "A.Solar"].values.tolist()


def test_exported_readings_can_be_imported(changing: StoredHouse, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    assert export("readings", file, "--device", "sonnen") == commands.OK
    assert cli.main(["import", str(file), "--house", "Maple House", "--json"]) == commands.OK
    assert {row["device"] for row in rows(file)} == {"sonnen"}


def test_items_are_means_of_five_minutes_or_the_values_at_each_reading(
    stored: StoredHouse, tmp_path: Path
) -> None:
    assert export("items", tmp_path / "means.csv", "--item", "solar") == commands.OK
    means = [float(row["value"]) for row in rows(tmp_path / "means.csv")]
    assert means == pytest.approx(list(stored.slots("solar", DAY.start_ms, DAY.end_ms).values()), abs=1e-12)
    assert export("items", tmp_path / "raw.csv", "--item", "solar", "--raw") == commands.OK
    raw = [float(row["value"]) for row in rows(tmp_path / "raw.csv")]
    assert raw == [value for value, _ in stored.raw("solar", DAY.start_ms, DAY.end_ms)]


def store_a_check(stored: StoredHouse) -> None:
    """Of one of the three days, with a flag of the sun in two of its slots."""
    with stored.database.begin() as connection:
        series_id = store.series_of(connection, stored.house.house_id)["egauge", "A.Solar"]
        start_ms = DAY.start_ms + HOUR_MS
        run = Run(series_id, start_ms, start_ms + 2 * SLOT_MS, int(Quality.STUCK | Quality.SPIKE))
        day = calendar.date_of(DAY.start_ms, "America/Los_Angeles")
        store.quality.store_day(
            connection,
            DayToStore(
                stored.house.house_id,
                day,
                DAY.start_ms,
                DAY.start_ms + 12 * HOUR_MS,
                1,
                NOW_MS,
                0,
                0,
                {},
                [],
                [],
                [run],
            ),
        )


def quality_cell(bits: int | None) -> str:
    return "" if bits is None else str(bits)


def test_readings_have_the_bits_of_their_slots_where_their_day_was_checked(
    stored: StoredHouse, tmp_path: Path
) -> None:
    assert export("readings", tmp_path / "a.csv") == commands.OK
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows(tmp_path / "a.csv"):
        found.setdefault((row["device"], row["field"]), []).append(row["quality"])
    assert found["egauge", "A.Solar"] == 60 * ["0"] + 10 * ["10"] + 650 * ["0"] + 60 * [""]
    assert found["egauge", "A.Load"] == 720 * ["0"] + 60 * [""]


def test_parquet_says_what_the_bits_of_quality_mean(stored: StoredHouse, tmp_path: Path) -> None:
    assert export("readings", tmp_path / "a.parquet") == commands.OK
    schema = pyarrow.parquet.read_schema(tmp_path / "a.parquet")
    assert schema.metadata[b"sgmp.quality"].startswith(b"1 MISSING, 2 STUCK, 4 OUT_OF_RANGE, 8 SPIKE")


def test_events_keep_their_data(stored: StoredHouse, tmp_path: Path) -> None:
    assert export("events", tmp_path / "a.csv") == commands.OK
    (row,) = rows(tmp_path / "a.csv")
    assert (row["device"], row["type"], json.loads(row["data"].replace("'=", "="))) == (
        "egauge",
        "WARNING",
        {"a": "=1+1; ü"},
    )


def test_standard_output_has_only_the_rows(
    stored: StoredHouse, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert cli.main(["export", "items", *ASK, "--item", "load", "--out", "-"]) == commands.OK
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0] == ",".join(HEADERS[What.ITEMS])
    assert len(lines) == 1 + 13 * 12


@pytest.mark.parametrize(
    ("what", "more", "sentence"),
    [
        ("items", ["--item", "nothing"], "no analytic item nothing"),
        ("readings", ["--device", "nobody"], "no readings of a device nobody"),
        ("readings", ["--field", "B.Nothing"], "no readings of a field B.Nothing"),
        ("events", ["--range", "sometime"], "is not a period"),
        ("events", ["--house", "Nowhere"], "Nowhere"),
        ("events", ["--out", "/nowhere/at/all.csv"], "can't be written"),
    ],
)
def test_what_can_not_be_done_is_a_sentence(
    stored: StoredHouse,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    what: str,
    more: list[str],
    sentence: str,
) -> None:
    assert export(what, tmp_path / "a.csv", *more) == commands.FAILED
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_kept_unless_forced(stored: StoredHouse, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("mine")
    assert export("items", file) == commands.FAILED
    assert file.read_text() == "mine"
    assert export("items", file, "--force") == commands.OK


def test_what_is_not_an_ordinary_file_is_never_replaced(
    stored: StoredHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert export("items", pipe, "--force") == commands.FAILED
    assert "not an ordinary file" in capsys.readouterr().err
    assert pipe.is_fifo()


def test_a_period_without_anything_ends_with_1(stored: StoredHouse, tmp_path: Path) -> None:
    assert export("readings", tmp_path / "a.csv", "--range", "2019-01-01") == commands.FAILED


def test_a_researcher_exports_the_own_house_and_no_other(
    changing: StoredHouse,
    test_database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with changing.database.begin() as connection:
        store.houses.create(connection, "Harbor House", time_zone="UTC")
    whole = tmp_path / "owner.csv"
    assert export("readings", whole) == commands.OK
    monkeypatch.setenv(DATABASE_URL, changing.visitor_url(test_database, "researcher"))
    mine = ["--deployment", test_database.deployment]
    assert export("readings", tmp_path / "a.csv", *mine) == commands.OK
    assert (tmp_path / "a.csv").read_bytes() == whole.read_bytes()
    assert export("readings", tmp_path / "b.csv", *mine, "--house", "Harbor House") == commands.FAILED
    assert "There is no house Harbor House" in capsys.readouterr().err
    report = ["report", "--house", "all", "--report", "solar", "--range", "2026-05-13", *mine]
    assert cli.main([*report, "--csv", str(tmp_path / "report.csv")]) == commands.OK


def test_an_account_without_the_permission_export_gets_nothing(
    changing: StoredHouse,
    test_database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(DATABASE_URL, changing.visitor_url(test_database))
    assert export("items", tmp_path / "a.csv", "--deployment", test_database.deployment) == commands.FAILED
    assert "export" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_was_written_is_said_as_json(
    stored: StoredHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    assert export("items", file, "--item", "solar", "--json") == commands.OK
    said = json.loads(capsys.readouterr().out)
    assert (said["file"], said["format"], said["rows"], said["resumed"]) == (str(file), "csv", 13 * 12, False)
    assert said["end_ms"] - said["start_ms"] == 72 * HOUR_MS


# --- Parquet ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["readings", "items", "events"])
def test_parquet_holds_the_rows_of_the_csv(stored: StoredHouse, tmp_path: Path, what: str) -> None:
    assert export(what, tmp_path / "a.csv") == commands.OK
    for name in ("a", "b"):
        assert export(what, tmp_path / f"{name}.parquet") == commands.OK
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert tuple(table.column_names) == HEADERS[What(what)]
    assert str(table.schema.field("timestamp").type) == "timestamp[ms, tz=UTC]"
    columns = [name for name in table.column_names if name not in ("timestamp", "data")]
    in_csv = [tuple(row[name] for name in columns) for row in rows(tmp_path / "a.csv")]
    in_parquet = [
        tuple({"value": repr, "quality": quality_cell}.get(name, str)(row[name]) for name in columns)
        for row in table.to_pylist()
    ]
    assert in_parquet == in_csv
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet", "b.parquet"]


def test_without_pyarrow_parquet_is_one_sentence(stored: StoredHouse, tmp_path: Path) -> None:
    script = "import sys; sys.modules['pyarrow'] = None; from sgmp_console import cli; sys.exit(cli.main(sys.argv[1:]))"
    ask = ["export", "items", *ASK, "--out", str(tmp_path / "a.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", script, *ask], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == commands.FAILED
    assert done.stderr.count("\n") == 1
    assert "pip install 'sgmp[parquet]'" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [["--format", "parquet"], ["--json"]])
def test_standard_output_takes_neither_parquet_nor_json(
    stored: StoredHouse, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert cli.main(["export", "items", *ASK, "--out", "-", *more]) == commands.USAGE
    assert capsys.readouterr().out == ""


# --- Going on where it ended --------------------------------------------------------------------------------------


def cut_off(stored: StoredHouse, what: str, file: Path, after_windows: int) -> None:
    """An export that is interrupted once so many windows are written."""
    left = after_windows

    def show(_share: float) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    asked = argparse.Namespace(
        what=what,
        house="Maple House",
        range=ASK[-1],
        out=file,
        device=[],
        field=[],
        item=[],
        raw=False,
        format=None,
        force=False,
        json=False,
    )
    with pytest.raises(KeyboardInterrupt):
        export_command.run(stored.database, asked, NOW_MS, show)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("torn", [b"", b"2026-05-13T10:00:00.0"], ids=["at a part", "within a part"])
def test_a_file_that_was_cut_off_goes_on_and_has_the_same_bytes(
    stored: StoredHouse, tmp_path: Path, ending: str, torn: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, file = tmp_path / f"whole.{ending}", tmp_path / f"a.{ending}"
    assert export("readings", whole) == commands.OK
    for windows in (6, 1, 1):
        cut_off(stored, "readings", file, windows)
        assert not file.exists()
        with (tmp_path / f"a.{ending}.part").open("ab") as part:
            part.write(torn)
    capsys.readouterr()
    assert export("readings", file, "--json") == commands.OK
    assert json.loads(capsys.readouterr().out)["resumed"] is True
    assert file.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([whole.name, file.name])


def test_what_came_in_meanwhile_does_not_change_what_the_file_is_about(
    changing: StoredHouse, tmp_path: Path
) -> None:
    whole, file = tmp_path / "whole.csv", tmp_path / "a.csv"
    assert export("readings", whole) == commands.OK
    cut_off(changing, "readings", file, 6)
    with changing.database.begin() as connection:
        times = np.arange(DAY.start_ms + 12 * HOUR_MS, DAY.start_ms + 13 * HOUR_MS, MINUTE_MS)
        new = {"B.New": Series(times, np.ones(len(times)))}
        write_series(connection, changing.house.house_id, changing.devices["egauge"], new)
    assert export("readings", file) == commands.OK
    assert file.read_bytes() == whole.read_bytes()


def test_a_process_that_was_killed_leaves_a_part_that_goes_on(stored: StoredHouse, tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.csv", tmp_path / "a.csv"
    assert export("readings", whole) == commands.OK
    ask = [sys.executable, "-m", "sgmp_console", "export", "readings", *ASK, "--out", str(file)]
    with subprocess.Popen(ask, stderr=subprocess.DEVNULL) as process:
        part = tmp_path / "a.csv.part"
        wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_size > 0), 60)
        process.kill()
    if not file.exists():
        assert export("readings", file) == commands.OK
    assert file.read_bytes() == whole.read_bytes()


def test_a_part_of_another_export_is_kept_unless_forced(
    stored: StoredHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    cut_off(stored, "readings", file, 6)
    assert export("readings", file, "--device", "sonnen") == commands.FAILED
    assert "is a part of another export" in capsys.readouterr().err
    assert export("readings", file, "--device", "sonnen", "--force") == commands.OK
    assert {row["device"] for row in rows(file)} == {"sonnen"}


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"offset": 5}'])
def test_a_part_whose_note_can_not_be_read_begins_again(
    stored: StoredHouse, tmp_path: Path, note: bytes
) -> None:
    whole, file = tmp_path / "whole.csv", tmp_path / "a.csv"
    assert export("readings", whole) == commands.OK
    cut_off(stored, "readings", file, 6)
    (tmp_path / "a.csv.part.json").write_bytes(note)
    assert export("readings", file) == commands.OK
    assert file.read_bytes() == whole.read_bytes()


def test_two_exports_do_not_write_one_file(
    stored: StoredHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    with partial_file.opened(file, partial_file.Progress({}, {}, 0), again=False):
        assert export("readings", file) == commands.FAILED
    assert "Another process is writing" in capsys.readouterr().err
