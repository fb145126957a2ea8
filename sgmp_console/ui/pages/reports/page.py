"""One report of the house and the period in the top bar: figures, curves, bars, flows and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from zoneinfo import ZoneInfo

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QAction, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from sgmp_console.reports import periods
from sgmp_console.reports.home import Curve as ChartCurve
from sgmp_console.reports.report import BarStep, Kind, Report, Table
from sgmp_console.timeseries import SLOT_MS, calendar
from sgmp_console.ui import plain_text
from sgmp_console.ui.charts.bars import BarChart
from sgmp_console.ui.charts.flows import FlowChart
from sgmp_console.ui.charts.legend import Legend
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.dialogs.note import may_write
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.reports import look, pieces
from sgmp_console.ui.pages.reports.period_page import MARGIN, PeriodPage
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.labels import label
from sgmp_console.ui.parts.rows import ROW_ROLE, Column
from sgmp_console.ui.parts.table import RowsTable
from sgmp_console.ui.period_zoom import PeriodZoom

_TABLE_ROWS = 14
_NOTE_KEY = "N"


class ReportPage(PeriodPage):
    def __init__(self, kind: Kind, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(kind, services, parent)
        self._legend_names: list[tuple[str, list[str]]] = []
        self._legend_parts: list[Legend] = []

    # --- Building ------------------------------------------------------------------------------------------------

    def build_body(self, column: QVBoxLayout) -> None:
        self._chart_card = Card("Power")
        self._chart_hint = label("", "caption", "muted")
        self._chart_card.header.addWidget(self._chart_hint)
        self.heat_map_button = button("Heat map", self._open_heat_map, "quiet")
        self._chart_card.header.addWidget(self.heat_map_button)
        if not self.services.has_page("heat-map"):
            self.heat_map_button.hide()
        self.chart = TimeChart(
            look.panes(self.kind),
            self.services.draw_clock,
            self.services.tasks,
            f"{self.kind.title}, curve",
            axis_width=64,
        )
        self.chart.setMinimumHeight(320)
        self._zoom = PeriodZoom(self.services, self)
        self._zoom.follow(self.chart)
        self.chart.crossed.connect(self._mark_bar)
        self.chart.mark_opened.connect(self.services.open_mark)
        beside = QHBoxLayout()
        beside.setSpacing(MARGIN)
        beside.addWidget(self.chart, 1)
        self._legends = QVBoxLayout()
        beside.addLayout(self._legends)
        self._chart_card.body.addLayout(beside)
        column.addWidget(self._chart_card, 1)
        self._bars_card = Card("Energy")
        self._bars_hint = label("", "caption", "muted")
        self._bars_card.header.addWidget(self._bars_hint)
        self.bars = BarChart(f"{self.kind.title}, energy")
        self.bars.setMinimumHeight(220)
        self.bars.opened.connect(self._open_bar)
        self.bars.crossed.connect(self.chart.mark)
        self._bars_card.body.addWidget(self.bars)
        column.addWidget(self._bars_card)
        self._flows_card = Card("Energy flows")
        self.flows = FlowChart("Energy flows, from sources to uses")
        self.flows.setMinimumHeight(300)
        self._flows_card.body.addWidget(self.flows)
        column.addWidget(self._flows_card)
        self._table_card = Card("Days")
        self._table_view: RowsTable[tuple[int, tuple[str, ...]]] | None = None
        self._shown_table: Table | None = None
        column.addWidget(self._table_card)
        self.exporter.offer(
            self.chart, partial(self.offer, pieces.power, self.chart.drawing), self._note_actions
        )
        note_key = QShortcut(QKeySequence(_NOTE_KEY), self.chart)
        note_key.setContext(Qt.ShortcutContext.WidgetShortcut)
        note_key.activated.connect(self._note_on_chosen)
        self.exporter.offer(self.bars, partial(self.offer, pieces.energy, self.bars.drawing))
        self.exporter.offer(self.flows, partial(self.offer, pieces.flows, self.flows.drawing))

    # --- Filling -------------------------------------------------------------------------------------------------

    def forget_body(self) -> None:
        self.chart.set_curves({}, 0, 0)
        self.chart.set_marks(())

    def fill_body(self, report: Report, zone: ZoneInfo) -> None:
        self.chart.set_zone(zone)
        dashed = report.comparison
        beside = f", dashed: {dashed.period.title}" if dashed is not None else ""
        self._chart_hint.setText(f"{report.period.title}, {look.source_text(report)}{beside}")
        curves = look.chart_curves(report)
        self.chart.set_curves(curves, report.period.start_ms, report.period.end_ms, report.passed_ms)
        self.chart.set_marks(report.marks)
        self._fill_legends(report, curves)
        picture = look.bar_picture(report, zone)
        self._bars_card.setVisible(picture is not None)
        self.bars.set_picture(picture)
        if picture is not None:
            before = report.comparison
            beside = f", dashed: {before.period.title}" if before is not None else ""
            self._bars_hint.setText(f"per {picture.bars.step.value}{beside}")
        flows = look.flow_picture(report)
        self._flows_card.setVisible(flows is not None)
        self.flows.set_picture(flows)
        self._fill_table(report, zone)

    def _fill_legends(self, report: Report, curves: Mapping[str, ChartCurve]) -> None:
        """They are built again where other lines are shown than before."""
        groups = look.legend_groups(report, curves)
        names = [(group.caption, [one.item for one in group.quantities]) for group in groups]
        if names != self._legend_names:
            self._legend_names = names
            while (item := self._legends.takeAt(0)) is not None:
                if (widget := item.widget()) is not None:
                    widget.deleteLater()
            self._legend_parts = []
            for group in groups:
                legend = Legend([(group.caption, group.quantities)], group.unit, areas=group.areas)
                legend.toggled.connect(self.chart.set_shown)
                legend.toggled.connect(self.bars.set_shown)
                self._legends.addWidget(legend)
                self._legend_parts.append(legend)
            self._legends.addStretch(1)
            for quantity in (one for group in groups for one in group.quantities):
                self.chart.set_shown(quantity.item, True)
                self.bars.set_shown(quantity.item, True)
        for legend, group in zip(self._legend_parts, groups, strict=True):
            legend.set_values(group.values)

    def _note_actions(self, menu: QMenu) -> Sequence[QAction]:
        start_ms, end_ms = self.chart.chosen_range()
        action = QAction("Add note on this time", menu)
        action.setShortcut(QKeySequence(_NOTE_KEY))
        action.setEnabled(may_write(self.services.session))
        action.triggered.connect(partial(self.add_note, start_ms, end_ms))
        return (action,)

    def _note_on_chosen(self) -> None:
        self.add_note(*self.chart.chosen_range())

    def _open_heat_map(self) -> None:
        """The same period by hour and day."""
        self.services.heat_map.item = look.HEAT_MAP_OF[self.kind]
        self.services.navigate("heat-map")

    def _mark_bar(self, at_ms: int | None) -> None:
        self.bars.mark(at_ms)

    def _open_bar(self, start_ms: int, step: BarStep) -> None:
        """Show the day or month that a bar stands for."""
        shown = self.services.shown_period
        first = calendar.date_of(start_ms, shown.zone)
        if step is BarStep.DAY:
            shown.choose(periods.day(first, shown.zone))
        elif step is BarStep.MONTH:
            shown.choose(periods.month(first.year, first.month, shown.zone))

    def _fill_table(self, report: Report, zone: ZoneInfo) -> None:
        shown = look.shown_table(report)
        if self._table_view is not None:
            self._table_card.body.removeWidget(self._table_view)
            self._table_view.deleteLater()
            self._table_view = None
        self._table_card.setVisible(shown is not None)
        if shown is None:
            return
        self._table_card.set_title(shown.title)
        view = _table_view(shown, zone)
        view.setFixedHeight(40 + 33 * min(len(shown.rows), _TABLE_ROWS))
        if shown.times:
            view.activated.connect(self._open_row)
            plain_text.set_tip(view, "Enter or a double click shows the curve of a row.")
        self.exporter.offer(view, partial(self.offer, pieces.shown_table, None))
        self._shown_table, self._table_view = shown, view
        self._table_card.body.addWidget(view)

    def _open_row(self, index: QModelIndex) -> None:
        """Show the time that a row is about, with some of before and after it where it is not a day."""
        place, _ = index.data(ROW_ROLE)
        times = self._shown_table.times[place] if self._shown_table is not None else None
        if times is None:
            return
        start, end = times
        zone = self.services.shown_period.zone
        if calendar.day_of(start, zone) == times:
            self.services.shown_period.choose(periods.day(calendar.date_of(start, zone), zone))
            return
        beside = max(SLOT_MS, (end - start) // 10)
        self._zoom.choose(start - beside, end + beside)


def _table_view(shown: Table, zone: ZoneInfo) -> RowsTable[tuple[int, tuple[str, ...]]]:
    rows = list(enumerate(look.table_texts(shown, zone)))
    columns: list[Column[tuple[int, tuple[str, ...]]]] = []
    for place, column in look.shown_columns(shown):

        def text(row: tuple[int, tuple[str, ...]], column_place: int = len(columns)) -> str:
            return row[1][column_place]

        def sort_key(row: tuple[int, tuple[str, ...]], place: int = place) -> object:
            value = shown.rows[row[0]][place]
            return (value is None, value if value is not None else 0)

        columns.append(
            Column(
                look.column_title(column),
                text,
                64 if columns else 0,
                sort=sort_key,
                right=look.is_numeric(column),
                whole=look.is_time(column),
                strong=not columns,
                optional=column.optional,
            )
        )
    view = RowsTable(shown.title, columns, lambda row: row[0])
    view.set_rows(rows)
    return view
