"""Dialogs that store something: what is typed survives everything but the operator's own wish."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from sgmp_console.errors import Cancelled, Conflict, UserError
from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.explain import explain_in_form
from sgmp_console.ui.page import Services
from sgmp_console.ui.tasks import Report

Stored = TypeVar("Stored")


class EditDialog(TaskDialog, Generic[Stored]):
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
        super().__init__(services.tasks, title, verb, parent, context=context, connection=services.connection)
        self.services = services
        self._doing = doing
        self._theirs: Stored | None = None
        self._initial: object = None
        self._is_gone = False
        """What is edited was deleted meanwhile."""

    # --- What a dialog says of itself ------------------------------------------------------------------------------

    @abstractmethod
    def entries(self) -> object:
        """What stands here, to be compared with what stood here first."""

    @abstractmethod
    def work(self) -> Callable[[Report], Stored]:
        """What to call on a worker thread with what stands here."""

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

    def mark_clean(self) -> None:
        """What stands here now is what is stored: from now on changes are the operator's."""
        self._initial = self.entries()

    @property
    def changed(self) -> bool:
        return self.entries() != self._initial

    # --- Storing ---------------------------------------------------------------------------------------------------

    def may_act(self) -> bool:
        return not self._is_gone

    def perform(self) -> None:
        if not self.busy and self.may_act() and self.valid():
            self.run(self.work(), self._stored, self._doing, title=self.title_in_status_bar())

    def _stored(self, stored: Stored) -> None:
        self._discarding = True  # it is stored now
        self.saved.emit(stored)
        self.accept()

    def failed(self, error: Exception) -> None:
        read = self.reread()
        if isinstance(error, Conflict) and read is not None:
            self.message_bar.say("fault", str(error))
            self.tasks.run(self, read, self._conflict_known, self._gone)
        elif isinstance(error, Cancelled) or not self.place(error):
            super().failed(error)
        self.fit()

    # --- Somebody else changed it ----------------------------------------------------------------------------------

    def _conflict_known(self, theirs: Stored) -> None:
        self._theirs = theirs
        self.message_bar.say(
            "fault",
            f"This was changed by somebody else meanwhile. Stored now: {self.describe(theirs)}. "
            "Nothing was overwritten.",
            (("theirs", "Use theirs"), ("mine", "Keep mine")),
        )
        self.fit()

    def _gone(self, error: Exception) -> None:
        self.report_unavailable(error)
        gone = "This was deleted by somebody else meanwhile."
        if not isinstance(error, UserError):
            self.message_bar.say("fault", explain_in_form(error))
        elif self.recreate() is not None:
            again = (("again", "Create it again"),)
            self.message_bar.say("fault", f"{gone} What is typed here can be made again as a new one.", again)
        else:
            self.message_bar.say("fault", f"{gone} There is nothing to change.")
            self._is_gone = True
            self.refresh_act()
        self.fit()

    def act_on_message(self, id_: str) -> None:
        theirs, recreate = self._theirs, self.recreate()
        self.message_bar.hide_message()
        if id_ == "again" and recreate is not None:
            recreate()
            self.perform()
        elif id_ == "theirs" and theirs is not None:
            self.rebase(theirs)
            self.fill(theirs)
            self.mark_clean()
            self.fit()
        elif id_ == "mine" and theirs is not None:
            self.rebase(theirs)  # from now on ours replaces theirs, knowingly
            self.perform()

    # --- Leaving ---------------------------------------------------------------------------------------------------

    def would_lose(self) -> str:
        return "It is not stored yet." if self.changed else ""

    def stopped_waiting(self) -> None:
        self.left.emit()
