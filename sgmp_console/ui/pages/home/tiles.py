"""The four tiles: value, unit, last hour, age."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.reports.home import GAP_MS, HomeSnapshot, Latest
from sgmp_console.reports.item_values import missing_item
from sgmp_console.timeseries import Series
from sgmp_console.ui import fonts, formats, plain_text, theme
from sgmp_console.ui.parts.labels import ElidedLabel, IconLabel, ValueLabel, label, set_ink
from sgmp_console.ui.parts.pressable import Pressable
from sgmp_console.ui.parts.sparkline import Sparkline
from sgmp_console.ui.quantities import QUANTITIES

HOUR_MS = 3_600_000

_IDLE_KW = 0.005
"""Less than this is shown as 0.00 kW, so it is not said to flow."""


_SHELL = 25
"""Pixels of the drawn battery before its number."""
_GAUGE_WIDTH = _SHELL + 40
_ICON = 16
"""Pixels of a tile's icon: the height of its first line."""
_BESIDE_TITLE = 2 * 16 + _ICON + 2 * 6
"""Pixels of a tile's margins, its icon and the spaces between."""


class Tile(Pressable):
    """One quantity now. A stale value is not shown: a dash, and since when."""

    def __init__(self, item: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.item = item
        quantity = QUANTITIES[item]
        self._title = quantity.title
        self.setProperty("surface", "card")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 12, 16, 12)
        outer.setSpacing(4)
        self._head = QHBoxLayout()
        self._head.setSpacing(6)
        self._head.addWidget(IconLabel(quantity.icon, f"quantity_{quantity.token}", _ICON))
        self._head.addWidget(ElidedLabel(quantity.title, "body", "secondary"), 1)
        outer.addLayout(self._head)
        middle = QHBoxLayout()
        middle.setSpacing(16)
        self._value = ValueLabel()
        self._spark = Sparkline(quantity)
        middle.addWidget(self._value)
        middle.addWidget(self._spark, 1)
        outer.addLayout(middle, 1)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        self._age = label("", "caption", "muted")
        self._note = ElidedLabel("", "caption", "secondary")
        self._note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        foot.addWidget(self._age)
        foot.addWidget(self._note, 1)
        outer.addLayout(foot)
        self.setMinimumSize(216, 112)

    def set_snapshot(self, snapshot: HomeSnapshot, now_ms: int) -> None:
        curve = snapshot.curves.get(self.item)
        series = curve.series if curve else Series.empty()
        gap_ms = curve.gap_ms if curve else GAP_MS
        self._spark.set_series(series, now_ms - HOUR_MS, now_ms, gap_ms)
        self.set_now(snapshot, now_ms)

    def set_now(self, snapshot: HomeSnapshot, now_ms: int) -> None:
        """Bring the age up to date; the value goes when it has become stale."""
        curve = snapshot.curves.get(self.item)
        value = current(curve.latest if curve else None, now_ms)
        self._spark.set_greyed(value is None)
        self._value.set_value(value, curve.unit if curve else "")
        self._note.set_whole(self._note_text(snapshot, now_ms) if value is not None else "")
        if curve is None:
            age, ink, tip = "not set up", "muted", missing_item(self.item)
        elif curve.latest is None:
            age, ink, tip = "no value yet", "muted", curve.problem or ""
        elif value is None:
            age, ink = f"no value for {formats.duration(now_ms - curve.latest.timestamp_ms)}", "secondary"
            tip = curve.problem or ""
        else:
            age, ink, tip = formats.age(curve.latest.timestamp_ms, now_ms), "muted", ""
        self._age.setText(age)
        set_ink(self._age, ink)
        plain_text.set_tip(self, tip)
        self.setAccessibleName(f"{self._title}: {self._value.text()}, {age}")

    def value_text(self) -> str:
        return self._value.text()

    def age_text(self) -> str:
        return self._age.text()

    def _note_text(self, snapshot: HomeSnapshot, now_ms: int) -> str:
        return ""


class BatteryTile(Tile):
    """Discharging, with the state of charge; says so when the battery takes power instead."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("battery_discharging", parent)
        self._gauge = ChargeGauge()
        self._head.addWidget(self._gauge)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        title = fonts.metrics("body").horizontalAdvance(self._title)
        self._gauge.set_drawn(self.width() - title - _BESIDE_TITLE >= _GAUGE_WIDTH)

    def set_now(self, snapshot: HomeSnapshot, now_ms: int) -> None:
        super().set_now(snapshot, now_ms)
        self._gauge.set_percent(current(snapshot.latest("soc"), now_ms))

    def _note_text(self, snapshot: HomeSnapshot, now_ms: int) -> str:
        charging = current(snapshot.latest("battery_charging"), now_ms)
        return f"charging {formats.with_unit(charging, 'kW')}" if charging and charging >= _IDLE_KW else ""


class ChargingTile(Tile):
    """EV charging, with the sessions of the day: those that began the evening before are counted, too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("ev", parent)

    def _note_text(self, snapshot: HomeSnapshot, now_ms: int) -> str:
        sessions = snapshot.charging_today.sessions
        return "" if sessions is None else f"{formats.count(sessions, 'session')} today"


class ChargeGauge(QWidget):
    """The state of charge as a small battery and a number."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._percent: float | None = None
        self._is_drawn = True
        self._text = formats.MISSING
        self.set_percent(None)
        self.setToolTip("State of charge")

    def set_percent(self, percent: float | None) -> None:
        self._percent = percent
        self._text = formats.with_unit(percent, "%")
        self.setAccessibleName(f"State of charge {self._text}")
        self.setFixedSize(self.sizeHint())
        self.update()

    def set_drawn(self, drawn: bool) -> None:
        """Without room only the number is shown."""
        if drawn != self._is_drawn:
            self._is_drawn = drawn
            self.set_percent(self._percent)

    def sizeHint(self) -> QSize:  # noqa: N802
        text = round(fonts.metrics("caption").horizontalAdvance(self._text)) + 2
        return QSize(text + (_SHELL if self._is_drawn else 0), _ICON)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        tokens = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._is_drawn:
            shell = QRectF(0.5, 3.5, 17, 9)
            painter.setPen(QPen(tokens.line_control, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(shell, 2, 2)
            painter.drawLine(QPointF(19.5, 6), QPointF(19.5, 10))
            if self._percent is not None:
                fill = shell.adjusted(2, 2, -2, -2)
                fill.setWidth(max(1.0, fill.width() * min(max(self._percent, 0.0), 100.0) / 100))
                painter.fillRect(fill, tokens.quantity_soc)
        painter.setPen(tokens.ink_primary if self._percent is not None else tokens.ink_muted)
        painter.setFont(fonts.font("caption"))
        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(self.rect()), side, self._text)


def current(latest: Latest | None, now_ms: int) -> float | None:
    """The value, unless it is too old to be called current."""
    return None if latest is None or latest.is_stale(now_ms) else latest.value
