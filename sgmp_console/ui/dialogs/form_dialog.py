"""Edit dialogs that are a column of fields."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QComboBox, QLineEdit, QVBoxLayout, QWidget

from sgmp_console.errors import Taken
from sgmp_console.ui import fonts
from sgmp_console.ui.dialogs.edit_dialog import EditDialog, Stored
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.scroll_area import ScrollArea

_BESIDE_SCROLL_BAR = 8
"""Pixels between the fields and the scroll bar."""

Check = Callable[[], str]
"""What is wrong with a field, as a sentence; "" where nothing is."""


class FormDialog(EditDialog[Stored]):
    """Add fields in the constructor, fill them, then call `ready`."""

    naming: Field | None = None
    """The field whose content nothing else may have; that it is taken is shown there."""

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
        super().__init__(services, title, verb, doing, parent, context=context)
        self._checks: dict[Field, Check] = {}
        self._by_entry: dict[QObject, Field] = {}
        self.setFixedWidth(width)
        self.form = QVBoxLayout()
        self.form.setSpacing(12)
        self.fields = QWidget()
        self.fields.setProperty("surface", "none")
        self.fields.setLayout(self.form)
        self.form.setContentsMargins(0, 0, _BESIDE_SCROLL_BAR, 0)
        self._area = ScrollArea(self.fields, keeps_place=True)
        self.lay_out(
            self._area, scroll_room=_BESIDE_SCROLL_BAR + self._area.verticalScrollBar().sizeHint().width()
        )

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
        elif isinstance(entry, QComboBox):
            entry.activated.connect(self._touched)
            if entry.isEditable():
                entry.editTextChanged.connect(self._edited)
        return made

    def ready(self) -> None:
        """All fields are there and filled: from now on changes are the operator's."""
        self.form.addStretch(1)
        self.mark_clean()
        self.fit()

    def set_free(self, free: bool) -> None:
        self.fields.setEnabled(free)

    def fit(self) -> None:
        """As high as the form needs, as far as the window allows; then it scrolls."""
        layout = self.layout()
        if layout is not None:
            layout.invalidate()
            layout.activate()  # what stands around the form has the height of its text only now
        width = self._area.width() - self._area.verticalScrollBar().sizeHint().width()
        wanted = max(self.form.heightForWidth(width), self.form.minimumSize().height()) + 4
        parent = self.parentWidget()
        room = (parent.window().height() if parent is not None else 800) - 48
        around = self.height() - self._area.height()
        height = min(room, max(wanted + around, self.minimumSizeHint().height()))
        # Once it is seen it is never lower: its buttons stay under the pointer.
        self.resize(self.width(), max(height, self.height()) if self.isVisible() else height)

    def _edited(self) -> None:
        self._by_entry[self.sender()].set_problem("")

    def _touched(self) -> None:
        field = self._by_entry[self.sender()]
        check = self._checks.get(field)
        if check is not None and not self.busy and self.changed:
            field.set_problem(check())
            self.fit()

    def valid(self) -> bool:
        wrong: Field | None = None
        for field, check in self._checks.items():
            field.set_problem(check() if field.isVisibleTo(self) else "")
            if field.problem and wrong is None:
                wrong = field
        self.fit()
        if wrong is not None:
            wrong.entry.setFocus()
        return wrong is None

    def place(self, error: Exception) -> bool:
        if self.naming is None or not isinstance(error, Taken):
            return False
        self.naming.set_problem(str(error))
        self.naming.entry.setFocus()
        return True
