"""Buttons that paint themselves, and when a button that has the focus is pressed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QWidget

from sgmp_console.ui import theme
from sgmp_console.ui.hover import is_hovered


class PaintedButton(QAbstractButton):
    """Lit under the pointer, with a ring where it has the focus. Implement `paint`; it needs an accessible name."""

    radius = 6

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        """What stands on the ground."""
        raise NotImplementedError

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        tokens = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(Qt.PenStyle.NoPen)
        ground = tokens.surface_hover if is_hovered(self) or self.isDown() else None
        if self.is_marked():
            ground = tokens.surface_selected
        if ground is not None:
            painter.setBrush(ground)
            painter.drawRoundedRect(area, self.radius, self.radius)
        if self.hasFocus():
            painter.setPen(QPen(tokens.accent_focus, 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(area, self.radius, self.radius)
        self.paint(painter, area)

    def is_marked(self) -> bool:
        """Whether it stands for what is shown."""
        return False

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.update()  # Qt does not where a menu comes between

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if not pressed_by(self, event):
            super().keyPressEvent(event)


def is_enter(event: QKeyEvent) -> bool:
    """Either of the two keys, alone."""
    return (
        event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        and not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    )


def pressed_by(what: QAbstractButton, event: QKeyEvent) -> bool:
    """Enter presses the button that has the focus: Qt would look for the default button of the dialog. The repeats of a
    key that is held are not for a dialog that the first press opened."""
    if not is_enter(event):
        return False
    if not event.isAutoRepeat():
        what.click()
    return True
