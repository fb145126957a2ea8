"""Energy flows as ribbons from sources (left) to uses (right), each as thick as its energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent

from sgmp_console.ui import fonts, formats, theme
from sgmp_console.ui.charts.crosshair import Entry
from sgmp_console.ui.charts.paper import Drawing
from sgmp_console.ui.charts.place_chart import PlaceChart
from sgmp_console.ui.charts.stack import paint_filled
from sgmp_console.ui.quantities import Quantity
from sgmp_console.ui.theme import Tokens

_UNIT = "kWh"
_BAR = 10.0
"""Pixels that a source or use is wide."""
_GAP = 10.0
"""Pixels between two of them."""
_LABEL = 36.0
"""Pixels of height that a source or use has at least: two lines of text stand beside it."""
_LABEL_GAP = 10.0
_LEAST_SHOWN = 0.005
"""kWh: less would be shown as 0.00."""
_RIBBON_OPACITY = 95
_FAINT_OPACITY = 30
"""Of the ribbons beside the one that is chosen."""
_CHOSEN_OPACITY = 170


@dataclass(frozen=True)
class Link:
    """Energy from `source` to `use`, kWh."""

    source: Quantity
    use: Quantity
    kwh: float


@dataclass(frozen=True)
class FlowPicture:
    """What is drawn: sources and uses in this order, each under the name of its quantity. Links of nothing are left out."""

    sources: tuple[Quantity, ...]
    uses: tuple[Quantity, ...]
    links: tuple[Link, ...]

    @cached_property
    def shown(self) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.kwh >= _LEAST_SHOWN)

    def total(self, of: Quantity) -> float:
        """What a source gave, or a use took."""
        return sum(link.kwh for link in self.links if of in (link.source, link.use))


@dataclass(frozen=True)
class Ribbon:
    """A link, and where it begins and ends: top and bottom in pixels at both sides."""

    link: Link
    left: tuple[float, float]
    right: tuple[float, float]


@dataclass(frozen=True)
class FlowLayout:
    """Where sources and uses (top, bottom) and ribbons lie between 0 and a height, in pixels."""

    sources: dict[Quantity, tuple[float, float]]
    uses: dict[Quantity, tuple[float, float]]
    ribbons: tuple[Ribbon, ...]


def flow_layout(picture: FlowPicture, height: float) -> FlowLayout | None:
    """Sources and uses below each other in their order, ribbons beside each other at both ends without crossing where that
    can be. All have one scale; what is thin has room for its label. None where there is no flow, or no room for it."""
    sides = [
        {one: picture.total(one) for one in side if picture.total(one) >= _LEAST_SHOWN}
        for side in (picture.sources, picture.uses)
    ]
    if not all(sides):
        return None
    scale = min(_scale(list(side.values()), height) for side in sides)
    if scale <= 0:
        return None
    sources, uses = (_places(side, scale, height) for side in sides)
    starts = {one: top for one, (top, _) in sources.items()}
    ends = {one: top for one, (top, _) in uses.items()}
    ribbons = []
    for source in sources:
        for use in uses:
            for link in picture.shown:
                if (link.source, link.use) != (source, use):
                    continue
                thick = link.kwh * scale
                left, right = starts[source], ends[use]
                ribbons.append(Ribbon(link, (left, left + thick), (right, right + thick)))
                starts[source], ends[use] = left + thick, right + thick
    return FlowLayout(sources, uses, tuple(ribbons))


def _scale(sizes: Sequence[float], height: float) -> float:
    """Pixels per kWh with which a side fills the height: those that are thinner than their label take a label's room."""
    room = height - _GAP * (len(sizes) - 1)
    thin: set[int] = set()
    while len(thin) < len(sizes):
        others = sum(size for place, size in enumerate(sizes) if place not in thin)
        scale = (room - _LABEL * len(thin)) / others
        more = {place for place, size in enumerate(sizes) if size * scale < _LABEL} - thin
        if not more:
            return scale
        thin |= more
    # Each is as high as its label; the largest fills it.
    return _LABEL / max(sizes) if _LABEL * len(sizes) <= room else 0.0


def _places(sizes: dict[Quantity, float], scale: float, height: float) -> dict[Quantity, tuple[float, float]]:
    """Top and bottom of each, in the middle of the room that it takes; the side in the middle of the height."""
    rooms = {one: max(_LABEL, size * scale) for one, size in sizes.items()}
    top = (height - sum(rooms.values()) - _GAP * (len(sizes) - 1)) / 2
    found = {}
    for one, size in sizes.items():
        middle = top + rooms[one] / 2
        found[one] = (middle - size * scale / 2, middle + size * scale / 2)
        top += rooms[one] + _GAP
    return found


# --- Painting --------------------------------------------------------------------------------------------------------


def paint_flows(
    painter: QPainter, frame: QRectF, picture: FlowPicture, tokens: Tokens, chosen: Link | None = None
) -> None:
    """Into `frame`, with names and energies at both sides; `chosen` stands out."""
    layout = flow_layout(picture, frame.height())
    if layout is None:
        return
    area = _area(frame, picture)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    for ribbon in layout.ribbons:
        colour = QColor(ribbon.link.source.colour_in(tokens))
        if chosen is None:
            colour.setAlpha(_RIBBON_OPACITY)
        else:
            colour.setAlpha(_CHOSEN_OPACITY if ribbon.link == chosen else _FAINT_OPACITY)
        painter.fillPath(_path(ribbon, area), colour)
    whole = sum(link.kwh for link in picture.links)
    for side, left in ((layout.sources, True), (layout.uses, False)):
        for quantity, (top, bottom) in side.items():
            x = area.left() - _BAR if left else area.right()
            bar = QRectF(x, area.top() + top, _BAR, max(1.0, bottom - top))
            colour = quantity.colour_in(tokens)
            if quantity.dashed:
                paint_filled(painter, bar, colour, dashed=True)
            else:
                painter.fillRect(bar, colour)
            _paint_label(painter, frame, bar, quantity, picture.total(quantity), whole, tokens, left=left)
    painter.restore()


def _paint_label(
    painter: QPainter,
    frame: QRectF,
    bar: QRectF,
    quantity: Quantity,
    kwh: float,
    whole: float,
    tokens: Tokens,
    *,
    left: bool,
) -> None:
    """Name, and below it energy and share, on the outer side of a bar."""
    inner = bar.left() - _LABEL_GAP if left else bar.right() + _LABEL_GAP
    place = QRectF(frame.left(), bar.center().y() - _LABEL / 2, inner - frame.left(), _LABEL / 2)
    if not left:
        place.setLeft(inner)
        place.setRight(frame.right())
    side = Qt.AlignmentFlag.AlignRight if left else Qt.AlignmentFlag.AlignLeft
    painter.setFont(fonts.font("strong"))
    painter.setPen(tokens.ink_primary)
    painter.drawText(place, side | Qt.AlignmentFlag.AlignVCenter, quantity.title)
    painter.setFont(fonts.font("caption"))
    painter.setPen(tokens.ink_secondary)
    text = f"{formats.with_unit(kwh, _UNIT)} ({formats.percent(kwh / whole)})"
    painter.drawText(place.translated(0, _LABEL / 2), side | Qt.AlignmentFlag.AlignVCenter, text)


def _area(frame: QRectF, picture: FlowPicture) -> QRectF:
    """Between the bars."""
    name, number = fonts.metrics("strong"), fonts.metrics("caption")
    widest = max(
        max(
            name.horizontalAdvance(one.title),
            number.horizontalAdvance(f"{formats.with_unit(picture.total(one), _UNIT)} (100 %)"),
        )
        for one in (*picture.sources, *picture.uses)
    )
    aside = widest + _LABEL_GAP + _BAR + 4
    return frame.adjusted(aside, 0, -aside, 0)


def _path(ribbon: Ribbon, area: QRectF) -> QPainterPath:
    left, right = area.left(), area.right()
    middle = (left + right) / 2
    (one, two), (three, four) = (
        (area.top() + first, area.top() + last) for first, last in (ribbon.left, ribbon.right)
    )
    path = QPainterPath(QPointF(left, one))
    path.cubicTo(QPointF(middle, one), QPointF(middle, three), QPointF(right, three))
    path.lineTo(QPointF(right, four))
    path.cubicTo(QPointF(middle, four), QPointF(middle, two), QPointF(left, two))
    path.closeSubpath()
    return path


# --- The widget ------------------------------------------------------------------------------------------------------


class FlowChart(PlaceChart[FlowPicture, Link]):
    """A ribbon's card says how much it is of its source and its use."""

    def set_picture(self, picture: FlowPicture | None) -> None:
        super().set_picture(picture)
        self.setAccessibleDescription(
            "; ".join(
                f"{link.source.title} to {link.use.title} {formats.with_unit(link.kwh, _UNIT)}"
                for link in (picture.shown if picture is not None else ())
            )
        )

    def drawing(self) -> Drawing | None:
        """What is shown now, for a picture."""
        picture = self.picture
        if picture is None:
            return None
        return Drawing(lambda painter, frame, tokens: paint_flows(painter, frame, picture, tokens))

    def point_of(self, link: Link) -> QPointF:
        """The middle of a ribbon, in pixels."""
        area = self._area()
        return next(
            (
                QPointF(area.center().x(), area.top() + (sum(ribbon.left) + sum(ribbon.right)) / 4)
                for ribbon in self._ribbons()
                if ribbon.link == link
            ),
            QPointF(),
        )

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(480, 240)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        if self.picture is not None:
            paint_flows(QPainter(self), self._frame(), self.picture, theme.tokens(), self.chosen)

    def place_at(self, at: QPointF) -> Link | None:
        area = self._area()
        under = [ribbon.link for ribbon in self._ribbons() if _path(ribbon, area).contains(at)]
        return under[-1] if under else None

    def next_place(self, x: int, y: int) -> Link | None:
        links = [ribbon.link for ribbon in self._ribbons()]
        if not links or x:
            return None
        place = links.index(self.chosen) + y if self.chosen in links else 0
        return links[min(max(place, 0), len(links) - 1)]

    def same_place(self, place: Link, picture: FlowPicture) -> Link | None:
        ends = (place.source, place.use)
        return next((link for link in picture.shown if (link.source, link.use) == ends), None)

    def show_card(self, picture: FlowPicture, place: Link) -> None:
        entries = tuple(
            Entry(
                f"of {end.title}",
                formats.percent(place.kwh / picture.total(end)),
                end.colour,
                end.dashed,
                None,
            )
            for end in (place.source, place.use)
        )
        title = f"{place.source.title} to {place.use.title}: {formats.with_unit(place.kwh, _UNIT)}"
        middle = self.point_of(place)
        self.crosshair.put_cell(QRectF(middle, middle), title, entries)

    def _frame(self) -> QRectF:
        return QRectF(self.rect()).adjusted(8, 8, -8, -8)

    def _area(self) -> QRectF:
        return _area(self._frame(), self.picture) if self.picture is not None else QRectF()

    def _ribbons(self) -> Sequence[Ribbon]:
        layout = flow_layout(self.picture, self._frame().height()) if self.picture is not None else None
        return layout.ribbons if layout is not None else ()
