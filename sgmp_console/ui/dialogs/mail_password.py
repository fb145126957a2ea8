"""The mail server's password where no keyring has it: asked for when mail is to be sent, kept until the sign-out."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QApplication, QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from sgmp_console.errors import Cancelled
from sgmp_console.settings import Profile
from sgmp_console.ui import plain_text
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label

_CHECK_EVERY_S = 0.2
"""So often a waiting thread looks whether the window closes."""


class MailPasswordPrompt(QObject):
    """Lives on the GUI thread; `ask` is for worker threads."""

    _asked = Signal(object, str, object)
    """Profile, why it is asked for, a Future."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._closed = False
        self._asked.connect(self._open)

    def ask(self, profile: Profile, why: str) -> str:
        """Blocks until the operator has answered. Raises Cancelled where they would not, or the window closes."""
        answer: Future[str] = Future()
        self._asked.emit(profile, why, answer)
        while True:
            try:
                return answer.result(_CHECK_EVERY_S)
            except NotYet:
                if self._closed:
                    raise Cancelled("Cancelled.") from None

    def close(self) -> None:
        """Who waits is sent away."""
        self._closed = True

    @Slot(object, str, object)
    def _open(self, profile: Profile, why: str, answer: Future[str]) -> None:
        MailPasswordDialog(profile, why, answer, QApplication.activeModalWidget() or self._window).open()


class MailPasswordDialog(Dialog):
    """`open()` it; `answer` gets the password, or Cancelled."""

    def __init__(self, profile: Profile, why: str, answer: Future[str], parent: QWidget) -> None:
        super().__init__(parent)
        self._answer = answer
        title = f"Password of the mail server {profile.smtp_host}"
        self.setWindowTitle(plain_text.title(title))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(480)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(label(title, "heading", wraps=True))
        column.addWidget(label(why, "body", "secondary", wraps=True))
        self.password = QLineEdit()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self._field = Field(
            f"Password of {profile.smtp_user}",
            self.password,
            "It is kept until you sign out, and stored nowhere.",
        )
        column.addWidget(self._field)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(button("Cancel", self.reject))
        self.use = button("Send mail", self.accept, "primary")
        self.use.setDefault(True)
        row.addWidget(self.use)
        column.addLayout(row)
        self.password.setFocus()

    def accept(self) -> None:
        if not self.password.text():
            self._field.set_problem("Enter the password.")
            return
        super().accept()

    def done(self, result: int) -> None:
        if not self._answer.done():
            if result == QDialog.DialogCode.Accepted:
                self._answer.set_result(self.password.text())
            else:
                self._answer.set_exception(Cancelled("Cancelled."))
        self.password.clear()
        super().done(result)
