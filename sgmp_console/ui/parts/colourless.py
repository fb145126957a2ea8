"""A widget without its colours, while what it shows is not current."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGraphicsColorizeEffect, QWidget


class Colourless(QGraphicsColorizeEffect):
    """Once enabled it takes the colours from the widget and from all in it."""

    def __init__(self, of: QWidget) -> None:
        super().__init__(of)
        self._of = of
        self.setColor(Qt.GlobalColor.black)  # it is added to what is grey: nothing is
        self.setEnabled(False)
        self.enabledChanged.connect(self._draw_again)
        of.setGraphicsEffect(self)

    def _draw_again(self) -> None:
        # WORKAROUND (no upstream report): Qt draws the widget again, but not what fills its own place in it, as the canvas
        # of a chart does: it keeps its colours, or stays grey, until something else redraws it.
        for part in self._of.findChildren(QWidget):
            part.update()
