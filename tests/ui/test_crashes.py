"""The process dies inside Qt: what is kept, what the next start offers, and the cause that was found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from sgmp_console.ui.window import crashes
from sgmp_console.ui.window.uncaught import crash_dialog

_CRASH = """
import ctypes, sys
from pathlib import Path
from sgmp_console.ui.window import crashes
def the_place_that_crashed():
    ctypes.string_at(0)
with crashes.recording(Path(sys.argv[1])):
    the_place_that_crashed()
"""

_START = """
import sys
from pathlib import Path
from tests.ui.gui_thread import watch_imports
watch_imports()
from sgmp_console.settings import WindowSettings
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window import application
from sgmp_console.ui.window.console import Console
from sgmp_console.ui.window.uncaught import UncaughtErrors

qt = application.start(offscreen=True)
failures = []
tasks = Tasks(failures.append, qt)
console = Console(tasks, Appearance(qt, "light"), UncaughtErrors(qt), WindowSettings(), Path(sys.argv[1]))
console.show_window()
assert "pyqtgraph" not in sys.modules
application.run_event_loop(until=console.main_view_loaded)
assert "sgmp_console.ui.pages.home.page" in sys.modules
console.shut_down()
tasks.close()
assert not failures, failures
"""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)], timeout=120, capture_output=True, text=True
    )


def test_the_stacks_of_a_crash_are_reported_at_the_next_start_and_only_then(tmp_path: Path) -> None:
    assert run(_CRASH, tmp_path).returncode != 0
    report = crashes.take_report(tmp_path)
    assert "the_place_that_crashed" in report
    assert report.startswith("SGMP ")
    assert crashes.take_report(tmp_path) == ""
    assert "the_place_that_crashed" in (tmp_path / crashes.KEPT_FILE_NAME).read_text("utf-8")


def test_a_run_that_ends_well_reports_nothing(tmp_path: Path) -> None:
    with crashes.recording(tmp_path):
        pass
    assert crashes.take_report(tmp_path) == ""


@pytest.mark.expected_warnings("report of a crash can't be read")
@pytest.mark.parametrize("prepare", ["missing folder", "folder in the place of the file"])
def test_a_report_that_cannot_be_read_does_not_stop_the_start(tmp_path: Path, prepare: str) -> None:
    folder = tmp_path / "logs"
    if prepare != "missing folder":
        (folder / crashes.FILE_NAME).mkdir(parents=True)
    assert crashes.take_report(folder) == ""


def test_the_dialog_copies_the_report(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = crash_dialog("Fatal Python error: Segmentation fault", tmp_path)
    qtbot.addWidget(dialog)
    buttons = {button.text(): button for button in dialog.findChildren(QPushButton)}
    assert list(buttons) == ["Open log folder", "Copy details", "Close"]
    QTest.mouseClick(buttons["Copy details"], Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "Fatal Python error: Segmentation fault"


def test_classes_of_qt_are_defined_on_the_gui_thread_only(tmp_path: Path) -> None:
    started = run(_START, tmp_path)
    assert started.returncode == 0, started.stderr
