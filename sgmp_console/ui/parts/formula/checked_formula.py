"""A field for a formula that checks what is typed against the house, for every dialog in which a formula is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from sgmp_console.formula import FormulaError, Problem
from sgmp_console.reports import assessment
from sgmp_console.reports.assessment import Assessment, HouseFormulas
from sgmp_console.ui.explain import explain_in_form
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.formula import completion
from sgmp_console.ui.parts.formula.formula_edit import FormulaEdit
from sgmp_console.ui.parts.formula.verdict import Verdict


class CheckedFormula(FormulaEdit):
    """A pause after the last change it is checked on a worker thread; `verdict`, to be laid out under it, shows the result.

    `assessed` carries an Assessment of the text as it stands, `failed` the error with which the house could not be read.
    `outdated`: the text was changed, what was assessed is of the one before. `emptied`: there is nothing to check.
    """

    assessed = Signal(object)
    outdated = Signal()
    emptied = Signal()
    failed = Signal(object)

    def __init__(
        self,
        services: Services,
        house_id: int,
        *,
        pause_ms: int,
        item: Callable[[], tuple[str, int]] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """`item`: name and number of the analytic item whose formula it is, if it is one's; the number of a new one is 0."""
        super().__init__(parent)
        self.verdict = Verdict()
        self.known: HouseFormulas | None = None
        """What can be named in this house."""
        self.assessment: Assessment | None = None
        """Of the text as it stands, as soon as it is there."""
        self._services, self._house_id, self._item = services, house_id, item
        self._reads = LatestOnly[HouseFormulas](services.tasks, self._house_read, self._not_checked, self)
        self._checks = LatestOnly[Assessment](services.tasks, self._checked, self._not_checked, self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(pause_ms)
        self._pause.timeout.connect(self.check)
        self.edited.connect(self._outdate)

    def begin(self) -> None:
        """The dialog has filled it: read the house, then check what stands there. What was known of the house is forgotten."""
        self.known = None
        self._pause.stop()
        self.read_house()

    def read_house(self) -> None:
        """What can be named may have changed. The text is checked again then."""
        database, house_id, now_ms = self._services.session.database, self._house_id, self._services.now_ms()
        self._reads.ask(lambda: assessment.read_house(database, house_id, now_ms))

    def check_soon(self) -> None:
        self._pause.start()

    def check(self) -> None:
        self._pause.stop()
        text = self.toPlainText()  # as it stands, blanks included, so that places fit
        if not text.strip():
            self._checks.forget()
            self.assessment = None
            self.set_problems(())
            self.verdict.say_nothing()
            self.emptied.emit()
            return
        known = self.known
        if known is None:
            if not self._reads.busy():  # it failed before
                self.read_house()
            return
        name, item_id = self._item() if self._item else ("", 0)
        self._checks.ask(lambda: assessment.assess(known, text, name=name, item_id=item_id))

    def require_valid(self) -> bool:
        """Whether it may be stored, as far as is known; if not, what is wrong is shown, with the cursor there."""
        if not self.toPlainText().strip():
            self.verdict.say_missing()
            self.setFocus()
            return False
        if self.assessment is not None and self.assessment.error is not None:
            self.go_to(self.assessment.error)
            return False
        return True

    def show_refusal(self, error: FormulaError) -> None:
        """It was refused when it was stored, without the blanks around it that stand here."""
        text = self.toPlainText()
        problem = Problem(error.message, error.position + len(text) - len(text.lstrip()), error.length)
        self.set_problems((problem,))
        self.verdict.show_problem(problem)
        self.go_to(problem)

    def stop(self) -> None:
        self._pause.stop()
        self._reads.stop()
        self._checks.stop()
        self.popup().hide()

    def _outdate(self) -> None:
        self.assessment = None
        self._checks.forget()
        self.outdated.emit()
        self._pause.start()

    def _house_read(self, known: HouseFormulas) -> None:
        self.known = known
        name, item_id = self._item() if self._item else ("", 0)
        self.set_candidates(completion.all_candidates(known.catalogue, except_item=name if item_id else ""))
        if not self._pause.isActive():
            self.check()

    def _checked(self, found: Assessment) -> None:
        if found.text != self.toPlainText():
            return
        self.assessment = found
        self.set_problems(found.problems)
        # That another item has the same values is of interest where an item is made.
        self.verdict.show_assessment(found if self._item else replace(found, equals=()))
        self.assessed.emit(found)

    def _not_checked(self, error: Exception) -> None:
        self.verdict.say_unknown(explain_in_form(error))
        self.failed.emit(error)
