"""Errors that nobody expected: logged, shown once per distinct traceback, with a copy for those who fix them."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt, QtMsgType
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from sgmp_console.ui.window.uncaught import UncaughtErrors, uncaught_dialog


@pytest.fixture
def errors(qapp: QApplication) -> Iterator[UncaughtErrors]:
    made = UncaughtErrors()
    yield made
    made.remove()
    made.deleteLater()


def fail(value: int) -> None:
    raise ValueError(value)


def caught_from(value: int) -> Exception:
    try:
        fail(value)
    except ValueError as error:
        return error
    raise AssertionError


@pytest.mark.expected_warnings("uncaught")
def test_the_same_mistake_is_shown_once(qtbot: QtBot, errors: UncaughtErrors) -> None:
    shown: list[str] = []
    errors.caught.connect(shown.append)
    for value in (1, 2, 3):
        errors.report(caught_from(value))
    errors.report(KeyError("another"))
    qtbot.waitUntil(lambda: len(shown) == 2)
    assert "ValueError: 1" in shown[0]


@pytest.mark.expected_warnings("uncaught")
def test_every_mistake_is_logged(errors: UncaughtErrors, caplog: pytest.LogCaptureFixture) -> None:
    for value in (1, 2):
        errors.report(caught_from(value))
    errors_ = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [error.args for error in errors_ if error] == [(1,), (2,)]


@pytest.mark.expected_warnings("uncaught")
def test_it_hears_of_threads_and_of_the_top_level(qtbot: QtBot, errors: UncaughtErrors) -> None:
    shown: list[str] = []
    errors.caught.connect(shown.append)
    errors.install()
    thread = threading.Thread(target=fail, args=(7,))
    thread.start()
    thread.join()
    sys.excepthook(KeyError, KeyError("top"), None)
    qtbot.waitUntil(lambda: len(shown) == 2)
    assert "ValueError: 7" in shown[0]
    assert "KeyError: 'top'" in shown[1]


@pytest.mark.expected_warnings("uncaught")
def test_a_flood_of_mistakes_is_no_flood_of_dialogs(qtbot: QtBot, errors: UncaughtErrors) -> None:
    shown: list[str] = []
    errors.caught.connect(shown.append)
    for number in range(30):
        errors.report(type(f"Error{number}", (Exception,), {})())
    qtbot.waitUntil(lambda: len(shown) >= 5)
    QApplication.processEvents()
    assert len(shown) == 5


@pytest.mark.expected_warnings("^qt: a warning of Qt's")
def test_qt_speaks_into_the_log(errors: UncaughtErrors, caplog: pytest.LogCaptureFixture) -> None:
    from sgmp_console.ui.window.uncaught import _log_qt

    _log_qt(QtMsgType.QtWarningMsg, None, "a warning of Qt's")
    assert caplog.record_tuples == [("qt", logging.WARNING, "a warning of Qt's")]


def test_the_details_can_be_copied(qtbot: QtBot) -> None:
    dialog = uncaught_dialog("Traceback: all of it")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    dialog.open()
    copy = next(button for button in dialog.findChildren(QPushButton) if button.text() == "Copy details")
    QTest.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "Traceback: all of it"
    close = next(button for button in dialog.findChildren(QPushButton) if button.text() == "Close")
    assert close.isDefault()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    dialog.deleteLater()
