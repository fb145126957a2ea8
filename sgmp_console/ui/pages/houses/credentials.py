"""The credentials of a house, shown once: copied or saved here, or lost."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import UserError
from sgmp_console.store import House
from sgmp_console.ui import fonts, plain_text
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.explain import explain_in_form
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import CheckBox, button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_edge import contract
from sgmp_edge.contract import HouseCredentials

_SAID_FOR_MS = 4000


def save(file: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all, in place of any that is there. Raises UserError."""
    temporary = ""
    try:
        # Made for its owner only, from the first byte.
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        Path(temporary).replace(file)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
        raise UserError(f"{file} can't be written: {error.strerror}. Choose another place.") from error


def first_steps(house_id: int, deployment: str) -> tuple[tuple[str, str], ...]:
    """What to do on the Raspberry Pi of a new house: (what, commands)."""
    config = f"cp config_example.py config.py\nsed -i 's/^house_id = .*/house_id = {house_id}/' config.py"
    if deployment != contract.DEFAULT_DEPLOYMENT:
        config += f"\necho 'deployment = \"{deployment}\"' >> config.py"
    return (
        ("Copy the folder sgmp_edge to the Raspberry Pi.", "scp -r sgmp_edge pi@raspberrypi:"),
        (
            "On the Raspberry Pi, create a virtual environment.",
            "sudo apt-get update\nsudo apt-get install python3-virtualenv\n"
            "python3 -m virtualenv ~/sgmp_venv -p python3\nsource ~/sgmp_venv/bin/activate",
        ),
        ("Install the required packages.", "cd ~/sgmp_edge\npip install -r requirements.txt"),
        ("Install the credentials: paste them, from { to }.", "python install_certs.py"),
        (f"Set house_id to {house_id}, the ID of this house.", config),
        ("Run the edge.", "python Main_Publisher.py"),
    )


def renewal_steps() -> tuple[tuple[str, str], ...]:
    """What to do on the Raspberry Pi of a house that gets new credentials."""
    return (
        (
            "On the Raspberry Pi, install them: paste them, from { to }.",
            "source ~/sgmp_venv/bin/activate\ncd ~/sgmp_edge\npython install_certs.py",
        ),
        (
            "An edge that is running takes them within a minute. See that it is online in the list of houses.",
            "",
        ),
        ("Then revoke the old credentials in the list of houses, if they are still valid.", ""),
    )


class CredentialsDialog(Dialog):
    """`open()` it. Nothing closes it without a question before "I have stored them" is ticked."""

    def __init__(
        self,
        services: Services,
        house: House,
        credentials: HouseCredentials,
        steps: tuple[tuple[str, str], ...],
        parent: QWidget,
        *,
        problem: str = "",
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._house = house
        self._name = f"{credentials.client_id or house.name}_credentials.json"
        self._to_replace: Path | None = None
        self._leaving = False
        self.setWindowTitle(plain_text.title(f"Credentials of {house.name}"))
        self.resize(1040, 640)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(label(f"Credentials of {house.name}", "heading", wraps=True))
        column.addWidget(
            label(
                "They are shown only now: the private key is not stored, and can't be shown again. Anyone who has them can "
                "send data as this house, so keep them like a password.",
                "body",
                "secondary",
                wraps=True,
            )
        )
        self.message_bar = MessageBar()
        column.addWidget(self.message_bar)
        if problem:
            self.message_bar.say("warning", problem)
        middle = QHBoxLayout()
        middle.setSpacing(16)
        middle.addWidget(self._build_text(contract.dump_credentials(credentials)), 1)
        middle.addWidget(self._build_steps(steps), 1)
        column.addLayout(middle, 1)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.stored = CheckBox("I have stored them")
        self.stored.setFont(fonts.font("body"))
        self.stored.toggled.connect(self._tick)
        row.addWidget(self.stored)
        row.addStretch(1)
        self.close_button = button("Close", self.accept, "primary")
        self.close_button.setEnabled(False)
        row.addWidget(self.close_button)
        column.addLayout(row)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_SAID_FOR_MS)
        self._quiet.timeout.connect(self._is_kept)
        self.copy.setFocus()

    def _build_text(self, text: str) -> QWidget:
        made = Card("What install_certs.py takes")
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        self.text.setFont(fonts.font("fixed"))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.text.setAccessibleName("Credentials")
        made.body.addWidget(self.text, 1)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.copy = button("Copy", self._copy)
        self.save = button("Save to file", self._ask_where)
        self._done_words = label("", "caption", "secondary")
        row.addWidget(self.copy)
        row.addWidget(self.save)
        row.addWidget(self._done_words, 1)
        made.body.addLayout(row)
        return made

    def _build_steps(self, steps: tuple[tuple[str, str], ...]) -> QWidget:
        made = Card("Next steps")
        inside = QWidget()
        inside.setProperty("surface", "none")
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(6)
        for number, (words, commands) in enumerate(steps, start=1):
            column.addWidget(label(f"{number}. {words}", "body", wraps=True))
            if commands:
                column.addWidget(_commands(commands, words))
        column.addStretch(1)
        made.body.addWidget(ScrollArea(inside), 1)
        return made

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self._say("Copied to the clipboard.")

    def _ask_where(self) -> None:
        dialog = ask_where_to_save(
            self, "Save the credentials", self._name, "JSON files (*.json)", self._chosen
        )
        dialog.setDefaultSuffix("json")
        # We ask ourselves, since not every system does.
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)

    def _chosen(self, file: Path) -> None:
        if not file.exists():
            self._write(file)
            return
        self._to_replace = file
        confirm(
            f"Replace {file.name}?",
            f"{file} exists already. If these are the credentials of another house, they can't be shown again.",
            f"Replace {file.name}",
            self,
            self._replace,
        )

    def _replace(self) -> None:
        if self._to_replace is not None:
            self._write(self._to_replace)

    def _write(self, file: Path) -> None:
        text = self.text.toPlainText() + "\n"
        self.save.setEnabled(False)

        def write() -> Path:
            save(file, text)
            return file

        self._services.tasks.run(self, write, self._written, self._not_written, pool="act")

    def _written(self, file: Path) -> None:
        self.save.setEnabled(True)
        self.message_bar.hide_message()
        self._say(f"Saved to {file}; only you can read it.")

    def _not_written(self, error: Exception) -> None:
        self.save.setEnabled(True)
        self.message_bar.say("fault", explain_in_form(error))

    def _say(self, words: str) -> None:
        self._done_words.setText(words)
        self._quiet.start()

    def _is_kept(self) -> None:
        self._done_words.setText("")

    def _tick(self, on: bool) -> None:
        self.close_button.setEnabled(on)

    # --- Leaving -------------------------------------------------------------------------------------------------

    def reject(self) -> None:
        """Escape and the window's cross."""
        if self._leaving or self.stored.isChecked():
            super().reject()
            return
        confirm(
            "Close without storing the credentials?",
            f"They are lost then: the edge of {self._house.name} can't be installed with them, and new ones must be "
            "generated.",
            "Close without storing",
            self,
            self._leave,
            refuse="Keep them open",
        )

    def _leave(self) -> None:
        self._leaving = True
        self.reject()

    def done(self, result: int) -> None:
        self._quiet.stop()
        self.text.clear()
        self._services.tasks.forget_all(self)
        super().done(result)
        self.deleteLater()


def _commands(text: str, words: str) -> QPlainTextEdit:
    """Lines to copy, as high as they are many."""
    made = QPlainTextEdit(text)
    made.setReadOnly(True)
    made.setFont(fonts.font("fixed"))
    made.setAccessibleName(f"Commands: {words}")
    made.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    made.setTabChangesFocus(True)
    lines = text.count("\n") + 1
    made.setFixedHeight(round(lines * fonts.metrics("fixed").lineSpacing()) + 30)
    return made
