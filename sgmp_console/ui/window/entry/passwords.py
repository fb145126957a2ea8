"""Choosing a password: the fields, and the page that stands between the first sign-in and everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QProgressBar, QVBoxLayout, QWidget

from sgmp_console.fleet import passwords
from sgmp_console.ui import fonts
from sgmp_console.ui.explain import explain
from sgmp_console.ui.painted_button import is_enter
from sgmp_console.ui.parts.buttons import CheckBox, button
from sgmp_console.ui.parts.card import centred
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import MessageBar

if TYPE_CHECKING:
    from sgmp_console.store.accounts import Account


@dataclass(frozen=True)
class PasswordChange:
    """`old` is empty where it is known already, from the sign-in."""

    old: str = field(repr=False)
    new: str = field(repr=False)


class PasswordFields(QWidget):
    """The current password (where asked for), a new one, and the new one again. Problems are said at the field, once it
    was left or the form was sent."""

    submitted = Signal()
    """Enter was pressed in a field."""

    def __init__(self, account: Account, *, asks_present: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._account = account
        self._asks_present = asks_present
        self.present, self.new, self.again = entries = (QLineEdit(), QLineEdit(), QLineEdit())
        self._present = Field("Current password", self.present)
        self._new = Field("New password", self.new, passwords.RULES)
        self._again = Field("New password again", self.again)
        self._fields = dict(zip(entries, (self._present, self._new, self._again), strict=True))
        self._shown = CheckBox("Show what is typed")
        self._shown.toggled.connect(self._show_typed)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(12)
        for entry, one in self._fields.items():
            entry.setFont(fonts.font("body"))
            entry.returnPressed.connect(self.submitted)
            entry.textEdited.connect(self._edited)
            entry.editingFinished.connect(self._left)
            column.addWidget(one)
        column.addWidget(self._shown)
        self._present.setVisible(asks_present)
        self._show_typed(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if not is_enter(event):  # that was `submitted`; what holds these fields need do nothing more
            super().keyPressEvent(event)

    def has_text(self) -> bool:
        return any(entry.text() for entry in self._fields)

    def clear(self) -> None:
        for entry, one in self._fields.items():
            entry.clear()
            one.set_problem("")

    def focus_first(self) -> None:
        (self.present if self._asks_present else self.new).setFocus()

    def result(self) -> PasswordChange | None:
        """None where something is wrong, which is said and has the focus then."""
        self._present.set_problem(
            "" if self.present.text() or not self._asks_present else "Enter the current password."
        )
        self._new.set_problem(self._problem())
        self._again.set_problem("" if self.again.text() == self.new.text() else "This is not the same.")
        for entry, one in self._fields.items():
            if one.problem:
                entry.setFocus()
                return None
        return PasswordChange(self.present.text(), self.new.text())

    def _problem(self) -> str:
        old = self.present.text() if self._asks_present else None
        who = self._account
        return passwords.problem(self.new.text(), email=who.email, name=who.name, old=old) or ""

    def _edited(self) -> None:
        for entry, one in self._fields.items():
            if entry is self.sender():
                one.set_problem("")

    def _left(self) -> None:
        left = self.sender()
        if left is self.new and self.new.text():
            self._new.set_problem(self._problem())
        if left is self.again and self.again.text() and self.again.text() != self.new.text():
            self._again.set_problem("This is not the same.")

    def _show_typed(self, shown: bool) -> None:
        mode = QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password
        for entry in self._fields:
            entry.setEchoMode(mode)


class ChoosePasswordPage(QWidget):
    """After signing in with an initial password. `chosen` carries a PasswordChange; answer with `show_error`, or by showing
    something else."""

    chosen = Signal(object)
    left = Signal()
    """Back to the sign-in."""

    def __init__(self, account: Account, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        card = QFrame()
        card.setProperty("surface", "card")
        card.setFixedWidth(440)
        centred(outer, card)
        column = QVBoxLayout(card)
        column.setContentsMargins(32, 28, 32, 28)
        column.setSpacing(8)
        column.addWidget(label("Choose a password", "heading"))
        lead = f"You are signed in as {account.email} with an initial password. Choose one that only you know; it is used from now on."
        column.addWidget(label(lead, "body", "secondary", wraps=True))
        column.addSpacing(8)
        self.fields = PasswordFields(account, asks_present=False)
        self.fields.submitted.connect(self._submit)
        column.addWidget(self.fields)
        self._strip = MessageBar()
        column.addWidget(self._strip)
        column.addSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(8)
        self._save = button("Set password", self._submit, "primary")
        self._back = button("Back to sign-in", self.left.emit)
        row.addWidget(self._save, 1)
        row.addWidget(self._back)
        column.addLayout(row)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Setting the password")
        policy = self._progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._progress.setSizePolicy(policy)
        column.addWidget(self._progress)
        self.set_busy(False)

    def set_busy(self, busy: bool) -> None:
        self.fields.setEnabled(not busy)
        self._save.setEnabled(not busy)
        self._back.setEnabled(not busy)
        self._save.setText("Setting the password" if busy else "Set password")
        self._progress.setRange(0, 0 if busy else 1)
        self._progress.setVisible(busy)

    def show_error(self, error: Exception) -> None:
        """Ready for another attempt; what was typed stays."""
        self.set_busy(False)
        self._strip.say("fault", explain(error))
        self.fields.focus_first()

    def _submit(self) -> None:
        change = self.fields.result()
        if change is not None and self._save.isEnabled():
            self._strip.hide_message()
            self.set_busy(True)
            self.chosen.emit(change)
