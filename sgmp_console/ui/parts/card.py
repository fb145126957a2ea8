"""A card: hairline, title, and whatever it holds."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.ui.parts.labels import ElidedLabel

PADDING = 16


class Card(QFrame):
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
        self.header.addWidget(ElidedLabel(title, "title"), 1)
        outer.addLayout(self.header)
        self.body = QVBoxLayout()
        self.body.setSpacing(8)
        outer.addLayout(self.body, 1)
