"""The Audit page: who did what, the newest first; more comes as one scrolls. An entry opens with what it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtCore import QDateTime, Qt, QTimeZone
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.fleet import audit_sheet
from sgmp_console.fleet.audit_sheet import AuditFilter
from sgmp_console.store import audit, houses
from sgmp_console.store.audit import ACTS, KINDS, AuditEntry
from sgmp_console.ui import audit_words, fonts, formats, plain_text
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox, DateTimeEdit
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.files import ask_where_to_save_sheet
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.list_page import ListAction, ListPage
from sgmp_console.ui.parts.rows import Column
from sgmp_console.ui.tasks import Report
from sgmp_console.ui.zones import this_computers_zone

_PAGE = 200
"""Entries that are read at once."""
_DAY_MS = 86_400_000
_PERIODS = (("Any time", 0), ("Last 24 hours", 1), ("Last 7 days", 7), ("Last 30 days", 30), ("Between", -1))
"""Each with its days; -1: from and to are chosen."""
_DETAIL_ROW = 28
_MAX_DETAILS = 8
"""Rows of details on screen at once; more scroll."""
_AROUND_CHOICE_PX = 48
"""Of a choice: its margins and its chevron."""


@dataclass(frozen=True)
class AuditFound:
    """Entries, and the names of all houses by their IDs."""

    entries: tuple[AuditEntry, ...]
    houses: dict[int, str]


class AuditPage(ListPage[AuditEntry, AuditFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        self._houses: dict[int, str] = {}
        self._opened_id = 0
        """Of the entry whose details are shown; 0: none is."""
        super().__init__(
            services,
            noun="entry",
            plural="entries",
            called="audit entries",
            columns=self._columns(),
            id_=lambda entry: entry.entry_id,
            of_house=False,
            page_rows=_PAGE,
            parent=parent,
        )
        self._details_read = LatestOnly[AuditEntry](services.tasks, self._show_entry, self.not_done, self)
        self.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.search.setPlaceholderText("Search by name")
        self.declare((ListAction("export", "Export CSV", self._ask_export),))

    def _columns(self) -> tuple[Column[AuditEntry], ...]:
        return (
            Column("Time", self._time, 176, sort=lambda entry: float(entry.entry_id), whole=True),
            Column("Who", lambda entry: entry.actor, 200),
            Column("Act", audit_words.act, 200),
            Column("Kind", audit_words.kind, 120, optional=1),
            Column("What", lambda entry: entry.subject, strong=True),
            Column("House", self._house_name, 144),
        )

    def _time(self, entry: AuditEntry) -> str:
        return formats.moment(entry.at_ms, self.services.now_ms(), _zone(), seconds=True)

    def _house_name(self, entry: AuditEntry) -> str:
        return "" if entry.house_id is None else self._houses.get(entry.house_id, str(entry.house_id))

    # --- What narrows the list -------------------------------------------------------------------------------------

    def beside(self, layout: QVBoxLayout) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(8)
        self._who = QLineEdit()
        self._who.setPlaceholderText("By account")
        self._who.setAccessibleName("Search by account")
        self._who.setFont(fonts.font("body"))
        self._who.setClearButtonEnabled(True)
        self._who.setMinimumWidth(128)  # the choices beside it give way first
        self._who.setMaximumWidth(240)
        self._who.textChanged.connect(self.narrow)
        bar.addWidget(self._who, 1)
        self._act_chosen = self._combo(
            "Act", [("All acts", ""), *((text, key) for key, text in ACTS.items())]
        )
        self._kind = self._combo("Kind", [("All kinds", ""), *((text, key) for key, text in KINDS.items())])
        self._house = self._combo("House", [("All houses", None)])
        self._period = self._combo("Time", list(_PERIODS))
        for combo in (self._act_chosen, self._kind, self._house, self._period):
            bar.addWidget(combo)
        bar.addStretch(1)
        bar.addWidget(label(f"Times in {_zone().key.replace('_', ' ')}", "caption", "muted"))
        layout.addLayout(bar)
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
            when.dateTimeChanged.connect(self.narrow)
            row.addWidget(label(name, "caption", "secondary"))
            row.addWidget(when)
        row.addStretch(1)
        self._between.hide()
        layout.addWidget(self._between)

    def _combo(self, name: str, choices: Sequence[tuple[str, object]]) -> ComboBox:
        combo = ComboBox()
        combo.setAccessibleName(name)
        combo.setMaximumWidth(200)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for text, value in choices:
            combo.addItem(text[:1].upper() + text[1:], value)
        # What stands there while nothing is chosen is never cut.
        combo.setMinimumWidth(combo.fontMetrics().horizontalAdvance(combo.currentText()) + _AROUND_CHOICE_PX)
        combo.currentIndexChanged.connect(self.narrow)
        return combo

    def narrow(self) -> None:
        self._between.setVisible(self._period.currentData() == -1)
        super().narrow()

    def is_narrowed(self) -> bool:
        return self._wanted() != AuditFilter()

    def _wanted(self) -> AuditFilter:
        days = self._period.currentData()
        from_ms = to_ms = None
        if days > 0:
            from_ms = self.services.now_ms() - days * _DAY_MS
        elif days < 0:
            from_ms, to_ms = (when.dateTime().toMSecsSinceEpoch() for when in (self._from, self._to))
        act, kind = self._act_chosen.currentData(), self._kind.currentData()
        return AuditFilter(
            actor=self._who.text().strip(),
            subject=self.search.text().strip(),
            acts=(act,) if act else (),
            kinds=(kind,) if kind else (),
            house_id=self._house.currentData(),
            from_ms=from_ms,
            to_ms=to_ms,
        )

    # --- The list --------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], AuditFound]:
        self._filter = self._wanted()
        return self._reader(None)

    def next_reader(self, last: AuditEntry) -> Callable[[], AuditFound]:
        return self._reader(last.entry_id)

    def _reader(self, before_id: int | None) -> Callable[[], AuditFound]:
        wanted, database = asdict(self._filter), self.services.session.database

        def read() -> AuditFound:
            with database.begin() as connection:
                known = {house.house_id: house.name for house in houses.list_all(connection)}
                entries = audit.read(connection, **wanted, before_id=before_id, limit=_PAGE)
            return AuditFound(tuple(entries), known)

        return read

    def rows_of(self, found: AuditFound) -> Sequence[AuditEntry]:
        return found.entries

    def loaded(self, found: AuditFound) -> None:
        self._houses = found.houses
        by_name = sorted((name, house_id) for house_id, name in found.houses.items())
        self._house.set_choices((("All houses", None), *by_name))

    def empty_state(self, found: AuditFound) -> EmptyState:
        return EmptyState(
            "audit",
            "There are no entries yet",
            "What accounts do is recorded here, with what it changed.",
        )

    # --- One entry -------------------------------------------------------------------------------------------------

    def below(self, layout: QVBoxLayout) -> None:
        self._card = QFrame()
        self._card.setProperty("surface", "card")
        inside = QVBoxLayout(self._card)
        inside.setContentsMargins(1, 12, 1, 4)
        inside.setSpacing(4)
        self._sentence = label("", "body", wraps=True)
        self._sentence.setContentsMargins(12, 0, 12, 4)
        inside.addWidget(self._sentence)
        self.details = QTableWidget(0, 3)
        self.details.setHorizontalHeaderLabels(["Changed", "Before", "After"])
        self.details.setAccessibleName("What it changed")
        self.details.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.details.setShowGrid(False)
        self.details.setTabKeyNavigation(False)
        self.details.verticalHeader().hide()
        self.details.verticalHeader().setDefaultSectionSize(_DETAIL_ROW)
        header = self.details.horizontalHeader()
        header.setFont(fonts.font("caption"))
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        inside.addWidget(self.details)
        self._card.hide()
        layout.addWidget(self._card)

    def actions_shown(self, chosen: Sequence[AuditEntry]) -> None:
        self.action("export").setEnabled(bool(self.table.rows()))
        entry = chosen[0] if len(chosen) == 1 else None
        self._card.setVisible(entry is not None)
        if entry is None:
            self._opened_id = 0
        elif entry.entry_id != self._opened_id:
            self._open(entry)

    def _open(self, entry: AuditEntry) -> None:
        """Show the entry; what was too long for the list is read now."""
        self._opened_id = entry.entry_id
        self._details_read.forget()
        self._show_entry(entry)
        if not entry.whole:
            database = self.services.session.database

            def read() -> AuditEntry:
                with database.begin() as connection:
                    return audit.get(connection, entry.entry_id)

            self._details_read.ask(read)

    def _show_entry(self, entry: AuditEntry) -> None:
        when = formats.moment(entry.at_ms, self.services.now_ms(), _zone(), seconds=True)
        what = f"{audit_words.kind(entry)} {entry.subject}".strip()
        self._sentence.setText(f"{when}: {entry.actor} {audit_words.act(entry)}: {what}")
        rows = audit_words.differences(entry)
        self.details.setVisible(bool(rows))
        self.details.setRowCount(len(rows))
        for number, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(plain_text.one_line(text))
                plain_text.set_tip(item, text)
                item.setFont(fonts.font("body" if column == 0 else "fixed"))
                self.details.setItem(number, column, item)
        shown = min(len(rows), _MAX_DETAILS) * _DETAIL_ROW
        self.details.setFixedHeight(self.details.horizontalHeader().sizeHint().height() + shown + 2)

    # --- Exporting -------------------------------------------------------------------------------------------------

    def _ask_export(self) -> None:
        ask_where_to_save_sheet(self, "Export the audit", "audit.csv", self.export_to)

    def export_to(self, path: Path, delimiter: str = ",") -> None:
        """All that matches the filter, not only what is shown."""
        wanted, database = self._wanted(), self.services.session.database

        def write(report: Report) -> str:
            number = audit_sheet.export(
                database,
                path,
                wanted,
                lambda number: report(None, f"{formats.count(number, 'entry', 'entries')} written"),
                delimiter=delimiter,
            )
            return f"{formats.count(number, 'entry', 'entries')} written to {path}."

        self.run_act("Exporting the audit", write, self._exported)

    def _exported(self, sentence: str) -> None:
        self.say(sentence, "info")


def _zone() -> ZoneInfo:
    """An entry need not belong to a house, and a list has one clock: the operator's."""
    return ZoneInfo(this_computers_zone())
