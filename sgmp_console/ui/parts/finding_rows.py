"""Findings as rows of a card: what is wrong, since when, who takes care of it, and the buttons for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from functools import partial
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from sgmp_console.store.findings import Finding, State
from sgmp_console.ui import finding_words
from sgmp_console.ui.parts.buttons import IconButton
from sgmp_console.ui.parts.labels import IconLabel, label

_MAX_ROWS = 50
"""Of a kind: a house with more has one problem, not fifty."""


def add_findings(
    column: QVBoxLayout,
    findings: Sequence[Finding],
    now_ms: int,
    zone: tzinfo,
    zone_name: str,
    *,
    acknowledge: Callable[[Finding], None] | None = None,
    show_page: Callable[[Finding], None] | None = None,
) -> None:
    """`acknowledge`: what the button of an open one does; None where the account may not. `show_page`: what the button of one that
    is about a device or the edge does; None where there is nothing to go to."""
    for finding in findings[:_MAX_ROWS]:
        said = finding_words.said(finding, zone_name)
        buttons = []
        if acknowledge is not None and finding.is_open:
            verb = "Acknowledge" if finding.state is State.ACTIVE else "Change the acknowledgement"
            buttons.append(_button("check", verb, said.text, partial(acknowledge, finding)))
        if show_page is not None and (page := finding_words.page_of(finding)):
            verb = "Show the device" if page == "device" else "Show the edge"
            buttons.append(_button("chevron-right", verb, said.text, partial(show_page, finding)))
        ink = "primary" if finding.is_open and finding.state is State.ACTIVE else "muted"
        when = finding_words.when(finding, now_ms, zone)
        column.addWidget(row(*finding_words.look(finding), said.text, when, ink, buttons))
    if len(findings) > _MAX_ROWS:
        column.addWidget(label(f"and {len(findings) - _MAX_ROWS:,} more", "caption", "muted"))


def findings_of_a_page(
    findings: Sequence[Finding],
    now_ms: int,
    zone: ZoneInfo,
    nothing: str,
    acknowledge: Callable[[Finding], None] | None,
) -> QWidget:
    """All of them, open or over; the sentence `nothing` where there are none."""
    rows, column = listing()
    add_findings(column, findings, now_ms, zone, zone.key, acknowledge=acknowledge)
    if not findings:
        column.addWidget(label(nothing, "body", "muted", wraps=True))
    return rows


def listing() -> tuple[QWidget, QVBoxLayout]:
    """What a card's scroll area holds, and where its rows go."""
    rows = QWidget()
    rows.setProperty("surface", "none")
    column = QVBoxLayout(rows)
    column.setContentsMargins(0, 0, 8, 0)
    column.setSpacing(10)
    column.setAlignment(Qt.AlignmentFlag.AlignTop)
    return rows, column


def row(
    icon: str, tint: str, text: str, detail: str, ink: str = "primary", buttons: Sequence[QWidget] = ()
) -> QWidget:
    """What is said with a mark, and below it the details."""
    made = QWidget()
    made.setAccessibleName(f"{text}, {detail}" if detail else text)
    grid = QGridLayout(made)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(1, 1)
    grid.addWidget(IconLabel(icon, tint), 0, 0, Qt.AlignmentFlag.AlignTop)
    grid.addWidget(label(text, "body", ink, wraps=True), 0, 1)
    if detail:
        grid.addWidget(label(detail, "caption", "muted", wraps=True), 1, 1)
    for place, button in enumerate(buttons, start=2):
        grid.addWidget(button, 0, place, 2, 1, Qt.AlignmentFlag.AlignTop)
    return made


def _button(icon: str, verb: str, about: str, do: Callable[[], None]) -> IconButton:
    made = IconButton(icon, verb, size=16)
    made.setAccessibleDescription(about)
    made.clicked.connect(do)
    return made
