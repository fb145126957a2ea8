"""What the window has to say of all pages: over the lower edge of the page, so that nothing moves under the pointer."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QVBoxLayout, QWidget


class Notices(QWidget):
    """Holds `parts`, each shown while it has something to say. Lies over `page`, a widget of the same parent."""

    def __init__(self, page: QWidget, *parts: QWidget) -> None:
        super().__init__(page.parentWidget())
        self._page = page
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        for part in parts:
            self._column.addWidget(part)
        page.installEventFilter(self)
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if watched is self._page and event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self._place()
        return False

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self._place()
        return done

    def _place(self) -> None:
        page = self._page.geometry()
        width = page.width()
        height = max(self._column.heightForWidth(width), self._column.minimumSize().height())
        self.setGeometry(page.left(), page.bottom() + 1 - height, width, height)
        self.raise_()
