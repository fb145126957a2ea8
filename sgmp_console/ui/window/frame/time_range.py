"""The time range in the top bar, for the pages that have one: presets, arrows, two dates."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QDate, QDateTime, QPoint, Qt, QTime, QTimeZone, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import (
    QDateTimeEdit,
    QFrame,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.reports import periods
from sgmp_console.reports.periods import Period
from sgmp_console.timeseries import calendar
from sgmp_console.ui import plain_text
from sgmp_console.ui.parts.buttons import DateTimeEdit, IconButton, button
from sgmp_console.ui.parts.labels import label, set_ink
from sgmp_console.ui.shown_period import Compare, ShownPeriod

_CHOICES = {
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "today": "Today",
    "yesterday": "Yesterday",
    "month": "This month",
    "last-month": "Last month",
    "year": "This year",
    "last-year": "Last year",
}
"""What the menu offers, as `periods.parse` reads it."""


class TimeRangeControl(QWidget):
    """Shows and changes the period of the report pages. Alt+[ and Alt+] go to the period before and after."""

    def __init__(self, shown: ShownPeriod, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown = shown
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self._back = IconButton("chevron-left", "Earlier", size=16)
        self._back.setShortcut("Alt+[")
        self._back.clicked.connect(self._go_back)
        self._forward = IconButton("chevron-right", "Later", size=16)
        self._forward.setShortcut("Alt+]")
        self._forward.clicked.connect(self._go_forward)
        self._menu = QMenu(self)
        for text, title in _CHOICES.items():
            action = QAction(plain_text.mnemonic_free(title), self._menu)
            action.setData(text)
            self._menu.addAction(action)
        self._menu.addSeparator()
        self._choose = self._menu.addAction("Choose from and to")
        self._menu.triggered.connect(self._picked)
        self._button = button("", self._open_menu)
        self._compare_menu = QMenu(self)
        self._group = QActionGroup(self)
        for compare in Compare:
            action = QAction(plain_text.mnemonic_free(compare.value), self._compare_menu, checkable=True)
            action.setData(compare)
            self._group.addAction(action)
            self._compare_menu.addAction(action)
        self._compare_menu.triggered.connect(self._compare_picked)
        self._compare = button("", self._open_compare_menu)
        self._popup = _FromTo(self)
        self._popup.chosen.connect(shown.choose)
        for widget in (self._back, self._button, self._forward, self._compare):
            row.addWidget(widget)
        shown.changed.connect(self._refresh)
        self._refresh()

    def button(self) -> QPushButton:
        return self._button

    def menu(self) -> QMenu:
        return self._menu

    def earlier_button(self) -> QToolButton:
        return self._back

    def later_button(self) -> QToolButton:
        return self._forward

    def compare_button(self) -> QPushButton:
        return self._compare

    def _open_menu(self) -> None:
        self._menu.popup(self._button.mapToGlobal(QPoint(0, self._button.height() + 4)))

    def _open_compare_menu(self) -> None:
        self._compare_menu.popup(self._compare.mapToGlobal(QPoint(0, self._compare.height() + 4)))

    def _picked(self, action: QAction) -> None:
        if action is self._choose:
            self._popup.open_below(self._button, self._shown.period)
        else:
            self._shown.choose_text(action.data())

    def _compare_picked(self, action: QAction) -> None:
        self._shown.choose_compare(action.data())

    def _go_back(self) -> None:
        self._shown.move(-1)

    def _go_forward(self) -> None:
        self._shown.move(1)

    def _refresh(self) -> None:
        title = self._shown.period.title
        self._button.setText(title)
        self._button.setAccessibleName(f"Period: {title}")
        self._forward.setEnabled(self._shown.can_move_later)
        second = self._shown.compared_with
        self._compare.setText(f"Compared with {second.title}" if second else "Compare")
        for action in self._group.actions():
            action.setChecked(action.data() is self._shown.compare)


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

    def open_below(self, anchor: QWidget, shown: Period) -> None:
        zone = self._zone = shown.zone
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
        self.chosen.emit(periods.custom(self._instant_ms(self._from), self._instant_ms(self._to), self._zone))
