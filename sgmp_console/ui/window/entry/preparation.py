"""A child process that gets things ready (the demo's supervisor), and the page that shows how far it is.

The protocol is in docs/architecture.md: JSON lines on standard output, and it lives until its standard input closes.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QProcess, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from sgmp_console.errors import UserError
from sgmp_console.settings import Profile
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import centred
from sgmp_console.ui.parts.empty_state import Details
from sgmp_console.ui.parts.labels import IconLabel, label

log = logging.getLogger(__name__)

_LOG_LENGTH = 50_000
_STOP_TIMEOUT_MS = 15_000


@dataclass(frozen=True)
class Preparation:
    """The program and its arguments."""

    command: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """What to sign in to, and as whom."""

    profile: Profile
    email: str
    password: str

    def __repr__(self) -> str:
        return f"Prepared({self.profile.name!r}, {self.email!r})"


class PreparationProcess(QObject):
    """Runs the child and reads what it says."""

    staged = Signal(str, str, object)
    """Stage, text, and the fraction done or None."""
    ready = Signal(object)
    """A Prepared."""
    failed = Signal(str)
    """The sentence for the operator. Also when the child ends before it was ready."""
    ended = Signal()
    """The child ended after it was ready, and nobody asked it to."""

    def __init__(self, preparation: Preparation, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = preparation.command
        self._process: QProcess | None = None
        self._buffer = b""
        self._log = ""
        self._outcome = ""
        self._starts_again = False

    def start(self) -> None:
        """Also again, after it failed: then it begins when the child before has ended, with the servers it started."""
        if self._process is not None and self._process.state() != QProcess.ProcessState.NotRunning:
            self._starts_again = True
            self._process.closeWriteChannel()
            patience = QTimer(self._process)
            patience.setSingleShot(True)
            patience.timeout.connect(self._process.kill)
            patience.start(_STOP_TIMEOUT_MS)
            return
        self._starts_again = False
        self._discard()
        self._buffer, self._outcome = b"", ""
        self._log = ""
        process = QProcess(self)
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._read_log)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._not_started)
        self._process = process
        process.start(self._command[0], list(self._command[1:]))

    def log_text(self) -> str:
        """The end of what the child wrote to its standard error."""
        return self._log.strip()

    def stop(self) -> None:
        """Close the child's standard input and wait until it has ended, for 15 s at most; then end it."""
        process = self._process
        if process is None:
            return
        process.blockSignals(True)
        if process.state() != QProcess.ProcessState.NotRunning:
            process.closeWriteChannel()
            if not process.waitForFinished(_STOP_TIMEOUT_MS):
                log.warning("the preparation did not end by itself; ending it")
                process.terminate()
                if not process.waitForFinished(3000):
                    process.kill()
                    process.waitForFinished(3000)
        self._discard()

    def _discard(self) -> None:
        if self._process is not None:
            self._process.blockSignals(True)
            self._process.deleteLater()
            self._process = None

    def _read(self) -> None:
        if self._process is None:
            return
        self._buffer += bytes(self._process.readAllStandardOutput().data())
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            if line.strip() and not self._starts_again:
                self._understand(line)

    def _understand(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, Mapping):
            # Not quoted: a line that is cut could hold the password.
            self._add_to_log(f"(a line of {len(line)} bytes that is not a message)\n")
        elif "ready" in said:
            self._take_ready(said["ready"])
        elif "failed" in said:
            self._outcome = "failed"
            self.failed.emit(str(said["failed"]))
        elif "stage" in said:
            self.staged.emit(str(said["stage"]), str(said.get("text", "")), said.get("fraction"))

    def _take_ready(self, said: Mapping[str, Any]) -> None:
        try:
            prepared = Prepared(Profile(**said["profile"]), said["email"], said["password"])
        except (KeyError, TypeError, UserError) as error:
            self._outcome = "failed"
            log.error("the preparation's result can't be used: %s", type(error).__name__)
            self.failed.emit("The preparation ended with a result that this console does not understand.")
            return
        self._outcome = "ready"
        self.ready.emit(prepared)

    def _read_log(self) -> None:
        if self._process is not None:
            text = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
            self._add_to_log(text)

    def _add_to_log(self, text: str) -> None:
        self._log = (self._log + text)[-_LOG_LENGTH:]

    def _finished(self, code: int) -> None:
        self._read()
        self._read_log()
        if self._starts_again:
            self.start()
        elif self._outcome == "ready":
            self.ended.emit()
        elif not self._outcome:
            self.failed.emit(f"The preparation ended unexpectedly (exit code {code}). The log says more.")

    def _not_started(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._outcome = "failed"
            self.failed.emit(f"{self._command[0]} can't be started: {self._process.errorString()}.")


class PreparationPage(QWidget):
    """The stages with their progress; when it failed, what happened, Retry, and the log."""

    retry_wanted = Signal()

    def __init__(self, process: PreparationProcess, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._process = process
        self._stages: dict[str, _Stage] = {}
        outer = QVBoxLayout(self)
        card = QFrame()
        card.setProperty("surface", "card")
        card.setFixedWidth(560)
        centred(outer, card)
        column = QVBoxLayout(card)
        column.setContentsMargins(32, 28, 32, 28)
        column.setSpacing(12)
        column.addWidget(label("Getting ready", "heading"))
        self._lead = label(
            "The window opens as soon as the houses send their first values.", "body", "secondary", wraps=True
        )
        column.addWidget(self._lead)
        column.addSpacing(4)
        self._rows = QGridLayout()
        self._rows.setHorizontalSpacing(12)
        self._rows.setVerticalSpacing(10)
        self._rows.setColumnStretch(1, 1)
        column.addLayout(self._rows)
        self._fault = QFrame()
        self._fault.setProperty("surface", "fault")
        fault = QHBoxLayout(self._fault)
        fault.setContentsMargins(12, 10, 12, 10)
        fault.setSpacing(10)
        fault.addWidget(IconLabel("fault", "state_fault"), alignment=Qt.AlignmentFlag.AlignTop)
        self._sentence = label("", "body", wraps=True)
        fault.addWidget(self._sentence, 1)
        column.addWidget(self._fault)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        self._retry = button("Retry", self._ask_retry, "primary")
        buttons.addWidget(self._retry)
        column.addLayout(buttons)
        self._details = Details("", title="log")
        self._details.setFixedWidth(496)
        column.addWidget(self._details)
        self._beat = QTimer(self)
        self._beat.setInterval(1000)
        self._beat.timeout.connect(self._tick)
        process.staged.connect(self.show_stage)
        process.failed.connect(self.show_failure)
        self._show_failed(False)

    def show_stage(self, id_: str, text: str, fraction: float | None) -> None:
        """A new stage ends those before it that did not say how far they are."""
        if id_ not in self._stages:
            for earlier in self._stages.values():
                earlier.superseded()
            row = len(self._stages)
            stage = _Stage()
            self._stages[id_] = stage
            for column, widget in enumerate((stage.icon, stage.text, stage.bar, stage.took)):
                self._rows.addWidget(widget, row, column, Qt.AlignmentFlag.AlignVCenter)
        self._stages[id_].show(text, fraction)

    def show_signing_in(self) -> None:
        self.show_stage("sign-in", "Signing in", None)

    def show_failure(self, sentence: str) -> None:
        for stage in self._stages.values():
            stage.give_up()
        self._sentence.setText(sentence)
        self._details.set_text(self._process.log_text() or "The log is empty.")
        self._show_failed(True)
        self._retry.setFocus()

    def _show_failed(self, failed: bool) -> None:
        self._fault.setVisible(failed)
        self._retry.setVisible(failed)
        self._details.setVisible(failed)
        self._lead.setVisible(not failed)

    def _ask_retry(self) -> None:
        for stage in self._stages.values():
            stage.remove()
        self._stages.clear()
        self._show_failed(False)
        self.retry_wanted.emit()

    def _tick(self) -> None:
        for stage in self._stages.values():
            stage.tick()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._beat.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._beat.stop()


class _Stage:
    """A row of the list: a mark, the text, a bar while it runs, and the seconds it took."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._done = False
        self._fraction: float | None = None
        self.icon = IconLabel("clock", "ink_muted")
        self.text: QLabel = label("", "body", wraps=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(110)
        self.took = label("", "caption", "muted")
        self.took.setMinimumWidth(36)
        self.took.setAlignment(Qt.AlignmentFlag.AlignRight)

    def show(self, text: str, fraction: float | None) -> None:
        self.text.setText(text)
        self.bar.setAccessibleName(f"Progress of: {text}")
        self._fraction = fraction
        if fraction is None:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(fraction * 1000))
        if fraction is not None and fraction >= 1:
            self._finish()
        else:
            self.tick()

    def superseded(self) -> None:
        if self._fraction is None:
            self._finish()

    def give_up(self) -> None:
        if not self._done:
            self._done = True
            self.icon.set_icon("fault", "state_fault")
            self.bar.hide()

    def tick(self) -> None:
        if not self._done:
            self.took.setText(f"{time.monotonic() - self._began:.0f}\u00a0s")

    def remove(self) -> None:
        for widget in (self.icon, self.text, self.bar, self.took):
            widget.hide()
            widget.deleteLater()

    def _finish(self) -> None:
        if not self._done:
            self.tick()
            self._done = True
            self.icon.set_icon("check", "state_ok")
            self.bar.hide()
