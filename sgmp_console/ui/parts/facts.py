"""A line of facts: a caption above each value, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from sgmp_console.ui.parts.labels import ElidedLabel, IconLabel
from sgmp_console.ui.parts.rows import Mark

_LEAST_WIDTH = 150
"""Pixels of a fact, where nothing else is said."""


@dataclass(frozen=True)
class Fact:
    """`tip`: what there is more to say."""

    name: str
    value: str
    tip: str = ""
    mark: Mark | None = None


class Facts(QWidget):
    def __init__(
        self, called: str, *, least_width: int = _LEAST_WIDTH, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._least_width = least_width
        self.setAccessibleName(called)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(12)
        self._shown: list[_Fact] = []
        self._columns = 0

    def show_facts(self, facts: Sequence[Fact]) -> None:
        if [one.name for one in facts] != [one.name for one in self._shown]:
            for old in self._shown:
                self._grid.removeWidget(old)
                old.deleteLater()
            self._shown = [_Fact(fact.name, self) for fact in facts]
            self._columns = 0
        for place, fact in zip(self._shown, facts, strict=True):
            place.show_fact(fact)
        self._arrange()

    def texts(self) -> dict[str, str]:
        """The value of each fact by its name."""
        return {one.name: one.value.accessibleName() for one in self._shown}

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        count = max(1, len(self._shown))
        columns = max(1, min(count, self.width() // self._least_width))
        columns = -(-count // -(-count // columns))  # rows of about the same length
        if columns == self._columns:
            return
        for place in range(max(columns, self._columns)):
            self._grid.setColumnStretch(place, int(place < columns))
        self._columns = columns
        for place, fact in enumerate(self._shown):
            self._grid.addWidget(fact, *divmod(place, columns))


class _Fact(QWidget):
    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.name = name
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(ElidedLabel(name, "caption", "muted"))
        self._row = QHBoxLayout()
        self._row.setSpacing(6)
        self.icon = IconLabel("check", "ink_muted", 14)
        self.icon.hide()
        self.value = ElidedLabel("", "strong")
        self._row.addWidget(self.icon)
        self._row.addWidget(self.value, 1)
        column.addLayout(self._row)

    def show_fact(self, fact: Fact) -> None:
        self.value.set_whole(fact.value, fact.tip)
        self.icon.setVisible(fact.mark is not None)
        if fact.mark is not None:
            self.icon.set_icon(fact.mark.icon, fact.mark.tint)
