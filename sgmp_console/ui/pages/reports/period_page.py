"""What all pages about a period have: the reading, figures, what stands there instead of them, and files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtCore import QRectF, QTimer
from PySide6.QtGui import QAction, QGuiApplication, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from sgmp_console import store
from sgmp_console.reports import export
from sgmp_console.reports.export import Piece
from sgmp_console.reports.kinds import build
from sgmp_console.reports.report import Kind, Report
from sgmp_console.store.notes import Note, NoteKind
from sgmp_console.timeseries import snap
from sgmp_console.ui import plain_text, report_paper
from sgmp_console.ui.charts.paper import Drawing
from sgmp_console.ui.dialogs.note import NoteDialog, may_write
from sgmp_console.ui.latest_only import LatestOnly
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.reports import look
from sgmp_console.ui.pages.reports.figures import FigureGrid
from sgmp_console.ui.pages.reports.several import SeveralDialog
from sgmp_console.ui.parts.buttons import button
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.exporter import FILES, PICTURE_SIZES, Exporter, Offer
from sgmp_console.ui.parts.files import ask_where_to_save
from sgmp_console.ui.parts.labels import ElidedLabel
from sgmp_console.ui.parts.loaded_page import LoadedPage
from sgmp_console.ui.parts.message_bar import MessageBar, Tone
from sgmp_console.ui.parts.popup import open_menu_below
from sgmp_console.ui.parts.scroll_area import ScrollArea

MARGIN = 16
_LIVE_EVERY_MS = 15_000
"""A period that is running is read again so often at most, when new readings came."""
_SKELETON_TILE = (220, 88)
"""Pixels of a figure's shape while a report is computed."""


class PeriodPage(LoadedPage):
    """A report of the house and the period in the top bar. Reads on a worker thread when it is shown, when house or period
    change, and while the period is running."""

    def __init__(self, kind: Kind, services: Services, parent: QWidget | None = None) -> None:
        name = f"report {kind.title}"
        super().__init__(services, f"The {name}", loading=f"Computing the {name}", parent=parent)
        self.kind = kind
        self.report: Report | None = None
        self._reads = LatestOnly[Report](services.tasks, self._show, self.not_loaded, self)
        self.set_content(self._build())
        for keys, go in (
            ("Alt+Left", services.shown_period.go_back),
            ("Alt+Right", services.shown_period.go_forward),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(go)
        self._live = QTimer(self)
        self._live.setSingleShot(True)
        self._live.setInterval(_LIVE_EVERY_MS)
        self._live.timeout.connect(self.read)
        services.shown_period.changed.connect(self.reload)
        services.live.loading.connect(self._house_changed)
        services.live.snapshot_ready.connect(self._news)
        services.connection.restored.connect(self.reload)

    # --- What a page says of itself --------------------------------------------------------------------------------

    def choices(self) -> Sequence[QWidget]:
        """What stands beside the title."""
        return ()

    def chosen_item(self) -> str | None:
        """What the report is of, where that can be chosen."""
        return None

    @abstractmethod
    def build_body(self, column: QVBoxLayout) -> None:
        """Add what stands below the figures."""

    @abstractmethod
    def fill_body(self, report: Report, zone: ZoneInfo) -> None:
        """Show the report below its figures."""

    @abstractmethod
    def forget_body(self) -> None:
        """It is no longer on screen: what takes memory goes."""

    # --- Reading -------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Compute it again, if it is on screen; else when it is shown next."""
        if self.isVisible():
            self.read()
        else:
            self._forget()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        if self.report is None:
            self.read()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._live.stop()
        self._reads.forget()
        self._forget()

    def _forget(self) -> None:
        """What is not on screen gives its memory back."""
        self.report = None
        self.forget_body()

    def _house_changed(self) -> None:
        self.report = None
        self.reload()

    def _news(self) -> None:
        report = self.report
        if report is None or not self.isVisible() or self._live.isActive():
            return
        if report.period.is_running(self.services.now_ms()):
            self._live.start()

    def read(self) -> None:
        """Compute it for the house and period that are chosen now."""
        house_id = self.services.live.house_id
        if house_id is None:
            return
        if self.report is None:
            self.show_loading()
        database, shown, kind = self.services.session.database, self.services.shown_period, self.kind
        period, second = shown.period, shown.compared_with
        item, now_ms = self.chosen_item(), self.services.now_ms()

        def computed() -> Report:
            with database.begin() as connection:
                house = store.houses.get(connection, house_id)
                of_house = replace(period, zone=house.time_zone)
                return build(connection, house, kind, of_house, now_ms, second, item=item)

        self._reads.ask(computed)

    def is_loaded(self) -> bool:
        return self.report is not None

    def _show(self, report: Report) -> None:
        if report.house.house_id != self.services.live.house_id:
            return
        self.report = report
        self._fill(report)
        if report.has_data:
            self.show_content()
        else:
            self._show_empty(report)

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
        self.show_notice(EmptyState("wave", headline, sentence, actions))

    def acted(self, id_: str) -> None:
        if id_ == "analytics":
            self.services.navigate("analytics")
        else:
            self.services.shown_period.choose_text("24h")

    # --- Building ------------------------------------------------------------------------------------------------

    def _build(self) -> QWidget:
        content = QWidget()
        content.setProperty("surface", "none")
        column = QVBoxLayout(content)
        column.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        column.setSpacing(MARGIN)
        head = QHBoxLayout()
        head.setSpacing(8)
        self._title = ElidedLabel(self.kind.title, "heading")
        head.addWidget(self._title, 1)
        self.marks_button = button("", self._open_events, "quiet")
        self.marks_button.setAccessibleDescription("Opens the page Events with this period.")
        self.marks_button.hide()
        head.addWidget(self.marks_button)
        for widget in self.choices():
            head.addWidget(widget)
        self._files = button("Export", self._open_files)
        self._files_menu = self._build_files_menu()
        if not self.services.session.may("export"):
            self._files.setEnabled(False)
            self._files.setToolTip("Your role does not have the permission export.")
        head.addWidget(self._files)
        column.addLayout(head)
        self.problems = MessageBar()
        column.addWidget(self.problems)
        self.exporter = Exporter(self.services, self._say, self)
        self.figures = FigureGrid()
        column.addWidget(self.figures)
        self.build_body(column)
        # Below what scrolls: the report does not move under the pointer when it appears.
        self.bar = MessageBar()
        self.bar.acted.connect(self.bar.hide_message)
        page = QWidget()
        page.setProperty("surface", "none")
        whole = QVBoxLayout(page)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(ScrollArea(content), 1)
        whole.addWidget(self.bar)
        return page

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
        open_menu_below(self._files_menu, self._files)

    # --- Filling -------------------------------------------------------------------------------------------------

    def _fill(self, report: Report) -> None:
        zone = ZoneInfo(report.period.zone)
        self._title.set_whole(f"{self.kind.title}: {report.period.title}")
        if report.problems or report.missing:
            missing = f"Missing items: {', '.join(report.missing)}." if report.missing else ""
            self.problems.say("warning", " ".join([missing, *report.problems]).strip())
        else:
            self.problems.hide_message()
        self.marks_button.setText(look.marks_line(report))
        self.marks_button.setVisible(bool(self.marks_button.text()))
        self.figures.set_report(report, zone, self.services.now_ms())
        self.fill_body(report, zone)

    def _open_events(self) -> None:
        self.services.navigate("events")

    # --- Notes ---------------------------------------------------------------------------------------------------

    def add_note(self, start_ms: int, end_ms: int) -> None:
        """Ask for a note on a time of the house that is on screen."""
        report = self.report
        if report is None or not may_write(self.services.session):
            return
        start_ms, end_ms = snap(start_ms, end_ms)
        note = Note(0, report.house.house_id, NoteKind.OTHER, start_ms, end_ms)
        dialog = NoteDialog(self.services, note, report.period.zone, self)
        dialog.saved.connect(self.reload)
        dialog.left.connect(self.reload)
        dialog.open()

    # --- Files ---------------------------------------------------------------------------------------------------

    def offer(
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

    def shapes(self) -> Sequence[QRectF]:
        """Tiles, and below them charts."""
        width, height = self.width(), self.height()
        inside = max(width - 2 * MARGIN, 1)
        count = max(1, inside // _SKELETON_TILE[0])
        tile = (inside - (count - 1) * MARGIN) / count
        top = 64
        tiles = [
            QRectF(MARGIN + place * (tile + MARGIN), top, tile, _SKELETON_TILE[1]) for place in range(count)
        ]
        top += _SKELETON_TILE[1] + MARGIN
        chart = max(height - top - MARGIN, 160) * 0.62
        below = QRectF(MARGIN, top + chart + MARGIN, inside, max(height - top - chart - 2 * MARGIN, 80))
        return (*tiles, QRectF(MARGIN, top, inside, chart), below)
