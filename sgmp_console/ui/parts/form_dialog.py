"""Dialogs with a form: what is typed survives everything but the operator's own wish."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import Conflict, SgmpError, Unavailable, UserError
from sgmp_console.store.errors import DatabaseUnavailable
from sgmp_console.ui import fonts
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.confirm import ConfirmDialog
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.strip import Strip
from sgmp_console.ui.tasks import Task

Stored = TypeVar("Stored")
Check = Callable[[], str]
"""What is wrong with a field, as a sentence; "" where nothing is."""


class FormDialog(QDialog, Generic[Stored]):
    """`open()` it. `saved` carries what is stored now; it closes by itself then.

    Add fields in the constructor, then call `ready()`. Implement `entries` (what stands in the form, comparable) and
    `work` (what to call on a worker thread). With `reread`, `words_of` and `fill` a conflict can be decided.
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
        parent: QWidget,
        *,
        context: str = "",
        width: int = 560,
    ) -> None:
        """`verb` names the primary button, `doing` is what it says while busy; `context` stands beside the title."""
        super().__init__(parent)
        self.services = services
        self._verb, self._doing = verb, doing
        self._checks: dict[Field, Check] = {}
        self._by_entry: dict[QObject, Field] = {}
        self._task: Task[Stored] | None = None
        self._theirs: Stored | None = None
        self._initial: object = None
        self._discarding = False
        self._focus_before: QWidget | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.setFixedWidth(width)
        self.strip = Strip()
        self.strip.acted.connect(self._act_on_strip)
        self.form = QVBoxLayout()
        self.form.setSpacing(12)
        self.fields = QWidget()
        self.fields.setProperty("surface", "none")
        self.fields.setLayout(self.form)
        self.form.setContentsMargins(0, 0, 8, 0)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        keeps = self._bar.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(keeps)
        self._bar.hide()
        self.cancel = button("Cancel", self.reject)
        self.save = button(verb, self.submit, "primary", tip="Ctrl+Enter")
        heading = QHBoxLayout()
        heading.addWidget(label(title, "heading", wraps=True), 1)
        if context:
            heading.addWidget(label(context, "body", "secondary"))
        self._area = area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self.fields)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.save)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 16, 24, 16)
        outer.setSpacing(12)
        outer.addLayout(heading)
        outer.addWidget(self.strip)
        outer.addWidget(area, 1)
        outer.addWidget(self._bar)
        outer.addLayout(buttons)
        for sequence in ("Ctrl+Return", "Ctrl+Enter", "Ctrl+S"):
            QShortcut(QKeySequence(sequence), self, self.submit)

    # --- What a form says of itself --------------------------------------------------------------------------------

    @abstractmethod
    def entries(self) -> object:
        """What stands in the form, to be compared with what stood there first."""

    @abstractmethod
    def work(self) -> Callable[[], Stored]:
        """What to call on a worker thread with what stands in the form."""

    def reread(self) -> Callable[[], Stored] | None:
        """What to call on a worker thread for what is stored now, where somebody else changed it."""
        return None

    def words_of(self, stored: Stored) -> str:
        """What is stored, for the sentence that lets choose between theirs and mine."""
        return str(stored)

    def fill(self, stored: Stored) -> None:
        """Show what is stored, in place of what was typed."""

    def rebase(self, stored: Stored) -> None:
        """From now on what is typed replaces this."""

    def place(self, error: Exception) -> Field | None:
        """The field that an error is about, where it is about one."""
        return None

    # --- Building --------------------------------------------------------------------------------------------------

    def add_field(
        self, name: str, entry: QWidget, help_text: str = "", *, check: Check | None = None
    ) -> Field:
        """`check` is asked when the field is left, and when the form is sent."""
        made = Field(name, entry, help_text)
        entry.setFont(fonts.font("body"))
        self.form.addWidget(made)
        if check is not None:
            self._checks[made] = check
        self._by_entry[entry] = made
        if isinstance(entry, QLineEdit):
            entry.textEdited.connect(self._edited)
            entry.editingFinished.connect(self._touched)
            entry.returnPressed.connect(self._go_on)
        elif isinstance(entry, QComboBox):
            entry.activated.connect(self._touched)
        return made

    def ready(self) -> None:
        """All fields are there and filled: from now on changes are the operator's."""
        self.form.addStretch(1)
        self._initial = self.entries()
        self.fit()

    def fit(self) -> None:
        """As high as the form needs, as far as the window allows; then it scrolls."""
        self.fields.adjustSize()
        wanted = max(self.form.heightForWidth(self.fields.width()), self.form.minimumSize().height()) + 4
        parent = self.parentWidget()
        room = (parent.window().height() if parent is not None else 800) - 48
        layout = self.layout()
        if layout is not None:
            layout.invalidate()
            layout.activate()  # what stands around the form has the height of its words only now
        around = self.height() - self._area.height()
        self.resize(self.width(), min(room, max(wanted + around, self.minimumSizeHint().height())))

    def _edited(self) -> None:
        self._by_entry[self.sender()].set_problem("")

    def _touched(self) -> None:
        field = self._by_entry[self.sender()]
        check = self._checks.get(field)
        if check is not None and not self.busy and self.entries() != self._initial:
            field.set_problem(check())
            self.fit()

    def _go_on(self) -> None:
        """Enter goes to the next field, so that a half-filled form is not sent."""
        self.focusNextChild()

    # --- Sending ---------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._task is not None

    def valid(self) -> bool:
        """Checks every field, and goes to the first that is wrong."""
        wrong: Field | None = None
        for field, check in self._checks.items():
            field.set_problem(check() if field.isVisibleTo(self) else "")
            if field.problem and wrong is None:
                wrong = field
        self.fit()
        if wrong is not None:
            wrong.entry.setFocus()
        return wrong is None

    def submit(self) -> None:
        if self.busy or not self.save.isEnabled() or not self.valid():
            return
        self.strip.be_silent()
        self._task = self.services.tasks.run(self, self.work(), self._stored, self._not_stored, pool="act")
        self._show_busy()

    def _stored(self, stored: Stored) -> None:
        self._task = None
        self._discarding = True
        self.saved.emit(stored)
        self.accept()

    def _not_stored(self, error: Exception) -> None:
        self._task = None
        self._show_busy()
        self._tell(error)
        field = self.place(error)
        if isinstance(error, Conflict) and (read := self.reread()) is not None:
            self.strip.say("fault", str(error))
            self.services.tasks.run(self, read, self._conflict_known, self._gone)
        elif field is not None:
            field.set_problem(str(error))
            field.entry.setFocus()
        else:
            self.strip.say("fault", sentence(error))
        self.fit()

    def _tell(self, error: Exception) -> None:
        if isinstance(error, DatabaseUnavailable):
            self.services.connection.lost(error)

    def _show_busy(self) -> None:
        busy = self.busy
        focused = self.focusWidget()
        self.fields.setEnabled(not busy)
        self.save.setEnabled(not busy)
        self.save.setText(self._doing if busy else self._verb)
        self._bar.setVisible(busy)
        self.cancel.setText("Stop waiting" if busy else "Cancel")
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
            f"This was changed by somebody else meanwhile. Stored now: {self.words_of(theirs)}. "
            "Nothing was overwritten.",
            (("theirs", "Use theirs"), ("mine", "Keep mine")),
        )
        self.fit()

    def _gone(self, error: Exception) -> None:
        self._tell(error)
        if isinstance(error, UserError):
            self.strip.say(
                "fault", "This was deleted by somebody else meanwhile. There is nothing to change."
            )
            self.save.setEnabled(False)
        else:
            self.strip.say("fault", sentence(error))
        self.fit()

    def _act_on_strip(self, ident: str) -> None:
        theirs = self._theirs
        self.strip.be_silent()
        if theirs is None:
            return
        self.rebase(theirs)
        if ident == "theirs":
            self.fill(theirs)
            self._initial = self.entries()
            self.fit()
        else:
            self.submit()

    # --- Leaving ---------------------------------------------------------------------------------------------------

    def reject(self) -> None:
        """Escape and Cancel: ends the waiting; else asks where something would be lost."""
        if self._task is not None:
            self._task.forget()
            self._task = None
            self._show_busy()
            self.strip.say(
                "warning",
                f"Not waiting any longer. “{self._verb}” may still be carried out: look at the list before trying again.",
            )
            self.fit()
            self.left.emit()
            return
        if not self._discarding and self.entries() != self._initial:
            question = ConfirmDialog(
                "Discard what was typed?",
                "It is not stored yet.",
                "Discard changes",
                self,
                refuse="Keep editing",
            )
            question.accepted.connect(self.discard)
            question.open()
            return
        super().reject()

    def discard(self) -> None:
        self._discarding = True
        self.reject()

    def done(self, result: int) -> None:
        self.services.tasks.forget_all(self)
        super().done(result)


def sentence(error: Exception) -> str:
    if isinstance(error, Unavailable):
        return f"{error} What was typed is still here."
    if isinstance(error, SgmpError):
        return str(error)
    return (
        "Something in SGMP failed that should not have. What was typed is still here; trying again can help."
    )
