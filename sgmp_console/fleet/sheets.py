"""CSV files for bulk work: read line by line with what is wrong where, written so that spreadsheets do no harm.

UTF-8 with or without a byte order mark, `,` or `;` between cells (told by the first line), quotes as RFC 4180. What a
spreadsheet would run as a formula (a cell that begins with `=`, `+`, `-` or `@`) is written with an apostrophe before
it, and read without.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from io import StringIO
from pathlib import Path

from sgmp_console.errors import UserError

MAX_BYTES = 8 * 1024 * 1024
MAX_ROWS = 5_000

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")

Progress = Callable[[int, int], None]
"""Hears (rows done, all rows). May raise Cancelled: nothing is changed then."""


class SheetError(UserError):
    """A file that can't be read as a sheet at all."""


class Existing(Enum):
    """What becomes of a line that names what is there already."""

    REFUSE = "refuse"
    UPDATE = "update"


class Action(Enum):
    CREATE = "create"
    UPDATE = "update"
    NOTHING = "nothing"
    """It is as the line says already."""


@dataclass(frozen=True)
class Row:
    """`line` counts lines of the file from 1, the header. `cells`: by column, without blanks around."""

    line: int
    cells: Mapping[str, str] = field(repr=False)

    def get(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass(frozen=True)
class LineProblem:
    """`column` is "" where the whole line is meant. The sentence holds no cell of a secret setting."""

    line: int
    column: str
    sentence: str


@dataclass(frozen=True)
class Step:
    """What a line does, or would do. `remark`: what is worth knowing of it, "" if nothing is."""

    line: int
    name: str
    action: Action
    remark: str = ""


@dataclass(frozen=True)
class Plan:
    """What a file does, or would do. With problems nothing is done."""

    steps: tuple[Step, ...]
    problems: tuple[LineProblem, ...]

    def count(self, action: Action) -> int:
        return sum(step.action is action for step in self.steps)


class ImportRefused(UserError):
    """Nothing was imported; `plan.problems` says why."""

    def __init__(self, plan: Plan) -> None:
        first = plan.problems[0]
        more = f" There are {len(plan.problems) - 1} more problems." if len(plan.problems) > 1 else ""
        where = f"column {first.column}: " if first.column else ""
        super().__init__(f"Nothing was imported. Line {first.line}: {where}{first.sentence}{more}")
        self.plan = plan


@dataclass(frozen=True)
class Sheet:
    """`problems`: lines that have no place among `rows`."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[LineProblem, ...] = ()


def read(path: Path, known: Callable[[str], bool], *, needed: str, columns: str) -> Sheet:
    """Read a file. `known` tells the columns that there may be, `needed` is the one that must be, `columns` names all
    for people. Raises SheetError."""
    text = _text(path)
    header, _, _ = text.partition("\n")
    reader = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(header), strict=True)
    lines = _records(reader)
    _, names = next(lines, (1, []))
    names = [_column(name) for name in names]
    _check_columns(names, known, needed, columns)
    rows: list[Row] = []
    problems: list[LineProblem] = []
    try:
        for line, cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) >= MAX_ROWS:
                raise SheetError(
                    f"The file has more than {MAX_ROWS:,} lines. Import it in parts; nothing was changed."
                )
            if len(cells) != len(names):
                problems.append(
                    LineProblem(line, "", f"It has {len(cells)} cells; the first line has {len(names)}.")
                )
                continue
            rows.append(Row(line, {name: _read_cell(cell) for name, cell in zip(names, cells, strict=True)}))
    except csv.Error as error:
        raise SheetError(
            f"The file can't be read from line {reader.line_num} on: {error}. Check its quotes."
        ) from None
    if not rows and not problems:
        raise SheetError("The file has no lines below the first one, which names the columns.")
    return Sheet(tuple(names), tuple(rows), tuple(problems))


def write(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]], *, private: bool = False
) -> None:
    """Write a file that spreadsheets open as it is. `private`: readable by its owner alone, and not there before.

    Raises UserError where it can't be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if private else os.O_TRUNC)
    try:
        descriptor = os.open(path, flags, 0o600 if private else 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows:
                writer.writerow([written_cell(row.get(column, "")) for column in columns])
    except FileExistsError:
        raise UserError(f"{path.name} exists already. Choose another name.") from None
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}.") from error


def written_cell(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _read_cell(cell: str) -> str:
    text = cell.strip()
    return text[1:] if _ESCAPED.match(text) else text


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SheetError(f"{path.name} has more than {MAX_BYTES // 1024 // 1024} MiB.")
        content = path.read_bytes()
    except OSError as error:
        raise SheetError(f"{path} can't be read: {error.strerror}.") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SheetError(
            f"{path.name} is not UTF-8 (line {line}). In a spreadsheet, save it as “CSV UTF-8”."
        ) from None
    if "\0" in text:
        raise SheetError(f"{path.name} is no text file.")
    return text


def _delimiter(header: str) -> str:
    outside = re.sub(r'"[^"]*"', "", header)
    return ";" if outside.count(";") > outside.count(",") else ","


def _records(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Records with the line on which each begins: a quoted cell may run over several."""
    done = 0
    for cells in reader:
        yield done + 1, cells
        done = reader.line_num  # type: ignore[attr-defined]


def _column(name: str) -> str:
    """Case counts only in what follows a dot: the settings' own names."""
    head, dot, tail = name.strip().partition(".")
    return head.lower() + dot + tail


def _check_columns(names: list[str], known: Callable[[str], bool], needed: str, columns: str) -> None:
    if needed not in names:
        raise SheetError(
            f"The first line must name the columns; {needed} is not among them. There are {columns}."
        )
    for name in names:
        if not known(name):
            raise SheetError(f"There is no column {name[:60]!r}. There are {columns}.")
        if names.count(name) > 1:
            raise SheetError(f"The column {name[:60]!r} is there twice.")
