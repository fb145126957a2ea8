"""CSV as operators' files have it: encodings, delimiters, quotes, numbers and times. Every reader and writer uses this.

Read: UTF-8 with or without byte order mark, UTF-16 and UTF-32 with one (a spreadsheet's "Unicode Text"); `,`, `;` or
tab between cells, as the first line has it; quotes as RFC 4180. Numbers have a decimal point.

Written: UTF-8 with a byte order mark. What a spreadsheet would run as a formula gets an apostrophe before it, and is
read without. That holds for every place at which a cell could begin in a spreadsheet that separates cells by another
character than the file does: `x;=1+1` is written `x;'=1+1`.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TextIO

from sgmp_edge import contract

DELIMITERS = (",", ";", "\t")

MAX_CELL = 128 * 1024
"""Characters. Far above what any column takes; keeps a file from filling the memory with one cell."""


class Unreadable(ValueError):
    """Why a text, a line or a cell can't be read: the end of a sentence."""


# --- Encodings and delimiters -------------------------------------------------------------------------------------

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding(content: bytes) -> str:
    """The encoding that a file's first bytes (four do) announce; UTF-8 without a byte order mark."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8-sig")


def delimiter(header: str) -> str:
    """What stands between the cells of a file with this first line."""
    outside = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=outside.count)  # the first of them where none is there


def cells(line: str, between: str) -> list[str]:
    """The cells of a single line. Raises Unreadable."""
    if '"' not in line:
        return line.rstrip("\r\n").split(between)
    try:
        return next(csv.reader([line], delimiter=between, strict=True), [])
    except csv.Error:
        raise Unreadable("its quotes do not match") from None


def records(text: str, between: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a text, each with the line on which it begins (from 1): a quoted cell may run over several.

    Raises Unreadable, with that line, where the quotes do not match or a cell has more than MAX_CELL characters.
    """
    # The csv module reports its own bound by text alone; it never lies below the length of what is read here.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(StringIO(text, newline=""), delimiter=between, strict=True)
    line = 1
    while True:
        try:
            record = next(reader, None)
        except csv.Error:
            raise _unreadable_from(line, "its quotes do not match") from None
        if record is None:
            return
        if any(len(cell) > MAX_CELL for cell in record):
            raise _unreadable_from(line, f"a cell has more than {MAX_CELL:,} characters")
        yield line, record
        line = reader.line_num + 1


def _unreadable_from(line: int, reason: str) -> Unreadable:
    return Unreadable(f"the file can't be read from line {line} on: {reason}")


# --- Cells that spreadsheets would run ----------------------------------------------------------------------------

_FORMULA_SIGN = "[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
"""What a formula begins with, also in full width and small form."""
_SKIPPED = '[^\\S\t\r\n]|["\u200b-\u200f\u2060\ufeff]'
"""What may stand before a formula's sign: white space within a line, what has no width, and a quote that another way to
split the line takes for one around the cell."""
_BEGINS = r"(?:\A|(?<=[,;\t\r\n]))"
"""Where some spreadsheet may begin a cell."""
_RUNS = f"'*(?:{_SKIPPED})*{_FORMULA_SIGN}"

_PLAIN = re.compile(f"{_BEGINS}(?={_RUNS})")
_ESCAPED = re.compile(f"{_BEGINS}'(?={_RUNS})")
_RUNS_AT_START = re.compile(_RUNS)
_ESCAPED_AT_START = re.compile(f"'{_RUNS}")
# Blanks around a cell don't count when it is read, unless an apostrophe before them says so.
_OUTER_BLANKS = re.compile(r"'*\s.*|.*\s", re.DOTALL)
_ESCAPED_BLANKS = re.compile(r"'(?:'*\s.*|.*\s)", re.DOTALL)

_NEEDS_QUOTES = re.compile(r'[,;\t"\r\n]|\A\s|\s\Z')


def written_cell(text: str) -> str:
    """A text as it is put into a cell, before quoting. `read_cell` gives the same text again."""
    neutral = _PLAIN.sub("'", text)
    if not _RUNS_AT_START.match(text) and _OUTER_BLANKS.fullmatch(neutral):
        return f"'{neutral}"
    return neutral


def read_cell(cell: str) -> str:
    """The text that a cell stands for: without blanks around it and without the apostrophes of `written_cell`."""
    if not _ESCAPED_AT_START.match(cell):
        cell = cell[1:] if _ESCAPED_BLANKS.fullmatch(cell) else cell.strip()
    return _ESCAPED.sub("", cell)


def written_record(texts: Iterable[str], between: str = ",") -> str:
    """A line with its end, of texts."""
    return joined(map(written_cell, texts), between)


def joined(written: Iterable[str], between: str = ",") -> str:
    """A line with its end, of cells as they are to stand there: numbers, and texts by `written_cell`.

    Cells with any delimiter in them are quoted, not only with this file's.
    """
    quoted = ('"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell for cell in written)
    return between.join(quoted) + "\r\n"


# --- Numbers and times --------------------------------------------------------------------------------------------

_SIGN = "[+\\-\u2212]?"
_DECIMAL_COMMA = re.compile(
    rf"{_SIGN}(?:[0-9]{{1,3}}(?:[. '\u2019\u00a0\u2009\u202f][0-9]{{3}})+|[0-9]+|),[0-9]+(?:[eE][+-]?[0-9]+)?"
)
"""Also with what stands between thousands beside it: a point, a blank of any width, an apostrophe."""
_SEVERAL_POINTS = re.compile(rf"{_SIGN}[0-9]{{1,3}}(?:\.[0-9]{{3}}){{2,}}")
"""Points that can only stand between thousands: 1.234.567."""
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+", re.ASCII)
"""Could be thousands with points between them, where decimals have commas: 1.234."""

DECIMAL_COMMA_HINT = "write numbers with a decimal point and without thousands separators, 1234.5"


def has_decimal_comma(text: str) -> bool:
    return _DECIMAL_COMMA.fullmatch(text.strip()) is not None


def decimal_commas(values: Iterable[str]) -> bool:
    """Whether the numbers of a column have decimal commas, or points between thousands, so that `1.234` may mean 1234.

    A number that can only have a decimal point (`0.5`, `20.25`) settles it: no more of the column is looked at.
    """
    comma = False
    for value in values:
        text = value.strip()
        if _DECIMAL_COMMA.fullmatch(text) or _SEVERAL_POINTS.fullmatch(text):
            comma = True
        elif "." in text and not _GROUPED.fullmatch(text) and contract.number_in(text) is not None:
            return False
    return comma


def number(text: str, *, commas: bool = False) -> float:
    """The number in a cell: finite or NaN or infinite, as it says. `commas`: the column has `decimal_commas`.

    Raises Unreadable.
    """
    if has_decimal_comma(text):
        raise Unreadable(f"the value {text.strip()[:40]!r} has a decimal comma; {DECIMAL_COMMA_HINT}")
    if _SEVERAL_POINTS.fullmatch(text.strip()):
        raise Unreadable(
            f"the value {text.strip()[:40]!r} has points between its thousands; {DECIMAL_COMMA_HINT}"
        )
    if commas and _GROUPED.fullmatch(text.strip()):
        raise Unreadable(
            f"the value {text.strip()[:40]!r} is ambiguous, since other values of this file have decimal commas; "
            f"{DECIMAL_COMMA_HINT}"
        )
    value = contract.number_in(text)
    if value is None:
        raise Unreadable(f"the value {text.strip()[:40]!r} is not a finite number")
    return value


_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,16}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def timestamp_ms(text: str) -> int:
    """UTC ms of a whole number of them or an ISO 8601 time with its offset, to the nearest. Raises Unreadable."""
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(
            f"the timestamp {text[:40]!r} is neither a whole number of UTC milliseconds nor ISO 8601, such as "
            "2026-07-01T12:00:00Z"
        ) from None
    if when.tzinfo is None:
        raise Unreadable(
            f"the time {text[:40]!r} has no offset from UTC; write 2026-07-01T12:00:00+02:00 or ...Z"
        )
    return round((when - _EPOCH) / _MILLISECOND)


# --- Files with one record a line ---------------------------------------------------------------------------------

_LONGEST_LINE = 100_000


class Lines:
    """The lines of a file that begins with the names of its columns, a record a line.

    A line is a line of the file, whatever its quotes: one that can't be read costs nothing but itself. `ignored`: columns that may
    be there and are not read. Raises UnknownHeader.
    """

    def __init__(
        self, lines: Iterable[str], columns: Sequence[str], *, ignored: Collection[str] = ()
    ) -> None:
        self._lines = iter(lines)
        header = next(self._lines, "").removeprefix("\ufeff")
        if "\0" in header or "\ufffd" in header:
            raise UnknownHeader(NOT_TEXT)
        self._between = delimiter(header)
        names = _names(header, self._between)
        if sorted(name for name in names if name not in ignored) != sorted(columns):
            inner = next(iter(names), "")
            if len(names) == 1 and sorted(_names(inner, delimiter(inner))) == sorted(columns):
                raise UnknownHeader(IN_ONE_CELL)
            raise UnknownHeader(
                f"The first line must name the columns {','.join(columns)}; it is {header.strip()[:80]!r}."
            )
        self._count = len(names)
        self._places = tuple(names.index(name) for name in columns)

    def __iter__(self) -> Iterator[tuple[int, str, list[str] | Unreadable]]:
        """The number of each line that is not empty (the header is 1), its text, and its cells in the order of the
        columns asked for, without blanks around."""
        for line_number, line in enumerate(self._lines, 2):
            if not line or line.isspace():
                continue
            try:
                yield line_number, line, self._cells(line)
            except Unreadable as error:
                yield line_number, line, error

    def column(self, place: int) -> Iterator[str]:
        """The cells of a column, and `0,0` for each number that its decimal comma split in two."""
        for _, _, record in self:
            if isinstance(record, SplitNumber):
                yield "0,0"
            elif not isinstance(record, Unreadable):
                yield record[place]

    def _cells(self, line: str) -> list[str]:
        record = cells(line, self._between)
        count = self._count
        if len(record) != count:
            split = ",".join(part.strip() for part in record[-2:])
            reason = f"it has {len(record)} columns instead of {count}"
            if self._between == "," and len(record) == count + 1 and has_decimal_comma(split):
                raise SplitNumber(f"{reason}; {split[:40]!r} has a decimal comma: {DECIMAL_COMMA_HINT}")
            raise Unreadable(reason)
        return [record[place].strip() for place in self._places]


def _names(header: str, between: str) -> list[str]:
    try:
        return [name.strip().strip('"').lower() for name in cells(header, between)]
    except Unreadable:
        return []


def bounded_lines(file: TextIO) -> Iterator[str]:
    """The lines of a file; of one that is far too long, the beginning."""
    while line := file.readline(_LONGEST_LINE):
        rest = line
        while len(rest) == _LONGEST_LINE and not rest.endswith("\n"):
            rest = file.readline(_LONGEST_LINE)
        yield line


IN_ONE_CELL = (
    "All columns stand in one cell: the spreadsheet that saved the file separates cells by another character than the "
    "file does. Export with “;” between the cells, or open the file through the spreadsheet's text import, and save again."
)
NOT_TEXT = "The file is not a text file in UTF-8, nor in UTF-16 with a byte order mark. In a spreadsheet, save it as “CSV UTF-8”."


class SplitNumber(Unreadable):
    """A line with a cell too many since the comma of a decimal comma was taken for a delimiter."""


class UnknownHeader(ValueError):
    """The first line does not name the columns. The text is a sentence for operators."""
