"""Whether a house is wired and configured rightly: the verdicts on what it recorded, and what to correct."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from sgmp_console.store import House
from sgmp_console.ui import fonts, formats
from sgmp_console.ui.dialogs.act_dialog import ActDialog
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.step_list import StepList
from sgmp_console.ui.tasks import Report

if TYPE_CHECKING:
    from sgmp_console.quality.commissioning import Verdict

_PERIODS = (("Last 7 days", "7d"), ("Last 24 hours", "24h"), ("Yesterday", "yesterday"))


class WiringDialog(ActDialog):
    """`open()` it: it looks at the first period at once. Nothing is changed."""

    def __init__(self, services: Services, house: House, parent: QWidget) -> None:
        super().__init__(
            services, f"Check the wiring of {house.name}", "Check again", parent, only_reads=True
        )
        self._house = house
        self.resize(640, 660)
        self.period = ComboBox()
        self.period.setFont(fonts.font("body"))
        for text, _ in _PERIODS:
            self.period.addItem(text)
        self.period.activated.connect(self.perform)
        self.body.addWidget(
            Field("Period", self.period, "Half a day with all meters at the least; better a week with sun.")
        )
        self.steps = StepList("Verdicts")
        self.body.addWidget(self.steps, 1)
        self.set_refuse("Close")
        self.perform()

    def perform(self) -> None:
        database, house_id = self.services.session.database, self._house.house_id
        period, now_ms = _PERIODS[self.period.currentIndex()][1], self.services.now_ms()

        def look(_report: Report) -> list[Verdict]:
            from sgmp_console.reports import commission_data

            return commission_data.check(database, house_id, period, now_ms)

        self.steps.clear()
        self.run(look, self._looked, "Looking")

    def _looked(self, verdicts: list[Verdict]) -> None:
        from sgmp_console.quality.commissioning import TITLES, Outcome

        marks = {Outcome.RIGHT: True, Outcome.WRONG: False, Outcome.UNKNOWN: None}
        wrong = [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG]
        for verdict in sorted(verdicts, key=lambda verdict: verdict.outcome is not Outcome.WRONG):
            self.steps.add(marks[verdict.outcome], TITLES[verdict.check], verdict.text, verdict.remedy)
        if wrong:
            self.message_bar.say(
                "warning", f"{formats.count(len(wrong), 'thing')} to correct. Each says what to do."
            )
        elif any(verdict.outcome is Outcome.UNKNOWN for verdict in verdicts):
            self.message_bar.say("info", "Nothing is wrong in what could be looked at.")
        else:
            self.message_bar.say("info", "The house is wired and configured rightly.")
        self.fit()
