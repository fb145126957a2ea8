"""Readings beside a formula: the file of `check formula --data`, with the columns `timestamp,identifier,value`."""

from __future__ import annotations

import math
from io import StringIO
from pathlib import Path

from sgmp_console import csv_format
from sgmp_console.csv_format import Lines, UnknownHeader, Unreadable
from sgmp_console.errors import UserError
from sgmp_console.formula import FormulaError, Identifier, identifiers
from sgmp_console.timeseries import Series

COLUMNS = ("timestamp", "identifier", "value")

_MAX_REJECTED = 20


def read(path: Path) -> tuple[dict[Identifier, Series], list[dict[str, int | str]]]:
    """As `series_in`, of a file. Raises UserError: it can't be read, or its header is another."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from error
    return series_in(content.decode(csv_format.encoding(content), "replace"))


def series_in(text: str) -> tuple[dict[Identifier, Series], list[dict[str, int | str]]]:
    """The series in a text by identifier, and what was left out: at most 20 lines (`line`, `reason`).

    In any order; of a repeated reading the first counts, as in the database. Raises UserError: its header is another.
    """
    try:
        commas = csv_format.decimal_commas(Lines(StringIO(text), COLUMNS).column(2))
        lines = Lines(StringIO(text), COLUMNS)
    except UnknownHeader as error:
        raise UserError(str(error)) from None
    collected: dict[Identifier, dict[int, float]] = {}
    parsed: dict[str, Identifier] = {}
    rejected: list[dict[str, int | str]] = []
    for number, _, cells in lines:
        try:
            if isinstance(cells, Unreadable):
                raise cells
            when, written, value = cells
            timestamp = csv_format.timestamp_ms(when)
            if written not in parsed:
                parsed[written] = identifiers.parse(written)
            reading = csv_format.number(value, commas=commas)
        except (Unreadable, FormulaError) as error:
            if len(rejected) < _MAX_REJECTED:
                rejected.append({"line": number, "reason": str(error)})
            continue
        series = collected.setdefault(parsed[written], {})
        if math.isfinite(reading):
            series.setdefault(timestamp, reading)
    return {
        identifier: Series(sorted(values), [values[t] for t in sorted(values)])
        for identifier, values in collected.items()
    }, rejected
