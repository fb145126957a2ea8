"""Before the main view: a child process that prepares, and the sign-in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QProcess, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QProgressBar, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from sgmp_console.settings import Profile
from sgmp_console.store import DatabaseUnavailable, SignInRefused
from sgmp_console.ui.window.entry.preparation import (
    Preparation,
    PreparationPage,
    PreparationProcess,
    Prepared,
)
from sgmp_console.ui.window.entry.sign_in import SignInPage, SignInRequest
from tests.ui.finding import press

PROFILE = Profile("Pilot", "postgresql://db.example.org:5432/sgmp")
READY = {
    "profile": {"name": "Demo", "database_url": "postgresql://127.0.0.1:5999/sgmp"},
    "email": "admin@example.org",
    "password": "not-to-be-seen",
}


def words(widget: QWidget) -> str:
    found = [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]
    return "\n".join(found).replace("\u00a0", " ")


def child(*lines: object, then: str = "sys.stdin.read()") -> Preparation:
    """A program that prints these as JSON lines, and then does what it is told: by default live until its input ends."""
    printed = "".join(f"print({json.dumps(json.dumps(line))}, flush=True);" for line in lines)
    return Preparation((sys.executable, "-c", f"import sys; {printed} {then}"))


Start = Callable[[Preparation], PreparationProcess]


@pytest.fixture
def process(qapp: QApplication) -> Iterator[Start]:
    made: list[PreparationProcess] = []

    def make(preparation: Preparation) -> PreparationProcess:
        made.append(PreparationProcess(preparation))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        one.deleteLater()


# --- Preparation ----------------------------------------------------------------------------------------------------


def test_stages_appear_with_what_they_do(qtbot: QtBot, process: Start, shown: Callable[..., QWidget]) -> None:
    running = process(
        child(
            {"stage": "database", "text": "Starting the database", "fraction": None},
            {"stage": "history", "text": "Loading 30 days of history", "fraction": 0.4},
        )
    )
    page = PreparationPage(running)
    shown(page)
    running.start()
    qtbot.waitUntil(lambda: "Loading 30 days of history" in words(page))
    assert "Starting the database" in words(page)
    bars = [bar for bar in page.findChildren(QProgressBar) if bar.isVisible()]
    assert [(bar.maximum(), bar.value()) for bar in bars] == [(1000, 400)], (
        "what was followed by a stage is done"
    )


def test_it_becomes_ready_with_what_to_sign_in_to(qtbot: QtBot, process: Start) -> None:
    running = process(child({"ready": READY}))
    with qtbot.waitSignal(running.ready) as ready:
        running.start()
    prepared: Prepared = ready.args[0]
    assert (prepared.profile.database_url, prepared.email) == (
        "postgresql://127.0.0.1:5999/sgmp",
        "admin@example.org",
    )
    assert "not-to-be-seen" not in repr(prepared)


def test_a_failure_says_what_happened_and_can_be_retried(
    qtbot: QtBot, process: Start, shown: Callable[..., QWidget]
) -> None:
    running = process(
        child(
            {"stage": "broker", "text": "Starting the MQTT broker", "fraction": None},
            {"failed": "Mosquitto is not installed. Install the package mosquitto, then press Retry."},
            then="print('a line for the log', file=sys.stderr); sys.exit(1)",
        )
    )
    page = PreparationPage(running)
    page.retry_wanted.connect(running.start)
    shown(page)
    running.start()
    qtbot.waitUntil(lambda: "Mosquitto is not installed." in words(page))
    qtbot.waitUntil(lambda: "a line for the log" in running.log_text())
    with qtbot.waitSignal(running.failed):
        press(page, "Retry")
        assert "Mosquitto" not in words(page)


def test_a_retry_lets_the_child_before_end_what_it_started(
    qtbot: QtBot, process: Start, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    running = process(
        child(
            {"failed": "The broker did not start."},
            then=f"sys.stdin.read(); import pathlib; pathlib.Path({str(ended)!r}).touch()",
        )
    )
    with qtbot.waitSignal(running.failed):
        running.start()
    with qtbot.waitSignal(running.failed):
        running.start()
    assert ended.exists()


def test_a_child_that_just_ends_has_failed(qtbot: QtBot, process: Start) -> None:
    running = process(child(then="print('why', file=sys.stderr); sys.exit(3)"))
    with qtbot.waitSignal(running.failed) as failed:
        running.start()
    assert failed.args == ["The preparation ended unexpectedly (exit code 3). The log says more."]
    assert running.log_text() == "why"


def test_a_program_that_is_not_there_is_named(qtbot: QtBot, process: Start, tmp_path: Path) -> None:
    running = process(Preparation((str(tmp_path / "absent"),)))
    with qtbot.waitSignal(running.failed) as failed:
        running.start()
    assert str(tmp_path / "absent") in failed.args[0]


def test_a_child_that_ends_after_it_was_ready_is_noticed(qtbot: QtBot, process: Start) -> None:
    running = process(child({"ready": READY}, then="pass"))
    with qtbot.waitSignals([running.ready, running.ended]):
        running.start()


def test_lines_that_are_not_messages_are_not_quoted(qtbot: QtBot, process: Start) -> None:
    running = process(child(then='print(\'{"ready": {"password": "cut-off\'); print("3"); sys.exit(0)'))
    with qtbot.waitSignal(running.failed):
        running.start()
    assert "cut-off" not in running.log_text()
    assert "that is not a message" in running.log_text()


@pytest.mark.expected_warnings("the preparation's result can't be used")
def test_a_result_from_another_version_is_refused_without_quoting_it(
    qtbot: QtBot, process: Start, caplog: pytest.LogCaptureFixture
) -> None:
    running = process(child({"ready": {**READY, "profile": {"unknown": 1}}}))
    with qtbot.waitSignal(running.failed) as failed:
        running.start()
    assert "does not understand" in failed.args[0]
    assert "not-to-be-seen" not in caplog.text + failed.args[0]


def test_stopping_closes_its_input_and_waits(qtbot: QtBot, process: Start, tmp_path: Path) -> None:
    goodbye = tmp_path / "goodbye"
    running = process(child({"ready": READY}, then=f"sys.stdin.read(); open({str(goodbye)!r}, 'w').close()"))
    with qtbot.waitSignal(running.ready):
        running.start()
    begun = running.findChild(QProcess)
    assert begun is not None
    assert begun.state() == QProcess.ProcessState.Running
    running.stop()
    assert goodbye.exists()
    assert not shiboken6.isValid(begun) or begun.state() == QProcess.ProcessState.NotRunning


# --- Sign-in --------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(shown: Callable[..., QWidget]) -> SignInPage:
    made = SignInPage()
    made.set_profiles([PROFILE, Profile("Test", "postgresql://localhost/sgmp")], "Pilot", "ada@example.org")
    shown(made)
    return made


def test_it_asks_for_what_is_not_known_yet(page: SignInPage) -> None:
    assert page.profile.currentText() == "Pilot"
    assert "db.example.org:5432" in words(page)
    assert page.email.text() == "ada@example.org"
    assert not page.address.isVisible()


def test_enter_in_the_password_signs_in(qtbot: QtBot, page: SignInPage) -> None:
    QTest.keyClicks(page.password, "secret")
    with qtbot.waitSignal(page.wanted) as wanted:
        QTest.keyClick(page.password, Qt.Key.Key_Return)
    request: SignInRequest = wanted.args[0]
    assert (request.profile, request.email, request.password) == (PROFILE, "ada@example.org", "secret")
    assert "secret" not in repr(request)
    assert page.password.echoMode() == QLineEdit.EchoMode.Password


def test_what_is_missing_is_said_at_the_place(page: SignInPage) -> None:
    page.email.setText("ada")
    QTest.mouseClick(page.submit, Qt.MouseButton.LeftButton)
    assert "An email address looks like name@example.org." in words(page)
    assert "Enter the password." in words(page)
    assert page.email.accessibleDescription() == "An email address looks like name@example.org."
    QTest.keyClicks(page.email, "@example.org")
    assert "looks like" not in words(page)


def test_while_busy_nothing_can_be_changed_but_it_can_be_cancelled(qtbot: QtBot, page: SignInPage) -> None:
    page.password.setText("secret")
    QTest.mouseClick(page.submit, Qt.MouseButton.LeftButton)
    assert not page.password.isEnabled()
    assert page.submit.text() == "Signing in"
    with qtbot.waitSignal(page.cancelled):
        press(page, "Cancel")
    assert page.password.isEnabled()
    assert page.password.text() == "secret"


@pytest.mark.parametrize("error", [SignInRefused(), DatabaseUnavailable("connection refused")])
def test_a_refusal_keeps_what_was_typed(page: SignInPage, error: Exception) -> None:
    page.password.setText("secret")
    page.set_busy(True)
    page.show_error(error)
    assert str(error) in words(page)
    assert page.password.text() == "secret"
    assert page.submit.isEnabled()


def test_the_server_that_one_signs_in_to_is_named(page: SignInPage) -> None:
    assert "Pilot at " in words(page)


def test_a_server_that_does_not_answer_is_said_with_what_to_do_and_a_test(
    qtbot: QtBot, page: SignInPage
) -> None:
    page.show_error(DatabaseUnavailable("connection to server at 127.0.0.1, port 5432 failed: refused"))
    said = words(page)
    assert "does not answer. Check that this computer is in the right network" in said
    assert "connection to server at 127.0.0.1" in said
    (test,) = [shown for shown in page.findChildren(QPushButton) if shown.text() == "Test connection"]
    with qtbot.waitSignal(page.test_wanted) as wanted:
        QTest.mouseClick(test, Qt.MouseButton.LeftButton)
    assert wanted.args[0].name == "Pilot"
    page.show_error(SignInRefused())
    assert not test.isVisible()


def test_without_profiles_it_asks_for_the_address(qtbot: QtBot, shown: Callable[..., QWidget]) -> None:
    page = SignInPage()
    page.set_profiles([], "", "")
    shown(page)
    page.email.setText("ada@example.org")
    page.password.setText("secret")
    page.address.setText("db.example.org")
    QTest.mouseClick(page.submit, Qt.MouseButton.LeftButton)
    assert "A database address looks like postgresql://host:5432/sgmp." in words(page)
    page.address.setText("postgresql://ada:pw@db.example.org/sgmp")
    QTest.mouseClick(page.submit, Qt.MouseButton.LeftButton)
    assert "Remove it: both are asked for at sign-in." in words(page)
    page.address.setText("postgresql://db.example.org/sgmp")
    with qtbot.waitSignal(page.wanted) as wanted:
        QTest.mouseClick(page.submit, Qt.MouseButton.LeftButton)
    assert wanted.args[0].profile.database_url == "postgresql://db.example.org/sgmp"
