"""Where power flows now: solar, grid and battery into the house, the car from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.ui import fonts, formats, icons, theme
from sgmp_console.ui.pages.home.tiles import current
from sgmp_console.ui.quantities import QUANTITIES

_NODE = 56
_HOUSE = QSizeF(96, 68)
"""Of the middle node. What the house uses stands inside it: beside it, it would be read as an arrow's."""
_IDLE_KW = 0.005


@dataclass(frozen=True)
class Flow:
    """Power between a node and the house, kW: positive into the house, None where it is not known."""

    name: str
    power: float | None
    colour_item: str
    words: str


def flows(snapshot: HomeSnapshot, now_ms: int) -> dict[str, Flow]:
    """The flows of the diagram, by node: `solar`, `grid`, `battery`, `ev`; and `load`, what the house uses."""
    value = {item: current(snapshot.latest_power(item), now_ms) for item in QUANTITIES}
    grid = _difference(value["grid_import"], value["grid_export"])
    battery = _difference(value["battery_discharging"], value["battery_charging"])
    ev = value["ev"]
    return {
        "solar": Flow("Solar", value["solar"], "solar", ""),
        "grid": Flow(
            "Grid", grid, *_direction(grid, ("grid_import", "Importing"), ("grid_export", "Exporting"))
        ),
        "battery": Flow(
            "Battery",
            battery,
            *_direction(battery, ("battery_discharging", "Discharging"), ("battery_charging", "Charging")),
        ),
        "ev": Flow(
            "EV", None if ev is None else -ev, "ev", "Charging" if ev is not None and ev >= _IDLE_KW else ""
        ),
        "load": Flow("Load", value["load"], "load", ""),
    }


class FlowDiagram(QWidget):
    """The house in the middle; arrows point where the power goes and are thicker the more it is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._flows: dict[str, Flow] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(256, 236)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(306, 236)

    def set_flows(self, flows: dict[str, Flow]) -> None:
        if flows == self._flows:
            return
        self._flows = flows
        parts = [
            f"{flow.name} {flow.words.lower()} {formats.with_unit(None if flow.power is None else abs(flow.power), 'kW')}"
            for flow in flows.values()
        ]
        self.setAccessibleName("Energy flow now: " + "; ".join(" ".join(part.split()) for part in parts))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        if not self._flows:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        where = self._places()
        for name in ("solar", "grid", "battery", "ev"):
            self._paint_link(painter, where[name], where["load"], self._flows[name])
        for name, flow in self._flows.items():
            self._paint_node(painter, where[name], name, flow)

    def _places(self) -> dict[str, QPointF]:
        # A drawing of fixed proportion in the middle of what room there is.
        width = min(self.width(), 420)
        height = min(self.height(), 380) - 4
        middle = QPointF(self.width() / 2, self.height() / 2)
        aside = (width - _NODE) / 2 - 12
        above = (height - _NODE) / 2
        return {
            "load": middle,
            "solar": middle + QPointF(0, -above),
            "grid": middle + QPointF(-aside, 0),
            "battery": middle + QPointF(aside, 0),
            "ev": middle + QPointF(0, above),
        }

    def _paint_link(self, painter: QPainter, node: QPointF, house: QPointF, flow: Flow) -> None:
        tokens = theme.tokens()
        length = math.hypot(house.x() - node.x(), house.y() - node.y())
        along = (house - node) / length
        begin = node + along * (_NODE / 2 + 4)
        half = (_HOUSE.width() if abs(along.x()) > 0.5 else _HOUSE.height()) / 2
        end = house - along * (half + 4)
        power = flow.power
        if power is None or abs(power) < _IDLE_KW:
            pen = QPen(tokens.line_zero, 1)
            if power is None:
                pen.setDashPattern([3, 4])
            painter.setPen(pen)
            painter.drawLine(begin, end)
            return
        if power < 0:
            begin, end, along = end, begin, -along
        colour = QUANTITIES[flow.colour_item].colour
        # The square root, so that 0.2 kW is still seen beside 7 kW.
        thickness = 1.5 + min(3.5, 1.5 * math.sqrt(abs(power)))
        tip = 5 + thickness
        pen = QPen(colour, thickness)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawLine(begin, end - along * tip)
        _paint_arrow(painter, end, along, tip, colour)

    def _paint_node(self, painter: QPainter, middle: QPointF, name: str, flow: Flow) -> None:
        tokens = theme.tokens()
        known = flow.power is not None
        colour = QUANTITIES[flow.colour_item].colour if known else tokens.ink_disabled
        size = _HOUSE if name == "load" else QSizeF(_NODE, _NODE)
        box = QRectF(middle - QPointF(size.width() / 2, size.height() / 2), size)
        painter.setBrush(tokens.surface_card)
        painter.setPen(QPen(colour, 2))
        if name == "load":
            painter.drawRoundedRect(box, 12, 12)
            icons.paint(painter, QRectF(middle.x() - 11, box.top() + 6, 22, 22), "house", colour)
        else:
            painter.drawEllipse(box)
            icon = QUANTITIES[flow.colour_item].icon
            icons.paint(painter, QRectF(middle.x() - 13, middle.y() - 13, 26, 26), icon, colour)
        self._paint_text(painter, box, name, flow)

    def _paint_text(self, painter: QPainter, box: QRectF, name: str, flow: Flow) -> None:
        """Beside the nodes above and below, over those at the sides, and inside the house."""
        tokens = theme.tokens()
        value = formats.with_unit(None if flow.power is None else abs(flow.power), "kW")
        caption = flow.words or flow.name
        if name in ("grid", "battery"):
            at = QRectF(box.center().x() - 60, box.top() - 39, 120, 36)
            align = Qt.AlignmentFlag.AlignHCenter
        elif name == "load":
            at = QRectF(box.left(), box.top() + 28, box.width(), 36)
            align = Qt.AlignmentFlag.AlignHCenter
        else:
            at = QRectF(box.right() + 8, box.center().y() - 18, 120, 36)
            align = Qt.AlignmentFlag.AlignLeft
        painter.setPen(tokens.ink_primary if flow.power is not None else tokens.ink_muted)
        painter.setFont(fonts.font("strong"))
        painter.drawText(
            QRectF(at.left(), at.top(), at.width(), 18), align | Qt.AlignmentFlag.AlignVCenter, value
        )
        painter.setPen(tokens.ink_muted)
        painter.setFont(fonts.font("caption"))
        painter.drawText(
            QRectF(at.left(), at.top() + 18, at.width(), 16), align | Qt.AlignmentFlag.AlignVCenter, caption
        )


def _paint_arrow(painter: QPainter, tip: QPointF, along: QPointF, size: float, colour: QColor) -> None:
    across = QPointF(-along.y(), along.x()) * size * 0.75
    back = tip - along * size * 1.3
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([tip, back + across, back - across]))


def _difference(inwards: float | None, outwards: float | None) -> float | None:
    return None if inwards is None or outwards is None else inwards - outwards


def _direction(power: float | None, inwards: tuple[str, str], outwards: tuple[str, str]) -> tuple[str, str]:
    """The item whose colour it has, and the word for it; idle has no word."""
    if power is None or abs(power) < _IDLE_KW:
        return inwards[0], ""
    return inwards if power > 0 else outwards
