"""Choosing a part of the shown period in a chart, and coming back to the whole."""

from __future__ import annotations

from PySide6.QtCore import QObject

from sgmp_console.reports import periods
from sgmp_console.reports.periods import Period
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.page import Services


class PeriodZoom(QObject):
    def __init__(self, services: Services, parent: QObject) -> None:
        super().__init__(parent)
        self._services = services
        self._whole: Period | None = None
        self._zoomed: Period | None = None

    def follow(self, chart: TimeChart) -> None:
        """What is chosen in this chart is shown."""
        chart.set_zoomable()
        chart.range_chosen.connect(self.choose)
        chart.whole_wanted.connect(self.show_whole)

    def choose(self, start_ms: int, end_ms: int) -> None:
        """Show a part of the period, or of what is before or after it, up to now."""
        shown = self._services.shown_period
        over = max(0, end_ms - max(shown.period.end_ms, self._services.now_ms()))
        start_ms, end_ms = start_ms - over, end_ms - over
        if self._whole is None or shown.period != self._zoomed:
            self._whole = shown.period
        self._zoomed = periods.custom(start_ms, end_ms, shown.zone)
        shown.choose(self._zoomed)

    def show_whole(self) -> None:
        """Show the period again that was zoomed into."""
        shown = self._services.shown_period
        if self._whole is not None and shown.period == self._zoomed:
            shown.choose(self._whole)
