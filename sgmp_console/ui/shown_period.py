"""The period that the top bar names and the report pages show, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from PySide6.QtCore import QObject, Signal

from sgmp_console.reports import periods
from sgmp_console.reports.periods import Period, PeriodError, Span


class Compare(Enum):
    """What a period is compared with. The value names it in menus."""

    NOTHING = "Nothing"
    PREVIOUS = "The period before"
    YEAR_BEFORE = "A year before"
    OTHER = "Another period"


class ShownPeriod(QObject):
    """One for the window, so that all reports are about the same time. Rolling periods move on with the clock."""

    changed = Signal()

    def __init__(self, now_ms: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._now_ms = now_ms
        self._zone = "UTC"
        self._compare = Compare.NOTHING
        self._other: Period | None = None
        self._period = periods.last_24_hours(now_ms(), self._zone)
        self._past: list[Period] = []
        self._future: list[Period] = []

    @property
    def period(self) -> Period:
        """As of now."""
        return self._as_of_now(self._period)

    @property
    def compare(self) -> Compare:
        return self._compare

    @property
    def zone(self) -> str:
        return self._zone

    @property
    def compared_with(self) -> Period | None:
        period = self.period
        match self._compare:
            case Compare.NOTHING:
                return None
            case Compare.PREVIOUS:
                return period.moved(-1)
            case Compare.YEAR_BEFORE:
                return period.year_before()
            case Compare.OTHER:
                return self._other

    def choose(self, period: Period) -> None:
        if period != self._period:
            self._past.append(self._period)
            self._future.clear()
        self._period = period
        self.changed.emit()

    def go_back(self) -> None:
        """To the period that was shown before this one; nothing where there was none."""
        if self._past:
            self._future.append(self._period)
            self._period = self._past.pop()
            self.changed.emit()

    def go_forward(self) -> None:
        """To the period from which `go_back` came."""
        if self._future:
            self._past.append(self._period)
            self._period = self._future.pop()
            self.changed.emit()

    def choose_text(self, text: str) -> None:
        """As on the command line: `today`, `month`, `2025-05`. Raises PeriodError."""
        self.choose(periods.parse(text, self._now_ms(), self._zone))

    def is_chosen(self, text: str) -> bool:
        """Whether the period that the text stands for is the one that is shown."""
        return periods.parse(text, self._now_ms(), self._zone) == self.period

    def choose_compare(self, compare: Compare) -> None:
        """For OTHER see `compare_with`."""
        self._compare = compare
        self.changed.emit()

    def compare_with(self, other: Period) -> None:
        """Compare with this period, whichever is shown."""
        self._other = other
        self.choose_compare(Compare.OTHER)

    def move(self, steps: int) -> None:
        """Earlier or later by whole periods; into the running rolling period where it would pass now."""
        try:
            moved = self.period.moved(steps)
        except PeriodError:
            return  # there is no earlier or later one
        if steps > 0 and moved.span is Span.CUSTOM and self._reaches_now(moved):
            length = moved.end_ms - moved.start_ms
            for rolling in (periods.last_24_hours, periods.last_7_days):
                now = rolling(self._now_ms(), self._zone)
                if now.end_ms - now.start_ms == length:
                    moved = now
        self.choose(moved)

    @property
    def can_move_later(self) -> bool:
        return not self._reaches_now(self.period)

    def set_zone(self, zone: str) -> None:
        """Of the house on screen: the same days by its clock."""
        if zone == self._zone:
            return
        self._zone = zone
        self._past.clear()
        self._future.clear()
        self._period = self._period.of_zone(zone)
        if self._other is not None:
            self._other = self._other.of_zone(zone)
        self.changed.emit()

    def _reaches_now(self, period: Period) -> bool:
        return period.is_running(self._now_ms()) or period.end_ms > self._now_ms()

    def _as_of_now(self, period: Period) -> Period:
        if period.span is Span.LAST_24_HOURS:
            return periods.last_24_hours(self._now_ms(), self._zone)
        if period.span is Span.LAST_7_DAYS:
            return periods.last_7_days(self._now_ms(), self._zone)
        return period
