"""Things that were looked at, one below the other: what each showed, and what to do about it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sgmp_console.ui.parts.labels import IconLabel, label
from sgmp_console.ui.parts.scroll_area import ScrollArea

_MARKS = {True: ("check", "state_ok"), False: ("fault", "state_fault"), None: ("info", "ink_muted")}


class StepList(QWidget):
    """Scrolls where there is no room. `name` is read aloud."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._outer = QVBoxLayout(self)
        self._outer.setContentsMargins(0, 0, 0, 0)
        self._area = ScrollArea(self._card(), name=name)
        self._outer.addWidget(self._area)

    def _card(self) -> QWidget:
        self._inside = QWidget()
        self._inside.setProperty("surface", "card")
        self._rows = QVBoxLayout(self._inside)
        self._rows.setContentsMargins(16, 12, 16, 12)
        self._rows.setSpacing(12)
        self._rows.addStretch(1)
        return self._inside

    def clear(self) -> None:
        self._area.setWidget(self._card())
        self._inside.show()  # Qt shows only what is added before the area is shown

    def add(
        self, ok: bool | None, title: str, text: str, remedy: str = "", act: QWidget | None = None
    ) -> None:
        """`ok` None: it was not looked at, or nothing can be said. `remedy`: shown where something is wrong. `act`: a button
        beside it."""
        row = QHBoxLayout()
        row.setSpacing(12)
        icon, tint = _MARKS[ok]
        row.addWidget(IconLabel(icon, tint), alignment=Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(label(title, "body"))
        texts.addWidget(label(text, "caption", "secondary", wraps=True))
        if ok is False and remedy:
            texts.addWidget(label(remedy, "caption", "fault", wraps=True))
        row.addLayout(texts, 1)
        if act is not None:
            row.addWidget(act, alignment=Qt.AlignmentFlag.AlignVCenter)
        self._rows.insertLayout(self._rows.count() - 1, row)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        # A scroll area asks nobody how high wrapped text is.
        # Without a row it has no height for a width: -1.
        self._inside.setMinimumHeight(max(0, self._rows.totalHeightForWidth(self._area.viewport().width())))
