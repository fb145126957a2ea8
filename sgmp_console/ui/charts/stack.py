"""Areas stacked on both sides of zero, drawn in pixels behind nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from sgmp_console.ui.quantities import Quantity

_NOTHING = 0.003
"""Of the unit: a layer thinner than this is not drawn, so that what is zero leaves no line."""

_OPACITY = 150
"""Of the areas, 0 to 255: the grid is seen through them, their upper edge is solid."""


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


class StackedAreas(QGraphicsItem):
    """A child of the view box itself, like the grid: it draws in pixels, so its edges are as thick at any scale."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view)
        self.setZValue(-50)
        self._view = view
        self._layers: list[Layer] = []

    def show_layers(self, layers: list[Layer]) -> None:
        self._layers = layers
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
        scale = area.height() / (top - bottom)
        for layer in self._layers:
            x = area.left() + (np.arange(len(layer.outer)) + 0.5) * area.width() / max(1, len(layer.outer))
            inner = area.bottom() - (layer.inner - bottom) * scale
            outer = area.bottom() - (layer.outer - bottom) * scale
            paint_layer(painter, layer, layer.quantity.colour, x, inner, outer)


def fill_of(colour: QColor, *, dashed: bool) -> QBrush:
    """Of an area or a bar. What flows the other way of a pair is hatched, as its line is dashed: never colour alone."""
    fill = QColor(colour)
    fill.setAlpha(_OPACITY)
    return QBrush(fill, Qt.BrushStyle.BDiagPattern if dashed else Qt.BrushStyle.SolidPattern)


def paint_layer(
    painter: QPainter,
    layer: Layer,
    colour: QColor,
    x: NDArray[np.float64],
    inner: NDArray[np.float64],
    outer: NDArray[np.float64],
) -> None:
    """A layer whose columns are at `x`, between the edges `inner` and `outer`, all in pixels."""
    brush = fill_of(colour, dashed=layer.quantity.dashed)
    for first, last in _runs(np.abs(layer.outer - layer.inner) > _NOTHING):
        edge = [
            QPointF(*point) for point in zip(x[first:last].tolist(), outer[first:last].tolist(), strict=True)
        ]
        back = [
            QPointF(*point) for point in zip(x[first:last].tolist(), inner[first:last].tolist(), strict=True)
        ]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(brush)
        painter.drawPolygon(QPolygonF(edge + back[::-1]))
        painter.setPen(QPen(colour, 1))
        painter.drawPolyline(QPolygonF(edge))


def _runs(present: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[first, last) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], present, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
