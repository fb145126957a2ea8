"""Readings of a house from a CSV file with the columns `timestamp,device,field,value`.

A line is a line of the file, whatever its quotes: one that can't be read is told, and costs nothing but itself.
"""

from __future__ import annotations

import csv
import math
import re
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import sqlalchemy as sa

from sgmp_console.errors import UserError
from sgmp_console.measurements import AHEAD_MS, EARLIEST_MS, MAX_FIELD_LENGTH, MAX_VALUE
from sgmp_console.store import Database, aggregates, devices, readings
from sgmp_console.timeseries import Series

COLUMNS = ("timestamp", "device", "field", "value")

_CHUNK = 200_000
"""Readings stored in one transaction."""

_LONGEST_LINE = 100_000
_REJECTED_KEPT = 100
_DAY_MS = 86_400_000
_DELIMITERS = (",", ";", "\t")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,16}", re.ASCII)

FieldKey = tuple[str, str]
"""(device, field)."""


@dataclass(frozen=True)
class RejectedLine:
    """`line` counts from 1, the header; `text` is what stands there, shortened."""

    line: int
    reason: str
    text: str


@dataclass
class ImportReport:
    """What became of the lines of a file.

    `read`: lines with a reading. Of these, `stored` were new, or would be (`dry_run`), and `repeated` were known before,
    or came twice in the file; a dry run tells the latter only of lines that are near each other. `rejected_lines` are the
    first hundred. `start_ms`, `end_ms`: the first and last timestamp, UTC.
    """

    dry_run: bool
    read: int = 0
    stored: int = 0
    repeated: int = 0
    rejected: int = 0
    rejected_lines: list[RejectedLine] = field(default_factory=list)
    start_ms: int | None = None
    end_ms: int | None = None
    devices: dict[str, set[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return {**asdict(self), "devices": {name: sorted(fields) for name, fields in self.devices.items()}}

    def as_text(self) -> str:
        """The report for a person."""
        one = self.stored == 1
        would = "would be" if self.dry_run else "was" if one else "were"
        lines = [
            f"Lines: {self.read + self.rejected:,}. {self.stored:,} reading{'' if one else 's'} {would} stored, known "
            f"already: {self.repeated:,}, unreadable: {self.rejected:,}."
        ]
        if self.start_ms is not None and self.end_ms is not None:
            lines.append(f"From {_utc(self.start_ms)} to {_utc(self.end_ms)}.")
        for device, fields in sorted(self.devices.items()):
            lines.append(f"{device}: {', '.join(sorted(fields))}")
        lines += self.remarks
        lines += [f"Line {one.line}: {one.reason}: {one.text}" for one in self.rejected_lines]
        if self.rejected > len(self.rejected_lines):
            lines.append(f"... and {self.rejected - len(self.rejected_lines):,} more lines.")
        return "\n".join(lines)


Progress = Callable[[float], None]
"""Hears how much of the file is done, 0 to 1. May raise Cancelled: what is stored by then stays."""


def import_file(
    database: Database,
    house_id: int,
    path: Path,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    on_rejected: Callable[[RejectedLine], None] | None = None,
) -> ImportReport:
    """Store the readings of a file of any size, as the database's owner.

    Timestamps are whole UTC milliseconds or ISO 8601 with an offset. Readings that are stored already are left as they
    are, so an import that was cut off can be repeated. `dry_run` stores nothing. `on_rejected` hears of every line that
    can't be read. Raises UserError: the file can't be opened, its header is another, there is no such house.
    """
    try:
        size = max(path.stat().st_size, 1)
        raw = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from error
    with raw, TextIOWrapper(raw, encoding="utf-8-sig", errors="replace") as file:
        with database.begin() as connection:
            device_ids = {one.name: one.device_id for one in devices.list_all(connection, house_id)}
        lines = _Lines(file, device_ids)
        report = ImportReport(dry_run)
        for chunk in lines.chunks(_rejecting(report, on_rejected)):
            with database.begin() as connection:
                _take(connection, house_id, device_ids, chunk, report)
            if progress is not None:
                progress(min(raw.tell() / size, 1.0))
    _remark_on_retention(report)
    return report


def _rejecting(
    report: ImportReport, on_rejected: Callable[[RejectedLine], None] | None
) -> Callable[[RejectedLine], None]:
    def reject(line: RejectedLine) -> None:
        report.rejected += 1
        if len(report.rejected_lines) < _REJECTED_KEPT:
            report.rejected_lines.append(line)
        if on_rejected is not None:
            on_rejected(line)

    return reject


def _utc(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")


# --- Storing --------------------------------------------------------------------------------------------------------


@dataclass
class _Column:
    """The readings of a field in a chunk, in the order of the file."""

    timestamps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def series(self) -> Series:
        """In order of time; the first of those with the same timestamp."""
        timestamps, first = np.unique(np.array(self.timestamps, np.int64), return_index=True)
        return Series(timestamps, np.array(self.values)[first])


_Chunk = Mapping[FieldKey, _Column]


def _take(
    connection: sa.Connection,
    house_id: int,
    device_ids: Mapping[str, int],
    chunk: _Chunk,
    report: ImportReport,
) -> None:
    series = {key: column.series() for key, column in chunk.items()}
    read = sum(len(column.timestamps) for column in chunk.values())
    if report.dry_run:
        stored = _new(connection, house_id, series)
    else:
        stored = 0
        for name in {device for device, _ in series}:
            fields = {field_name: one for (device, field_name), one in series.items() if device == name}
            stored += readings.write_series(connection, house_id, device_ids[name], fields).readings
    report.read += read
    report.stored += stored
    report.repeated += read - stored
    for (device, field_name), one in series.items():
        report.devices.setdefault(device, set()).add(field_name)
        first, last = int(one.timestamps[0]), int(one.timestamps[-1])
        report.start_ms = first if report.start_ms is None else min(report.start_ms, first)
        report.end_ms = last if report.end_ms is None else max(report.end_ms, last)


def _new(connection: sa.Connection, house_id: int, series: Mapping[FieldKey, Series]) -> int:
    """How many of the readings are not stored yet."""
    start = min(int(one.timestamps[0]) for one in series.values())
    end = max(int(one.timestamps[-1]) for one in series.values()) + 1
    stored = readings.read(connection, house_id, series.keys(), start, end)
    return sum(
        int(np.isin(one.timestamps, stored[key].timestamps, invert=True).sum()) for key, one in series.items()
    )


def _remark_on_retention(report: ImportReport) -> None:
    kept_from = time.time() * 1000 - aggregates.RAW_RETENTION_DAYS * _DAY_MS
    if report.start_ms is not None and report.start_ms < kept_from:
        report.remarks.append(
            f"Raw readings are kept for {aggregates.RAW_RETENTION_DAYS} days. Of what is older, only fields with continuous "
            "aggregation stay, as five-minute and hourly values."
        )


# --- Reading the file -----------------------------------------------------------------------------------------------


class _Unreadable(ValueError):
    """Why a line can't be read."""


class _Lines:
    """The readings of a file, line by line, in chunks. Raises UserError if the header is another."""

    def __init__(self, file: TextIO, devices: Mapping[str, int]) -> None:
        self._file = file
        self._devices = devices
        self._latest_ms = int(time.time() * 1000) + AHEAD_MS
        self._checked: set[FieldKey] = set()
        header = file.readline(_LONGEST_LINE)
        self._delimiter = next((one for one in _DELIMITERS if one in header), ",")
        names = [name.strip().strip('"').lower() for name in header.split(self._delimiter)]
        if sorted(names) != sorted(COLUMNS):
            raise UserError(
                f"The first line must name the columns {','.join(COLUMNS)}; it is {header.strip()[:80]!r}."
            )
        self._places = tuple(names.index(name) for name in COLUMNS)

    def chunks(self, reject: Callable[[RejectedLine], None]) -> Iterator[_Chunk]:
        """Readings by field, some hundred thousand at a time; `reject` hears of the other lines."""
        chunk: dict[FieldKey, _Column] = {}
        count = 0
        for number, line in self._numbered():
            try:
                key, timestamp, value = self._parsed(line)
            except _Unreadable as error:
                reject(RejectedLine(number, str(error), line.strip()[:200]))
                continue
            column = chunk.get(key)
            if column is None:
                column = chunk[key] = _Column()
            column.timestamps.append(timestamp)
            column.values.append(value)
            count += 1
            if count == _CHUNK:
                yield chunk
                chunk, count = {}, 0
        if chunk:
            yield chunk

    def _numbered(self) -> Iterator[tuple[int, str]]:
        """Lines that are not empty, with their numbers; of one that is far too long, the beginning."""
        number = 1
        while line := self._file.readline(_LONGEST_LINE):
            number += 1
            rest = line
            while len(rest) == _LONGEST_LINE and not rest.endswith("\n"):
                rest = self._file.readline(_LONGEST_LINE)
            if not line.isspace():
                yield number, line

    def _parsed(self, line: str) -> tuple[FieldKey, int, float]:
        """Raises _Unreadable."""
        row = self._split(line)
        if len(row) != len(COLUMNS):
            raise _Unreadable(f"it has {len(row)} columns instead of {len(COLUMNS)}")
        when, device, field_name, value = (row[place].strip() for place in self._places)
        key = (device, field_name)
        if key not in self._checked:
            self._check(device, field_name)
            self._checked.add(key)
        return key, self._timestamp(when), _number(value)

    def _split(self, line: str) -> list[str]:
        if '"' not in line:
            return line.rstrip("\n").split(self._delimiter)
        try:
            return next(csv.reader([line], delimiter=self._delimiter, strict=True))
        except csv.Error:
            raise _Unreadable("its quotes do not match") from None

    def _check(self, device: str, field_name: str) -> None:
        if device not in self._devices:
            raise _Unreadable(f"this house has no device {device[:64]!r}")
        if not field_name or len(field_name) > MAX_FIELD_LENGTH:
            raise _Unreadable(f"a field's name has 1 to {MAX_FIELD_LENGTH} characters")
        if not field_name.isprintable() or "\ufffd" in field_name:
            raise _Unreadable("the field's name holds characters that can't be shown, or is not UTF-8")

    def _timestamp(self, text: str) -> int:
        """UTC ms. Raises _Unreadable."""
        if _WHOLE_NUMBER.fullmatch(text):
            timestamp = int(text)
        else:
            try:
                when = datetime.fromisoformat(text)
            except ValueError:
                raise _Unreadable(
                    f"the timestamp {text[:40]!r} is neither a whole number of UTC milliseconds nor ISO 8601"
                ) from None
            if when.tzinfo is None:
                raise _Unreadable(
                    f"the time {text[:40]!r} has no offset from UTC; write 2026-07-01T12:00:00+02:00 or ...Z"
                )
            timestamp = round(when.timestamp() * 1000)
        if timestamp < EARLIEST_MS:
            raise _Unreadable("the time is before 2010; whole numbers count milliseconds since 1970, UTC")
        if timestamp > self._latest_ms:
            raise _Unreadable("the time is ahead of this computer's clock")
        return timestamp


def _number(text: str) -> float:
    """Raises _Unreadable."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise _Unreadable(f"the value {text[:40]!r} is not a finite number")
    if abs(value) > MAX_VALUE:
        raise _Unreadable(f"the value {text[:40]!r} is beyond {MAX_VALUE:g}")
    return value
