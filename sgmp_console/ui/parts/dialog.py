"""What every dialog has: the height that its text needs, Tab in reading order, Enter to the next field, a place on the
screen."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import QDialog, QPushButton, QWidget

from sgmp_console.ui import focus_order
from sgmp_console.ui.on_screen import keep_on_screen
from sgmp_console.ui.painted_button import is_enter
from sgmp_console.ui.parts.context_menu import MenuKeys

_FRAME_PX = 48
"""Of the screen's height and width that a dialog leaves for the frame of the window manager, and for some air."""


class Dialog(QDialog):
    """Grows where its text needs more lines than it has, and never becomes lower. Whatever size it was built with, it is
    shown no larger than the screen."""

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
        height = min(needed, self._room().height())
        if self.height() < height:
            self.resize(self.width(), height)
            if self.isVisible():
                keep_on_screen(self)

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self.grow()
        return done

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.resize(self.size().boundedTo(self._room()))
        self.grow()

    def _room(self) -> QSize:
        return self.screen().availableGeometry().size() - QSize(_FRAME_PX, _FRAME_PX)

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
