"""The context menu by the keyboard, in every window."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QContextMenuEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QApplication, QWidget


class MenuKeys(QShortcut):
    """Shift+F10 opens the menu of what has the focus in the window, as the menu key does: many keyboards do not have that one,
    and under X11 Qt hears no other."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(QKeySequence("Shift+F10"), window)
        self._window = window
        self.activated.connect(self._open)

    def _open(self) -> None:
        focus = self._window.focusWidget()
        if focus is not None:
            at = focus.inputMethodQuery(Qt.InputMethodQuery.ImCursorRectangle).center()  # where Qt opens it
            event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, at, focus.mapToGlobal(at))
            QApplication.sendEvent(focus, event)
