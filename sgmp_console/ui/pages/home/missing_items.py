"""A strip over the dashboard: which required items are missing, and which can't be evaluated."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.reports.home import HomeSnapshot
from sgmp_console.ui import formats
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.labels import ElidedLabel, IconLabel


class MissingItemsBar(QFrame):
    """Hidden where nothing is missing."""

    create_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "strip")
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 8, 8)
        row.setSpacing(12)
        row.addWidget(IconLabel("warning", "state_warning"), alignment=Qt.AlignmentFlag.AlignVCenter)
        lines = QVBoxLayout()
        lines.setSpacing(2)
        self._missing = ElidedLabel()
        self._problems = ElidedLabel()
        lines.addWidget(self._missing)
        lines.addWidget(self._problems)
        row.addLayout(lines, 1)
        self._create = button("Create required items", self.create_wanted.emit)
        row.addWidget(self._create)
        self.hide()

    def set_snapshot(self, snapshot: HomeSnapshot, *, may_create: bool, remarks: Sequence[str] = ()) -> None:
        """`remarks` are what creating the items had to say."""
        missing = snapshot.missing_items
        problems = [*(curve.problem for curve in snapshot.curves.values() if curve.problem), *remarks]
        self._missing.setVisible(bool(missing))
        self._problems.setVisible(bool(problems))
        if missing:
            words = formats.count(len(missing), "required analytic item")
            self._missing.set_whole(f"This house is missing {words}: {', '.join(missing)}.")
        if problems:
            more = f" (and {formats.count(len(problems) - 1, 'more remark')})" if len(problems) > 1 else ""
            self._problems.set_whole(problems[0] + more, "\n".join(problems))
        self._create.setVisible(bool(missing) and may_create)
        self._create.setEnabled(True)
        self.setVisible(bool(missing or problems))

    def set_busy(self, busy: bool) -> None:
        self._create.setEnabled(not busy)
