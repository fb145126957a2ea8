"""The time range in the top bar, for the pages that have one: presets, arrows, two dates; and what it is compared with."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property, partial

from PySide6.QtCore import QDate, QDateTime, QTime, QTimeZone, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sgmp_console.reports import periods
from sgmp_console.reports.periods import Period, PeriodError, Span
from sgmp_console.timeseries import calendar
from sgmp_console.ui import formats, plain_text
from sgmp_console.ui.parts.buttons import ComboBox, DateTimeEdit, IconButton, button
from sgmp_console.ui.parts.labels import label, set_ink
from sgmp_console.ui.parts.popup import Popup, open_menu_below
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
        self._choices = QActionGroup(self)
        self._choices.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
        for text, title in _CHOICES.items():
            action = QAction(plain_text.mnemonic_free(title), self._menu, checkable=True)
            action.setData(text)
            self._choices.addAction(action)
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
        for widget in (self._back, self._button, self._forward, self._compare):
            row.addWidget(widget)
        shown.changed.connect(self._refresh)
        self._refresh()

    # Built when they are first opened: each has two calendars, which most sessions do without.

    @cached_property
    def _popup(self) -> _FromTo:
        popup = _FromTo("From and to", self)
        popup.chosen.connect(self._shown.choose)
        return popup

    @cached_property
    def _other_popup(self) -> _FromTo:
        popup = _FromTo("Compare with", self)
        popup.chosen.connect(self._shown.compare_with)
        return popup

    def popup(self) -> _FromTo:
        return self._popup

    def choose_from_and_to(self) -> None:
        """Open the popup with two dates."""
        self._popup.begin(self._shown.period)
        self._popup.open_below(self._button, self._popup.start)

    def other_popup(self) -> _FromTo:
        return self._other_popup

    def choose_other(self) -> None:
        """Open the popup with the two dates of the period to compare with."""
        self._other_popup.begin(self._shown.compared_with or self._shown.period)
        self._other_popup.open_below(self._compare, self._other_popup.start)

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

    def compare_menu(self) -> QMenu:
        return self._compare_menu

    def _open_menu(self) -> None:
        for action in self._choices.actions():
            action.setChecked(self._shown.is_chosen(action.data()))
        open_menu_below(self._menu, self._button)

    def _open_compare_menu(self) -> None:
        open_menu_below(self._compare_menu, self._compare)

    def _picked(self, action: QAction) -> None:
        if action is self._choose:
            self.choose_from_and_to()
        else:
            self._shown.choose_text(action.data())

    def _compare_picked(self, action: QAction) -> None:
        if action.data() is Compare.OTHER:
            self._refresh()  # its mark comes with a period
            self.choose_other()
        else:
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
        self._compare.setText(_compared(self._shown.compare, second))
        plain_text.set_tip(self._compare, second.title if second else "")
        for action in self._group.actions():
            action.setChecked(action.data() is self._shown.compare)


def _compared(compare: Compare, second: Period | None) -> str:
    """The text of the button: short, since its tip has the dates."""
    if compare is Compare.OTHER and second is not None and second.span in _WHOLE:
        return f"vs {second.title}"
    return _COMPARED[compare]


_COMPARED = {
    Compare.NOTHING: "Compare",
    Compare.PREVIOUS: "vs period before",
    Compare.YEAR_BEFORE: "vs year before",
    Compare.OTHER: "vs other period",
}

_WHOLE: dict[Span, str] = {Span.DAY: "Whole day", Span.MONTH: "Whole month", Span.YEAR: "Whole year"}
"""What the popup with two dates takes around the first of them, by the text of its button."""


class _FromTo(Popup):
    chosen = Signal(object)

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(name, parent)
        self._zone = "UTC"
        self._period: Period | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(6)
        self.start, self.end = WallTime("From", self), WallTime("To", self)
        for field in (self.start, self.end):
            column.addWidget(label(field.name, "caption", "secondary"))
            column.addWidget(field)
            field.changed.connect(self._check)
        self._help = label("", "caption", "muted", wraps=True)
        column.addWidget(self._help)
        row = QHBoxLayout()
        row.setSpacing(4)
        self.whole_buttons = {
            span: button(text, partial(self._take_whole, span), "quiet") for span, text in _WHOLE.items()
        }
        for span, whole in self.whole_buttons.items():
            plain_text.set_tip(whole, f"The {span.value} in which From is")
            row.addWidget(whole)
        row.addSpacing(16)
        row.addStretch(1)
        self.show_button = button("Show", self._accept, "primary")
        row.addWidget(self.show_button)
        column.addLayout(row)

    def begin(self, shown: Period) -> None:
        """With the period that is shown."""
        self._zone = shown.zone
        self.start.set_instant(shown.start_ms, shown.zone)
        self.end.set_instant(shown.end_ms, shown.zone)
        self._check()

    def _take_whole(self, span: Span) -> None:
        """Put the day, month or year in which the first date is into both."""
        whole = periods.around(self.start.instant_ms(), span, self._zone)
        self.begin(whole)
        self._period = whole  # by its name, not by its ends
        self.show_button.setFocus()

    def help_text(self) -> str:
        return self._help.text()

    def _check(self) -> None:
        try:
            self._period = periods.custom(self.start.instant_ms(), self.end.instant_ms(), self._zone)
        except PeriodError as error:
            self._period = None
            self._help.setText(str(error))
        else:
            self._help.setText(f"Times in {self._zone.replace('_', ' ')}, to 5 minutes.")
        set_ink(self._help, "muted" if self._period else "fault")
        self.show_button.setEnabled(self._period is not None)
        self.adjustSize()

    def _accept(self) -> None:
        if self._period is not None:
            self.hide()
            self.chosen.emit(self._period)


class WallTime(QWidget):
    """An instant as the house's clock shows it. Where the clock shows a time twice, which of the two can be chosen."""

    changed = Signal()

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.name = name
        self._zone = "UTC"
        self._instant_ms = 0
        self.entry = DateTimeEdit(self)
        self.entry.setAccessibleName(name)
        self.entry.setDisplayFormat("yyyy-MM-dd HH:mm")
        self.entry.setTimeZone(QTimeZone.utc())  # holds wall times, whatever this computer's zone is
        self.entry.setMinimumWidth(220)
        self.which = ComboBox()
        self.which.setAccessibleName(f"{name}: offset of the clock")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.entry, 1)
        row.addWidget(self.which)
        self.setFocusProxy(self.entry)
        self.entry.dateTimeChanged.connect(self._typed)
        self.which.activated.connect(self._chosen)

    def set_instant(self, at_ms: int, zone: str) -> None:
        """What is not touched stays this very instant."""
        self._zone, self._instant_ms = zone, at_ms
        wall = calendar.local(at_ms, zone)
        self.entry.blockSignals(True)
        self.entry.setDateTime(
            QDateTime(QDate(wall.year, wall.month, wall.day), QTime(wall.hour, wall.minute), QTimeZone.utc())
        )
        self.entry.blockSignals(False)
        self._offer(wall)

    def instant_ms(self) -> int:
        return self._instant_ms

    def _typed(self) -> None:
        wall = self._wall()
        self._instant_ms = int(wall.timestamp() * 1000)
        self._offer(wall)
        self.changed.emit()

    def _chosen(self, fold: int) -> None:
        self._instant_ms = int(self._wall().replace(fold=fold).timestamp() * 1000)
        self.changed.emit()

    def _wall(self) -> datetime:
        day, time = self.entry.date(), self.entry.time()
        zone = calendar.zone(self._zone)
        return datetime(day.year(), day.month(), day.day(), time.hour(), time.minute(), tzinfo=zone)

    def _offer(self, wall: datetime) -> None:
        twice = formats.is_repeated(wall)
        self.which.clear()
        if twice:
            for fold in (0, 1):
                self.which.addItem(formats.offset(wall.replace(fold=fold)))
            self.which.setCurrentIndex(wall.fold)
        self.which.setVisible(twice)
