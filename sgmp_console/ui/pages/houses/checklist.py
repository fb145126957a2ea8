"""The checklist of a house: from created to finished, each step with the button that leads to its act."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.fleet.checklist import Task
from sgmp_console.fleet.houses_overview import HouseOverview
from sgmp_console.ui import house_words, plain_text
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.dialog import Dialog
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.step_list import StepList

_ACTS = {
    Task.CREDENTIALS: "New credentials",
    Task.DEVICES: "Show devices",
    Task.SYNCHRONIZE: "Synchronize",
    Task.DATA: "Show devices",
    Task.ITEMS: "Show analytics",
    Task.WIRING: "Check wiring",
}
"""What an edge needs is done at the Raspberry Pi."""


class ChecklistDialog(Dialog):
    """`wanted`: the step whose act was asked for; it is closed then. `may`: the steps that the account can do something about."""

    wanted = Signal(object)

    def __init__(self, house: HouseOverview, may: Collection[Task], now_ms: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(plain_text.title(f"Checklist of {house.house.name}"))
        self.resize(600, 640)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(label(f"Checklist of {house.house.name}", "title", wraps=True))
        column.addWidget(label(house_words.progress(house), "body", "secondary", wraps=True))
        self.steps = StepList("Steps")
        column.addWidget(self.steps, 1)
        zone = ZoneInfo(house.house.time_zone)
        known = house.checklist
        following = known.open[0] if known is not None and known.open else None
        for step in known.steps if known is not None else ():
            act = None
            if step.task in may and (step.task in _ACTS) and not step.done:
                choose = partial(self._choose, step.task)
                act = button(_ACTS[step.task], choose, "primary" if step.task is following else "")
            title = house_words.TASKS[step.task]
            self.steps.add(step.done or None, title, house_words.step(house, step, now_ms, zone), act=act)
        row = QHBoxLayout()
        row.addStretch(1)
        self.leave = button("Close", self.reject)
        row.addWidget(self.leave)
        column.addLayout(row)
        self.leave.setFocus()

    def _choose(self, task: Task) -> None:
        self.accept()
        self.wanted.emit(task)
