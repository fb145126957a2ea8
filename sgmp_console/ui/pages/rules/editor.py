"""The dialog in which a rule is created or changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from sgmp_console.errors import UserError
from sgmp_console.fleet import rules
from sgmp_console.formula import FormulaError
from sgmp_console.reports.assessment import Assessment
from sgmp_console.reports.rules import Past, past
from sgmp_console.store import House, OperatorRule
from sgmp_console.store import rules as stored_rules
from sgmp_console.store.findings import Severity
from sgmp_console.ui.dialogs.form_dialog import FormDialog
from sgmp_console.ui.explain import explain_in_form
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.rules import wording
from sgmp_console.ui.parts.buttons import CheckBox, ComboBox
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.formula.checked_formula import CheckedFormula
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.tasks import Report

_TYPING_PAUSE_MS = 300
"""Of quiet before what is typed is checked and tried on the past."""

_WIDTH, _FORMULA_HEIGHT = 720, 64
"""Logical pixels; two lines of formula."""

_EVERYWHERE = "All houses"

_EMPTY = OperatorRule("", "", above=True, threshold=0.0, hold_s=300)


class RuleEditor(FormDialog[OperatorRule]):
    """`rule` None creates one. `items`: the analytic items of the house on screen."""

    def __init__(
        self,
        services: Services,
        house: House,
        items: Collection[str],
        rule: OperatorRule | None,
        parent: QWidget,
        *,
        like: OperatorRule | None = None,
    ) -> None:
        """`like`: the rule that a new one begins as, without its name."""
        title = f"Edit {rule.name}" if rule else "Create rule"
        verb, doing = ("Save changes", "Saving") if rule else ("Create rule", "Creating")
        super().__init__(services, title, verb, doing, parent, context=house.name, width=_WIDTH)
        self._house, self._rule = house, rule
        self._pasts = LatestOnly[Past](services.tasks, self._past_came, self._past_failed, self)
        self._build(items)
        self.fill(rule or (replace(like, name="") if like else _EMPTY))
        if rule is None and like is None:
            self.threshold.clear()
        self.ready()
        self.formula.emptied.connect(lambda: self._say_of_past(""))
        self.formula.assessed.connect(self._assessment_came)
        self.formula.failed.connect(self.report_unavailable)
        self.formula.submitted.connect(self.perform)
        for entry in (self.threshold, self.clear_threshold, self.hold, self.clear, self.starts, self.ends):
            entry.textEdited.connect(self.formula.check_soon)
        self.above.activated.connect(self.formula.check_soon)
        self.formula.begin()
        (self.suggestion if rule is None and like is None else self.name).setFocus()

    def _build(self, items: Collection[str]) -> None:
        self.suggestion, self.house, self.above, self.severity = (
            ComboBox(),
            ComboBox(),
            ComboBox(),
            ComboBox(),
        )
        self.name, self.threshold, self.clear_threshold = QLineEdit(), QLineEdit(), QLineEdit()
        self.hold, self.clear, self.starts, self.ends = QLineEdit(), QLineEdit(), QLineEdit(), QLineEdit()
        self.guidance = QLineEdit()
        self.formula = CheckedFormula(self.services, self._house.house_id, pause_ms=_TYPING_PAUSE_MS)
        self.verdict = self.formula.verdict
        self.enabled = CheckBox("Enabled")
        self._past = label("", "body", "secondary", wraps=True)
        self.suggestion.addItem("An empty rule", None)
        for one in rules.SUGGESTIONS:
            missing = "" if one.needs in items else f" (needs the item {one.needs})"
            self.suggestion.addItem(one.rule.name + missing, one.rule)
        self.suggestion.activated.connect(self._take_suggestion)
        self.house.addItem(self._house.name, self._house.house_id)
        if self.services.session.may("all_houses"):
            self.house.addItem(_EVERYWHERE, None)
        self.above.addItem("is above", True)
        self.above.addItem("is below", False)
        for severity, name in wording.SEVERITIES.items():
            self.severity.addItem(name, severity)
        applies = self.add_field("Applies to", self.house)
        if self._rule is None:
            self._in_a_row(self.add_field("Begin with", self.suggestion), applies)
        else:
            self.house.setEnabled(False)
        self.naming = self.add_field("Name", self.name, check=self._name_problem)
        self._in_a_row(
            self.naming,
            self.add_field("Severity", self.severity),
            self.add_field("State", self.enabled),
            shares=(4, 2, 1),
        )
        self.formula.setFixedHeight(_FORMULA_HEIGHT)
        self.add_field("Formula", self.formula)
        self.form.addWidget(self.verdict)
        self._in_a_row(
            self.add_field("It opens when the value", self.above),
            self.add_field("Threshold", self.threshold, check=self._threshold_problem),
            self.add_field("For, minutes", self.hold, check=partial(_problem, wording.seconds, self.hold)),
        )
        self._in_a_row(
            self.add_field(
                "It is over at", self.clear_threshold, "Empty: at the threshold.", check=self._clear_problem
            ),
            self.add_field(
                "Over for, minutes", self.clear, check=partial(_problem, wording.seconds, self.clear)
            ),
            self.add_field(
                "Only from", self.starts, "By the clock of the house.", check=self._starts_problem
            ),
            self.add_field("Until", self.ends, "Empty: at any time.", check=self._ends_problem),
        )
        self.add_field(
            "Guidance", self.guidance, "What to do. Messages carry it.", check=self._guidance_problem
        )
        self.form.addWidget(self._past)

    def _in_a_row(self, *fields: Field, shares: Sequence[int] = ()) -> None:
        row = QHBoxLayout()
        row.setSpacing(12)
        for place, field in enumerate(fields):
            row.addWidget(field, shares[place] if shares else 1, Qt.AlignmentFlag.AlignTop)
        self.form.addLayout(row)

    # --- What stands in it -------------------------------------------------------------------------------------------

    def fill(self, stored: OperatorRule) -> None:
        self.name.setText(stored.name)
        everywhere = stored.house_id is None and stored.rule_id != 0
        self.house.setCurrentIndex(max(self.house.findText(_EVERYWHERE) if everywhere else 0, 0))
        self.formula.setPlainText(stored.formula)
        self.above.setCurrentIndex(0 if stored.above else 1)
        self.threshold.setText(wording.typed(stored.threshold))
        clears = stored.clear_threshold
        self.clear_threshold.setText("" if clears is None else wording.typed(clears))
        self.hold.setText(wording.typed(stored.hold_s / 60))
        self.clear.setText(wording.typed(stored.clear_s / 60))
        for entry, at in zip((self.starts, self.ends), stored.hours or (None, None), strict=True):
            entry.setText("" if at is None else f"{at:%H:%M}")
        self.severity.setCurrentIndex(list(Severity).index(stored.severity))
        self.guidance.setText(stored.guidance)
        self.guidance.setCursorPosition(0)
        self.enabled.setChecked(stored.enabled)

    def entries(self) -> tuple[object, ...]:
        return (
            *(entry.text().strip() for entry in (self.name, self.threshold, self.clear_threshold, self.hold)),
            *(entry.text().strip() for entry in (self.clear, self.starts, self.ends, self.guidance)),
            *(box.currentIndex() for box in (self.house, self.above, self.severity)),
            self.formula.toPlainText().strip(),
            self.enabled.isChecked(),
        )

    def _entered(self) -> OperatorRule:
        """Raises UserError."""
        clears = self.clear_threshold.text()
        hours = (self.starts.text().strip(), self.ends.text().strip())
        base = self._rule or _EMPTY
        return replace(
            base,
            name=self.name.text().strip(),
            house_id=self.house.currentData() if self._rule is None else base.house_id,
            formula=self.formula.toPlainText().strip(),
            above=bool(self.above.currentData()),
            threshold=wording.number(self.threshold.text()),
            clear_threshold=wording.number(clears) if clears.strip() else None,
            hold_s=wording.seconds(self.hold.text()),
            clear_s=wording.seconds(self.clear.text()),
            hours=(wording.clock(hours[0]), wording.clock(hours[1])) if any(hours) else None,
            severity=Severity(self.severity.currentData()),
            guidance=self.guidance.text().strip(),
            enabled=self.enabled.isChecked(),
        )

    def _take_suggestion(self) -> None:
        suggested = self.suggestion.currentData()
        if isinstance(suggested, OperatorRule):
            house = self.house.currentIndex()
            self.fill(suggested)
            for field in self.findChildren(Field):
                field.set_problem("")
            self.house.setCurrentIndex(house)
            self.formula.check()

    # --- What is wrong with it -----------------------------------------------------------------------------------------

    def _name_problem(self) -> str:
        if not self.name.text().strip():
            return "Enter a name."
        return "" if len(self.name.text().strip()) <= 100 else "A name has at most 100 characters."

    def _guidance_problem(self) -> str:
        return "" if len(self.guidance.text()) <= 2000 else "Guidance has at most 2,000 characters."

    def _threshold_problem(self) -> str:
        return _problem(wording.number, self.threshold)

    def _clear_problem(self) -> str:
        if not self.clear_threshold.text().strip():
            return ""
        if problem := _problem(wording.number, self.clear_threshold):
            return problem
        try:
            entered = self._entered()
        except UserError:
            return ""  # another field says why
        return rules.problem_of(replace(entered, name="x"))

    def _starts_problem(self) -> str:
        needed = self.ends.text().strip() or self.starts.text().strip()
        return _problem(wording.clock, self.starts) if needed else ""

    def _ends_problem(self) -> str:
        if not (self.ends.text().strip() or self.starts.text().strip()):
            return ""
        if problem := _problem(wording.clock, self.ends):
            return problem
        if _problem(wording.clock, self.starts):
            return ""
        same = wording.clock(self.starts.text()) == wording.clock(self.ends.text())
        return "It ends at another time than it starts." if same else ""

    def valid(self) -> bool:
        others = super().valid()
        return self.formula.require_valid() and others

    def place(self, error: Exception) -> bool:
        if isinstance(error, FormulaError):
            self.formula.show_refusal(error)
            return True
        return super().place(error)

    # --- Trying it on the past ----------------------------------------------------------------------------------------

    def _assessment_came(self, found: Assessment) -> None:
        self._pasts.forget()
        if found.error is not None:
            self._say_of_past("")
            return
        try:
            entered = replace(self._entered(), rule_id=0, changed_ms=0)
        except UserError:
            self._say_of_past("")
            return
        if sentence := rules.reach_problem(entered.formula, found.items):
            self._say_of_past(sentence)
            return
        database, house, now_ms = self.services.session.database, self._house, self.services.now_ms()
        if not self._past.text():
            self._say_of_past("Trying it on the last days…")
        self._pasts.ask(lambda: past(database, house, found.items, entered, now_ms))

    def _past_came(self, found: Past) -> None:
        self._say_of_past(wording.past(found))

    def _say_of_past(self, text: str) -> None:
        self._past.setText(text)
        self.fit()

    def _past_failed(self, error: Exception) -> None:
        self.report_unavailable(error)
        self._say_of_past(explain_in_form(error))

    # --- Storing -----------------------------------------------------------------------------------------------------

    def work(self) -> Callable[[Report], OperatorRule]:
        database, entered, is_new = self.services.session.database, self._entered(), self._rule is None
        if is_new:
            return lambda _report: rules.create(database, entered)
        return lambda _report: rules.update(database, entered)

    def reread(self) -> Callable[[], OperatorRule] | None:
        if self._rule is None:
            return None
        database, rule_id = self.services.session.database, self._rule.rule_id

        def read() -> OperatorRule:
            with database.begin() as connection:
                return stored_rules.get(connection, rule_id)

        return read

    def describe(self, stored: OperatorRule) -> str:
        return f"{stored.name}: {wording.condition(stored)}, {'enabled' if stored.enabled else 'disabled'}"

    def rebase(self, stored: OperatorRule) -> None:
        self._rule = stored

    def recreate(self) -> Callable[[], None] | None:
        return None if self._rule is None else self._become_new

    def _become_new(self) -> None:
        self._rule = None

    def done(self, result: int) -> None:
        self.formula.stop()
        self._pasts.stop()
        super().done(result)


def _problem(read: Callable[[str], object], entry: QLineEdit) -> str:
    try:
        read(entry.text())
    except UserError as error:
        return str(error)
    return ""
