"""Axes that write local time and round values; what lies behind the lines: grid, zero line, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.timeseries import Series
from sgmp_console.ui import fonts, theme
from sgmp_console.ui.charts import marks, ticks
from sgmp_console.ui.quantities import Quantity

_LABEL_ROOM = 76
"""Pixels that a time label wants, `Wed 24 May` with air."""

_DOT = 2.5
"""Radius of a value that stands alone, in pixels."""

_VALUE_ROOM = 26
"""Pixels between two ticks of a value axis."""


class _Axis(pg.AxisItem):  # type: ignore[misc] # pyqtgraph is untyped
    """Without a title.

    WORKAROUND (no upstream report): pyqtgraph lays out the HTML of the title, also of none, at each change of pen and range.
    """

    def _updateLabel(self) -> None:  # noqa: N802
        self.picture = None
        self.update()


class TimeAxis(_Axis):
    """Seconds since 1970 UTC, written as the house's local time."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.zone: tzinfo = UTC
        self._labels: dict[float, str] = {}
        self.setStyle(
            tickLength=4, tickTextOffset=3, tickFont=fonts.font("caption"), hideOverlappingLabels=False
        )
        self.setHeight(24)  # of which the last two pixels are the ring of a chart with the focus

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        made = ticks.time_ticks(
            round(minVal * 1000), round(maxVal * 1000), self.zone, max(2, int(size / _LABEL_ROOM))
        )
        # A label at the very edge would be cut off.
        edge = (maxVal - minVal) * 0.3 * _LABEL_ROOM / max(1.0, size)
        inside = [tick for tick in made if minVal + edge <= tick.timestamp_ms / 1000 <= maxVal - edge]
        self._labels = {tick.timestamp_ms / 1000: tick.label for tick in ticks.with_a_date(inside, self.zone)}
        return [(1.0, list(self._labels))]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        return [self._labels[value] for value in values]

    def refresh(self) -> None:
        """After a change of zone or theme."""
        _recolour(self)


class ValueAxis(_Axis):
    """Few round ticks; the unit once, at the top one."""

    def __init__(self, unit: str, width: int, *, signed: bool = True) -> None:
        """Not `signed`: both sides of zero are sizes."""
        super().__init__("left")
        self._unit = unit
        self._signed = signed
        self._step = 1.0
        self.setStyle(
            tickLength=0, tickTextOffset=6, tickFont=fonts.font("caption"), hideOverlappingLabels=False
        )
        self.setWidth(width)

    def set_step(self, step: float) -> None:
        if step != self._step:
            self._step = step
            self.picture = None

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N802, N803
        return [(self._step, ticks.value_ticks(minVal, maxVal, self._step))]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        shown = values if self._signed else [abs(value) for value in values]
        labels = [ticks.value_label(value, self._step) for value in shown]
        if labels:
            labels[-1] = f"{labels[-1]}\u00a0{self._unit}"
        return labels

    def refresh(self) -> None:
        _recolour(self)


def tick_room(height: float) -> int:
    """How many steps a value axis of that many pixels has room for."""
    return max(1, min(6, int(height / _VALUE_ROOM)))


def _recolour(axis: pg.AxisItem) -> None:
    tokens = theme.tokens()
    axis.setPen(pg.mkPen(tokens.line_hairline))
    axis.setTextPen(pg.mkPen(tokens.ink_muted))
    axis.picture = None
    axis.update()


class PaneBackground(QGraphicsItem):
    """Behind the lines of a pane: hatch where there is no data, marks, the grid, and zero where signs matter.

    A child of the view box itself, so it draws in pixels and hatching keeps its grain at any zoom.
    """

    def __init__(self, view: pg.ViewBox, *, has_bars: bool) -> None:
        """`has_bars`: marks have their bars here, and not in the pane above."""
        super().__init__(view)
        self.setZValue(-100)
        self._view = view
        self._has_bars = has_bars
        self._marks: Sequence[TimeMark] = ()
        self._gaps: list[tuple[float, float]] = []
        self._levels: list[float] = []

    def show_on(self, gaps_s: list[tuple[float, float]], levels: list[float]) -> None:
        """`gaps_s` in seconds since 1970, `levels` the values with a line across."""
        if (gaps_s, levels) != (self._gaps, self._levels):
            self._gaps, self._levels = gaps_s, levels
            self.update()

    def show_marks(self, of: Sequence[TimeMark]) -> None:
        if of != self._marks:
            self._marks = of
            self.update()

    def boundingRect(self) -> QRectF:  # noqa: N802
        rect: QRectF = self._view.rect()
        return rect

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        tokens = theme.tokens()
        area = self.boundingRect()
        (left, right), (bottom, top) = self._view.viewRange()
        if right <= left or top <= bottom:
            return
        for begin, end in self._gaps:
            x0 = area.left() + (max(begin, left) - left) / (right - left) * area.width()
            x1 = area.left() + (min(end, right) - left) / (right - left) * area.width()
            if x1 - x0 >= 1:
                hatched = QRectF(x0, area.top(), x1 - x0, area.height())
                painter.fillRect(hatched, QBrush(tokens.line_hatch, Qt.BrushStyle.BDiagPattern))
        for level in self._levels:
            y = round(area.bottom() - (level - bottom) / (top - bottom) * area.height()) - 0.5
            painter.setPen(QPen(tokens.line_zero if level == 0 else tokens.line_grid, 1))
            painter.drawLine(QLineF(area.left(), y, area.right(), y))

        def x_of(at_ms: float) -> float:
            return float(area.left() + (at_ms / 1000 - left) / (right - left) * area.width())

        marks.paint_marks(painter, area, self._marks, x_of, tokens, bars=self._has_bars)


class Dots(QGraphicsItem):
    """Values that no line leads to, each as a dot; drawn in pixels, like the background."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view)
        self._view = view
        self._dots: list[tuple[QColor, Series]] = []

    def show_dots(self, dots: list[tuple[QColor, Series]]) -> None:
        self._dots = dots
        self.update()

    def boundingRect(self) -> QRectF:  # noqa: N802
        rect: QRectF = self._view.rect()
        return rect

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        area = self.boundingRect()
        (left, right), (bottom, top) = self._view.viewRange()
        if right <= left or top <= bottom:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, points in self._dots:
            painter.setBrush(colour)
            for at_ms, value in zip(points.timestamps.tolist(), points.values.tolist(), strict=True):
                x = area.left() + (at_ms / 1000 - left) / (right - left) * area.width()
                y = area.bottom() - (value - bottom) / (top - bottom) * area.height()
                painter.drawEllipse(QPointF(x, y), _DOT, _DOT)


def pen(quantity: Quantity, ratio: float) -> QPen:
    """The pen of a quantity's line: one logical pixel wide, dashed where the quantity is.

    Cosmetic, since the plot's coordinates are those of its data; such a pen is as wide as it says in device pixels, of
    which the screen has `ratio` for each logical one.
    """
    made = QPen(quantity.colour, ratio)
    made.setCosmetic(True)
    if quantity.dashed:
        made.setDashPattern([4, 3])
    return made
