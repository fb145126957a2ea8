"""An initial password that could not be mailed: shown once, and never again."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from sgmp_console.fleet.accounts import NewAccount
from sgmp_console.ui import fonts, plain_text
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.parts.buttons import CheckBox, button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label


class PasswordOnce(Dialog):
    """`open()` it. The password is kept nowhere else; leaving without the tick asks first."""

    def __init__(self, made: NewAccount, parent: QWidget) -> None:
        super().__init__(parent)
        self._leaving = False
        title = f"Initial password of {made.account.email}"
        self.setWindowTitle(plain_text.title(title))
        self.setFixedWidth(560)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(12)
        column.addWidget(label("Hand over the initial password", "heading"))
        column.addWidget(
            label(
                f"No mail was sent to {made.account.email}, since this deployment sends none. This password is shown "
                "only now: hand it over in private. It must be changed at the first sign-in.",
                "body",
                "secondary",
                wraps=True,
            )
        )
        self.password = QLineEdit(made.initial_password)
        self.password.setReadOnly(True)
        self.password.setFont(fonts.font("fixed"))
        self.copy = button("Copy", self._copy)
        entry = QWidget()
        row = QHBoxLayout(entry)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.password, 1)
        row.addWidget(self.copy)
        self._field = Field("Initial password", entry)
        self.password.setAccessibleName("Initial password")
        column.addWidget(self._field)
        self.passed_on = CheckBox("I have handed it over")
        self.passed_on.setFont(fonts.font("body"))
        column.addWidget(self.passed_on)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        self.close_button = button("Close", self.accept, "primary")
        self.close_button.setEnabled(False)
        self.passed_on.toggled.connect(self.close_button.setEnabled)
        buttons.addWidget(self.close_button)
        column.addLayout(buttons)
        self.copy.setFocus()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.password.text())
        self._field.set_help(
            "Copied. Others who use this computer can paste it, until something else is copied."
        )

    def reject(self) -> None:
        if self._leaving or self.passed_on.isChecked():
            super().reject()
            return
        confirm(
            "Close without handing it over?",
            "The password can't be shown again. Without it, it must be reset before the account can be used.",
            "Close anyway",
            self,
            self._leave,
            refuse="Keep it open",
        )

    def _leave(self) -> None:
        self._leaving = True
        self.reject()

    def done(self, result: int) -> None:
        self.password.clear()
        self.deleteLater()
        super().done(result)
