"""Fields of a form: label above, entry, help under it; what is wrong takes the help's place."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.ui.parts.labels import label

_LINE = 18
"""Logical pixels that a line of help takes."""


class Field(QWidget):
    def __init__(
        self,
        name: str,
        entry: QWidget,
        help_text: str = "",
        *,
        beside: QWidget | None = None,
        keeps_line: bool = False,
    ) -> None:
        """`beside`: a button that helps to fill the entry. `keeps_line`: the line under the entry is there also while it
        is empty, so that nothing moves when a problem appears."""
        super().__init__()
        self.entry = entry
        self.problem = ""
        self._help_text = help_text
        self._keeps_line = keeps_line
        title = label(name, "caption", "secondary")
        title.setBuddy(entry)
        entry.setAccessibleName(name)
        self._help = label(help_text, "caption", "muted", wraps=True)
        self._wrong = label("", "caption", "fault", wraps=True)
        if keeps_line:
            self._help.setMinimumHeight(_LINE)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(entry, 1)
        if beside is not None:
            row.addWidget(beside)
        column.addWidget(title)
        column.addLayout(row)
        for text in (self._help, self._wrong):
            column.addWidget(text)
        self._show()

    def set_help(self, text: str) -> None:
        self._help_text = text
        self._show()

    def set_problem(self, text: str) -> None:
        if text != self.problem:
            self.problem = text
            self.entry.setProperty("wrong", bool(text))
            self.entry.style().unpolish(self.entry)
            self.entry.style().polish(self.entry)
            self.entry.setAccessibleDescription(text)
            self._show()

    def _show(self) -> None:
        self._help.setText(self._help_text)
        self._wrong.setText(self.problem)
        self._help.setVisible((self._keeps_line or bool(self._help_text)) and not self.problem)
        self._wrong.setVisible(bool(self.problem))
