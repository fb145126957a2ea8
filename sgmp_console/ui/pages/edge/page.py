"""The page of a house's edge: what it reports of itself, how that went over the last day, its devices, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.fleet import edge_details
from sgmp_console.fleet.devices_overview import DeviceOverview
from sgmp_console.fleet.edge_details import EdgeDetails
from sgmp_console.reports.home import Curve
from sgmp_console.store.findings import Finding
from sgmp_console.ui import edge_words, formats, house_words, plain_text
from sgmp_console.ui.charts.panes import Pane
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.dialogs.finding import FindingDialog
from sgmp_console.ui.edge_words import StatusText
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts import finding_rows
from sgmp_console.ui.parts.buttons import IconButton
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.facts import Fact, Facts
from sgmp_console.ui.parts.labels import ElidedLabel, label
from sgmp_console.ui.parts.live_page import LivePage
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.parts.table import RowsTable
from sgmp_console.ui.quantities import Quantity
from sgmp_console.watch.facts import BACKLOG_MS, CERTIFICATE_NOTICE_MS, CLOCK_OFF_MS, DISK_FREE_MB

_MARGIN = 16
_MIDDLE_HEIGHT, _LOW_HEIGHT = 260, 144
"""Pixels of the devices with the curves, and of the cards below them, at least."""
_SHARES = (11, 9)
"""Of the width, the left cards and the right ones."""
_WARNING = Mark("warning", "state_warning")
_PANES = (
    Pane("messages", (Quantity("backlog", "Backlog", "Backlog", "other"),), 10.0, True),
    Pane("GB", (Quantity("disk", "Free disk", "Free disk", "line_1"),), 1.0, True),
)


@dataclass(frozen=True)
class DeviceRow:
    """A device of the edge at `now_ms` (UTC). `poll_ms`: how long its last good poll took."""

    about: DeviceOverview
    state: StatusText
    poll_ms: int | None
    now_ms: int


def _newest(row: DeviceRow) -> str:
    newest_ms = row.about.newest_ms
    return formats.MISSING if newest_ms is None else formats.age(newest_ms, row.now_ms)


_COLUMNS: tuple[Column[DeviceRow], ...] = (
    Column("Device", lambda row: row.about.device.name, 120, strong=True),
    Column(
        "State",
        lambda row: row.state.text,
        mark=lambda row: Mark(row.state.icon, row.state.tint),
        tip=lambda row: f"{row.state.text}\n{row.state.tip}".strip(),
    ),
    Column("Newest", _newest, 96, sort=lambda row: float(row.about.newest_ms or -1), whole=True),
    Column(
        "Poll time",
        lambda row: formats.MISSING if row.poll_ms is None else f"{row.poll_ms:,}\u00a0ms",
        72,
        sort=lambda row: float(row.poll_ms or -1),
        right=True,
    ),
)


class EdgePage(LivePage[EdgeDetails]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, "The edge", loading="Loading the edge", parent=parent)
        self._may_act = services.session.may("manage_devices")
        self.set_content(self._build())

    # --- Building --------------------------------------------------------------------------------------------------

    def _build(self) -> QWidget:
        inside = QWidget()
        inside.setProperty("surface", "none")
        column = QVBoxLayout(inside)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        column.setSpacing(_MARGIN)
        head = QHBoxLayout()
        head.setSpacing(8)
        back = IconButton("chevron-left", "Back (Alt+Up)", size=16)
        back.clicked.connect(self.services.go_back)
        self.title = ElidedLabel("", "heading")
        head.addWidget(back)
        head.addWidget(self.title, 1)
        column.addLayout(head)
        about = Card("What it reports")
        self._reported = label("", "caption", "muted")
        about.header.addWidget(self._reported)
        self.facts = Facts("What the edge reports")
        about.body.addWidget(self.facts)
        column.addWidget(about)
        middle = QHBoxLayout()
        middle.setSpacing(_MARGIN)
        self.table: RowsTable[DeviceRow] = RowsTable(
            "Devices of the edge", _COLUMNS, lambda row: row.about.device.device_id
        )
        self.table.remember_widths(self.services.column_widths)
        self.table.activated.connect(self._open_device)
        plain_text.set_tip(self.table, "Enter or a double click shows the device.")
        devices = Card("Devices")
        devices.body.addWidget(self.table)
        curves = Card("Backlog and free disk, last 24 hours")
        self.chart = TimeChart(
            _PANES,
            self.services.draw_clock,
            self.services.tasks,
            "Backlog and free disk, last 24 hours",
            axis_width=104,
        )
        curves.body.addWidget(self.chart)
        for card, share in zip((devices, curves), _SHARES, strict=True):
            card.setMinimumHeight(_MIDDLE_HEIGHT)
            middle.addWidget(card, share)
        column.addLayout(middle, 3)
        low = QHBoxLayout()
        low.setSpacing(_MARGIN)
        self._findings_area = self._listing("Findings of the house, last 30 days", low, _SHARES[0])
        self._warnings_area = self._listing("Warnings of the edge, last 7 days", low, _SHARES[1])
        column.addLayout(low, 2)
        return ScrollArea(inside)

    def _listing(self, title: str, row: QHBoxLayout, share: int) -> ScrollArea:
        card, area = Card(title), ScrollArea(QWidget(), name=title)
        card.setMinimumHeight(_LOW_HEIGHT)
        card.body.addWidget(area, 1)
        row.addWidget(card, share)
        return area

    # --- Reading ---------------------------------------------------------------------------------------------------

    def reader(self, house_id: int) -> Callable[[], EdgeDetails]:
        database, now_ms, before = self.services.session.database, self.services.now_ms(), self.found

        def read() -> EdgeDetails:
            with database.begin() as connection:
                return edge_details.details(connection, house_id, now_ms, before)

        return read

    def show_found(self, found: EdgeDetails) -> None:
        zone = ZoneInfo(found.house.time_zone)
        self.title.set_whole(f"Edge of {found.house.name}")
        self.grow_older()
        self.chart.set_zone(zone)
        gap_ms = round(found.edge.silent_after_ms)
        curves = {
            name: Curve(name, unit, series, gap_ms=gap_ms)
            for name, unit, series in (
                ("backlog", "messages", found.day.backlog),
                ("disk", "GB", found.day.disk_free_gb),
            )
        }
        self.chart.set_curves(curves, found.day.start_ms, found.day.end_ms)
        acknowledge = self._take_note if self._may_act else None
        self._findings_area.replace(
            finding_rows.findings_of_a_page(
                found.findings, found.now_ms, zone, "Nothing was wrong with edge or house.", acknowledge
            )
        )
        self._warnings_area.replace(_warning_rows(found, zone))
        self.show_content()

    def grow_older(self) -> None:
        found, now_ms = self.found, self.services.now_ms()
        if found is None:
            return
        zone = ZoneInfo(found.house.time_zone)
        away = found.edge.is_away
        self._reported.setText("As of its last status: what it does now is not known." if away else "")
        self.facts.show_facts(_facts(found, now_ms, zone))
        self.table.set_rows(
            [
                DeviceRow(
                    one,
                    edge_words.device_state(one, found.edge, now_ms),
                    found.edge.poll_ms.get(one.device.name),
                    now_ms,
                )
                for one in found.devices
            ]
        )

    # --- Acts --------------------------------------------------------------------------------------------------------

    def _open_device(self) -> None:
        row = self.table.marked()
        if row is not None:
            self.services.show_device(row.about.device.name)

    def _take_note(self, finding: Finding) -> None:
        if self.found is not None:
            zone = ZoneInfo(self.found.house.time_zone)
            dialog = FindingDialog(self.services, finding, zone, self)
            dialog.acted.connect(self.reload_all)
            dialog.open()

    def take_focus(self) -> None:
        if self.is_content_shown():
            self.table.setFocus()
        else:
            super().take_focus()

    def shapes(self) -> Sequence[QRectF]:
        """Facts, devices beside curves, and cards below."""
        width, height = max(1, self.width() - 2 * _MARGIN), self.height()
        half = (width - _MARGIN) / 2
        top = 64 + 176 + _MARGIN
        middle = max(160.0, (height - top - 2 * _MARGIN) * 0.6)
        low = max(80.0, height - top - middle - 2 * _MARGIN)
        return (
            QRectF(_MARGIN, 64, width, 176),
            *(QRectF(_MARGIN + place * (half + _MARGIN), top, half, middle) for place in range(2)),
            *(
                QRectF(_MARGIN + place * (half + _MARGIN), top + middle + _MARGIN, half, low)
                for place in range(2)
            ),
        )


def _facts(found: EdgeDetails, now_ms: int, zone: ZoneInfo) -> list[Fact]:
    edge, report = found.edge, found.report
    presence, mark = house_words.presence(edge)
    sync = edge_words.sync_state(found.sync, edge, now_ms, zone)
    configuration, sync_mark = house_words.in_short(found.sync, edge)
    held = report.oldest_ms is not None and now_ms - report.oldest_ms > BACKLOG_MS
    low = report.disk_free_mb is not None and report.disk_free_mb < DISK_FREE_MB
    return [
        Fact("State", presence, f"{edge_words.edge_words(edge, now_ms)}.", mark),
        Fact("Last status", _age(found.heard_ms or edge.heard_ms, now_ms), _at(edge.heard_ms, now_ms, zone)),
        Fact(
            "Backlog",
            _count(edge.backlog, "message"),
            "Messages that it holds until the broker takes them."
            if report.oldest_ms is None
            else f"The oldest is of {formats.moment(report.oldest_ms, now_ms, zone)}.",
            _WARNING if held else None,
        ),
        Fact(
            "In memory only",
            _count(report.in_memory, "message"),
            "What no disk holds, since it is full or broken: lost with the power.",
            _WARNING if report.in_memory else None,
        ),
        Fact("Dropped", _count(report.dropped, "message"), "Lost since its outbox was made, which was full."),
        Fact(
            "Free disk",
            formats.MISSING
            if report.disk_free_mb is None
            else formats.measured(report.disk_free_mb / 1000, "GB"),
            "On the disk of its program's folder.",
            _WARNING if low else None,
        ),
        Fact("Clock", _clock(found.clock_off_ms), "Against the database's clock.", _clock_mark(found)),
        Fact(
            "Running for",
            formats.MISSING if report.uptime_s is None else formats.duration(1000 * report.uptime_s),
            "Since its program was started.",
        ),
        Fact(
            "Starts, last 24 h",
            f"{len(found.day.starts):,}",
            "\n".join(formats.moment(at_ms, now_ms, zone) for at_ms in found.day.starts[-20:])
            or "Its program was not started in this time, as far as it reported.",
        ),
        Fact(
            "Takeovers",
            formats.MISSING if report.takeovers is None else f"{report.takeovers:,}",
            "How often another program with this house's credentials cut it off, since the start.",
            _WARNING if report.takeovers else None,
        ),
        Fact("Certificate", *_certificate(found, now_ms, zone)),
        Fact("Software", edge.software or formats.MISSING, "Version of the edge's program."),
        Fact(
            "Polls",
            formats.MISSING if edge.poll_interval_s is None else f"each {edge.poll_interval_s:,.3g}\u00a0s",
            "Where a device's config says nothing else."
            if report.polls is None
            else f"Where a device's config says nothing else. {report.polls:,} gave readings since the start.",
        ),
        Fact("Configuration", configuration, sync.text, sync_mark),
        Fact(
            "Commands",
            {True: "Taken", False: "Not taken", None: formats.MISSING}[report.takes_commands],
            "Whether its config.py lets devices be controlled.",
        ),
    ]


def _count(number: int | None, noun: str) -> str:
    return formats.MISSING if number is None else formats.count(number, noun)


def _age(at_ms: int | None, now_ms: int) -> str:
    return formats.MISSING if at_ms is None else formats.age(at_ms, now_ms)


def _at(at_ms: int | None, now_ms: int, zone: ZoneInfo) -> str:
    if at_ms is None:
        return "It has never reported."
    return f"By the edge's clock at {formats.moment(at_ms, now_ms, zone, seconds=True)}."


def _clock(off_ms: int | None) -> str:
    if off_ms is None:
        return formats.MISSING
    if abs(off_ms) < 2000:
        return "Right"
    return f"{formats.duration(abs(off_ms))} {'ahead' if off_ms > 0 else 'behind'}"


def _clock_mark(found: EdgeDetails) -> Mark | None:
    return _WARNING if found.clock_off_ms is not None and abs(found.clock_off_ms) > CLOCK_OFF_MS else None


def _certificate(found: EdgeDetails, now_ms: int, zone: ZoneInfo) -> tuple[str, str, Mark | None]:
    expires_ms = found.edge.certificate_expires_ms
    if expires_ms is None:
        return formats.MISSING, "This edge does not report when its certificate expires.", None
    when = formats.moment(expires_ms, now_ms, zone)
    if expires_ms <= now_ms:
        return (
            f"Expired {formats.age(expires_ms, now_ms)}",
            f"It expired on {when}.",
            Mark("fault", "state_fault"),
        )
    left = formats.duration(expires_ms - now_ms)
    mark = _WARNING if expires_ms - now_ms < CERTIFICATE_NOTICE_MS else None
    return f"Valid for {left}", f"The certificate that it connects with expires on {when}.", mark


def _warning_rows(found: EdgeDetails, zone: ZoneInfo) -> QWidget:
    rows, column = finding_rows.listing()
    for event in found.warnings:
        text = event.data.get("data")
        when = formats.moment(event.timestamp_ms, found.now_ms, zone, seconds=True)
        said = text if isinstance(text, str) and text else "It warned without a text"
        column.addWidget(finding_rows.row("warning", "state_warning", said, when))
    if not found.warnings:
        column.addWidget(label("The edge warned of nothing.", "body", "muted", wraps=True))
    return rows
