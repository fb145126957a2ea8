"""One's own account: what only this dialog does."""

from __future__ import annotations

import threading

from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sgmp_console.ui.tasks import POOLS, Tasks
from sgmp_console.ui.window.frame.main_view import MainView
from sgmp_console.ui.window.frame.own_account import OwnAccountDialog


def test_it_stays_open_while_the_password_is_being_changed(
    qtbot: QtBot, view: MainView, tasks: Tasks
) -> None:
    """Else the keyring would not hear of the new one."""
    free = threading.Event()
    for _ in range(POOLS["act"]):
        tasks.run(view, free.wait, lambda _waited: None, lambda _error: None, pool="act")
    dialog = OwnAccountDialog(view.session, "", tasks, view.connection, view)
    dialog.open()
    for entry, text in (
        (dialog.fields.present, "not the password"),
        (dialog.fields.new, "a heron on the jetty"),
        (dialog.fields.again, "a heron on the jetty"),
    ):
        QTest.keyClicks(entry, text)
    dialog.perform()
    assert dialog.busy
    assert not dialog.cancel.isEnabled()
    dialog.reject()
    assert dialog.isVisible()
    free.set()
    qtbot.waitUntil(lambda: not dialog.busy)
    assert "The current password is wrong." in dialog.message_bar.text()
    assert dialog.cancel.isEnabled()
    dialog.discard()
