"""Whether the pointer is over a widget that paints itself."""

from __future__ import annotations

from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication, QWidget


def is_hovered(widget: QWidget) -> bool:
    """By where the pointer is: `underMouse` stays true where a menu or another page came between."""
    return (
        widget.underMouse()
        and QApplication.activePopupWidget() is None
        and widget.rect().contains(widget.mapFromGlobal(QCursor.pos()))
    )
