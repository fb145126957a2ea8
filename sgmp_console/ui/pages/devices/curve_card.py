"""The curve of a field of a device over the period in the top bar."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedLayout, QWidget

from sgmp_console.errors import SgmpError, Unavailable
from sgmp_console.reports.export import Piece
from sgmp_console.reports.field_curve import FieldCurve, field_curve
from sgmp_console.reports.report import Figure
from sgmp_console.store import House
from sgmp_console.ui import formats
from sgmp_console.ui.charts.panes import single_pane
from sgmp_console.ui.charts.report_curve import chart_curve
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.explain import explain
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.exporter import Exporter, Offer
from sgmp_console.ui.parts.facts import Fact, Facts
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.message_bar import Tone
from sgmp_console.ui.period_zoom import PeriodZoom
from sgmp_console.ui.quantities import Quantity

_LIVE_EVERY_MS = 15_000
"""A period that is running is read again so often at most."""


class CurveCard(Card):
    """`show_field` chooses what it is of; it follows the period of the top bar."""

    def __init__(
        self, services: Services, say: Callable[[Tone, str], None], parent: QWidget | None = None
    ) -> None:
        super().__init__("Curve", parent)
        self._services = services
        self.shown: FieldCurve | None = None
        self._of: tuple[House, str, str] | None = None
        self._asked_ms = 0
        self._reads = LatestOnly[FieldCurve](services.tasks, self._show, self._not_read, self)
        self._zoom = PeriodZoom(services, self)
        self._exporter = Exporter(services, say, self)
        self._hint = label("", "caption", "muted")
        self.header.addWidget(self._hint)
        if services.has_page("heat-map"):
            self.header.addWidget(button("Heat map", self._open_heat_map, "quiet"))
        self._holder = QStackedLayout()
        self.body.addLayout(self._holder, 1)
        self._blank = label("", "body", "muted", wraps=True)
        self._blank.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._holder.addWidget(self._blank)
        self.chart: TimeChart | None = None
        self._drawn_as: tuple[str, str] | None = None
        """Name and unit that the chart was made for."""
        self.figures = Facts("Figures of the period", least_width=108)
        self.body.addWidget(self.figures)
        services.shown_period.changed.connect(self.read)

    def show_field(self, house: House, device: str, field: str) -> None:
        """Read its curve, unless it is the one that is shown and was read a moment ago."""
        of = (house, device, field)
        period = self._services.shown_period.period
        age_ms = self._services.now_ms() - self._asked_ms
        is_due = period.is_running(self._services.now_ms()) and age_ms >= _LIVE_EVERY_MS
        if self._of is None or of[1:] != self._of[1:] or house.house_id != self._of[0].house_id:
            self.forget()
            self.set_title(field)
            is_due = True
        self._of = of
        if is_due:
            self.read()

    def forget(self) -> None:
        """Another device or house is to be shown."""
        self._of = self.shown = None
        self._reads.forget()
        self.set_title("Curve")
        self._hint.setText("")
        self.figures.show_facts(())
        self._say("")

    def read(self) -> None:
        if self._of is None or not self.isVisible():
            return
        database, period, now_ms = (
            self._services.session.database,
            self._services.shown_period.period,
            self._services.now_ms(),
        )
        house, device, field = self._of
        self._asked_ms = now_ms
        if self.shown is None:
            self._say("Reading the curve")

        def read() -> FieldCurve:
            with database.begin() as connection:
                return field_curve(connection, house, device, field, period, now_ms)

        self._reads.ask(read)

    def busy(self) -> bool:
        return self._reads.busy()

    def _show(self, found: FieldCurve) -> None:
        self.shown = found
        zone = ZoneInfo(found.period.zone)
        curve = found.curve
        # Not the period: the top bar has it, and the name of the field needs the room.
        self._hint.setText(curve.resolution.value if curve is not None else "")
        self.figures.show_facts(_facts(found, self._services.now_ms(), zone))
        if curve is None or not len(curve.starts):
            self._say(found.problem or f"{found.item} has no readings in this period: {found.period.title}.")
            return
        chart = self._chart_for(found)
        chart.set_zone(zone)
        chart.set_curves({curve.key: chart_curve(curve)}, found.period.start_ms, found.period.end_ms)
        chart.set_marks(found.marks)
        self._holder.setCurrentWidget(chart)

    def _not_read(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self._services.connection.lost(error)
            if self.shown is not None:
                return
        elif not isinstance(error, SgmpError):
            raise error
        self._say(f"The curve could not be read. {explain(error)}")

    def _say(self, text: str) -> None:
        """In place of the curve."""
        self._blank.setText(text)
        self._holder.setCurrentWidget(self._blank)

    def _chart_for(self, found: FieldCurve) -> TimeChart:
        """A chart's axis keeps its unit, so another unit needs another chart."""
        chart, made_for = self.chart, (found.item, found.unit)
        if chart is not None and made_for == self._drawn_as:
            return chart
        if chart is not None:
            self._holder.removeWidget(chart)
            chart.hide()
            chart.deleteLater()
        quantity = Quantity(found.item, found.item, found.item, "other")
        self._drawn_as = made_for
        self.chart = made = TimeChart(
            [single_pane(quantity, found.unit)],
            self._services.draw_clock,
            self._services.tasks,
            f"Curve of {found.item}",
            axis_width=64,
        )
        made.setMinimumHeight(140)
        made.mark_opened.connect(self._services.open_mark)
        self._zoom.follow(made)
        self._exporter.offer(made, self._offer)
        self._holder.addWidget(made)
        return made

    def _offer(self) -> Offer | None:
        found, chart = self.shown, self.chart
        if found is None or chart is None or self._of is None:
            return None
        range_ms = (found.period.start_ms, found.passed_ms)
        piece = Piece(
            found.item,
            (chart.readings(found.item),),
            found.period.zone,
            self._of[0].name,
            found.period.title,
            range_ms,
            found.unit,
        )
        return Offer(piece, chart.drawing())

    def _open_heat_map(self) -> None:
        """The same field and period by hour and day."""
        if self.shown is not None:
            self._services.heat_map.item = self.shown.item
            self._services.navigate("heat-map")


def _facts(found: FieldCurve, now_ms: int, zone: ZoneInfo) -> list[Fact]:
    mean, highest, lowest = found.figures
    coverage = mean.why.coverage
    return [
        Fact(mean.title, formats.measured(mean.value, mean.unit)),
        *(_extreme(figure, now_ms, zone) for figure in (highest, lowest)),
        Fact(
            "Coverage",
            formats.MISSING if coverage is None else formats.percent(coverage),
            "The share of the five-minute slots of the period that have a reading.",
        ),
    ]


def _extreme(figure: Figure, now_ms: int, zone: ZoneInfo) -> Fact:
    value = formats.measured(figure.value, figure.unit)
    at = "" if figure.at_ms is None else f"at {formats.moment(figure.at_ms, now_ms, zone, seconds=True)}"
    return Fact(figure.title, value, at)
