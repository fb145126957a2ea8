"""Files of a report say what its page says: CSV and XLSX to the last bit, PDF the texts on the screen."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pypdf
import pytest
from pytestqt.qtbot import QtBot

from sgmp_console.reports import export
from sgmp_console.reports.report import Column, Kind, Report, Table
from sgmp_console.ui.pages.reports import look
from sgmp_console.ui.pages.reports.period_page import PeriodPage
from sgmp_console.ui.parts.labels import ElidedLabel
from sgmp_console.ui.shown_period import Compare
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui.conftest import Deployment
from tests.ui.finding import opened_period_page

Cells = tuple[float | int | str | None, ...]


@pytest.fixture
def deployed(filled_once: Deployment) -> Deployment:
    return filled_once


@pytest.fixture
def pages(qtbot: QtBot, view: MainView) -> Iterator[PeriodPage]:
    """Each report beside the period before, one after the other on screen."""
    view.services.shown_period.choose_compare(Compare.PREVIOUS)
    return (opened_period_page(qtbot, view, kind.value) for kind in Kind)


def written(qtbot: QtBot, page: PeriodPage, file: Path) -> Path:
    page.bar.hide_message()
    page.save(file)
    qtbot.waitUntil(lambda: page.bar.isVisible())
    return file


def screen_rows(report: Report) -> list[tuple[str, list[Cells]]]:
    """By title, the cells that a file is to hold: those behind the figures and tables of the screen."""
    other = report.comparison
    assert other is not None
    found: list[tuple[str, list[Cells]]] = [
        ("Figures", [(one.title, one.value, one.unit) for one in report.figures]),
        (f"Compared with {other.period.title}", [(one.title, one.value, one.unit) for one in other.figures]),
        (
            "Differences",
            [
                (one.title, one.value, other.figure(one.key).value, report.difference(one.key), one.unit)
                for one in report.figures
            ],
        ),
    ]
    return found


def test_csv_and_workbook_hold_the_numbers_of_the_screen_to_the_last_bit(
    qtbot: QtBot, pages: Iterator[PeriodPage], tmp_path: Path
) -> None:
    for page in pages:
        report = page.report
        assert report is not None
        content = written(qtbot, page, tmp_path / f"{report.kind.value}.csv").read_text("utf-8-sig")
        lines = list(csv.reader(StringIO(content)))
        book = openpyxl.load_workbook(written(qtbot, page, tmp_path / f"{report.kind.value}.xlsx"))
        titles = [block.title for block in export.blocks(report)]
        assert len(book.sheetnames) == len(titles)
        for title, rows in screen_rows(report):
            start = lines.index([title]) + 2
            sheet = book[book.sheetnames[titles.index(title)]]
            for place, row in enumerate(rows):
                in_csv = lines[start + place][: len(row)]
                assert in_csv == [
                    "" if cell is None else cell if isinstance(cell, str) else repr(cell) for cell in row
                ]
                in_book = [cell.value or "" for cell in sheet[2 + place]][: len(row)]
                assert in_book == [cell or "" for cell in row]
        for table in report.tables:
            start = lines.index([table.title]) + 1
            for column, name in numbers(table):
                cells = [
                    dict(zip(lines[start], line, strict=True))[name]
                    for line in lines[start + 1 :][: len(table.rows)]
                ]
                assert [float(cell) if cell else None for cell in cells] == [
                    row[column] for row in table.rows
                ]


def numbers(table: Table) -> Iterator[tuple[int, str]]:
    """The places of the columns with a unit, and what they are called in a file."""
    for place, column in enumerate(table.columns):
        if column.kind is Column.NUMBER and column.unit:
            yield place, f"{column.title} ({column.unit})"


def test_a_pdf_has_every_text_of_the_screen(
    qtbot: QtBot, pages: Iterator[PeriodPage], tmp_path: Path
) -> None:
    for page in pages:
        report = page.report
        assert report is not None
        reader = pypdf.PdfReader(written(qtbot, page, tmp_path / f"{report.kind.value}.pdf"))
        text = plain(" ".join(one.extract_text() for one in reader.pages))
        assert [one for one in screen_texts(page, report) if plain(one) not in text] == []


def screen_texts(page: PeriodPage, report: Report) -> list[str]:
    """What stands on the tiles, in the legend and in the table."""
    found = [f"{look.title(report)}: {report.period.title}", report.house.name, report.period.zone]
    for tile in page.figures.tiles:
        found += [label.accessibleName() for label in tile.findChildren(ElidedLabel)]
        found.append(tile.accessibleName().partition(": ")[2])
    table = look.shown_table(report)
    if table is not None:
        found += [look.column_title(column) for _, column in look.shown_columns(table)]
        found += [cell for row in look.table_texts(table, ZoneInfo(report.period.zone)) for cell in row]
    return found


def plain(text: str) -> str:
    """Without any space, since a PDF has places instead, and without ligatures."""
    return "".join(unicodedata.normalize("NFKC", text).split())
