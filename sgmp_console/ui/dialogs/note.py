"""A note on a time of a house: written, or changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtWidgets import QLineEdit, QWidget

from sgmp_console.reports import periods
from sgmp_console.reports.periods import PeriodError
from sgmp_console.store import notes
from sgmp_console.store.notes import Note, NoteKind
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import CheckBox, ComboBox
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Report

_FORM = "such as 2026-06-01 22:00"


def may_write(session: Session, *, excluded: bool = False) -> bool:
    """Whether the account may write a note; one that excludes its time changes what figures say, as an item does."""
    return session.may("manage_analytics") or (session.may("manage_devices") and not excluded)


class NoteDialog(FormDialog[Note]):
    """`saved` carries the note as it is stored. One with the id 0 is new."""

    def __init__(self, services: Services, note: Note, zone: str, parent: QWidget) -> None:
        title, verb = ("Change note", "Save note") if note.note_id else ("Add note", "Add note")
        super().__init__(
            services, title, verb, "Storing the note", parent, context=f"Times in {zone.replace('_', ' ')}"
        )
        self._before = note
        self._zone = zone
        self.kind = ComboBox()
        for kind in NoteKind:
            self.kind.addItem(kind.title, kind)
        self.starts, self.ends, self.text = QLineEdit(), QLineEdit(), QLineEdit()
        self.text.setMaxLength(notes.MAX_TEXT)
        self.excluded = CheckBox("Exclude from means and sums")
        self.add_field("Kind", self.kind)
        self.add_field(
            "From", self.starts, f"By the clock of the house, {_FORM}.", check=self._starts_problem
        )
        self.add_field("To", self.ends, check=self._ends_problem)
        self.add_field("Note", self.text, "What others should know of this time.")
        effect = (
            "Its five-minute slots count as not covered in all figures, charts and files, for everybody. The readings "
            "stay: included again, every number is what it was."
        )
        if not may_write(services.session, excluded=True):
            self.excluded.setEnabled(False)
            effect = "Only who may manage analytic items can exclude a time."
        self.add_field("Figures", self.excluded, effect)
        self.fill(note)
        self.ready()
        self.text.setFocus()

    def entries(self) -> tuple[object, ...]:
        texts = (entry.text().strip() for entry in (self.starts, self.ends, self.text))
        return (self.kind.currentData(), *texts, self.excluded.isChecked())

    def work(self) -> Callable[[Report], Note]:
        database, before, after = self.services.session.database, self._before, self._entered()

        def store(_report: Report) -> Note:
            with database.begin() as connection:
                if before.note_id:
                    notes.change(connection, before, after)
                    return notes.get(connection, before.house_id, before.note_id)
                note_id = notes.add(
                    connection,
                    after.house_id,
                    after.kind,
                    after.from_ms,
                    after.to_ms,
                    after.text,
                    excluded=after.excluded,
                )
                return notes.get(connection, after.house_id, note_id)

        return store

    def _entered(self) -> Note:
        return replace(
            self._before,
            kind=self.kind.currentData(),
            from_ms=periods.instant(self.starts.text(), self._zone),
            to_ms=periods.instant(self.ends.text(), self._zone),
            text=self.text.text(),
            excluded=self.excluded.isChecked(),
        )

    def reread(self) -> Callable[[], Note] | None:
        database, before = self.services.session.database, self._before
        if not before.note_id:
            return None

        def read() -> Note:
            with database.begin() as connection:
                return notes.get(connection, before.house_id, before.note_id)

        return read

    def describe(self, stored: Note) -> str:
        times = (periods.written(at, self._zone) for at in (stored.from_ms, stored.to_ms))
        excluded = ", excluded from means and sums" if stored.excluded else ""
        text = f", {stored.text}" if stored.text else ""
        return f"{stored.kind.title}, {' to '.join(times)}{text}{excluded}, by {stored.who}"

    def fill(self, stored: Note) -> None:
        self.kind.setCurrentIndex(self.kind.findData(stored.kind))
        self.starts.setText(periods.written(stored.from_ms, self._zone))
        self.ends.setText(periods.written(stored.to_ms, self._zone))
        self.text.setText(stored.text)
        self.excluded.setChecked(stored.excluded)

    def rebase(self, stored: Note) -> None:
        self._before = stored

    def recreate(self) -> Callable[[], None] | None:
        return self._begin_again if self._before.note_id else None

    def _begin_again(self) -> None:
        self._before = replace(self._before, note_id=0)

    def _starts_problem(self) -> str:
        return self._problem(self.starts.text())

    def _ends_problem(self) -> str:
        if problem := self._problem(self.ends.text()):
            return problem
        if self._problem(self.starts.text()):
            return ""
        starts, ends = (periods.instant(one.text(), self._zone) for one in (self.starts, self.ends))
        return "" if starts < ends else "It ends after it starts."

    def _problem(self, text: str) -> str:
        try:
            periods.instant(text, self._zone)
        except PeriodError as error:
            return str(error)
        return ""
