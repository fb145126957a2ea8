"""Synchronize Configuration: what would change, sending it, whether the edge took it, and going back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QProgressBar, QWidget

from sgmp_console.errors import Conflict, UserError
from sgmp_console.fleet import sync
from sgmp_console.fleet.sync import HistoryEntry, Outcome, Preview, RollBackPreview
from sgmp_console.store import House
from sgmp_console.ui import edge_words, formats
from sgmp_console.ui.dialogs.act_dialog import ActDialog
from sgmp_console.ui.dialogs.changes import ChangesView
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox, button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import IconLabel, label
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.parts.table import RowsTable

if TYPE_CHECKING:
    # Loaded with the first act that needs it: it brings a library for certificates.
    from sgmp_console.cloud.services import Services as Cloud

_LOOK_EVERY_MS = 1000
"""The edge's answer arrives in the database within a second; it is looked for where something arrived."""

_UNASKED_TICKS = 30
"""Looks although nothing arrived: another console may have changed the devices."""

NO_BROKER = "This connection names no broker, so nothing can be sent to edges. Add one under Connections, at the sign-in."


@dataclass(frozen=True)
class _Past:
    """A version of the history, in words of the house's zone."""

    entry: HistoryEntry
    sent: str
    edge: edge_words.StatusText


_HISTORY: tuple[Column[_Past], ...] = (
    Column(
        "Version",
        lambda row: str(row.entry.version.version),
        96,
        sort=lambda row: row.entry.version.version,
        strong=True,
        right=True,
    ),
    # Sorted as floating point: milliseconds overflow an int of Qt.
    Column("Sent", lambda row: row.sent, 184, sort=lambda row: float(row.entry.version.created_ms)),
    Column("By", lambda row: row.entry.version.created_by),
    Column("Devices", lambda row: str(row.entry.devices), 84, sort=lambda row: row.entry.devices, right=True),
    Column(
        "Edge",
        lambda row: row.edge.text,
        132,
        mark=lambda row: Mark(row.edge.icon, row.edge.tint),
        tip=lambda row: row.edge.tip or row.edge.text,
    ),
)


@dataclass(frozen=True)
class _Seen:
    preview: Preview
    history: tuple[HistoryEntry, ...]


class SynchronizeDialog(ActDialog):
    """`open()` it. `sent`: the configuration, or by going back the devices, changed."""

    sent = Signal()

    def __init__(self, services: Services, house: House, parent: QWidget) -> None:
        super().__init__(services, f"Synchronize Configuration of {house.name}", "Synchronize", parent)
        self._house = house
        self._zone = ZoneInfo(house.time_zone)
        self._seen: _Seen | None = None
        self._waits_for: int | None = None
        self._reads = LatestOnly[_Seen](services.tasks, self._came, self._did_not_come, self)
        self.resize(1120, 640)
        self.set_refuse("Close")
        self._build()
        self.refresh_act()
        self._look_again = QTimer(self)
        self._look_again.setInterval(_LOOK_EVERY_MS)
        self._look_again.timeout.connect(self._look_if_due)
        self._has_news = False
        self._ticks = 0
        services.live.heard.connect(self._heard)
        self._look_again.start()
        self._look()

    def _build(self) -> None:
        standing = QHBoxLayout()
        standing.setSpacing(12)
        self._icon = IconLabel("clock", "ink_muted", 20)
        self.state_words = label("Reading the devices of this house", "body", wraps=True)
        self._edge_words = label("", "caption", "muted")
        standing.addWidget(self._icon)
        standing.addWidget(self.state_words, 1)
        standing.addWidget(self._edge_words)
        self.body.addLayout(standing)
        self._waiting = QProgressBar()
        self._waiting.setRange(0, 0)
        self._waiting.setTextVisible(False)
        self._waiting.setAccessibleName("Waiting for the edge")
        self._waiting.hide()
        self.body.addWidget(self._waiting)
        middle = QHBoxLayout()
        middle.setSpacing(16)
        changes = Card("What changes")
        self.against = ComboBox()
        self.against.setAccessibleName("Compared with")
        self.against.hide()
        self.against.currentIndexChanged.connect(self._show_changes)
        changes.header.addWidget(self.against)
        self.changes = ChangesView()
        changes.body.addWidget(self.changes, 1)
        middle.addWidget(changes, 2)
        past = Card("History")
        self.roll_back = button("Roll back", self._ask_to_roll_back)
        self.roll_back.setToolTip("Make the devices what they were in the chosen version, and send that")
        self.roll_back.setEnabled(False)
        past.header.addWidget(self.roll_back)
        self.history: RowsTable[_Past] = RowsTable("History", _HISTORY, lambda row: row.entry.version.version)
        self.history.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.history.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.history.selectionModel().selectionChanged.connect(self._chosen)
        past.body.addWidget(self.history, 1)
        middle.addWidget(past, 3)
        self.body.addLayout(middle, 1)

    # --- Looking -------------------------------------------------------------------------------------------------

    def _heard(self, house_id: int) -> None:
        if house_id in (0, self._house.house_id):
            self._has_news = True

    def _look_if_due(self) -> None:
        self._ticks += 1
        if not self._reads.busy() and not self.busy and (self._has_news or self._ticks >= _UNASKED_TICKS):
            self._look()

    def _look(self) -> None:
        self._has_news, self._ticks = False, 0
        database, house_id, now_ms = (
            self.services.session.database,
            self._house.house_id,
            self.services.now_ms(),
        )

        def read() -> _Seen:
            with database.begin() as connection:
                return _Seen(
                    sync.preview(connection, house_id, now_ms), tuple(sync.history(connection, house_id))
                )

        self._reads.ask(read)

    def _came(self, seen: _Seen) -> None:
        first = self._seen is None
        self._seen = seen
        self._show_state(seen.preview)
        self._show_choices(seen.preview)
        self._show_changes()
        self.history.set_rows([self._past(entry) for entry in seen.history])
        self._chosen()
        self.refresh_act()
        if first:
            self.act.setFocus()

    def _did_not_come(self, error: Exception) -> None:
        if self._seen is None:
            self.state_words.setText("")
        self.failed(error)

    def _show_state(self, found: Preview) -> None:
        now_ms = self.services.now_ms()
        status = edge_words.sync_state(found.state, found.edge, now_ms, self._zone)
        self._edge_words.setText(edge_words.edge_words(found.edge, now_ms))
        text, waits = status.text, False
        if self._waits_for is not None and found.state.version == self._waits_for:
            if found.state.outcome is not Outcome.PENDING:
                self._waits_for = None
            elif found.edge.is_online:
                text, waits = f"Waiting for the edge to confirm version {self._waits_for}.", True
            else:
                text = (
                    f"Version {self._waits_for} is sent; the edge is not online and takes it when it is back."
                )
        self.state_words.setText(text)
        self._icon.set_icon(status.icon, status.tint)
        self._waiting.setVisible(waits)

    def _show_choices(self, found: Preview) -> None:
        choices = [f"Version {found.state.version}, sent last"] if found.state.version is not None else []
        if found.running is not None and found.running != found.state.version:
            choices.append(f"Version {found.running}, which the edge runs")
        if choices != [self.against.itemText(at) for at in range(self.against.count())]:
            self.against.clear()
            self.against.addItems(choices)
        self.against.setVisible(len(choices) > 1)

    def _show_changes(self) -> None:
        if self._seen is None:
            return
        found = self._seen.preview
        if self.against.currentIndex() == 1 and found.changes_on_edge is not None:
            self.changes.show_changes(found.changes_on_edge, "The edge runs what would be sent.")
        else:
            last = found.state.version
            if last is None:
                none = "There are no devices in this house. Synchronizing stops its readings."
            elif found.state.outcome is Outcome.NOT_SENT:
                none = f"Version {last} was not sent yet: the broker did not take it. Synchronizing sends it."
            else:
                none = f"Nothing was changed since version {last} was sent. Synchronizing sends it again."
            self.changes.show_changes(found.changes, none)

    def _past(self, entry: HistoryEntry) -> _Past:
        now_ms = self.services.now_ms()
        status = edge_words.StatusText("Not confirmed", "clock", "ink_muted")
        if entry.version.published_ms is None:
            status = edge_words.StatusText(
                "Not sent", "warning", "state_warning", "The broker did not take it."
            )
        if entry.rejected_ms is not None and entry.rejected_ms >= (entry.applied_ms or 0):
            status = edge_words.StatusText("Refused", "fault", "state_fault", entry.reason or "")
        elif entry.applied_ms is not None:
            tip = f"Confirmed {formats.moment(entry.applied_ms, now_ms, self._zone)}"
            status = edge_words.StatusText("Confirmed", "check", "state_ok", tip)
        return _Past(entry, formats.moment(entry.version.created_ms, now_ms, self._zone), status)

    # --- Sending -------------------------------------------------------------------------------------------------

    def perform(self) -> None:
        if self._seen is None:
            return
        session, house_id = self.services.session, self._house.house_id
        looked_at = self._seen.preview.looked_at

        def publish(cloud: Cloud, _checkpoint: Callable[[], None]) -> int:
            if cloud.broker is None:
                raise UserError(NO_BROKER)
            return sync.synchronize(
                session.database,
                cloud.broker,
                session.profile.deployment,
                house_id,
                looked_at=looked_at,
            )

        title = f"Synchronizing the configuration of {self._house.name}"
        self.run_with_cloud("Synchronizing", title, publish, self._was_sent)

    def may_act(self) -> bool:
        return self._seen is not None

    def _was_sent(self, version: int) -> None:
        self._waits_for = version
        self.sent.emit()
        self._reads.forget()  # what was read before it was sent
        self._look()

    def failed(self, error: Exception) -> None:
        if isinstance(error, Conflict):
            self.message_bar.say(
                "fault",
                "The devices were changed meanwhile. Nothing was sent: look at what changes, then send again.",
            )
            self.fit()
        else:
            super().failed(error)
        self._look()

    # --- Going back ----------------------------------------------------------------------------------------------

    def _chosen(self) -> None:
        may = self.services.session.may("manage_devices")
        self.roll_back.setEnabled(bool(self.history.chosen()) and may and not self.busy)

    def _ask_to_roll_back(self) -> None:
        for row in self.history.chosen():
            version = row.entry.version.version
            dialog = RollBackDialog(self.services, self._house, version, self)
            dialog.rolled_back.connect(self._was_sent)
            dialog.open()

    def done(self, result: int) -> None:
        self._look_again.stop()
        self._reads.stop()
        super().done(result)


class RollBackDialog(ActDialog):
    """`rolled_back` carries the number of the new version."""

    rolled_back = Signal(int)

    def __init__(self, services: Services, house: House, version: int, parent: QWidget) -> None:
        super().__init__(
            services,
            f"Roll back {house.name} to version {version}?",
            f"Roll back to version {version}",
            parent,
            is_destructive=True,
        )
        self._house, self._version = house, version
        self._preview: RollBackPreview | None = None
        self.resize(640, 520)
        self._what = label("Reading that version", "body", "secondary", wraps=True)
        self.changes = ChangesView()
        self.body.addWidget(self._what)
        self.body.addWidget(self.changes, 1)
        self.refresh_act()
        self.cancel.setFocus()
        self._read()

    def _read(self) -> None:
        database, house_id, version = self.services.session.database, self._house.house_id, self._version

        def read() -> RollBackPreview:
            with database.begin() as connection:
                return sync.preview_roll_back(connection, house_id, version)

        self.services.tasks.run(self, read, self._came, self.failed)

    def _came(self, found: RollBackPreview) -> None:
        self._preview = found
        self._what.setText(
            "The devices become what they were then, secrets included: deleted ones come back as the same meters, and "
            "those that were made since are deleted. What was measured stays. They are sent to the edge as a new version."
        )
        self.changes.show_changes(
            found.changes, "The devices are what they were then. They are only sent again."
        )
        if found.obstacles:
            self.message_bar.say("fault", "It can't be rolled back:\n" + "\n".join(found.obstacles))
            self.fit()
        self.refresh_act()

    def may_act(self) -> bool:
        return self._preview is not None and not self._preview.obstacles

    def perform(self) -> None:
        if self._preview is None:
            return
        session, house_id, version = self.services.session, self._house.house_id, self._version
        looked_at = self._preview.looked_at

        def go_back(cloud: Cloud, _checkpoint: Callable[[], None]) -> int:
            if cloud.broker is None:
                raise UserError(NO_BROKER)
            return sync.roll_back(
                session.database,
                cloud.broker,
                session.profile.deployment,
                house_id,
                version,
                looked_at=looked_at,
            )

        self.run_with_cloud(
            "Rolling back", f"Rolling back {self._house.name}", go_back, self._was_rolled_back
        )

    def _was_rolled_back(self, version: int) -> None:
        self.accept()
        self.rolled_back.emit(version)

    def failed(self, error: Exception) -> None:
        super().failed(error)
        if isinstance(error, Conflict):
            self._read()
