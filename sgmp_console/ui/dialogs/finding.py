"""Taking note of a finding: what it says, what to do, and until when nobody needs to be reminded of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from sgmp_console.errors import UserError
from sgmp_console.store import findings
from sgmp_console.store.findings import Finding, State
from sgmp_console.ui import finding_words, fonts
from sgmp_console.ui.dialogs.act_dialog import ActDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox, button
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.tasks import Report

_MORNING = time(7)
_NOTE_LENGTH = 2000


class FindingDialog(ActDialog):
    """`acted`: it was acknowledged, silenced, or that was taken back."""

    acted = Signal()

    def __init__(self, services: Services, finding: Finding, zone: ZoneInfo, parent: QWidget) -> None:
        super().__init__(services, "Take note of a finding", "Acknowledge", parent)
        self._finding = finding
        self._zone = zone
        sentence = finding_words.said(finding, zone.key)
        now_ms = services.now_ms()
        self.body.addWidget(label(sentence.text, "strong", wraps=True))
        self.body.addWidget(label(finding_words.when(finding, now_ms, zone), "caption", "muted", wraps=True))
        if sentence.to_do:
            self.body.addWidget(label(sentence.to_do, "body", "secondary", wraps=True))
        self.until = ComboBox()
        self.until.setFont(fonts.font("body"))
        for text in ("Until it is over", "1 hour", "8 hours", "Until tomorrow, 07:00", "A week"):
            self.until.addItem(text)
        self.text = QLineEdit(finding.note if finding.state is not State.ACTIVE else "")
        self.text.setFont(fonts.font("body"))
        self.text.setMaxLength(_NOTE_LENGTH)
        self.body.addWidget(
            Field("For how long", self.until, "Nobody is reminded of it until then; it ends by itself.")
        )
        self.body.addWidget(
            Field("Note", self.text, "What others should know: who is on it, what was tried.")
        )
        self.body.addStretch(1)
        if finding.state is not State.ACTIVE:
            back = button("Take the acknowledgement back", self._reopen, "quiet")
            self.body.addWidget(back, alignment=Qt.AlignmentFlag.AlignLeft)
        self.text.setFocus()

    def perform(self) -> None:
        until_ms, note, finding_id = self._until_ms(), self.text.text(), self._finding.finding_id

        def act(connection: sa.Connection) -> bool:
            if until_ms is None:
                return findings.acknowledge(connection, finding_id, note)
            return findings.silence(connection, finding_id, until_ms, note)

        self._act(act, "Acknowledging")

    def _reopen(self) -> None:
        finding_id, note = self._finding.finding_id, self.text.text()
        self._act(lambda connection: findings.reopen(connection, finding_id, note), "Taking it back")

    def _act(self, act: Callable[[sa.Connection], bool], doing: str) -> None:
        database = self.services.session.database

        def do(_report: Report) -> None:
            with database.begin() as connection:
                if not act(connection):
                    raise UserError("It is over already.")

        self.run(do, self._done, doing)

    def _done(self, _: None) -> None:
        self.acted.emit()
        self.accept()

    def _until_ms(self) -> int | None:
        now_ms = self.services.now_ms()
        hours = {1: 1, 2: 8, 4: 7 * 24}.get(self.until.currentIndex())
        if hours is not None:
            return now_ms + hours * 3_600_000
        if self.until.currentIndex() == 0:
            return None
        tomorrow = datetime.fromtimestamp(now_ms / 1000, self._zone).date() + timedelta(days=1)
        return int(datetime.combine(tomorrow, _MORNING, self._zone).timestamp() * 1000)
