"""The house on screen is loaded once, then only what is new; what is lost comes back by itself."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from sgmp_console.errors import Unavailable
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.store import DatabaseUnavailable
from sgmp_console.ui.connection import Connection
from sgmp_console.ui.live import HomeFeed
from sgmp_console.ui.tasks import Tasks
from tests.ui import snapshots
from tests.ui.finding import ask_again_every, fetch_without_pause, running_timers
from tests.ui.readers import ChosenReader, Clock


@pytest.fixture
def live(tasks: Tasks, reader: ChosenReader, clock: Clock) -> HomeFeed:
    made = HomeFeed(tasks, reader.open, clock)
    fetch_without_pause(made)
    return made


@pytest.fixture
def got(live: HomeFeed) -> Iterator[list[HomeSnapshot]]:
    snapshots_: list[HomeSnapshot] = []
    live.snapshot_ready.connect(snapshots_.append)
    yield snapshots_
    live.stop()


def test_a_selected_house_is_loaded(
    qtbot: QtBot, live: HomeFeed, got: list[HomeSnapshot], reader: ChosenReader
) -> None:
    live.select(7)
    qtbot.waitUntil(lambda: bool(got))
    assert (reader.loads, got[0].house_id, live.snapshot) == ([7], 7, got[0])


def test_a_change_fetches_only_what_is_new(
    qtbot: QtBot, live: HomeFeed, got: list[HomeSnapshot], reader: ChosenReader, clock: Clock
) -> None:
    live.select(7)
    qtbot.waitUntil(lambda: bool(got))
    live.house_changed(7, 123)
    qtbot.waitUntil(lambda: len(got) == 2)
    assert reader.updates == [(clock.now_ms, 123)]


def test_changes_of_other_houses_fetch_nothing(
    qtbot: QtBot, live: HomeFeed, got: list[HomeSnapshot], reader: ChosenReader
) -> None:
    live.select(7)
    qtbot.waitUntil(lambda: bool(got))
    live.house_changed(8, 123)
    live.house_changed(7, 500)
    qtbot.waitUntil(lambda: len(got) == 2)
    assert [from_ms for _, from_ms in reader.updates] == [500]


def test_changes_during_a_fetch_become_one_fetch_from_the_earliest(
    qtbot: QtBot, live: HomeFeed, got: list[HomeSnapshot], reader: ChosenReader
) -> None:
    live.select(7)
    qtbot.waitUntil(lambda: bool(got))
    qtbot.waitUntil(lambda: not any(timer.isSingleShot() for timer in running_timers(live)))
    reader.gate.clear()
    live.house_changed(7, 500)
    qtbot.waitUntil(lambda: len(reader.updates) == 1)
    for from_ms in (900, 300, 700):
        live.house_changed(7, from_ms)
    reader.gate.set()
    qtbot.waitUntil(lambda: len(got) == 3)
    assert [from_ms for _, from_ms in reader.updates] == [500, 300]


def test_a_house_left_meanwhile_is_not_shown(
    qtbot: QtBot, live: HomeFeed, got: list[HomeSnapshot], reader: ChosenReader
) -> None:
    reader.gate.clear()
    live.select(7)
    qtbot.waitUntil(lambda: reader.loads == [7])
    live.select(8)
    reader.gate.set()
    qtbot.waitUntil(lambda: bool(got))
    qtbot.waitUntil(lambda: not live._tasks._running)
    assert [snapshot.house_id for snapshot in got] == [8]


def test_without_news_it_asks_by_itself(
    qtbot: QtBot, live: HomeFeed, got: list[HomeSnapshot], reader: ChosenReader
) -> None:
    ask_again_every(live, 10)
    live.select(7)
    qtbot.waitUntil(lambda: len(got) >= 2)
    assert reader.updates[0][1] == got[0].newest_ms


@pytest.mark.expected_warnings("house . is not read: The database is not available")
def test_what_was_shown_stays_while_the_database_is_away(
    qtbot: QtBot, live: HomeFeed, got: list[HomeSnapshot], reader: ChosenReader
) -> None:
    live.select(7)
    qtbot.waitUntil(lambda: bool(got))
    lost: list[Unavailable] = []
    live.lost.connect(lost.append)
    reader.answer = DatabaseUnavailable("connection refused")
    live.house_changed(7, 1)
    qtbot.waitUntil(lambda: bool(lost))
    assert live.snapshot is got[0]
    reader.answer = replace(snapshots.snapshot(), findings=())
    live.reload()
    qtbot.waitUntil(lambda: len(got) == 2)
    assert reader.loads == [7, 7]


def test_the_connection_is_tried_again_ever_more_rarely_until_it_answers(qtbot: QtBot, tasks: Tasks) -> None:
    answers: list[Exception | None] = [DatabaseUnavailable("no"), DatabaseUnavailable("no"), None]

    def probe() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    owner = QObject()
    connection = Connection(tasks, probe, owner)
    delays = []
    with qtbot.waitSignal(connection.restored):
        connection.lost(DatabaseUnavailable("gone"))
        for _ in range(3):
            qtbot.waitUntil(lambda: bool(running_timers(connection)))
            delays.append(running_timers(connection)[0].interval())
            connection.retry_now()
            qtbot.waitUntil(lambda: not connection.trying)
    assert delays == sorted(delays)
    assert all(0.7 <= delay / due <= 1.3 for delay, due in zip(delays, (1000, 2000, 4000), strict=True))
    assert connection.online


def test_an_error_while_trying_that_is_no_outage_still_tries_again(qtbot: QtBot, tasks: Tasks) -> None:
    def probe() -> None:
        raise KeyError("a bug")

    owner = QObject()
    connection = Connection(tasks, probe, owner)
    connection.lost(DatabaseUnavailable("gone"))
    connection.retry_now()
    qtbot.waitUntil(lambda: not connection.trying)
    assert not connection.online
    assert running_timers(connection)
    connection.stop()


def ms_since(began_s: float) -> int:
    """Rounded up; what is measured between its beginning and now is not more."""
    return math.ceil((time.monotonic() - began_s) * 1000)


def test_a_database_that_stops_answering_is_lost_and_found_again_when_it_answers(
    qtbot: QtBot, tasks: Tasks
) -> None:
    frozen = threading.Event()
    thawed = threading.Event()

    def probe() -> None:
        frozen.set()
        assert thawed.wait(20)

    owner = QObject()
    connection = Connection(tasks, probe, owner, silent_after_s=3)
    started_s = time.monotonic()
    with qtbot.waitSignal(connection.changed):
        connection.start()
    assert frozen.is_set()
    assert "no answer for 3 s" in str(connection.error)
    assert 3000 <= connection.silent_ms() <= ms_since(started_s)
    thawed_s = time.monotonic()
    with qtbot.waitSignal(connection.restored):
        thawed.set()
    assert connection.online
    assert connection.silent_ms() <= ms_since(thawed_s)
    connection.stop()


def test_nothing_is_asked_of_the_database_while_pages_get_answers(qtbot: QtBot, tasks: Tasks) -> None:
    asked: list[float] = []
    owner = QObject()
    connection = Connection(tasks, lambda: asked.append(time.monotonic()), owner)
    answering = QTimer()
    answering.timeout.connect(connection.answered)
    answering.start(100)
    began = time.monotonic()
    connection.start()
    qtbot.waitUntil(lambda: time.monotonic() - began > 3)
    assert not asked
    answering.stop()
    qtbot.waitUntil(lambda: bool(asked))
    connection.stop()


def test_who_closes_the_window_does_not_wait_for_the_next_look(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sgmp_console.ui.connection._STEP_S", 60.0)
    closing = Tasks(lambda _bug: None)
    owner = QObject()
    connection = Connection(closing, lambda: None, owner)
    connection.start()
    connection.stop()
    assert closing.close(timeout_s=20) == []
