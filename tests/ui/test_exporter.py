"""Files and numbers of single charts and tables: the same menu for all of them."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import openpyxl
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.reports import export
from sgmp_console.reports.report import Kind
from sgmp_console.ui.pages.reports.period_page import PeriodPage
from sgmp_console.ui.parts.exporter import Offer, SizeDialog
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.parts.table import RowsTable
from sgmp_console.ui.session import Session
from sgmp_console.ui.shown_period import Compare
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui.conftest import Deployment
from tests.ui.finding import open_context_menu, opened_period_page, opened_report

CHARTS = {
    Kind.ENERGY: ("chart", "bars", "flows"),
    Kind.SOLAR: ("chart", "bars"),
    Kind.BATTERY: ("chart", "bars"),
    Kind.EV: ("chart", "bars"),
    Kind.LOAD: ("chart", "bars"),
    Kind.HEAT_MAP: ("map",),
}


@pytest.fixture
def deployed(filled_once: Deployment) -> Deployment:
    return filled_once


def parts_of(page: PeriodPage) -> list[QWidget]:
    """The charts and the table of a report page."""
    return [
        *(getattr(page, name) for name in CHARTS[page.kind]),
        *(table for table in page.findChildren(RowsTable) if table.isVisibleTo(page)),
    ]


def menu_of(qtbot: QtBot, widget: QWidget) -> QMenu:
    """What Ctrl+E opens."""
    widget.activateWindow()
    widget.setFocus()
    qtbot.waitUntil(widget.hasFocus)
    QTest.keyClick(widget, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu), widget.accessibleName()
    return menu


def entries(menu: QMenu) -> dict[str, QAction]:
    return {action.text(): action for action in menu.actions()}


@pytest.mark.parametrize("kind", Kind)
def test_every_chart_and_table_of_a_report_has_the_menu_by_keyboard(
    qtbot: QtBot, view: MainView, kind: Kind
) -> None:
    page = opened_period_page(qtbot, view, kind.value)
    for widget in parts_of(page):
        menu = menu_of(qtbot, widget)
        names = list(entries(menu))
        assert names[:3] == ["Copy numbers", "CSV file", "Excel workbook"]
        assert ("Picture of another size" in names) is not isinstance(widget, RowsTable)
        entries(menu)["Copy numbers"].trigger()
        menu.close()
        lines = QGuiApplication.clipboard().text().splitlines()
        assert len(lines) > 1, widget.accessibleName()
        assert len(lines[0].split("\t")) == len(lines[1].split("\t")) > 1


def offer_of(qtbot: QtBot, page: PeriodPage, widget: QWidget, monkeypatch: pytest.MonkeyPatch) -> Offer:
    found: list[Offer] = []
    monkeypatch.setattr(page.exporter, "copy", found.append)
    menu = menu_of(qtbot, widget)
    entries(menu)["Copy numbers"].trigger()
    menu.close()
    return found[0]


def test_the_rows_of_a_chart_are_those_of_the_report_in_every_kind_of_file(
    qtbot: QtBot, view: MainView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.services.shown_period.choose_compare(Compare.PREVIOUS)
    page = opened_report(qtbot, view, "solar")
    qtbot.waitUntil(lambda: page.report is not None and page.report.comparison is not None)
    report = page.report
    assert report is not None
    offer = offer_of(qtbot, page, page.chart, monkeypatch)
    curve = next(one for one in report.curves if one.key == "solar")

    content = saved(qtbot, page, offer, tmp_path / "power.csv").read_text("utf-8-sig")
    lines = list(csv.reader(StringIO(content)))
    assert lines[0][0] == "Solar, power"
    about = {line[0]: line[1] for line in lines[1:] if len(line) > 1}
    assert about["House"] == report.house.name
    assert about["Time zone"] == report.period.zone
    start = lines.index([report.period.title]) + 1
    place = lines[start].index("Solar (kW)")
    shown = [float(line[place]) for line in lines[start + 1 : start + 1 + len(curve.values)] if line[place]]
    assert shown == curve.values.tolist()
    assert report.comparison is not None
    assert [report.comparison.period.title] in lines, "the period beside it, too"

    book = openpyxl.load_workbook(saved(qtbot, page, offer, tmp_path / "power.xlsx"))
    sheet = book[book.sheetnames[1]]
    assert [cell.value for cell in sheet[1]] == lines[start]
    assert [row[place].value for row in sheet.iter_rows(min_row=2)][: len(shown)] == shown


def test_a_picture_has_the_chosen_size_and_the_same_bytes_each_time(
    qtbot: QtBot, view: MainView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened_report(qtbot, view, "energy")
    for widget in (page.chart, page.bars, page.flows):
        offer = offer_of(qtbot, page, widget, monkeypatch)
        first = saved(qtbot, page, offer, tmp_path / "first.png", (1000, 620)).read_bytes()
        image = QImage(str(tmp_path / "first.png"))
        assert (image.width(), image.height()) == (1000, 620)
        assert saved(qtbot, page, offer, tmp_path / "again.png", (1000, 620)).read_bytes() == first


def test_any_size_can_be_asked_for_and_an_odd_one_is_refused(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "load")
    menu = menu_of(qtbot, page.chart)
    entries(menu)["Picture of another size"].trigger()
    menu.close()
    dialog = page.findChild(SizeDialog)
    assert isinstance(dialog, SizeDialog)
    dialog.size_entry.setText("10x10")
    dialog.accept()
    assert dialog.isVisible()
    dialog.size_entry.setText("900 \u00d7 500")
    dialog.accept()
    file_dialog = page.findChild(QFileDialog)
    assert isinstance(file_dialog, QFileDialog)
    assert "Load, power" in file_dialog.windowTitle()
    file_dialog.reject()


def test_without_the_permission_nothing_can_be_exported(
    qtbot: QtBot, view: MainView, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened_report(qtbot, view, "load")
    monkeypatch.setattr(Session, "may", lambda _session, permission: permission != "export")
    menu = menu_of(qtbot, page.chart)
    assert [action.text() for action in menu.actions() if action.isEnabled()] == ["", "Add note on this time"]
    menu.close()
    QGuiApplication.clipboard().setText("as it was")
    QTest.keyClick(page.chart, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "as it was"
    assert page.bar.isVisible()


def test_a_list_is_exported_as_it_is_shown(qtbot: QtBot, view: MainView) -> None:
    view.show_page("houses")
    page = view.page("houses")
    assert isinstance(page, ListPage)
    qtbot.waitUntil(lambda: page.table.proxy.rowCount() > 0)
    menu = open_context_menu(page)
    entries(menu)["Copy numbers"].trigger()
    menu.close()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert len(lines) == 1 + page.table.proxy.rowCount()
    assert "Name" in lines[0].split("\t")


def saved(
    qtbot: QtBot, page: PeriodPage, offer: Offer, file: Path, size: tuple[int, int] = (1280, 800)
) -> Path:
    page.bar.hide_message()
    page.exporter.save(offer, file, size)
    qtbot.waitUntil(page.bar.isVisible)
    assert export.blocks(offer.piece)
    return file
