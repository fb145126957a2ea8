"""Dialogs that store something: what is typed survives everything but the operator's own wish."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLayout, QProgressBar, QVBoxLayout, QWidget

from sgmp_console.errors import Cancelled, Conflict, SgmpError, Unavailable, UserError
from sgmp_console.store import DatabaseUnavailable
from sgmp_console.ui import plain_text
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.tasks import Report, Task

Stored = TypeVar("Stored")


class EditDialog(QDialog, Generic[Stored]):
    """`open()` it. `saved` carries what is stored now; it closes by itself then.

    Build what is edited in the constructor, give it to `lay_out`, fill it, then call `settle`. Implement `entries` (what
    stands in it, comparable), `work` (what to call on a worker thread) and `set_free`. With `reread`, `describe`,
    `fill` and `rebase` somebody else's change can be decided, with `recreate` somebody else's deletion.
    """

    saved = Signal(object)
    left = Signal()
    """Waiting was ended before the answer: what was asked for may be done all the same."""

    def __init__(
        self,
        services: Services,
        title: str,
        verb: str,
        doing: str,
        parent: QWidget | None,
        *,
        context: str = "",
    ) -> None:
        """`verb` names the primary button, `doing` is what it says while busy; `context` stands beside the title."""
        super().__init__(parent)
        self.services = services
        self._verb, self._doing, self._context = verb, doing, context
        self._task: Task[Stored] | None = None
        self._theirs: Stored | None = None
        self._initial: object = None
        self._discarding = False
        self._focus_before: QWidget | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(plain_text.title(title))
        self.strip = MessageBar()
        self.strip.acted.connect(self._act_on_strip)
        self.note = label("", "caption", "muted", wraps=True)
        """Beside the buttons: what storing it brings."""
        self.cancel = button("Cancel", self.reject)
        self.save = button(verb, self.submit, "primary", tip="Ctrl+Enter")
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Working")
        keeps = self._bar.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(keeps)
        self._bar.hide()
        for sequence in ("Ctrl+Return", "Ctrl+Enter", "Ctrl+S"):
            QShortcut(QKeySequence(sequence), self, self.submit)

    # --- What a dialog says of itself ------------------------------------------------------------------------------

    @abstractmethod
    def entries(self) -> object:
        """What stands here, to be compared with what stood here first."""

    @abstractmethod
    def work(self) -> Callable[[Report], Stored]:
        """What to call on a worker thread with what stands here."""

    @abstractmethod
    def set_free(self, free: bool) -> None:
        """Let what is edited be changed, or not while it is being stored."""

    def valid(self) -> bool:
        """Whether it can be sent; marks what is wrong and goes there."""
        return True

    def title_in_status_bar(self) -> str:
        """Of work that may take long and can be stopped halfway without harm; "" for what is short."""
        return ""

    def place(self, error: Exception) -> bool:
        """Show an error where it belongs; False where it belongs in the strip."""
        return False

    def reread(self) -> Callable[[], Stored] | None:
        """What to call on a worker thread for what is stored now, where somebody else changed it."""
        return None

    def describe(self, stored: Stored) -> str:
        """What is stored now, or what differs in it, for who must decide between theirs and mine."""
        return str(stored)

    def fill(self, stored: Stored) -> None:
        """Show what is stored, in place of what was typed."""

    def rebase(self, stored: Stored) -> None:
        """From now on what is typed replaces this."""

    def recreate(self) -> Callable[[], None] | None:
        """What makes this the dialog of a new one, where somebody else deleted what was edited."""
        return None

    def fit(self) -> None:
        """The strip says more or less than before."""

    # --- Building --------------------------------------------------------------------------------------------------

    def lay_out(self, content: QWidget | QLayout) -> None:
        """Title, strip, this, and the buttons."""
        heading = QHBoxLayout()
        heading.addWidget(label(self.windowTitle(), "heading", wraps=True), 1)
        if self._context:
            heading.addWidget(label(self._context, "body", "secondary"))
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.note, 1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.save)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 16, 24, 16)
        outer.setSpacing(12)
        outer.addLayout(heading)
        outer.addWidget(self.strip)
        if isinstance(content, QLayout):
            outer.addLayout(content, 1)
        else:
            outer.addWidget(content, 1)
        outer.addWidget(self._bar)
        outer.addLayout(buttons)

    def settle(self) -> None:
        """What stands here now is what is stored: from now on changes are the operator's."""
        self._initial = self.entries()

    @property
    def changed(self) -> bool:
        return self.entries() != self._initial

    # --- Storing ---------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._task is not None

    def submit(self) -> None:
        if self.busy or self.save.isHidden() or not self.save.isEnabled() or not self.valid():
            return
        self.strip.hide_message()
        self._task = self.services.tasks.run_shown(
            self, self.title_in_status_bar(), self.work(), self._stored, self._not_stored
        )
        self._show_busy()

    def _stored(self, stored: Stored) -> None:
        self._task = None
        self._show_busy()
        self._discarding = True
        self.saved.emit(stored)
        self.accept()

    def _not_stored(self, error: Exception) -> None:
        self._task = None
        self._show_busy()
        self.tell_unavailable(error)
        read = self.reread()
        if isinstance(error, Cancelled):
            self.strip.say("info", "It was cancelled." if str(error) == "Cancelled." else str(error))
        elif isinstance(error, Conflict) and read is not None:
            self.strip.say("fault", str(error))
            self.services.tasks.run(self, read, self._conflict_known, self._gone)
        elif not self.place(error):
            self.strip.say("fault", sentence(error))
        self.fit()

    def tell_unavailable(self, error: Exception) -> None:
        """The window shall know that the database is away."""
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)

    def _show_busy(self) -> None:
        busy = self.busy
        focused = self.focusWidget()
        self.set_free(not busy)
        self.save.setEnabled(not busy)
        self.save.setText(self._doing if busy else self._verb)
        self._bar.setVisible(busy)
        self.cancel.setEnabled(True)
        if not busy:
            self.cancel.setText("Cancel")
        else:
            self.cancel.setText("Cancel" if self.title_in_status_bar() else "Stop waiting")
        if busy:
            self._focus_before = focused
            self.cancel.setFocus()
        elif self._focus_before is not None:
            self._focus_before.setFocus()

    # --- Somebody else changed it ----------------------------------------------------------------------------------

    def _conflict_known(self, theirs: Stored) -> None:
        self._theirs = theirs
        self.strip.say(
            "fault",
            f"This was changed by somebody else meanwhile. Stored now: {self.describe(theirs)}. "
            "Nothing was overwritten.",
            (("theirs", "Use theirs"), ("mine", "Keep mine")),
        )
        self.fit()

    def _gone(self, error: Exception) -> None:
        self.tell_unavailable(error)
        gone = "This was deleted by somebody else meanwhile."
        if not isinstance(error, UserError):
            self.strip.say("fault", sentence(error))
        elif self.recreate() is not None:
            again = (("again", "Create it again"),)
            self.strip.say("fault", f"{gone} What is typed here can be made again as a new one.", again)
        else:
            self.strip.say("fault", f"{gone} There is nothing to change.")
            self.save.setEnabled(False)
        self.fit()

    def _act_on_strip(self, id_: str) -> None:
        theirs, recreate = self._theirs, self.recreate()
        self.strip.hide_message()
        if id_ == "again" and recreate is not None:
            recreate()
            self.submit()
        elif id_ == "theirs" and theirs is not None:
            self.rebase(theirs)
            self.fill(theirs)
            self.settle()
            self.fit()
        elif id_ == "mine" and theirs is not None:
            self.rebase(theirs)  # from now on ours replaces theirs, knowingly
            self.submit()

    # --- Leaving ---------------------------------------------------------------------------------------------------

    def reject(self) -> None:
        """Escape and Cancel: ends the waiting, or the work where it can be ended; else asks where something would be
        lost."""
        if self._task is not None and self.title_in_status_bar():
            # It stays until the work has ended: only then it is known what became of it.
            self._task.cancel()
            self.cancel.setEnabled(False)
            self.cancel.setText("Cancelling")
        elif self._task is not None:
            self._task.forget()
            self._task = None
            self._show_busy()
            self.strip.say(
                "warning",
                f"Not waiting any longer. “{self._verb}” may still be carried out: look at the list before trying again.",
            )
            self.fit()
            self.left.emit()
        elif not self._discarding and self.changed:
            question = ConfirmDialog(
                "Discard what was typed?",
                "It is not stored yet.",
                "Discard changes",
                self,
                refuse="Keep editing",
            )
            question.accepted.connect(self.discard)
            question.open()
        else:
            super().reject()

    def discard(self) -> None:
        self._discarding = True
        self.reject()

    def done(self, result: int) -> None:
        self.services.tasks.forget_all(self)
        super().done(result)


def sentence(error: Exception) -> str:
    """What to say of an error in a dialog in which something was typed."""
    if isinstance(error, Unavailable):
        return f"{error} What was typed is still here."
    if isinstance(error, SgmpError):
        return str(error)
    return (
        "Something in SGMP failed that should not have. What was typed is still here; trying again can help."
    )
