"""One's own account: what is known of it, and the way to another password."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from sgmp_console.fleet import passwords
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.explain import explain
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import MessageBar, Tone
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.window.entry.passwords import PasswordChange, PasswordFields


class OwnAccountDialog(Dialog):
    """`open()` it. `house`: the name of the house that the account belongs to, where it has one."""

    password_changed = Signal(str)
    """The new one, for the keyring."""

    def __init__(self, session: Session, house: str, tasks: Tasks, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Your account")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(520)
        self._session = session
        self._tasks = tasks
        self._busy = False
        account = session.account
        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(label("Your account", "heading"))
        facts = QGridLayout()
        facts.setHorizontalSpacing(16)
        facts.setVerticalSpacing(6)
        facts.setColumnStretch(1, 1)
        where = "all houses" if "all_houses" in account.permissions else house or "no house"
        for row, (name, value) in enumerate(
            (
                ("Name", account.name),
                ("Email", account.email),
                ("Role", account.role),
                ("Sees", where),
                ("Connection", session.profile.name),
            )
        ):
            facts.addWidget(label(name, "body", "secondary"), row, 0)
            facts.addWidget(label(value, "body", wraps=True), row, 1)
        column.addLayout(facts)
        column.addSpacing(8)
        column.addWidget(label("Change the password", "title"))
        self._strip = MessageBar()
        column.addWidget(self._strip)
        self.fields = PasswordFields(account, asks_present=True)
        self.fields.submitted.connect(self._submit)
        column.addWidget(self.fields)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setRange(0, 0)
        self._progress.setAccessibleName("Changing the password")
        policy = self._progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._progress.setSizePolicy(policy)
        column.addWidget(self._progress)
        row_ = QHBoxLayout()
        row_.setSpacing(8)
        row_.addStretch(1)
        self._close = button("Close", self.reject)
        self._save = button("Change password", self._submit, "primary")
        row_.addWidget(self._close)
        row_.addWidget(self._save)
        column.addLayout(row_)
        for keys in ("Ctrl+Return", "Ctrl+Enter", "Ctrl+S"):
            QShortcut(QKeySequence(keys), self, self._submit)
        self._show_busy(False)
        self.fields.focus_first()
        # Else the first password that is typed would wait for it on this thread.
        self._tasks.run(self, passwords.load, lambda _loaded: None, self._not_changed)

    def reject(self) -> None:
        """Asks first where something was typed; not while the password is being changed."""
        if self._busy:
            return
        if not self.fields.has_text():
            super().reject()
            return
        confirm(
            "Discard what you typed?",
            "The password stays as it is.",
            "Discard",
            self,
            self._discard,
            refuse="Keep editing",
        )

    def _discard(self) -> None:
        super().reject()

    def _submit(self) -> None:
        if self._busy:
            return
        change = self.fields.result()
        if change is None:
            return
        self._strip.hide_message()
        self._show_busy(True)
        session = self._session

        def work() -> PasswordChange:
            from sgmp_console.cloud import services
            from sgmp_console.fleet import accounts

            accounts.change_own_password(
                session.database,
                session.account.email,
                change.old,
                change.new,
                directory=services.directory(session.profile),
            )
            return change

        # Not tied to this dialog's buttons: it can't be taken back half-way.
        self._tasks.run(self, work, self._changed, self._not_changed, pool="act")

    def _changed(self, change: PasswordChange) -> None:
        self._show_busy(False)
        self.fields.clear()
        self._say("info", "The password is changed. Use the new one from now on, also elsewhere.")
        self._close.setFocus()
        self.password_changed.emit(change.new)

    def _not_changed(self, error: Exception) -> None:
        self._show_busy(False)
        self._say("fault", explain(error))
        self.fields.focus_first()

    def _say(self, tone: Tone, text: str) -> None:
        self._strip.say(tone, text)
        # A dialog does not grow by itself for text that wraps.
        needed = self._column.totalHeightForWidth(self.width())
        self.resize(self.width(), max(self.height(), needed))

    def _show_busy(self, busy: bool) -> None:
        self._busy = busy
        self.fields.setEnabled(not busy)
        self._save.setEnabled(not busy)
        self._close.setEnabled(not busy)
        self._save.setText("Changing the password" if busy else "Change password")
        self._progress.setVisible(busy)
