"""Axes, grid and lines with plain QPainter calls: for bars, and for charts on paper. The caller chooses the theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF

from sgmp_console.ui import fonts
from sgmp_console.ui.charts import axes, ticks
from sgmp_console.ui.theme import Tokens

AXIS_WIDTH = 64
TIME_HEIGHT = 22
_RIGHT_AIR = 4
"""Pixels between the plotting area and the chart's right edge."""
_LABEL_ROOM = 76
"""Pixels that a time label wants."""


@dataclass(frozen=True)
class Scale:
    """Where values and times lie in `area`, in pixels."""

    area: QRectF
    start_ms: int
    end_ms: int
    bottom: float
    top: float
    step: float

    def x(self, at_ms: float) -> float:
        share = (at_ms - self.start_ms) / max(1, self.end_ms - self.start_ms)
        return float(self.area.left() + share * self.area.width())

    def y(self, value: float) -> float:
        share = (value - self.bottom) / max(1e-300, self.top - self.bottom)
        return float(self.area.bottom() - share * self.area.height())


def scale(
    frame: QRectF,
    start_ms: int,
    end_ms: int,
    low: float,
    high: float,
    *,
    least_span: float = 1.0,
    from_zero: bool = True,
) -> Scale:
    """For a chart in `frame`, with room for its axes. `low` above `high` means that there is no value."""
    area = frame.adjusted(AXIS_WIDTH, 10, -_RIGHT_AIR, -TIME_HEIGHT)
    if low > high:
        low = high = 0.0
    bottom, top, step = ticks.value_range(
        low, high, least_span=least_span, from_zero=from_zero, ticks=axes.tick_room(area.height())
    )
    return Scale(area, start_ms, end_ms, bottom, top, step)


def paint_values(painter: QPainter, of: Scale, unit: str, tokens: Tokens, *, signed: bool = True) -> None:
    """The value axis with its grid; the unit at the top tick. Not `signed`: both sides of zero are sizes."""
    painter.setFont(fonts.font("caption"))
    levels = ticks.value_ticks(of.bottom, of.top, of.step)
    for level in levels:
        y = of.y(level)
        painter.setPen(QPen(tokens.line_zero if level == 0 else tokens.line_grid, 1))
        painter.drawLine(QLineF(of.area.left(), y, of.area.right(), y))
        text = ticks.value_label(level if signed else abs(level), of.step)
        if level == levels[-1]:
            text = f"{text}\u00a0{unit}"
        painter.setPen(tokens.ink_muted)
        place = QRectF(of.area.left() - AXIS_WIDTH, y - 9, AXIS_WIDTH - 6, 18)
        painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)


def paint_times(painter: QPainter, of: Scale, zone: tzinfo, tokens: Tokens) -> None:
    marks = ticks.time_ticks(of.start_ms, of.end_ms, zone, max(2, int(of.area.width() / _LABEL_ROOM)))
    edge = 0.3 * _LABEL_ROOM
    inside = [
        mark for mark in marks if of.area.left() + edge <= of.x(mark.timestamp_ms) <= of.area.right() - edge
    ]
    for mark in ticks.with_a_date(inside, zone):
        paint_label(painter, of, of.x(mark.timestamp_ms), mark.label, tokens)


def paint_label(painter: QPainter, of: Scale, x: float, text: str, tokens: Tokens) -> None:
    """Below the time axis, around `x`, but within the chart."""
    painter.setFont(fonts.font("caption"))
    painter.setPen(tokens.ink_muted)
    half = fonts.metrics("caption").horizontalAdvance(text) / 2 + 1
    middle = max(of.area.left(), min(x, of.area.right() + _RIGHT_AIR - half))
    place = QRectF(middle - 60, of.area.bottom() + 3, 120, TIME_HEIGHT - 4)
    painter.drawText(place, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter, text)


def paint_gaps(painter: QPainter, of: Scale, gaps: Sequence[tuple[int, int]], tokens: Tokens) -> None:
    for start, end in gaps:
        hatched = QRectF(of.x(start), of.area.top(), of.x(end) - of.x(start), of.area.height())
        painter.fillRect(hatched, QBrush(tokens.line_hatch, Qt.BrushStyle.BDiagPattern))


def paint_line(
    painter: QPainter, of: Scale, x_s: np.ndarray, y: np.ndarray, colour: QColor, *, dashed: bool
) -> None:
    """A line as `reduce.reduced` gives it: seconds since 1970, values, NaN where it is broken."""
    pen = QPen(colour, 1)
    if dashed:
        pen.setDashPattern([4, 3])
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    whole = np.isfinite(y)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], whole, [False])).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        points = [
            QPointF(of.x(at * 1000), of.y(value))
            for at, value in zip(x_s[first:last].tolist(), y[first:last].tolist(), strict=True)
        ]
        painter.drawPolyline(QPolygonF(points))


def paint_text(
    painter: QPainter, place: QRectF, text: str, role: fonts.Role, ink: QColor, *, right: bool = False
) -> None:
    """On one line, cut at the end of the place."""
    painter.setFont(fonts.font(role))
    painter.setPen(ink)
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    shown = fonts.metrics(role).elidedText(text, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, side | Qt.AlignmentFlag.AlignVCenter, shown)
