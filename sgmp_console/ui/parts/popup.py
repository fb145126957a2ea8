"""Panels and menus that open below a button."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QMenu, QWidget

from sgmp_console.ui import focus_order
from sgmp_console.ui.painted_button import is_enter

_AIR = 4
"""Pixels between a button and what opens below it."""


class Popup(QFrame):
    """Escape and a click beside it close it; the focus is then where it was before. Enter goes to the next field."""

    def __init__(self, name: str, parent: QWidget) -> None:
        """`name`: what a screen reader calls it."""
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("surface", "overlay")
        self.setAccessibleName(name)

    def open_below(self, anchor: QWidget, focused: QWidget) -> None:
        """`focused`: which of its parts has the keyboard."""
        self.adjustSize()
        place, screen = _place_below(anchor, self.width()), anchor.screen().availableGeometry()
        place.setY(max(screen.top(), min(place.y(), screen.bottom() + 1 - self.height())))
        self.move(place)
        self.show()
        focused.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if not is_enter(event) or not focus_order.focus_next_field(self):
            super().keyPressEvent(event)


def open_menu_below(menu: QMenu, anchor: QWidget) -> None:
    menu.popup(_place_below(anchor, menu.sizeHint().width()))


def _place_below(anchor: QWidget, width: int) -> QPoint:
    """On the screen: at the left edge of the anchor, or at its right one where it would end outside the window."""
    window = anchor.window()
    fits = anchor.mapTo(window, QPoint(width, 0)).x() <= window.width()
    return anchor.mapToGlobal(QPoint(0 if fits else anchor.width() - width, anchor.height() + _AIR))
