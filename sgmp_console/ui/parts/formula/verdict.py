"""What there is to say about a formula, in a line or two under it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from sgmp_console.formula import Problem
from sgmp_console.reports.assessment import Assessment
from sgmp_console.ui import formats
from sgmp_console.ui.parts.labels import IconLabel, label, set_ink


class Verdict(QWidget):
    """The first error, else what is doubtful, else what the formula is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 2, 0, 0)
        row.setSpacing(8)
        self._icon = IconLabel("info", "ink_muted", 16)
        row.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        self._text = label("", "body", "secondary", wraps=True)
        # Room for two lines from the start: what is below must not jump while one types.
        self._text.setMinimumHeight(2 * self._text.fontMetrics().lineSpacing() + 2)
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._text, 1)
        self.say_nothing()

    def text(self) -> str:
        return self._text.text()

    def say_nothing(self) -> None:
        self._say(
            "info",
            "ink_muted",
            "Fields of devices, events and other items, with + - * / ^ and functions. Start typing, or press "
            "Ctrl+Space to see what this house has.",
            "muted",
        )

    def say_missing(self) -> None:
        self._say("fault", "state_fault", "Write a formula, for example egauge.A.Solar.", "fault")

    def say_unknown(self, why: str) -> None:
        self._say("warning", "state_warning", f"The formula could not be checked: {why}", "secondary")

    def show_problem(self, problem: Problem) -> None:
        self._say("fault", "state_fault", _sentence(problem), "fault")

    def show_assessment(self, found: Assessment) -> None:
        if found.error is not None:
            more = sum(problem.is_error for problem in found.problems) - 1
            tail = f" ({formats.count(more, 'more error')})" if more else ""
            self._say("fault", "state_fault", _sentence(found.error) + tail, "fault")
            return
        parts = [_sentence(problem) for problem in found.problems]
        if found.equals:
            parts.append(f"This equals {_list([f'analytics.{name}' for name in found.equals])}.")
        if found.simpler:
            parts.append(f"Shorter, with the same values: {found.simpler}")
        if found.problems:
            self._say("warning", "state_warning", " ".join(parts), "secondary")
        else:
            good = f"Valid; unit {found.unit}." if found.unit else "Valid."
            self._say("check", "state_ok", " ".join([good, *parts]), "secondary")

    def _say(self, icon: str, tint: str, text: str, ink: str) -> None:
        self._icon.set_icon(icon, tint)
        self._text.setText(text)
        self.setAccessibleName(text)
        set_ink(self._text, ink)


def _sentence(problem: Problem) -> str:
    text = problem.message
    if text.split(" ", 1)[0].islower():  # not kW
        text = text[0].upper() + text[1:]
    return text if text.endswith(("?", ".", "…")) else f"{text}."


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
