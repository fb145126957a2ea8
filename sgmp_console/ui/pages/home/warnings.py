"""Warnings of today, grouped: what is wrong, how often, since when."""

from __future__ import annotations

from datetime import tzinfo

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QScrollArea, QVBoxLayout, QWidget

from sgmp_console.reports.home import WarningGroup
from sgmp_console.ui import formats
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import IconLabel, label

_AT_MOST = 50
"""Rows shown; who has more has one problem, not fifty."""


class WarningsCard(Card):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Warnings today", parent)
        self._count = label("", "caption", "muted")
        self.header.addWidget(self._count)
        self._shown: tuple[tuple[WarningGroup, ...], str] | None = None
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setAccessibleName("Warnings today")
        self.body.addWidget(self._area, 1)

    def set_warnings(self, groups: tuple[WarningGroup, ...], zone: tzinfo) -> None:
        if (groups, str(zone)) == self._shown:
            return
        self._shown = (groups, str(zone))
        self._count.setText(formats.count(sum(group.count for group in groups), "warning") if groups else "")
        rows = QWidget()
        rows.setProperty("surface", "none")
        column = QVBoxLayout(rows)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(12)
        if not groups:
            column.addWidget(
                _row("check", "state_ok", "No warnings", "No device of this house has warned since midnight.")
            )
        for group in groups[:_AT_MOST]:
            column.addWidget(_row("warning", "state_warning", group.text, _when(group, zone)))
        if len(groups) > _AT_MOST:
            column.addWidget(label(f"and {len(groups) - _AT_MOST} more", "caption", "muted"))
        column.addStretch(1)
        self._area.setWidget(rows)


def _when(group: WarningGroup, zone: tzinfo) -> str:
    first = formats.clock(formats.local(group.first_ms, zone))
    last = formats.clock(formats.local(group.last_ms, zone))
    if group.count == 1:
        return f"{group.device} · once at {first}"
    return f"{group.device} · {group.count:,} times, {first} to {last}"


def _row(icon: str, tint: str, text: str, detail: str) -> QWidget:
    row = QWidget()
    row.setAccessibleName(f"{text}, {detail}")
    grid = QGridLayout(row)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(1, 1)
    grid.addWidget(IconLabel(icon, tint), 0, 0, Qt.AlignmentFlag.AlignTop)
    grid.addWidget(label(text, "body", wraps=True), 0, 1)
    grid.addWidget(label(detail, "caption", "muted", wraps=True), 1, 1)
    return row
