"""Content that scrolls down, never sideways: one class for pages, forms and texts."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QApplication, QFrame, QScrollArea, QScrollBar, QWidget

from sgmp_console.ui.focus_order import tab_stops

_AIR = 8
"""Pixels that stay above and below what is scrolled to."""


class ScrollArea(QScrollArea):
    """As wide as its content wants, as high as there is room."""

    def __init__(self, content: QWidget, *, name: str = "", keeps_place: bool = False) -> None:
        """`name`: of content that only the keyboard can scroll, since nothing in it takes the focus: it is a stop of Tab, with
        a ring. `keeps_place`: the scroll bar has its room also while there is nothing to scroll, so that the content keeps
        its width."""
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if name:
            self.setAccessibleName(name)
            self.setProperty("ring", True)
            self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        else:
            self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        if keeps_place:
            self.setVerticalScrollBar(_ScrollBar(self))
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setWidget(content)

    def replace(self, content: QWidget) -> None:
        """Show this instead. The focus stays at its place, which may be another button now."""
        before, focus = self.widget(), QApplication.focusWidget()
        stops = list(tab_stops(before)) if before is not None else []
        place = stops.index(focus) if focus in stops else None
        scrolled = self.verticalScrollBar().value()
        self.setWidget(content)
        if place is not None:
            content.show()
            now = list(tab_stops(content))
            (now[min(place, len(now) - 1)] if now else self).setFocus()
        self.verticalScrollBar().setValue(scrolled)


def scroll_to(widget: QWidget, part: QRect) -> None:
    """Let what scrolls around the widget show this part of it."""
    area = widget.parentWidget()
    while area is not None:
        content = area.widget() if isinstance(area, ScrollArea) else None
        if isinstance(area, ScrollArea) and content is not None:
            at = QRect(widget.mapTo(content, part.topLeft()), part.size())
            area.ensureVisible(0, at.center().y(), 0, at.height() // 2 + _AIR)
        area = area.parentWidget()


class _ScrollBar(QScrollBar):
    """Invisible while there is nothing to scroll."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        if self.maximum() > self.minimum():
            super().paintEvent(event)
