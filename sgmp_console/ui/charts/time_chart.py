"""Lines over time in one or more panes with a common time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QRubberBand, QVBoxLayout, QWidget

from sgmp_console.reports.home import Curve
from sgmp_console.timeseries import READING_LIMIT, Series
from sgmp_console.ui import formats, theme
from sgmp_console.ui.charts import axes, reduce, ticks
from sgmp_console.ui.charts.crosshair import Crosshair, Entry
from sgmp_console.ui.charts.draw_clock import DrawClock
from sgmp_console.ui.charts.stack import Layer, StackedAreas, stacked
from sgmp_console.ui.quantities import Quantity

_KEY_STEP_MS = 300_000
"""How far an arrow key moves the crosshair: a slot."""

_AREA_PIXELS = 2
"""Width of a column of a stacked area."""

_LEAST_DRAG = 5
"""Pixels: less is a click of a hand that is not quite still."""

_NEAR_PIXELS = 6
"""A value this close to the crosshair is the value there, even across a gap's edge."""


@dataclass(frozen=True)
class Pane:
    """Lines that share a value axis. `least_span`, in `unit`, keeps noise from filling the pane.

    With `below` they are areas instead: items named there are stacked below zero, the others above, in their order.
    Areas show the mean of each pixel column, since extremes of different columns do not add up.
    """

    unit: str
    quantities: tuple[Quantity, ...]
    least_span: float
    from_zero: bool
    below: frozenset[str] | None = None


class TimeChart(QWidget):
    """Shows curves; what it is given it draws on the next tick of the clock on which it is visible.

    Where `set_zoomable` was called a range is chosen by dragging, or from the crosshair by Shift with the arrow keys and
    Enter: `range_chosen(start_ms, end_ms)`. A double click wants the whole again: `whole_wanted`.
    """

    range_chosen = Signal(object, object)
    whole_wanted = Signal()

    def __init__(
        self,
        panes: Sequence[Pane],
        clock: DrawClock,
        accessible_name: str,
        *,
        axis_width: int = 48,
        parent: QWidget | None = None,
    ) -> None:
        """`axis_width` in pixels has room for the longest value with its unit."""
        super().__init__(parent)
        self._clock = clock
        self._zone: tzinfo = UTC
        self._curves: Mapping[str, Curve] = {}
        self._start_ms, self._end_ms = 0, 0
        self._hidden: set[str] = set()
        self._cross_ms: int | None = None
        self._zoomable = False
        self._anchor_ms: int | None = None
        """Where the range begins that is being chosen."""
        self._band = QRubberBand(QRubberBand.Shape.Rectangle, self)
        self.setAccessibleName(accessible_name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._canvas = _Canvas(self)
        self._canvas.hovered.connect(self._hover)
        self._canvas.left.connect(self._leave)
        layout.addWidget(self._canvas)
        self._panes = [
            _PaneView(pane, self._canvas, row, axis_width, bottom=row == len(panes) - 1)
            for row, pane in enumerate(panes)
        ]
        for pane in self._panes[1:]:
            pane.plot.setXLink(self._panes[0].plot)
        self._crosshair = Crosshair(self)
        self._restyle()

    def set_zoomable(self) -> None:
        self._zoomable = True

    def set_zone(self, zone: tzinfo) -> None:
        self._zone = zone
        for pane in self._panes:
            pane.set_zone(zone)

    def set_curves(self, curves: Mapping[str, Curve], start_ms: int, end_ms: int) -> None:
        """Show these over [start_ms, end_ms), by item; items that no pane has are not shown."""
        self._curves, self._start_ms, self._end_ms = curves, start_ms, end_ms
        self._clock.mark(self)

    def set_shown(self, item: str, shown: bool) -> None:
        (self._hidden.discard if shown else self._hidden.add)(item)
        self._clock.mark(self)

    def draw(self) -> None:
        """For the draw clock."""
        if self._end_ms <= self._start_ms:
            return
        for pane in self._panes:
            pane.draw(self._curves, self._hidden, self._start_ms, self._end_ms)
        self._place_crosshair()

    def drawn(self, item: str) -> bool:
        """Whether the last frame has anything of this item."""
        return any(item in pane.drawn for pane in self._panes)

    def axis_range(self, unit: str) -> tuple[float, float]:
        """What the axis with this unit spans. Raises StopIteration where there is none."""
        return next(pane.span for pane in self._panes if pane.pane.unit == unit)

    def crosshair_text(self) -> str:
        """What the crosshair's card says; empty without one."""
        return self._crosshair.text()

    def point_at(self, timestamp_ms: int) -> QPointF:
        """Where that time is in the first pane, in pixels of this widget."""
        area = self._panes[0].area()
        fraction = (timestamp_ms - self._start_ms) / max(1, self._end_ms - self._start_ms)
        return QPointF(area.left() + fraction * area.width(), area.center().y())

    # --- Events --------------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 220)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._clock.mark(self)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._crosshair.resize(self.size())
        self._clock.mark(self)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._worn is not theme.tokens():
            self._restyle()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._restyle()
        return super().event(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        self._crosshair.set_focused(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key = event.key()
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self._end_ms > self._start_ms:
            step = _KEY_STEP_MS if key == Qt.Key.Key_Right else -_KEY_STEP_MS
            chooses = self._zoomable and bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if not chooses:
                self._anchor_ms = None
            elif self._anchor_ms is None:
                self._anchor_ms = self._cross_ms
            at = self._end_ms if self._cross_ms is None else self._cross_ms + step
            self._cross_ms = min(max(at, self._start_ms), self._end_ms)
            self._place_crosshair()
            self._place_band()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._anchor_ms is not None:
            self._choose_range()
        elif key == Qt.Key.Key_Escape and self._cross_ms is not None:
            self._leave()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self._crosshair.set_focused(False)
        self._leave()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """The canvas lets presses through, so moves and the release come here, too."""
        if self._zoomable and event.button() == Qt.MouseButton.LeftButton:
            self._hover(event.position())
            self._anchor_ms = self._cross_ms
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._anchor_ms is None:
            super().mouseMoveEvent(event)
            return
        area = self._panes[0].area()
        self._hover(QPointF(min(max(event.position().x(), area.left()), area.right()), event.position().y()))
        self._place_band()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._anchor_ms is None:
            super().mouseReleaseEvent(event)
        elif self._band.isVisible() and self._band.width() >= _LEAST_DRAG:
            self._choose_range()
        else:
            self._anchor_ms = None
            self._place_band()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._zoomable and event.button() == Qt.MouseButton.LeftButton:
            self.whole_wanted.emit()
        else:
            super().mouseDoubleClickEvent(event)

    def _choose_range(self) -> None:
        anchor, cross = self._anchor_ms, self._cross_ms
        self._leave()
        if anchor is not None and cross is not None and anchor != cross:
            self.range_chosen.emit(min(anchor, cross), max(anchor, cross))

    def _place_band(self) -> None:
        """Over the range that is being chosen."""
        if self._anchor_ms is None or self._cross_ms is None:
            self._band.hide()
            return
        edges = sorted((self.point_at(self._anchor_ms).x(), self.point_at(self._cross_ms).x()))
        top, bottom = self._panes[0].area().top(), self._panes[-1].area().bottom()
        self._band.setGeometry(QRectF(edges[0], top, edges[1] - edges[0], bottom - top).toRect())
        self._band.show()

    def _hover(self, where: QPointF) -> None:
        area = self._panes[0].area()
        if area.left() <= where.x() <= area.right() and self._end_ms > self._start_ms:
            fraction = (where.x() - area.left()) / max(1.0, area.width())
            self._cross_ms = round(self._start_ms + fraction * (self._end_ms - self._start_ms))
            self._place_crosshair()
        else:
            self._leave()

    def _leave(self) -> None:
        self._cross_ms = None
        self._anchor_ms = None
        self._band.hide()
        self._crosshair.clear()

    # --- Drawing -------------------------------------------------------------------------------------------------

    def _restyle(self) -> None:
        self._worn = theme.tokens()
        self._canvas.setBackground(self._worn.surface_card)
        for pane in self._panes:
            pane.restyle(self.devicePixelRatioF())
        self._clock.mark(self)

    def _place_crosshair(self) -> None:
        if self._cross_ms is None or not self._start_ms <= self._cross_ms <= self._end_ms:
            self._crosshair.clear()
            return
        at_ms = self._cross_ms
        near_ms = round(
            _NEAR_PIXELS * (self._end_ms - self._start_ms) / max(1.0, self._panes[0].area().width())
        )
        entries = tuple(
            entry
            for pane in self._panes
            for entry in pane.entries_at(self._curves, self._hidden, at_ms, near_ms, self.point_at(at_ms).x())
        )
        title = formats.moment(at_ms, self._end_ms, self._zone)
        first, last = self._panes[0].area(), self._panes[-1].area()
        self._crosshair.put(self.point_at(at_ms).x(), first.top(), last.bottom(), title, entries)
        self._crosshair.raise_()


class _Canvas(pg.GraphicsLayoutWidget):  # type: ignore[misc] # pyqtgraph is untyped
    """pyqtgraph's canvas, telling where the mouse is. It neither zooms nor scrolls, so the page around it can."""

    hovered = Signal(QPointF)
    left = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        # The chart around it has the focus, and handles the keys.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.ci.layout.setContentsMargins(0, 8, 0, 0)
        self.ci.layout.setVerticalSpacing(14)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self.hovered.emit(event.position())

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        event.ignore()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        event.ignore()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.left.emit()

    def wheelEvent(self, event: QEvent) -> None:  # noqa: N802
        event.ignore()


class _PaneView:
    """A pane as pyqtgraph items, made once."""

    def __init__(
        self, pane: Pane, canvas: pg.GraphicsLayoutWidget, row: int, axis_width: int, *, bottom: bool
    ) -> None:
        self.pane = pane
        self._canvas = canvas
        self._time = axes.TimeAxis()
        self._values = axes.ValueAxis(pane.unit, axis_width, signed=pane.below is None)
        self.plot = canvas.addPlot(
            row=row, col=0, enableMenu=False, axisItems={"bottom": self._time, "left": self._values}
        )
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.disableAutoRange()
        self.plot.setContentsMargins(0, 0, 0, 0)
        if not bottom:
            self._time.setStyle(showValues=False, tickLength=0)
            self._time.setHeight(2)
        self._background = axes.PaneBackground(self.plot.getViewBox())
        self._areas = StackedAreas(self.plot.getViewBox())
        self._dots = axes.Dots(self.plot.getViewBox())
        self._layers: dict[str, Layer] = {}
        self.drawn: set[str] = set()
        self.span = (0.0, 0.0)
        self._lines: dict[str, pg.PlotCurveItem] = {}
        # Drawn in reverse, so that what comes first in the legend lies on top.
        for quantity in reversed(pane.quantities):
            line = pg.PlotCurveItem(connect="finite")
            self._lines[quantity.item] = line
            self.plot.addItem(line)

    def set_zone(self, zone: tzinfo) -> None:
        self._time.zone = zone
        self._time.refresh()

    def restyle(self, ratio: float) -> None:
        self._time.refresh()
        self._values.refresh()
        for quantity in self.pane.quantities:
            self._lines[quantity.item].setPen(axes.pen(quantity, ratio))
        self._background.update()
        self._areas.update()

    def area(self) -> pg.QtCore.QRectF:
        """The plotting area, in pixels of the chart."""
        scene = self.plot.getViewBox().sceneBoundingRect()
        return self._canvas.mapFromScene(scene).boundingRect().toRectF()

    def draw(self, curves: Mapping[str, Curve], hidden: set[str], start_ms: int, end_ms: int) -> None:
        area = self.area()
        shown = {item: curve for item, curve in curves.items() if item not in hidden}
        draw = self._draw_lines if self.pane.below is None else self._draw_areas
        low, high = draw(shown, start_ms, end_ms, max(50, int(area.width())))
        if low > high:
            low, high = self._empty_range()
        bottom, top, step = ticks.value_range(
            low,
            high,
            least_span=self.pane.least_span,
            from_zero=self.pane.from_zero,
            ticks=axes.tick_room(area.height()),
        )
        self.span = (bottom, top)
        self._values.set_step(step)
        # Half a pixel of air, so that a line at the edge is not cut.
        air = (top - bottom) * 0.02
        self.plot.setYRange(bottom - air, top + air, padding=0)
        self.plot.setXRange(start_ms / 1000, end_ms / 1000, padding=0)
        missing = [
            reduce.gaps(curve.series, start_ms, end_ms, curve.gap_ms)
            for quantity in self.pane.quantities
            if (curve := shown.get(quantity.item)) is not None
        ]
        gaps_s = [(a / 1000, b / 1000) for a, b in reduce.common_gaps(missing)]
        self._background.show_on(gaps_s, ticks.value_ticks(bottom, top, step))

    def _draw_lines(
        self, curves: Mapping[str, Curve], start_ms: int, end_ms: int, columns: int
    ) -> tuple[float, float]:
        """Lowest and highest value; an empty range (low above high) where there is none."""
        low, high = np.inf, -np.inf
        points = {}
        dots = []
        self.drawn = set()
        for quantity in self.pane.quantities:
            curve = curves.get(quantity.item)
            self._lines[quantity.item].setVisible(curve is not None)
            if curve is None:
                continue
            x, y = points[quantity.item] = reduce.reduced(
                curve.series, start_ms, end_ms, columns, curve.gap_ms
            )
            dots.append((quantity.colour, reduce.lonely(curve.series, start_ms, end_ms, curve.gap_ms)))
            if len(x):
                self.drawn.add(quantity.item)
            # What nothing measures has no say in the range: else one absurd value flattens all others.
            within = y[np.abs(y) <= READING_LIMIT]
            if len(within):
                low, high = min(low, float(np.min(within))), max(high, float(np.max(within)))
        span = max(high - low, self.pane.least_span)
        for item, (x, y) in points.items():
            # Beyond the range by as much as it spans: lines leave the pane there, and coordinates stay small.
            self._lines[item].setData(x, np.clip(y, low - span, high + span) if low <= high else y * np.nan)
        self._dots.show_dots(dots)
        return low, high

    def _draw_areas(
        self, curves: Mapping[str, Curve], start_ms: int, end_ms: int, columns: int
    ) -> tuple[float, float]:
        below = self.pane.below or frozenset()
        means = {}
        for quantity in self.pane.quantities:
            curve = curves.get(quantity.item)
            if curve is not None:
                within = curve.series.values[np.abs(curve.series.values) <= READING_LIMIT]
                series = curve.series
                if len(within) < len(series):
                    kept = np.abs(series.values) <= READING_LIMIT
                    series = Series(series.timestamps[kept], within)
                means[quantity.item] = reduce.column_means(
                    series, start_ms, end_ms, columns // _AREA_PIXELS, curve.gap_ms
                )
        self._layers = {}
        for side in (False, True):
            parts = [
                (quantity, means[quantity.item])
                for quantity in self.pane.quantities
                if quantity.item in means and (quantity.item in below) is side
            ]
            self._layers |= {layer.quantity.item: layer for layer in stacked(parts, below=side)}
        self.drawn = {
            item for item, layer in self._layers.items() if np.any(np.abs(layer.outer - layer.inner) > 0)
        }
        self._areas.show_layers(list(self._layers.values()))
        edges = np.concatenate([layer.outer for layer in self._layers.values()] or [np.empty(0)])
        if not np.any(np.isfinite(edges)):
            return np.inf, -np.inf
        return float(np.nanmin(edges)), float(np.nanmax(edges))

    def _empty_range(self) -> tuple[float, float]:
        return (0.0, self.pane.least_span) if self.pane.from_zero else (0.0, 0.0)

    def entries_at(
        self, curves: Mapping[str, Curve], hidden: set[str], at_ms: int, near_ms: int, x: float
    ) -> list[Entry]:
        entries = []
        area = self.area()
        (_, _), (bottom, top) = self.plot.viewRange()
        for quantity in self.pane.quantities:
            curve = curves.get(quantity.item)
            if curve is None or quantity.item in hidden:
                continue
            value = _value_at(curve.series, at_ms, max(near_ms, curve.gap_ms))
            dot = None
            level = value if self.pane.below is None else self._outer_edge(quantity.item, x)
            if value is not None and level is not None and top > bottom and bottom <= level <= top:
                dot = QPointF(x, area.bottom() - (level - bottom) / (top - bottom) * area.height())
            text = formats.with_unit(value, self.pane.unit)
            entries.append(Entry(quantity.short, text, quantity.colour, quantity.dashed, dot))
        return entries

    def _outer_edge(self, item: str, x: float) -> float | None:
        """Where an area ends at a pixel of the chart; None where nothing of it is drawn there."""
        layer, area = self._layers.get(item), self.area()
        if layer is None or not len(layer.outer):
            return None
        column = int((x - area.left()) / max(1.0, area.width()) * len(layer.outer))
        column = min(max(column, 0), len(layer.outer) - 1)
        edge = float(layer.outer[column])
        return edge if edge != layer.inner[column] and np.isfinite(edge) else None


def _value_at(series: Series, at_ms: int, within_ms: int) -> float | None:
    """The value nearest in time, None where that is further away than half of `within_ms`."""
    t = series.timestamps
    after = int(np.searchsorted(t, at_ms))
    candidates = [index for index in (after - 1, after) if 0 <= index < len(t)]
    if not candidates:
        return None
    nearest = min(candidates, key=lambda index: abs(int(t[index]) - at_ms))
    return float(series.values[nearest]) if abs(int(t[nearest]) - at_ms) <= within_ms / 2 else None
