"""The heat map: any analytic item or device field of the house by hour and day, or by hour and weekday."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from zoneinfo import ZoneInfo

from PySide6.QtWidgets import QVBoxLayout, QWidget

from sgmp_console.formula import DeviceIdentifier, identifiers
from sgmp_console.reports import periods
from sgmp_console.reports.export import Piece
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store import analytics, readings
from sgmp_console.timeseries import calendar
from sgmp_console.ui.charts.heat_map import HeatMapChart
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.reports import look, pieces
from sgmp_console.ui.pages.reports.period_page import PeriodPage
from sgmp_console.ui.parts.buttons import ComboBox
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.quantities import QUANTITIES

_CHOICE_WIDTH = 220
_MAX_CHOICES_SHOWN = 20
_LEAST_HEIGHT = 420
"""Pixels of days side by side."""
_REPORT_OF = {
    "solar": "solar",
    "battery_charging": "battery",
    "battery_discharging": "battery",
    "soc": "battery",
    "ev": "ev",
    "load": "load",
}
"""By item: the report that a day leads to; of all others it is that of the energy."""


class HeatMapPage(PeriodPage):
    """What it shows is kept in `Services.heat_map`, since the page itself is not."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(Kind.HEAT_MAP, services, parent)
        self._names = LatestOnly[list[str]](services.tasks, self._fill_names, self._not_read, self)

    def chosen_item(self) -> str | None:
        return self.services.heat_map.item

    def choices(self) -> Sequence[QWidget]:
        self.item_choice = ComboBox()
        self.item_choice.setAccessibleName("Item")
        self.item_choice.setFixedWidth(_CHOICE_WIDTH)
        self.item_choice.setMaxVisibleItems(_MAX_CHOICES_SHOWN)
        self.item_choice.activated.connect(self._choose_item)
        self.lines_choice = ComboBox()
        self.lines_choice.setAccessibleName("Hours of")
        for text, by_weekday in (("Each day", False), ("Weekdays", True)):
            self.lines_choice.addItem(text, by_weekday)
        self.lines_choice.setCurrentIndex(int(self.services.heat_map.by_weekday))
        self.lines_choice.activated.connect(self._choose_lines)
        return self.item_choice, self.lines_choice

    def build_body(self, column: QVBoxLayout) -> None:
        self._map_card = Card("")
        self._map_hint = label("", "caption", "muted")
        self._map_card.header.addWidget(self._map_hint)
        self.map = HeatMapChart("Heat map")
        self.map.opened.connect(self._open_day)
        self._map_card.body.addWidget(self.map)
        self.exporter.offer(self.map, partial(self.offer, self._piece, self.map.drawing))
        column.addWidget(self._map_card)
        column.addStretch()
        self._column = column

    def _piece(self, report: Report) -> Piece | None:
        return pieces.cells(report, by_weekday=self.services.heat_map.by_weekday)

    def forget_body(self) -> None:
        self.map.set_picture(None)

    def read(self) -> None:
        super().read()
        house_id = self.services.live.house_id
        if house_id is not None:
            self._names.ask(lambda: self._read_names(house_id))

    def _read_names(self, house_id: int) -> list[str]:
        """The analytic items, those that we have a name for first, and the device fields as formulas write them."""
        with self.services.session.database.begin() as connection:
            items = {item.name for item in analytics.list_all(connection, house_id)}
            fields = readings.units(connection, house_id)
        known = [name for name in QUANTITIES if name in items]
        written = (identifiers.write(DeviceIdentifier(*key)) for key in fields)
        return [*known, *sorted(items - set(known)), *sorted(written)]

    def _fill_names(self, names: list[str]) -> None:
        shown = [self.item_choice.itemData(place) for place in range(self.item_choice.count())]
        if names != shown:
            self.item_choice.clear()
            for name in names:
                self.item_choice.addItem(QUANTITIES[name].title if name in QUANTITIES else name, name)
        if self.chosen_item() is not None and self.chosen_item() not in names:
            self.services.heat_map.item = None  # another house
            self.reload()
        self._show_choice()

    def _not_read(self, _error: Exception) -> None:
        """The report, which is read beside it, says what is wrong."""

    def _show_choice(self) -> None:
        """The report says what it is of where nothing was chosen."""
        item = self.chosen_item()
        if item is None and self.report is not None and self.report.heat_map is not None:
            item = self.report.heat_map.item
        self.item_choice.setCurrentIndex(self.item_choice.findData(item))

    def _choose_item(self, place: int) -> None:
        self.services.heat_map.item = self.item_choice.itemData(place)
        self.reload()

    def _choose_lines(self, place: int) -> None:
        self.services.heat_map.by_weekday = self.lines_choice.itemData(place)
        if self.report is not None:
            self.fill_body(self.report, ZoneInfo(self.report.period.zone))

    def fill_body(self, report: Report, zone: ZoneInfo) -> None:
        self._show_choice()
        by_weekday = self.services.heat_map.by_weekday
        self._map_card.set_title(
            f"{look.quantity_of(report).title}, {'hours of the week' if by_weekday else 'hours of each day'}"
        )
        self._map_hint.setText(f"{report.period.title}, hourly means, times in {zone.key.replace('_', ' ')}")
        picture = look.heat_picture(report, by_weekday=by_weekday)
        self.map.set_picture(picture)
        # A few rows need little room, which the cards then leave free below them.
        height = picture.max_height if picture is not None else None
        self.map.setMinimumHeight(_LEAST_HEIGHT if height is None else height)
        self._column.setStretchFactor(self._map_card, int(height is None))
        self._column.setStretch(self._column.count() - 1, int(height is not None))

    def _open_day(self, start_ms: int) -> None:
        shown = self.services.shown_period
        shown.choose(periods.day(calendar.date_of(start_ms, shown.zone), shown.zone))
        page = _REPORT_OF.get(look.quantity_of(self.report).item, "energy") if self.report else "energy"
        self.services.navigate(page)
