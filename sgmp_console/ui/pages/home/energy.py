"""Energy today: what the house used and from where, what came in, was stored and exported; and what is not known."""

from __future__ import annotations

from datetime import tzinfo

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QWidget

from sgmp_console.reports.balance import UNKNOWN, Totals
from sgmp_console.reports.home import EnergyToday
from sgmp_console.ui import formats, plain_text, theme
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import IconLabel, ValueLabel, label
from sgmp_console.ui.quantities import QUANTITIES

_ORIGINS = {"solar": "Solar", "battery_discharging": "Battery", "grid_import": "Grid", UNKNOWN: "Unknown"}
"""Where what was used came from. Nothing is known of what no source accounts for."""

_PASSED = {
    "solar": ("Solar in", "What the sun delivered"),
    "grid_import": ("Imported", "From the grid"),
    "battery_charging": ("Stored", "Into the battery"),
    "grid_export": ("Exported", "Into the grid"),
}
"""What came in, was stored and left."""

_SMALL_KWH = 0.005
"""Shown as 0.00, so nothing is said of it."""


class EnergyCard(Card):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Energy today", parent)
        self._period = label("", "caption", "muted")
        self.header.addWidget(self._period)
        head = QHBoxLayout()
        head.setSpacing(8)
        self._used = ValueLabel()
        head.addWidget(self._used)
        used = label("used", "body", "secondary")
        used.setContentsMargins(0, 0, 0, 7)  # on the baseline of the value
        head.addWidget(used, alignment=Qt.AlignmentFlag.AlignBottom)
        head.addStretch(1)
        self.body.addLayout(head)
        self._bar = _SharesBar()
        self.body.addWidget(self._bar)
        self.body.addSpacing(4)
        table = QGridLayout()
        table.setHorizontalSpacing(8)
        table.setVerticalSpacing(4)
        for column in (1, 6):
            table.setColumnStretch(column, 1)
        table.setColumnMinimumWidth(4, 4)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        self._origins: dict[str, tuple[QWidget, QLabel, QLabel, QLabel]] = {}
        for row, (origin, name) in enumerate(_ORIGINS.items()):
            cells = (
                _Swatch(origin),
                label(name, "body", "secondary"),
                label("", "strong"),
                label("", "body", "muted"),
            )
            for column, cell in enumerate(cells):
                table.addWidget(cell, row, column, right if column > 1 else Qt.AlignmentFlag.AlignVCenter)
            self._origins[origin] = cells
        self._passed: dict[str, QLabel] = {}
        for row, (item, (name, tip)) in enumerate(_PASSED.items()):
            caption = label(name, "body", "secondary")
            plain_text.set_tip(caption, tip)
            amount = self._passed[item] = label("", "strong")
            table.addWidget(caption, row, 5)
            table.addWidget(amount, row, 7, right)
        self.body.addLayout(table)
        remark = QHBoxLayout()
        remark.setSpacing(6)
        self._warning = IconLabel("warning", "state_warning", 14)
        self._remark = label("", "caption", "muted", wraps=True)
        remark.addWidget(self._warning, alignment=Qt.AlignmentFlag.AlignTop)
        remark.addWidget(self._remark, 1)
        self.body.addLayout(remark)
        self.body.addStretch(1)

    def set_energy(self, energy: EnergyToday, zone: tzinfo) -> None:
        totals = energy.totals
        known = totals.attributed > 0
        start, end = (formats.clock(formats.local(at_ms, zone)) for at_ms in (energy.start_ms, energy.end_ms))
        self._period.setText(f"{start} to {end}, kWh" if energy.end_ms > energy.start_ms else "")
        used = totals.consumption
        self._used.set_value(used if known else None, "kWh")
        origins = {origin: _used_from(totals, origin) for origin in _ORIGINS}
        self._bar.set_parts(list(origins.items()))
        shares = dict(zip(origins, formats.shares(list(origins.values())), strict=True))
        for origin, (swatch, name, amount, share) in self._origins.items():
            value = origins[origin]
            amount.setText(formats.number(value, "kWh") if known else formats.MISSING)
            share.setText(shares[origin] if known else formats.MISSING)
            for cell in (swatch, name, amount, share):
                cell.setVisible(origin != UNKNOWN or value >= _SMALL_KWH)
        passed = {item: _passed(totals, item) for item in _PASSED}
        for item, amount in self._passed.items():
            absent = item in energy.absent
            amount.setText(formats.number(passed[item], "kWh") if known and not absent else formats.MISSING)
        remarks, incomplete = _remarks(energy)
        self._remark.setText(" ".join(remarks))
        self._remark.setVisible(bool(remarks))
        self._warning.setVisible(incomplete)
        self.setAccessibleDescription(
            "; ".join(
                (
                    f"Used {formats.with_unit(used if known else None, 'kWh')}",
                    *(
                        f"from {_ORIGINS[origin]} {formats.with_unit(origins[origin], 'kWh')}"
                        for origin in _ORIGINS
                    ),
                    *(
                        f"{name} {formats.with_unit(passed[item], 'kWh')}"
                        for item, (name, _) in _PASSED.items()
                    ),
                    *remarks,
                )
            )
        )


def _used_from(totals: Totals, origin: str) -> float:
    return totals.flow(origin, "load") + totals.flow(origin, "ev")


def _passed(totals: Totals, item: str) -> float:
    return totals.source(item) if item in ("solar", "grid_import") else totals.use(item)


def _remarks(energy: EnergyToday) -> tuple[list[str], bool]:
    """What the numbers leave out, and whether that makes them incomplete."""
    totals, remarks = energy.totals, []
    if energy.absent:
        names = ", ".join(QUANTITIES[item].title.lower() for item in energy.absent)
        remarks.append(f"Incomplete: {names} not measured here.")
    if totals.attributed < totals.slots:
        hours = formats.duration(round(totals.not_attributed_hours * 3_600_000))
        lost = [QUANTITIES[item].title.lower() for item, slots in energy.missing.items() if slots]
        whose = f", without {', '.join(lost[:2])}{' and others' if len(lost) > 2 else ''}" if lost else ""
        remarks.append(f"{hours} not attributed{whose}.")
    incomplete = bool(remarks)
    if totals.residual >= _SMALL_KWH and energy.can_be_checked:
        remarks.append(f"Residual {formats.with_unit(totals.residual, 'kWh')}: does not add up.")
    return remarks, incomplete


def _colour(origin: str) -> QColor:
    return theme.tokens().ink_disabled if origin == UNKNOWN else QUANTITIES[origin].colour


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
                painter.fillRect(QRectF(left, 0, max(1.0, width - 2), self.height()), _colour(item))
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
        painter.setBrush(_colour(self._item))
        painter.drawRoundedRect(self.rect(), 2, 2)
