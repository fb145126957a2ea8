"""The time range in the top bar, for the pages that have one: presets, arrows, two dates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import QDate, QDateTime, QPoint, Qt, QTime, QTimeZone, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QDateTimeEdit, QFrame, QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from sgmp_console.timeseries import calendar
from sgmp_console.ui import plain_text
from sgmp_console.ui.parts.buttons import DateTimeEdit, IconButton, button
from sgmp_console.ui.parts.labels import label, set_ink
from sgmp_console.ui.window.frame import ranges
from sgmp_console.ui.window.frame.ranges import TimeRange


class TimeRangeControl(QWidget):
    """`changed` tells of each range the operator chooses."""

    changed = Signal(object)

    def __init__(self, now_ms: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._now_ms = now_ms
        self._zone = "UTC"
        self._range = ranges.of_preset("last_24_hours", now_ms(), self._zone)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self._back = IconButton("chevron-left", "Earlier", size=16)
        self._back.clicked.connect(self._go_back)
        self._forward = IconButton("chevron-right", "Later", size=16)
        self._forward.clicked.connect(self._go_forward)
        self._menu = QMenu(self)
        self._group = QActionGroup(self)
        for preset, words in ranges.PRESETS.items():
            action = QAction(plain_text.mnemonic_free(words), self._menu, checkable=True)
            action.setData(preset)
            self._group.addAction(action)
            self._menu.addAction(action)
        self._menu.addSeparator()
        self._choose = self._menu.addAction("Choose from and to")
        self._menu.triggered.connect(self._picked)
        self._button = button("", self._open_menu)
        self._popup = _FromTo(self)
        self._popup.chosen.connect(self._set)
        row.addWidget(self._back)
        row.addWidget(self._button)
        row.addWidget(self._forward)
        self._refresh()

    @property
    def range(self) -> TimeRange:
        return self._range

    def set_zone(self, zone: str) -> None:
        """Of the house on screen: its days and months count. A preset is taken anew."""
        self._zone = zone
        if self._range.preset != "custom":
            self._range = ranges.of_preset(self._range.preset, self._now_ms(), zone)
        self._refresh()

    def button(self) -> QPushButton:
        return self._button

    def _open_menu(self) -> None:
        self._menu.popup(self._button.mapToGlobal(QPoint(0, self._button.height() + 4)))

    def _picked(self, action: QAction) -> None:
        if action is self._choose:
            self._popup.open_below(self._button, self._range, self._zone)
        else:
            self._set(ranges.of_preset(action.data(), self._now_ms(), self._zone))

    def _go_back(self) -> None:
        self._set(ranges.shifted(self._range, False, self._now_ms(), self._zone))

    def _go_forward(self) -> None:
        self._set(ranges.shifted(self._range, True, self._now_ms(), self._zone))

    def _set(self, chosen: TimeRange) -> None:
        self._range = chosen
        self._refresh()
        self.changed.emit(chosen)

    def _refresh(self) -> None:
        words = ranges.title(self._range, self._zone)
        self._button.setText(words)
        self._button.setAccessibleName(f"Time range: {words}")
        self._forward.setEnabled(self._range.end_ms < self._now_ms())
        for action in self._group.actions():
            action.setChecked(action.data() == self._range.preset)


class _FromTo(QFrame):
    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("surface", "overlay")
        self._zone = "UTC"
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(6)
        self._from, self._to = self._field("From"), self._field("To")
        for name, field in (("From", self._from), ("To", self._to)):
            column.addWidget(label(name, "caption", "secondary"))
            column.addWidget(field)
        self._help = label("", "caption", "muted", wraps=True)
        column.addWidget(self._help)
        row = QHBoxLayout()
        row.addStretch(1)
        self._apply = button("Show", self._accept, "primary")
        row.addWidget(self._apply)
        column.addLayout(row)
        self._from.dateTimeChanged.connect(self._check)
        self._to.dateTimeChanged.connect(self._check)

    def open_below(self, anchor: QWidget, shown: TimeRange, zone: str) -> None:
        self._zone = zone
        for field, at_ms in ((self._from, shown.start_ms), (self._to, shown.end_ms)):
            # The fields hold the house's wall clock, whatever this computer's zone is.
            wall = calendar.local(at_ms, zone)
            field.setDateTime(
                QDateTime(
                    QDate(wall.year, wall.month, wall.day), QTime(wall.hour, wall.minute), QTimeZone.utc()
                )
            )
        self._check()
        self.adjustSize()
        self.move(anchor.mapToGlobal(QPoint(0, anchor.height() + 4)))
        self.show()
        self._from.setFocus()

    def _field(self, name: str) -> QDateTimeEdit:
        made = DateTimeEdit(self)
        made.setAccessibleName(name)
        made.setDisplayFormat("yyyy-MM-dd HH:mm")
        made.setTimeZone(QTimeZone.utc())
        made.setMinimumWidth(220)
        return made

    def _instant_ms(self, field: QDateTimeEdit) -> int:
        day, time = field.date(), field.time()
        wall = datetime(
            day.year(), day.month(), day.day(), time.hour(), time.minute(), tzinfo=calendar.zone(self._zone)
        )
        return int(wall.timestamp() * 1000)

    def _check(self) -> None:
        wrong = self._instant_ms(self._to) <= self._instant_ms(self._from)
        self._help.setText(
            "The range must end after it starts." if wrong else f"Times of {self._zone}, to 5 minutes."
        )
        set_ink(self._help, "fault" if wrong else "muted")
        self._apply.setEnabled(not wrong)

    def _accept(self) -> None:
        self.hide()
        self.chosen.emit(ranges.custom(self._instant_ms(self._from), self._instant_ms(self._to)))
