"""Energy today by source: a stacked bar, since sources add up, and the numbers behind it."""

from __future__ import annotations

from datetime import tzinfo

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from sgmp_console.reports.home import ENERGY_SOURCES, EnergyToday
from sgmp_console.ui import formats, plain_text, theme
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import ValueLabel, label
from sgmp_console.ui.quantities import QUANTITIES

_SOURCES = {"grid_import": "Grid", "battery_discharging": "Battery", "solar": "Solar"}
"""What the sources are called under a title that says the rest."""


class EnergyCard(Card):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Energy today by source", parent)
        self._period = label("", "caption", "muted")
        self.header.addWidget(self._period)
        self._total = ValueLabel()
        self.body.addWidget(self._total)
        self._bar = _SharesBar()
        self.body.addWidget(self._bar)
        self.body.addSpacing(4)
        table = QGridLayout()
        table.setHorizontalSpacing(12)
        table.setVerticalSpacing(6)
        table.setColumnStretch(1, 1)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for column, text in ((2, "kWh"), (3, "Share"), (4, "Coverage")):
            table.addWidget(label(text, "caption", "muted"), 0, column, right)
        self._cells = {}
        for row, item in enumerate(ENERGY_SOURCES, start=1):
            name = label(_SOURCES[item], "body", "secondary")
            plain_text.set_tip(name, QUANTITIES[item].title)
            table.addWidget(_Swatch(item), row, 0)
            table.addWidget(name, row, 1)
            cells = (label("", "strong"), label("", "body", "secondary"), label("", "body", "secondary"))
            for column, cell in enumerate(cells, start=2):
                table.addWidget(cell, row, column, right)
            self._cells[item] = cells
        self.body.addLayout(table)
        self.body.addStretch(1)
        self._cells[ENERGY_SOURCES[0]][2].setToolTip("The part of the day so far for which there are values")

    def set_energy(self, energy: EnergyToday, zone: tzinfo) -> None:
        shares = {share.item: share for share in energy.shares}
        known = {item: share.energy_kwh for item, share in shares.items() if share.energy_kwh is not None}
        total = sum(known.values()) if known else None
        self._total.set_value(total, "kWh")
        until = formats.clock(formats.local(energy.end_ms, zone))
        self._period.setText(f"00:00 to {until}" if energy.end_ms > energy.start_ms else "")
        self._bar.set_parts([(item, known.get(item, 0.0)) for item in ENERGY_SOURCES])
        for item, (amount, part, coverage) in self._cells.items():
            share = shares.get(item)
            value = known.get(item)
            amount.setText(formats.MISSING if value is None else formats.number(value, "kWh"))
            part.setText(formats.percent(value / total) if value is not None and total else formats.MISSING)
            coverage.setText(formats.percent(share.coverage) if share else formats.MISSING)
        spoken = "; ".join(
            f"{QUANTITIES[item].title} {formats.with_unit(known.get(item), 'kWh')}" for item in ENERGY_SOURCES
        )
        self.setAccessibleDescription(spoken)


class _SharesBar(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._parts: list[tuple[str, float]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_parts(self, parts: list[tuple[str, float]]) -> None:
        self._parts = parts
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(200, 14)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shape = QPainterPath()
        shape.addRoundedRect(QRectF(self.rect()), 4, 4)
        painter.setClipPath(shape)
        painter.fillRect(self.rect(), theme.tokens().surface_sunken)
        total = sum(amount for _, amount in self._parts)
        if total <= 0:
            return
        left = 0.0
        for item, amount in self._parts:
            width = amount / total * self.width()
            if width > 0:
                # Two pixels of card between the parts: neighbours differ by more than colour.
                painter.fillRect(QRectF(left, 0, max(1.0, width - 2), self.height()), QUANTITIES[item].colour)
            left += width


class _Swatch(QWidget):
    def __init__(self, item: str) -> None:
        super().__init__()
        self._item = item
        self.setFixedSize(10, 10)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QUANTITIES[self._item].colour)
        painter.drawRoundedRect(self.rect(), 2, 2)
