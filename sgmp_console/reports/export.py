"""Reports, and single charts and tables, as files: what the screen shows, to the last bit, as CSV and XLSX.

The same report gives the same bytes each time: no clock is read here. Every file begins with what it is about: house,
zone, period, items with their formulas, coverage and source. Texts of others (names of houses and devices) are written
so that a spreadsheet does not run them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from sgmp_console import csv_format
from sgmp_console.errors import UserError
from sgmp_console.files import write_atomic
from sgmp_console.reports.report import Column, Figure, Report, Table
from sgmp_console.reports.time_marks import count_text
from sgmp_console.timeseries import calendar
from sgmp_edge import VERSION

Cell = float | int | str | None

_FIXED_DATE = datetime(2000, 1, 1)
"""XLSX files carry the time they were written; a fixed one keeps the bytes the same."""


@dataclass(frozen=True)
class Block:
    """A table of a file: a title, the titles of its columns with their units, and rows."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Piece:
    """One chart or table with what it is about: `tables` are the rows behind it, times in them by the clock of `zone`.

    `house`, `period` and `range_ms` ([start, end), UTC) are empty for what is not about one of them; `unit` is that of the
    axis, or several.
    """

    title: str
    tables: tuple[Table, ...]
    zone: str
    house: str = ""
    period: str = ""
    range_ms: tuple[int, int] | None = None
    unit: str = ""


def blocks(of: Report | Piece) -> list[Block]:
    """All that a file holds, in order. Times stand twice: by the house's clock with its offset, and UTC."""
    return _piece_blocks(of) if isinstance(of, Piece) else _report_blocks(of)


def _report_blocks(report: Report) -> list[Block]:
    return [
        _about(report),
        _figures(report),
        *(_table(table, report.period.zone) for table in report.tables),
        *(_compared(report) if report.comparison is not None else ()),
    ]


def _piece_blocks(piece: Piece) -> list[Block]:
    rows: list[tuple[Cell, ...]] = [("Written by", f"SGMP {VERSION}")]
    rows += [(name, text) for name, text in (("House", piece.house), ("Period", piece.period)) if text]
    rows.append(("Time zone", piece.zone))
    if piece.range_ms is not None:
        start, end = piece.range_ms
        rows += [("From", *_both(start, piece.zone)), ("To (not included)", *_both(end, piece.zone))]
    return [_about_block(piece.title, rows), *(_table(table, piece.zone) for table in piece.tables)]


def tab_separated(table: Table, zone: str) -> str:
    """The titles and rows of a table as spreadsheets take them from the clipboard, numbers at full precision."""
    block = _table(table, zone)
    lines = [block.columns, *(map(_csv_cell, row) for row in block.rows)]
    return "\n".join("\t".join(_in_one_cell(cell) for cell in line) for line in lines)


def _in_one_cell(text: str) -> str:
    return " ".join(text.split()) if "\t" in text or "\n" in text else text


class CannotWrite(UserError):
    """A file can't be written; the sentence says why."""


def write_file(file: Path, content: bytes) -> None:
    """Whole or not at all: a file that is cut off looks like a report. Raises CannotWrite."""
    try:
        write_atomic(file, content, mode=0o644)
    except OSError as error:
        raise CannotWrite(f"{file} can't be written: {error.strerror}.") from error


def csv_bytes(of: Report | Piece) -> bytes:
    """`csv_text` with a byte order mark, by which spreadsheets know UTF-8."""
    return csv_text(of).encode("utf-8-sig")


def csv_text(of: Report | Piece) -> str:
    """As CSV: `,` between cells, blocks set apart by an empty line."""
    parts = []
    for block in blocks(of):
        lines = [csv_format.written_record([block.title]), csv_format.written_record(block.columns)]
        lines += [csv_format.joined(map(_csv_cell, row)) for row in block.rows]
        parts.append("".join(lines))
    return "\r\n".join(parts)


def xlsx_bytes(of: Report | Piece) -> bytes:
    """One workbook; a sheet for each block. Numbers are numbers, times are ISO 8601 texts."""
    import xlsxwriter  # loaded with the first export

    stream = BytesIO()
    book = xlsxwriter.Workbook(
        stream, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"created": _FIXED_DATE})
    bold = book.add_format({"bold": True})
    names: set[str] = set()
    prefix = f"{of.kind.title} " if isinstance(of, Report) else ""
    for block in blocks(of):
        sheet = book.add_worksheet(_sheet_name(f"{prefix}{block.title}", names))
        sheet.freeze_panes(1, 0)
        for column, title in enumerate(block.columns):
            sheet.write_string(0, column, title, bold)
            sheet.set_column(column, column, max(12, min(40, len(title) + 2)))
        for number, row in enumerate(block.rows, 1):
            for column, cell in enumerate(row):
                _write(sheet, number, column, cell)
    book.close()
    return stream.getvalue()


def _about(report: Report) -> Block:
    period = report.period
    rows: list[tuple[Cell, ...]] = [
        ("Report", report.title),
        ("Written by", f"SGMP {VERSION}"),
        ("House", report.house.name),
        ("Time zone", period.zone),
        ("Period", period.title),
        ("From", *_both(period.start_ms, period.zone)),
        ("To (not included)", *_both(period.end_ms, period.zone)),
    ]
    if report.passed_ms < period.end_ms:
        rows.append(("Figures up to", *_both(report.passed_ms, period.zone)))
    if period.snapped:
        rows.append(("Note", "The period was widened to whole five-minute slots."))
    if report.marks:
        rows.append(("Findings and notes", count_text(report.marks)))
    if report.excluded_slots:
        rows.append(("Excluded from means and sums", f"{report.excluded_slots} five-minute slots"))
    rows += [("Missing item", name) for name in report.missing]
    rows += [("Problem", sentence) for sentence in report.problems]
    return _about_block("SGMP report", rows)


def _about_block(title: str, rows: Sequence[tuple[Cell, ...]]) -> Block:
    """Names and values; a third column where there are times in UTC."""
    width = max(len(row) for row in rows)
    filled = tuple((*row, *([None] * (width - len(row)))) for row in rows)
    return Block("about", title, ("", "", "UTC")[:width], filled)


_FIGURE_COLUMNS = (
    "Figure", "Value", "Unit", "At", "At (UTC)", "Slots covered", "Slots", "Slots excluded", "Polls with a value", "Polls expected", "Source", "Item", "Formula",
    "Formula written out", "Note",
)  # fmt: skip


def _figures(report: Report, title: str = "Figures") -> Block:
    return Block(
        "figures",
        title,
        _FIGURE_COLUMNS,
        tuple(_figure_row(figure, report.period.zone) for figure in report.figures),
    )


def _figure_row(figure: Figure, zone: str) -> tuple[Cell, ...]:
    why = figure.why
    at = _both(figure.at_ms, zone) if figure.at_ms is not None else (None, None)
    return (
        figure.title,
        figure.value,
        figure.unit,
        *at,
        why.covered,
        why.slots,
        why.excluded,
        why.polls.values if why.polls else None,
        why.polls.expected if why.polls else None,
        why.source.value if why.source else None,
        why.item,
        why.formula,
        why.expanded,
        why.note or None,
    )


def _compared(report: Report) -> Iterator[Block]:
    other = report.comparison
    if other is None:
        return
    yield _figures(other, f"Compared with {other.period.title}")
    yield Block(
        "differences",
        "Differences",
        ("Figure", report.period.title, other.period.title, "Difference", "Unit"),
        tuple(
            (
                figure.title,
                figure.value,
                other.figure(figure.key).value,
                report.difference(figure.key),
                figure.unit,
            )
            for figure in report.figures
        ),
    )


def _table(table: Table, zone: str) -> Block:
    titles: list[str] = []
    for column in table.columns:
        if column.kind in (Column.TIME, Column.DAY):
            titles += [column.title, f"{column.title} (UTC)"]
        elif column.kind is Column.DURATION:
            titles.append(f"{column.title} (h)")
        else:
            titles.append(f"{column.title} ({column.unit})" if column.unit else column.title)
    rows = []
    for row in table.rows:
        cells: list[Cell] = []
        for column, cell in zip(table.columns, row, strict=True):
            if column.kind in (Column.TIME, Column.DAY):
                cells += _both(int(cell), zone) if cell is not None else (None, None)
            elif column.kind is Column.DURATION:
                cells.append(float(cell) / 3_600_000 if cell is not None else None)
            else:
                cells.append(cell)
        rows.append(tuple(cells))
    return Block(table.key, table.title, tuple(titles), tuple(rows))


def _both(timestamp_ms: int, zone: str) -> tuple[str, str]:
    """By the clock of the house with its offset, and UTC; milliseconds only where there are any."""
    precision = "milliseconds" if timestamp_ms % 1000 else "seconds"
    return (
        calendar.local(timestamp_ms, zone).isoformat(timespec=precision),
        calendar.local(timestamp_ms, "UTC").isoformat(timespec=precision).replace("+00:00", "Z"),
    )


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    return csv_format.written_cell(cell) if isinstance(cell, str) else repr(cell)


def _write(sheet: Any, row: int, column: int, cell: Cell) -> None:
    if isinstance(cell, str):
        sheet.write_string(row, column, cell)
    elif cell is not None:
        sheet.write_number(row, column, _Exact(cell))


class _Exact(float):
    """A number that a workbook holds to the last bit.

    WORKAROUND: XlsxWriter formats numbers with 16 digits, one too few for some; there is no upstream report.
    """

    def __format__(self, _specification: str) -> str:
        return repr(float(self))


def _sheet_name(title: str, taken: set[str]) -> str:
    """At most 31 characters, none of `[]:*?/\\`, unlike any other of the workbook."""
    plain = (
        "".join(" " if character in "[]:*?/\\'" else character for character in title)[:31].strip() or "Sheet"
    )
    name, number = plain, 2
    while name.lower() in taken:
        ending = f" {number}"
        name, number = plain[: 31 - len(ending)] + ending, number + 1
    taken.add(name.lower())
    return name
