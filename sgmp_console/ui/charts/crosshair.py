"""The line under the pointer and the card that lists every value there."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from sgmp_console.ui import fonts, theme
from sgmp_console.ui.charts.legend import paint_swatch

_PAD = 10
_ROW = 20
_SWATCH = 14


@dataclass(frozen=True)
class Entry:
    """One line of the card. `dot` is where its line is in the chart, None where it has no value there. Without a colour it
    has no swatch."""

    name: str
    value: str
    colour: QColor | None
    dashed: bool
    dot: QPointF | None


class Crosshair(QWidget):
    """Lies over a chart and lets the mouse through."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._x: float | None = None
        self._span = (0.0, 0.0)
        self._cell: QRectF | None = None
        self._title = ""
        self._entries: tuple[Entry, ...] = ()
        self._focused = False

    def set_focused(self, focused: bool) -> None:
        """Whether the chart has the keyboard: a ring around it says so."""
        if focused != self._focused:
            self._focused = focused
            self.update()

    def put(self, x: float, top: float, bottom: float, title: str, entries: tuple[Entry, ...]) -> None:
        """Coordinates are pixels of this widget."""
        self._x, self._span, self._title, self._entries = x, (top, bottom), title, entries
        self._cell = None
        self.update()

    def put_cell(self, cell: QRectF, title: str, entries: tuple[Entry, ...]) -> None:
        """An outline instead of the line, with the card beside it."""
        self.put(cell.right(), cell.top(), cell.bottom(), title, entries)
        self._cell = cell

    def clear(self) -> None:
        if self._x is not None:
            self._x = None
            self.update()

    def text(self) -> str:
        """What the card says, for those who can't see it; empty without a card."""
        if self._x is None or not self._title:
            return ""
        return "; ".join([self._title, *(f"{entry.name} {entry.value}" for entry in self._entries)])

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        tokens = theme.tokens()
        painter = QPainter(self)
        if self._focused:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(tokens.accent_focus, 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        if self._x is None:
            return
        x = round(self._x) + 0.5
        if self._cell is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            for pen, air in ((QPen(tokens.surface_card, 3), 1.0), (QPen(tokens.ink_primary, 1.5), 1.0)):
                painter.setPen(pen)
                painter.drawRect(self._cell.adjusted(-air, -air, air, air))
        else:
            painter.setPen(QPen(tokens.line_crosshair, 1))
            painter.drawLine(QPointF(x, self._span[0]), QPointF(x, self._span[1]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for entry in self._entries:
            if entry.dot is not None and entry.colour is not None:
                painter.setPen(QPen(tokens.surface_card, 1.5))
                painter.setBrush(entry.colour)
                painter.drawEllipse(entry.dot, 4, 4)
        if self._title:
            self._paint_card(painter, x)

    def _paint_card(self, painter: QPainter, x: float) -> None:
        tokens = theme.tokens()
        body, strong = fonts.metrics("caption"), fonts.metrics("strong")
        names = max((body.horizontalAdvance(entry.name) for entry in self._entries), default=0)
        values = max((strong.horizontalAdvance(entry.value) for entry in self._entries), default=0)
        width = max(_SWATCH + 8 + names + 16 + values, strong.horizontalAdvance(self._title)) + 2 * _PAD
        height = _ROW * (1 + len(self._entries)) + 2 * _PAD - 4
        other = x if self._cell is None else self._cell.left()
        left = x + 12 if x + 12 + width <= self.width() else other - 12 - width
        left = max(0.0, left)
        top = max(0.0, min(self._span[0] + 8, self.height() - height))
        painter.setPen(QPen(tokens.line_hairline, 1))
        painter.setBrush(tokens.surface_overlay)
        painter.drawRoundedRect(QRectF(round(left) + 0.5, round(top) + 0.5, width, height), 6, 6)
        row = QRectF(left + _PAD, top + _PAD - 2, width - 2 * _PAD, _ROW)
        painter.setFont(fonts.font("strong"))
        painter.setPen(tokens.ink_primary)
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter, self._title)
        for entry in self._entries:
            row.translate(0, _ROW)
            if entry.colour is not None:
                at = QPointF(row.left(), row.center().y())
                paint_swatch(painter, at, entry.colour, dashed=entry.dashed, width=_SWATCH)
            painter.setPen(tokens.ink_secondary)
            painter.setFont(fonts.font("caption"))
            painter.drawText(row.adjusted(_SWATCH + 8, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, entry.name)
            painter.setPen(tokens.ink_primary)
            painter.setFont(fonts.font("strong"))
            painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, entry.value)
