"""The frame around the pages: navigation, house switcher, time range, live light, status, keyboard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from PySide6.QtCore import QDate, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QProgressBar,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from sgmp_console.fleet import houses as fleet_houses
from sgmp_console.fleet.edge_state import EdgeStanding, Presence
from sgmp_console.reports import periods
from sgmp_console.store import DatabaseUnavailable, ingest_state
from sgmp_console.store.changes import Change, Reconnected
from sgmp_console.store.ingest_state import IngestState
from sgmp_console.ui.dialogs.finding import FindingDialog
from sgmp_console.ui.page import Page
from sgmp_console.ui.shown_period import Compare, ShownPeriod
from sgmp_console.ui.tasks import Report, Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.ingest_light import ingest_words
from sgmp_console.ui.window.frame.live_light import freshness
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.frame.pages import PAGES, PageDeclaration
from sgmp_console.ui.window.frame.sidebar import Sidebar
from sgmp_console.ui.window.frame.time_range import TimeRangeControl
from tests.ui import equipped, snapshots
from tests.ui.conftest import Deployment, save_picture
from tests.ui.finding import account_menu, let_time_pass, only, press, sidebar_entries, visible
from tests.ui.readers import ChosenReader, Clock


def words(widget: QWidget) -> str:
    found = [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]
    return "\n".join(found).replace("\u00a0", " ")


@pytest.fixture
def started(qtbot: QtBot, view: MainView) -> MainView:
    view.start()
    qtbot.waitUntil(lambda: view.live.snapshot is not None)
    return view


SECOND_PAGE = PageDeclaration(
    "second", "Second", "wave", "Reports", "view_dashboards", Page, has_time_range=True
)
FORBIDDEN = PageDeclaration("forbidden", "Forbidden", "fault", "", "walk_on_water", Page)


@pytest.fixture
def several(
    qtbot: QtBot,
    deployed: Deployment,
    reader: ChosenReader,
    clock: Clock,
    tasks: Tasks,
    appearance: Appearance,
    shown: Callable[..., QWidget],
) -> Iterator[MainView]:
    """A view with a second page, which has a time range, and one that the account may not see."""
    session = deployed.sign_in()
    made = MainView(
        session,
        deployed.houses,
        tasks,
        appearance,
        now_ms=clock,
        open_house=reader.open,
        listen=reader.listen,
        pages=(PAGES[0], SECOND_PAGE, FORBIDDEN),
    )
    shown(made)
    made.start()
    qtbot.waitUntil(lambda: made.live.snapshot is not None)
    yield made
    made.close_down()
    tasks.close(timeout_s=10)
    session.database.dispose()


def test_pages_are_reached_by_keyboard_and_by_rail(several: MainView) -> None:
    QTest.keyClick(several, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert several.page("second").isVisible()
    entry = only(several, QAbstractButton, "Home")
    QTest.mouseClick(entry, Qt.MouseButton.LeftButton)
    assert several.page("home").isVisible()
    assert entry.isChecked()


def test_a_page_the_account_may_not_use_is_absent(several: MainView) -> None:
    names = [entry.accessibleName() for entry in sidebar_entries(several)]
    assert names[:2] == ["Home", "Second"]
    assert "Forbidden" not in names
    assert not several.services.has_page("forbidden")
    several.show_page("forbidden")
    assert several.page("home").isVisible()


def test_f6_goes_from_sidebar_to_top_bar_to_page_and_back(started: MainView) -> None:
    window = started.window()

    def part() -> str:
        focus = window.focusWidget()
        assert focus is not None
        page = started.page("home")
        if focus is page or page.isAncestorOf(focus):
            return "page"
        return "sidebar" if only(started, Sidebar).isAncestorOf(focus) else "top"

    forward, back = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
    met = []
    for modifier in (forward, forward, forward, back, back):
        QTest.keyClick(window, Qt.Key.Key_F6, modifier)
        met.append(part())
    assert met == ["sidebar", "top", "page", "top", "sidebar"]


def test_the_time_range_is_there_for_pages_that_want_it(several: MainView) -> None:
    assert not several.time_range.isVisible()
    several.show_page("second")
    assert several.time_range.isVisible()
    assert several.time_range.button().text() == "Last 24 hours"


def test_a_report_gives_its_memory_back_while_another_page_is_shown(qtbot: QtBot, several: MainView) -> None:
    several.show_page("second")
    report = several.page("second")
    with qtbot.waitSignal(report.destroyed):
        several.show_page("home")
    with pytest.raises(KeyError):
        several.page("second")
    several.show_page("second")
    assert several.page("second").isVisible()


def test_arrows_shift_the_period_and_a_menu_offers_others(qtbot: QtBot, several: MainView) -> None:
    several.show_page("second")
    control, shown = several.time_range, several.services.shown_period
    before = shown.period
    assert not control.later_button().isEnabled()
    QTest.mouseClick(control.earlier_button(), Qt.MouseButton.LeftButton)
    assert shown.period.end_ms == before.start_ms
    next(action for action in control.menu().actions() if action.text() == "This month").trigger()
    assert control.button().text() == "May 2025"


def test_two_dates_are_wall_times_of_the_house(qtbot: QtBot, several: MainView) -> None:
    several.show_page("second")
    shown, popup = several.services.shown_period, several.time_range.popup()
    several.time_range.choose_from_and_to()
    assert popup.start.entry.text() == "2025-05-13 14:00"
    assert popup.end.entry.text() == "2025-05-14 14:00"
    popup.start.entry.setDateTime(popup.end.entry.dateTime().addDays(1))
    assert not popup.show_button.isEnabled()
    assert "ends after it begins" in popup.help_text()
    end = popup.end.entry.dateTime()
    popup.end.entry.setDate(QDate(2199, 1, 1))
    assert not popup.show_button.isEnabled()
    assert "at most 50 years" in popup.help_text()
    popup.end.entry.setDateTime(end)
    popup.start.entry.setDateTime(popup.end.entry.dateTime().addDays(-10))
    with qtbot.waitSignal(shown.changed):
        QTest.mouseClick(popup.show_button, Qt.MouseButton.LeftButton)
    assert shown.period.end_ms - shown.period.start_ms == 10 * 86_400_000


BERLIN = "Europe/Berlin"
HOUR_MS = 3_600_000
MIDNIGHT_UTC = int(datetime(2026, 10, 25, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def shown_period(qtbot: QtBot) -> ShownPeriod:
    return ShownPeriod(lambda: MIDNIGHT_UTC + 48 * HOUR_MS)


@pytest.fixture
def in_berlin(qtbot: QtBot, shown_period: ShownPeriod) -> TimeRangeControl:
    """The clock there goes from 03:00 back to 02:00 at 01:00 UTC on 25 October 2026."""
    control = TimeRangeControl(shown_period)
    qtbot.addWidget(control)
    return control


def test_two_dates_are_chosen_by_enter_alone(shown_period: ShownPeriod, in_berlin: TimeRangeControl) -> None:
    shown_period.choose(periods.custom(MIDNIGHT_UTC + 24 * HOUR_MS, MIDNIGHT_UTC + 25 * HOUR_MS, BERLIN))
    in_berlin.choose_from_and_to()
    popup = in_berlin.popup()
    popup.end.entry.setDateTime(popup.end.entry.dateTime().addSecs(3600))
    for then in (popup.start.entry, popup.end.entry, popup.show_button):
        assert popup.focusWidget() is then
        QTest.keyClick(then, Qt.Key.Key_Return)
    assert not popup.isVisible()
    assert shown_period.period.end_ms == MIDNIGHT_UTC + 26 * HOUR_MS


@pytest.mark.parametrize(
    ("of", "title"),
    [("Whole day", "Sun 25 Oct 2026"), ("Whole month", "October 2026"), ("Whole year", "2026")],
)
def test_a_whole_day_month_or_year_is_chosen_by_a_date_in_it(
    shown_period: ShownPeriod, in_berlin: TimeRangeControl, of: str, title: str
) -> None:
    shown_period.choose(periods.custom(MIDNIGHT_UTC + HOUR_MS, MIDNIGHT_UTC + 2 * HOUR_MS, BERLIN))
    in_berlin.choose_from_and_to()
    popup = in_berlin.popup()
    press(popup, of)
    QTest.keyClick(popup.show_button, Qt.Key.Key_Return)
    assert shown_period.period.title == title


def test_any_period_is_compared_with_and_stays_while_the_shown_one_changes(
    shown_period: ShownPeriod, in_berlin: TimeRangeControl
) -> None:
    other = next(one for one in in_berlin.compare_menu().actions() if one.data() is Compare.OTHER)
    other.trigger()
    assert not other.isChecked()
    popup = in_berlin.other_popup()
    popup.start.entry.setDate(QDate(2024, 2, 10))
    press(popup, "Whole month")
    popup.show_button.click()
    assert other.isChecked()
    assert in_berlin.compare_button().text() == "vs February 2024"
    shown_period.choose_text("today")
    shown_period.set_zone(BERLIN)
    second = shown_period.compared_with
    assert second is not None
    assert second.title == "February 2024"
    assert second.zone == BERLIN


def test_the_menu_marks_the_period_that_is_shown(
    shown_period: ShownPeriod, in_berlin: TimeRangeControl
) -> None:
    for text in ("24h", "yesterday", "last-month"):
        shown_period.choose_text(text)
        in_berlin.button().click()
        assert [one.data() for one in in_berlin.menu().actions() if one.isChecked()] == [text]
        in_berlin.menu().hide()
    shown_period.choose(periods.custom(MIDNIGHT_UTC, MIDNIGHT_UTC + HOUR_MS, BERLIN))
    in_berlin.button().click()
    assert not [one for one in in_berlin.menu().actions() if one.isChecked()]
    in_berlin.menu().hide()


@pytest.mark.parametrize(("start_h", "end_h"), [(-2.0, 1.0), (0.5, 1.5), (0.0, 0.5), (1.0, 2.0)])
def test_a_range_that_is_not_touched_stays_though_the_clock_shows_an_hour_twice(
    qtbot: QtBot, shown_period: ShownPeriod, in_berlin: TimeRangeControl, start_h: float, end_h: float
) -> None:
    start, end = (MIDNIGHT_UTC + round(hours * HOUR_MS) for hours in (start_h, end_h))
    shown_period.choose(periods.custom(start, end, BERLIN))
    in_berlin.choose_from_and_to()
    QTest.mouseClick(in_berlin.popup().show_button, Qt.MouseButton.LeftButton)
    assert (shown_period.period.start_ms, shown_period.period.end_ms) == (start, end)


def test_either_of_two_equal_hours_can_be_chosen(
    shown_period: ShownPeriod, in_berlin: TimeRangeControl
) -> None:
    shown_period.choose(periods.custom(MIDNIGHT_UTC - HOUR_MS, MIDNIGHT_UTC + 4 * HOUR_MS, BERLIN))
    in_berlin.choose_from_and_to()
    start = in_berlin.popup().start
    assert start.which.isHidden()
    start.entry.setDateTime(start.entry.dateTime().addSecs(int(1.5 * 3600)))  # 02:30
    assert [start.which.itemText(row) for row in range(2)] == ["+02:00", "+01:00"]
    assert start.instant_ms() == MIDNIGHT_UTC + HOUR_MS // 2
    start.which.setCurrentIndex(1)
    start.which.activated.emit(1)
    assert start.instant_ms() == MIDNIGHT_UTC + HOUR_MS + HOUR_MS // 2
    in_berlin.popup().hide()


def test_the_rail_collapses_to_icons_with_names(qtbot: QtBot, started: MainView) -> None:
    with qtbot.waitSignal(started.rail_collapsed_changed):
        QTest.keyClick(started, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert only(started, Sidebar).width() == 56
    entry = sidebar_entries(started)[0]
    assert (entry.accessibleName(), entry.toolTip()) == ("Home", "Home (Ctrl+1)")


def test_another_house_is_found_by_typing(qtbot: QtBot, started: MainView, reader: ChosenReader) -> None:
    QTest.keyClick(started, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    popup = started.switcher.popup()
    qtbot.waitUntil(popup.isVisible)
    QTest.keyClicks(popup.search, "harb")
    QTest.keyClick(popup.search, Qt.Key.Key_Return)
    assert not popup.isVisible()
    harbor = next(house for house in started.houses() if house.name == "Harbor House")
    qtbot.waitUntil(lambda: started.live.snapshot is not None)
    assert started.live.house_id == harbor.house_id
    assert started.switcher.accessibleName() == "House: Harbor House"
    assert reader.loads[-1] == harbor.house_id


def test_the_list_of_houses_is_walked_with_arrows(qtbot: QtBot, started: MainView) -> None:
    started.switcher.open()
    popup = started.switcher.popup()
    qtbot.waitUntil(lambda: popup.list.model().rowCount() == 2)
    rows = {popup.list.model().index(row, 0).data() for row in range(2)}
    assert rows == {"Harbor House", "Maple House"}
    before = popup.list.currentIndex().row()
    QTest.keyClick(popup.search, Qt.Key.Key_Down if before == 0 else Qt.Key.Key_Up)
    assert popup.list.currentIndex().row() != before
    QTest.keyClicks(popup.search, "zzz")
    assert "No house has this" in words(popup)
    popup.hide()


def test_a_house_made_meanwhile_is_in_the_list(qtbot: QtBot, started: MainView, deployed: Deployment) -> None:
    from sgmp_console.fleet import houses

    houses.create(deployed.owner, "Cedar House", time_zone="UTC")
    started.switcher.open()
    qtbot.waitUntil(lambda: len(started.houses()) == 3)
    assert started.switcher.popup().list.model().rowCount() == 3
    started.switcher.popup().hide()


def test_trouble_in_another_house_is_seen_from_every_page(
    qtbot: QtBot, started: MainView, deployed: Deployment
) -> None:
    maple, harbor = (
        next(house for house in deployed.houses if house.name == name)
        for name in ("Maple House", "Harbor House")
    )
    qtbot.waitUntil(lambda: started.live.house_id == maple.house_id)
    equipped.find(deployed.owner, harbor, "edge_offline")
    QTest.keyClick(started, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: "Harbor House" in started.switcher.accessibleDescription())
    houses = next(entry for entry in sidebar_entries(started) if entry.accessibleName() == "Houses")
    assert "Harbor House" in houses.accessibleDescription()
    started.switcher.open()
    rows = started.switcher.popup().list.model()
    assert any("The edge is offline" in rows.index(row, 0).data() for row in range(rows.rowCount()))
    started.switcher.popup().hide()


def test_the_top_bar_counts_what_is_open_and_leads_to_its_house(
    qtbot: QtBot, started: MainView, deployed: Deployment
) -> None:
    maple, harbor = (
        next(house for house in deployed.houses if house.name == name)
        for name in ("Maple House", "Harbor House")
    )
    qtbot.waitUntil(lambda: started.live.house_id == maple.house_id)
    qtbot.waitUntil(lambda: started.findings.text() == "Not watched")
    since_ms = int(time.time() * 1000) - 3_600_000
    equipped.find(deployed.owner, maple, "quarantine", "warning", noted=True)
    equipped.find(deployed.owner, harbor, "edge_offline", since_ms=since_ms)
    equipped.find(deployed.owner, None, "broker_away", since_ms=since_ms)
    QTest.keyClick(started, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: started.findings.text() == "2 findings")
    started.findings.open()
    (listed,) = started.findings.popup().findChildren(QListView)
    rows = [listed.model().index(row, 0) for row in range(listed.model().rowCount())]
    assert [row.data().partition(" · ")[2] for row in rows] == [
        "Harbor House: The edge is offline",
        "Ingest does not reach the broker: nothing of any house arrives",
    ]
    listed.setCurrentIndex(rows[0])
    QTest.keyClick(listed, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: started.live.house_id == harbor.house_id)
    assert not started.findings.popup().isVisible()
    dialog = only(started, FindingDialog)
    assert dialog.isVisible()
    assert "The edge is offline" in [text.text() for text in visible(dialog, QLabel)]
    dialog.reject()


def test_a_fault_of_a_house_is_marked_as_a_fault_and_a_warning_as_a_warning(
    qtbot: QtBot, started: MainView, deployed: Deployment
) -> None:
    by_name = {house.name: house for house in deployed.houses}
    houses = next(entry for entry in sidebar_entries(started) if entry.accessibleName() == "Houses")
    marks = []
    opened = (("Maple House", "quarantine", "warning"), ("Harbor House", "edge_offline", "critical"))
    for name, rule, severity in opened:
        equipped.find(deployed.owner, by_name[name], rule, severity)
        QTest.keyClick(started, Qt.Key.Key_F5)
        qtbot.waitUntil(partial(lambda name: name in houses.accessibleDescription(), name))
        marks.append(houses.grab().toImage())
    assert marks[0] != marks[1]


def test_a_long_list_of_houses_is_as_high_and_wide_as_it_needs(
    qtbot: QtBot, started: MainView, deployed: Deployment
) -> None:
    long = "The Very Long Name of a House Somebody Wrote to Try the Layout"
    for name in (*(f"House {number}" for number in range(8)), long):
        fleet_houses.create(deployed.owner, name, time_zone="UTC")
    started.switcher.open()
    popup = started.switcher.popup()
    qtbot.waitUntil(lambda: popup.list.model().rowCount() == 11)
    assert popup.list.height() >= 10 * 32
    assert popup.list.viewport().width() >= popup.list.fontMetrics().horizontalAdvance(long)
    popup.hide()


def test_tab_reaches_the_entry_of_the_page_that_is_shown(several: MainView) -> None:
    several.show_page("second")
    assert [entry.accessibleName() for entry in sidebar_entries(several) if takes_tab(entry)] == [
        "Second",
        "Collapse the sidebar (Ctrl+B)",
    ]


def takes_tab(widget: QWidget) -> bool:
    return bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)


def test_the_entries_of_a_low_window_scroll_to_the_page_that_is_shown(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    entries = [(f"page{number}", f"Page {number}", "house", "") for number in range(30)]
    rail = Sidebar(entries, collapsed=False)
    shown(rail, 208, 600)
    rail.show_chosen("page29")
    qapp.processEvents()
    last = next(entry for entry in rail.findChildren(QAbstractButton) if entry.accessibleName() == "Page 29")
    assert not last.visibleRegion().isEmpty()
    assert rail.minimumSizeHint().height() < 600


def test_all_pages_there_are_fit_a_window_of_650_pixels(
    shown: Callable[..., QWidget], qapp: QApplication
) -> None:
    """With a title bar of 24 pixels, and room for two pages more."""
    listed = [page for page in PAGES if not page.below]
    pages = [*listed, *(replace(listed[-1], id_=name) for name in ("more", "still more"))]
    rail = Sidebar([(page.id_, page.title, page.icon, page.group) for page in pages], collapsed=False)
    shown(rail, 208, 626)
    qapp.processEvents()
    entries = rail.findChildren(QAbstractButton)
    assert all(entry.visibleRegion().boundingRect() == entry.rect() for entry in entries)


def test_the_light_says_how_fresh_the_data_is() -> None:
    now = snapshots.NOW_MS
    live = snapshots.snapshot()

    def said(snapshot: object, *, online: bool = True) -> tuple[str, str]:
        state, text = freshness(snapshot, now + 1000, online=online)  # type: ignore[arg-type]
        return state, text.replace("\u00a0", " ")

    assert said(live) == ("live", "Live · 3 s ago")
    assert said(snapshots.stale()) == ("stale", "Stale · 25 min ago")
    assert said(snapshots.empty(devices=True, missing=())) == ("silent", "No data yet")
    assert said(live, online=False) == ("offline", "Offline")
    assert said(None) == ("unknown", "")
    offline = EdgeStanding(Presence.OFFLINE, now - 89_000)
    assert said(replace(live, edge=offline)) == ("stale", "Edge offline · 1 min ago")
    first, *others = live.devices
    silent = replace(first, newest_ms=now - 47_000, stale_after_ms=20_000)
    assert said(replace(live, devices=(silent, *others))) == ("partial", "1 of 3 devices down")


def ingest(updated_ms: int, **statistics: object) -> IngestState:
    return IngestState(
        "sgmp_ingest", updated_ms, {"receiving": True, "delay_ms": 250, "waiting": 0, **statistics}
    )


@pytest.mark.parametrize(
    ("states", "well", "words"),
    [
        ([], True, ""),
        ([ingest(snapshots.NOW_MS - 3000)], True, "Ingest 0.2 s behind"),
        (
            [ingest(snapshots.NOW_MS, waiting=1200, delay_ms=8000)],
            True,
            "Ingest 8.0 s behind, 1,200 messages waiting",
        ),
        ([ingest(snapshots.NOW_MS, receiving=False)], False, "Ingest not connected to the broker"),
        ([ingest(snapshots.NOW_MS - 300_000)], False, "Ingest silent for 5 min"),
        ([ingest(snapshots.NOW_MS - 300_000), ingest(snapshots.NOW_MS)], True, "Ingest 0.2 s behind"),
    ],
)
def test_ingest_says_how_far_it_is_behind(states: list[IngestState], well: bool, words: str) -> None:
    healthy, text = ingest_words(states, snapshots.NOW_MS)
    assert (healthy, text.replace("\u00a0", " ")) == (well, words)


def test_the_status_bar_shows_what_ingest_reports(
    qtbot: QtBot, started: MainView, deployed: Deployment, clock: Clock
) -> None:
    with deployed.owner.begin() as connection:
        ingest_state.report(connection, "sgmp_ingest", {"receiving": True, "delay_ms": 400, "waiting": 0})
        (state,) = ingest_state.read(connection)
    clock.now_ms = state.updated_ms + 1000
    let_time_pass(started.ingest)
    qtbot.waitUntil(lambda: "0.4" in started.ingest.text())


def test_the_light_lists_the_age_of_each_device(started: MainView) -> None:
    tip = started.light.toolTip().replace("\u00a0", " ")
    assert "egauge: 3 s ago" in tip
    assert "powerflex: 12 s ago" in tip


def test_news_of_the_house_on_screen_are_fetched(
    qtbot: QtBot, started: MainView, reader: ChosenReader
) -> None:
    house_id = started.live.house_id
    assert house_id is not None
    reader.heard.put(Change(house_id, 4711))
    qtbot.waitUntil(lambda: bool(reader.updates))
    assert reader.updates[0][1] == 4711


def test_after_a_lost_listener_everything_is_looked_at_again(
    qtbot: QtBot, started: MainView, reader: ChosenReader
) -> None:
    reader.heard.put(Reconnected())
    reader.heard.put(Reconnected())
    qtbot.waitUntil(lambda: len(reader.loads) == 2)


@pytest.mark.expected_warnings("house . is not read: The database is not available")
def test_a_lost_database_is_said_retried_and_resumed(
    qtbot: QtBot, started: MainView, reader: ChosenReader, clock: Clock
) -> None:
    house_id = started.live.house_id
    assert house_id is not None
    reader.answer = DatabaseUnavailable("connection refused")
    reader.heard.put(Change(house_id, 1))
    qtbot.waitUntil(started.banner.isVisible)
    assert "has not answered" in started.banner.text()
    assert started.light.text() == "Offline"
    assert "not connected" in words(started.status)
    assert started.page("home").tiles[0].value_text() != "–"  # type: ignore[attr-defined]
    reader.answer = snapshots.snapshot()
    started.connection.retry_now()
    qtbot.waitUntil(lambda: not started.banner.isVisible())
    qtbot.waitUntil(lambda: len(reader.loads) == 2)
    assert "· connected" in words(started.status)


def test_background_work_is_shown_with_progress_and_can_be_cancelled(
    qtbot: QtBot, started: MainView, tasks: Tasks
) -> None:
    go = threading.Event()
    ended: list[object] = []

    def work(report: Report) -> None:
        report(0.25, "day 7 of 30")
        go.wait(10)
        report(0.5, "day 15 of 30")

    tasks.run_shown(started, "Populating history", work, ended.append, ended.append)
    qtbot.waitUntil(lambda: "Populating history: day 7 of 30" in words(started.status))
    assert only(started.status, QProgressBar).value() == 250
    QTest.mouseClick(only(started.status, QToolButton, "Cancel"), Qt.MouseButton.LeftButton)
    go.set()
    qtbot.waitUntil(lambda: bool(ended))
    assert not visible(started.status, QProgressBar)


def test_the_theme_is_chosen_in_the_account_menu(started: MainView, appearance: Appearance) -> None:
    themes = account_menu(started).findChild(QMenu)
    assert themes is not None
    dark = next(action for action in themes.findChildren(QAction) if action.text() == "Dark")
    dark.trigger()
    assert appearance.choice == "dark"


def test_f5_reads_again(qtbot: QtBot, started: MainView, reader: ChosenReader) -> None:
    QTest.keyClick(started, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: len(reader.loads) == 2)


def test_all_that_takes_the_focus_has_a_name(several: MainView) -> None:
    nameless = [
        repr(widget)
        for widget in several.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not isinstance(widget, QLineEdit)
        and widget.isVisible()
        and not (widget.accessibleName() or getattr(widget, "text", str)())
    ]
    assert not nameless


def test_tab_walks_through_the_window_in_reading_order(qtbot: QtBot, started: MainView) -> None:
    names = []
    sidebar_entries(started)[0].setFocus()
    for _ in range(12):
        focused = started.window().focusWidget()
        names.append(focused.accessibleName() or getattr(focused, "text", str)())
        QTest.keyClick(started, Qt.Key.Key_Tab)
    order = [
        next(i for i, name in enumerate(names) if name.startswith(part))
        for part in ("Home", "House:", "Account", "Power,")
    ]
    assert order == sorted(order)


def test_an_account_without_a_house_is_reported(
    deployed: Deployment,
    tasks: Tasks,
    appearance: Appearance,
    shown: Callable[..., QWidget],
    reader: ChosenReader,
) -> None:
    session = deployed.sign_in()
    nobody = replace(session, account=replace(session.account, permissions=frozenset({"view_dashboards"})))
    made = MainView(nobody, [], tasks, appearance, open_house=reader.open, listen=reader.listen)
    shown(made)
    made.start()
    assert "There are no houses yet\nYour account belongs to no house." in words(made)
    made.close_down()
    session.database.dispose()


def test_a_role_without_permissions_is_reported(
    deployed: Deployment,
    tasks: Tasks,
    appearance: Appearance,
    shown: Callable[..., QWidget],
    reader: ChosenReader,
) -> None:
    session = deployed.sign_in()
    nobody = replace(session, account=replace(session.account, role="guest", permissions=frozenset()))
    made = MainView(nobody, deployed.houses, tasks, appearance, open_house=reader.open, listen=reader.listen)
    shown(made)
    made.start()
    assert "There is nothing here for your role" in words(made)
    made.close_down()
    session.database.dispose()


def test_what_the_window_says_of_all_pages_moves_nothing(qtbot: QtBot, started: MainView) -> None:
    page = started.page("home")
    before = page.mapTo(started, page.rect().topLeft()), page.size()
    started.say("warning", "The password could not be stored in the keyring of this computer.")
    started.connection.lost(DatabaseUnavailable("It does not answer."))
    qtbot.waitUntil(started.banner.isVisible)
    qtbot.waitUntil(lambda: started.banner.height() >= 40)
    assert (page.mapTo(started, page.rect().topLeft()), page.size()) == before
    save_picture(started, "offline_overlay")
