"""The dialog in which an analytic item is made or changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.errors import Conflict, SgmpError, Unavailable, UserError
from sgmp_console.fleet import analytics
from sgmp_console.formula import Catalogue, Formula, FormulaError, Problem
from sgmp_console.store import AnalyticItem, House
from sgmp_console.store import analytics as stored_items
from sgmp_console.ui import fonts
from sgmp_console.ui.analytics import assessment, completion
from sgmp_console.ui.analytics.aggregation_box import AggregationBox
from sgmp_console.ui.analytics.assessment import Assessment, Preview
from sgmp_console.ui.analytics.formula_edit import FormulaEdit
from sgmp_console.ui.analytics.preview_card import PreviewCard
from sgmp_console.ui.analytics.rendered import RenderedFormula
from sgmp_console.ui.analytics.verdict import Verdict
from sgmp_console.ui.newest import Newest
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.confirm import ConfirmDialog
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.strip import Strip

_TYPING_PAUSE_MS = 150
"""Of quiet before a text is checked; less than a person takes to look up."""

_REFRESH_MS = 15_000
"""How often the preview follows what comes in."""

_LEFT = 500


@dataclass(frozen=True)
class _Entries:
    """What stands in the form."""

    name: str
    description: str
    formula: str
    unit: str
    aggregated: bool


class ItemEditor(QDialog):
    """`open()` it. `saved` carries the AnalyticItem as it is stored now; the dialog closes by itself then.

    `item` None makes a new one. Whatever fails, what was typed stays.
    """

    saved = Signal(object)

    def __init__(
        self, services: Services, house: House, item: AnalyticItem | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._house = house
        self._item = item
        self._theirs: AnalyticItem | None = None
        self._catalogue = Catalogue()
        self._assessed: Assessment | None = None
        self._saving = False
        self._discarding = False
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Edit {item.name}" if item else "Create analytic item")
        self._build()
        self._assess = Newest[Assessment](services.tasks, self._assessment_came, self._not_assessed, self)
        self._previews = Newest[Preview](services.tasks, self._preview_came, self._not_previewed, self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_TYPING_PAUSE_MS)
        self._pause.timeout.connect(self._check)
        self._refresh = QTimer(self)
        self._refresh.setInterval(_REFRESH_MS)
        self._refresh.timeout.connect(self._refresh_preview)
        self.resize(self._size())
        self._fill(item)
        self._initial = self._entries()
        self._connect()
        self._load_catalogue()
        if item is not None:
            self._check()
        else:
            self._say_nothing_yet()
        self._refresh.start()

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.name = QLineEdit()
        self.description = QLineEdit()
        self.unit = QLineEdit()
        for entry in (self.name, self.description, self.unit):
            entry.setFont(fonts.font("body"))
        self.formula = FormulaEdit()
        self.verdict = Verdict()
        self.rendered = RenderedFormula()
        self.aggregation = AggregationBox()
        self._name_field = Field(
            "Analytics name", self.name, "Letters, digits and underscores; starts with a letter."
        )
        if self._item is not None:
            self._name_field.set_help("The name stays, since others refer to it.")
            self.name.setEnabled(False)
        self._description_field = Field("Description", self.description)
        self._unit_field = Field("Unit", self.unit)
        self._unit_field.setFixedWidth(120)

        form = QWidget()
        form.setProperty("surface", "none")
        column = QVBoxLayout(form)
        column.setContentsMargins(0, 0, 16, 0)
        column.setSpacing(12)
        first = QHBoxLayout()
        first.setSpacing(16)
        first.addWidget(self._name_field, 1, Qt.AlignmentFlag.AlignTop)
        first.addWidget(self._unit_field, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(first)
        column.addWidget(self._description_field)
        formula_column = QVBoxLayout()
        formula_column.setSpacing(4)
        head = QHBoxLayout()
        title = label("Formula", "caption", "secondary")
        title.setBuddy(self.formula)
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(label("Ctrl+Space completes", "caption", "muted"))
        formula_column.addLayout(head)
        formula_column.addWidget(self.formula)
        formula_column.addWidget(self.verdict)
        column.addLayout(formula_column)
        board = QFrame()
        board.setProperty("surface", "card")
        inside = QVBoxLayout(board)
        inside.setContentsMargins(12, 4, 12, 4)
        inside.addWidget(self.rendered)
        column.addWidget(board)
        column.addWidget(self.aggregation)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(form)
        area.setFixedWidth(_LEFT)

        self.preview = PreviewCard(self._services.draw_clock, ZoneInfo(self._house.time_zone))
        self.strip = Strip()
        self.strip.acted.connect(self._act_on_strip)
        middle = QHBoxLayout()
        middle.setSpacing(8)
        middle.addWidget(area)
        middle.addWidget(self.preview, 1)
        self.cancel = button("Cancel", self.reject)
        self.save = button("Save changes" if self._item else "Create item", self._save, "primary")
        self.save.setToolTip("Ctrl+Enter")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.save)
        heading = QHBoxLayout()
        heading.addWidget(label(self.windowTitle(), "heading"))
        heading.addStretch(1)
        heading.addWidget(label(self._house.name, "body", "secondary"))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 16, 24, 16)
        outer.setSpacing(16)
        outer.addLayout(heading)
        outer.addWidget(self.strip)
        outer.addLayout(middle, 1)
        outer.addLayout(buttons)
        for sequence in ("Ctrl+Return", "Ctrl+Enter", "Ctrl+S"):
            QShortcut(QKeySequence(sequence), self, self._save)

    def _fill(self, item: AnalyticItem | None) -> None:
        if item is None:
            return
        self.name.setText(item.name)
        self.description.setText(item.description)
        self.unit.setText(item.unit)
        self.formula.setPlainText(item.formula)
        self.aggregation.set_wanted(item.aggregated)

    def _connect(self) -> None:
        self.formula.edited.connect(self._formula_changed)
        self.formula.submitted.connect(self._save)
        self.name.textEdited.connect(self._name_edited)
        self.name.editingFinished.connect(self._judge_name)
        self.preview.avg_wanted.connect(self.formula.replace_all)
        (self.formula if self._item else self.name).setFocus()

    def _size(self) -> QSize:
        """Most of the window: the preview wants room, and there is nothing else to be seen meanwhile."""
        parent = self.parentWidget()
        window = parent.window().size() if parent is not None else QSize(1280, 800)
        return QSize(min(1240, window.width() - 48), min(780, window.height() - 48))

    # --- Checking ------------------------------------------------------------------------------------------------

    def _entries(self) -> _Entries:
        return _Entries(
            self.name.text().strip(),
            self.description.text().strip(),
            self.formula.toPlainText().strip(),
            self.unit.text().strip(),
            self.aggregation.wanted(),
        )

    def _load_catalogue(self) -> None:
        database, house_id = self._services.session.database, self._house.house_id
        self._services.tasks.run(
            self,
            lambda: assessment.editor_catalogue(database, house_id),
            self._catalogue_came,
            self._not_assessed,
        )

    def _catalogue_came(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        own = self._item.name if self._item else ""
        self.formula.set_candidates(completion.all_candidates(catalogue, except_item=own))

    def _formula_changed(self) -> None:
        self._assessed = None
        self._assess.forget()
        self._previews.forget()
        self._pause.start()

    def _name_edited(self) -> None:
        self._name_field.set_problem("")
        if self.formula.toPlainText().strip():
            # An item may refer to itself under the new name.
            self._pause.start()

    def _judge_name(self) -> None:
        name = self.name.text().strip()
        if self._item is None and name:
            self._name_field.set_problem(self._name_problem(name))

    def _name_problem(self, name: str) -> str:
        if not name:
            return "Enter a name."
        problem = analytics.name_problem(name)
        if problem:
            return f"{problem[0].upper()}{problem[1:]}."
        if name in self._catalogue.items:
            return f"This house has an analytic item {name} already."
        return ""

    def _check(self) -> None:
        entries = self._entries()
        if not entries.formula:
            self._say_nothing_yet()
            return
        database, house_id, now_ms = (
            self._services.session.database,
            self._house.house_id,
            self._services.now_ms(),
        )
        item_id = self._item.item_id if self._item else 0
        # As it stands in the editor, blanks included, so that places fit.
        text = self.formula.toPlainText()
        self._assess.ask(
            lambda: assessment.assess(
                database, house_id, text, name=entries.name, item_id=item_id, now_ms=now_ms
            )
        )

    def _say_nothing_yet(self) -> None:
        self._assess.forget()
        self._previews.forget()
        self._assessed = None
        self.formula.set_problems(())
        self.verdict.say_nothing()
        self.rendered.show_formula(None)
        self.aggregation.show_effect(None, exact=False)
        self.preview.show_nothing("Values appear here while the formula is written.")

    def _assessment_came(self, found: Assessment) -> None:
        if found.text != self.formula.toPlainText():
            return
        first_time = self._assessed is None and self._item is not None and found.text == self._item.formula
        self._assessed = found
        self.formula.set_problems(found.problems)
        self.verdict.show_assessment(found)
        if found.formula is not None:
            self.rendered.show_formula(found.formula)
        else:
            # What was drawn last stays while one types on, but pale.
            self.rendered.set_outdated()
        refused = found.effect is not None and found.effect.refusal is not None
        # Of a formula with an error there is nothing to promise, but what is refused stays so.
        self.aggregation.show_effect(
            found.effect if found.error is None or refused else None, exact=found.exact
        )
        self.unit.setPlaceholderText(found.unit)
        self._unit_field.set_help("From the formula." if found.unit else "")
        if first_time and found.unit and self.unit.text() == found.unit:
            # It was inferred, and shall follow the formula.
            self.unit.clear()
            if self._initial.unit == found.unit:
                self._initial = replace(self._initial, unit="")
        if found.error is None and found.formula is not None:
            self._read_preview(found.formula)
        elif self.preview.shown() is None:
            self.preview.show_nothing("Values appear here once the formula is in order.")
        else:
            self.preview.show_outdated("before the last change")

    def _not_assessed(self, error: Exception) -> None:
        self._tell_unavailable(error)
        self.verdict.say_unknown(_sentence(error))

    def _read_preview(self, formula: Formula) -> None:
        database, house_id, now_ms = (
            self._services.session.database,
            self._house.house_id,
            self._services.now_ms(),
        )
        name = self._entries().name
        self._previews.ask(lambda: assessment.preview(database, house_id, formula, name=name, now_ms=now_ms))

    def _preview_came(self, found: Preview) -> None:
        if self._assessed is not None and found.text == self._assessed.text:
            unit = self.unit.text().strip() or self._assessed.unit
            self.preview.show_preview(found, unit, self._entries().name)

    def _not_previewed(self, error: Exception) -> None:
        self._tell_unavailable(error)
        self.preview.show_nothing(_sentence(error))

    def _refresh_preview(self) -> None:
        found = self._assessed
        if found is not None and found.formula is not None and found.error is None and not self._saving:
            self._read_preview(found.formula)

    def _tell_unavailable(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self._services.connection.lost(error)

    # --- Saving --------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self._saving:
            return
        entries = self._entries()
        if self._item is None:
            self._name_field.set_problem(self._name_problem(entries.name))
            if self._name_field.problem:
                self.name.setFocus()
                return
        if not entries.formula:
            self.verdict.say_missing()
            self.formula.setFocus()
            return
        found = self._assessed
        if found is not None and found.error is not None:
            self.formula.go_to(found.error)
            return
        database, house_id, item = self._services.session.database, self._house.house_id, self._item
        aggregated = self.aggregation.effective()

        def store() -> AnalyticItem:
            if item is None:
                return analytics.create(
                    database,
                    house_id,
                    entries.name,
                    entries.formula,
                    description=entries.description,
                    aggregated=aggregated,
                    unit=entries.unit,
                )
            changed = replace(
                item,
                description=entries.description,
                formula=entries.formula,
                aggregated=aggregated,
                unit=entries.unit,
            )
            return analytics.update(database, changed)

        self.strip.be_silent()
        self._set_saving(True)
        self._services.tasks.run(self, store, self._stored, self._not_stored, pool="act")

    def _stored(self, item: AnalyticItem) -> None:
        self._set_saving(False)
        self._discarding = True
        self.saved.emit(item)
        self.accept()

    def _not_stored(self, error: Exception) -> None:
        self._set_saving(False)
        self._tell_unavailable(error)
        if isinstance(error, FormulaError):
            # The text was stored without the blanks around it, which stand in the editor.
            text = self.formula.toPlainText()
            place = error.position + len(text) - len(text.lstrip())
            problem = Problem(error.message, place, error.length)
            self.formula.set_problems((problem,))
            self.verdict.show_problem(problem)
            self.formula.go_to(problem)
        elif isinstance(error, Conflict) and self._item is not None:
            self._look_at_conflict(error)
        else:
            self.strip.say("fault", _sentence(error))

    def _set_saving(self, saving: bool) -> None:
        self._saving = saving
        for part in (self.description, self.unit, self.formula, self.aggregation, self.save):
            part.setEnabled(not saving)
        self.name.setEnabled(not saving and self._item is None)
        words = "Save changes" if self._item else "Create item"
        self.save.setText("Saving" if saving else words)

    # --- Somebody else changed it --------------------------------------------------------------------------------

    def _look_at_conflict(self, error: Conflict) -> None:
        """Find out what is stored now, so that one can decide."""
        item = self._item
        if item is None:
            return
        database, item_id, name = self._services.session.database, item.item_id, item.name
        self.strip.say("fault", str(error))

        def read() -> AnalyticItem:
            with database.begin() as connection:
                return stored_items.get(connection, item_id)

        self._services.tasks.run(self, read, self._conflict_known, lambda why: self._gone(name, why))

    def _conflict_known(self, theirs: AnalyticItem) -> None:
        self._theirs = theirs
        parts = [
            f"formula {theirs.formula}",
            f"description “{theirs.description}”" if theirs.description else "",
        ]
        parts.append(f"continuous aggregation {'enabled' if theirs.aggregated else 'disabled'}")
        self.strip.say(
            "fault",
            f"{theirs.name} was changed by somebody else meanwhile. Stored now: "
            f"{'; '.join(part for part in parts if part)}. Nothing was overwritten.",
            (("theirs", "Take theirs"), ("mine", "Keep mine")),
        )

    def _gone(self, name: str, error: Exception) -> None:
        self._tell_unavailable(error)
        if not isinstance(error, UserError):
            self.strip.say("fault", _sentence(error))
            return
        self.strip.say(
            "fault",
            f"{name} was deleted by somebody else meanwhile. What is written here can be made again as a new item.",
            (("again", "Create it again"),),
        )

    def _act_on_strip(self, ident: str) -> None:
        self.strip.be_silent()
        if ident == "theirs" and self._theirs is not None:
            self._item = self._theirs
            self._fill(self._theirs)
            self._initial = self._entries()
            self._check()
        elif ident == "mine":
            # From now on ours replaces theirs, knowingly.
            self._item = self._theirs
            self._save()
        elif ident == "again" and self._item is not None:
            items = {name: text for name, text in self._catalogue.items.items() if name != self._item.name}
            self._catalogue = replace(self._catalogue, items=items)
            self._item = None
            self._save()

    # --- Leaving -------------------------------------------------------------------------------------------------

    def reject(self) -> None:
        """Escape and Cancel; asks where something would be lost."""
        if self._saving:
            return
        if not self._discarding and self._entries() != self._initial:
            what = self._item.name if self._item else "the new item"
            question = ConfirmDialog(
                "Discard the changes?",
                f"What was written for {what} is not stored.",
                "Discard changes",
                self,
                refuse="Keep editing",
            )
            question.accepted.connect(self._discard)
            question.open()
            return
        super().reject()

    def _discard(self) -> None:
        self._discarding = True
        self.reject()

    def done(self, result: int) -> None:
        self._pause.stop()
        self._refresh.stop()
        self._assess.stop()
        self._previews.stop()
        self._services.tasks.forget_all(self)
        self.formula.popup().hide()
        super().done(result)


def _sentence(error: Exception) -> str:
    if isinstance(error, SgmpError):
        return str(error)
    return "Something in SGMP failed that should not have. What was written is still here; trying again can help."
