"""CSV files for bulk work: read line by line with what is wrong where, written so that spreadsheets do no harm.

How cells are written and read is in `csv_format`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from sgmp_console import csv_format
from sgmp_console.errors import UserError
from sgmp_console.files import opened_atomic

MAX_BYTES = 8 * 1024 * 1024
MAX_ROWS = 5_000

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
    """Read a file. `known` says which columns there may be, `needed` is the one that must be, `columns` names all
    for people. Raises SheetError."""
    text = _text(path)
    between = csv_format.delimiter(text.partition("\n")[0])
    names: list[str] = []
    rows: list[Row] = []
    problems: list[LineProblem] = []
    try:
        for line, cells in csv_format.records(text, between):
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [_column(name) for name in cells]
                _check_columns(names, known, needed, columns)
                continue
            _check_is_split(cells, len(names))
            if len(rows) >= MAX_ROWS:
                raise SheetError(
                    f"The file has more than {MAX_ROWS:,} lines. Import it in parts; nothing was changed."
                )
            if len(cells) != len(names):
                problems.append(
                    LineProblem(line, "", f"It has {len(cells)} cells; the first line has {len(names)}.")
                )
                continue
            texts = map(csv_format.read_cell, cells)
            rows.append(Row(line, dict(zip(names, texts, strict=True))))
    except csv_format.Unreadable as error:
        raise SheetError(f"{_capitalized(error)}. Check its quotes; nothing was changed.") from None
    if not names:
        _check_columns(names, known, needed, columns)
    if not rows and not problems:
        raise SheetError("The file has no lines below the first one, which names the columns.")
    return Sheet(tuple(names), tuple(rows), tuple(problems))


def write(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
    *,
    private: bool = False,
    delimiter: str = ",",
) -> None:
    """Write a file that spreadsheets open as it is, whole or not at all. `private`: readable by its owner alone, and not
    there before.

    `delimiter`: `;` for spreadsheets of countries with a decimal comma. Raises UserError where it can't be written.
    """
    try:
        with _private_file(path) if private else opened_atomic(path, mode=0o644) as opened:
            file = TextIOWrapper(opened, encoding="utf-8-sig", newline="")
            file.write(csv_format.written_record(columns, delimiter))
            for row in rows:
                file.write(csv_format.written_record((row.get(column, "") for column in columns), delimiter))
            file.detach()
    except FileExistsError:
        raise UserError(f"{path.name} exists already. Choose another name.") from None
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}.") from error


def _private_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SheetError(f"{path.name} has more than {MAX_BYTES // 1024 // 1024} MiB.")
        content = path.read_bytes()
    except OSError as error:
        raise SheetError(f"{path} can't be read: {error.strerror}.") from error
    encoding = csv_format.encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SheetError(
            f"{path.name} is not {encoding.removesuffix('-sig').upper()} (line {line}). In a spreadsheet, save it as "
            "“CSV UTF-8”."
        ) from None
    if "\0" in text:
        raise SheetError(f"{path.name} is not a text file.")
    return text


def _column(name: str) -> str:
    """Case counts only in what follows a dot: the settings' own names."""
    head, dot, tail = name.strip().partition(".")
    return head.lower() + dot + tail


def _capitalized(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def _check_is_split(cells: Sequence[str], count: int) -> None:
    """Refuse a file that a spreadsheet left in one column: it separates cells by another character than the file."""
    filled = [cell for cell in cells if cell.strip()]
    if count == 1 or len(filled) != 1:
        return
    for between in csv_format.DELIMITERS:
        try:
            inner = csv_format.cells(filled[0], between)
        except csv_format.Unreadable:
            continue
        if len(inner) == count:
            raise SheetError(csv_format.IN_ONE_CELL)


def _check_columns(names: list[str], known: Callable[[str], bool], needed: str, columns: str) -> None:
    if needed not in names:
        for name in names:
            if needed in (_column(part) for part in re.split("[,;\t]", name)):
                raise SheetError(csv_format.IN_ONE_CELL)
        raise SheetError(
            f"The first line must name the columns; {needed} is not among them. There are {columns}."
        )
    for name in names:
        if not known(name):
            raise SheetError(f"There is no column {name[:60]!r}. There are {columns}.")
        if names.count(name) > 1:
            raise SheetError(f"The column {name[:60]!r} is there twice.")
