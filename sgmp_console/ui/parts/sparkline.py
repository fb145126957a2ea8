"""The last hour in the corner of a tile."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from sgmp_console.timeseries import READING_LIMIT, Series
from sgmp_console.ui import theme
from sgmp_console.ui.charts import reduce
from sgmp_console.ui.quantities import Quantity

_COLUMNS = 90
"""Lows and highs of 40 s each: more can't be distinguished at this size."""

_LEAST_SPAN_KW = 0.5
"""So that the hum of an idle house is not drawn as an event."""


class Sparkline(QWidget):
    """A line of [start, end) from zero up, without axes; gaps stay gaps."""

    def __init__(self, quantity: Quantity, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._quantity = quantity
        self._series = Series.empty()
        self._range = (0, 1)
        self._gap_ms = 0
        self._greyed = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_series(self, series: Series, start_ms: int, end_ms: int, gap_ms: int) -> None:
        self._series, self._range, self._gap_ms = series, (start_ms, end_ms), gap_ms
        self.update()

    def set_greyed(self, greyed: bool) -> None:
        """What it shows is no longer current."""
        if greyed != self._greyed:
            self._greyed = greyed
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(96, 36)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        colour = theme.tokens().ink_disabled if self._greyed else self._quantity.colour
        paint_sparkline(painter, QRectF(self.rect()), self._series, *self._range, self._gap_ms, colour)


def paint_sparkline(
    painter: QPainter,
    area: QRectF,
    series: Series,
    start_ms: int,
    end_ms: int,
    gap_ms: int,
    colour: QColor,
    *,
    fitted: bool = False,
) -> None:
    """A line of [start_ms, end_ms) in an area, with a dot at the newest value: from zero up, or `fitted` from the least to the
    greatest value."""
    painter.save()
    painter.translate(area.topLeft())
    width, height = area.width() - 4.0, area.height() - 4.0
    baseline = round(area.height() - 2.0) - 0.5
    painter.setPen(QPen(theme.tokens().line_hairline, 1))
    painter.drawLine(QPointF(0, baseline), QPointF(area.width(), baseline))
    _paint_line(
        painter,
        series,
        (start_ms, end_ms),
        gap_ms,
        colour,
        QRectF(0, baseline - height, width, height),
        fitted=fitted,
    )
    painter.restore()


def _paint_line(
    painter: QPainter,
    series: Series,
    of: tuple[int, int],
    gap_ms: int,
    colour: QColor,
    area: QRectF,
    *,
    fitted: bool,
) -> None:
    start_ms, end_ms = of
    x, y = reduce.reduced(series, start_ms, end_ms, _COLUMNS, gap_ms)
    if not len(x) or bool(np.all(np.isnan(y))):
        return
    sound = y[np.abs(y) <= READING_LIMIT]
    bottom, top = 0.0, max(float(np.max(sound, initial=0.0)), _LEAST_SPAN_KW)
    if fitted and len(sound):
        bottom, top = float(np.min(sound)), float(np.max(sound))
        if top == bottom:  # in the middle
            bottom, top = bottom - 1.0, top + 1.0
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(colour, 1)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    px = (x * 1000 - start_ms) / (end_ms - start_ms) * area.width()
    py = area.bottom() - (np.clip(y, bottom, top) - bottom) / (top - bottom) * area.height()
    points: list[QPointF] = []
    for at_x, at_y in zip(px.tolist(), py.tolist(), strict=True):
        if math.isnan(at_y):
            painter.drawPolyline(QPolygonF(points))
            points = []
        else:
            points.append(QPointF(at_x, at_y))
    painter.drawPolyline(QPolygonF(points))
    if points and end_ms - series.timestamps[-1] <= gap_ms:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(points[-1], 2.5, 2.5)
