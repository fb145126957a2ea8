"""A question before something that can't be taken back."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.ui import plain_text
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import IconLabel, label


def confirm(
    question: str,
    explanation: str,
    act: str,
    parent: QWidget,
    on_yes: Callable[[], None],
    *,
    refuse: str = "Cancel",
) -> None:
    """Ask, and call `on_yes` if that was the answer."""
    dialog = ConfirmDialog(question, explanation, act, parent, refuse)
    dialog.accepted.connect(on_yes)
    dialog.open()


class ConfirmDialog(Dialog):
    """The destructive button names what it destroys and is never the default one."""

    def __init__(
        self, question: str, explanation: str, act: str, parent: QWidget, refuse: str = "Cancel"
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(plain_text.title(question))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(480)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(IconLabel("warning", "state_warning", 24), alignment=Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(label(question, "title", wraps=True), 1, Qt.AlignmentFlag.AlignVCenter)
        column.addLayout(head)
        text = label(explanation, "body", "secondary", wraps=True)
        text.setContentsMargins(36, 0, 0, 8)
        column.addWidget(text)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        self.act = button(act, self.accept, "danger")
        self.keep = button(refuse, self.reject, "primary")
        self.keep.setDefault(True)
        row.addWidget(self.act)
        row.addWidget(self.keep)
        column.addLayout(row)
        self.keep.setFocus()
