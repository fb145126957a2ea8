"""One report of the house and the period in the top bar: figures, curves, a table, and files of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtCore import QModelIndex, QRectF, QTimer
from PySide6.QtGui import (
    QAction,
    QGuiApplication,
    QHideEvent,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedLayout, QVBoxLayout, QWidget

from sgmp_console import store
from sgmp_console.errors import SgmpError, Unavailable
from sgmp_console.reports import export, periods
from sgmp_console.reports.export import Piece
from sgmp_console.reports.home import Curve as ChartCurve
from sgmp_console.reports.kinds import build
from sgmp_console.reports.periods import Period
from sgmp_console.reports.report import BarStep, Kind, Report, Table
from sgmp_console.timeseries import SLOT_MS, calendar
from sgmp_console.ui import plain_text, report_paper
from sgmp_console.ui.charts.bars import BarChart
from sgmp_console.ui.charts.flows import FlowChart
from sgmp_console.ui.charts.legend import Legend
from sgmp_console.ui.charts.paper import Drawing
from sgmp_console.ui.charts.time_chart import TimeChart
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.pages.reports import look, pieces
from sgmp_console.ui.pages.reports.figures import FigureGrid
from sgmp_console.ui.pages.reports.several import SeveralDialog
from sgmp_console.ui.parts import table
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.empty_state import EmptyState, Skeleton
from sgmp_console.ui.parts.exporter import FILES, PICTURE_SIZES, Exporter, Offer
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import ElidedLabel, label
from sgmp_console.ui.parts.message_bar import MessageBar, Tone
from sgmp_console.ui.parts.scroll_area import ScrollArea

_MARGIN = 16
_LIVE_EVERY_MS = 15_000
"""A period that is running is read again so often at most, when new readings came."""

_TABLE_ROWS = 14
_SKELETON_TILE = (220, 88)
"""Pixels of a figure's shape while a report is computed."""


class ReportPage(Page):
    """Reads on a worker thread when it is shown, when house or period change, and while the period is running."""

    def __init__(self, kind: Kind, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.kind = kind
        self.report: Report | None = None
        self._reading = False
        self._again = False
        self._stack = QStackedLayout(self)
        self._skeleton = Skeleton(f"Computing the {kind.title.lower()} report")
        self._content = self._build()
        self._stack.addWidget(self._skeleton)
        self._stack.addWidget(self._content)
        self._empty: EmptyState | None = None
        self._whole: Period | None = None
        self._zoomed: Period | None = None
        for keys, go in (
            ("Alt+Left", services.shown_period.go_back),
            ("Alt+Right", services.shown_period.go_forward),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(go)
        self._legend_names: list[tuple[str, list[str]]] = []
        self._legend_parts: list[Legend] = []
        self._live = QTimer(self)
        self._live.setSingleShot(True)
        self._live.setInterval(_LIVE_EVERY_MS)
        self._live.timeout.connect(self._read)
        services.shown_period.changed.connect(self.reload)
        services.live.loading.connect(self._house_changed)
        services.live.snapshot_ready.connect(self._news)
        services.connection.restored.connect(self.reload)

    # --- Reading -------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Compute it again, if it is on screen; else when it is shown next."""
        if self.isVisible():
            self._read()
        else:
            self._forget()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        if self.report is None:
            self._read()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._skeleton.set_blocks(_blocks(self.width(), self.height()))

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._live.stop()
        self._forget()

    def _forget(self) -> None:
        """What is not on screen gives its memory back."""
        self.report = None
        self._forget_body()

    def _house_changed(self) -> None:
        self.report = None
        self.reload()

    def _news(self) -> None:
        report = self.report
        if report is None or not self.isVisible() or self._live.isActive():
            return
        if report.period.is_running(self.services.now_ms()):
            self._live.start()

    def _read(self) -> None:
        house_id = self.services.live.house_id
        if house_id is None:
            return
        if self._reading:
            self._again = True
            return
        self._reading = True
        if self.report is None:
            self._skeleton.begin()
            self.put(self._stack, self._skeleton)
        self.services.tasks.run(self, partial(self._computed, house_id), self._show, self._failed)

    def _computed(self, house_id: int) -> Report:
        shown = self.services.shown_period
        with self.services.session.database.begin() as connection:
            house = store.houses.get(connection, house_id)
            period = replace(shown.period, zone=house.time_zone)
            second = shown.compared_with
            return build(
                connection, house, self.kind, period, self.services.now_ms(), second, item=self.chosen_item()
            )

    def chosen_item(self) -> str | None:
        """What the report is of, where that can be chosen."""
        return None

    def _done(self) -> bool:
        """Whether what was read is still wanted."""
        self._reading = False
        self._skeleton.end()
        if self._again:
            self._again = False
            self._read()
            return False
        return True

    def _show(self, report: Report) -> None:
        if not self._done() or report.house.house_id != self.services.live.house_id:
            return
        self.report = report
        self._fill(report)
        if report.has_data:
            self.put(self._stack, self._content)
        else:
            self._show_empty(report)

    def _failed(self, error: Exception) -> None:
        if not self._done():
            return
        if isinstance(error, Unavailable):
            self.services.connection.lost(error)
            if self.report is not None:
                return
        known = isinstance(error, SgmpError)
        sentence = str(error) if known else "The report could not be computed. Try again, or send the log."
        details = "" if known else "".join(traceback.format_exception(error))
        self._put(
            EmptyState("fault", "No report", sentence, (("retry", "Retry"),), details, tint="state_fault")
        )

    def _show_empty(self, report: Report) -> None:
        if report.missing:
            names = ", ".join(report.missing)
            sentence = f"The report {self.kind.title} needs {names}. Create them on the page Analytics."
            actions: tuple[tuple[str, str], ...] = (("analytics", "Open Analytics"),)
            if not self.services.has_page("analytics"):
                actions = ()
        else:
            sentence = report.figures[0].why.note or "There are no readings in this period."
            actions = (("last-24-hours", "Show the last 24 hours"),)
        headline = "Analytic items are missing" if report.missing else "No readings in this period"
        self._put(EmptyState("wave", headline, sentence, actions))

    def _put(self, state: EmptyState) -> None:
        state.acted.connect(self._act)
        self.put_notice(self._stack, state, self._empty)
        self._empty = state

    def empty_state(self) -> EmptyState | None:
        """What stands in place of the report, if it does."""
        return self._empty if self._stack.currentWidget() is self._empty else None

    def _act(self, id_: str) -> None:
        if id_ == "retry":
            self._read()
        elif id_ == "analytics":
            self.services.navigate("analytics")
        else:
            self.services.shown_period.choose_text("24h")

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> QWidget:
        content = QWidget()
        content.setProperty("surface", "none")
        column = QVBoxLayout(content)
        column.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        column.setSpacing(_MARGIN)
        head = QHBoxLayout()
        head.setSpacing(8)
        self._title = ElidedLabel(self.kind.title, "heading")
        head.addWidget(self._title, 1)
        for widget in self.choices():
            head.addWidget(widget)
        self._files = button("Export", self._open_files)
        self._files_menu = self._build_files_menu()
        if not self.services.session.may("export"):
            self._files.setEnabled(False)
            self._files.setToolTip("Your role does not have the permission export.")
        head.addWidget(self._files)
        column.addLayout(head)
        self.bar = MessageBar()
        self.bar.acted.connect(self.bar.hide_message)
        column.addWidget(self.bar)
        self.exporter = Exporter(self.services, self._say, self)
        self.figures = FigureGrid()
        column.addWidget(self.figures)
        self._build_body(column)
        return ScrollArea(content)

    def choices(self) -> Sequence[QWidget]:
        """What stands beside the title."""
        return ()

    def _build_body(self, column: QVBoxLayout) -> None:
        """What stands below the figures."""
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
        self.chart.set_zoomable()
        self.chart.range_chosen.connect(self._zoom)
        self.chart.whole_wanted.connect(self._show_whole)
        self.chart.crossed.connect(self._mark_bar)
        beside = QHBoxLayout()
        beside.setSpacing(_MARGIN)
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
        self._table_view: table.RowsTable[tuple[int, tuple[str, ...]]] | None = None
        self._shown_table: Table | None = None
        column.addWidget(self._table_card)
        self.exporter.offer(self.chart, partial(self._offer, pieces.power, self.chart.drawing))
        self.exporter.offer(self.bars, partial(self._offer, pieces.energy, self.bars.drawing))
        self.exporter.offer(self.flows, partial(self._offer, pieces.flows, self.flows.drawing))

    def _build_files_menu(self) -> QMenu:
        menu = QMenu(self)
        for text, act in (
            ("CSV file", partial(self._ask, "csv")),
            ("Excel workbook", partial(self._ask, "xlsx")),
            ("PDF document", partial(self._ask, "pdf")),
            *(
                (f"Picture, {width} x {height} pixels", partial(self._ask, "png", (width, height)))
                for width, height in PICTURE_SIZES
            ),
            ("Several reports as one PDF", self.open_several),
            ("Copy figures", self.copy_figures),
        ):
            action = QAction(plain_text.mnemonic_free(text), menu)
            action.triggered.connect(act)
            menu.addAction(action)
        return menu

    def _open_files(self) -> None:
        self._files_menu.popup(self._files.mapToGlobal(self._files.rect().bottomLeft()))

    # --- Filling -------------------------------------------------------------------------------------------------

    def _fill(self, report: Report) -> None:
        zone = ZoneInfo(report.period.zone)
        self._title.set_whole(f"{self.kind.title}: {report.period.title}")
        if report.problems or report.missing:
            missing = f"Missing items: {', '.join(report.missing)}." if report.missing else ""
            self.bar.say("warning", " ".join([missing, *report.problems]).strip())
        else:
            self.bar.hide_message()
        self.figures.set_report(report, zone, self.services.now_ms())
        self._fill_body(report, zone)

    def _forget_body(self) -> None:
        self.chart.set_curves({}, 0, 0)

    def _fill_body(self, report: Report, zone: ZoneInfo) -> None:
        self.chart.set_zone(zone)
        dashed = report.comparison
        beside = f", dashed: {dashed.period.title}" if dashed is not None else ""
        self._chart_hint.setText(f"{report.period.title}, {look.source_text(report)}{beside}")
        curves = look.chart_curves(report)
        self.chart.set_curves(curves, report.period.start_ms, report.period.end_ms)
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
                legend = Legend([(group.caption, group.quantities)], group.unit)
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

    def _open_heat_map(self) -> None:
        """The same period by hour and day."""
        self.services.heat_map.item = look.HEAT_MAP_OF[self.kind]
        self.services.navigate("heat-map")

    def _mark_bar(self, at_ms: int | None) -> None:
        self.bars.mark(at_ms)

    def _zoom(self, start_ms: int, end_ms: int) -> None:
        """Show the report of a part of the period, or of what is before or after it, up to now."""
        shown = self.services.shown_period
        over = max(0, end_ms - max(shown.period.end_ms, self.services.now_ms()))
        start_ms, end_ms = start_ms - over, end_ms - over
        if self._whole is None or shown.period != self._zoomed:
            self._whole = shown.period
        self._zoomed = periods.custom(start_ms, end_ms, shown.zone)
        shown.choose(self._zoomed)

    def _show_whole(self) -> None:
        """Show the period again that was zoomed into."""
        shown = self.services.shown_period
        if self._whole is not None and shown.period == self._zoomed:
            shown.choose(self._whole)

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
        self.exporter.offer(view, partial(self._offer, pieces.shown_table, None))
        self._shown_table, self._table_view = shown, view
        self._table_card.body.addWidget(view)

    def _open_row(self, index: QModelIndex) -> None:
        """Show the time that a row is about, with some of before and after it where it is not a day."""
        place, _ = index.data(table.ROW_ROLE)
        times = self._shown_table.times[place] if self._shown_table is not None else None
        if times is None:
            return
        start, end = times
        zone = self.services.shown_period.zone
        if calendar.day_of(start, zone) == times:
            self.services.shown_period.choose(periods.day(calendar.date_of(start, zone), zone))
            return
        beside = max(SLOT_MS, (end - start) // 10)
        self._zoom(start - beside, end + beside)

    # --- Files ---------------------------------------------------------------------------------------------------

    def _offer(
        self, piece: Callable[[Report], Piece | None], drawing: Callable[[], Drawing | None] | None
    ) -> Offer | None:
        """A chart or table of the report that is on screen."""
        found = piece(self.report) if self.report is not None else None
        return None if found is None else Offer(found, None if drawing is None else drawing())

    def _say(self, tone: Tone, text: str) -> None:
        self.bar.say(tone, text, (("dismiss", "Dismiss"),))

    def _ask(self, ending: str, size: tuple[int, int] = PICTURE_SIZES[0]) -> None:
        if self.report is None:
            return
        name = f"{self.report.house.name} {look.title(self.report)} {self.report.period.title}.{ending}"
        ask_where_to_save(
            self,
            f"Export {self.kind.title}",
            plain_text.file_name(name),
            FILES[ending],
            partial(self.save, size=size),
        )

    def save(self, file: Path, size: tuple[int, int] = PICTURE_SIZES[0]) -> None:
        """Write the report that is on screen to a file, as its ending says, off the GUI thread."""
        report = self.report
        if report is None or not self.services.session.may("export"):
            return

        def write(_progress: object) -> Path:
            match file.suffix.lower():
                case ".xlsx":
                    content = export.xlsx_bytes(report)
                case ".pdf":
                    content = report_paper.pdf_bytes([report])
                case ".png":
                    content = report_paper.png_bytes(report, *size)
                case _:
                    content = export.csv_bytes(report)
            export.write_file(file, content)
            return file

        self.services.tasks.run_shown(
            self, f"Exporting {file.name}", write, self.exporter.saved, self.exporter.not_saved
        )

    def open_several(self) -> None:
        """Ask for reports and houses that become one PDF."""
        dialog = SeveralDialog(self.services, self.kind, self)
        dialog.written.connect(self.exporter.saved)
        dialog.open()

    def copy_figures(self) -> None:
        """The figures as tab-separated text, for a spreadsheet or a message."""
        if self.report is None:
            return
        lines = [f"{self.report.house.name}\t{look.title(self.report)}\t{self.report.period.title}"]
        for figure in self.report.figures:
            value = "" if figure.value is None else repr(figure.value)
            lines.append(f"{figure.title}\t{value}\t{figure.unit}")
        QGuiApplication.clipboard().setText("\n".join(lines))
        self._say("info", "The figures are on the clipboard.")


def _blocks(width: int, height: int) -> tuple[QRectF, ...]:
    """The shape of a report: tiles, and below them charts, in pixels."""
    inside = max(width - 2 * _MARGIN, 1)
    count = max(1, inside // _SKELETON_TILE[0])
    tile = (inside - (count - 1) * _MARGIN) / count
    top = 64
    tiles = [
        QRectF(_MARGIN + place * (tile + _MARGIN), top, tile, _SKELETON_TILE[1]) for place in range(count)
    ]
    top += _SKELETON_TILE[1] + _MARGIN
    chart = max(height - top - _MARGIN, 160) * 0.62
    below = QRectF(_MARGIN, top + chart + _MARGIN, inside, max(height - top - chart - 2 * _MARGIN, 80))
    return (*tiles, QRectF(_MARGIN, top, inside, chart), below)


def _table_view(shown: Table, zone: ZoneInfo) -> table.RowsTable[tuple[int, tuple[str, ...]]]:
    rows = list(enumerate(look.table_texts(shown, zone)))
    columns: list[table.Column[tuple[int, tuple[str, ...]]]] = []
    for place, column in look.shown_columns(shown):

        def text(row: tuple[int, tuple[str, ...]], column_place: int = len(columns)) -> str:
            return row[1][column_place]

        def sort_key(row: tuple[int, tuple[str, ...]], place: int = place) -> object:
            value = shown.rows[row[0]][place]
            return (value is None, value if value is not None else 0)

        columns.append(
            table.Column(
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
    view = table.RowsTable(shown.title, columns, lambda row: row[0])
    view.set_rows(rows)
    return view
