"""Threads: results on the GUI thread, to owners that still live; everything ends when it should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
import shiboken6
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from sgmp_console.errors import Cancelled, UserError
from sgmp_console.ui.tasks import Report, Tasks


class Heard:
    """What the callbacks were told, and on which thread."""

    def __init__(self) -> None:
        self.results: list[object] = []
        self.errors: list[BaseException] = []
        self.threads: set[threading.Thread] = set()

    def result(self, value: object) -> None:
        self.threads.add(threading.current_thread())
        self.results.append(value)

    def error(self, error: BaseException) -> None:
        self.threads.add(threading.current_thread())
        self.errors.append(error)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def owner() -> QObject:
    return QObject()


def test_work_runs_elsewhere_and_its_result_comes_here(
    qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard
) -> None:
    tasks.run(owner, threading.current_thread, heard.result, heard.error)
    qtbot.waitUntil(lambda: bool(heard.results))
    assert heard.results[0] is not threading.main_thread()
    assert heard.threads == {threading.main_thread()}


def test_an_expected_error_goes_to_its_owner_only(
    qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard, bugs: list[BaseException]
) -> None:
    def refuse() -> None:
        raise UserError("No.")

    tasks.run(owner, refuse, heard.result, heard.error)
    qtbot.waitUntil(lambda: bool(heard.errors))
    assert str(heard.errors[0]) == "No."
    assert bugs == []


def test_a_bug_goes_to_its_owner_and_to_the_hook(
    qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard, bugs: list[BaseException]
) -> None:
    nothing: dict[str, int] = {}
    tasks.run(owner, lambda: nothing["absent"], heard.result, heard.error)
    qtbot.waitUntil(lambda: bool(heard.errors))
    assert bugs == heard.errors


def test_a_destroyed_owner_hears_nothing(qtbot: QtBot, tasks: Tasks, heard: Heard) -> None:
    go = threading.Event()
    dialog, other = QLabel(), QObject()
    tasks.run(dialog, go.wait, heard.result, heard.error)
    shiboken6.delete(dialog)
    go.set()
    seen = Heard()
    tasks.run(other, lambda: 1, seen.result, seen.error)
    qtbot.waitUntil(lambda: not tasks._running)
    assert (heard.results, heard.errors) == ([], [])


def test_forgotten_work_delivers_nothing(qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard) -> None:
    go = threading.Event()
    task = tasks.run(owner, go.wait, heard.result, heard.error)
    task.forget()
    go.set()
    qtbot.waitUntil(lambda: not tasks._running)
    assert (heard.results, heard.errors) == ([], [])


def test_shown_work_reports_progress_and_can_be_cancelled(
    qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard
) -> None:
    half_way, go = threading.Event(), threading.Event()

    def work(report: Report) -> None:
        report(0.5, "day 15 of 30")
        half_way.set()
        go.wait(10)
        report(0.6, "day 18 of 30")

    task = tasks.run_shown(owner, "Loading history", work, heard.result, heard.error)
    qtbot.waitUntil(lambda: task.fraction == 0.5)
    assert [(shown.title, shown.text) for shown in tasks.shown()] == [("Loading history", "day 15 of 30")]
    task.cancel()
    go.set()
    qtbot.waitUntil(lambda: bool(heard.errors))
    assert isinstance(heard.errors[0], Cancelled)
    assert tasks.shown() == []


def test_a_cancelled_task_that_had_finished_says_so(
    qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard
) -> None:
    begun, go = threading.Event(), threading.Event()

    def work(_report: Report) -> str:
        begun.set()
        go.wait(10)
        return "done"

    task = tasks.run_shown(owner, "Deleting", work, heard.result, heard.error)
    assert begun.wait(10)
    task.cancel()
    go.set()
    qtbot.waitUntil(lambda: bool(heard.results))
    assert heard.results == ["done"]


def test_more_work_than_threads_is_all_done(qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard) -> None:
    for number in range(40):
        tasks.run(owner, partial(int, number), heard.result, heard.error)
    qtbot.waitUntil(lambda: len(heard.results) == 40)
    assert set(heard.results) == set(range(40))


def test_long_acts_do_not_hold_up_reading(qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard) -> None:
    go = threading.Event()
    for _ in range(5):
        tasks.run(owner, go.wait, heard.result, heard.error, pool="act")
    tasks.run(owner, lambda: "read", heard.result, heard.error)
    qtbot.waitUntil(lambda: heard.results == ["read"])
    go.set()
    qtbot.waitUntil(lambda: len(heard.results) == 6)


def test_a_failing_callback_does_not_hold_back_the_others(
    qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard
) -> None:
    def fail(_result: object) -> None:
        raise RuntimeError("in the callback")

    go = threading.Event()
    with qtbot.captureExceptions() as caught:
        tasks.run(owner, go.wait, fail, heard.error)
        tasks.run(owner, go.wait, heard.result, heard.error)
        go.set()
        # Which of the two comes first is open.
        qtbot.waitUntil(lambda: bool(heard.results) and bool(caught))
    assert [str(error) for _, error, _ in caught] == ["in the callback"]


def test_a_listener_hands_on_items_until_it_is_forgotten(
    qtbot: QtBot, tasks: Tasks, owner: QObject, heard: Heard
) -> None:
    closed = threading.Event()

    def source() -> Iterator[int | None]:
        try:
            yield 1
            yield 2
            while not closed.wait(0.005):
                yield None
        finally:
            closed.set()

    task = tasks.listen(owner, source, heard.result, heard.error)
    qtbot.waitUntil(lambda: heard.results == [1, 2])
    task.forget()
    assert closed.wait(10)


def test_closing_ends_listeners_and_drops_what_waits(qtbot: QtBot, owner: QObject, heard: Heard) -> None:
    def source() -> Iterator[None]:
        while not ended.wait(0.005):
            yield None

    ended = threading.Event()
    closing = Tasks(heard.errors.append)
    closing.listen(owner, source, heard.result, heard.error)
    for _ in range(20):
        closing.run(owner, lambda: ended.wait(0.005), heard.result, heard.error)
    assert closing.close(timeout_s=10) == []
    QApplication.processEvents()
    assert heard.results == []


@pytest.mark.expected_warnings("threads that did not end")
def test_closing_names_a_thread_that_hangs(owner: QObject, heard: Heard) -> None:
    hang, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        hang.wait(30)

    closing = Tasks(heard.errors.append)
    closing.run(owner, work, heard.result, heard.error)
    assert begun.wait(10)
    assert closing.close(timeout_s=0.01) == ["read-1"]
    hang.set()
    assert closing.close(timeout_s=10) == []


def test_no_widget_dies_on_a_thread(qtbot: QtBot, tasks: Tasks, heard: Heard) -> None:
    """The last reference to an owner must be dropped here, or Qt objects are deleted on the wrong thread."""
    died_on: list[threading.Thread] = []

    class Owner(QObject):
        def __del__(self) -> None:
            died_on.append(threading.current_thread())

        def take(self, _result: object) -> None: ...

    made = Owner()
    tasks.run(made, lambda: 1, made.take, heard.error)
    del made
    qtbot.waitUntil(lambda: bool(died_on))
    assert died_on == [threading.main_thread()]
