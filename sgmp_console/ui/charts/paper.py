"""Charts on paper: a pane with its axes, and a whole drawing with its head, drawn with plain QPainter calls on any thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPointF, QRectF
from PySide6.QtGui import QImage, QImageWriter, QPainter

from sgmp_console.errors import UserError
from sgmp_console.reports.export import Piece
from sgmp_console.reports.home import Curve
from sgmp_console.reports.time_marks import TimeMark
from sgmp_console.ui import fonts, formats, plain_text, theme
from sgmp_console.ui.charts import painted
from sgmp_console.ui.charts.legend import paint_swatch
from sgmp_console.ui.charts.marks import paint_marks
from sgmp_console.ui.charts.painted import paint_text
from sgmp_console.ui.charts.panes import Pane, pane_frame
from sgmp_console.ui.charts.stack import paint_areas
from sgmp_console.ui.quantities import Quantity
from sgmp_console.ui.theme import Tokens

_MARGIN = 24.0
_ROW = 20.0
_GAP = 16.0

SIZES = (320, 8192)
"""Pixels of width and height that a PNG may have."""

Paint = Callable[[QPainter, QRectF, Tokens], None]
"""Draws a chart into a rectangle, in a theme."""


class WrongSize(UserError):
    """A size that a PNG can't have; the sentence says which it may have."""


@dataclass(frozen=True)
class Drawing:
    """A chart as it was when it was asked for: `paint` keeps what it shows. `legend`: its lines and `areas`."""

    paint: Paint
    legend: tuple[Quantity, ...] = ()
    areas: frozenset[str] = frozenset()


def paint_pane(
    painter: QPainter,
    frame: QRectF,
    pane: Pane,
    curves: Mapping[str, Curve],
    hidden: Collection[str],
    range_ms: tuple[int, int],
    passed_ms: int | None,
    zone: tzinfo,
    marks: Sequence[TimeMark],
    tokens: Tokens,
) -> None:
    """Into `frame`, with its axes; marks have their bars, too."""
    start, end = range_ms
    columns = max(50, int(frame.width()) - painted.AXIS_WIDTH)
    shown = pane_frame(pane, curves, hidden, start, end, columns, passed_ms)
    of = painted.scale(
        frame, start, end, shown.low, shown.high, least_span=pane.least_span, from_zero=pane.from_zero
    )
    painted.paint_gaps(painter, of, shown.gaps, tokens)
    paint_marks(painter, of.area, marks, of.x, tokens, bars=True)
    painted.paint_values(painter, of, pane.unit, tokens, signed=pane.below is None)
    painted.paint_times(painter, of, zone, tokens)
    paint_areas(painter, of.area, of.bottom, of.top, shown.layers, shown.bands, shown.outlines, tokens)
    for quantity in reversed([one for one in pane.quantities if one.item in shown.lines]):
        x, y = shown.lines[quantity.item]
        painted.paint_line(painter, of, x, y, quantity.colour_in(tokens), dashed=quantity.dashed)


def panes_drawing(
    panes: Sequence[Pane],
    curves: Mapping[str, Curve],
    hidden: Collection[str],
    range_ms: tuple[int, int],
    passed_ms: int | None,
    zone: tzinfo,
    marks: Sequence[TimeMark],
) -> Drawing:
    """Panes below each other, all of the same height."""

    def paint(painter: QPainter, frame: QRectF, tokens: Tokens) -> None:
        height = (frame.height() - _GAP * (len(panes) - 1)) / len(panes)
        place = QRectF(frame.left(), frame.top(), frame.width(), height)
        for pane in panes:
            paint_pane(painter, QRectF(place), pane, curves, hidden, range_ms, passed_ms, zone, marks, tokens)
            place.translate(0, height + _GAP)

    quantities = [quantity for pane in panes for quantity in pane.quantities]
    areas = frozenset(one.item for pane in panes if pane.below is not None for one in pane.quantities)
    shown = tuple(one for one in quantities if one.item in curves and one.item not in hidden)
    return Drawing(paint, shown, areas)


def paint_legend(
    painter: QPainter,
    place: QRectF,
    entries: Sequence[tuple[Quantity, str]],
    areas: Collection[str],
    tokens: Tokens,
) -> float:
    """Swatches with their texts from the left to the right, on as many rows as they take. Returns where they end."""
    row = QRectF(place.left(), place.top(), place.width(), _ROW)
    for quantity, text in entries:
        width = fonts.metrics("caption").horizontalAdvance(text) + 40
        if row.left() + width > place.right() and row.left() > place.left():
            row.moveTo(place.left(), row.bottom())
        at = QPointF(row.left(), row.center().y())
        colour, is_area = quantity.colour_in(tokens), quantity.item in areas
        paint_swatch(painter, at, colour, dashed=quantity.dashed, area=is_area)
        paint_text(painter, row.adjusted(20, 0, 0, 0), text, "caption", tokens.ink_secondary)
        row.translate(width, 0)
    return row.bottom()


def png_bytes(piece: Piece, drawing: Drawing, width: int, height: int) -> bytes:
    """A chart with its title, house, period, unit and zone, in exactly that many pixels. Larger pictures have larger text."""
    tokens = theme.load("light")
    image, painter, frame = begun_image(width, height)
    inside = frame.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
    row = QRectF(inside.left(), inside.top(), inside.width(), 28)
    paint_text(painter, row, plain_text.one_line(piece.title), "heading", tokens.ink_primary)
    row = QRectF(inside.left(), row.bottom(), inside.width(), _ROW)
    paint_text(painter, row, plain_text.one_line(_about(piece)), "caption", tokens.ink_secondary)
    top = row.bottom() + _GAP / 2
    if len(drawing.legend) > 1:
        entries = [(quantity, quantity.short) for quantity in drawing.legend]
        place = QRectF(inside.left(), top, inside.width(), 0)
        top = paint_legend(painter, place, entries, drawing.areas, tokens) + 4
    drawing.paint(painter, QRectF(inside.left(), top, inside.width(), inside.bottom() - top), tokens)
    painter.end()
    return encoded(image)


def _about(piece: Piece) -> str:
    """`Maple House, May 2025 (2025-05-01 00:00 to 2025-06-01 00:00), in kW, times of Europe/Berlin`."""
    period = piece.period
    if piece.range_ms is not None:
        start, end = (
            formats.local(at, ZoneInfo(piece.zone)).strftime("%Y-%m-%d %H:%M") for at in piece.range_ms
        )
        period = f"{period} ({start} to {end})" if period else f"{start} to {end}"
    unit = f"in {piece.unit}" if piece.unit else ""
    return ", ".join(part for part in (piece.house, period, unit, f"times of {piece.zone}") if part)


def parsed_size(text: str) -> tuple[int, int]:
    """Width and height of `1280x800`. Raises WrongSize."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    if found is None:
        raise WrongSize(f"{text!r} is not a size. Write width and height in pixels, such as 1280x800.")
    width, height = int(found[1]), int(found[2])
    least, most = SIZES
    if not (least <= width <= most and least <= height <= most):
        raise WrongSize(f"A picture is {least} to {most} pixels wide and high, not {width}x{height}.")
    return width, height


def begun_image(width: int, height: int) -> tuple[QImage, QPainter, QRectF]:
    """A light image of so many pixels, a painter on it, and the frame to paint into: larger images have larger text, as if
    they were looked at from as far away. End the painter."""
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(theme.load("light").surface_card)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    factor = max(1.0, min(width / 1280, height / 800))
    painter.scale(factor, factor)
    return image, painter, QRectF(0, 0, width / factor, height / factor)


def encoded(image: QImage) -> bytes:
    """As PNG."""
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, QByteArray(b"png")).write(image)
    return bytes(content.data())
