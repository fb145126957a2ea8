"""What every dialog that works has, tested once on the shared class."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.errors import UserError
from sgmp_console.fleet.config_changes import TYPE, DeviceChange, Kind, SettingChange
from sgmp_console.ui.dialogs.changes import ChangesView
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import Label
from sgmp_console.ui.tasks import Report, Tasks


class _Dialog(TaskDialog):
    """Sends what is typed; `work` is the test's."""

    def __init__(
        self, tasks: Tasks, work: Callable[[Report], str], parent: QWidget, title: str, only_reads: bool
    ) -> None:
        super().__init__(tasks, "Send a word", "Send", parent, only_reads=only_reads)
        self._work, self._title = work, title
        self.sent: list[str] = []
        self.entry = QLineEdit()
        self.lay_out(self.entry)

    def set_free(self, free: bool) -> None:
        self.entry.setEnabled(free)

    def would_lose(self) -> str:
        return "The word is not sent." if self.entry.text() else ""

    def perform(self) -> None:
        self.run(self._work, self.sent.append, "Sending", title=self._title)


Open = Callable[..., _Dialog]


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def open_dialog(tasks: Tasks, shown: Callable[..., QWidget], qapp: QApplication) -> Open:
    window = shown(QWidget())

    def opened(
        work: Callable[[Report], str], title: str = "Sending a word", only_reads: bool = False
    ) -> _Dialog:
        dialog = _Dialog(tasks, work, window, title, only_reads)
        dialog.open()
        dialog.activateWindow()
        dialog.entry.setFocus()
        qapp.processEvents()
        return dialog

    return opened


def waits(gate: threading.Event) -> Callable[[Report], str]:
    def work(report: Report) -> str:
        while not gate.wait(0.01):
            report(None, "")
        return "done"

    return work


def fails(_report: Report) -> str:
    raise UserError("It can't be sent. Choose another word.")


def test_a_dialog_built_larger_than_the_screen_is_shown_within_it(shown: Callable[..., QWidget]) -> None:
    dialog = Dialog(shown(QWidget()))
    screen = dialog.screen().availableGeometry().size()
    dialog.resize(screen * 2)
    dialog.show()
    assert dialog.size() == dialog.size().boundedTo(screen - QSize(24, 24))


def test_nothing_moves_when_the_dialog_has_something_to_say(qtbot: QtBot, open_dialog: Open) -> None:
    dialog = open_dialog(fails)
    before = [part.mapToGlobal(part.rect().topLeft()) for part in (dialog.entry, dialog.act, dialog.cancel)]
    dialog.act.click()
    qtbot.waitUntil(lambda: "can't be sent" in dialog.message_bar.text())
    after = [part.mapToGlobal(part.rect().topLeft()) for part in (dialog.entry, dialog.act, dialog.cancel)]
    assert dialog.message_bar.isVisible()
    assert after == before
    dialog.reject()


def test_the_focus_comes_back_to_where_it_was(qtbot: QtBot, open_dialog: Open, gate: threading.Event) -> None:
    dialog = open_dialog(waits(gate))
    QTest.keyClick(dialog.entry, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert dialog.act.text() == "Sending"
    assert not dialog.entry.isEnabled()
    assert QApplication.focusWidget() is dialog.cancel
    gate.set()
    qtbot.waitUntil(lambda: dialog.sent == ["done"])
    assert dialog.act.text() == "Send"
    assert QApplication.focusWidget() is dialog.entry
    dialog.reject()


def test_cancel_stops_work_that_the_status_bar_lists(
    qtbot: QtBot, open_dialog: Open, gate: threading.Event
) -> None:
    dialog = open_dialog(waits(gate))
    dialog.act.click()
    assert dialog.cancel.text() == "Cancel"
    dialog.cancel.click()
    assert dialog.isVisible()
    qtbot.waitUntil(lambda: not dialog.busy)
    assert dialog.message_bar.text() == "It was cancelled."
    dialog.reject()
    assert not dialog.isVisible()


def test_of_other_work_only_the_waiting_ends(qtbot: QtBot, open_dialog: Open, gate: threading.Event) -> None:
    dialog = open_dialog(waits(gate), title="")
    dialog.act.click()
    assert dialog.cancel.text() == "Stop waiting"
    dialog.cancel.click()
    assert not dialog.busy
    assert "“Send” may still be carried out" in dialog.message_bar.text()
    gate.set()
    dialog.reject()


def test_what_only_reads_is_closed_at_once_also_while_it_reads(
    open_dialog: Open, gate: threading.Event
) -> None:
    dialog = open_dialog(waits(gate), title="", only_reads=True)
    dialog.act.click()
    assert dialog.cancel.text() == "Cancel"
    dialog.cancel.click()
    assert not dialog.isVisible()
    gate.set()


def test_an_internal_error_is_said_in_one_sentence_and_logged(
    qtbot: QtBot, open_dialog: Open, bugs: list[BaseException]
) -> None:
    def breaks(_report: Report) -> str:
        raise ZeroDivisionError

    dialog = open_dialog(breaks)
    dialog.act.click()
    qtbot.waitUntil(lambda: bool(bugs))
    qtbot.waitUntil(lambda: not dialog.busy)
    assert dialog.message_bar.text() == (
        "An internal error happened; the log has its details. What was typed is still here. Try again."
    )
    dialog.reject()


def test_a_long_name_of_a_device_is_read_whole_and_takes_no_room_from_its_type(
    shown: Callable[..., QWidget],
) -> None:
    view = ChangesView()
    name = "a_meter_with_a_very_long_name_at_the_main_panel_of_the_north_win"
    view.show_changes([DeviceChange(Kind.ADDED, 1, name, "egauge", ())], "")
    shown(view, 300, 300)
    content = view.widget()
    assert content is not None
    for made in view.findChildren(Label):
        assert made.geometry().right() < view.viewport().width()
        assert made.minimumSizeHint().width() <= made.width()
    assert content.width() == view.viewport().width()


def test_a_setting_s_name_and_its_change_stand_beside_each_other(shown: Callable[..., QWidget]) -> None:
    view = ChangesView()
    settings = (
        SettingChange("ip", "10.0.0.1", "10.0.0.2"),
        SettingChange("a_setting_with_a_long_name", 1, 2),
    )
    view.show_changes([DeviceChange(Kind.CHANGED, 1, "meter", "egauge", settings)], "")
    shown(view, 420, 300)
    labels = {made.text(): made.geometry() for made in view.findChildren(Label)}
    for place, first in labels.items():
        for other, second in labels.items():
            assert place == other or not first.intersects(second)


def test_it_asks_before_what_was_typed_is_lost(open_dialog: Open) -> None:
    dialog = open_dialog(fails)
    QTest.keyClicks(dialog.entry, "word")
    dialog.cancel.click()
    (question,) = dialog.findChildren(ConfirmDialog)
    question.reject()
    assert dialog.isVisible()
    assert dialog.entry.text() == "word"
    dialog.discard()
    assert not dialog.isVisible()


def test_it_closes_without_a_question_where_nothing_is_lost(open_dialog: Open) -> None:
    dialog = open_dialog(fails)
    dialog.cancel.click()
    assert not dialog.isVisible()


def test_a_device_type_is_called_by_its_title_where_changes_are_read() -> None:
    view = ChangesView()
    became = (SettingChange(TYPE, "egauge", "sonnen"),)
    view.show_changes([DeviceChange(Kind.CHANGED, 1, "meter", "sonnen", became)], "")
    shown = [part.text() for part in view.findChildren(Label)]
    assert "Changed · sonnenBatterie" in shown
    assert "eGauge meter → sonnenBatterie" in shown
