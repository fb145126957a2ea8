"""The status bar: the database, and what runs in the background."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QWidget

from sgmp_console.ui.connection import Connection
from sgmp_console.ui.parts.buttons import IconButton
from sgmp_console.ui.parts.labels import IconLabel, label, set_ink
from sgmp_console.ui.tasks import Task, Tasks


class StatusBar(QFrame):
    def __init__(
        self,
        connection: Connection,
        tasks: Tasks,
        ingest: QWidget,
        address: str,
        account: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setProperty("surface", "status")
        self.setAccessibleName("Status")
        self.setFixedHeight(32)
        self._connection = connection
        self._tasks = tasks
        self._address = address
        self._ingest = ingest
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 8, 0)
        row.setSpacing(8)
        self._icon = IconLabel("database", "ink_muted", 14)
        self._database = label("", "caption", "secondary")
        row.addWidget(self._icon)
        row.addWidget(self._database)
        row.addSpacing(16)
        row.addWidget(IconLabel("account", "ink_muted", 14))
        row.addWidget(label(account, "caption", "secondary"))
        row.addSpacing(16)
        row.addWidget(ingest)
        row.addStretch(1)
        self._work = _Work()
        self._beside: tuple[str, float | None] | None = None
        row.addWidget(self._work)
        connection.changed.connect(self._show_connection)
        tasks.shown_changed.connect(self._show_work)
        self._show_connection()
        self._show_work()

    def _show_connection(self) -> None:
        if self._connection.online:
            self._database.setText(f"{self._address} · connected")
            self._icon.set_icon("database", "ink_muted")
        else:
            self._database.setText(f"{self._address} · not connected")
            self._icon.set_icon("offline", "state_fault")
        set_ink(self._database, "secondary" if self._connection.online else "fault")
        self._ingest.setVisible(self._connection.online)  # what it reported is not current

    def show_beside(self, text: str, fraction: float | None) -> None:
        """What another process does for this window meanwhile; with `fraction` 1 it is done."""
        self._beside = None if fraction is not None and fraction >= 1 else (text, fraction)
        self._show_work()

    def _show_work(self) -> None:
        self._work.show_work(self._tasks.shown(), self._beside)


class _Work(QWidget):
    """The oldest piece of background work with its progress and a cancel button, and how many more there are."""

    def __init__(self) -> None:
        super().__init__()
        self._task: Task[object] | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self._text = label("", "caption", "secondary")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(120)
        self._bar.setAccessibleName("Progress of the background work")
        self._cancel = IconButton("close", "Cancel", size=12)
        self._cancel.clicked.connect(self._stop)
        for part in (self._text, self._bar, self._cancel):
            row.addWidget(part)

    def show_work(self, tasks: list[Task[object]], beside: tuple[str, float | None] | None) -> None:
        """`beside` is what another process does: shown where no task is, and not ours to cancel."""
        self._task = tasks[0] if tasks else None
        self.setVisible(self._task is not None or beside is not None)
        self._cancel.setVisible(self._task is not None)
        if self._task is not None:
            more = f" (and {len(tasks) - 1} more)" if len(tasks) > 1 else ""
            detail = f": {self._task.text}" if self._task.text else ""
            self._text.setText(f"{self._task.title}{detail}{more}")
            fraction = self._task.fraction
        elif beside is not None:
            self._text.setText(beside[0])
            fraction = beside[1]
        else:
            return
        self._bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self._bar.setValue(round(fraction * 1000))
        self._cancel.setEnabled(True)

    def _stop(self) -> None:
        if self._task is not None:
            self._cancel.setEnabled(False)
            self._task.cancel()
