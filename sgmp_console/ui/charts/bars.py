"""Bars of energy per hour, day or month: sources above zero, uses below; a bar leads to its day or month."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from sgmp_console.reports.report import Bars, BarStep
from sgmp_console.ui import fonts, formats, theme
from sgmp_console.ui.charts import painted
from sgmp_console.ui.charts.crosshair import Entry
from sgmp_console.ui.charts.painted import Scale
from sgmp_console.ui.charts.paper import Drawing
from sgmp_console.ui.charts.place_chart import PlaceChart
from sgmp_console.ui.charts.stack import compared_pen, paint_filled
from sgmp_console.ui.quantities import Quantity
from sgmp_console.ui.theme import Tokens

_UNIT = "kWh"
_WIDEST = 48.0
"""Pixels of a bar."""


@dataclass(frozen=True)
class BarPicture:
    """What is drawn: `quantities` are stacked in this order. `before`: the same bars of another period, in order."""

    bars: Bars
    quantities: tuple[Quantity, ...]
    zone: tzinfo
    before: Bars | None = None

    def sums(self, of: Bars, place: int, hidden: Collection[str]) -> tuple[float, float]:
        """The sizes of a bar above and below zero; zero where nothing is known."""
        above = below = 0.0
        for quantity in self.quantities:
            value = (of.energies.get(quantity.item) or (None,) * (place + 1))[place]
            if quantity.item in hidden or value is None:
                continue
            if quantity.item in of.below:
                below += value
            else:
                above += value
        return above, below

    @property
    def count(self) -> int:
        return len(self.bars.bounds) - 1


class BarChart(PlaceChart[BarPicture, int]):
    """Left and Right choose a bar. A day or month is opened: `opened(start_ms, BarStep)`."""

    opened = Signal(object, object)
    crossed = Signal(object)
    """UTC ms in the middle of the bar that is chosen; None without one."""

    def __init__(self, accessible_name: str, parent: QWidget | None = None) -> None:
        super().__init__(accessible_name, parent)
        self._hidden: set[str] = set()

    def set_shown(self, item: str, shown: bool) -> None:
        (self._hidden.discard if shown else self._hidden.add)(item)
        if self.chosen is not None:
            self.choose(self.chosen)
        self.update()

    def mark(self, timestamp_ms: int | None) -> None:
        """Show the bar that a time is in, without values, where the crosshair of another chart of the page is there."""
        picture = self.picture
        if self.chosen is not None or picture is None:
            return
        bounds = picture.bars.bounds
        if timestamp_ms is None or not bounds[0] <= timestamp_ms < bounds[-1]:
            self.crosshair.clear()
        else:
            self._put(picture, bisect_right(bounds, timestamp_ms) - 1, "", [])

    def drawing(self) -> Drawing | None:
        """What is shown now, for a picture."""
        picture, hidden = self.picture, frozenset(self._hidden)
        if picture is None:
            return None

        def paint(painter: QPainter, frame: QRectF, tokens: Tokens) -> None:
            paint_bars(painter, frame, picture, tokens, hidden)

        shown = tuple(one for one in picture.quantities if one.item not in hidden)
        return Drawing(paint, shown, frozenset(one.item for one in shown))

    def point_of(self, place: int) -> QPointF:
        """The middle of a bar, in pixels."""
        picture = self.picture
        if picture is None:
            return QPointF()
        of = self._scale(picture)
        return QPointF(_middle(of, picture, place), of.area.center().y())

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 220)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        if self.picture is not None:
            painter = QPainter(self)
            paint_bars(painter, QRectF(self.rect()), self.picture, theme.tokens(), self._hidden)

    def choose(self, place: int | None) -> None:
        had = self.chosen is not None
        super().choose(place)
        if self.picture is not None and place is not None:
            self.crossed.emit(sum(self.picture.bars.bounds[place : place + 2]) // 2)
        elif had:
            self.crossed.emit(None)

    def place_at(self, at: QPointF) -> int | None:
        picture = self.picture
        if picture is None:
            return None
        area = self._scale(picture).area
        if not area.left() <= at.x() < area.right():
            return None
        return int((at.x() - area.left()) / area.width() * picture.count)

    def next_place(self, x: int, y: int) -> int | None:
        if self.picture is None or y:
            return None
        last = self.picture.count - 1
        return last if self.chosen is None else min(max(self.chosen + x, 0), last)

    def same_place(self, place: int, picture: BarPicture) -> int | None:
        """The bar of the same hour, day or month."""
        was = self.picture
        if was is None or was.bars.step is not picture.bars.step:
            return None
        starts = picture.bars.bounds[:-1]
        start = was.bars.bounds[place]
        return starts.index(start) if start in starts else None

    def opens(self, picture: BarPicture) -> bool:
        return picture.bars.step is not BarStep.HOUR

    def open_place(self, picture: BarPicture, place: int) -> None:
        self.opened.emit(picture.bars.bounds[place], picture.bars.step)

    def show_card(self, picture: BarPicture, place: int) -> None:
        entries = []
        for quantity in picture.quantities:
            values = picture.bars.energies.get(quantity.item)
            if values is None or quantity.item in self._hidden:
                continue
            text = formats.with_unit(values[place], _UNIT)
            entries.append(Entry(quantity.short, text, quantity.colour, quantity.dashed, None))
        if picture.before is not None and place < len(picture.before.bounds) - 1:
            for size, name in zip(
                picture.sums(picture.before, place, self._hidden), _before(picture), strict=False
            ):
                text = formats.with_unit(size, _UNIT)
                entries.append(Entry(name, text, theme.tokens().ink_muted, True, None))
        self._put(picture, place, bar_title(picture, place), entries)

    def _put(self, picture: BarPicture, place: int, title: str, entries: Sequence[Entry]) -> None:
        of = self._scale(picture)
        self.crosshair.put(
            _middle(of, picture, place), of.area.top(), of.area.bottom(), title, tuple(entries)
        )

    def _scale(self, picture: BarPicture) -> Scale:
        return _scale(QRectF(self.rect()), picture, self._hidden)


def _before(picture: BarPicture) -> Sequence[str]:
    return ("Before, from", "Before, to") if picture.bars.below else ("Before",)


def bar_title(picture: BarPicture, place: int) -> str:
    """`Tue 13 May 2025`, `May 2025`, `Tue 13 May 2025 14:00`: what a bar stands for."""
    at = formats.local(picture.bars.bounds[place], picture.zone)
    if picture.bars.step is BarStep.MONTH:
        return f"{_month(at)} {at.year}"
    day = f"{formats.date(at)} {at.year}"
    return day if picture.bars.step is BarStep.DAY else f"{day}, {formats.clock(at)}"


def paint_bars(
    painter: QPainter, frame: QRectF, picture: BarPicture, tokens: Tokens, hidden: Collection[str] = ()
) -> None:
    """Into `frame`. The sizes of the period before are dashed lines across the bars."""
    of = _scale(frame, picture, hidden)
    painted.paint_values(painter, of, _UNIT, tokens, signed=not picture.bars.below)
    width = of.area.width() / max(1, picture.count)
    bar = min(_WIDEST, width * 0.7)
    for place in range(picture.count):
        left = _middle(of, picture, place) - bar / 2
        above = below = 0.0
        for quantity in picture.quantities:
            values = picture.bars.energies.get(quantity.item)
            value = None if values is None or quantity.item in hidden else values[place]
            if not value:
                continue
            if quantity.item in picture.bars.below:
                near, below = below, below - value
                far = below
            else:
                near, above = above, above + value
                far = above
            colour = quantity.colour_in(tokens)
            rect = QRectF(left, of.y(far), bar, of.y(near) - of.y(far)).normalized()
            paint_filled(painter, rect, colour, dashed=quantity.dashed)
        if picture.before is not None and place < len(picture.before.bounds) - 1:
            painter.setPen(compared_pen(tokens))
            above, below = picture.sums(picture.before, place, hidden)
            for level in (above, -below):
                if level:
                    painter.drawLine(QLineF(left - 3, of.y(level), left + bar + 3, of.y(level)))
    _paint_names(painter, of, picture, width, tokens)


def _paint_names(painter: QPainter, of: Scale, picture: BarPicture, width: float, tokens: Tokens) -> None:
    names = [_name(picture, place) for place in range(picture.count)]
    widest = max((fonts.metrics("caption").horizontalAdvance(name) for name in names), default=1.0) + 10
    each = max(1, -(-int(widest) // max(1, int(width))))
    for place in range(0, picture.count, each):
        middle = _middle(of, picture, place)
        if middle + widest / 2 - 10 <= of.area.right():  # else it would be cut
            painted.paint_label(painter, of, middle, names[place], tokens)


def _name(picture: BarPicture, place: int) -> str:
    at = formats.local(picture.bars.bounds[place], picture.zone)
    if picture.bars.step is BarStep.HOUR:
        return formats.clock(at)
    return _month(at) if picture.bars.step is BarStep.MONTH else formats.date(at).partition(" ")[2]


def _month(at: datetime) -> str:
    return formats.date(at).rpartition(" ")[2]


def _middle(of: Scale, picture: BarPicture, place: int) -> float:
    """Bars have equal places, though days and months differ in length."""
    return float(of.area.left() + (place + 0.5) * of.area.width() / max(1, picture.count))


def _scale(frame: QRectF, picture: BarPicture, hidden: Collection[str]) -> Scale:
    low = high = 0.0
    for of in (picture.bars, *([picture.before] if picture.before is not None else [])):
        for place in range(min(picture.count, len(of.bounds) - 1)):
            above, below = picture.sums(of, place, hidden)
            low, high = min(low, -below), max(high, above)
    return painted.scale(frame, picture.bars.bounds[0], picture.bars.bounds[-1], low, high)
