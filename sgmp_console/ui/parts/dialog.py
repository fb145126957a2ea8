"""What every dialog has: the height that its text needs, Tab in reading order, Enter to the next field, a place on the
screen."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import QDialog, QPushButton, QWidget

from sgmp_console.ui import focus_order
from sgmp_console.ui.on_screen import keep_on_screen
from sgmp_console.ui.painted_button import is_enter
from sgmp_console.ui.parts.context_menu import MenuKeys

_AROUND_PX = 48
"""Of the screen that a dialog leaves free above and below itself."""


class Dialog(QDialog):
    """Grows where its text needs more lines than it has, and never becomes lower."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        MenuKeys(self)

    def grow(self) -> None:
        """Qt's own hint is for a width that wrapped text chose itself."""
        layout = self.layout()
        if layout is None:
            return
        layout.activate()
        by_width = layout.hasHeightForWidth()
        needed = layout.heightForWidth(self.width()) if by_width else layout.sizeHint().height()
        room = self.screen().availableGeometry().height() - 2 * _AROUND_PX
        if self.height() < min(needed, room):
            self.resize(self.width(), min(needed, room))
            if self.isVisible():
                keep_on_screen(self)

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self.grow()
        return done

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.grow()

    def done(self, result: int) -> None:
        super().done(result)
        # A window manager gives the keyboard to nobody where a dialog and the question it asked close at once.
        parent = self.parentWidget()
        if parent is not None and parent.isVisible():
            parent.window().activateWindow()

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002, N802 - Qt's names
        return focus_order.focus_next(self, forward=next)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Enter in a field goes on to the next, so that a half-filled form is not sent; what asks for one thing only has a
        default button, which it presses."""
        has_default = any(one.isDefault() for one in self.findChildren(QPushButton))
        if not is_enter(event) or has_default or not focus_order.focus_next_field(self):
            super().keyPressEvent(event)
