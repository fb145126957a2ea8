"""The dialog in which an analytic item is created or changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from sgmp_console.errors import Taken
from sgmp_console.fleet import analytics
from sgmp_console.formula import FormulaError
from sgmp_console.reports import assessment
from sgmp_console.reports.assessment import Assessment, Preview
from sgmp_console.store import AnalyticItem, House
from sgmp_console.store import analytics as stored_items
from sgmp_console.ui import fonts
from sgmp_console.ui.dialogs.edit_dialog import EditDialog
from sgmp_console.ui.explain import explain_in_form
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.analytics.aggregation_box import AggregationBox
from sgmp_console.ui.pages.analytics.preview_card import PreviewCard
from sgmp_console.ui.pages.analytics.rendered import RenderedFormula
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.formula.checked_formula import CheckedFormula
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.tasks import Report

_TYPING_PAUSE_MS = 150
"""Of quiet before a text is checked; less than a person takes to look up."""

_REFRESH_MS = 15_000
"""How often the preview, and the fields that can be named, follow what comes in."""

_FORM_WIDTH = 500
"""Logical pixels."""


@dataclass(frozen=True)
class _Entries:
    """What stands in the form."""

    name: str
    description: str
    formula: str
    unit: str
    aggregated: bool


class ItemEditor(EditDialog[AnalyticItem]):
    """`item` None creates one."""

    def __init__(
        self,
        services: Services,
        house: House,
        item: AnalyticItem | None,
        parent: QWidget | None = None,
        *,
        like: AnalyticItem | None = None,
    ) -> None:
        """`like`: the item that a new one begins as, without its name."""
        title = f"Edit {item.name}" if item else "Create analytic item"
        verb, doing = ("Save changes", "Saving") if item else ("Create item", "Creating")
        super().__init__(services, title, verb, doing, parent, context=house.name)
        self._house = house
        self._item = item
        self._has_news = False
        self._is_assessed = False
        self._build()
        self._previews = LatestOnly[Preview](services.tasks, self._preview_came, self._not_previewed, self)
        self._refresh = QTimer(self)
        self._refresh.setInterval(_REFRESH_MS)
        self._refresh.timeout.connect(self._follow)
        services.live.heard.connect(self._heard)
        self.resize(self._size())
        if item is not None:
            self._show_item(item)
        elif like is not None:
            self._show_item(replace(like, name=""))
        self.mark_clean()
        self._connect()
        self._show_nothing_yet()
        self.formula.begin()
        self._refresh.start()

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.name = QLineEdit()
        self.description = QLineEdit()
        self.unit = QLineEdit()
        for entry in (self.name, self.description, self.unit):
            entry.setFont(fonts.font("body"))
        self.formula = CheckedFormula(
            self.services, self._house.house_id, pause_ms=_TYPING_PAUSE_MS, item=self._identity
        )
        self.verdict = self.formula.verdict
        self.rendered = RenderedFormula()
        self.aggregation = AggregationBox()
        self._name_field = Field("Name", self.name, "Letters, digits and underscores; starts with a letter.")
        if self._item is not None:
            self._name_field.set_help("The name can't change, since formulas and reports refer to it.")
            self.name.setReadOnly(True)
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
        area = ScrollArea(form)
        area.setFixedWidth(_FORM_WIDTH)

        self.preview = PreviewCard(
            self.services.draw_clock, self.services.tasks, ZoneInfo(self._house.time_zone)
        )
        middle = QHBoxLayout()
        middle.setSpacing(8)
        middle.addWidget(area)
        middle.addWidget(self.preview, 1)
        self.lay_out(middle)

    def _show_item(self, item: AnalyticItem) -> None:
        self.name.setText(item.name)
        self.description.setText(item.description)
        self.unit.setText(item.unit)
        self.formula.setPlainText(item.formula)
        self.aggregation.set_wanted(item.aggregated)

    def _connect(self) -> None:
        self.formula.outdated.connect(self._formula_outdated)
        self.formula.emptied.connect(self._show_nothing_yet)
        self.formula.assessed.connect(self._assessment_came)
        self.formula.failed.connect(self.report_unavailable)
        self.formula.submitted.connect(self.perform)
        self.name.textEdited.connect(self._name_edited)
        self.name.editingFinished.connect(self._judge_name)
        self.preview.avg_wanted.connect(self._take_suggestion)
        (self.formula if self._item else self.name).setFocus()

    def _take_suggestion(self, formula: str) -> None:
        self.formula.replace_all(formula)
        self.formula.setFocus()  # Ctrl+Z takes it back

    def _size(self) -> QSize:
        """Most of the window: the preview wants room, and there is nothing else to be seen meanwhile."""
        parent = self.parentWidget()
        window = parent.window().size() if parent is not None else QSize(1280, 800)
        return QSize(min(1240, window.width() - 48), min(780, window.height() - 48))

    # --- Checking ------------------------------------------------------------------------------------------------

    def entries(self) -> _Entries:
        return _Entries(
            self.name.text().strip(),
            self.description.text().strip(),
            self.formula.toPlainText().strip(),
            self.unit.text().strip(),
            self.aggregation.wanted(),
        )

    def _identity(self) -> tuple[str, int]:
        return self.entries().name, self._item.item_id if self._item else 0

    def _heard(self, house_id: int) -> None:
        if house_id in (0, self._house.house_id):
            self._has_news = True

    def _follow(self) -> None:
        if self.busy:
            return
        found = self.formula.assessment
        if self._has_news:
            self._has_news = False
            self.formula.read_house()
        elif found is not None and found.error is None:
            self._read_preview(found)

    def _formula_outdated(self) -> None:
        self._is_assessed = False
        self._previews.forget()

    def _name_edited(self) -> None:
        self._name_field.set_problem("")
        if self.formula.toPlainText().strip():
            # An item may refer to itself under the new name.
            self.formula.check_soon()

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
        known = self.formula.known
        if known is not None and name in known.catalogue.items:
            return f"This house has an analytic item {name} already."
        return ""

    def _show_nothing_yet(self) -> None:
        self._previews.forget()
        self.rendered.show_formula(None)
        self.aggregation.show_effect(None, exact=False)
        self.preview.show_nothing("Values appear here while the formula is written.")

    def _assessment_came(self, found: Assessment) -> None:
        first_time = not self._is_assessed and self._item is not None and found.text == self._item.formula
        self._is_assessed = True
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
            changed = self.changed
            self.unit.clear()
            if not changed:
                self.mark_clean()
        if found.error is None:
            self._read_preview(found)
        elif self.preview.shown() is None:
            self.preview.show_nothing("Values appear here once the formula is valid.")
        else:
            self.preview.show_outdated("before the last change")

    def _read_preview(self, found: Assessment) -> None:
        formula, items = found.formula, found.items
        if formula is None:
            return
        database, house_id, now_ms = (
            self.services.session.database,
            self._house.house_id,
            self.services.now_ms(),
        )
        name = self.entries().name
        self._previews.ask(
            lambda: assessment.preview(database, house_id, formula, items=items, name=name, now_ms=now_ms)
        )

    def _preview_came(self, found: Preview) -> None:
        assessed = self.formula.assessment
        if assessed is not None and found.text == assessed.text:
            unit = self.unit.text().strip() or assessed.unit
            self.preview.show_preview(found, unit, self.entries().name)

    def _not_previewed(self, error: Exception) -> None:
        self.report_unavailable(error)
        self.preview.show_nothing(explain_in_form(error))

    # --- Storing -------------------------------------------------------------------------------------------------

    def set_free(self, free: bool) -> None:
        for part in (self.name, self.description, self.unit, self.formula, self.aggregation):
            part.setEnabled(free)

    def valid(self) -> bool:
        if self._item is None:
            self._name_field.set_problem(self._name_problem(self.entries().name))
        if self._name_field.problem:
            self.name.setFocus()
            return False
        return self.formula.require_valid()

    def work(self) -> Callable[[Report], AnalyticItem]:
        database, house_id, item = self.services.session.database, self._house.house_id, self._item
        entries, aggregated = self.entries(), self.aggregation.effective()
        if item is None:
            return lambda _report: analytics.create(
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
        return lambda _report: analytics.update(database, changed)

    def place(self, error: Exception) -> bool:
        if isinstance(error, FormulaError):
            self.formula.show_refusal(error)
        elif isinstance(error, Taken):
            self._name_field.set_problem(str(error))
            self.name.setFocus()
        else:
            return False
        return True

    # --- Somebody else changed it --------------------------------------------------------------------------------

    def reread(self) -> Callable[[], AnalyticItem] | None:
        if self._item is None:
            return None
        database, item_id = self.services.session.database, self._item.item_id

        def read() -> AnalyticItem:
            with database.begin() as connection:
                return stored_items.get(connection, item_id)

        return read

    def describe(self, stored: AnalyticItem) -> str:
        parts = [
            f"formula {stored.formula}",
            f"description “{stored.description}”" if stored.description else "",
            f"continuous aggregation {'enabled' if stored.aggregated else 'disabled'}",
        ]
        return "; ".join(part for part in parts if part)

    def fill(self, stored: AnalyticItem) -> None:
        self._show_item(stored)
        self.formula.check()

    def rebase(self, stored: AnalyticItem) -> None:
        self._item = stored
        self.formula.read_house()

    def recreate(self) -> Callable[[], None] | None:
        return None if self._item is None else self._become_new

    def _become_new(self) -> None:
        self._item = None
        self.formula.begin()

    # --- Leaving -------------------------------------------------------------------------------------------------

    def done(self, result: int) -> None:
        self._refresh.stop()
        self.formula.stop()
        self._previews.stop()
        super().done(result)
