"""The mail server's password, asked for from a worker thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.errors import Cancelled
from sgmp_console.settings import Profile
from sgmp_console.ui.dialogs.mail_password import MailPasswordDialog, MailPasswordPrompt

PROFILE = Profile(
    "Pilot", "postgresql://h/d", smtp_host="mail.example.org", smtp_sender="a@b", smtp_user="sgmp"
)


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    return window


def dialog(qtbot: QtBot, window: QWidget) -> MailPasswordDialog:
    qtbot.waitUntil(lambda: bool(window.findChildren(MailPasswordDialog)))
    return window.findChildren(MailPasswordDialog)[0]


def test_the_worker_gets_what_the_operator_types(qtbot: QtBot, window: QWidget) -> None:
    prompt = MailPasswordPrompt(window)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(prompt.ask, PROFILE, "The mail server needs the password of sgmp.")
        shown = dialog(qtbot, window)
        shown.use.click()
        assert not answer.done()
        shown.password.setText("letmein")
        shown.use.click()
        assert answer.result(5) == "letmein"


def test_cancelling_cancels_what_was_to_be_mailed(qtbot: QtBot, window: QWidget) -> None:
    prompt = MailPasswordPrompt(window)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(prompt.ask, PROFILE, "Why")
        dialog(qtbot, window).reject()
        with pytest.raises(Cancelled):
            answer.result(5)


def test_nobody_waits_for_a_window_that_closes(qtbot: QtBot, window: QWidget) -> None:
    prompt = MailPasswordPrompt(window)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(prompt.ask, PROFILE, "Why")
        shown = dialog(qtbot, window)
        prompt.close()
        with pytest.raises(Cancelled):
            answer.result(5)
        shown.reject()
