"""The Audit page: who did what, the newest first; more comes as one scrolls. An entry opens with what it changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtCore import (
    QDateTime,
    QModelIndex,
    Qt,
    QTimer,
    QTimeZone,
)
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import Cancelled, SgmpError, Unavailable
from sgmp_console.fleet import audit_sheet
from sgmp_console.fleet.audit_sheet import AuditFilter
from sgmp_console.store import audit, houses
from sgmp_console.store.audit import ACTS, KINDS, AuditEntry
from sgmp_console.ui import fonts, formats, plain_text
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.pages.audit import labels
from sgmp_console.ui.parts.buttons import ComboBox, DateTimeEdit, button
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.parts.table import ROW_ROLE, Column, RowsTable
from sgmp_console.ui.tasks import Report, Task
from sgmp_console.ui.zones import this_computers_zone

_PAGE = 200
_PAUSE_MS = 300
_DAY_MS = 86_400_000
_PERIODS = (("Any time", 0), ("Last 24 hours", 1), ("Last 7 days", 7), ("Last 30 days", 30), ("Between", -1))


@dataclass(frozen=True)
class _Read:
    entries: list[AuditEntry]
    houses: dict[int, str]


class AuditPage(Page):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._filter = AuditFilter()
        self._houses: dict[int, str] = {}
        self._complete = False
        self._reading: Task[_Read] | None = None
        self._opened = LatestOnly[AuditEntry](services.tasks, self._show_entry, self._not_read, self)
        self._exporting: Task[int] | None = None
        self._path = Path()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self.reload)
        self._build()
        services.connection.restored.connect(self.reload)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.reload()

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        head = QHBoxLayout()
        head.setSpacing(8)
        self._search = QLineEdit()
        self._search.setPlaceholderText("Search what")
        self._who = QLineEdit()
        self._who.setPlaceholderText("Search who")
        for entry, name in ((self._search, "Search what"), (self._who, "Search who")):
            entry.setAccessibleName(name)
            entry.setFont(fonts.font("body"))
            entry.setClearButtonEnabled(True)
            entry.setMaximumWidth(240)
            entry.textChanged.connect(self._narrowed)
            head.addWidget(entry, 1)
        self._count = label("", "caption", "muted")
        head.addWidget(self._count)
        head.addStretch(1)
        head.addWidget(label(f"Times in {_zone().key.replace('_', ' ')}", "caption", "muted"))
        head.addSpacing(8)
        self._export = button("Export CSV", self._ask_export)
        head.addWidget(self._export)
        column.addLayout(head)
        bar = QHBoxLayout()
        bar.setSpacing(8)
        self._act = self._combo("Act", [("All acts", ""), *((text, key) for key, text in ACTS.items())])
        self._kind = self._combo("Kind", [("All kinds", ""), *((text, key) for key, text in KINDS.items())])
        self._house = self._combo("House", [("All houses", None)])
        self._period = self._combo("Time", list(_PERIODS))
        for combo in (self._act, self._kind, self._house, self._period):
            bar.addWidget(combo)
        bar.addStretch(1)
        column.addLayout(bar)
        self._between = QWidget()
        row = QHBoxLayout(self._between)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self._from, self._to = DateTimeEdit(), DateTimeEdit()
        now_ms, zone = self.services.now_ms(), QTimeZone(_zone().key.encode())
        for when, name, at_ms in ((self._from, "From", now_ms - _DAY_MS), (self._to, "To", now_ms)):
            when.setAccessibleName(name)
            when.setTimeZone(zone)
            when.setDisplayFormat("yyyy-MM-dd HH:mm")
            when.setDateTime(QDateTime.fromMSecsSinceEpoch(at_ms, zone))
            when.dateTimeChanged.connect(self._narrowed)
            row.addWidget(label(name, "caption", "secondary"))
            row.addWidget(when)
        row.addStretch(1)
        self._between.hide()
        column.addWidget(self._between)
        self.strip = MessageBar()
        self.strip.acted.connect(self._strip_pressed)
        column.addWidget(self.strip)
        self.table = RowsTable[AuditEntry]("Audit", self._columns(), _ident)
        self.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.verticalScrollBar().valueChanged.connect(self._scrolled)
        self.table.selectionModel().currentRowChanged.connect(self._chosen)
        self.details = QTableWidget(0, 3)
        self.details.setHorizontalHeaderLabels(["Changed", "Before", "After"])
        self.details.setAccessibleName("What it changed")
        self.details.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.details.setShowGrid(False)
        self.details.verticalHeader().hide()
        self.details.verticalHeader().setDefaultSectionSize(32)
        self.details.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self.details.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self._told = label("", "body", wraps=True)
        below = QWidget()
        under = QVBoxLayout(below)
        under.setContentsMargins(0, 8, 0, 0)
        under.setSpacing(8)
        under.addWidget(self._told)
        under.addWidget(self.details, 1)
        self._below = below
        below.hide()
        both = QSplitter(Qt.Orientation.Vertical)
        both.setChildrenCollapsible(False)
        card = QFrame()
        card.setProperty("surface", "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(1, 4, 1, 4)
        inside.addWidget(self.table)
        both.addWidget(card)
        both.addWidget(below)
        both.setStretchFactor(0, 3)
        both.setStretchFactor(1, 2)
        self._stack = QStackedWidget()
        self._stack.addWidget(both)
        column.addWidget(self._stack, 1)
        find = QShortcut(QKeySequence("Ctrl+F"), self, self._search.setFocus)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    def _columns(self) -> tuple[Column[AuditEntry], ...]:
        return (
            Column("Time", self._time, 176, sort=_ident),
            Column("Who", _actor, 200),
            Column("Act", labels.act, 200),
            Column("Kind", labels.kind, 120),
            Column("What", _subject, strong=True),
            Column("House", self._house_name, 144),
        )

    def _time(self, entry: AuditEntry) -> str:
        return formats.moment(entry.at_ms, self.services.now_ms(), _zone(), seconds=True)

    def _house_name(self, entry: AuditEntry) -> str:
        return "" if entry.house_id is None else self._houses.get(entry.house_id, str(entry.house_id))

    def _combo(self, name: str, choices: list[tuple[str, object]]) -> QComboBox:
        made = ComboBox()
        made.setAccessibleName(name)
        made.setMaximumWidth(200)
        made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for text, value in choices:
            made.addItem(text[:1].upper() + text[1:], value)
        made.currentIndexChanged.connect(self._narrowed)
        return made

    # --- Reading -------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """From the newest on."""
        self._filter = self._wanted()
        self._complete = False
        self._read(None, self._first_read)

    def _wanted(self) -> AuditFilter:
        days = self._period.currentData()
        from_ms = to_ms = None
        if days > 0:
            from_ms = self.services.now_ms() - days * _DAY_MS
        elif days < 0:
            from_ms, to_ms = (one.dateTime().toMSecsSinceEpoch() for one in (self._from, self._to))
        act, kind = self._act.currentData(), self._kind.currentData()
        return AuditFilter(
            actor=self._who.text().strip(),
            subject=self._search.text().strip(),
            acts=(act,) if act else (),
            kinds=(kind,) if kind else (),
            house_id=self._house.currentData(),
            from_ms=from_ms,
            to_ms=to_ms,
        )

    def _read(self, before_id: int | None, on_read: Callable[[_Read], None]) -> None:
        if self._reading is not None:
            self._reading.forget()
        wanted, database = self._filter, self.services.session.database

        def read() -> _Read:
            with database.begin() as connection:
                known = {house.house_id: house.name for house in houses.list_all(connection)}
                found = audit.read(
                    connection,
                    actor=wanted.actor,
                    subject=wanted.subject,
                    acts=wanted.acts,
                    kinds=wanted.kinds,
                    house_id=wanted.house_id,
                    from_ms=wanted.from_ms,
                    to_ms=wanted.to_ms,
                    before_id=before_id,
                    limit=_PAGE,
                )
            return _Read(found, known)

        self._reading = self.services.tasks.run(self, read, on_read, self._not_read)

    def _first_read(self, read: _Read) -> None:
        self._offer_houses(read.houses)
        self._below.hide()
        self._houses = read.houses
        self.table.set_rows(read.entries)
        self._more_read_of(read)

    def _more_read(self, read: _Read) -> None:
        self.table.append_rows(read.entries)
        self._more_read_of(read)

    def _more_read_of(self, read: _Read) -> None:
        self._reading = None
        self._complete = len(read.entries) < _PAGE
        number = formats.count(len(self.table.rows()), "entry", "entries")
        self._count.setText(number if self._complete else f"The newest {number}; scroll for more")
        self._export.setEnabled(bool(self.table.rows()) and self._exporting is None)
        if not self.table.rows():
            self._say("info", "Nothing matches", "No entry of the audit matches this filter.", ())
        else:
            self._stack.setCurrentIndex(0)

    def _not_read(self, error: Exception) -> None:
        self._reading = None
        if isinstance(error, Unavailable):
            self.services.connection.lost(error)
            if self.table.rows():
                return  # what was read stays; the banner says the rest
        sentence = str(error) if isinstance(error, SgmpError) else "Reading it failed."
        self._say("fault", "The audit can't be read", sentence, (("retry", "Retry"),))

    def _say(self, icon: str, headline: str, sentence: str, actions: tuple[tuple[str, str], ...]) -> None:
        if (old := self._stack.widget(1)) is not None:
            self._stack.removeWidget(old)
            old.deleteLater()
        notice = EmptyState(icon, headline, sentence, actions)
        notice.acted.connect(self._retry)
        self._stack.addWidget(notice)
        self._stack.setCurrentWidget(notice)

    def _retry(self, _ident: str) -> None:
        self.reload()

    def _offer_houses(self, known: dict[int, str]) -> None:
        wanted: dict[int | None, str] = {None: "All houses"}
        wanted.update(sorted(known.items(), key=lambda one: one[1]))
        shown = {self._house.itemData(row): self._house.itemText(row) for row in range(self._house.count())}
        if wanted == shown:
            return
        chosen = self._house.currentData()
        self._house.blockSignals(True)
        self._house.clear()
        for house_id, name in wanted.items():
            self._house.addItem(name, house_id)
        self._house.setCurrentIndex(max(0, self._house.findData(chosen)))
        self._house.blockSignals(False)

    def _narrowed(self) -> None:
        self._between.setVisible(self._period.currentData() == -1)
        self._pause.start()

    def _scrolled(self, value: int) -> None:
        bar = self.table.verticalScrollBar()
        if value >= bar.maximum() - bar.pageStep() // 2 and not self._complete and self._reading is None:
            self._read(self.table.rows()[-1].entry_id, self._more_read)

    # --- One entry -----------------------------------------------------------------------------------------------

    def _chosen(self, current: QModelIndex) -> None:
        self._below.setVisible(current.isValid())
        if not current.isValid():
            return
        entry: AuditEntry = current.data(ROW_ROLE)
        self._opened.forget()
        self._show_entry(entry)
        if not entry.whole:
            database = self.services.session.database

            def read() -> AuditEntry:
                with database.begin() as connection:
                    return audit.get(connection, entry.entry_id)

            self._opened.ask(read)

    def _show_entry(self, entry: AuditEntry) -> None:
        when = formats.moment(entry.at_ms, self.services.now_ms(), _zone(), seconds=True)
        self._told.setText(f"{when}: {entry.actor} {labels.act(entry)}: {labels.kind(entry)} {entry.subject}")
        rows = labels.differences(entry)
        self.details.setVisible(bool(rows))
        self.details.setRowCount(len(rows))
        for number, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(plain_text.one_line(text))
                plain_text.set_tip(item, text)
                item.setFont(fonts.font("body" if column == 0 else "fixed"))
                self.details.setItem(number, column, item)

    # --- Exporting -----------------------------------------------------------------------------------------------

    def _ask_export(self) -> None:
        ask_where_to_save(self, "Export the audit", "audit.csv", "CSV files (*.csv)", self.export_to)

    def export_to(self, path: Path) -> None:
        """All that matches the filter, not only what is shown."""
        wanted, database = self._wanted(), self.services.session.database
        self._path = path
        self._export.setEnabled(False)
        self.strip.say("info", f"Writing {path.name}", (("cancel", "Cancel"),))

        def write(report: Report) -> int:
            return audit_sheet.export(
                database,
                path,
                wanted,
                lambda number: report(None, f"{formats.count(number, 'entry', 'entries')} written"),
            )

        self._exporting = self.services.tasks.run_shown(
            self, "Exporting the audit", write, self._exported, self._not_exported
        )

    def _exported(self, number: int) -> None:
        self._export_ended()
        entries = formats.count(number, "entry", "entries")
        self.strip.say("info", f"{entries} written to {self._path}.", (("dismiss", "Dismiss"),))

    def _not_exported(self, error: Exception) -> None:
        self._export_ended()
        if isinstance(error, Cancelled):
            self.strip.hide_message()
            return
        sentence = str(error) if isinstance(error, SgmpError) else "Writing the file failed."
        self.strip.say("fault", sentence, (("dismiss", "Dismiss"),))

    def _export_ended(self) -> None:
        self._exporting = None
        self._export.setEnabled(bool(self.table.rows()))

    def _strip_pressed(self, id_: str) -> None:
        if id_ == "cancel" and self._exporting is not None:
            self._exporting.cancel()
        else:
            self.strip.hide_message()


def _zone() -> ZoneInfo:
    """An entry need not belong to a house, and a list has one clock: the operator's."""
    return ZoneInfo(this_computers_zone())


def _ident(entry: AuditEntry) -> int:
    return entry.entry_id


def _actor(entry: AuditEntry) -> str:
    return entry.actor


def _subject(entry: AuditEntry) -> str:
    return entry.subject
