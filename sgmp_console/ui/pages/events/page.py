"""The Events page: what devices and edge reported in the period of the top bar, its findings and notes, newest first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.reports.time_marks import MarkKind
from sgmp_console.store import devices, events, findings, notes
from sgmp_console.store.events import Event, StateChange
from sgmp_console.store.findings import Finding
from sgmp_console.store.notes import Note, NoteKind
from sgmp_console.timeseries import SLOT_MS
from sgmp_console.ui import finding_words, formats, plain_text
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.note import NoteDialog, may_write
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.details_card import DetailsCard
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, EDIT_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.tasks import Report
from sgmp_edge import contract

_PAGE = 200
"""Events that are read at once."""
_EVERY_MS = 5_000

_ALL_BUT_STATUS = "all but status"
_ALL = "all"
_FINDINGS = "findings"
_NOTES = "notes"
_STATES = "states"
_KINDS = (
    ("All but the edge's status", _ALL_BUT_STATUS),
    ("Findings", _FINDINGS),
    ("Notes", _NOTES),
    ("States", _STATES),
    ("Everything", _ALL),
)
"""An edge reports its status each minute: it would hide what else happens."""

_OF_CARS = (contract.EV_START_CHARGING, contract.EV_END_CHARGING)
_ABSURD = 1e15
"""No energy or duration is as much: it is shown as it came."""


@dataclass(frozen=True)
class Line:
    """An event, a new state of a device, or a finding or a note at the time it began."""

    at_ms: int
    device: str
    what: Event | Finding | Note | StateChange

    @property
    def id_(self) -> tuple[object, ...]:
        match self.what:
            case StateChange():
                return StateChange, self.at_ms, self.device, self.what.field
            case Event(event_id=number) | Finding(finding_id=number) | Note(note_id=number):
                return type(self.what), number


_LINE_OF = {MarkKind.FINDING: Finding, MarkKind.NOTE: Note}


@dataclass(frozen=True)
class Filter:
    """`device` empty: all. `kind`: of _KINDS, or a type of events."""

    start_ms: int
    end_ms: int
    device: str
    kind: str
    sought: str


@dataclass(frozen=True)
class EventsFound:
    """A part of the list. `last`: its last event, after which the next part begins; None where the list ends."""

    lines: tuple[Line, ...]
    last: Event | None
    types: tuple[str, ...]
    devices: tuple[str, ...]


class EventsPage(ListPage[Line, EventsFound]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="event",
            columns=self._columns(),
            id_=lambda line: line.id_,
            of_house=True,
            every_ms=_EVERY_MS,
            page_rows=_PAGE,
            parent=parent,
        )
        self.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        self.declare(
            (
                ListAction("delete", "Delete note", self._ask_to_delete, "some", keys=DELETE_KEYS),
                ListAction("edit", "Change note", self._edit, "one", keys=EDIT_KEYS),
                ListAction("add", "Add note", self._add, keys=CREATE_KEYS, primary=True),
            )
        )
        services.shown_period.changed.connect(self.narrow)

    def _columns(self) -> tuple[Column[Line], ...]:
        return (
            Column("Time", self._time, 176, sort=lambda line: float(line.at_ms), whole=True),
            Column("Device", _device, 144, strong=True),
            Column("Kind", _kind, 168),
            Column("What", self._what, mark=_mark),
            Column("Lasted", self._lasted, 128),
        )

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.services.shown_period.zone)

    def _time(self, line: Line) -> str:
        return formats.moment(line.at_ms, self.services.now_ms(), self._zone(), seconds=True)

    def _what(self, line: Line) -> str:
        match line.what:
            case Finding():
                return finding_words.said(line.what, self._zone().key).text
            case Note():
                excluded = "excluded from means and sums" if line.what.excluded else ""
                return ": ".join(filter(None, (excluded.capitalize(), line.what.text)))
            case StateChange():
                return plain_text.one_line(f"{line.what.field}: {line.what.value}")
            case Event():
                return in_one_line(line.what)

    def _lasted(self, line: Line) -> str:
        if isinstance(line.what, Event | StateChange):
            return ""
        if line.what.to_ms is None:
            return f"{formats.duration(self.services.now_ms() - line.at_ms)}, open"
        return formats.duration(line.what.to_ms - line.at_ms)

    # --- What narrows the list -------------------------------------------------------------------------------------

    def beside(self, layout: QVBoxLayout) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(8)
        self._kind = self._combo("Kind", _KINDS)
        self._device = self._combo("Device", (("All devices", ""),))
        bar.addWidget(self._kind)
        bar.addWidget(self._device)
        bar.addStretch(1)
        self._times = label("", "caption", "muted")
        bar.addWidget(self._times)
        layout.addLayout(bar)

    def _combo(self, name: str, choices: Sequence[tuple[str, str]]) -> ComboBox:
        combo = ComboBox()
        combo.setAccessibleName(name)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        combo.setMaximumWidth(240)
        combo.set_choices(choices)
        combo.currentIndexChanged.connect(self.narrow)
        return combo

    def is_narrowed(self) -> bool:
        return bool(
            super().is_narrowed() or self._device.currentData() or self._kind.currentData() != _ALL_BUT_STATUS
        )

    # --- The list --------------------------------------------------------------------------------------------------

    def reader(self) -> Callable[[], EventsFound]:
        period, now_ms = self.services.shown_period.period, self.services.now_ms()
        # What is stamped a little ahead of our clock has happened, too.
        end_ms = max(period.end_ms, now_ms + SLOT_MS) if period.is_running(now_ms) else period.end_ms
        self._filter = Filter(
            period.start_ms,
            end_ms,
            self._device.currentData(),
            self._kind.currentData(),
            self.search.text().strip(),
        )
        self._last: Event | None = None
        return self._reader(None)

    def next_reader(self, last: Line) -> Callable[[], EventsFound]:
        return self._reader(self._last)

    def _reader(self, after: Event | None) -> Callable[[], EventsFound]:
        return partial(_read, self.services, self._house_id or 0, self._filter, after)

    def rows_of(self, found: EventsFound) -> Sequence[Line]:
        return found.lines

    def loaded(self, found: EventsFound) -> None:
        self._last = found.last
        self._times.setText(f"Times in {self._zone().key.replace('_', ' ')}")
        self._kind.set_choices((*_KINDS, *((name, name) for name in found.types)))
        self._device.set_choices(
            (("All devices", ""), *((_device_title(name), name) for name in found.devices))
        )

    def has_more(self, found: EventsFound) -> bool:
        return found.last is not None

    def empty_state(self, found: EventsFound) -> EmptyState:
        return EmptyState(
            "info",
            "Nothing happened",
            f"No device of this house reported an event, and nothing was wrong: {self.services.shown_period.period.title}.",
            (("add", "Add note"),) if may_write(self.services.session) else (),
        )

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        mark, self.services.events.mark = self.services.events.mark, None
        if mark is not None:
            self._select_after = (_LINE_OF[mark.kind], mark.number)
            for combo in (self._kind, self._device):
                combo.setCurrentIndex(0)
            self.search.clear()
        super().showEvent(event)

    # --- Notes -----------------------------------------------------------------------------------------------------

    def _add(self) -> None:
        period, now_ms = self.services.shown_period.period, self.services.now_ms()
        end_ms = min(period.end_ms, max(period.start_ms + SLOT_MS, now_ms // SLOT_MS * SLOT_MS))
        self._open_dialog(Note(0, self._house_id or 0, NoteKind.OTHER, period.start_ms, end_ms))

    def _edit(self) -> None:
        (line,) = self.table.chosen()
        if isinstance(line.what, Note):
            self._open_dialog(line.what)

    def _open_dialog(self, note: Note) -> None:
        dialog = NoteDialog(self.services, note, self._zone().key, self)
        dialog.saved.connect(self._saved)
        dialog.left.connect(self.reload)
        dialog.open()

    def _saved(self, note: Note) -> None:
        self.say("")
        self.reload_and_select((Note, note.note_id))

    def _ask_to_delete(self) -> None:
        chosen = [line.what for line in self.table.chosen() if isinstance(line.what, Note)]
        what = "this note" if len(chosen) == 1 else f"{len(chosen)} notes"
        excluding = any(note.excluded for note in chosen)
        effect = (
            "What is excluded by it counts again: every number is what it was before." if excluding else ""
        )
        confirm(
            f"Delete {what}?",
            effect or "Nobody can read it any more; the audit keeps it.",
            f"Delete {what}",
            self,
            partial(self._delete, [note.note_id for note in chosen]),
        )

    def _delete(self, note_ids: Sequence[int]) -> None:
        database = self.services.session.database

        def work(_report: Report) -> None:
            with database.begin() as connection:
                for note_id in note_ids:
                    notes.delete(connection, note_id)

        self.run_act("Deleting notes", work, self.changed)

    def _show_note_actions(self, chosen: Sequence[Line]) -> None:
        session = self.services.session
        for id_ in ("add", "edit", "delete"):
            self.action(id_).setVisible(may_write(session))
        of_chosen = [line.what for line in chosen if isinstance(line.what, Note)]
        if len(of_chosen) > 1:
            self.rename("delete", f"Delete {len(of_chosen)} notes")
        if len(of_chosen) < len(chosen):
            why = "Only notes can be changed and deleted."
        elif not all(may_write(session, excluded=note.excluded) for note in of_chosen):
            why = "Only who may manage analytic items can change a note that excludes a time."
        else:
            return
        for id_ in ("edit", "delete"):
            self.disable(id_, why)

    # --- One of them -----------------------------------------------------------------------------------------------

    def below(self, layout: QVBoxLayout) -> None:
        self.details = DetailsCard("Data of the event")
        layout.addWidget(self.details)

    def actions_shown(self, chosen: Sequence[Line]) -> None:
        self._show_note_actions(chosen)
        if len(chosen) != 1:
            self.details.hide()
            return
        (line,) = chosen
        if isinstance(line.what, Finding):
            said = finding_words.said(line.what, self._zone().key)
            when = finding_words.when(line.what, self.services.now_ms(), self._zone())
            self.details.show_details(" ".join(filter(None, (f"{said.text}: {when}.", said.to_do))), "")
        elif isinstance(line.what, StateChange):
            head = f"{line.what.field} of {_device(line)} changed: {self._time(line)}"
            self.details.show_details(head, line.what.value)
        elif isinstance(line.what, Note):
            times = f"{self._time(line)} to {formats.moment(line.what.to_ms, self.services.now_ms(), self._zone())}"
            at = formats.moment(line.what.at_ms, self.services.now_ms(), self._zone())
            head = f"{line.what.kind.title}, {times}. Written by {line.what.who}, {at}."
            self.details.show_details(head, line.what.text)
        else:
            data = json.dumps(line.what.data, indent=2, ensure_ascii=False)
            self.details.show_details(f"{_device(line)} reported {line.what.type}: {self._time(line)}", data)


def _read(services: Services, house_id: int, wanted: Filter, after: Event | None) -> EventsFound:
    """The part of the list that follows `after`, on a worker thread."""
    with services.session.database.begin() as connection:
        types = events.types(connection, house_id)
        names = [device.name for device in devices.list_all(connection, house_id)]
        page: list[Event] = []
        asked = _types_of(wanted.kind, types)
        if asked or wanted.kind == _ALL:
            page = events.newest(
                connection,
                house_id,
                wanted.start_ms,
                wanted.end_ms,
                after=after,
                devices=[wanted.device] if wanted.device else (),
                types=asked,
                sought=wanted.sought,
                limit=_PAGE,
            )
        wrong: list[Finding] = []
        if wanted.kind in (_FINDINGS, _ALL, _ALL_BUT_STATUS):
            wrong = findings.read(connection, house_id, ended_since_ms=wanted.start_ms)
        states: list[StateChange] = []
        if wanted.kind in (_STATES, _ALL, _ALL_BUT_STATUS):
            states = events.state_changes(connection, house_id, wanted.start_ms, wanted.end_ms)
        written: list[Note] = []
        if wanted.kind in (_NOTES, _ALL, _ALL_BUT_STATUS) and not wanted.device:
            written = notes.read(connection, house_id, wanted.start_ms, wanted.end_ms)
    last = page[-1] if len(page) == _PAGE else None
    since_ms = -1 if last is None else last.timestamp_ms
    until_ms = wanted.end_ms if after is None else after.timestamp_ms
    lines = [Line(event.timestamp_ms, event.device, event) for event in page]
    lines += [
        Line(finding.from_ms, finding.device, finding)
        for finding in wrong
        if since_ms <= finding.from_ms < until_ms and _matches(finding, wanted)
    ]
    sought = wanted.sought.casefold()
    lines += [
        Line(note.from_ms, "", note)
        for note in written
        if since_ms <= note.from_ms < until_ms and sought in f"{note.kind.title} {note.text}".casefold()
    ]
    lines += [
        Line(state.timestamp_ms, state.device, state)
        for state in states
        if since_ms <= state.timestamp_ms < until_ms
        and (not wanted.device or state.device == wanted.device)
        and sought in f"{state.device} {state.field} {state.value}".casefold()
    ]
    return EventsFound(tuple(lines), last, tuple(types), (*names, contract.EDGE_DEVICE_NAME))


def _types_of(kind: str, present: Sequence[str]) -> Sequence[str]:
    if kind in (_ALL, _FINDINGS, _NOTES, _STATES):
        return ()
    if kind == _ALL_BUT_STATUS:
        return [name for name in present if name != contract.EDGE_STATUS]
    return [kind]


def _matches(finding: Finding, wanted: Filter) -> bool:
    text = f"{finding.device} {finding_words.said(finding).text}".casefold()
    return (not wanted.device or finding.device == wanted.device) and wanted.sought.casefold() in text


def in_one_line(event: Event) -> str:
    """What an event says: its text, or its data as `name value` pairs."""
    data = event.data
    text = data.get("data")
    if event.type == contract.WARNING and isinstance(text, str):
        return text
    return ", ".join(
        f"{name} {_value(event.type, name, value)}"
        for name, value in data.items()
        if value not in (None, "", {}, [])
    )


def _value(kind: str, name: str, value: object) -> str:
    if kind in _OF_CARS and isinstance(value, int | float) and abs(value) < _ABSURD:
        if name == "energy":  # mWh, as stations report it
            return formats.with_unit(value / 1e6, "kWh")
        if name == "duration":  # ms
            return formats.duration(round(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _device_title(name: str) -> str:
    return "Edge" if name == contract.EDGE_DEVICE_NAME else name


def _device(line: Line) -> str:
    return _device_title(line.device) or "House"


def _kind(line: Line) -> str:
    match line.what:
        case Finding():
            return "Finding"
        case Note():
            return f"Note: {line.what.kind.value}"
        case StateChange():
            return "State"
        case Event():
            return line.what.type


def _mark(line: Line) -> Mark | None:
    if isinstance(line.what, Finding):
        return Mark(*finding_words.look(line.what))
    if isinstance(line.what, Note):
        return Mark("note", "accent_focus" if line.what.excluded else "ink_muted")
    return None
