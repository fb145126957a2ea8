"""Fixtures for the window. A test that leaves a thread, a running timer or a window behind fails, and says which."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
import shiboken6
from PySide6.QtCore import QEvent, QTimer
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.settings import Profile, ThemeChoice
from sgmp_console.store import Database, House, accounts, houses
from sgmp_console.ui import theme
from sgmp_console.ui.parts.labels import ElidedLabel
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.frame.main_view import MainView
from tests.database import TestDatabase, TestServer
from tests.reports.houses import balanced
from tests.ui import snapshots
from tests.ui.finding import is_drawn
from tests.ui.gui_thread import watch_imports
from tests.ui.houses import measured
from tests.ui.own_window import watch_windows
from tests.ui.readers import ChosenReader, Clock
from tests.waiting import WAIT_S, looks

watch_imports()
watch_windows()

EMAIL, PASSWORD = "ada@example.org", "Correct-horse-7-battery"
DAY_MS = 86_400_000
PICTURES = Path(__file__).resolve().parents[2] / "screenshots"
EVERY_PICTURE = os.environ.get("SGMP_PICTURES") == "all"
"""Whether each state is drawn in each size and theme."""
_WAIT_MS = int(WAIT_S * 1000)


class PatientBot(QtBot):
    """Waits as long as all other tests do, and looks as often; pytest-qt gives up after 5 s."""

    def waitUntil(self, callback: Any, *, timeout: int = _WAIT_MS) -> None:  # noqa: N802 - pytest-qt's name
        """`callback` returns whether it is so, or asserts that it is."""
        problem: AssertionError | None = None

        def is_so() -> bool:
            nonlocal problem
            try:
                result = callback()
            except AssertionError as error:
                problem = error
                return False
            assert result in (None, True, False), f"neither true nor false: {result!r}"
            return result is not False

        def pause(seconds: float) -> None:
            self.wait(max(round(seconds * 1000), 1))

        if not looks(is_so, pause, timeout / 1000):
            raise self.TimeoutError(f"it did not happen within {timeout} ms") from problem

    def waitSignal(self, signal: Any, *, timeout: int = _WAIT_MS, **options: Any) -> Any:  # noqa: N802
        return super().waitSignal(signal, timeout=timeout, **options)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    return PatientBot(request)


@pytest.fixture(scope="session")
def appearance(qapp: QApplication) -> Appearance:
    return Appearance(qapp, "light")


@pytest.fixture(autouse=True)
def leaves_nothing_behind(appearance: Appearance, qapp: QApplication) -> Iterator[None]:
    threads = set(threading.enumerate())
    windows = set(QApplication.topLevelWidgets())
    yield
    appearance.choose("light")
    flush(qapp)
    left = [thread.name for thread in threading.enumerate() if thread not in threads]
    assert not left, f"threads left behind: {left}; close the Tasks that started them"
    assert not (open_ones := left_open(windows)), open_ones


def left_open(before: set[QWidget]) -> list[str]:
    """Windows that were not there `before`, and timers that run."""
    shown = [
        f"window {window!r}"
        for window in QApplication.topLevelWidgets()
        if window not in before and window.isVisible()
    ]
    running = [
        f"timer {timer!r} of {timer.parent()!r}"
        for timer in shiboken6.getAllValidWrappers()
        if isinstance(timer, QTimer) and timer.isActive()
    ]
    return shown + running


@pytest.fixture
def bugs() -> list[BaseException]:
    """What the hook for uncaught errors heard from tasks. A test that expects none need not look: see `tasks`."""
    return []


@pytest.fixture
def tasks(bugs: list[BaseException], qapp: QApplication) -> Iterator[Tasks]:
    made = Tasks(bugs.append)
    yield made
    assert made.close(timeout_s=10) == []
    made.deleteLater()


@pytest.fixture
def shown(qapp: QApplication) -> Iterator[Callable[..., QWidget]]:
    """Shows a widget at a size, and takes it away after the test."""
    widgets: list[QWidget] = []

    def show(widget: QWidget, width: int = 1280, height: int = 800) -> QWidget:
        widgets.append(widget)
        widget.resize(width, height)
        widget.show()
        qapp.processEvents()
        return widget

    yield show
    for widget in reversed(widgets):
        widget.close()
        widget.deleteLater()
    flush(qapp)


@dataclass(frozen=True)
class Deployment:
    """A real database with two houses and an administrator who has chosen a password."""

    profile: Profile
    owner: Database
    email: str
    password: str
    houses: tuple[House, ...]

    def sign_in(self) -> Session:
        address, name = self.profile.database_url, self.profile.deployment
        return Session(self.profile, *accounts.sign_in(address, name, self.email, self.password))


def deploy(where: TestDatabase) -> Deployment:
    database = where.owner
    with database.begin() as connection:
        maple = houses.create(
            connection,
            "Maple House",
            description="Solar, battery, two chargers",
            time_zone=snapshots.ZONE.key,
        )
        harbor = houses.create(connection, "Harbor House", time_zone="Europe/Berlin")
        accounts.create(
            connection,
            email=EMAIL,
            name="Ada Lovelace",
            role="admin",
            house_id=None,
            password=PASSWORD,
            must_change_password=False,
        )
    return Deployment(
        Profile("Pilot", where.address, where.deployment), database, EMAIL, PASSWORD, (maple, harbor)
    )


def fill(deployment: Deployment) -> Deployment:
    fields = balanced(snapshots.NOW_MS - 3 * DAY_MS, snapshots.NOW_MS, 300_000)
    measured(deployment.owner, deployment.houses[0], fields)
    return deployment


@pytest.fixture
def deployed(test_database: TestDatabase) -> Deployment:
    return deploy(test_database)


@pytest.fixture
def filled(deployed: Deployment) -> Deployment:
    """The first house has the required items and three days of readings up to now."""
    return fill(deployed)


@pytest.fixture(scope="module")
def filled_once(database_server: TestServer) -> Iterator[Deployment]:
    """As `filled`, for a file whose tests only read, which take it as their `deployed`."""
    with database_server.database() as where:
        yield fill(deploy(where))


@pytest.fixture
def plain_postgresql(database_server: TestServer) -> None:
    """Skips where the server populates aggregates by itself."""
    if database_server.has_timescale:
        pytest.skip("TimescaleDB needs no population")


@pytest.fixture
def clock() -> Clock:
    return Clock(snapshots.NOW_MS + 1500)


@pytest.fixture
def reader() -> ChosenReader:
    return ChosenReader(snapshots.snapshot())


@pytest.fixture
def view(
    deployed: Deployment,
    reader: ChosenReader,
    clock: Clock,
    tasks: Tasks,
    appearance: Appearance,
    shown: Callable[..., QWidget],
) -> Iterator[MainView]:
    """The main view signed in as administrator, not started: `view.start()` shows the first house."""
    session = deployed.sign_in()
    made = MainView(
        session,
        deployed.houses,
        tasks,
        appearance,
        now_ms=clock,
        open_house=reader.open,
        listen=reader.listen,
    )
    shown(made)
    yield made
    made.close_down()
    tasks.close(timeout_s=10)
    session.database.dispose()


def save_picture(widget: QWidget, name: str, scale: int = 1) -> QImage:
    """A picture for people to look at, in the theme in use: `screenshots/<name>_<theme>_<width>.png`.

    `scale`: device pixels for each pixel, as on a screen of high density.
    """
    let_draw()
    PICTURES.mkdir(exist_ok=True)
    at_scale = f"@{scale}" if scale != 1 else ""
    file = PICTURES / f"{name}_{theme.tokens().name}_{widget.width()}{at_scale}.png"
    picture = QPixmap(widget.size() * scale)
    picture.setDevicePixelRatio(scale)
    widget.render(picture)
    assert picture.save(str(file))
    return picture.toImage()


def has_content(picture: QImage) -> bool:
    """Whether it is more than a few areas of one colour."""
    colours = set()
    for x, y in product(range(0, picture.width(), 7), range(0, picture.height(), 7)):
        colours.add(picture.pixel(x, y))
        if len(colours) > 5:
            return True
    return False


def cut_off(widget: QWidget) -> list[str]:
    """Labels that have less room than their words take."""
    return [
        label.text()
        for label in widget.findChildren(QLabel)
        if label.isVisible()
        and not isinstance(label, ElidedLabel)
        and (
            label.height() < label.heightForWidth(label.width())
            if label.wordWrap()
            else label.width() < label.sizeHint().width()
        )
    ]


def save_pictures(widget: QWidget, name: str, appearance: Appearance) -> None:
    """One in each theme; but of a dialog in the light one only, unless SGMP_PICTURES=all (`./run pictures`)."""
    themes: tuple[ThemeChoice, ...] = ("light", "dark")
    for choice in themes if isinstance(widget, MainView) or EVERY_PICTURE else themes[:1]:
        appearance.choose(choice)
        save_picture(widget, name)


def let_draw() -> None:
    """Run the event loop until no chart waits for the next frame."""
    QApplication.processEvents()
    while not is_drawn():
        QTest.qWait(1)


def flush(qapp: QApplication) -> None:
    """`deleteLater` waits for a loop that a test does not run."""
    for _ in range(3):
        qapp.processEvents()
        qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
