"""A dialog whose button starts work on a thread that takes a while and can fail: what all such dialogs have."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLayout, QProgressBar, QVBoxLayout, QWidget

from sgmp_console.errors import Cancelled
from sgmp_console.ui import plain_text
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.explain import explain_in_form
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.tasks import Report, Task, Tasks

if TYPE_CHECKING:
    from sgmp_console.ui.connection import Connection

T = TypeVar("T")


class TaskDialog(Dialog):
    """Heading, content, message bar, progress bar and buttons. Give the content to `lay_out`; implement `perform`, which
    calls `run`, and `set_free`.

    The message bar and the progress bar have a place of their own, so that nothing moves under the pointer when they
    appear. While work runs, the content is not free, and Cancel asks the work to stop: the dialog stays until it has
    ended, since only then it is known what became of it. Ctrl+Enter and Ctrl+S press the button, unless it destroys.
    """

    def __init__(
        self,
        tasks: Tasks,
        title: str,
        verb: str,
        parent: QWidget | None,
        *,
        context: str = "",
        is_destructive: bool = False,
        only_reads: bool = False,
        connection: Connection | None = None,
    ) -> None:
        """`verb` names the button; `context` stands beside the title; `only_reads`: the work changes nothing, so that the dialog
        may be closed at any time; `connection` hears that the database is away."""
        super().__init__(parent)
        self.tasks = tasks
        self.title, self.verb, self.refuse = title, verb, "Cancel"
        self._context = context
        self._is_destructive = is_destructive
        self._only_reads = only_reads
        self._connection = connection
        self._task: Task[Any] | None = None
        self._focus_before: QWidget | None = None
        self._discarding = False
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._heading = label("", "heading", wraps=True)
        self.set_title(title)
        self.setMinimumWidth(520)
        self.message_bar = MessageBar(keeps_place=True)
        self.message_bar.acted.connect(self.act_on_message)
        self.note = label("", "caption", "muted", wraps=True)
        """Beside the buttons: what the work brings."""
        self.cancel = button(self.refuse, self.reject)
        tip = "" if is_destructive else "Ctrl+Enter"
        self.act = button(verb, self.perform, "danger" if is_destructive else "primary", tip=tip)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Working")
        policy = self._bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(policy)
        self._bar.hide()
        if not is_destructive:
            for keys in ("Ctrl+Return", "Ctrl+Enter", "Ctrl+S"):
                QShortcut(QKeySequence(keys), self).activated.connect(self._press)

    # --- What a dialog says of itself ------------------------------------------------------------------------------

    @abstractmethod
    def perform(self) -> None:
        """The button was pressed: check what stands here, then `run`."""

    @abstractmethod
    def set_free(self, free: bool) -> None:
        """Let the content be changed, or not while work runs."""

    def may_act(self) -> bool:
        """Whether the button can be pressed, while no work runs. Call `refresh_act` where that has changed."""
        return True

    def would_lose(self) -> str:
        """A sentence on what is lost when the dialog is closed now, for the question before that; "" where nothing is."""
        return ""

    def act_on_message(self, id_: str) -> None:
        """A button of the message bar was pressed."""

    def fit(self) -> None:
        """The message bar says more or less than before: as high as it needs now, and never lower."""
        self.grow()

    # --- Building --------------------------------------------------------------------------------------------------

    def lay_out(self, content: QWidget | QLayout, *beside: QWidget, scroll_room: int = 0) -> None:
        """The content between heading and buttons; `beside`: further buttons, before the one of the dialog. `scroll_room`:
        pixels of the right margin that the content has for its scroll bar."""
        heading = QHBoxLayout()
        heading.addWidget(self._heading, 1)
        if self._context:
            heading.addWidget(label(self._context, "body", "secondary"))
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.note, 1)
        pair = (self.act, self.cancel) if self._is_destructive else (self.cancel, *beside, self.act)
        for widget in pair:
            buttons.addWidget(widget)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 16, 24 - scroll_room, 16)
        outer.setSpacing(12)
        outer.addLayout(heading)
        if isinstance(content, QLayout):
            outer.addLayout(content, 1)
        else:
            outer.addWidget(content, 1)
        work = QVBoxLayout()
        work.setSpacing(12)
        work.addWidget(self.message_bar)
        work.addWidget(self._bar)
        outer.addLayout(work)
        outer.addLayout(buttons)
        for part in (heading, work, buttons):
            part.setContentsMargins(0, 0, scroll_room, 0)

    def set_title(self, title: str) -> None:
        """Say something else of what the dialog is about."""
        self.title = title
        self._heading.setText(title)
        self.setWindowTitle(plain_text.title(title))

    # --- Working ---------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._task is not None

    def run(
        self, work: Callable[[Report], T], on_done: Callable[[T], None], doing: str, *, title: str = ""
    ) -> None:
        """Do `work` on a thread. `doing` stands on the button meanwhile. With a `title` the status bar lists it, and it
        can be stopped halfway without harm; without one only the waiting for it can be ended."""

        def done(result: T) -> None:
            self._end()
            on_done(result)

        self.message_bar.hide_message()
        self._task = self.tasks.run_shown(self, title, work, done, self._failed)
        self._focus_before = self.focusWidget()
        self.set_free(False)
        self._bar.setVisible(True)
        self.act.setEnabled(False)
        self.act.setText(doing)
        self.cancel.setText(self.refuse if self._only_reads else "Cancel" if title else "Stop waiting")
        self.cancel.setFocus()

    def failed(self, error: Exception) -> None:
        """Say it. Called with the dialog at rest again."""
        self.report_unavailable(error)
        self.message_bar.say("info" if isinstance(error, Cancelled) else "fault", explain_in_form(error))
        self.fit()

    def stopped_waiting(self) -> None:
        """The waiting was ended before the work was."""

    def report_unavailable(self, error: Exception) -> None:
        """The window shall know that the database is away."""
        from sgmp_console.store import (
            DatabaseUnavailable,
        )  # not at start: the sign-in needs no database libraries

        if self._connection is not None and isinstance(error, DatabaseUnavailable):
            self._connection.lost(error)

    def refresh_act(self) -> None:
        self.act.setEnabled(not self.busy and self.may_act())

    def set_verb(self, verb: str) -> None:
        self.verb = verb
        if not self.busy:
            self.act.setText(verb)

    def set_refuse(self, refuse: str) -> None:
        """What Cancel is called while no work runs."""
        self.refuse = refuse
        if not self.busy:
            self.cancel.setText(refuse)

    def _press(self) -> None:
        if self.act.isVisibleTo(self) and self.act.isEnabled():
            self.act.click()

    def _failed(self, error: Exception) -> None:
        self._end()
        self.failed(error)

    def _end(self) -> None:
        self._task = None
        self.set_free(True)
        self._bar.setVisible(False)
        self.refresh_act()
        self.act.setText(self.verb)
        self.cancel.setEnabled(True)
        self.cancel.setText(self.refuse)
        focus, self._focus_before = self._focus_before, None
        if focus is not None and shiboken6.isValid(focus):
            focus.setFocus()

    # --- Leaving ---------------------------------------------------------------------------------------------------

    def reject(self) -> None:
        """Escape and Cancel: stops the work where it can be stopped, else the waiting; closes where there is neither, and
        asks first where something would be lost."""
        task = self._task
        if task is not None and self._only_reads:
            task.forget()
            self._end()
            super().reject()
        elif task is None:
            lost = "" if self._discarding else self.would_lose()
            if lost:
                confirm(
                    "Discard what was typed?",
                    lost,
                    "Discard changes",
                    self,
                    self.discard,
                    refuse="Keep editing",
                )
            else:
                super().reject()
        elif task.title:
            task.cancel()
            self.cancel.setEnabled(False)
            self.cancel.setText("Cancelling")
        else:
            task.forget()
            verb = self.verb
            self._end()
            self.message_bar.say(
                "warning",
                f"Not waiting any longer. “{verb}” may still be carried out: look at the list before trying again.",
            )
            self.fit()
            self.stopped_waiting()

    def discard(self) -> None:
        """Close, whatever is lost."""
        self._discarding = True
        self.reject()

    def done(self, result: int) -> None:
        self.tasks.forget_all(self)
        super().done(result)
