"""A dialog whose button does something that takes a while, elsewhere, and can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from sgmp_console.cloud.services import Services as Cloud
from sgmp_console.errors import Cancelled, SgmpError
from sgmp_console.store import DatabaseUnavailable
from sgmp_console.ui import plain_text
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.tasks import Report, Task

T = TypeVar("T")


class ActDialog(QDialog):
    """Put what it asks for into `body`; `act` calls `perform`, which calls `run`.

    While it runs `body` is disabled, a bar moves, and Cancel asks the work to stop: the dialog stays until it has ended,
    since only then it is known what became of it. What fails is said in the strip, and nothing that was typed is lost.
    """

    def __init__(
        self, services: Services, title: str, act: str, parent: QWidget, *, is_destructive: bool = False
    ) -> None:
        super().__init__(parent)
        self.services = services
        self._act_words = act
        self._task: Task[Any] | None = None
        self.setWindowTitle(plain_text.title(title))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(520)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(16)
        column.addWidget(label(title, "heading", wraps=True))
        self.strip = MessageBar()
        self.strip.acted.connect(self.act_on_strip)
        column.addWidget(self.strip)
        self._part = QWidget()
        self.body = QVBoxLayout(self._part)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(12)
        column.addWidget(self._part, 1)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Working")
        policy = self._bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(policy)
        self._bar.hide()
        column.addWidget(self._bar)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.foot = label("", "caption", "muted")
        row.addWidget(self.foot)
        row.addStretch(1)
        self.cancel = button("Cancel", self.reject)
        self.act = button(act, self.perform, "danger" if is_destructive else "primary")
        for one in (self.act, self.cancel) if is_destructive else (self.cancel, self.act):
            row.addWidget(one)
        column.addLayout(row)
        if not is_destructive:
            for keys in ("Ctrl+Return", "Ctrl+Enter", "Ctrl+S"):
                QShortcut(QKeySequence(keys), self).activated.connect(self.act.click)

    def perform(self) -> None:
        """The button was pressed."""
        raise NotImplementedError

    def act_on_strip(self, id_: str) -> None:
        """A button of the strip was pressed."""

    @property
    def busy(self) -> bool:
        return self._task is not None

    def run(
        self,
        doing: str,
        title: str,
        work: Callable[[Cloud, Callable[[], None]], T],
        on_done: Callable[[T], None],
    ) -> None:
        """Do `work(cloud, checkpoint)` on a thread; `doing` stands on the button meanwhile, `title` in the status bar."""
        session = self.services.session

        def do(report: Report) -> T:
            def checkpoint() -> None:
                report(None, "")

            checkpoint()
            return work(session.cloud(), checkpoint)

        def done(result: T) -> None:
            self._set_busy(None)
            on_done(result)

        self.strip.hide_message()
        self._set_busy(self.services.tasks.run_shown(self, title, do, done, self._failed), doing)

    def failed(self, error: Exception) -> None:
        """Say it. Called with the dialog at rest again."""
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)
        if isinstance(error, Cancelled):
            self.strip.say("info", "It was cancelled." if str(error) == "Cancelled." else str(error))
        else:
            self.strip.say("fault", sentence(error))
        self.grow()

    def grow(self) -> None:
        """As high as what it says needs now; never lower, so that nothing moves needlessly."""
        layout = self.layout()
        if layout is not None:
            layout.activate()
            needed = layout.heightForWidth(self.width()) if layout.hasHeightForWidth() else 0
            self.resize(self.width(), max(self.height(), needed, layout.sizeHint().height()))

    def reject(self) -> None:
        if self._task is None:
            super().reject()
            return
        self._task.cancel()
        self.cancel.setEnabled(False)
        self.cancel.setText("Cancelling")

    def done(self, result: int) -> None:
        self.services.tasks.forget_all(self)
        super().done(result)

    def _failed(self, error: Exception) -> None:
        self._set_busy(None)
        self.failed(error)

    def _set_busy(self, task: Task[Any] | None, doing: str = "") -> None:
        self._task = task
        self._part.setEnabled(task is None)
        self._bar.setVisible(task is not None)
        self.act.setEnabled(task is None)
        self.act.setText(doing if task is not None else self._act_words)
        self.cancel.setEnabled(True)
        self.cancel.setText("Cancel")
        if task is not None:
            self.cancel.setFocus()


def sentence(error: Exception) -> str:
    if isinstance(error, SgmpError):
        return str(error)
    return (
        "Something in SGMP failed that should not have. What was typed is still here; trying again can help."
    )
