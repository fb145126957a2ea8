"""Legends: a table whose rows show or hide their lines, and a line of values to stand in a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.ui import fonts, formats, plain_text, theme
from sgmp_console.ui.charts.stack import paint_filled
from sgmp_console.ui.painted_button import PaintedButton
from sgmp_console.ui.quantities import Quantity

ROW_HEIGHT = 24
_CAPTION_HEIGHT = 20
_SWATCH = 18
_PAD = 6


class Legend(QWidget):
    """One row per quantity, in groups with a caption. The rows are toggles; `toggled(item, shown)` says which.

    Without a unit the rows show no values.
    """

    toggled = Signal(str, bool)

    def __init__(
        self,
        groups: Sequence[tuple[str, Sequence[Quantity]]],
        unit: str,
        *,
        areas: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """`areas`: whether they are areas, not lines."""
        super().__init__(parent)
        layout: QBoxLayout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._rows: dict[str, _Row] = {}
        for caption, quantities in groups:
            layout.addWidget(_Caption(caption))
            for quantity in quantities:
                row = self._rows[quantity.item] = _Row(quantity, unit, self, areas=areas)
                layout.addWidget(row)
        layout.addStretch(1)

    def set_values(self, values: Mapping[str, float | None]) -> None:
        """The latest value of each item; None where it is stale or missing."""
        for item, row in self._rows.items():
            row.set_value(values.get(item))


class _Caption(QWidget):
    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.setFixedHeight(_CAPTION_HEIGHT)
        self.setAccessibleName(text)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setFont(fonts.font("caption"))
        painter.setPen(theme.tokens().ink_muted)
        painter.drawText(
            QRectF(self.rect()).adjusted(_PAD, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text
        )


class _Row(PaintedButton):
    radius = 4

    def __init__(self, quantity: Quantity, unit: str, legend: Legend, *, areas: bool) -> None:
        super().__init__(legend)
        self._quantity = quantity
        self._areas = areas
        self._unit = unit
        self._legend = legend
        self._text = formats.MISSING
        self.setCheckable(True)
        self.setChecked(True)
        self.setFixedHeight(ROW_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        plain_text.set_tip(
            self,
            f"Show or hide {quantity.title.lower() if not quantity.title.startswith('EV') else quantity.title}",
        )
        self.toggled.connect(self._toggled)
        self.set_value(None)

    def _toggled(self, shown: bool) -> None:
        self._legend.toggled.emit(self._quantity.item, shown)

    def set_value(self, value: float | None) -> None:
        text = formats.MISSING if value is None else formats.number(value, self._unit)
        if not self._unit:
            text = ""
        spoken = "no current value" if value is None else formats.with_unit(value, self._unit)
        self.setAccessibleName(f"{self._quantity.title}, {spoken}")
        if text != self._text:
            self._text = text
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        name = fonts.metrics("body").horizontalAdvance(self._quantity.short)
        value = fonts.metrics("strong").horizontalAdvance("−00.00")
        return QSize(round(2 * _PAD + _SWATCH + 8 + name + 12 + value), ROW_HEIGHT)

    def paint(self, painter: QPainter, area: QRectF) -> None:
        tokens = theme.tokens()
        shown = self.isChecked()
        middle = area.center().y()
        if shown:
            at = QPointF(_PAD, middle)
            paint_swatch(painter, at, self._quantity.colour, dashed=self._quantity.dashed, area=self._areas)
        else:
            painter.setPen(QPen(tokens.ink_disabled, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(_PAD + 2, middle - 4, 8, 8), 2, 2)
        painter.setPen(tokens.ink_secondary if shown else tokens.ink_muted)
        painter.setFont(fonts.font("body"))
        text_area = area.adjusted(_PAD + _SWATCH + 2, 0, -_PAD, 0)
        painter.drawText(
            text_area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self._quantity.short
        )
        painter.setFont(fonts.font("strong"))
        painter.setPen(tokens.ink_primary if shown and self._text != formats.MISSING else tokens.ink_muted)
        painter.drawText(text_area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, self._text)


class Readout(QWidget):
    """Latest values side by side, each with the swatch of its line."""

    _GAP = 14
    _MARK = 14

    def __init__(self, parts: Sequence[tuple[Quantity, str]], parent: QWidget | None = None) -> None:
        """`parts` are quantities with their units. The unit identifies a frequency; voltages carry their name."""
        super().__init__(parent)
        self._parts = parts
        self._texts = [formats.MISSING] * len(parts)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_values(self, values: dict[str, float | None]) -> None:
        texts = []
        for quantity, unit in self._parts:
            name = f"{quantity.short} " if unit == "V" else ""
            texts.append(name + formats.with_unit(values.get(quantity.item), unit))
        if texts != self._texts:
            self._texts = texts
            self.setAccessibleName("; ".join(texts))
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        width = sum(fonts.metrics("caption").horizontalAdvance(text) + self._MARK + 4 for text in self._texts)
        return QSize(round(width) + self._GAP * (len(self._texts) - 1) + 2, 18)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setFont(fonts.font("caption"))
        left, middle = 0.0, self.height() / 2
        for (quantity, _), text in zip(self._parts, self._texts, strict=True):
            paint_swatch(painter, QPointF(left, middle), quantity.colour, dashed=quantity.dashed)
            painter.setPen(theme.tokens().ink_secondary)
            width = fonts.metrics("caption").horizontalAdvance(text)
            at = QRectF(left + self._MARK + 4, 0, width + 2, self.height())
            painter.drawText(at, Qt.AlignmentFlag.AlignVCenter, text)
            left += self._MARK + 4 + width + self._GAP


def paint_swatch(
    painter: QPainter, at: QPointF, colour: QColor, *, dashed: bool, area: bool = False, width: float = 14
) -> None:
    """A short piece of a line, thick enough for its colour to be seen, or a small area. `at`: the middle of its left side."""
    if area:
        paint_filled(painter, QRectF(at.x() + width - 12, at.y() - 5, 10, 10), colour, dashed=dashed)
        return
    pen = QPen(colour, 3)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    if dashed:
        pen.setDashPattern([5 / 3, 4 / 3])
    painter.setPen(pen)
    painter.drawLine(at, at + QPointF(width, 0))
