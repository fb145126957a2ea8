"""Importing devices or accounts from a CSV file: first what it would do, line by line, then all of it or nothing."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import Cancelled
from sgmp_console.fleet.account_sheets import AccountsImported, write_passwords
from sgmp_console.fleet.sheets import Action, Existing, ImportRefused, Plan
from sgmp_console.ui import fonts, formats, plain_text
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.dialogs.import_kinds import ImportKind, Outcome
from sgmp_console.ui.dialogs.task_dialog import TaskDialog
from sgmp_console.ui.explain import explain
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox, button
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.files import ask_what_to_open, ask_where_to_save
from sgmp_console.ui.parts.labels import IconLabel, label
from sgmp_console.ui.tasks import Report

_ROW = 28
_LISTED = 500
"""Lines in the table; more than that nobody reads."""


class ImportDialog(TaskDialog):
    """`open()` it. `imported` comes once something was changed."""

    imported = Signal()

    def __init__(self, services: Services, kind: ImportKind, parent: QWidget) -> None:
        super().__init__(
            services.tasks,
            f"Import {kind.plural}",
            "Import",
            parent,
            context=kind.where,
            connection=services.connection,
        )
        self._kind = kind
        self._path: Path | None = None
        self._plan: Plan | None = None
        self._done: AccountsImported | None = None
        self._finished = False
        self.setAcceptDrops(True)
        self._build()
        window = parent.window().size()
        self.resize(min(920, window.width() - 48), min(680, window.height() - 48))
        self._show_ready("Nothing is changed before you have seen what the file would do.")
        self.choose.setFocus()

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.file = QLineEdit()
        self.file.setFont(fonts.font("body"))
        self.file.setPlaceholderText("Type a path, choose a file, or drop one here")
        self.file.returnPressed.connect(self._read_typed)
        self.file.editingFinished.connect(self._typed)
        self.choose = button("Choose file", self._choose)
        self.chooser = QWidget()
        row = QHBoxLayout(self.chooser)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.file, 1)
        row.addWidget(self.choose)
        file_field = Field("CSV file", self.chooser, self._kind.columns)
        self.file.setAccessibleName("CSV file")
        self.existing = ComboBox()
        self.existing.addItem("Refuse the file", Existing.REFUSE)
        self.existing.addItem("Change it", Existing.UPDATE)
        self.existing.activated.connect(self._check)
        existing_field = Field(f"If a line names an existing {self._kind.noun}", self.existing)
        existing_field.setFixedWidth(280)
        self._icon = IconLabel("info", "ink_muted", 18)
        self._summary = label("", "body", wraps=True)
        summary = QHBoxLayout()
        summary.setSpacing(8)
        summary.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        summary.addWidget(self._summary, 1)
        self.table = _lines_table()
        card = QFrame()
        card.setProperty("surface", "card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(1, 4, 1, 4)
        inside.addWidget(self.table)
        self.save_passwords = button("Save initial passwords", self._ask_where)
        self.save_passwords.hide()
        content = QVBoxLayout()
        content.setSpacing(12)
        content.addWidget(file_field)
        content.addWidget(existing_field)
        content.addLayout(summary)
        content.addWidget(card, 1)
        self.lay_out(content, self.save_passwords)

    def set_free(self, free: bool) -> None:
        for part in (self.chooser, self.existing):
            part.setEnabled(free and not self._finished)

    def summary(self) -> str:
        """What the file would do, or did, in a sentence."""
        return self._summary.text()

    # --- The file ------------------------------------------------------------------------------------------------

    def set_file(self, path: Path) -> None:
        """Find out what this file would do."""
        self._path = path
        self.file.setText(str(path))
        self._check()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile() and not self.busy and not self._finished:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        self.set_file(Path(event.mimeData().urls()[0].toLocalFile()))

    def _choose(self) -> None:
        ask_what_to_open(self, self.title, "CSV files (*.csv)", self.set_file)

    def _typed(self) -> None:
        if self.file.text().strip() != str(self._path):
            self._read_typed()

    def _read_typed(self) -> None:
        """Also the file that was read before: it may have been corrected."""
        text = self.file.text().strip()
        if text and not self.busy and not self._finished:
            self.set_file(Path(text).expanduser())

    def _check(self) -> None:
        if self._path is not None and not self.busy:
            self._plan = None
            self._run(self._path, dry_run=True)

    # --- Running -------------------------------------------------------------------------------------------------

    def may_act(self) -> bool:
        return self._finished or (
            self._plan is not None and not self._plan.problems and _changes(self._plan) > 0
        )

    def perform(self) -> None:
        if self._finished:
            self.accept()
        elif self._path is not None and self.may_act():
            self._run(self._path, dry_run=False)

    def _run(self, path: Path, *, dry_run: bool) -> None:
        existing, kind = self.existing.currentData(), self._kind

        def work(report: Report) -> Outcome:
            def progress(done: int, everything: int) -> None:
                report(done / everything if everything else None, f"{done} of {everything}")

            report(None, "")
            return kind.run(path, existing, dry_run, progress)

        title = f"Checking {path.name}" if dry_run else f"Importing {kind.plural}"
        self._say("clock", "ink_muted", title)
        self.run(
            work,
            self._planned if dry_run else self._was_imported,
            self.verb if dry_run else "Importing",
            title=title,
        )

    def _planned(self, outcome: Outcome) -> None:
        self._show_plan(outcome.plan if isinstance(outcome, AccountsImported) else outcome)

    def _was_imported(self, outcome: Outcome) -> None:
        self._finished = True
        self.imported.emit()
        if isinstance(outcome, AccountsImported) and outcome.to_hand_over():
            self._done = outcome
            self._show_passwords(outcome)
        else:
            self.accept()

    def failed(self, error: Exception) -> None:
        self.report_unavailable(error)
        if isinstance(error, ImportRefused):
            # The file, or what is there, has changed since it was looked at.
            self._show_plan(error.plan)
        else:
            self._show_ready("Cancelled. Nothing was changed." if isinstance(error, Cancelled) else "")
        if not isinstance(error, Cancelled):
            self.message_bar.say("fault", explain(error, then="Nothing was imported. Try again."))

    # --- Showing -------------------------------------------------------------------------------------------------

    def _say(self, icon: str, tint: str, text: str) -> None:
        self._icon.set_icon(icon, tint)
        self._icon.setVisible(bool(text))
        self._summary.setText(text)

    def _show_ready(self, text: str) -> None:
        self._plan = None
        self._say("info", "ink_muted", text)
        self.table.setRowCount(0)
        self.set_verb("Import")
        self.refresh_act()

    def _show_plan(self, plan: Plan) -> None:
        self._plan = plan
        count = _changes(plan)
        if plan.problems:
            self._say(
                "fault",
                "state_fault",
                f"{formats.count(len(plan.problems), 'problem')}. Nothing is imported from a file with problems: "
                "correct the file, then choose it again.",
            )
            self._fill(
                ("Line", "Column", "Problem"),
                [(str(problem.line), problem.column, problem.sentence) for problem in plan.problems],
            )
        else:
            self._say("check" if count else "info", "state_ok" if count else "ink_muted", self._would(plan))
            self._fill(
                ("Line", self._kind.noun.capitalize(), "What happens"),
                [
                    (
                        str(step.line),
                        step.name,
                        f"{_ACTIONS[step.action]}. {step.remark}" if step.remark else _ACTIONS[step.action],
                    )
                    for step in plan.steps
                ],
            )
        self.set_verb(f"Import {formats.count(count, self._kind.noun)}" if count else "Import")
        self.refresh_act()

    def _would(self, plan: Plan) -> str:
        noun = self._kind.noun
        parts = [
            f"{formats.count(number, noun)} {words}"
            for number, words in (
                (plan.count(Action.CREATE), "will be created"),
                (plan.count(Action.UPDATE), "will be changed"),
                (plan.count(Action.NOTHING), "unchanged"),
            )
            if number
        ]
        return f"{'; '.join(parts)}." if parts else "The file changes nothing."

    def _fill(self, heads: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> None:
        self.table.setHorizontalHeaderLabels(list(heads))
        shown = rows[:_LISTED]
        self.table.setRowCount(len(shown))
        for place, cells in enumerate(shown):
            for column, text in enumerate(cells):
                cell = QTableWidgetItem(plain_text.bounded(text, plain_text.MAX_CELL))
                plain_text.set_tip(cell, text)
                self.table.setItem(place, column, cell)
        self.table.resizeRowsToContents()
        self.table.scrollToTop()

    # --- Initial passwords that were not mailed --------------------------------------------------------------------

    def _show_passwords(self, done: AccountsImported) -> None:
        count = formats.count(len(done.to_hand_over()), "account")
        why = f"{done.mail_problem} " if done.mail_problem else "This connection sends no mail. "
        self._show_plan(done.plan)
        self.set_free(False)
        self._say(
            "warning",
            "state_warning",
            f"The accounts were created. {why}Hand over the initial passwords of {count}: save them now, since they are "
            "not stored. Only you can read the file; delete it afterwards.",
        )
        self.save_passwords.show()
        self.cancel.hide()
        self.set_verb("Close")
        self.save_passwords.setFocus()

    def _ask_where(self) -> None:
        ask_where_to_save(
            self, "Save initial passwords", "initial passwords.csv", "CSV files (*.csv)", self.save_to
        )

    def save_to(self, path: Path) -> None:
        """Write the initial passwords."""
        done = self._done
        if done is None:
            return
        created = done.created
        self.tasks.run(self, lambda: write_passwords(path, created), self._saved, self._not_saved, pool="act")

    def _saved(self, _nothing: None) -> None:
        self._done = None
        self.accept()

    def _not_saved(self, error: Exception) -> None:
        self.message_bar.say("fault", explain(error))

    # --- Leaving -------------------------------------------------------------------------------------------------

    def accept(self) -> None:
        """Close; asks where passwords would be lost."""
        if self._done is not None:
            confirm(
                "Close without the initial passwords?",
                "They are shown nowhere else. Without them, reset the password of each of these accounts.",
                "Close without them",
                self,
                self._give_up,
                refuse="Back",
            )
            return
        super().accept()

    def _give_up(self) -> None:
        self._done = None
        self.accept()

    def reject(self) -> None:
        """Escape and Cancel."""
        if self._finished:
            self.accept()
        else:
            super().reject()


def _changes(plan: Plan) -> int:
    return plan.count(Action.CREATE) + plan.count(Action.UPDATE)


_ACTIONS = {
    Action.CREATE: "Create",
    Action.UPDATE: "Update",
    Action.NOTHING: "Unchanged",
}


def _lines_table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setAccessibleName("Lines of the file")
    table.setShowGrid(False)
    table.setFont(fonts.font("body"))
    table.setWordWrap(True)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setTabKeyNavigation(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(_ROW)
    header = table.horizontalHeader()
    header.setFont(fonts.font("caption"))
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
    table.setHorizontalHeaderLabels(["Line", "", ""])
    table.setColumnWidth(0, 64)
    table.setColumnWidth(1, 200)
    return table
