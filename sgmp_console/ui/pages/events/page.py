"""The Events page: what devices and edge reported in the period of the top bar, and the findings of it, newest first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.store import devices, events, findings
from sgmp_console.store.events import Event
from sgmp_console.store.findings import Finding
from sgmp_console.timeseries import SLOT_MS
from sgmp_console.ui import finding_words, formats
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.details_card import DetailsCard
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.list_page import ListPage
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_edge import contract

_PAGE = 200
"""Events that are read at once."""
_EVERY_MS = 5_000

_ALL_BUT_STATUS = "all but status"
_ALL = "all"
_FINDINGS = "findings"
_KINDS = (
    ("All but the edge's status", _ALL_BUT_STATUS),
    ("Findings", _FINDINGS),
    ("Everything", _ALL),
)
"""An edge reports its status each minute: it would hide what else happens."""

_OF_CARS = (contract.EV_START_CHARGING, contract.EV_END_CHARGING)
_ABSURD = 1e15
"""No energy or duration is as much: it is shown as it came."""


@dataclass(frozen=True)
class Line:
    """An event, or a finding at the time it began."""

    at_ms: int
    device: str
    what: Event | Finding

    @property
    def id_(self) -> tuple[type, int]:
        return type(self.what), self.what.event_id if isinstance(self.what, Event) else self.what.finding_id


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
        self.declare(())
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
        if isinstance(line.what, Finding):
            return finding_words.said(line.what, self._zone().key).text
        return in_one_line(line.what)

    def _lasted(self, line: Line) -> str:
        if isinstance(line.what, Event):
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
        )

    # --- One of them -----------------------------------------------------------------------------------------------

    def below(self, layout: QVBoxLayout) -> None:
        self.details = DetailsCard("Data of the event")
        layout.addWidget(self.details)

    def actions_shown(self, chosen: Sequence[Line]) -> None:
        if len(chosen) != 1:
            self.details.hide()
            return
        (line,) = chosen
        if isinstance(line.what, Finding):
            said = finding_words.said(line.what, self._zone().key)
            when = finding_words.when(line.what, self.services.now_ms(), self._zone())
            self.details.show_details(" ".join(filter(None, (f"{said.text}: {when}.", said.to_do))), "")
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
    last = page[-1] if len(page) == _PAGE else None
    since_ms = -1 if last is None else last.timestamp_ms
    until_ms = wanted.end_ms if after is None else after.timestamp_ms
    lines = [Line(event.timestamp_ms, event.device, event) for event in page]
    lines += [
        Line(finding.from_ms, finding.device, finding)
        for finding in wrong
        if since_ms <= finding.from_ms < until_ms and _matches(finding, wanted)
    ]
    return EventsFound(tuple(lines), last, tuple(types), (*names, contract.EDGE_DEVICE_NAME))


def _types_of(kind: str, present: Sequence[str]) -> Sequence[str]:
    if kind in (_ALL, _FINDINGS):
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
    return "Finding" if isinstance(line.what, Finding) else line.what.type


def _mark(line: Line) -> Mark | None:
    if isinstance(line.what, Finding):
        return Mark(*finding_words.look(line.what))
    return None
