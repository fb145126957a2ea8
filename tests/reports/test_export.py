"""Reports as files: what the screen says, to the last bit, and the same bytes twice."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path

import openpyxl
import pytest
from pypdf import PdfReader

from sgmp_console import cli, commands
from sgmp_console.environment import DATABASE_URL
from sgmp_console.reports import export, periods
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import Database, houses
from sgmp_console.timeseries import HOUR_MS
from tests.database import TestDatabase, TestServer
from tests.reports.houses import balanced
from tests.reports.test_reports import DAY, MINUTE_MS, StoredHouse


def store_house(database: Database) -> StoredHouse:
    made = StoredHouse(database, "America/Los_Angeles")
    made.store(balanced(DAY.start_ms, DAY.start_ms + 6 * HOUR_MS, MINUTE_MS))
    return made


@pytest.fixture(scope="module")
def kept(database_server: TestServer) -> Iterator[tuple[StoredHouse, str]]:
    """A house and the address of its database, which these tests only read."""
    with database_server.database() as where:
        yield store_house(where.owner), where.url


@pytest.fixture
def stored(kept: tuple[StoredHouse, str]) -> StoredHouse:
    return kept[0]


@pytest.fixture
def changing(database: Database, test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> StoredHouse:
    """One that a test may change; commands find it."""
    monkeypatch.setenv(DATABASE_URL, test_database.url)
    return store_house(database)


@pytest.fixture
def report(stored: StoredHouse) -> Report:
    period = periods.custom(DAY.start_ms, DAY.start_ms + 6 * HOUR_MS, "America/Los_Angeles")
    return stored.report(Kind.SOLAR, period, DAY.end_ms, compared_with=period.moved(-1))


def rows_of(text: str, title: str) -> list[dict[str, str]]:
    """The rows of one block of a CSV file, by column."""
    lines = list(csv.reader(StringIO(text)))
    first = next(place for place, line in enumerate(lines) if line == [title])
    header, found = lines[first + 1], []
    for line in lines[first + 2 :]:
        if not line:
            break
        found.append(dict(zip(header, line, strict=True)))
    return found


def test_a_csv_has_the_figures_at_full_precision(report: Report) -> None:
    figures = {row["Figure"]: row for row in rows_of(export.csv_text(report), "Figures")}
    for figure in report.figures:
        assert figure.value is not None
        assert float(figures[figure.title]["Value"]) == figure.value
        assert figures[figure.title]["Unit"] == figure.unit
        assert figures[figure.title]["Formula"] == "pos(egauge.A.Solar)"


def test_rows_add_up_to_the_figure_in_a_spreadsheet_too(report: Report) -> None:
    steps = rows_of(export.csv_text(report), "Five-minute slots")
    assert len(steps) == 72
    total = sum(float(row["Solar, energy (kWh)"]) for row in steps)
    assert total == pytest.approx(report.figure("energy").value, rel=1e-12)


def test_times_stand_by_the_clock_of_the_house_with_offset_and_in_utc(report: Report) -> None:
    first = rows_of(export.csv_text(report), "Five-minute slots")[0]
    local, utc = datetime.fromisoformat(first["Start"]), datetime.fromisoformat(first["Start (UTC)"])
    assert local == utc
    assert first["Start"].endswith("-07:00")
    assert utc.timestamp() * 1000 == report.period.start_ms


def test_a_file_says_what_it_is_about(report: Report) -> None:
    text = export.csv_text(report)
    assert "House,Maple House" in text
    assert "Time zone,America/Los_Angeles" in text
    assert "Compared with" in text


def test_a_workbook_holds_numbers_as_numbers(report: Report) -> None:
    book = openpyxl.load_workbook(BytesIO(export.xlsx_bytes(report)))
    sheet = book["Solar Figures"]
    found = {row[0]: row[1] for row in sheet.iter_rows(min_row=2, values_only=True)}
    assert found == {figure.title: figure.value for figure in report.figures}


def test_the_same_report_gives_the_same_bytes(report: Report) -> None:
    assert export.csv_text(report) == export.csv_text(report)
    assert export.xlsx_bytes(report) == export.xlsx_bytes(report)


def test_a_house_that_is_called_like_a_formula_is_text_in_a_spreadsheet(stored: StoredHouse) -> None:
    made = stored.report(Kind.SOLAR, DAY, DAY.end_ms)
    evil = dataclasses.replace(made, house=dataclasses.replace(made.house, name="=1+1"))
    assert "House,'=1+1" in export.csv_text(evil)
    about = openpyxl.load_workbook(BytesIO(export.xlsx_bytes(evil)))["Solar SGMP report"]
    cell = next(row[1] for row in about.iter_rows() if row[0].value == "House")
    assert (cell.value, cell.data_type) == ("=1+1", "s")


# --- The command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def owner(kept: tuple[StoredHouse, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the house."""
    monkeypatch.setenv(DATABASE_URL, kept[1])


ASK = ["report", "--house", "Maple House", "--range", "2026-05-12..2026-05-14"]


def test_the_command_writes_reports_without_a_display(
    stored: StoredHouse, owner: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, book = tmp_path / "report.csv", tmp_path / "report.xlsx"
    assert cli.main([*ASK, "--report", "solar", "--csv", str(file), "--xlsx", str(book)]) == commands.OK
    assert "Maple House: Solar, 12 May 2026 to 14 May 2026" in capsys.readouterr().out
    assert "Figures" in file.read_text("utf-8-sig")
    assert openpyxl.load_workbook(book).sheetnames[0] == "Solar SGMP report"


def test_several_reports_get_files_of_their_own(stored: StoredHouse, owner: None, tmp_path: Path) -> None:
    assert cli.main([*ASK, "--report", "all", "--csv", str(tmp_path / "may.csv")]) == commands.OK
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"may-Maple-House-{kind}.csv" for kind in ("battery", "energy", "ev", "load", "solar")
    ]


def test_a_heat_map_is_of_the_item_that_was_asked_for(
    stored: StoredHouse, owner: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "solar.csv"
    ask = [*ASK, "--report", "heat-map", "--item", "solar", "--csv", str(file)]
    assert cli.main([*ask, "--json"]) == commands.OK
    assert json.loads(capsys.readouterr().out)[0]["item"] == "solar"
    text = file.read_text("utf-8-sig")
    assert "Report,Heat map of solar" in text
    hours = text.partition("Hours\n")[2].partition("\n\n")[0].splitlines()
    assert len(hours) == 1 + 3 * 24
    weekdays = text.partition("Weekdays\n")[2].splitlines()
    assert len(weekdays) == 1 + 3 * 24


def test_only_a_heat_map_is_of_one_item(
    stored: StoredHouse, owner: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*ASK, "--report", "solar", "--item", "load"]) == commands.FAILED
    assert "--report heat-map" in capsys.readouterr().err


def test_a_file_that_exists_is_kept_unless_forced(
    stored: StoredHouse, owner: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.csv"
    file.write_text("mine")
    assert cli.main([*ASK, "--report", "solar", "--csv", str(file)]) == commands.FAILED
    assert (file.read_text(), "--force" in capsys.readouterr().err) == ("mine", True)
    assert cli.main([*ASK, "--report", "solar", "--csv", str(file), "--force"]) == commands.OK
    assert file.read_text("utf-8-sig") != "mine"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--range", "last century"], "is not a period"),
        (["--house", "Nowhere"], "Nowhere"),
        (["--csv", "/nowhere/at/all.csv"], "can't be written"),
    ],
)
def test_what_can_not_be_done_is_a_sentence(
    stored: StoredHouse,
    owner: None,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    sentence: str,
) -> None:
    assert cli.main([*ASK, "--report", "solar", *change]) == commands.FAILED
    assert sentence in capsys.readouterr().err


def test_a_period_without_data_ends_with_1_for_cron(stored: StoredHouse, owner: None) -> None:
    assert cli.main(["report", "--house", "all", "--report", "load", "--range", "2019"]) == commands.FAILED


@pytest.mark.parametrize(
    "kind", [["solar"], ["heat-map", "--item", "egauge.A.Solar"]], ids=lambda kind: kind[0]
)
def test_an_account_without_the_permission_export_writes_no_file(
    changing: StoredHouse,
    test_database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: list[str],
) -> None:
    monkeypatch.setenv(DATABASE_URL, changing.visitor_url(test_database))
    ask = [*ASK, "--deployment", test_database.deployment, "--report", *kind]
    assert cli.main(ask) == commands.OK
    assert cli.main([*ask, "--csv", str(tmp_path / "report.csv")]) == commands.FAILED
    assert "export" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def run_alone(ask: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if key not in ("DISPLAY", "QT_QPA_PLATFORM")
    }
    return subprocess.run(
        [sys.executable, "-m", "sgmp_console", *ask],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_draws_pdf_and_png_without_a_display(
    stored: StoredHouse, owner: None, tmp_path: Path
) -> None:
    """In a process of its own, as cron starts it: without a display, and without Qt unless it is needed."""
    for number in (1, 2):
        files = ["--pdf", str(tmp_path / f"{number}.pdf"), "--png", str(tmp_path / f"{number}.png")]
        ask = [*ASK, "--report", "solar", *files, "--size", "1000x700"]
        done = run_alone(ask)
        assert done.returncode == commands.OK, done.stderr
    for ending, begins in (("pdf", b"%PDF-"), ("png", b"\x89PNG")):
        content = (tmp_path / f"1.{ending}").read_bytes()
        assert content.startswith(begins)
        assert content == (tmp_path / f"2.{ending}").read_bytes()
    picture = (tmp_path / "1.png").read_bytes()
    assert [int.from_bytes(picture[at : at + 4]) for at in (16, 20)] == [1000, 700]


def test_houses_reports_and_ranges_are_multiplied_and_each_file_names_them(
    changing: StoredHouse, tmp_path: Path
) -> None:
    with changing.database.begin() as connection:
        houses.create(connection, "Café / 2", time_zone="Europe/Berlin")
    ask = [
        "report",
        "--house",
        "all",
        "--report",
        "solar",
        "--report",
        "load",
        "--csv",
        str(tmp_path / "a.csv"),
    ]
    assert cli.main([*ask, "--range", "2026-05-13", "--range", "2026-05"]) == commands.OK
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"a-{house}-{kind}-{text}.csv"
        for house in ("Café-2", "Maple-House")
        for kind in ("solar", "load")
        for text in ("2026-05-13", "2026-05")
    )


def test_reports_of_several_houses_become_one_pdf_with_running_heads_and_page_numbers(
    changing: StoredHouse, tmp_path: Path
) -> None:
    with changing.database.begin() as connection:
        houses.create(connection, "Harbor House", time_zone="Europe/Berlin")
    ask = ["report", "--house", "all", "--report", "all", "--range", "2026-05", "--together"]
    for number in (1, 2):
        done = run_alone([*ask, "--pdf", str(tmp_path / f"{number}.pdf")])
        assert done.returncode == commands.OK, done.stderr
    assert (tmp_path / "1.pdf").read_bytes() == (tmp_path / "2.pdf").read_bytes()
    pages = [" ".join(page.extract_text().split()) for page in PdfReader(tmp_path / "1.pdf").pages]
    assert len(pages) >= 2 * len(Kind)
    for number, text in enumerate(pages, 1):
        assert f"Page {number}" in text
        assert "Maple House" in text or "Harbor House" in text
        assert "May 2026" in text


def test_one_pdf_of_all_needs_a_pdf(
    stored: StoredHouse, owner: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*ASK, "--report", "all", "--together"]) == commands.USAGE
    assert "--together goes with --pdf" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["wide", "10x10", "1280", "99999x800", "1280x"])
def test_a_size_that_no_picture_can_have_is_a_sentence(
    stored: StoredHouse, owner: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: str
) -> None:
    ask = [*ASK, "--report", "solar", "--png", str(tmp_path / "a.png"), "--size", size]
    assert cli.main(ask) == commands.FAILED
    assert "pixels" in capsys.readouterr().err
