"""A heat map: an item by hour and day, or by hour and weekday. A day leads to its report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QImage,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPdfWriter,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QWidget

from sgmp_console.reports.heat_map import HALF_HOURS, NOWHERE, WEEKDAYS, Grid, HeatMap
from sgmp_console.timeseries import SLOT_MS
from sgmp_console.ui import fonts, formats, theme
from sgmp_console.ui.charts.colour_scale import STEPS, ColourScale, scale_of
from sgmp_console.ui.charts.crosshair import Entry
from sgmp_console.ui.charts.paper import Drawing
from sgmp_console.ui.charts.place_chart import PlaceChart
from sgmp_console.ui.charts.ticks import value_label, value_ticks
from sgmp_console.ui.quantities import Quantity
from sgmp_console.ui.theme import Tokens

MAX_DAYS_DOWN = 14
"""So many days stand below each other, hours from left to right; more stand side by side, hours from top to bottom."""

_SCALE_HEIGHT = 34
_LABEL_HEIGHT = 22
_LABEL_GAP = 8
_MAX_LINE = 60.0
"""Pixels that a day is wide, or high, at most."""
_GAP_FROM = 5.0
"""Pixels from which on cells are set apart by one."""
_HATCH = 6
"""Pixels between two lines of the hatch."""
_LITTLE = 0.5
"""Cells of which less is covered are hatched over their colour."""


@dataclass(frozen=True, eq=False)
class HeatPicture:
    """What is drawn. `quantity` gives the name and the hue."""

    heat_map: HeatMap
    quantity: Quantity
    by_weekday: bool = False

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.heat_map.zone)

    def grouped(self, pixels: int) -> tuple[Grid, int]:
        """The cells, and how many days make up a line: more than one where there are more days than pixels."""
        if self.by_weekday:
            return self.heat_map.weekdays, 1
        days = len(self.heat_map.day_starts)
        size = max(1, -(-days // max(1, pixels)))
        if size == 1:
            return self.heat_map.days, 1
        return self.heat_map.days.merged(np.arange(days) // size, -(-days // size)), size

    @property
    def is_empty(self) -> bool:
        return not len(self.heat_map.starts)

    @property
    def lines(self) -> int:
        return len(WEEKDAYS) if self.by_weekday else len(self.heat_map.day_starts)

    @property
    def days_across(self) -> bool:
        """Whether days stand side by side; else they are rows."""
        return not self.by_weekday and self.lines > MAX_DAYS_DOWN

    @property
    def max_height(self) -> int | None:
        """Pixels that it can use; None: all that there are."""
        return None if self.days_across else round(_SCALE_HEIGHT + _LABEL_HEIGHT + 8 + _MAX_LINE * self.lines)


class _Layout:
    """Where the cells of a picture are in a frame, in logical pixels."""

    def __init__(self, frame: QRectF, picture: HeatPicture) -> None:
        self.frame = frame
        self.picture = picture
        self.across = picture.days_across
        metrics = fonts.metrics("caption")
        names = ["00:00"] if self.across else [self.line_name(line) for line in range(picture.lines)]
        left = max((metrics.horizontalAdvance(name) for name in names), default=0.0) + _LABEL_GAP
        room = frame.adjusted(round(left), _SCALE_HEIGHT, -1, -_LABEL_HEIGHT)
        self.grid, self.days_in_line = picture.grouped(max(1, int(room.width())))
        lines = max(1, len(self.grid.places))
        along = room.width() if self.across else room.height()
        each = min(_MAX_LINE, along / lines)
        # Whole pixels where there is room for them, so that all lines look alike.
        each = float(int(each)) if each >= _GAP_FROM and not self.across else each
        size = each * lines
        self.area = (
            QRectF(room.left(), room.top(), size, room.height())
            if self.across
            else QRectF(room.left(), room.top(), room.width(), size)
        )

    def line_name(self, line: int) -> str:
        if self.picture.by_weekday:
            return WEEKDAYS[line]
        return formats.date(formats.local(self.picture.heat_map.day_starts[line], self.picture.zone))

    def cell_rect(self, line: int, half: int) -> QRectF:
        """Of the cell at a place, which fills one half of its hour, or both."""
        cell = self.grid.places[line, half]
        first = half - half % 2
        width = 2 if (self.grid.places[line, first : first + 2] == cell).all() else 1
        begin, end = (first, first + 2) if width == 2 else (half, half + 1)
        lines = len(self.grid.places)
        one, two = line / lines, (line + 1) / lines
        a, b = begin / HALF_HOURS, end / HALF_HOURS
        x0, x1, y0, y1 = (one, two, a, b) if self.across else (a, b, one, two)
        area = self.area
        return QRectF(
            QPointF(area.left() + x0 * area.width(), area.top() + y0 * area.height()),
            QPointF(area.left() + x1 * area.width(), area.top() + y1 * area.height()),
        )

    def place_at(self, at: QPointF) -> tuple[int, int] | None:
        """Line and half hour there; None beside the cells."""
        x, y = (
            (at.x() - self.area.left()) / max(1.0, self.area.width()),
            (at.y() - self.area.top()) / max(1.0, self.area.height()),
        )
        if not (0 <= x < 1 and 0 <= y < 1) or not len(self.grid.places):
            return None
        one, half = (x, y) if self.across else (y, x)
        line, place = int(one * len(self.grid.places)), int(half * HALF_HOURS)
        return None if self.grid.places[line, place] == NOWHERE else (line, place)

    @cached_property
    def values(self) -> NDArray[np.float64]:
        return self.grid.means


def paint_heat_map(painter: QPainter, frame: QRectF, picture: HeatPicture, tokens: Tokens) -> None:
    """Into `frame`: as rectangles into a document, which keeps it small and sharp, else pixel by pixel."""
    layout = _Layout(frame, picture)
    scale = _scale(layout, tokens)
    _paint_scale(painter, frame, layout, scale, tokens)
    if not len(layout.grid.places):
        return
    if isinstance(painter.device(), QPdfWriter):
        _paint_cells(painter, layout, scale, tokens)
    else:
        ratio = painter.deviceTransform().m11()
        width, height = (max(1, round(side * ratio)) for side in (layout.area.width(), layout.area.height()))
        pixels = _pixels(layout, scale, tokens, width, height, ratio)
        image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32)
        painter.drawImage(layout.area, image)
    _paint_labels(painter, frame, layout, tokens)


def _paint_cells(painter: QPainter, layout: _Layout, scale: ColourScale, tokens: Tokens) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    grid = layout.grid
    colours = scale.colours[scale.places(layout.values)].tolist()
    bare = QPainterPath()  # in one piece: each pattern costs its bytes again
    for line, places in enumerate(grid.places.tolist()):
        done = NOWHERE
        for half, cell in enumerate(places):
            if cell in (NOWHERE, done):
                continue
            done = cell
            rect = layout.cell_rect(line, half)
            if grid.covered[cell]:
                painter.fillRect(rect, QColor.fromRgb(*colours[cell]))
            else:
                bare.addRect(rect)
    painter.fillPath(bare, tokens.surface_sunken)
    painter.fillPath(bare, QBrush(tokens.ink_disabled, Qt.BrushStyle.BDiagPattern))
    painter.restore()


def _scale(layout: _Layout, tokens: Tokens) -> ColourScale:
    picture = layout.picture
    hue = picture.quantity.colour_in(tokens)
    return scale_of(layout.values, picture.heat_map.unit, hue, tokens, at_most_ticks=4)


def _pixels(
    layout: _Layout, scale: ColourScale, tokens: Tokens, width: int, height: int, ratio: float
) -> NDArray[np.uint32]:
    """ARGB of each pixel: colour, hatch where nothing or little is known, nothing where there is no cell."""
    grid = layout.grid
    lines = len(grid.places)
    across, down = (lines, HALF_HOURS) if layout.across else (HALF_HOURS, lines)
    column = np.arange(width) * across // width
    row = np.arange(height) * down // height
    places = grid.places.T if layout.across else grid.places
    red, green, blue = (
        scale.colours[scale.places(layout.values)][:, channel].astype(np.uint32) for channel in range(3)
    )
    known = grid.covered > 0
    colour = np.uint32(0xFF000000) | (red << np.uint32(16)) | (green << np.uint32(8)) | blue
    colour[~known] = tokens.surface_sunken.rgba()
    over = colour.copy()
    if layout.days_in_line == 1 and not layout.picture.by_weekday:
        little = grid.covered < _LITTLE * grid.slots
        faint = scale.places(layout.values) < STEPS // 2
        over[little & faint] = tokens.ink_disabled.rgba()
        over[little & ~faint] = tokens.surface_card.rgba()
    over[~known] = tokens.ink_disabled.rgba()
    # As few cells as there are become pixels at the end; NOWHERE is the last, and nothing.
    plain, hatched = (
        np.append(one, np.uint32(0)).astype(np.uint32)[places][row][:, column] for one in (colour, over)
    )
    period, thick = max(2, round(_HATCH * ratio)), max(1, round(ratio))
    diagonal = np.add.outer(np.arange(height) % period, np.arange(width) % period) % period < thick
    argb = np.where(diagonal, hatched, plain)
    # Known cells are set apart where there is room both ways: between hours that is at every other half hour.
    column, row = (column, row // 2) if layout.across else (column // 2, row)
    if min(layout.area.width() / (column[-1] + 1), layout.area.height() / (row[-1] + 1)) >= _GAP_FROM:
        bare = plain == np.uint32(tokens.surface_sunken.rgba())
        for edges, pixels, kept in ((column, argb.T, bare.T), (row, argb, bare)):
            first = np.flatnonzero(np.diff(edges, prepend=-1))
            for shift in range(thick):
                at = np.minimum(first + shift, len(edges) - 1)
                pixels[at] = np.where(kept[at], pixels[at], np.uint32(0))
    return argb


def _paint_scale(
    painter: QPainter, frame: QRectF, layout: _Layout, scale: ColourScale, tokens: Tokens
) -> None:
    """The colours with their values, and what the hatch means; above the cells, at the right."""
    painter.setFont(fonts.font("caption"))
    metrics = fonts.metrics("caption")
    unit = layout.picture.heat_map.unit
    bar = QRectF(0, frame.top() + 2, min(240.0, 0.35 * frame.width()), 10)
    hatch_text = "No reading"
    hatch_width = 18 + metrics.horizontalAdvance(hatch_text)
    bar.moveLeft(frame.right() - bar.width() - hatch_width - 40)
    image = QImage(scale.colours.tobytes(), STEPS, 1, 3 * STEPS, QImage.Format.Format_RGB888)
    painter.drawImage(bar, image)
    levels = value_ticks(scale.low, scale.high, scale.step)
    for level in levels:
        x = bar.left() + (level - scale.low) / (scale.high - scale.low) * bar.width()
        painter.setPen(QPen(tokens.line_control, 1))
        painter.drawLine(QLineF(x, bar.bottom(), x, bar.bottom() + 3))
        text = value_label(level, scale.step)
        if level == levels[-1] and unit:
            text = f"{text}\u00a0{unit}"
        painter.setPen(tokens.ink_muted)
        place = QRectF(x - 60, bar.bottom() + 2, 120, 16)
        painter.drawText(place, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter, text)
    swatch = QRectF(frame.right() - hatch_width, bar.top(), 12, 10)
    painter.fillRect(swatch, tokens.surface_sunken)
    painter.setPen(QPen(tokens.ink_disabled, 1))
    for x in (0.0, 4.0, 8.0):
        painter.drawLine(QLineF(swatch.left() + x, swatch.bottom(), swatch.left() + x + 4, swatch.top()))
    painter.setPen(tokens.ink_muted)
    place = QRectF(swatch.right() + 6, bar.center().y() - 9, hatch_width, 18)
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, hatch_text)


def _paint_labels(painter: QPainter, frame: QRectF, layout: _Layout, tokens: Tokens) -> None:
    painter.setFont(fonts.font("caption"))
    painter.setPen(tokens.ink_muted)
    area, metrics = layout.area, fonts.metrics("caption")
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    middle = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
    if layout.across:
        for hour in range(0, 24, 3 if area.height() / 24 * 3 >= metrics.height() else 6):
            y = area.top() + hour / 24 * area.height()
            box = QRectF(
                frame.left(), y - 9 + area.height() / 48, area.left() - frame.left() - _LABEL_GAP, 18
            )
            painter.drawText(box, right, f"{hour:02d}:00")
        for x, text in _day_labels(layout):
            painter.drawText(QRectF(x - 60, area.bottom() + 3, 120, _LABEL_HEIGHT - 4), middle, text)
        return
    step = 1 if area.width() / 24 >= metrics.horizontalAdvance("00:00") + 8 else 3
    for hour in range(0, 24, step):
        x = area.left() + (hour + 0.5) / 24 * area.width()
        painter.drawText(QRectF(x - 60, area.bottom() + 3, 120, _LABEL_HEIGHT - 4), middle, f"{hour:02d}:00")
    lines = len(layout.grid.places)
    for line in range(lines):
        y = area.top() + (line + 0.5) / lines * area.height()
        box = QRectF(frame.left(), y - 9, area.left() - frame.left() - _LABEL_GAP, 18)
        painter.drawText(box, right, layout.line_name(line))


def _day_labels(layout: _Layout) -> list[tuple[float, str]]:
    """Where days are named below the cells: the first of each month, or Mondays, as there is room."""
    picture, area = layout.picture, layout.area
    starts = picture.heat_map.day_starts
    lines = len(layout.grid.places)
    days = [formats.local(at, picture.zone) for at in starts]
    room = 64.0
    for wanted in (
        [place for place, _ in enumerate(days)],
        [place for place, day in enumerate(days) if day.weekday() == 0],
        [place for place, day in enumerate(days) if day.day == 1],
        [place for place, day in enumerate(days) if day.day == 1 and day.month % 3 == 1],
        [place for place, day in enumerate(days) if day.day == 1 and day.month == 1],
    ):
        labels = [
            (area.left() + (place // layout.days_in_line + 0.5) / lines * area.width(), place)
            for place in wanted
        ]
        if all(two[0] - one[0] >= room for one, two in pairwise(labels)):
            break
    texts = []
    for number, (x, place) in enumerate(labels):
        day = days[place]
        text = formats.date(day).partition(" ")[2]
        if number == 0 or (day.day == 1 and day.month == 1):
            text = f"{text} {day.year}"
        texts.append((x, text))
    return texts


class HeatMapChart(PlaceChart[HeatPicture, tuple[int, int]]):
    """Arrow keys move from cell to cell, a place is its line and half hour. A day is opened: `opened(start_ms)`, where the
    cell begins."""

    opened = Signal(object)

    def __init__(self, accessible_name: str, parent: QWidget | None = None) -> None:
        super().__init__(accessible_name, parent)
        self._layout: _Layout | None = None
        self._drawn = QPixmap()
        self._drawn_as: tuple[object, ...] = ()

    def drawing(self) -> Drawing | None:
        """What is shown now, for a picture."""
        picture = self.picture
        if picture is None:
            return None
        return Drawing(lambda painter, frame, tokens: paint_heat_map(painter, frame, picture, tokens))

    def point_of(self, line: int, hour: int) -> QPointF:
        """The middle of the first cell of an hour, in pixels."""
        layout = self._laid_out()
        return QPointF() if layout is None else layout.cell_rect(line, 2 * hour).center()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 360)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        if self.picture is None:
            return
        # Kept, since each move of the cell that is chosen paints what lies under its card again.
        look = (self.picture, self.size(), self.devicePixelRatioF(), theme.tokens().name)
        if look != self._drawn_as:
            self._drawn, self._drawn_as = self._drawing(self.picture), look
        QPainter(self).drawPixmap(0, 0, self._drawn)

    def _drawing(self, picture: HeatPicture) -> QPixmap:
        ratio = self.devicePixelRatioF()
        drawn = QPixmap(self.size() * ratio)
        drawn.setDevicePixelRatio(ratio)
        drawn.fill(Qt.GlobalColor.transparent)
        painter = QPainter(drawn)
        paint_heat_map(painter, _frame(self), picture, theme.tokens())
        painter.end()
        return drawn

    # --- The cell that is chosen ---------------------------------------------------------------------------------

    def _laid_out(self) -> _Layout | None:
        """Of the picture and the size that it has now."""
        picture, frame = self.picture, _frame(self)
        if picture is None or picture.is_empty:
            return None
        if self._layout is None or (self._layout.picture, self._layout.frame) != (picture, frame):
            self._layout = _Layout(frame, picture)
        return self._layout

    def place_at(self, at: QPointF) -> tuple[int, int] | None:
        layout = self._laid_out()
        return None if layout is None else layout.place_at(at)

    def next_place(self, x: int, y: int) -> tuple[int, int] | None:
        """The next cell in a direction, over places that have none; at first the newest."""
        layout = self._laid_out()
        if layout is None:
            return None
        places = layout.grid.places
        if self.chosen is None:
            newest = int(np.argmax(places.max(axis=1))) if not layout.picture.by_weekday else 0
            return newest, int(np.argmax(places[newest]))
        lines, hours = (x, y) if layout.across else (y, x)
        line, half = self.chosen
        cell = places[line, half]
        while 0 <= line + lines < len(places) and 0 <= half + hours < HALF_HOURS:
            line, half = line + lines, half + hours
            if places[line, half] not in (NOWHERE, cell):
                return line, half
        return self.chosen

    def same_place(self, place: tuple[int, int], picture: HeatPicture) -> tuple[int, int] | None:
        return place if self.picture is not None and _same_cells(self.picture, picture) else None

    def opens(self, picture: HeatPicture) -> bool:
        return not picture.by_weekday

    def open_place(self, picture: HeatPicture, place: tuple[int, int]) -> None:
        layout = self._laid_out()
        if layout is None:
            return
        if layout.days_in_line > 1:
            self.opened.emit(picture.heat_map.day_starts[place[0] * layout.days_in_line])
        else:
            self.opened.emit(int(picture.heat_map.starts[layout.grid.places[place]]))

    def show_card(self, picture: HeatPicture, place: tuple[int, int]) -> None:
        layout = self._laid_out()
        if layout is None:
            return
        cell = int(layout.grid.places[place])
        covered, slots = int(layout.grid.covered[cell]), int(layout.grid.slots[cell])
        mean = float(layout.values[cell]) if covered else None
        colour = _scale(layout, theme.tokens()).colour(mean) if mean is not None else None
        entries = (
            Entry(
                picture.quantity.title, formats.with_unit(mean, picture.heat_map.unit), colour, False, None
            ),
            Entry("Covered", _coverage(covered, slots), None, False, None),
        )
        self.crosshair.put_cell(layout.cell_rect(*place), _cell_title(layout, *place), entries)


def _same_cells(one: HeatPicture, other: HeatPicture) -> bool:
    """Whether the second is the first with what came meanwhile."""
    return (one.heat_map.day_starts, one.by_weekday) == (
        other.heat_map.day_starts,
        other.by_weekday,
    ) and len(one.heat_map.starts) <= len(other.heat_map.starts)


def _frame(of: QWidget) -> QRectF:
    return QRectF(of.rect()).adjusted(8, 4, -8, -4)


def _coverage(covered: int, slots: int) -> str:
    minutes = SLOT_MS // 60_000
    return f"{formats.percent(covered / slots)}, {covered * minutes:,} of {slots * minutes:,}\u00a0min"


def _cell_title(layout: _Layout, line: int, half: int) -> str:
    """`Sun 26 Oct 2025, 02:00 +02:00 to 03:00`, `Monday, 14:00`."""
    picture = layout.picture
    heat_map = picture.heat_map
    hour = f"{half // 2:02d}:00"
    if picture.by_weekday:
        return f"{WEEKDAYS[line]}s, {hour}"
    if layout.days_in_line > 1:
        first = line * layout.days_in_line
        last = min(first + layout.days_in_line, len(heat_map.day_starts)) - 1
        names = [_dated(heat_map.day_starts[place], picture.zone) for place in (first, last)]
        return f"{names[0]} to {names[1]}, {hour}"
    cell = int(layout.grid.places[line, half])
    start, end = (formats.local(int(at[cell]), picture.zone) for at in (heat_map.starts, heat_map.ends))
    return (
        f"{_dated(int(heat_map.starts[cell]), picture.zone)}, {formats.clock(start)} to {formats.clock(end)}"
    )


def _dated(at_ms: int, zone: ZoneInfo) -> str:
    when = formats.local(at_ms, zone)
    return f"{formats.date(when)} {when.year}"
