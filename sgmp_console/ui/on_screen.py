"""Windows stay on the screen, with their frame."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget


def keep_on_screen(window: QWidget) -> None:
    """Make it smaller and move it where it does not fit, as it is or as the window manager framed it."""
    room, outer, inner = window.screen().availableGeometry(), window.frameGeometry(), window.geometry()
    frame = outer.size() - inner.size()
    fitting = (room.size() - frame).boundedTo(inner.size())
    if fitting != inner.size():
        window.resize(fitting)
        outer.setSize(fitting + frame)
    if not room.contains(outer):
        outer.moveLeft(max(room.left(), min(outer.left(), room.right() - outer.width() + 1)))
        outer.moveTop(max(room.top(), min(outer.top(), room.bottom() - outer.height() + 1)))
        window.move(outer.topLeft())


def has_frame(window: QWidget) -> bool:
    """Whether a window manager has put a frame around it, which it does a while after it was shown."""
    return window.frameGeometry() != window.geometry()
