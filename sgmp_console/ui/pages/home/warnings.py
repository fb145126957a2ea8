"""What is wrong with the house: active first; what is over is folded away, with how long it lasted."""

from __future__ import annotations

from datetime import tzinfo

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QScrollArea, QVBoxLayout, QWidget

from sgmp_console.fleet.edge_state import Presence
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.ui import formats
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import IconLabel, label
from sgmp_console.watch.warnings import WarningGroup

_MAX_ROWS = 50
"""Of a kind: a house with more has one problem, not fifty."""

_AWAY = {
    Presence.OFFLINE: (
        "The edge is offline",
        "The broker lost it {ago}. It keeps its readings until it is back.",
    ),
    Presence.SILENT: (
        "The edge is silent",
        "It last reported {ago}. It keeps its readings until it is back.",
    ),
    Presence.STOPPED: (
        "The edge was stopped",
        "It ended as it should {ago}; nothing is measured until it is started.",
    ),
}


class WarningsCard(Card):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Warnings", parent)
        self._count = label("", "caption", "muted")
        self.header.addWidget(self._count)
        self._shown: object = None
        self._last: tuple[HomeSnapshot, int, tzinfo] | None = None
        self._unfolded = False
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setAccessibleName("Warnings")
        self.body.addWidget(self._area, 1)

    def show_warnings(self, snapshot: HomeSnapshot, now_ms: int, zone: tzinfo) -> None:
        house = _house_row(snapshot, now_ms)
        heard = snapshot.is_heard(now_ms)
        now = (snapshot.warnings, str(zone), house, heard, self._unfolded)
        if now == self._shown:
            return
        self._shown = now
        self._last = (snapshot, now_ms, zone)
        active = [group for group in snapshot.warnings if group.is_active]
        over = [group for group in snapshot.warnings if not group.is_active]
        number = len(active) + (house is not None)
        self._count.setText(f"{number:,} active" if number else "")
        rows = QWidget()
        rows.setProperty("surface", "none")
        column = QVBoxLayout(rows)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(12)
        if house is not None:
            column.addWidget(_row("fault", "state_fault", *house))
        for group in active[:_MAX_ROWS]:
            column.addWidget(_row("warning", "state_warning", group.text, _when(group, now_ms, zone)))
        _add_more(column, len(active))
        if not number and heard:
            column.addWidget(_row("check", "state_ok", "No active warnings", ""))
        elif not number:
            column.addWidget(
                label("No device of this house has delivered a reading yet.", "body", "muted", wraps=True)
            )
        if over:
            verb = "Hide" if self._unfolded else "Show"
            column.addWidget(
                button(f"{verb} {len(over):,} resolved today", self._fold, "quiet"),
                alignment=Qt.AlignmentFlag.AlignLeft,
            )
        if self._unfolded:
            for group in over[:_MAX_ROWS]:
                column.addWidget(_row("check", "ink_muted", group.text, _when(group, now_ms, zone), "muted"))
            _add_more(column, len(over))
        column.addStretch(1)
        self._area.setWidget(rows)

    def _fold(self) -> None:
        self._unfolded = not self._unfolded
        if self._last is not None:
            self.show_warnings(*self._last)


def _house_row(snapshot: HomeSnapshot, now_ms: int) -> tuple[str, str] | None:
    """What is wrong with the whole house."""
    edge, newest_ms = snapshot.edge, snapshot.newest_ms
    if edge is not None and edge.presence in _AWAY and edge.heard_ms is not None:
        title, detail = _AWAY[edge.presence]
        return title, detail.format(ago=formats.age(edge.heard_ms, now_ms))
    if newest_ms is not None and not snapshot.is_heard(now_ms):
        return (
            "Nothing is heard from this house",
            f"The newest reading came {formats.age(newest_ms, now_ms)}.",
        )
    return None


def _when(group: WarningGroup, now_ms: int, zone: tzinfo) -> str:
    first = formats.moment(group.first_ms, now_ms, zone)
    if group.resolved_ms is not None:
        lasted = formats.duration(group.resolved_ms - group.first_ms)
        return f"{group.device} · {first} to {formats.moment(group.resolved_ms, now_ms, zone)}, {lasted}"
    if group.is_outage:
        return f"{group.device} · since {first}"
    if group.count == 1:
        return f"{group.device} · once at {first}"
    return f"{group.device} · {group.count:,} times, {first} to {formats.moment(group.last_ms, now_ms, zone)}"


def _add_more(column: QVBoxLayout, count: int) -> None:
    if count > _MAX_ROWS:
        column.addWidget(label(f"and {count - _MAX_ROWS:,} more", "caption", "muted"))


def _row(icon: str, tint: str, text: str, detail: str, ink: str = "primary") -> QWidget:
    row = QWidget()
    row.setAccessibleName(f"{text}, {detail}" if detail else text)
    grid = QGridLayout(row)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(1, 1)
    grid.addWidget(IconLabel(icon, tint), 0, 0, Qt.AlignmentFlag.AlignTop)
    grid.addWidget(label(text, "body", ink, wraps=True), 0, 1)
    if detail:
        grid.addWidget(label(detail, "caption", "muted", wraps=True), 1, 1)
    return row
