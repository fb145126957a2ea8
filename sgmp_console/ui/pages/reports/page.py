"""One report of the house and the period in the top bar: figures, curves, a table, and files of them."""

from __future__ import annotations

import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction, QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from sgmp_console import store
from sgmp_console.errors import SgmpError, Unavailable
from sgmp_console.reports import export
from sgmp_console.reports.home import Curve as ChartCurve
from sgmp_console.reports.kinds import build
from sgmp_console.reports.report import Column, Curve, Kind, Report, Table
from sgmp_console.timeseries import HOUR_MS, SLOT_MS, Series
from sgmp_console.ui import formats, plain_text
from sgmp_console.ui.charts.time_chart import Pane, TimeChart
from sgmp_console.ui.page import Page, Services
from sgmp_console.ui.pages.reports.figures import FigureGrid
from sgmp_console.ui.parts import table
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.card import Card
from sgmp_console.ui.parts.empty_state import EmptyState, Skeleton
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import ElidedLabel, label
from sgmp_console.ui.parts.message_bar import MessageBar
from sgmp_console.ui.quantities import QUANTITIES, Quantity

_MARGIN = 16
_LIVE_EVERY_MS = 15_000
"""A period that is running is read again so often at most, when new readings came."""

_TABLE_ROWS = 14
_FILES = {"csv": "CSV files (*.csv)", "xlsx": "Excel workbooks (*.xlsx)"}

_TABLE_OF = {Kind.EV: "sessions", Kind.ENERGY: "flows"}
"""Which table a report shows; the others show their days. All of them are in the files."""


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

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._live.stop()
        self._forget()

    def _forget(self) -> None:
        """What is not on screen gives its memory back."""
        self.report = None
        self._chart.set_curves({}, 0, 0)

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
            self._stack.setCurrentWidget(self._skeleton)
        self.services.tasks.run(self, partial(self._computed, house_id), self._show, self._failed)

    def _computed(self, house_id: int) -> Report:
        shown = self.services.shown_period
        with self.services.session.database.begin() as connection:
            house = store.houses.get(connection, house_id)
            period = replace(shown.period, zone=house.time_zone)
            second = shown.compared_with
            return build(connection, house, self.kind, period, self.services.now_ms(), second)

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
            self._stack.setCurrentWidget(self._content)
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
            sentence = f"This house has no analytic items for it: {names}. Create them on the page Analytics."
            actions: tuple[tuple[str, str], ...] = (("analytics", "Open Analytics"),)
            if not self.services.has_page("analytics"):
                actions = ()
        else:
            sentence = report.figures[0].why.note or "There are no readings in this period."
            actions = (("last-24-hours", "Show the last 24 hours"),)
        self._put(EmptyState("wave", f"Nothing in {report.period.title}", sentence, actions))

    def _put(self, state: EmptyState) -> None:
        if self._empty is not None:
            self._stack.removeWidget(self._empty)
            self._empty.deleteLater()
        self._empty = state
        state.acted.connect(self._act)
        self._stack.addWidget(state)
        self._stack.setCurrentWidget(state)

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
        self._files = button("Export", self._open_files)
        self._files_menu = self._build_files_menu()
        if not self.services.session.may("export"):
            self._files.setEnabled(False)
            self._files.setToolTip("Your role lacks the permission export.")
        head.addWidget(self._files)
        column.addLayout(head)
        self.bar = MessageBar()
        self.bar.acted.connect(self.bar.hide_message)
        column.addWidget(self.bar)
        self.figures = FigureGrid()
        column.addWidget(self.figures)
        self._chart_card = Card("Power")
        self._chart_hint = label("", "caption", "muted")
        self._chart_card.header.addWidget(self._chart_hint)
        self._chart = TimeChart(
            _panes(self.kind), self.services.draw_clock, f"{self.kind.title}, curve", axis_width=64
        )
        self._chart.setMinimumHeight(380)
        self._chart_card.body.addWidget(self._chart)
        column.addWidget(self._chart_card, 1)
        self._table_card = Card("Days")
        self._table_view: table.RowsTable[tuple[int, tuple[str, ...]]] | None = None
        column.addWidget(self._table_card)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        return scroll

    def _build_files_menu(self) -> QMenu:
        menu = QMenu(self)
        for text, act in (
            ("CSV file", partial(self._ask, "csv")),
            ("Excel workbook", partial(self._ask, "xlsx")),
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
        self._chart.set_zone(zone)
        step = "five-minute means" if report.period.step_ms == SLOT_MS else "hourly means"
        self._chart_hint.setText(f"{report.period.title}, {step}")
        curves = {curve.key: _chart_curve(curve) for curve in report.curves}
        self._chart.set_curves(curves, report.period.start_ms, report.period.end_ms)
        self._fill_table(report, zone)

    def _fill_table(self, report: Report, zone: ZoneInfo) -> None:
        key = _TABLE_OF.get(self.kind, "days")
        shown = next((one for one in report.tables if one.key == key), None)
        if self._table_view is not None:
            self._table_card.body.removeWidget(self._table_view)
            self._table_view.deleteLater()
            self._table_view = None
        self._table_card.setVisible(shown is not None and bool(shown.rows))
        if shown is None or not shown.rows:
            return
        view = _table_view(shown, zone, self.services.now_ms())
        view.setFixedHeight(40 + 33 * min(len(shown.rows), _TABLE_ROWS))
        self._table_view = view
        self._table_card.body.addWidget(view)

    # --- Files ---------------------------------------------------------------------------------------------------

    def _ask(self, ending: str) -> None:
        if self.report is None:
            return
        name = f"{self.report.house.name} {self.kind.title} {self.report.period.title}.{ending}"
        name = "".join(character if character.isalnum() or character in " .-_" else "-" for character in name)
        self._ending = ending
        ask_where_to_save(self, f"Export {self.kind.title}", name, _FILES[ending], self.save)

    def save(self, file: Path) -> None:
        """Write the report that is on screen to a file, off the GUI thread."""
        report = self.report
        if report is None:
            return

        def write(_progress: object) -> Path:
            content = (
                export.xlsx_bytes([report]) if file.suffix.lower() == ".xlsx" else export.csv_bytes(report)
            )
            export.write_file(file, content)
            return file

        self.services.tasks.run_shown(self, f"Exporting {file.name}", write, self._saved, self._not_saved)

    def _saved(self, file: Path) -> None:
        self.bar.say("info", f"Exported to {file}.", (("dismiss", "Dismiss"),))

    def _not_saved(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, SgmpError) else "The file could not be written."
        self.bar.say("fault", sentence, (("dismiss", "Dismiss"),))

    def copy_figures(self) -> None:
        """The figures as tab-separated text, for a spreadsheet or a message."""
        if self.report is None:
            return
        lines = [f"{self.report.house.name}\t{self.kind.title}\t{self.report.period.title}"]
        for figure in self.report.figures:
            value = "" if figure.value is None else repr(figure.value)
            lines.append(f"{figure.title}\t{value}\t{figure.unit}")
        QGuiApplication.clipboard().setText("\n".join(lines))
        self.bar.say("info", "The figures are on the clipboard.", (("dismiss", "Dismiss"),))


# --- How curves and tables are shown ----------------------------------------------------------------------------------


def _panes(kind: Kind) -> list[Pane]:
    power = {
        Kind.ENERGY: (
            "solar",
            "grid_import",
            "battery_discharging",
            "load",
            "ev",
            "battery_charging",
            "grid_export",
        ),
        Kind.SOLAR: ("solar",),
        Kind.BATTERY: ("charging", "discharging"),
        Kind.EV: ("ev",),
        Kind.LOAD: ("load",),
    }[kind]
    panes = [Pane("kW", tuple(_quantity(key) for key in power), 1.0, True)]
    if kind is Kind.BATTERY:
        panes.append(Pane("%", (QUANTITIES["soc"],), 10.0, False))
    elif kind is not Kind.ENERGY:
        panes.append(Pane("kWh", (_quantity("cumulative", of=power[0]),), 1.0, True))
    return panes


def _quantity(key: str, of: str = "") -> Quantity:
    base = {"charging": "battery_charging", "discharging": "battery_discharging"}.get(key, of or key)
    title = {"cumulative": "Energy since the start"}.get(key, QUANTITIES[base].title)
    return replace(QUANTITIES[base], item=key, title=title, short=title if of else QUANTITIES[base].short)


def _chart_curve(curve: Curve) -> ChartCurve:
    """Means stand in the middle of their step, running totals at its end."""
    shift = curve.step_ms if curve.cumulative else curve.step_ms // 2
    series = Series(curve.starts + shift, curve.values)
    return ChartCurve(curve.key, curve.unit, series, gap_ms=curve.step_ms + curve.step_ms // 2)


def _table_view(shown: Table, zone: ZoneInfo, now_ms: int) -> table.RowsTable[tuple[int, tuple[str, ...]]]:
    rows = [
        (number, tuple(_cell(cell, column.kind, column.unit, zone, now_ms) for cell, column in zip(row, shown.columns, strict=True)))
        for number, row in enumerate(shown.rows)
    ]  # fmt: skip
    columns: list[table.Column[tuple[int, tuple[str, ...]]]] = []
    for place, column in enumerate(shown.columns):

        def text(row: tuple[int, tuple[str, ...]], place: int = place) -> str:
            return row[1][place]

        def sort_key(row: tuple[int, tuple[str, ...]], place: int = place) -> object:
            value = shown.rows[row[0]][place]
            return (value is None, value if value is not None else 0)

        title = f"{column.title} ({column.unit})" if column.unit else column.title
        numeric = column.kind in (Column.NUMBER, Column.DURATION)
        columns.append(table.Column(title, text, 150, sort=sort_key, right=numeric))
    view = table.RowsTable(shown.title, columns, lambda row: row[0])
    view.set_rows(rows)
    return view


def _cell(cell: float | int | str | None, kind: Column, unit: str, zone: ZoneInfo, now_ms: int) -> str:
    if cell is None:
        return "-"
    if kind is Column.TIME:
        return formats.local(int(cell), zone).strftime("%a %d %b %Y %H:%M")
    if kind is Column.DURATION:
        hours = float(cell) / HOUR_MS
        return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.0f} min"
    if kind is Column.NUMBER:
        return formats.number(float(cell), unit) if unit else f"{cell:,}"
    return str(cell)
