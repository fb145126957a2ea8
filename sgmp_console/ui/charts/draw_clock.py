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

    One drawable for each pass of the event loop, so that input is handled and painting done in between. Something
    marked while hidden stays undrawn: it marks itself again when it is shown.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dirty: list[Drawable] = []
        self._due: list[Drawable] = []
        self._frame_began = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._pass)

    def mark(self, drawable: Drawable) -> None:
        if drawable not in self._dirty:
            self._dirty.append(drawable)
        if not self._timer.isActive():
            self._wait_for_frame()

    def _wait_for_frame(self) -> None:
        since_ms = (time.monotonic() - self._frame_began) * 1000
        self._timer.start(max(0, round(FRAME_MS - since_ms)))

    def _pass(self) -> None:
        if not self._due:
            self._frame_began = time.monotonic()
            self._due, self._dirty = self._dirty, []
        drawable = self._due.pop(0)
        if self._due:
            self._timer.start(0)
        elif self._dirty:
            self._wait_for_frame()
        if shiboken6.isValid(drawable) and drawable.isVisible():
            drawable.draw()
