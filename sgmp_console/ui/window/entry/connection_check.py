"""Testing a connection: each step as it is looked at, what it found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import SgmpError
from sgmp_console.settings import Profile
from sgmp_console.ui import plain_text
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.step_list import StepList
from sgmp_console.ui.tasks import Task, Tasks

if TYPE_CHECKING:
    from sgmp_console.diagnosis import Step


class ConnectionTestDialog(Dialog):
    """`open()` it; it begins at once and stops where it is closed. `mail_password` is called on a worker thread."""

    def __init__(
        self,
        profile: Profile,
        email: str,
        password: str,
        mail_password: Callable[[], str],
        tasks: Tasks,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(plain_text.title(f"Test of {profile.name}"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(640, 560)
        self._failed = 0
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(label(f"Test of {profile.name}", "heading"))
        self._state = label("Looking", "body", "secondary", wraps=True)
        column.addWidget(self._state)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setRange(0, 0)
        self._progress.setAccessibleName("Testing the connection")
        policy = self._progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._progress.setSizePolicy(policy)
        column.addWidget(self._progress)
        self._steps = StepList("Steps")
        column.addWidget(self._steps, 1)
        row = QHBoxLayout()
        row.addStretch(1)
        self._close = button("Cancel", self.reject)
        row.addWidget(self._close)
        column.addLayout(row)

        def look() -> Iterator[Step | str]:
            from sgmp_console import diagnosis

            yield from diagnosis.connection(profile, email, password, smtp_password=mail_password())
            yield ""

        self._task: Task[Step | str] = tasks.listen(self, look, self._came, self._broke)

    def done(self, result: int) -> None:
        self._task.forget()
        super().done(result)

    def _came(self, found: Step | str) -> None:
        if isinstance(found, str):
            self._end(
                "Everything that was looked at is as needed."
                if not self._failed
                else f"{self._failed} of the steps failed. Each says what to do."
            )
            return
        self._failed += found.ok is False
        self._steps.add(found.ok, found.name, found.text, found.remedy)

    def _broke(self, error: Exception) -> None:
        self._end(str(error) if isinstance(error, SgmpError) else "The test itself failed.")

    def _end(self, text: str) -> None:
        self._state.setText(text)
        self._progress.hide()
        self._close.setText("Close")
