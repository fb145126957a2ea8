"""A strip over a page or form: something worth knowing, and the buttons that act on it."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import IconLabel, label

Tone = Literal["warning", "fault", "info"]

_ONE_LINE = 46
"""Pixels, of a bar with a line of text and buttons."""

_LOOKS: dict[Tone, tuple[str, str, str]] = {
    # tone: (surface, icon, tint)
    "warning": ("strip", "warning", "state_warning"),
    "fault": ("fault", "fault", "state_fault"),
    "info": ("overlay", "info", "accent_focus"),
}


class MessageBar(QFrame):
    """Hidden until it has something to say; `acted` carries the id of the button that was pressed."""

    acted = Signal(str)

    def __init__(self, parent: QWidget | None = None, *, keeps_place: bool = False) -> None:
        """`keeps_place`: it has the room of a line also while it is hidden, so that nothing moves when it appears."""
        super().__init__(parent)
        if keeps_place:
            policy = self.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            self.setSizePolicy(policy)
            self.setMinimumHeight(_ONE_LINE)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 8, 8)
        row.setSpacing(12)
        self._icon = IconLabel("info", "accent_focus")
        row.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignVCenter)
        self._text = label("", "body", wraps=True)
        self._text.setMinimumHeight(20)
        row.addWidget(self._text, 1)
        self._row = row
        self._buttons: dict[QObject, str] = {}
        self.hide()

    def say(self, tone: Tone, text: str, actions: tuple[tuple[str, str], ...] = ()) -> None:
        """`actions` are (id, words)."""
        surface, icon, tint = _LOOKS[tone]
        self.setProperty("surface", surface)
        self.style().unpolish(self)
        self.style().polish(self)
        self._icon.set_icon(icon, tint)
        self._text.setText(text)
        self.setAccessibleName(text)
        self._drop_buttons()
        for id_, words in actions:
            made = button(words, self._pressed)
            self._buttons[made] = id_
            self._row.addWidget(made, alignment=Qt.AlignmentFlag.AlignVCenter)
            made.show()  # else only by the next event loop, and the text would not know the width it has
        self.show()

    def hide_message(self) -> None:
        self.hide()
        self._text.setText("")
        self._drop_buttons()

    def text(self) -> str:
        return self._text.text()

    def buttons(self) -> dict[str, QPushButton]:
        return {id_: made for made, id_ in self._buttons.items() if isinstance(made, QPushButton)}

    def _drop_buttons(self) -> None:
        for made in self._buttons:
            if isinstance(made, QPushButton):
                made.hide()
                made.deleteLater()
        self._buttons = {}

    def _pressed(self) -> None:
        self.acted.emit(self._buttons[self.sender()])
