"""A picture of every page and state, in both themes and two sizes, into `screenshots/`, for people to look at.

Home in each theme at each size, the other states small and light, large and dark.

What can be said of a picture without looking is asserted: it is no single colour, and nothing is cut off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest
from PySide6.QtWidgets import QStackedWidget, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.settings import Profile, ThemeChoice, WindowSettings
from sgmp_console.store import DatabaseUnavailable, SignInRefused
from sgmp_console.ui.pages.home.page import HomePage
from sgmp_console.ui.parts.empty_state import Skeleton
from sgmp_console.ui.tasks import Report, Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.console import Console
from sgmp_console.ui.window.entry.preparation import Preparation, PreparationPage, PreparationProcess
from sgmp_console.ui.window.entry.sign_in import SignInPage
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.uncaught import UncaughtErrors, uncaught_dialog
from tests.ui import snapshots
from tests.ui.conftest import cut_off, has_content, let_draw, save_picture, save_pictures
from tests.ui.finding import account_menu, hover, is_loading, let_time_pass, only, press
from tests.ui.readers import ChosenReader

SHAPES: tuple[tuple[ThemeChoice, tuple[int, int]], ...] = tuple(
    product(("light", "dark"), ((1280, 800), (1920, 1080)))
)

Picture = Callable[[QWidget, str], None]


@pytest.fixture
def picture(appearance: Appearance) -> Picture:
    def take(widget: QWidget, name: str) -> None:
        for theme, (width, height) in SHAPES if name == "home" else (SHAPES[0], SHAPES[-1]):
            appearance.choose(theme)
            widget.resize(width, height)
            assert has_content(save_picture(widget, name))
            assert cut_off(widget) == []

    return take


PARTIAL = snapshots.snapshot()
STATES: dict[str, HomeSnapshot | Exception] = {
    "home": snapshots.snapshot(),
    "home_stale": snapshots.stale(),
    "home_partial": replace(
        PARTIAL,
        curves={item: curve for item, curve in PARTIAL.curves.items() if item != "ev"},
        missing_items=("ev", "ev_event_count"),
        findings=(),
    ),
    "home_no_devices": snapshots.empty(devices=False, missing=("solar",)),
    "home_no_items": snapshots.empty(
        devices=True, missing=("battery", "battery_charging", "ev", "load", "solar")
    ),
    "home_error": RuntimeError("in a report"),
    "home_never_connected": DatabaseUnavailable("connection refused"),
}


@pytest.mark.expected_warnings("house . is not read: The database is not available")
@pytest.mark.parametrize("state", STATES)
def test_home(qtbot: QtBot, view: MainView, reader: ChosenReader, picture: Picture, state: str) -> None:
    reader.answer = STATES[state]
    view.start()
    page = view.page("home")
    assert isinstance(page, HomePage)
    qtbot.waitUntil(lambda: not is_loading(page))
    picture(view, state)


def test_home_loading(qtbot: QtBot, view: MainView, reader: ChosenReader, picture: Picture) -> None:
    reader.gate.clear()
    view.start()
    page = view.page("home")
    assert isinstance(page, HomePage)
    let_time_pass(only(page, Skeleton))
    picture(view, "home_loading")
    reader.gate.set()


def test_home_offline_with_work_under_way(
    qtbot: QtBot, view: MainView, tasks: Tasks, picture: Picture
) -> None:
    view.start()
    qtbot.waitUntil(lambda: view.live.snapshot is not None)
    view.connection.lost(DatabaseUnavailable("connection refused"))
    go = threading.Event()
    heard: list[object] = []

    def work(report: Report) -> None:
        report(0.4, "day 12 of 30")
        go.wait(30)

    task = tasks.run_shown(view, "Populating history", work, heard.append, heard.append)
    qtbot.waitUntil(lambda: task.fraction == 0.4)
    picture(view, "home_offline")
    go.set()
    qtbot.waitUntil(lambda: bool(heard))


def test_home_with_crosshair(qtbot: QtBot, view: MainView, appearance: Appearance) -> None:
    view.start()
    page = view.page("home")
    assert isinstance(page, HomePage)
    qtbot.waitUntil(lambda: page.is_content_shown() and page.power_chart.point_at(snapshots.NOW_MS).x() > 300)
    let_draw()
    for theme in ("light", "dark"):
        appearance.choose(theme)
        hover(page.power_chart, page.power_chart.point_at(snapshots.NOW_MS - 3 * 3_600_000))
        hover(page.line_chart, page.line_chart.point_at(snapshots.NOW_MS - 18 * 3_600_000))
        save_picture(view, "home_crosshair")


def test_home_on_a_large_screen(qtbot: QtBot, view: MainView) -> None:
    view.resize(2560, 1440)
    view.start()
    qtbot.waitUntil(lambda: view.live.snapshot is not None)
    save_picture(view, "home")


def test_house_switcher_and_menus(qtbot: QtBot, view: MainView, appearance: Appearance) -> None:
    view.start()
    view.time_range.show()
    for theme in ("light", "dark"):
        appearance.choose(theme)
        view.switcher.open()
        account_menu(view).ensurePolished()
        view.time_range.choose_from_and_to()
        for name, popup in (
            ("house_switcher", view.switcher.popup()),
            ("account_menu", account_menu(view)),
            ("time_range_menu", view.time_range.menu()),
            ("time_range", view.time_range.popup()),
        ):
            popup.adjustSize()
            save_picture(popup, name)
            popup.hide()


@pytest.fixture
def console(tasks: Tasks, appearance: Appearance) -> Iterator[Console]:
    errors = UncaughtErrors()
    made = Console(tasks, appearance, errors, WindowSettings(), None)
    made.show_window()
    yield made
    made.close()
    made.deleteLater()
    errors.deleteLater()


def test_sign_in(console: Console, picture: Picture) -> None:
    page: SignInPage = console.sign_in
    picture(console, "sign_in_first")
    page.submit.click()
    picture(console, "sign_in_wrong")
    console.ask_to_sign_in(
        [Profile("Pilot", "postgresql://db.example.org:5432/sgmp"), Profile("Test", "postgresql://t/s")]
    )
    page.email.setText("ada@example.org")
    page.password.setText("secret")
    page.set_busy(True)
    picture(console, "sign_in_busy")
    page.show_error(SignInRefused())
    picture(console, "sign_in_refused")


def test_preparation(console: Console, picture: Picture) -> None:
    process = PreparationProcess(Preparation(("absent",)), console)
    page = PreparationPage(process)
    stack = console.centralWidget()
    assert isinstance(stack, QStackedWidget)
    stack.addWidget(page)
    stack.setCurrentWidget(page)
    page.show_stage("database", "Starting the database", None)
    page.show_stage("broker", "Starting the MQTT broker", None)
    page.show_stage("history", "Loading 30 days of history", 0.42)
    page.show_stage("edges", "Starting ingest and the edges of the houses", None)
    picture(console, "preparation")
    process._add_to_log("mosquitto: not found\n")
    page.show_failure("Mosquitto is not installed. Install the package mosquitto, then press Retry.")
    press(page, "Show log")
    picture(console, "preparation_failed")


def test_a_mistake_of_ours(console: Console, appearance: Appearance) -> None:
    dialog = uncaught_dialog("Traceback (most recent call last):\n  ...\nKeyError: 'solar'", console)
    dialog.open()
    save_pictures(dialog, "uncaught", appearance)
    dialog.close()
