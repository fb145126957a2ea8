"""How ingest is doing, in the status bar: behind by how much, cut off from the broker, or silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from sgmp_console.errors import SgmpError
from sgmp_console.store.ingest_state import Alarm, IngestState
from sgmp_console.ui import formats, plain_text
from sgmp_console.ui.parts.labels import IconLabel, label, set_ink
from sgmp_console.ui.tasks import Tasks

_READ_EVERY_MS = 10_000
_CONFIRM_AFTER_MS = 6_000
"""Ingest that is there reports within this time."""
_SILENT_AFTER_MS = 30_000
"""Ingest reports every five seconds."""
_LONG_DELAY_MS = 60_000
"""From here on a delay is written in minutes and hours."""

_SHORT = {
    Alarm.BROKER_DROPPED: "The broker drops messages",
    Alarm.NOT_STORING: "Ingest can't store",
    Alarm.CERTIFICATE_EXPIRED: "The broker's certificate is expired",
    Alarm.TAKEN_OVER: "Two ingests of one name",
    Alarm.ONLY_REPEATS: "Ingest receives only repeats",
    Alarm.QUARANTINE_FULL: "Quarantine is full",
    Alarm.FLOOD: "A house floods ingest",
    Alarm.REFUSED: "A house is refused by the broker",
    Alarm.BROKER_FILLING: "The broker's queue is filling",
    Alarm.LATE_HOUSES: "Readings are late",
    Alarm.WITHOUT_RECEIPT: "A house sends without receipt",
    Alarm.RETAINED: "A house fills the broker",
    Alarm.NOT_NOTIFYING: "Windows are not notified",
}
"""For the status bar; the whole sentence is in its tool tip."""


def ingest_words(states: Sequence[IngestState], now_ms: int) -> tuple[bool, str]:
    """Whether all is well, and what to say of it; no words where no ingest ever reported.

    Of several, one that works is enough: they share the work, and who was retired stays in the list.
    """
    if not states:
        return True, ""
    newest = max(states, key=lambda state: state.updated_ms)
    silent_ms = now_ms - newest.updated_ms
    if silent_ms > _SILENT_AFTER_MS:
        return False, f"Ingest silent for {formats.duration(silent_ms)}"
    reporting = [state for state in states if now_ms - state.updated_ms <= _SILENT_AFTER_MS]
    connected = any(state.statistics.get("receiving") for state in reporting)
    if not connected and not any(state.alarms for state in reporting):
        return False, "Ingest not connected to the broker"
    if alarms := [alarm for state in reporting for alarm in state.alarms.items()]:
        order = list(Alarm)
        return False, _SHORT[min(alarms, key=lambda alarm: order.index(alarm[0]))[0]]
    waiting = sum(int(state.statistics.get("waiting", 0)) for state in reporting)
    delay_ms = max(int(state.statistics.get("delay_ms", 0)) for state in reporting)
    delay = formats.duration(delay_ms) if delay_ms >= _LONG_DELAY_MS else f"{delay_ms / 1000:.1f}\u00a0s"
    words = f"Ingest {delay} behind"
    return True, f"{words}, {formats.count(waiting, 'message')} waiting" if waiting else words


class IngestLight(QWidget):
    """Asks while it is visible; hidden from accounts that may not know."""

    def __init__(
        self,
        tasks: Tasks,
        read: Callable[[], list[IngestState]],
        now_ms: Callable[[], int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._read = read
        self._now_ms = now_ms
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self._icon = IconLabel("broker", "ink_muted", 14)
        self._words = label("", "caption", "secondary")
        row.addWidget(self._icon)
        row.addWidget(self._words)
        self._icon.hide()
        self._asked_before = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_CONFIRM_AFTER_MS)
        self._soon.timeout.connect(self._ask)
        self._timer = QTimer(self)
        self._timer.setInterval(_READ_EVERY_MS)
        self._timer.timeout.connect(self._ask)

    def text(self) -> str:
        return self._words.text()

    def show_states(self, states: list[IngestState]) -> None:
        well, words = ingest_words(states, self._now_ms())
        if not well and not self._asked_before:
            # What the last run left behind: at the start of a demo, or after an ingest was restarted.
            self._asked_before = True
            self._soon.start()
            return
        self._asked_before = True
        self._words.setText(words)
        set_ink(self._words, "secondary" if well else "fault")
        self._icon.set_icon("broker" if well else "fault", "ink_muted" if well else "state_fault")
        self._icon.setVisible(bool(words))
        received = sum(int(state.statistics.get("rejected", 0)) for state in states)
        sentences = [sentence for state in states for sentence in state.alarms.values()]
        if received:
            sentences.append(f"{formats.count(received, 'message')} in quarantine since it started")
        plain_text.set_tip(self, "\n".join(sentences))

    def stop(self) -> None:
        self._timer.stop()
        self._soon.stop()
        self._tasks.forget_all(self)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._ask()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._timer.stop()
        self._soon.stop()

    def _ask(self) -> None:
        self._tasks.run(self, self._read, self.show_states, self._not_read)

    def _not_read(self, error: Exception) -> None:
        """An outage has its banner already; who may not see it sees nothing."""
        if isinstance(error, SgmpError):
            self._words.clear()
            self._icon.hide()
