"""`sgmp-console export`: what is stored, as it is stored, in one file."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from sgmp_console import cli, commands, store
from sgmp_console.environment import DATABASE_URL
from sgmp_console.reports.export_command import HEADERS
from sgmp_console.store import Batch, Database, EventRow
from sgmp_console.timeseries import HOUR_MS
from tests.database import TestDatabase
from tests.reports.houses import balanced
from tests.reports.test_reports import DAY, MINUTE_MS, StoredHouse

ASK = ["--house", "Maple House", "--range", "2026-05-12..2026-05-14"]


@pytest.fixture
def stored(database: Database, test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> StoredHouse:
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    made = StoredHouse(database, "America/Los_Angeles")
    made.store(balanced(DAY.start_ms, DAY.start_ms + 13 * HOUR_MS, MINUTE_MS))
    return made


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


def test_exported_readings_can_be_imported(stored: StoredHouse, tmp_path: Path) -> None:
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


def test_events_keep_their_data(stored: StoredHouse, tmp_path: Path) -> None:
    at = DAY.start_ms + HOUR_MS
    event = EventRow(
        stored.house.house_id, stored.devices["egauge"], "egauge", at, "WARNING", {"a": "=1+1; ü"}
    )
    with stored.database.begin() as connection:
        store.readings.write(connection, Batch(events=[event]))
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
    assert lines[0] == ",".join(HEADERS["items"])
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


def test_an_account_without_the_permission_export_gets_nothing(
    stored: StoredHouse,
    test_database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(DATABASE_URL, stored.visitor_url(test_database))
    assert export("items", tmp_path / "a.csv", "--deployment", test_database.deployment) == commands.FAILED
    assert "export" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
