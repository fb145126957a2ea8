"""Our own line icons (`resources/icons`), drawn in the colour that is asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from sgmp_console.resources import resource


def paint(painter: QPainter, where: QRectF, name: str, colour: QColor) -> None:
    """Draw an icon into a square. Icons are drawn for 24 x 24 and hold down to 14."""
    _renderer(name, colour.name()).render(painter, where)


def icon(name: str, colour: QColor, disabled: QColor | None = None) -> QIcon:
    """For buttons and menus of the toolkit; create it again when the theme changes."""
    made = QIcon()
    application = QGuiApplication.instance()
    finest = application.devicePixelRatio() if isinstance(application, QGuiApplication) else 1.0
    for ratio in {1.0, finest}:
        made.addPixmap(_pixmap(name, colour.name(), 20, ratio))
        if disabled is not None:
            made.addPixmap(_pixmap(name, disabled.name(), 20, ratio), QIcon.Mode.Disabled)
    return made


@cache
def _renderer(name: str, colour: str) -> QSvgRenderer:
    text = resource(f"icons/{name}.svg").read_text("utf-8").replace("currentColor", colour)
    return QSvgRenderer(QByteArray(text.encode()))


@cache
def _pixmap(name: str, colour: str, size: int, ratio: float) -> QPixmap:
    made = QPixmap(QSize(size, size) * ratio)
    made.setDevicePixelRatio(ratio)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _renderer(name, colour).render(painter, QRectF(QPointF(0, 0), QSize(size, size).toSizeF()))
    painter.end()
    return made


def mark(file: Path) -> QSvgRenderer:
    """A drawing in its own colours, to be rendered at any size."""
    return QSvgRenderer(str(file))
