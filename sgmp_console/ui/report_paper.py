"""Reports on paper: PDF in A4 and PNG of a chosen size, drawn with Qt, on any thread, without a window.

Both are drawn in the light theme by the same calls, so texts of a PDF are texts and its lines are lines. The same report
gives the same bytes each time. A PDF of many reports is written page by page, so memory does not grow with them.
"""

from __future__ import annotations

import math
import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from zoneinfo import ZoneInfo

from PySide6.QtCore import (
    QBuffer,
    QByteArray,
    QFile,
    QHashSeed,
    QIODevice,
    QLineF,
    QMarginsF,
    QRectF,
    QSizeF,
    Qt,
    QUuid,
)
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QPen,
)

from sgmp_console.files import opened_atomic
from sgmp_console.reports.command import Drawn
from sgmp_console.reports.export import CannotWrite
from sgmp_console.reports.home import Curve
from sgmp_console.reports.report import Figure, Report, Section
from sgmp_console.ui import fonts, formats, plain_text, theme
from sgmp_console.ui.charts import painted
from sgmp_console.ui.charts.bars import paint_bars
from sgmp_console.ui.charts.flows import paint_flows
from sgmp_console.ui.charts.heat_map import paint_heat_map
from sgmp_console.ui.charts.painted import paint_text
from sgmp_console.ui.charts.paper import begun_image, encoded, paint_legend, paint_pane, parsed_size
from sgmp_console.ui.pages.reports import look

_DPI = 96
"""Of the coordinates that is drawn in; the text sizes are those of the screen."""
_PDF_DPI = 1200
_A4 = QSizeF(794, 1123)
"""Portrait, in those coordinates."""
_MARGIN = 40.0
_GAP = 16.0
_ROW = 20.0
_TABLE_TOP = 40.0
"""Below the title of its page."""
_COLUMNS = 4
"""Of figures, at least; more where each has so much room:"""
_FIGURE_WIDTH = 168.0

_FIXED_DATE = b"20000101000000Z"
_FIXED_ISO_DATE = b"2000-01-01T00:00:00+00:00"
_ID = QUuid("{5f0d8a2e-0000-4000-8000-000000000000}")
"""A PDF carries when it was written, and an id: fixed ones keep the bytes the same."""


def headless(size: str) -> Drawn:
    """The writers of PDF and PNG files, for a process without a window or a display. Raises WrongSize."""
    width, height = parsed_size(size)
    if QGuiApplication.instance() is None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        _applications.append(QGuiApplication(["sgmp-console"]))
    writers = {
        "pdf": lambda report: pdf_bytes([report]),
        "png": lambda report: png_bytes(report, width, height),
    }
    return Drawn(writers, write_pdf)


_applications: list[QGuiApplication] = []
"""Fonts need an application for as long as the process runs."""


def png_bytes(report: Report, width: int, height: int) -> bytes:
    """The figures and charts of a report in exactly that many pixels, which `parsed_size` checks."""
    image, painter, frame = begun_image(width, height)
    _paint_page(report, painter, frame)
    painter.end()
    return encoded(image)


def pdf_bytes(reports: Sequence[Report]) -> bytes:
    """One document: of each report a page with figures and charts, then the table that the window shows."""
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    _draw(buffer, reports)
    written = bytearray(content.data())
    _fix_dates(written)
    return bytes(written)


def write_pdf(file: Path, reports: Iterable[Report]) -> None:
    """As `pdf_bytes`, to a file, each report when its turn comes. Whole or not at all. Raises CannotWrite, and what
    computing a report raises."""
    try:
        with opened_atomic(file, mode=0o644) as opened:
            device = QFile()
            device.open(
                opened.fileno(), QIODevice.OpenModeFlag.WriteOnly, QFile.FileHandleFlag.DontCloseHandle
            )
            _draw(device, reports)
            device.close()
            with mmap.mmap(opened.fileno(), 0) as written:
                _fix_dates(written)
    except OSError as error:
        raise CannotWrite(f"{file} can't be written: {error.strerror}.") from error


def _draw(device: QIODevice, reports: Iterable[Report]) -> None:
    QHashSeed.setDeterministicGlobalSeed()  # Qt writes some objects in the order of a hash
    writer = QPdfWriter(device)
    writer.setResolution(_PDF_DPI)
    writer.setPageLayout(
        QPageLayout(
            QPageSize(QPageSize.PageSizeId.A4), QPageLayout.Orientation.Portrait, QMarginsF(0, 0, 0, 0)
        )
    )
    writer.setDocumentId(_ID)
    writer.setCreator("SGMP")
    painter = QPainter(writer)
    try:
        painter.scale(_PDF_DPI / _DPI, _PDF_DPI / _DPI)
        page = QRectF(0, 0, _A4.width(), _A4.height())
        for number, (report, paint) in enumerate(_pages(reports), 1):
            if number > 1:
                writer.newPage()
            paint(painter, page)
            _paint_running(painter, page, report, number)
    finally:
        painter.end()
        QHashSeed.resetRandomGlobalSeed()


def _fix_dates(content: bytearray | mmap.mmap) -> None:
    """Each date is replaced by one as long, so that the places which the file names stay right."""
    for written, fixed in (
        (rb"\(D:(\d{14}[^)]*)\)", _FIXED_DATE),
        (rb'Date="(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"]*)"', _FIXED_ISO_DATE),
    ):
        for first, last in [found.span(1) for found in re.finditer(written, content)]:
            content[first:last] = fixed.ljust(last - first)[: last - first]


def _pages(
    reports: Iterable[Report],
) -> Iterator[tuple[Report, Callable[[QPainter, QRectF], None]]]:
    for report in reports:
        yield report, partial(_paint_page, report)
        for paint in _table_pages(report):
            yield report, paint


def _paint_running(painter: QPainter, page: QRectF, report: Report, number: int) -> None:
    """At the head of every page what it is about, at its foot its number."""
    tokens = theme.load("light")
    row = QRectF(_MARGIN, 0.3 * _MARGIN, page.width() - 2 * _MARGIN, _ROW)
    about = plain_text.one_line(f"{report.house.name} \u00b7 {_title(report)}")
    paint_text(painter, row, about, "caption", tokens.ink_muted)
    row.moveTop(page.bottom() - 0.8 * _MARGIN)
    paint_text(painter, row, f"Page {number}", "caption", tokens.ink_muted, right=True)


def _title(report: Report) -> str:
    return plain_text.one_line(f"{look.title(report)}: {report.period.title}")


def _paint_page(report: Report, painter: QPainter, page: QRectF) -> None:
    zone = ZoneInfo(report.period.zone)
    inside = page.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
    top = _paint_head(painter, report, inside)
    top = _paint_figures(painter, report, QRectF(inside.left(), top, inside.width(), 0))
    if report.heat_map is not None:
        _paint_heat_maps(painter, report, QRectF(inside.left(), top, inside.width(), inside.bottom() - top))
        return
    panes = look.panes(report.kind)
    curves = look.chart_curves(report)
    picture = look.bar_picture(report, zone)
    top = _paint_legend(painter, report, curves, inside, top)
    flows = look.flow_picture(report)
    time_charts: list[_Paint] = [
        partial(
            paint_pane,
            painter,
            pane=pane,
            curves=curves,
            hidden=(),
            range_ms=(report.period.start_ms, report.period.end_ms),
            passed_ms=report.passed_ms,
            zone=zone,
            marks=report.marks,
            tokens=theme.load("light"),
        )
        for pane in panes
    ]
    others: list[_Paint] = []
    if picture is not None:
        others.append(lambda frame: paint_bars(painter, frame, picture, theme.load("light")))
    if flows is not None:
        others.append(lambda frame: paint_flows(painter, frame, flows, theme.load("light")))
    place = QRectF(inside.left(), top, inside.width(), inside.bottom() - top)
    if page.width() <= page.height():
        _paint_below_each_other([*time_charts, *others], place, 0.3 * page.height())
        return
    half = (place.width() - 2 * _GAP) / 2
    _paint_below_each_other(time_charts, QRectF(place.topLeft(), QSizeF(half, place.height())))
    _paint_below_each_other(others, QRectF(place.right() - half, place.top(), half, place.height()))


_Paint = Callable[[QRectF], None]


def _paint_below_each_other(charts: Sequence[_Paint], place: QRectF, max_height: float = math.inf) -> None:
    """As high as they fit into the place; none where there is no room for them."""
    if not charts:
        return
    height = min((place.height() - _GAP * (len(charts) - 1)) / len(charts), max_height)
    if height < 2 * painted.TIME_HEIGHT:
        return
    frame = QRectF(place.left(), place.top(), place.width(), height)
    for paint in charts:
        paint(QRectF(frame))
        frame.translate(0, height + _GAP)


def _paint_heat_maps(painter: QPainter, report: Report, place: QRectF) -> None:
    """By day, and below it by weekday."""
    height = min((place.height() - _GAP) / 2, 0.75 * place.width())
    if height < 4 * painted.TIME_HEIGHT:
        return
    frame = QRectF(place.left(), place.top(), place.width(), height)
    for by_weekday in (False, True):
        picture = look.heat_picture(report, by_weekday=by_weekday)
        if picture is not None:
            paint_heat_map(painter, frame, picture, theme.load("light"))
        frame.translate(0, height + _GAP)


def _paint_head(painter: QPainter, report: Report, inside: QRectF) -> float:
    """Returns where it ends."""
    tokens = theme.load("light")
    row = QRectF(inside.left(), inside.top(), inside.width(), 30)
    paint_text(painter, row, _title(report), "heading", tokens.ink_primary)
    row = QRectF(inside.left(), row.bottom(), inside.width(), _ROW)
    start, end = (
        formats.local(at, ZoneInfo(report.period.zone)).strftime("%Y-%m-%d %H:%M")
        for at in (report.period.start_ms, report.passed_ms)
    )
    about = f"{report.house.name}, {start} to {end}, times of {report.period.zone}"
    curves = f"Curves: {look.source_text(report)}"
    if report.heat_map is not None:
        curves = "Each cell is the mean of one hour"
    if report.comparison is not None:
        curves += f"; dashed and differences: {report.comparison.period.title}"
    paint_text(painter, row, plain_text.one_line(about), "caption", tokens.ink_secondary)
    row.translate(0, _ROW)
    paint_text(painter, row, curves, "caption", tokens.ink_secondary)
    if marked := look.marks_line(report):
        row.translate(0, _ROW)
        paint_text(painter, row, plain_text.one_line(marked), "caption", tokens.ink_secondary)
    for sentence in (*(f"Missing item: {name}" for name in report.missing), *report.problems):
        row.translate(0, _ROW)
        paint_text(painter, row, plain_text.one_line(sentence), "caption", tokens.state_fault)
    return row.bottom() + _GAP / 2


def _paint_figures(painter: QPainter, report: Report, inside: QRectF) -> float:
    """Returns where they end."""
    tokens = theme.load("light")
    columns = max(_COLUMNS, int(inside.width() / _FIGURE_WIDTH))
    width = inside.width() / columns
    top = inside.top()
    shown = look.shown_figures(report)
    for section in dict.fromkeys(figure.section for figure in shown):
        if section is not Section.MAIN:
            row = QRectF(inside.left(), top, inside.width(), _ROW)
            paint_text(painter, row, section.value, "caption", tokens.ink_muted)
            top = row.bottom()
        figures = [figure for figure in shown if figure.section is section]
        for first in range(0, len(figures), columns):
            bottoms = [
                _paint_figure(
                    painter, report, figure, QRectF(inside.left() + place * width, top, width - 8, 0)
                )
                for place, figure in enumerate(figures[first : first + columns])
            ]
            top = max(bottoms) + 6
        top += 4
    return top + 4


def _paint_figure(painter: QPainter, report: Report, figure: Figure, place: QRectF) -> float:
    """The texts of its tile, none of them cut. Returns where it ends."""
    tokens = theme.load("light")
    zone = ZoneInfo(report.period.zone)
    top = place.top()
    lines: tuple[tuple[str, fonts.Role, QColor], ...] = (
        (figure.title, "caption", tokens.ink_secondary),
        (formats.with_unit(figure.value, figure.unit), "title", tokens.ink_primary),
        (look.figure_line(report, figure, zone, report.passed_ms), "caption", tokens.ink_muted),
        (look.difference_line(report, figure), "caption", tokens.ink_secondary),
    )
    for text, role, ink in lines:
        top = _paragraph(painter, QRectF(place.left(), top, place.width(), 0), text, role, ink)
    return top


def _paint_legend(
    painter: QPainter, report: Report, curves: dict[str, Curve], inside: QRectF, top: float
) -> float:
    entries = []
    areas: set[str] = set()
    for group in look.legend_groups(report, curves):
        if group.areas:
            areas.update(one.item for one in group.quantities)
        for quantity in group.quantities:
            value = group.values.get(quantity.item)
            beside = "" if value is None else f" {formats.with_unit(value, group.unit)}"
            entries.append((quantity, f"{quantity.short}{beside}"))
    place = QRectF(inside.left(), top, inside.width(), 0)
    return paint_legend(painter, place, entries, areas, theme.load("light")) + 4


# --- The table -------------------------------------------------------------------------------------------------------


def _table_pages(report: Report) -> Iterator[Callable[[QPainter, QRectF], None]]:
    table = look.shown_table(report)
    if table is None:
        return
    columns = [column for _, column in look.shown_columns(table)]
    titles = [_in_two_lines(look.column_title(column)) for column in columns]
    right = [look.is_numeric(column) for column in columns]
    rows = look.table_texts(table, ZoneInfo(report.period.zone))
    widths = [
        max(fonts.metrics("caption").horizontalAdvance(text) for text in (*title, *cells)) + 16
        for title, *cells in zip(titles, *rows, strict=True)
    ]
    # A table that is too wide is drawn smaller: nothing in it is cut.
    factor = min(1.0, (_A4.width() - 2 * _MARGIN) / sum(widths))
    per_page = int((_A4.height() - 2 * _MARGIN - _TABLE_TOP) / factor / _ROW) - 2
    title = plain_text.one_line(f"{report.house.name}: {table.title}, {report.period.title}")
    for first in range(0, len(rows), per_page):
        part = rows[first : first + per_page]

        def paint(painter: QPainter, page: QRectF, part: Sequence[Sequence[str]] = part) -> None:
            inside = page.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
            head = QRectF(inside.left(), inside.top(), inside.width(), 30)
            paint_text(painter, head, title, "title", theme.load("light").ink_primary)
            painter.save()
            painter.translate(inside.left(), inside.top() + _TABLE_TOP)
            painter.scale(factor, factor)
            _paint_table(painter, widths, titles, part, right)
            painter.restore()

        yield paint


def _in_two_lines(title: str) -> tuple[str, str]:
    """As even as it can be broken; the first is empty for a single word."""
    words = title.split(" ")
    ways = [(" ".join(words[:place]), " ".join(words[place:])) for place in range(len(words))]
    return min(ways, key=lambda way: max(map(len, way)))


def _paint_table(
    painter: QPainter,
    widths: Sequence[float],
    titles: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
) -> None:
    """From the painter's origin on."""
    tokens = theme.load("light")
    lefts = [0.0, *accumulate(widths)]
    cells = [QRectF(left, 0, width - 8, _ROW) for left, width in zip(lefts, widths, strict=False)]
    for cell, title, is_right in zip(cells, titles, right, strict=True):
        for line, text in enumerate(title):
            paint_text(
                painter, cell.translated(0, line * _ROW), text, "caption", tokens.ink_muted, right=is_right
            )
    bottom = 2 * _ROW
    painter.setPen(QPen(tokens.line_hairline, 0.5))
    painter.drawLine(QLineF(0, bottom, lefts[-1], bottom))
    for row in rows:
        for cell, text, is_right in zip(cells, row, right, strict=True):
            paint_text(
                painter, cell.translated(0, bottom), text, "caption", tokens.ink_primary, right=is_right
            )
        bottom += _ROW
        painter.setPen(QPen(tokens.line_hairline, 0.5))
        painter.drawLine(QLineF(0, bottom, lefts[-1], bottom))


def _paragraph(painter: QPainter, place: QRectF, text: str, role: fonts.Role, ink: QColor) -> float:
    """On as many lines as it takes in the width of the place. Returns where it ends: at its top for no text."""
    if not text:
        return place.top()
    painter.setFont(fonts.font(role))
    painter.setPen(ink)
    flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
    shown = plain_text.one_line(text)
    bounds = fonts.metrics(role).boundingRect(QRectF(0, 0, place.width(), 10_000), flags, shown)
    painter.drawText(QRectF(place.left(), place.top(), place.width(), bounds.height() + 1), flags, shown)
    return place.top() + bounds.height() + 2
