"""Finds the parts of a window as an operator or a screen reader does, among what can be seen, and uses them."""

from __future__ import annotations

from typing import Any, TypeVar

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QGraphicsView, QMenu, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.live import HomeFeed
from sgmp_console.ui.pages.reports.page import ReportPage
from sgmp_console.ui.pages.reports.period_page import PeriodPage
from sgmp_console.ui.parts.empty_state import EmptyState, Skeleton
from sgmp_console.ui.parts.formula.checked_formula import CheckedFormula
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.frame.sidebar import Sidebar

W = TypeVar("W", bound=QWidget)


def visible(within: QWidget, kind: type[W], name: str = "") -> list[W]:
    """What is visible of this kind; with a `name`, what a screen reader calls so."""
    parts = [part for part in within.findChildren(kind) if part.isVisibleTo(within)]
    return [part for part in parts if name in ("", part.accessibleName())]


def only(within: QWidget, kind: type[W], name: str = "") -> W:
    (part,) = visible(within, kind, name)
    return part


def press(within: QWidget, text: str) -> None:
    """Click the button with this text."""
    made = next(each for each in visible(within, QPushButton) if each.text().replace("\u00a0", " ") == text)
    QTest.mouseClick(made, Qt.MouseButton.LeftButton)


def press_in_notice(within: QWidget, id_: str) -> None:
    """Click a button of what stands where there is nothing to show."""
    QTest.mouseClick(only(within, EmptyState).buttons()[id_], Qt.MouseButton.LeftButton)


def is_loading(page: QWidget) -> bool:
    return bool(visible(page, Skeleton))


def sidebar_entries(view: QWidget) -> list[QAbstractButton]:
    return only(view, Sidebar).findChildren(QAbstractButton)


def account_menu(view: QWidget) -> QMenu:
    return next(
        menu
        for menu in view.findChildren(QMenu)
        if any(action.text() == "Sign out" for action in menu.actions())
    )


def open_context_menu(page: ListPage[Any, Any]) -> QMenu:
    page.table.customContextMenuRequested.emit(page.table.rect().center())
    (menu,) = page.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return menu


def acts_of(menu: QMenu) -> set[tuple[str, bool]]:
    """What a list's context menu can do with what is chosen, and whether it can now: all above the exports."""
    actions = menu.actions()
    exports = next((place for place, action in enumerate(actions) if action.isSeparator()), len(actions))
    return {(action.text(), action.isEnabled()) for action in actions[:exports]}


def running_timers(owner: QObject) -> list[QTimer]:
    """Its own ones, not those of its parts."""
    direct = owner.findChildren(QTimer, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return [timer for timer in direct if timer.isActive()]


def is_drawn() -> bool:
    """No chart of any window waits for the next frame."""
    windows = QApplication.topLevelWidgets()
    return not any(running_timers(clock) for window in windows for clock in window.findChildren(DrawClock))


def let_time_pass(owner: QObject) -> None:
    """As if its running timers had come to their end."""
    for timer in running_timers(owner):
        timer.timeout.emit()


def is_settled(owner: QObject) -> bool:
    """Nothing waits for a pause in what is typed, and nothing is worked out."""
    typed_in = (owner, *owner.findChildren(CheckedFormula))
    pauses = [timer for part in typed_in for timer in running_timers(part) if timer.isSingleShot()]
    return not pauses and not any(work.busy() for work in owner.findChildren(LatestOnly))


def ask_again_every(live: HomeFeed, ms: int) -> None:
    """Also without having heard of anything new."""
    for timer in live.findChildren(QTimer):
        if not timer.isSingleShot():
            timer.setInterval(ms)


def fetch_without_pause(live: HomeFeed) -> None:
    for timer in live.findChildren(QTimer):
        if timer.isSingleShot():
            timer.setInterval(0)


def hover(chart: TimeChart, where: QPointF) -> None:
    at = chart.mapToGlobal(where)
    none, no_keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(chart, QMouseEvent(QEvent.Type.MouseMove, where, at, none, none, no_keys))


def leave(chart: TimeChart) -> None:
    QApplication.sendEvent(chart, QEvent(QEvent.Type.Leave))


def press_in_window(
    widget: QWidget,
    at: QPoint,
    button: Qt.MouseButton = Qt.MouseButton.LeftButton,
    modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """As the system does: the window finds who gets the press. That widget then gets the moves and the release, too."""
    QTest.mousePress(widget.window().windowHandle(), button, modifier, widget.mapTo(widget.window(), at))


def move_in_window(widget: QWidget, at: QPoint) -> None:
    QTest.mouseMove(widget.window().windowHandle(), widget.mapTo(widget.window(), at))


def release_in_window(
    widget: QWidget,
    at: QPoint,
    button: Qt.MouseButton = Qt.MouseButton.LeftButton,
    modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    QTest.mouseRelease(widget.window().windowHandle(), button, modifier, widget.mapTo(widget.window(), at))
    if modifier != Qt.KeyboardModifier.NoModifier:
        # The key is let go, too: else the application takes it as held, also in the tests that follow.
        QTest.keyRelease(widget.window().windowHandle(), Qt.Key.Key_Shift)


def canvas(chart: TimeChart) -> QGraphicsView:
    return only(chart, QGraphicsView)


def opened_period_page(qtbot: QtBot, view: MainView, id_: str) -> PeriodPage:
    """The page of a report or the heat map, read."""
    if view.live.house_id is None:
        view.start()
    view.show_page(id_)
    page = view.page(id_)
    assert isinstance(page, PeriodPage)
    qtbot.waitUntil(lambda: page.report is not None)
    return page


def opened_report(qtbot: QtBot, view: MainView, id_: str) -> ReportPage:
    page = opened_period_page(qtbot, view, id_)
    assert isinstance(page, ReportPage)
    return page
