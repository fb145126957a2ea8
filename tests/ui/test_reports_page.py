"""The report pages: figures with their reasons, curves, period and comparison, files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pypdf import PdfReader
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.reports import periods
from sgmp_console.reports.report import Kind, Section
from sgmp_console.store import Batch, EventRow, accounts, devices, readings
from sgmp_console.timeseries import HOUR_MS, calendar
from sgmp_console.ui import formats
from sgmp_console.ui.pages.reports.figures import WhyCard, why_text
from sgmp_console.ui.pages.reports.page import ReportPage
from sgmp_console.ui.pages.reports.several import SeveralDialog
from sgmp_console.ui.parts.table import RowsTable
from sgmp_console.ui.shown_period import Compare
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui import snapshots
from tests.ui.conftest import PICTURES, Deployment, let_draw, save_picture
from tests.ui.finding import (
    move_in_window,
    opened_period_page,
    opened_report,
    press_in_window,
    release_in_window,
)
from tests.ui.readers import ChosenReader, Clock

MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS


PLUGGED_MS = (snapshots.NOW_MS - 9 * HOUR_MS, snapshots.NOW_MS - 5 * HOUR_MS)
"""When a car was at the charger of the house."""
VISITOR = "vera@example.org"


@pytest.fixture(scope="module")
def visited(filled_once: Deployment) -> Deployment:
    """A car was there, and a visitor has an account."""
    house = filled_once.houses[0]
    began, ended = PLUGGED_MS
    with filled_once.owner.begin() as connection:
        station = next(one for one in devices.list_all(connection, house.house_id) if one.name == "powerflex")
        rows = [
            EventRow(house.house_id, station.device_id, "powerflex", at, kind, data)
            for at, kind, data in (
                (began, "EV_START_CHARGING", {}),
                (ended, "EV_END_CHARGING", {"energy": 9_000_000}),
            )
        ]
        readings.write(connection, Batch(events=rows))
        accounts.create(
            connection,
            email=VISITOR,
            name="Vera",
            role="visitor",
            house_id=house.house_id,
            password=filled_once.password,
            must_change_password=False,
        )
    return filled_once


@pytest.fixture
def deployed(visited: Deployment) -> Deployment:
    return visited


def test_a_report_shows_its_figures_for_the_period_in_the_top_bar(qtbot: QtBot, view: MainView) -> None:
    for kind in Kind:
        page = opened_period_page(qtbot, view, kind.value)
        report = page.report
        assert report is not None
        assert report.has_data
        shown = [figure for figure in report.figures if figure.section is not Section.CHECK]
        assert [tile.figure for tile in page.figures.tiles] == shown
        assert view.time_range.button().text() == report.period.title == "Last 24 hours"


def test_what_an_act_reports_moves_nothing_and_stays_when_the_report_is_computed_again(
    qtbot: QtBot, view: MainView
) -> None:
    page = opened_report(qtbot, view, "solar")
    let_draw()  # until its layout is settled
    before = page.chart.mapTo(view, page.chart.rect().topLeft())
    page.copy_figures()
    assert page.bar.isVisible()
    read = page.report
    page.reload()
    qtbot.waitUntil(lambda: page.report is not read)
    let_draw()
    assert page.bar.isVisible()
    assert page.chart.mapTo(view, page.chart.rect().topLeft()) == before


def test_the_arrows_and_the_menu_change_the_period(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    view.services.shown_period.choose_text("yesterday")
    day = view.services.shown_period.period
    qtbot.waitUntil(lambda: page.report is not None and page.report.period == day)
    QTest.mouseClick(view.time_range.earlier_button(), Qt.MouseButton.LeftButton)
    assert view.services.shown_period.period == day.moved(-1)
    QTest.mouseClick(view.time_range.later_button(), Qt.MouseButton.LeftButton)
    assert view.services.shown_period.period == day


class ShownWindows(QObject):
    """Filters the application's events: which windows are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[QObject] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.windows.append(watched)
        return False


def test_no_part_of_a_report_is_seen_as_a_window_of_its_own_for_a_moment(
    qtbot: QtBot, view: MainView, qapp: QApplication
) -> None:
    shown = ShownWindows()
    qapp.installEventFilter(shown)
    page = opened_report(qtbot, view, "energy")
    qapp.removeEventFilter(shown)
    assert page.figures.tiles
    assert not shown.windows


def test_a_comparison_stands_beside_each_figure(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "load")
    view.services.shown_period.choose_compare(Compare.PREVIOUS)
    qtbot.waitUntil(lambda: page.report is not None and page.report.comparison is not None)
    assert page.report is not None
    assert page.report.difference("energy") is not None
    assert view.time_range.compare_button().text().startswith("vs ")


def test_why_is_asked_by_key_and_says_where_the_number_comes_from(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    tile = page.figures.tiles[0]
    tile.setFocus()
    QTest.keyClick(tile, Qt.Key.Key_F2)
    card = next(one for one in page.figures.findChildren(WhyCard))
    assert "Formula: pos(egauge.A.Solar)" in card.text
    assert "Slots of five minutes: 288 of 288" in card.text
    QTest.mouseClick(card.copy_button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == card.text


def test_a_report_that_is_computed_again_leaves_the_answer_open_and_the_focus_where_it_was(
    qtbot: QtBot, view: MainView
) -> None:
    page = opened_report(qtbot, view, "solar")
    view.activateWindow()
    tile = page.figures.tiles[1]
    tile.setFocus()
    qtbot.waitUntil(tile.hasFocus)  # the window is active
    QTest.keyClick(tile, Qt.Key.Key_F2)
    card = next(one for one in page.figures.findChildren(WhyCard))
    before = page.report
    page.reload()
    qtbot.waitUntil(lambda: page.report is not before, timeout=30_000)
    assert card.isVisible()
    QTest.keyClick(card, Qt.Key.Key_Escape)
    # Of the window: whether it is active again when the card is closed is for the window manager.
    qtbot.waitUntil(lambda: view.window().focusWidget() is page.figures.tiles[1])


def test_a_figure_keeps_the_focus_when_its_report_is_computed_while_another_window_is_active(
    qtbot: QtBot, view: MainView
) -> None:
    page = opened_report(qtbot, view, "solar")
    view.activateWindow()
    page.figures.tiles[1].setFocus()
    qtbot.waitUntil(page.figures.tiles[1].hasFocus)
    other = QWidget()
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    qtbot.waitUntil(other.isActiveWindow)
    before = page.report
    page.reload()
    qtbot.waitUntil(lambda: page.report is not before, timeout=30_000)
    assert view.window().focusWidget() is page.figures.tiles[1]


def test_why_names_gaps_and_what_is_unknown(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    house = page.services.live.house_id
    assert house is not None
    zone = view.services.shown_period.zone
    first = snapshots.NOW_MS - 3 * DAY_MS
    view.services.shown_period.choose(periods.custom(first - 5 * HOUR_MS, first + 5 * HOUR_MS, zone))
    qtbot.waitUntil(lambda: page.report is not None and page.report.period.start_ms < first)
    assert page.report is not None
    text = why_text(page.report, page.report.figure("energy"), calendar.zone(zone))
    assert "No value: " in text
    assert "(5." in text


def test_a_period_without_readings_says_so_and_offers_a_way_out(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    zone = view.services.shown_period.zone
    view.services.shown_period.choose(periods.day(date(2001, 1, 1), zone))
    qtbot.waitUntil(lambda: page.notice() is not None)
    state = page.notice()
    assert state is not None
    QTest.mouseClick(state.buttons()["last-24-hours"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.report is not None and page.report.has_data)


def test_a_report_is_written_to_a_file(qtbot: QtBot, view: MainView, tmp_path: Path) -> None:
    page = opened_report(qtbot, view, "battery")
    page.save(tmp_path / "battery.csv")
    qtbot.waitUntil(lambda: page.bar.isVisible())
    assert page.bar.text().startswith("Exported to")
    assert "Figures" in (tmp_path / "battery.csv").read_text("utf-8-sig")


@pytest.mark.parametrize("kind", Kind)
def test_a_report_is_written_as_picture_and_pdf_with_the_same_bytes_each_time(
    qtbot: QtBot, view: MainView, appearance: Appearance, tmp_path: Path, kind: Kind
) -> None:
    view.services.shown_period.choose_compare(Compare.PREVIOUS)
    page = opened_period_page(qtbot, view, kind.value)
    for theme in ("light", "dark"):
        appearance.choose(theme)
        for ending in ("png", "pdf"):
            page.bar.hide_message()
            page.save(tmp_path / f"{theme}.{ending}", (1500, 1000))
            qtbot.waitUntil(lambda: page.bar.isVisible())
    picture = QImage(str(tmp_path / "light.png"))
    assert (picture.width(), picture.height()) == (1500, 1000)
    for ending in ("png", "pdf"):
        content = (tmp_path / f"light.{ending}").read_bytes()
        assert content == (tmp_path / f"dark.{ending}").read_bytes()
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"report_paper_{kind.value}.{ending}").write_bytes(content)


def test_several_reports_of_several_houses_become_one_pdf(
    qtbot: QtBot, deployed: Deployment, view: MainView, tmp_path: Path
) -> None:
    page = opened_report(qtbot, view, "battery")
    page.open_several()
    dialog = page.findChild(SeveralDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: len(dialog.chosen_houses()) == 1)
    assert dialog.chosen_kinds() == [Kind.BATTERY]
    dialog.kinds[Kind.BATTERY].setChecked(False)
    assert not dialog.act.isEnabled()
    for kind in (Kind.SOLAR, Kind.ENERGY):
        dialog.kinds[kind].setChecked(True)
    QTest.mouseClick(dialog.all_houses, Qt.MouseButton.LeftButton)
    save_picture(dialog, "several_reports")
    dialog.write(tmp_path / "all.pdf")
    qtbot.waitUntil(lambda: page.bar.isVisible())
    assert page.bar.text().startswith("Exported to")
    pages = PdfReader(tmp_path / "all.pdf").pages
    text = " ".join(" ".join(page.extract_text().split()) for page in pages)
    for house in deployed.houses:
        for title in ("Energy", "Solar"):
            assert f"{house.name} \u00b7 {title}: Last 24 hours" in text


def test_an_export_of_several_reports_that_is_cancelled_leaves_no_file(
    qtbot: QtBot, view: MainView, tmp_path: Path
) -> None:
    page = opened_report(qtbot, view, "battery")
    page.open_several()
    dialog = page.findChild(SeveralDialog)
    assert dialog is not None
    qtbot.waitUntil(lambda: len(dialog.chosen_houses()) == 1)
    for box in dialog.kinds.values():
        box.setChecked(True)
    dialog.write(tmp_path / "all.pdf")
    dialog.cancel.click()
    qtbot.waitUntil(lambda: not dialog.busy)
    assert list(tmp_path.iterdir()) == []
    assert dialog.isVisible()
    dialog.cancel.click()


def test_a_visitor_sees_the_reports_and_exports_none(
    qtbot: QtBot,
    deployed: Deployment,
    reader: ChosenReader,
    clock: Clock,
    tasks: Tasks,
    appearance: Appearance,
    shown: Callable[..., QWidget],
    tmp_path: Path,
) -> None:
    session = replace(deployed, email=VISITOR).sign_in()
    view = MainView(
        session,
        deployed.houses[:1],
        tasks,
        appearance,
        now_ms=clock,
        open_house=reader.open,
        listen=reader.listen,
    )
    shown(view)
    try:
        page = opened_report(qtbot, view, "ev")
        assert page.report is not None
        assert page.report.has_data
        export = next(one for one in page.findChildren(QAbstractButton) if one.text() == "Export")
        assert not export.isEnabled()
        assert "permission export" in export.toolTip()
        page.save(tmp_path / "ev.csv")
        tasks.close(timeout_s=10)
        assert list(tmp_path.iterdir()) == []
    finally:
        view.close_down()
        tasks.close(timeout_s=10)
        session.database.dispose()


def test_a_tile_says_where_its_number_comes_from_under_the_pointer(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "energy")
    for tile in page.figures.tiles:
        assert "Slots of five minutes: 288 of 288" in tile.toolTip()
        assert "solar = pos(egauge.A.Solar)" in tile.toolTip()


def test_a_file_that_can_not_be_written_is_a_sentence(qtbot: QtBot, view: MainView, tmp_path: Path) -> None:
    page = opened_report(qtbot, view, "battery")
    page.save(tmp_path / "missing" / "battery.csv")
    qtbot.waitUntil(lambda: page.bar.isVisible())
    assert "can't be written" in page.bar.text()


def test_figures_are_copied_as_they_are(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    page.copy_figures()
    assert page.report is not None
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[1].split("\t") == ["Energy", repr(page.report.figure("energy").value), "kWh"]


def test_a_page_that_is_left_gives_its_report_back(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    view.show_page("home")
    assert page.report is None
    view.show_page("solar")
    shown = view.page("solar")
    assert isinstance(shown, ReportPage)
    qtbot.waitUntil(lambda: shown.report is not None)


def test_a_bar_leads_to_its_day(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "energy")
    shown = view.services.shown_period
    month = periods.parse("month", snapshots.NOW_MS, shown.zone)
    shown.choose(month)
    qtbot.waitUntil(lambda: page.report is not None and page.report.period == month)
    report = page.report
    assert report is not None
    assert report.bars is not None
    today = periods.parse("today", snapshots.NOW_MS, shown.zone)
    place = report.bars.bounds.index(today.start_ms)
    page.bars.setFocus()
    for _ in range(len(report.bars.bounds) - 1 - place):
        QTest.keyClick(page.bars, Qt.Key.Key_Left)
    assert page.bars.text().startswith(today.title)
    QTest.keyClick(page.bars, Qt.Key.Key_Return)
    assert shown.period == today


def test_a_session_opens_its_curve_and_a_double_click_shows_the_whole_again(
    qtbot: QtBot, view: MainView
) -> None:
    began, ended = PLUGGED_MS
    page = opened_report(qtbot, view, "ev")
    shown = view.services.shown_period
    whole = shown.period
    rows_table = page.findChild(RowsTable)
    assert rows_table is not None
    view.resize(1280, 1700)
    rows_table.setCurrentIndex(rows_table.model().index(0, 0))
    QTest.keyClick(rows_table, Qt.Key.Key_Return)
    part = shown.period
    assert part.start_ms < began < ended < part.end_ms
    assert part.end_ms - part.start_ms < 6 * HOUR_MS
    qtbot.waitUntil(lambda: page.report is not None and page.report.period == part)
    page.chart.whole_wanted.emit()
    assert shown.period == whole


def test_the_legend_hides_what_is_stacked_and_says_its_energy(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "energy")
    rows = {
        row.accessibleName(): row
        for row in page.findChildren(QAbstractButton)
        if row.accessibleName().endswith("kWh")
    }
    assert page.report is not None
    imported = formats.with_unit(page.report.figure("grid_import").value, "kWh")
    row = rows[f"Grid import, {imported}"]
    qtbot.waitUntil(lambda: page.chart.drawn("grid_import"))
    QTest.mouseClick(row, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not page.chart.drawn("grid_import"))


def test_dragging_shows_a_part_and_a_double_click_the_whole(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    shown = view.services.shown_period
    whole = shown.period
    qtbot.waitUntil(lambda: page.chart.drawn("solar"))
    start, end = whole.start_ms + 6 * HOUR_MS, whole.start_ms + 9 * HOUR_MS
    press_in_window(page.chart, page.chart.point_at(start).toPoint())
    move_in_window(page.chart, page.chart.point_at(end).toPoint())
    release_in_window(page.chart, page.chart.point_at(end).toPoint())
    part = shown.period
    assert abs(part.start_ms - start) <= 10 * MINUTE_MS
    assert abs(part.end_ms - end) <= 10 * MINUTE_MS
    qtbot.waitUntil(lambda: page.report is not None and page.report.period == part)
    QTest.mouseDClick(page.chart, Qt.MouseButton.LeftButton, pos=page.chart.point_at(part.start_ms).toPoint())
    assert shown.period == whole


def test_a_part_is_chosen_by_keys_and_left_with_alt_and_arrows(qtbot: QtBot, view: MainView) -> None:
    page = opened_report(qtbot, view, "solar")
    shown = view.services.shown_period
    whole = shown.period
    page.chart.setFocus()
    QTest.keyClick(page.chart, Qt.Key.Key_Left)
    for _ in range(12):
        QTest.keyClick(page.chart, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(page.chart, Qt.Key.Key_Return)
    part = shown.period
    assert (part.start_ms, part.end_ms) == (whole.end_ms - HOUR_MS, whole.end_ms)
    QTest.keyClick(page.chart, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert shown.period == whole
    QTest.keyClick(page.chart, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert shown.period == part
