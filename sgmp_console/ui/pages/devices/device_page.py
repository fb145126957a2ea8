"""The page of one device: its fields as they are now and over any period, how its polls end, what is wrong with it, and what was
changed of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from PySide6.QtCore import QRectF, QSignalBlocker
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.fleet import device_details
from sgmp_console.fleet.device_details import DeviceDetails, NoDevices
from sgmp_console.store import AuditEntry, Device
from sgmp_console.store.findings import Finding
from sgmp_console.ui import audit_words, edge_words, formats
from sgmp_console.ui.charts import outcome_strip
from sgmp_console.ui.charts.outcome_strip import OutcomeStrip
from sgmp_console.ui.dialogs.finding import FindingDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.devices import field_rows
from sgmp_console.ui.pages.devices.curve_card import CurveCard
from sgmp_console.ui.pages.devices.editor import DeviceEditor
from sgmp_console.ui.pages.devices.field_rows import FieldRow
from sgmp_console.ui.parts import finding_rows
from sgmp_console.ui.parts.buttons import ComboBox, IconButton, button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.facts import Fact, Facts
from sgmp_console.ui.parts.labels import ElidedLabel, label
from sgmp_console.ui.parts.live_page import LivePage
from sgmp_console.ui.parts.message_bar import MessageBar, Tone
from sgmp_console.ui.parts.rows import Mark
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.parts.table import RowsTable
from sgmp_edge import contract

_MARGIN = 16
_CHOICE_WIDTH = 200
_MIDDLE_HEIGHT, _LOW_HEIGHT = 300, 200
"""Pixels of the fields with their curve, and of the cards below them, at least."""
_FIELDS_WIDTH = 420
"""Pixels of the fields at least: name, value and age of the usual ones."""
_OUTCOMES_LISTED = 30
_FEW_READINGS = 0.95
"""Of the readings that should have come: less is marked."""


class DevicePage(LivePage[DeviceDetails | NoDevices]):
    """Which device it is of stands in `Services.device`, since the page itself is not kept."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, "The device", loading="Loading the device", parent=parent)
        self._may_edit = services.session.may("manage_devices")
        self.set_content(self._build())

    # --- Building --------------------------------------------------------------------------------------------------

    def _build(self) -> QWidget:
        inside = QWidget()
        inside.setProperty("surface", "none")
        column = QVBoxLayout(inside)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        column.setSpacing(_MARGIN)
        column.addLayout(self._build_head())
        self._about = Card("")
        self.facts = Facts("State of the device")
        self._about.body.addWidget(self.facts)
        column.addWidget(self._about)
        self.table: RowsTable[FieldRow] = RowsTable(
            "Fields", field_rows.COLUMNS, lambda row: row.now.field, steady=True
        )
        self.table.remember_widths(self.services.column_widths)
        self.table.selectionModel().selectionChanged.connect(self._field_chosen)
        self._fields_card = Card("Fields")
        self._fields_card.setMinimumWidth(_FIELDS_WIDTH)
        self._fields_count = label("", "caption", "muted")
        self._fields_card.header.addWidget(self._fields_count)
        self._fields_card.body.addWidget(self.table)
        self.curve = CurveCard(self.services, self._say)
        middle = QHBoxLayout()
        middle.setSpacing(_MARGIN)
        for card in (self._fields_card, self.curve):
            card.setMinimumHeight(_MIDDLE_HEIGHT)
            middle.addWidget(card, 1)
        column.addLayout(middle, 3)
        low = QHBoxLayout()
        low.setSpacing(_MARGIN)
        self.strip = OutcomeStrip()
        self._outcomes_area = self._listing("Polls, last 24 hours", low, self.strip)
        self._findings_area = self._listing("Findings, last 30 days", low)
        self._history_area = self._listing("Configuration history", low)
        column.addLayout(low, 2)
        page = QWidget()
        page.setProperty("surface", "none")
        whole = QVBoxLayout(page)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(ScrollArea(inside), 1)
        self.bar = MessageBar()
        self.bar.acted.connect(self.bar.hide_message)
        whole.addWidget(self.bar)
        return page

    def _build_head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        head.setSpacing(8)
        back = IconButton("chevron-left", "Back (Alt+Up)", size=16)
        back.clicked.connect(self.services.go_back)
        self.title = ElidedLabel("", "heading")
        self.choice = ComboBox()
        self.choice.setAccessibleName("Device")
        self.choice.setFixedWidth(_CHOICE_WIDTH)
        self.choice.activated.connect(self._choose_device)
        self.edit = button("Edit" if self._may_edit else "Show config", self._open_editor)
        head.addWidget(back)
        head.addWidget(self.title, 1)
        head.addWidget(self.choice)
        head.addWidget(button("Show edge", self._show_edge))
        head.addWidget(self.edit)
        return head

    def _listing(self, title: str, row: QHBoxLayout, above: QWidget | None = None) -> ScrollArea:
        card, area = Card(title), ScrollArea(QWidget(), name=title)
        card.setMinimumHeight(_LOW_HEIGHT)
        if above is not None:
            card.body.addWidget(above)
        card.body.addWidget(area, 1)
        row.addWidget(card, 1)
        return area

    # --- Reading ---------------------------------------------------------------------------------------------------

    def reader(self, house_id: int) -> Callable[[], DeviceDetails | NoDevices]:
        database, now_ms, choice = (
            self.services.session.database,
            self.services.now_ms(),
            self.services.device,
        )
        name = choice.name if choice.house_id == house_id else ""
        before = self.found if isinstance(self.found, DeviceDetails) else None

        def read() -> DeviceDetails | NoDevices:
            with database.begin() as connection:
                return device_details.details(connection, house_id, name, now_ms, before)

        return read

    def forget(self) -> None:
        self.curve.forget()
        self.table.set_rows(())

    def show_found(self, found: DeviceDetails | NoDevices) -> None:
        if isinstance(found, NoDevices):
            self.show_notice(
                EmptyState(
                    "device",
                    f"{found.house.name} has no devices yet",
                    "Devices are created on the page Devices.",
                    (("devices", "Show Devices"),),
                )
            )
            return
        device = found.about.device
        self.services.device.name, self.services.device.house_id = device.name, device.house_id
        self.title.set_whole(device.name)
        self._about.set_title(_what(device))
        with QSignalBlocker(self.choice):
            self.choice.set_choices([(name, name) for name in found.names])
            self.choice.setCurrentIndex(self.choice.findData(device.name))
        self.grow_older()
        zone = ZoneInfo(found.house.time_zone)
        self.strip.show_runs(found.recent.outcomes, zone)
        self._outcomes_area.replace(_outcome_rows(found, zone))
        acknowledge = self._take_note if self._may_edit else None
        self._findings_area.replace(
            finding_rows.findings_of_a_page(
                found.findings, found.now_ms, zone, "Nothing was wrong with this device.", acknowledge
            )
        )
        self._history_area.replace(_history_rows(found, zone))
        self.show_content()
        self._choose_field(found)

    def grow_older(self) -> None:
        found, now_ms = self.found, self.services.now_ms()
        if not isinstance(found, DeviceDetails):
            return
        self.facts.show_facts(_facts(found, now_ms))
        self.table.set_rows(field_rows.rows(found, now_ms))
        self._fields_count.setText(formats.count(len(found.fields), "field"))

    def acted(self, id_: str) -> None:
        self.services.navigate(id_)

    # --- Which device, which field ----------------------------------------------------------------------------------

    def _choose_device(self, place: int) -> None:
        self.services.device.name, self.services.device.field = self.choice.itemData(place), ""
        self.begin()
        self.reload()

    def _choose_field(self, found: DeviceDetails) -> None:
        """The one that was chosen, else the first that is current, else the first that ever was."""
        chosen = self.services.device.field
        rows = field_rows.rows(found, found.now_ms)
        known = [row for row in rows if row.now.reading is not None]
        if chosen not in [row.now.field for row in known]:
            current = [row for row in known if not row.is_stale] or known
            chosen = current[0].now.field if current else ""
        if not chosen:
            return
        self.services.device.field = chosen
        if not self.table.chosen():
            self.table.select({chosen})
        self.curve.show_field(found.house, found.about.device.name, chosen)

    def _field_chosen(self) -> None:
        chosen, found = self.table.chosen(), self.found
        if chosen and chosen[0].now.reading is not None and isinstance(found, DeviceDetails):
            self.services.device.field = chosen[0].now.field
            self.curve.show_field(found.house, found.about.device.name, chosen[0].now.field)

    # --- Acts --------------------------------------------------------------------------------------------------------

    def _show_edge(self) -> None:
        self.services.navigate("edge")

    def _open_editor(self) -> None:
        found = self.found
        if isinstance(found, DeviceDetails):
            editor = DeviceEditor(self.services, found.house, found.about.device, set(found.names), self)
            editor.saved.connect(self.reload_all)
            editor.open()

    def _take_note(self, finding: Finding) -> None:
        found = self.found
        if isinstance(found, DeviceDetails):
            zone = ZoneInfo(found.house.time_zone)
            dialog = FindingDialog(self.services, finding, zone, self)
            dialog.acted.connect(self.reload_all)
            dialog.open()

    def _say(self, tone: Tone, text: str) -> None:
        self.bar.say(tone, text, (("dismiss", "Dismiss"),))

    # --- Focus and place ---------------------------------------------------------------------------------------------

    def take_focus(self) -> None:
        if self.is_content_shown():
            self.table.setFocus()
        else:
            super().take_focus()

    def shapes(self) -> Sequence[QRectF]:
        """Facts, fields beside their curve, and cards below."""
        width, height = max(1, self.width() - 2 * _MARGIN), self.height()
        half, third = (width - _MARGIN) / 2, (width - 2 * _MARGIN) / 3
        top = 64 + 72 + _MARGIN
        middle = max(160.0, (height - top - 2 * _MARGIN) * 0.6)
        low = max(80.0, height - top - middle - 2 * _MARGIN)
        return (
            QRectF(_MARGIN, 64, width, 72),
            *(QRectF(_MARGIN + place * (half + _MARGIN), top, half, middle) for place in range(2)),
            *(
                QRectF(_MARGIN + place * (third + _MARGIN), top + middle + _MARGIN, third, low)
                for place in range(3)
            ),
        )


def _what(device: Device) -> str:
    kind = contract.device_types().get(device.type)
    return ", ".join(filter(None, (kind.title if kind else device.type, device.description)))


def _facts(found: DeviceDetails, now_ms: int) -> list[Fact]:
    rhythm = found.rhythm
    state = edge_words.device_state(found.about, found.edge, now_ms)
    newest_ms = found.about.newest_ms
    users = found.about.used_by
    few = rhythm.share is not None and rhythm.share < _FEW_READINGS
    hours = formats.duration(device_details.RECENT_MS)
    return [
        Fact("State", state.text, state.tip, Mark(state.icon, state.tint)),
        Fact(
            "Newest reading",
            formats.MISSING if newest_ms is None else formats.age(newest_ms, now_ms),
        ),
        Fact(
            "Interval",
            f"{_seconds(rhythm.seen_s)}, expected {_seconds(rhythm.expected_s)}",
            f"The usual time between two readings in the last {hours}: {_seconds(rhythm.seen_s)}. By its configuration: "
            f"{_seconds(rhythm.expected_s)}.",
        ),
        Fact(
            f"Readings, last {hours}",
            f"{rhythm.readings:,}"
            if rhythm.expected is None
            else f"{rhythm.readings:,} of {rhythm.expected:,}",
            "How many times there were readings, of those that there should have been.",
            Mark("warning", "state_warning") if few else None,
        ),
        Fact(
            "Poll time",
            formats.MISSING if rhythm.poll_ms is None else f"{rhythm.poll_ms:,}\u00a0ms",
            "How long the last good poll took, as the edge reported it.",
        ),
        Fact("Used by", _users(users), "\n".join(users)),
    ]


def _users(users: Sequence[str]) -> str:
    return formats.count(len(users), "item") if len(users) > 1 else "".join(users) or "No item"


def _seconds(seconds: float | None) -> str:
    return (
        formats.MISSING
        if seconds is None
        else f"{seconds:,.3g}\u00a0s"
        if seconds < 60
        else formats.duration(round(seconds * 1000))
    )


def _outcome_rows(found: DeviceDetails, zone: ZoneInfo) -> QWidget:
    """The newest first, without what was well unless nothing else was."""
    rows, column = finding_rows.listing()
    listed = [run for run in reversed(found.recent.outcomes) if run.outcome != contract.Outcome.OK]
    if not listed:
        column.addWidget(label("All polls gave readings.", "body", "muted", wraps=True))
    for run in listed[:_OUTCOMES_LISTED]:
        words, tint = edge_words.outcome_look(run.outcome)
        icon = {"state_fault": "fault", "state_warning": "clock"}.get(tint, "offline")
        lasted = formats.duration(run.end_ms - run.start_ms)
        when = outcome_strip.times(run, zone)
        column.addWidget(finding_rows.row(icon, tint or "ink_muted", words, f"{when}, {lasted}"))
    if len(listed) > _OUTCOMES_LISTED:
        column.addWidget(label(f"and {len(listed) - _OUTCOMES_LISTED:,} earlier", "caption", "muted"))
    return rows


def _history_rows(found: DeviceDetails, zone: ZoneInfo) -> QWidget:
    rows, column = finding_rows.listing()
    for entry in found.history:
        when = formats.moment(entry.at_ms, found.now_ms, zone)
        column.addWidget(finding_rows.row("info", "ink_muted", _change(entry), f"{entry.actor}, {when}"))
    if not found.history:
        column.addWidget(label("Nothing was changed of it.", "body", "muted", wraps=True))
    return rows


def _change(entry: AuditEntry) -> str:
    """What was changed, setting by setting; a secret only by its name."""
    about = "" if entry.kind == "device" else f"{audit_words.kind(entry)} {entry.subject}: "
    if entry.act != "change":
        return f"{about}{audit_words.act(entry).capitalize()}"
    return f"{about}{', '.join(_setting(*difference) for difference in audit_words.differences(entry))}"


def _setting(name: str, before: str, after: str) -> str:
    name = name.removeprefix("config.")
    if before == after:
        return f"{name} (secret)"
    if audit_words.NONE in (before, after):
        return f"{name}: {after}" if before == audit_words.NONE else f"{name}: not set, was {before}"
    return f"{name}: {before} → {after}"
