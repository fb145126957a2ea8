"""Whether the edge has the current configuration, above the list of devices; with the button that sends it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from sgmp_console.fleet.devices_overview import DevicesOverview
from sgmp_console.ui import edge_words, plain_text
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import IconLabel, label


class SyncBar(QFrame):
    """`wanted`: the configuration shall be synchronized; only where that is `offered`. `edge_wanted`: the page of the edge."""

    wanted = Signal()
    edge_wanted = Signal()

    def __init__(self, *, offered: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "card")
        self.setMinimumHeight(52)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 8, 8)
        row.setSpacing(12)
        self._icon = IconLabel("info", "ink_muted", 18)
        row.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignVCenter)
        self._words = label("", "body", wraps=True)
        row.addWidget(self._words, 1)
        self._edge = label("", "caption", "muted")
        row.addWidget(self._edge)
        self.edge_button = button("Show edge", self.edge_wanted.emit, "quiet")
        row.addWidget(self.edge_button)
        self.button = button("Synchronize Configuration", self._want)
        row.addWidget(self.button)
        self.button.setVisible(offered)

    def show_state(self, found: DevicesOverview, now_ms: int) -> None:
        status = edge_words.sync_state(found.sync, found.edge, now_ms, ZoneInfo(found.house.time_zone))
        self._icon.set_icon(status.icon, status.tint)
        self._words.setText(status.text)
        plain_text.set_tip(self._words, status.tip)
        self._edge.setText(edge_words.edge_words(found.edge, now_ms))

    def text(self) -> str:
        return f"{self._words.text()} {self._edge.text()}"

    def _want(self) -> None:
        self.wanted.emit()
