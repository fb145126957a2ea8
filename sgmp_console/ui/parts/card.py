"""A card: hairline, title, and whatever it holds."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.ui.parts.labels import ElidedLabel
from sgmp_console.ui.parts.pressable import Pressable

PADDING = 16


def centred(column: QVBoxLayout, card: QWidget) -> None:
    """Put a card of fixed width into the middle, a little above it. By stretches, not by alignment: an aligned widget
    is not asked how high it must be for its width, and wrapped text in it would be cut."""
    row = QHBoxLayout()
    row.addStretch(1)
    row.addWidget(card)
    row.addStretch(1)
    column.addStretch(2)
    column.addLayout(row)
    column.addStretch(3)


class Card(Pressable):
    """`header` takes what stands right of the title, `body` the rest."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "card")
        self.setAccessibleName(title)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(PADDING, 12, PADDING, PADDING)
        outer.setSpacing(8)
        self.header = QHBoxLayout()
        self.header.setSpacing(12)
        self._title = ElidedLabel(title, "title")
        self.header.addWidget(self._title, 1)
        outer.addLayout(self.header)
        self.body = QVBoxLayout()
        self.body.setSpacing(8)
        outer.addLayout(self.body, 1)

    def set_title(self, title: str) -> None:
        self._title.set_whole(title)
        self.setAccessibleName(title)
