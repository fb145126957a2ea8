"""The banner under the top bar while the database does not answer."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from sgmp_console.ui import formats
from sgmp_console.ui.connection import Connection
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import ElidedLabel, IconLabel


class OfflineBanner(QFrame):
    """Says since when the screen is not current, when the next attempt is, and offers to try at once."""

    def __init__(self, connection: Connection, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "warning")
        self._connection = connection
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(12)
        row.addWidget(IconLabel("offline", "ink_primary"))
        self._text = ElidedLabel("", "body")
        row.addWidget(self._text, 1)
        self._retry = button("Try now", connection.retry_now)
        row.addWidget(self._retry)
        self._beat = QTimer(self)
        self._beat.setInterval(500)
        self._beat.timeout.connect(self._refresh)
        connection.changed.connect(self._connection_changed)
        self.hide()

    def text(self) -> str:
        return self._text.accessibleName()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._beat.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._beat.stop()

    def _connection_changed(self) -> None:
        self.setVisible(not self._connection.online)
        self._refresh()

    def _refresh(self) -> None:
        error = self._connection.error
        if error is None:
            return
        seconds = self._connection.seconds_to_next_attempt()
        coming = "Trying now." if self._connection.trying or not seconds else f"Next attempt in {seconds} s."
        silent = formats.duration(self._connection.silent_ms())
        self._text.set_whole(f"The database has not answered for {silent}. {coming}", str(error))
        self._retry.setEnabled(not self._connection.trying)
