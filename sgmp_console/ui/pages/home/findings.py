"""What is wrong with the house: active first; what is over is folded away, with how long it lasted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sgmp_console.fleet.edge_state import Presence
from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.store.findings import Finding, State
from sgmp_console.ui import finding_words, formats
from sgmp_console.ui.parts import finding_rows
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.scroll_area import ScrollArea

_TIMES_MOVE_MS = 60_000
"""How long it lasts is written in minutes."""

_AWAY = {
    Presence.OFFLINE: ("The edge is offline", "The broker lost it {ago}."),
    Presence.SILENT: ("The edge is silent", "It last reported {ago}."),
    Presence.STOPPED: ("The edge was stopped", "It ended as it should {ago}."),
}


class FindingsCard(Card):
    """`chosen` carries the Finding that somebody wants to take note of, `page_wanted` the one whose device or edge somebody wants
    to see."""

    chosen = Signal(object)
    page_wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Findings", parent)
        self._count = label("", "caption", "muted")
        self.header.addWidget(self._count)
        self._may_act = self._has_pages = False
        self._shown: object = None
        self._last: tuple[HomeSnapshot, int, tzinfo] | None = None
        self._unfolded = False
        self._area = ScrollArea(QWidget(), name="Findings")
        self.body.addWidget(self._area, 1)

    def set_may_act(self, may: bool) -> None:
        """Whether the account may acknowledge."""
        self._may_act = may

    def set_has_pages(self, has_pages: bool) -> None:
        """Whether the account may see pages of devices and edges."""
        self._has_pages = has_pages

    def show_findings(self, snapshot: HomeSnapshot, now_ms: int, zone: tzinfo) -> None:
        remark = _remark(snapshot, now_ms)
        heard = snapshot.is_heard(now_ms)
        minute = now_ms // _TIMES_MOVE_MS
        now = (snapshot.findings, snapshot.time_zone, remark, heard, self._unfolded, minute)
        if now == self._shown:
            return
        self._shown = now
        self._last = (snapshot, now_ms, zone)
        active = [one for one in snapshot.findings if one.state is State.ACTIVE]
        noted = [one for one in snapshot.findings if one.is_open and one.state is not State.ACTIVE]
        over = [one for one in snapshot.findings if not one.is_open]
        self._count.setText(f"{len(active):,} active" if active else "")
        rows = QWidget()
        rows.setProperty("surface", "none")
        column = QVBoxLayout(rows)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(12)
        if remark is not None:
            column.addWidget(finding_rows.row("offline", "state_warning", *remark))
        self._add(column, active, snapshot, now_ms, zone)
        self._add(column, noted, snapshot, now_ms, zone)
        if not active and not noted and remark is None:
            if heard:
                column.addWidget(finding_rows.row("check", "state_ok", "Nothing is wrong", ""))
            else:
                text = "No device of this house has delivered a reading yet."
                column.addWidget(label(text, "body", "muted", wraps=True))
        if over:
            verb = "Hide" if self._unfolded else "Show"
            column.addWidget(
                button(f"{verb} {len(over):,} resolved today", self._fold, "quiet"),
                alignment=Qt.AlignmentFlag.AlignLeft,
            )
        if self._unfolded:
            self._add(column, over, snapshot, now_ms, zone)
        column.addStretch(1)
        self._area.replace(rows)

    def _add(
        self,
        column: QVBoxLayout,
        findings: Sequence[Finding],
        snapshot: HomeSnapshot,
        now_ms: int,
        zone: tzinfo,
    ) -> None:
        finding_rows.add_findings(
            column,
            findings,
            now_ms,
            zone,
            snapshot.time_zone,
            acknowledge=self.chosen.emit if self._may_act else None,
            show_page=self.page_wanted.emit if self._has_pages else None,
        )

    def _fold(self) -> None:
        self._unfolded = not self._unfolded
        if self._last is not None:
            self.show_findings(*self._last)


def _remark(snapshot: HomeSnapshot, now_ms: int) -> tuple[str, str] | None:
    """Why no green tick may stand here, as long as no finding says it."""
    if problem := finding_words.watch_problem(snapshot.watched_ms, now_ms):
        return problem, "What is listed here may be over, and what is wrong may be missing."
    if any(finding.is_open for finding in snapshot.findings):
        return None
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
