"""The choice of continuous aggregation, saying beforehand what it will do."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from sgmp_console.fleet.analytics_overview import AggregationEffect
from sgmp_console.store.population import DAYS_LIMIT
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.parts.buttons import CheckBox
from sgmp_console.ui.parts.labels import label


class AggregationBox(QFrame):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "card")
        self._wanted = False
        self._refused = False
        self.box = CheckBox("Continuous aggregation")
        self.box.setFont(fonts.font("strong"))
        self.box.toggled.connect(self._toggled)
        self._text = label("", "caption", "secondary", wraps=True)
        self._text.setContentsMargins(28, 0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(6)
        column.addWidget(self.box)
        column.addWidget(self._text)
        self.show_effect(None, exact=False)

    def set_wanted(self, wanted: bool) -> None:
        self._wanted = wanted
        self._show_box()

    def wanted(self) -> bool:
        """What was chosen, whether or not the formula as it stands allows it."""
        return self._wanted

    def effective(self) -> bool:
        return self._wanted and not self._refused

    def text(self) -> str:
        return self._text.text()

    def show_effect(self, effect: AggregationEffect | None, *, exact: bool) -> None:
        """None: nothing is known yet."""
        self._refused = effect is not None and effect.refusal is not None
        self._text.setText(_words(effect, exact))
        self.box.setAccessibleDescription(self._text.text())
        self._show_box()

    def _show_box(self) -> None:
        self.box.blockSignals(True)
        self.box.setChecked(self.effective())
        self.box.blockSignals(False)
        self.box.setEnabled(not self._refused)

    def _toggled(self, checked: bool) -> None:
        self._wanted = checked


def _words(effect: AggregationEffect | None, exact: bool) -> str:
    if effect is None:
        return (
            "Keeps five-minute and hourly values of every field in the formula, so that reports over long times are "
            "quick and outlast the raw readings."
        )
    if effect.refusal is not None:
        return f"Not available: {effect.refusal}."
    if not effect.fields:
        return "Not available: the formula names no field of a device."
    new = [one.identifier for one in effect.fields if not one.asked_by]
    shared = [one for one in effect.fields if one.asked_by]
    parts = []
    if new:
        parts.append(f"Keeps five-minute and hourly values of {_list(new)}.")
    parts += [f"{one.identifier} is already kept for {_list(list(one.asked_by))}." for one in shared]
    if effect.stored_days:
        days = formats.count(effect.stored_days, "day")
        more = "at least " if effect.stored_days >= DAYS_LIMIT else ""
        parts.append(
            f"Readings of {more}{days} are stored and will be aggregated in the background; the status bar shows the "
            "progress."
        )
    else:
        parts.append("No earlier readings need to be aggregated.")
    parts.append(
        "Long reports give the same numbers from aggregates as from the readings."
        if exact
        else "Numbers of this formula can't be computed exactly from aggregates: reports read every reading, and are "
        "approximate where readings are no longer kept."
    )
    return " ".join(parts)


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
