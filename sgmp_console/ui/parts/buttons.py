"""Buttons in the kinds the design language has; those with icons follow the theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QDateTimeEdit, QPushButton, QToolButton, QWidget

from sgmp_console.ui import fonts, icons, theme


def button(
    text: str, on_click: Callable[[], None], kind: Literal["", "primary", "quiet", "danger"] = "", *, tip: str = ""
) -> QPushButton:
    """`on_click` must be a method of a QObject, or live as long as the button."""
    made = QPushButton(text)
    made.setFont(fonts.font("body"))
    made.setProperty("kind", kind)
    made.setToolTip(tip)
    made.setAutoDefault(False)
    made.clicked.connect(on_click)
    return made


class IconButton(QToolButton):
    """A square button with one of our icons. It has no text, so it must have a name."""

    def __init__(self, icon: str, name: str, parent: QWidget | None = None, *, size: int = 20) -> None:
        super().__init__(parent)
        self._icon = icon
        self.setIconSize(QSize(size, size))
        self.setFixedSize(size + 12, size + 12)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolTip(name)
        self.setAccessibleName(name)
        self._tint()

    def set_icon(self, icon: str, name: str) -> None:
        self._icon = icon
        self.setToolTip(name)
        self.setAccessibleName(name)
        self._tint()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._worn is not theme.tokens():
            self._tint()

    def _tint(self) -> None:
        wear = self._worn = theme.tokens()
        self.setIcon(icons.icon(self._icon, wear.ink_secondary, wear.ink_disabled))


class ComboBox(QComboBox):
    """With our chevron: a stylesheet can't tint one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(fonts.font("body"))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        _paint_chevron(self)


class DateTimeEdit(QDateTimeEdit):
    """A wall-clock time with a calendar; with our chevron, too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(fonts.font("body"))
        self.setCalendarPopup(True)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        super().paintEvent(event)
        _paint_chevron(self)


def _paint_chevron(on: QWidget) -> None:
    painter = QPainter(on)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    where = QRectF(QPointF(on.width() - 26, (on.height() - 16) / 2), QSize(16, 16).toSizeF())
    wear = theme.tokens()
    icons.paint(painter, where, "chevron-down", wear.ink_secondary if on.isEnabled() else wear.ink_disabled)
