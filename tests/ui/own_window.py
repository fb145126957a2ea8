"""Catches a widget of the console that is shown before it has a parent: for a moment it is a window of its own, which flashes
on the screen and closes menus and popups that are open."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QMainWindow, QWidget

_MEANT = (QMainWindow, QDialog)
_PLAIN = (Qt.WindowType.Widget, Qt.WindowType.Window)


def watch_windows() -> None:
    QWidget.setVisible = _guarded(QWidget.setVisible)  # type: ignore[method-assign]
    QWidget.show = _guarded(QWidget.show)  # type: ignore[method-assign]


def _guarded(original: Callable[..., None]) -> Callable[..., None]:
    def guarded(widget: QWidget, *shown: Any) -> None:
        by = sys._getframe(1).f_globals.get("__name__", "")
        if (
            by.startswith("sgmp_console.")
            and shown != (False,)
            and widget.parentWidget() is None
            and not isinstance(widget, _MEANT)
            and widget.windowType() in _PLAIN
        ):
            raise AssertionError(f"{by} shows {widget!r}, which has no parent yet")
        original(widget, *shown)

    return guarded
