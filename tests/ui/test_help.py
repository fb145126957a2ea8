"""Help: keys, version, log."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from sgmp_console.settings import WindowSettings
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.console import Console
from sgmp_console.ui.window.help import HelpDialog
from sgmp_console.ui.window.uncaught import UncaughtErrors

DESIGN = Path(__file__).resolve().parents[2] / "docs" / "design_language.md"


def texts(dialog: HelpDialog) -> list[str]:
    return [label.text() for label in dialog.findChildren(QLabel)]


def test_f1_opens_help_before_anybody_signed_in(qtbot: QtBot, tasks: Tasks, appearance: Appearance) -> None:
    errors = UncaughtErrors()
    console = Console(tasks, appearance, errors, WindowSettings(), None)
    qtbot.addWidget(console)
    console.show_window()
    console.activateWindow()
    qtbot.waitUntil(console.isActiveWindow)
    QTest.keyClick(console, Qt.Key.Key_F1)
    qtbot.waitUntil(lambda: bool(console.findChildren(HelpDialog)))
    (dialog,) = console.findChildren(HelpDialog)
    dialog.close()
    console.shut_down()
    errors.deleteLater()


def test_it_gives_the_version_and_the_place_of_the_log(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = HelpDialog(tmp_path)
    qtbot.addWidget(dialog)
    assert f"Log: {tmp_path}" in texts(dialog)
    buttons = {button.text(): button for button in dialog.findChildren(QPushButton)}
    QTest.mouseClick(buttons["Copy version"], Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text().startswith("SGMP ")
    assert "Open log folder" in buttons


def test_a_run_without_a_log_offers_none(qtbot: QtBot) -> None:
    dialog = HelpDialog(None)
    qtbot.addWidget(dialog)
    assert "Open log folder" not in [button.text() for button in dialog.findChildren(QPushButton)]


def test_each_key_of_the_design_language_is_listed(qtbot: QtBot) -> None:
    dialog = HelpDialog(None)
    qtbot.addWidget(dialog)
    listed = " ".join(texts(dialog))
    documented = (
        DESIGN.read_text("utf-8").partition("| keys | what |")[2].partition("\n\n")[0].splitlines()[2:]
    )
    for line in documented:
        for key in line.split("|")[1].replace(" or ", ", ").split(", "):
            assert key.strip() in listed, key
