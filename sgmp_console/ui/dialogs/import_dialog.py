"""Importing devices or accounts from a CSV file: first what it would do, line by line, then all of it or nothing."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import Cancelled, SgmpError
from sgmp_console.fleet.account_sheets import AccountsImported, write_passwords
from sgmp_console.fleet.sheets import Action, Existing, ImportRefused, Plan
from sgmp_console.store import DatabaseUnavailable
from sgmp_console.ui import fonts, formats, plain_text
from sgmp_console.ui.dialogs.confirm import ConfirmDialog
from sgmp_console.ui.dialogs.import_kinds import ImportKind, Outcome
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox, button
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.files import ask_what_to_open, ask_where_to_save
from sgmp_console.ui.parts.labels import IconLabel, label
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.tasks import Report, Task

_ROW = 28
_LISTED = 500
"""Lines in the table; more than that nobody reads."""


class ImportDialog(QDialog):
    """`open()` it. `imported` comes once something was changed."""

    imported = Signal()

    def __init__(self, services: Services, kind: ImportKind, parent: QWidget) -> None:
        super().__init__(parent)
        self._services = services
        self._kind = kind
        self._path: Path | None = None
        self._plan: Plan | None = None
        self._task: Task[Outcome] | None = None
        self._done: AccountsImported | None = None
        self._finished = False
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(plain_text.title(f"Import {kind.plural}"))
        self.setAcceptDrops(True)
        self._build()
        window = parent.window().size()
        self.resize(min(920, window.width() - 48), min(680, window.height() - 48))
        self._show_ready()

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.file = QLineEdit()
        self.file.setFont(fonts.font("body"))
        self.file.setReadOnly(True)
        self.file.setPlaceholderText("Choose a file, or drop one here")
        self.choose = button("Choose file", self._choose)
        chooser = QWidget()
        row = QHBoxLayout(chooser)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.file, 1)
        row.addWidget(self.choose)
        self._file_field = Field("CSV file", chooser, self._kind.columns)
        self.file.setAccessibleName("CSV file")
        self.existing = ComboBox()
        self.existing.addItem("Refuse the file", Existing.REFUSE)
        self.existing.addItem("Change them", Existing.UPDATE)
        self.existing.activated.connect(self._plan_anew)
        existing_field = Field(f"Where a line names an existing {self._kind.noun}", self.existing)
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
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        policy = self._bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(policy)
        self.strip = MessageBar()
        self.cancel = button("Cancel", self.reject)
        self.save_passwords = button("Save initial passwords", self._ask_where)
        self.act = button("", self._import, "primary")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        for made in (self.cancel, self.save_passwords, self.act):
            buttons.addWidget(made)
        heading = QHBoxLayout()
        heading.addWidget(label(self.windowTitle(), "heading"))
        heading.addStretch(1)
        heading.addWidget(label(self._kind.where, "body", "secondary"))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 16, 24, 16)
        outer.setSpacing(12)
        outer.addLayout(heading)
        outer.addWidget(self.strip)
        outer.addWidget(self._file_field)
        outer.addWidget(existing_field)
        outer.addLayout(summary)
        outer.addWidget(card, 1)
        outer.addWidget(self._bar)
        outer.addLayout(buttons)

    # --- The file ------------------------------------------------------------------------------------------------

    def set_file(self, path: Path) -> None:
        """Find out what this file would do."""
        self._path = path
        self.file.setText(str(path))
        self._plan_anew()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile() and self._task is None and not self._finished:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        self.set_file(Path(event.mimeData().urls()[0].toLocalFile()))

    def _choose(self) -> None:
        ask_what_to_open(self, self.windowTitle(), "CSV files (*.csv)", self.set_file)

    def _plan_anew(self) -> None:
        if self._path is not None:
            self._plan = None
            self._run(dry_run=True)

    # --- Running -------------------------------------------------------------------------------------------------

    def _import(self) -> None:
        if self._finished:
            self.accept()
        elif self._plan is not None and not self._plan.problems:
            self._run(dry_run=False)

    def _run(self, *, dry_run: bool) -> None:
        path, existing, kind = self._path, self.existing.currentData(), self._kind
        if path is None or self._task is not None:
            return

        def work(report: Report) -> Outcome:
            def progress(done: int, everything: int) -> None:
                report(done / everything if everything else None, f"{done} of {everything}")

            report(None, "")
            return kind.run(path, existing, dry_run, progress)

        self.strip.hide_message()
        words = f"Checking {path.name}" if dry_run else f"Importing {kind.plural}"
        self._task = self._services.tasks.run_shown(
            self, words, work, self._planned if dry_run else self._was_imported, self._failed
        )
        self._show_busy(words)

    def _planned(self, outcome: Outcome) -> None:
        self._task = None
        self._plan = outcome.plan if isinstance(outcome, AccountsImported) else outcome
        self._show_plan(self._plan)

    def _was_imported(self, outcome: Outcome) -> None:
        self._task = None
        self._finished = True
        plan = outcome.plan if isinstance(outcome, AccountsImported) else outcome
        if isinstance(outcome, AccountsImported):
            self._done = outcome
        self.imported.emit()
        if self._passwords_left():
            self._show_passwords(plan)
        else:
            self.accept()

    def _failed(self, error: Exception) -> None:
        self._task = None
        if isinstance(error, DatabaseUnavailable):
            self._services.connection.lost(error)
        if isinstance(error, ImportRefused):
            # The file, or what is there, has changed since it was looked at.
            self._plan = error.plan
            self._show_plan(error.plan)
        elif isinstance(error, Cancelled):
            self._show_ready()
            self._summary.setText("Cancelled. Nothing was changed.")
        else:
            self._show_ready()
        if not isinstance(error, Cancelled):
            self.strip.say(
                "fault",
                str(error)
                if isinstance(error, SgmpError)
                else "Something in SGMP failed that should not have. Nothing was imported; trying again can help.",
            )

    # --- Showing -------------------------------------------------------------------------------------------------

    def _show_ready(self) -> None:
        self._set_busy(False)
        self._icon.set_icon("info", "ink_muted")
        self._summary.setText(
            "The file is looked through first; nothing is changed before you say so."
            if self._path is None
            else ""
        )
        self.table.setRowCount(0)
        self.act.setText("Import")
        self.act.setEnabled(False)

    def _show_busy(self, words: str) -> None:
        self._set_busy(True)
        self._icon.set_icon("clock", "ink_muted")
        self._summary.setText(words)

    def _set_busy(self, busy: bool) -> None:
        for part in (self.choose, self.existing):
            part.setEnabled(not busy and not self._finished)
        self.save_passwords.hide()
        self._bar.setRange(0, 0 if busy else 1)
        self._bar.setVisible(busy)
        if busy:
            self.act.setEnabled(False)

    def _show_plan(self, plan: Plan) -> None:
        self._set_busy(False)
        count = plan.count(Action.CREATE) + plan.count(Action.UPDATE)
        if plan.problems:
            self._icon.set_icon("fault", "state_fault")
            self._summary.setText(
                f"{formats.count(len(plan.problems), 'problem')}. Nothing is imported from a file with problems: mend the "
                "file, then choose it again."
            )
            self._fill(
                ("Line", "Column", "What is wrong"),
                [(str(one.line), one.column, one.sentence) for one in plan.problems],
            )
        else:
            self._icon.set_icon("check" if count else "info", "state_ok" if count else "ink_muted")
            self._summary.setText(self._would(plan))
            self._fill(
                ("Line", self._kind.noun.capitalize(), "What happens"),
                [
                    (str(step.line), step.name, f"{_ACTIONS[step.action]}. {step.remark}".strip())
                    for step in plan.steps
                ],
            )
        self.act.setText(f"Import {formats.count(count, self._kind.noun)}" if count else "Import")
        self.act.setEnabled(bool(count) and not plan.problems)

    def _would(self, plan: Plan) -> str:
        """What the file would do, in a sentence."""
        noun = self._kind.noun
        parts = [
            f"{formats.count(number, noun)} {words}"
            for number, words in (
                (plan.count(Action.CREATE), "would be made"),
                (plan.count(Action.UPDATE), "would be changed"),
                (plan.count(Action.NOTHING), "already as the file says"),
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

    def _passwords_left(self) -> bool:
        return self._done is not None and bool(self._done.to_hand_over())

    def _show_passwords(self, plan: Plan) -> None:
        done = self._done
        if done is None:
            return
        count = formats.count(len(done.to_hand_over()), "account")
        why = f"{done.mail_problem} " if done.mail_problem else "This connection profile sends no mail. "
        self._show_plan(plan)
        self._set_busy(False)
        self._icon.set_icon("warning", "state_warning")
        self._summary.setText(
            f"The accounts are there. {why}The initial passwords of {count} must be handed over: save them now, since they "
            "are kept nowhere. The file can be read by you alone; delete it when it has done its work."
        )
        self.save_passwords.show()
        self.cancel.hide()
        self.act.setText("Close")
        self.act.setEnabled(True)
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
        self._services.tasks.run(
            self, lambda: write_passwords(path, created), self._saved, self._not_saved, pool="act"
        )

    def _saved(self, _nothing: None) -> None:
        self._done = None
        self.accept()

    def _not_saved(self, error: Exception) -> None:
        self.strip.say(
            "fault", str(error) if isinstance(error, SgmpError) else "The file could not be written."
        )

    # --- Leaving -------------------------------------------------------------------------------------------------

    def accept(self) -> None:
        """Close; asks where passwords would be lost."""
        if self._passwords_left():
            question = ConfirmDialog(
                "Close without the initial passwords?",
                "They are shown nowhere else. Without them each of these accounts needs a new password, by Reset "
                "password.",
                "Close without them",
                self,
                refuse="Back",
            )
            question.accepted.connect(self._give_up)
            question.open()
            return
        super().accept()

    def _give_up(self) -> None:
        self._done = None
        self.accept()

    def reject(self) -> None:
        """Escape and Cancel; while it works, they stop the work."""
        if self._task is not None:
            self._task.cancel()
        elif self._finished:
            self.accept()
        else:
            super().reject()

    def done(self, result: int) -> None:
        self._services.tasks.forget_all(self)
        super().done(result)


_ACTIONS = {
    Action.CREATE: "Is made",
    Action.UPDATE: "Is changed",
    Action.NOTHING: "Is so already",
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
