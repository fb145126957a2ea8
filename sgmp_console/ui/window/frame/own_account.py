"""One's own account: what is known of it, and the way to another password."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from sgmp_console.fleet import passwords
from sgmp_console.ui.connection import Connection
from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Report, Tasks
from sgmp_console.ui.window.entry.passwords import PasswordChange, PasswordFields


class OwnAccountDialog(TaskDialog):
    """`open()` it. `house`: the name of the house that the account belongs to, where it has one."""

    password_changed = Signal(str)
    """The new one, for the keyring."""

    def __init__(
        self, session: Session, house: str, tasks: Tasks, connection: Connection, parent: QWidget
    ) -> None:
        super().__init__(tasks, "Your account", "Change password", parent, connection=connection)
        self._session = session
        self.set_refuse("Close")
        account = session.account
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
        self.fields = PasswordFields(account, asks_present=True)
        self.fields.submitted.connect(self.perform)
        column = QVBoxLayout()
        column.setSpacing(12)
        column.addLayout(facts)
        column.addSpacing(8)
        column.addWidget(label("Change the password", "title"))
        column.addWidget(self.fields)
        self.lay_out(column)
        self.fields.focus_first()
        # Else the first password that is typed would wait for it on this thread.
        tasks.run(self, passwords.load, lambda _loaded: None, self.failed)

    def set_free(self, free: bool) -> None:
        self.fields.setEnabled(free)

    def would_lose(self) -> str:
        return "The password stays as it is." if self.fields.has_text() else ""

    def perform(self) -> None:
        change = None if self.busy else self.fields.result()
        if change is None:
            return
        session = self._session

        def work(_report: Report) -> PasswordChange:
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

        self.run(work, self._changed, "Changing the password")
        self.cancel.setEnabled(False)

    def reject(self) -> None:
        """Not while the password is being changed: the keyring must hear of it."""
        if not self.busy:
            super().reject()

    def failed(self, error: Exception) -> None:
        super().failed(error)
        self.fields.focus_first()

    def _changed(self, change: PasswordChange) -> None:
        self.fields.clear()
        self.message_bar.say("info", "The password is changed. Use the new one from now on, also elsewhere.")
        self.fit()
        self.cancel.setFocus()
        self.password_changed.emit(change.new)
