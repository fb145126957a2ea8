"""A pane of a time chart as pyqtgraph items, and the canvas they lie on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QWidget

from sgmp_console.reports.home import Curve
from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.timeseries import Series
from sgmp_console.ui import formats, theme
from sgmp_console.ui.charts import axes, ticks
from sgmp_console.ui.charts.crosshair import Entry
from sgmp_console.ui.charts.panes import Pane, PaneFrame
from sgmp_console.ui.charts.stack import Areas, Layer


class Canvas(pg.GraphicsLayoutWidget):  # type: ignore[misc] # pyqtgraph is untyped
    """pyqtgraph's canvas, which only draws: keys and the mouse are the chart's around it. If it took a press, Qt would
    give it the whole drag; if it took the wheel, the page around would not scroll."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.ci.layout.setContentsMargins(0, 8, 0, 0)
        self.ci.layout.setVerticalSpacing(14)


class PaneView:
    """A pane as pyqtgraph items, made once."""

    def __init__(
        self, pane: Pane, canvas: pg.GraphicsLayoutWidget, row: int, axis_width: int, *, bottom: bool
    ) -> None:
        self.pane = pane
        self._canvas = canvas
        self._time = axes.TimeAxis()
        self._values = axes.ValueAxis(pane.unit, axis_width, signed=pane.below is None)
        self._view = _view_with_axes(canvas, row, self._time, self._values)
        if not bottom:
            self._time.setStyle(showValues=False, tickLength=0)
            self._time.setHeight(2)
        self._background = axes.PaneBackground(self._view, has_bars=row == 0)
        self._areas = Areas(self._view)
        self._dots = axes.Dots(self._view)
        self._layers: dict[str, Layer] = {}
        self.span = (0.0, 0.0)
        self._lines: dict[str, pg.PlotCurveItem] = {}
        # Drawn in reverse, so that what comes first in the legend lies on top.
        for quantity in reversed(pane.quantities):
            line = pg.PlotCurveItem(connect="finite")
            self._lines[quantity.item] = line
            self._view.addItem(line)

    def follow(self, other: PaneView) -> None:
        """Show the same time as another pane."""
        self._view.setXLink(other._view)

    def set_zone(self, zone: tzinfo) -> None:
        self._time.zone = zone
        self._time.refresh()

    def show_marks(self, marks: Sequence[TimeMark]) -> None:
        self._background.show_marks(marks)

    def restyle(self, ratio: float) -> None:
        self._time.refresh()
        self._values.refresh()
        for quantity in self.pane.quantities:
            self._lines[quantity.item].setPen(axes.pen(quantity, ratio))
        self._background.update()
        self._areas.update()

    def area(self) -> pg.QtCore.QRectF:
        """The plotting area, in pixels of the chart."""
        scene = self._view.sceneBoundingRect()
        return self._canvas.mapFromScene(scene).boundingRect().toRectF()

    def show_frame(self, frame: PaneFrame) -> None:
        low, high = frame.low, frame.high
        if low > high:
            low, high = (0.0, self.pane.least_span) if self.pane.from_zero else (0.0, 0.0)
        bottom, top, step = ticks.value_range(
            low,
            high,
            least_span=self.pane.least_span,
            from_zero=self.pane.from_zero,
            ticks=axes.tick_room(self.area().height()),
        )
        self.span = (bottom, top)
        self._values.set_step(step)
        # Half a pixel of air, so that a line at the edge is not cut.
        air = (top - bottom) * 0.02
        self._view.setYRange(bottom - air, top + air, padding=0)
        self._view.setXRange(frame.start_ms / 1000, frame.end_ms / 1000, padding=0)
        for item, line in self._lines.items():
            shown = frame.lines.get(item)
            line.setVisible(shown is not None)
            if shown is not None:
                line.setData(*shown)
        self._dots.show_dots([(quantity.colour, points) for quantity, points in frame.dots])
        self._layers = {layer.quantity.item: layer for layer in frame.layers}
        self._areas.show_areas(frame.layers, frame.bands, frame.outlines)
        gaps_s = [(start / 1000, end / 1000) for start, end in frame.gaps]
        self._background.show_on(gaps_s, ticks.value_ticks(bottom, top, step))

    def entries_at(
        self, curves: Mapping[str, Curve], hidden: set[str], at_ms: int, near_ms: int, x: float
    ) -> list[Entry]:
        entries = []
        area = self.area()
        (_, _), (bottom, top) = self._view.viewRange()
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
            if curve.band is not None and value is not None and self.pane.below is None:
                ends = [_value_at(edge, at_ms, max(near_ms, curve.gap_ms)) for edge in curve.band]
                if None not in ends:
                    low, high = (formats.number(end, self.pane.unit) for end in ends if end is not None)
                    text = f"{text} ({low} to {high})"
            entries.append(Entry(quantity.short, text, quantity.colour, quantity.dashed, dot))
        entries += self._compared_entries(curves, hidden, at_ms, near_ms)
        return entries

    def _compared_entries(
        self, curves: Mapping[str, Curve], hidden: set[str], at_ms: int, near_ms: int
    ) -> list[Entry]:
        """What the other period adds up to on each side of zero."""
        below = self.pane.below or frozenset()
        entries = []
        for name, side in (("Before, from", False), ("Before, to", True)):
            values = [
                _value_at(curves[key].series, at_ms, max(near_ms, curves[key].gap_ms))
                for item, key in self.pane.compared.items()
                if key in curves and item not in hidden and (item in below) is side
            ]
            known = [max(value, 0.0) for value in values if value is not None]
            if values:
                text = formats.with_unit(sum(known) if known else None, self.pane.unit)
                entries.append(Entry(name, text, theme.tokens().ink_secondary, True, None))
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


def _view_with_axes(
    canvas: pg.GraphicsLayoutWidget, row: int, time: axes.TimeAxis, values: axes.ValueAxis
) -> pg.ViewBox:
    """The plotting area of a pane, with its axes.

    Not a PlotItem: each makes dozens of widgets for menus that no chart shows, which blocks a page that is opened.
    """
    view = pg.ViewBox(enableMouse=False, enableMenu=False)
    view.disableAutoRange()
    pane = pg.GraphicsLayout()
    pane.layout.setContentsMargins(0, 0, 0, 0)
    pane.layout.setSpacing(0)
    for axis, axis_row, column in ((values, 0, 0), (time, 1, 1)):
        axis.linkToView(view)
        axis.setZValue(0.5)  # over the pane's background
        pane.addItem(axis, axis_row, column)
    pane.addItem(view, 0, 1)
    canvas.addItem(pane, row, 0)
    return view


def _value_at(series: Series, at_ms: int, within_ms: int) -> float | None:
    """The value nearest in time, None where that is further away than half of `within_ms`."""
    t = series.timestamps
    after = int(np.searchsorted(t, at_ms))
    candidates = [index for index in (after - 1, after) if 0 <= index < len(t)]
    if not candidates:
        return None
    nearest = min(candidates, key=lambda index: abs(int(t[index]) - at_ms))
    return float(series.values[nearest]) if abs(int(t[nearest]) - at_ms) <= within_ms / 2 else None
