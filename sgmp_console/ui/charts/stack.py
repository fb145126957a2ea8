"""Areas stacked on both sides of zero, drawn in pixels behind nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from sgmp_console.ui import theme
from sgmp_console.ui.quantities import Quantity
from sgmp_console.ui.theme import Tokens

NOTHING = 0.003
"""Of the unit: a layer thinner than this is not drawn, so that what is zero leaves no line."""

_OPACITY = 150
"""Of the areas, 0 to 255: the grid is seen through them, their upper edge is solid."""

_TINT_OPACITY = 45
"""Behind a hatch."""

_BAND_OPACITY = 70
"""Of the bands behind lines."""


@dataclass(frozen=True)
class Layer:
    """`inner` and `outer` are its edges at each pixel column, the inner one nearer to zero; NaN where it is unknown."""

    quantity: Quantity
    inner: NDArray[np.float64]
    outer: NDArray[np.float64]


def stacked(parts: list[tuple[Quantity, NDArray[np.float64]]], *, below: bool) -> list[Layer]:
    """Layers on top of each other (below: under each other), in the order given. What is unknown adds nothing."""
    layers = []
    sign = -1.0 if below else 1.0
    edge = np.zeros(len(parts[0][1]) if parts else 0)
    for quantity, values in parts:
        size = np.where(np.isnan(values), 0.0, np.maximum(values, 0.0))
        outer = edge + sign * size
        unknown = np.isnan(values)
        layers.append(Layer(quantity, np.where(unknown, np.nan, edge), np.where(unknown, np.nan, outer)))
        edge = outer
    return layers


class Areas(QGraphicsItem):
    """Stacked layers, bands behind lines, and dashed outlines of what is compared.

    A child of the view box itself, like the grid: it draws in pixels, so its edges are as thick at any scale.
    """

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view)
        self.setZValue(-50)
        self._view = view
        self._layers: Sequence[Layer] = ()
        self._bands: Sequence[Layer] = ()
        self._outlines: Sequence[NDArray[np.float64]] = ()

    def show_areas(
        self, layers: Sequence[Layer], bands: Sequence[Layer], outlines: Sequence[NDArray[np.float64]]
    ) -> None:
        self._layers, self._bands, self._outlines = layers, bands, outlines
        self.update()

    def boundingRect(self) -> QRectF:  # noqa: N802
        rect: QRectF = self._view.rect()
        return rect

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        area = self.boundingRect()
        (_, _), (bottom, top) = self._view.viewRange()
        if top <= bottom:
            return
        painter.setClipRect(area)
        paint_areas(painter, area, bottom, top, self._layers, self._bands, self._outlines, theme.tokens())


def paint_areas(
    painter: QPainter,
    area: QRectF,
    bottom: float,
    top: float,
    layers: Sequence[Layer],
    bands: Sequence[Layer],
    outlines: Sequence[NDArray[np.float64]],
    tokens: Tokens,
) -> None:
    """Into `area`, whose lower and upper edge stand for `bottom` and `top`."""
    scale = area.height() / (top - bottom)

    def at(edge: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x = area.left() + (np.arange(len(edge)) + 0.5) * area.width() / max(1, len(edge))
        return x, area.bottom() - (edge - bottom) * scale

    for band in bands:
        colour = QColor(band.quantity.colour_in(tokens))
        colour.setAlpha(_BAND_OPACITY)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        x, low = at(band.inner)
        _, high = at(band.outer)
        for first, last in _runs(np.isfinite(band.inner)):
            painter.drawPolygon(_polygon(x[first:last], high[first:last], low[first:last]))
    for layer in layers:
        x, inner = at(layer.inner)
        _, outer = at(layer.outer)
        _paint_layer(painter, layer, layer.quantity.colour_in(tokens), x, inner, outer)
    painter.setPen(compared_pen(tokens))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for outline in outlines:
        x, y = at(outline)
        for first, last in _runs(np.isfinite(outline)):
            painter.drawPolyline(_polygon(x[first:last], y[first:last]))


def fills_of(colour: QColor, *, dashed: bool) -> tuple[QBrush, ...]:
    """Of an area or a bar, to be painted one over the other. What flows the other way of a pair is hatched over a tint, as
    its line is dashed: never colour alone."""
    fill, tint = QColor(colour), QColor(colour)
    fill.setAlpha(_OPACITY)
    tint.setAlpha(_TINT_OPACITY)
    return (QBrush(tint), QBrush(fill, Qt.BrushStyle.BDiagPattern)) if dashed else (QBrush(fill),)


def paint_filled(painter: QPainter, rect: QRectF, colour: QColor, *, dashed: bool) -> None:
    """A bar, or its swatch."""
    painter.setPen(Qt.PenStyle.NoPen)
    for brush in fills_of(colour, dashed=dashed):
        painter.setBrush(brush)
        painter.drawRect(rect)
    painter.setPen(QPen(colour, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(rect)


def compared_pen(tokens: Tokens) -> QPen:
    """Of what another period adds up to, behind the colours of this one."""
    pen = QPen(tokens.ink_muted, 1.25)
    pen.setDashPattern([4, 3])
    return pen


def _paint_layer(
    painter: QPainter,
    layer: Layer,
    colour: QColor,
    x: NDArray[np.float64],
    inner: NDArray[np.float64],
    outer: NDArray[np.float64],
) -> None:
    """A layer whose columns are at `x`, between the edges `inner` and `outer`, all in pixels."""
    brushes = fills_of(colour, dashed=layer.quantity.dashed)
    for first, last in _runs(np.abs(layer.outer - layer.inner) > NOTHING):
        painter.setPen(Qt.PenStyle.NoPen)
        polygon = _polygon(x[first:last], outer[first:last], inner[first:last])
        for brush in brushes:
            painter.setBrush(brush)
            painter.drawPolygon(polygon)
        painter.setPen(QPen(colour, 1))
        painter.drawPolyline(_polygon(x[first:last], outer[first:last]))


def _polygon(
    x: NDArray[np.float64], edge: NDArray[np.float64], back: NDArray[np.float64] | None = None
) -> QPolygonF:
    """Along an edge, and back along another."""
    if back is not None:
        x, edge = np.concatenate([x, x[::-1]]), np.concatenate([edge, back[::-1]])
    polygon: QPolygonF = pg.functions.arrayToQPolygonF(x, edge)
    return polygon


def _runs(present: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[first, last) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], present, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
