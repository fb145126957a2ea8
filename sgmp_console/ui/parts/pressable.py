"""A frame that acts when it is pressed: by click, Enter or Space."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QWidget


class Pressable(QFrame):
    """An ordinary frame until `set_pressable`; then it takes the focus, too."""

    pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys: frozenset[Qt.Key] = frozenset()

    def set_pressable(
        self, *more_keys: Qt.Key, cursor: Qt.CursorShape = Qt.CursorShape.PointingHandCursor
    ) -> None:
        self._keys = frozenset((Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space, *more_keys))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(cursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.key() in self._keys:
            self.pressed.emit()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        event.setAccepted(bool(self._keys))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        is_inside = self.rect().contains(event.position().toPoint())
        if self._keys and event.button() == Qt.MouseButton.LeftButton and is_inside:
            self.pressed.emit()
        else:
            event.ignore()
