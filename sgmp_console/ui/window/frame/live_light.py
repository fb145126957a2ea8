"""How fresh the house's data is: a light with words, and the age of each device."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from sgmp_console.fleet.edge_state import Presence
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.ui import fonts, formats, plain_text, theme

_AWAY = {Presence.OFFLINE: "offline", Presence.SILENT: "silent", Presence.STOPPED: "stopped"}

Freshness = Literal["live", "partial", "stale", "silent", "offline", "unknown"]


def freshness(snapshot: HomeSnapshot | None, now_ms: int, *, online: bool) -> tuple[Freshness, str]:
    """The state and its text: `Live · 3 s ago`, `2 of 4 devices down`, `Stale · 25 min ago`, `Edge offline · 90 s ago`,
    `No data yet`, `Offline` (the database)."""
    if not online:
        return "offline", "Offline"
    if snapshot is None:
        return "unknown", ""
    edge, newest = snapshot.edge, snapshot.newest_ms
    if edge is not None and edge.presence in _AWAY and edge.heard_ms is not None:
        return "stale", f"Edge {_AWAY[edge.presence]} · {formats.age(edge.heard_ms, now_ms)}"
    if newest is None:
        return "silent", "No data yet"
    if not snapshot.is_heard(now_ms):
        return "stale", f"Stale · {formats.age(newest, now_ms)}"
    if silent := snapshot.silent_devices(now_ms):
        return "partial", f"{len(silent)} of {formats.count(len(snapshot.devices), 'device')} down"
    return "live", f"Live · {formats.age(newest, now_ms)}"


class LiveLight(QWidget):
    """Filled and green: live. Half and yellow: stale, in part or whole. Empty: nothing yet. Crossed and red: offline."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state: Freshness = "unknown"
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_freshness(self, snapshot: HomeSnapshot | None, now_ms: int, *, online: bool) -> None:
        state, text = freshness(snapshot, now_ms, online=online)
        devices = snapshot.devices if snapshot else ()
        lines = [
            f"{device.name}: {'no reading yet' if device.newest_ms is None else formats.age(device.newest_ms, now_ms)}"
            for device in devices
        ]
        plain_text.set_tip(self, "\n".join(["Newest reading of each device", *lines]) if lines else "")
        if (state, text) != (self._state, self._text):
            self._state, self._text = state, text
            self.setAccessibleName(text)
            self.updateGeometry()
            self.update()

    def text(self) -> str:
        return self._text

    def sizeHint(self) -> QSize:  # noqa: N802
        # As wide as the usual words, so that the bar does not move each second.
        usual = fonts.metrics("body").horizontalAdvance("Live · 59 s ago")
        return QSize(round(max(usual, fonts.metrics("body").horizontalAdvance(self._text))) + 24, 28)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        if self._state == "unknown":
            return
        tokens = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text_width = fonts.metrics("body").horizontalAdvance(self._text)
        left = self.width() - text_width - 20
        dot = QRectF(left, self.height() / 2 - 5, 10, 10)
        colour = {
            "live": tokens.state_ok,
            "partial": tokens.state_warning,
            "stale": tokens.state_warning,
            "offline": tokens.state_fault,
        }.get(self._state, tokens.ink_muted)
        painter.setPen(QPen(colour, 1.5))
        painter.setBrush(colour if self._state == "live" else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(dot)
        if self._state in ("partial", "stale"):
            painter.setBrush(colour)
            painter.drawChord(dot, 90 * 16, 180 * 16)
        elif self._state == "offline":
            painter.drawLine(dot.bottomLeft(), dot.topRight())
        painter.setPen(tokens.ink_primary)
        painter.setFont(fonts.font("body"))
        at = QRectF(left + 18, 0, text_width + 2, self.height())
        painter.drawText(at, Qt.AlignmentFlag.AlignVCenter, self._text)
