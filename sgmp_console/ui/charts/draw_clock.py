"""Arrival and drawing, uncoupled: data marks a chart dirty, a clock draws it."""

from __future__ import annotations

import time
from typing import Protocol

import shiboken6
from PySide6.QtCore import QObject, QTimer

FRAME_MS = 50
"""The least time between two frames; what people read needs no more than twenty a second."""


class Drawable(Protocol):
    def draw(self) -> None: ...

    def isVisible(self) -> bool: ...  # noqa: N802 - Qt's name


class DrawClock(QObject):
    """Draws what is dirty and visible, at most once a frame. Idle, it does not tick.

    Something marked while hidden stays unmarked: it marks itself again when it is shown.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dirty: list[Drawable] = []
        self._last_frame = 0.0
        self.last_draw_s = 0.0
        """How long the drawing of the last frame took, without painting."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._frame)

    def mark(self, drawable: Drawable) -> None:
        if drawable not in self._dirty:
            self._dirty.append(drawable)
        if not self._timer.isActive():
            since_ms = (time.monotonic() - self._last_frame) * 1000
            self._timer.start(max(0, round(FRAME_MS - since_ms)))

    def _frame(self) -> None:
        self._last_frame = time.monotonic()
        due, self._dirty = self._dirty, []
        for drawable in due:
            if shiboken6.isValid(drawable) and drawable.isVisible():
                drawable.draw()
        self.last_draw_s = time.monotonic() - self._last_frame
