"""Readings of a house from a CSV file with the columns `timestamp,device,field,value`; one `quality` is not read.

A line that can't be read is reported, and costs nothing but itself. How lines are read is in `csv_format`.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from sgmp_console import csv_format
from sgmp_console.csv_format import Lines, UnknownHeader, Unreadable
from sgmp_console.errors import UserError
from sgmp_console.measurements import AHEAD_MS, EARLIEST_MS, MAX_FIELD_LENGTH, MAX_VALUE
from sgmp_console.retention import RAW_RETENTION_DAYS
from sgmp_console.store import Batch, Database, DeviceSeries, devices, readings
from sgmp_console.timeseries import Series

COLUMNS = ("timestamp", "device", "field", "value")
_IGNORED = ("quality",)
"""Of an export: what checks found is found again where readings are stored."""

_CHUNK = 200_000
"""Readings stored in one transaction."""

_MAX_LINES_REPORTED = 100
_DAY_MS = 86_400_000
_VALUE = COLUMNS.index("value")

FieldKey = tuple[str, str]
"""(device, field)."""


@dataclass(frozen=True)
class RejectedLine:
    """`line` counts from 1, the header; `text` is what stands there, shortened."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class DifferingLine:
    """A line whose reading is known already with another value. `line` counts from 1, the header."""

    line: int
    device: str
    field: str
    timestamp_ms: int
    value: float
    known: float


@dataclass
class ImportReport:
    """What became of the lines of a file.

    `read`: lines with a reading. Of these, `stored` were new, or would be (`dry_run`), and `repeated` were known before,
    or came twice in the file; a dry run counts the latter only of lines that are near each other. Of the repeated ones
    `differing` have another value than the one that is known, which stays. `not_kept` came after the raw readings of their
    five minutes were dropped, and can't be added to what is known of these. `rejected_lines` and `differing_lines` are
    the first hundred. `start_ms`, `end_ms`: the first and last timestamp, UTC.
    """

    dry_run: bool
    read: int = 0
    stored: int = 0
    repeated: int = 0
    differing: int = 0
    not_kept: int = 0
    rejected: int = 0
    rejected_lines: list[RejectedLine] = field(default_factory=list)
    differing_lines: list[DifferingLine] = field(default_factory=list)
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
        if self.not_kept:
            lines.append(
                f"Not kept: {self.not_kept:,}. The raw readings of their time were dropped; only their means and sums are "
                "known, to which nothing can be added."
            )
        lines += self.remarks
        lines += [f"Line {one.line}: {one.reason}: {one.text}" for one in self.rejected_lines]
        if self.rejected > len(self.rejected_lines):
            lines.append(f"... and {self.rejected - len(self.rejected_lines):,} more lines.")
        if self.differing:
            lines.append(
                f"Of those known already {self.differing:,} have another value in the file; what was known stays."
            )
            lines += [
                f"Line {one.line}: {one.device}.{one.field} at {_utc(one.timestamp_ms)} is {one.known!r}, here {one.value!r}"
                for one in self.differing_lines
            ]
        if self.differing > len(self.differing_lines):
            lines.append(f"... and {self.differing - len(self.differing_lines):,} more lines.")
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
        encoding = csv_format.encoding(raw.peek(4))
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from error
    with raw, TextIOWrapper(raw, encoding=encoding, errors="replace") as file:
        with database.begin() as connection:
            device_ids = {one.name: one.device_id for one in devices.list_all(connection, house_id)}
        try:
            values = Lines(csv_format.bounded_lines(file), COLUMNS, ignored=_IGNORED).column(_VALUE)
            commas = csv_format.decimal_commas(values)
            file.seek(0)
            lines = Lines(csv_format.bounded_lines(file), COLUMNS, ignored=_IGNORED)
        except UnknownHeader as error:
            raise UserError(str(error)) from None
        report = ImportReport(dry_run)
        content = _Readings(lines, device_ids, commas=commas)
        for chunk in content.chunks(_rejecting(report, on_rejected)):
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
        if len(report.rejected_lines) < _MAX_LINES_REPORTED:
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
    lines: array[int] = field(default_factory=lambda: array("q"))

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
        not_kept = readings.not_kept(connection, house_id, series)
        stored = max(0, _new(connection, house_id, series) - not_kept)
    else:
        fields: dict[str, dict[str, Series]] = {}
        for (device, field_name), one in series.items():
            fields.setdefault(device, {})[field_name] = one
        batch = Batch(
            series=[DeviceSeries(house_id, device_ids[name], of_device) for name, of_device in fields.items()]
        )
        written = readings.write(connection, batch)
        stored, not_kept = written.readings, written.not_kept
        names = {number: name for name, number in device_ids.items()}
        for _, number in sorted(written.over_limit):
            remark = f"{names[number]} has the {readings.MAX_SERIES:,} fields that a device may have; others were left out."
            report.remarks += [] if remark in report.remarks else [remark]
    report.read += read
    report.stored += stored
    report.not_kept += not_kept
    report.repeated += read - stored - not_kept
    if read > stored + not_kept:
        _note_differing(connection, house_id, chunk, series, report)
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


def _note_differing(
    connection: sa.Connection,
    house_id: int,
    chunk: _Chunk,
    series: Mapping[FieldKey, Series],
    report: ImportReport,
) -> None:
    """Count the lines of a chunk whose value is not the one that is known, or that came before in the chunk."""
    start = min(int(one.timestamps[0]) for one in series.values())
    end = max(int(one.timestamps[-1]) for one in series.values()) + 1
    stored = readings.read(connection, house_id, series.keys(), start, end)
    for key, column in chunk.items():
        known = dict(zip(*_lists(series[key]), strict=True))
        known |= {at: value for at, value in zip(*_lists(stored[key]), strict=True) if at in known}
        for timestamp, value, line in zip(column.timestamps, column.values, column.lines, strict=True):
            if value != known[timestamp]:
                report.differing += 1
                if len(report.differing_lines) < _MAX_LINES_REPORTED:
                    report.differing_lines.append(
                        DifferingLine(line, *key, timestamp, value, known[timestamp])
                    )


def _lists(series: Series) -> tuple[list[int], list[float]]:
    return series.timestamps.tolist(), series.values.tolist()


def _remark_on_retention(report: ImportReport) -> None:
    kept_from = time.time() * 1000 - RAW_RETENTION_DAYS * _DAY_MS
    if report.start_ms is not None and report.start_ms < kept_from:
        report.remarks.append(
            f"Raw readings are kept for {RAW_RETENTION_DAYS} days. Of what is older, only fields with continuous "
            "aggregation stay, as five-minute and hourly values."
        )


# --- Reading the file -----------------------------------------------------------------------------------------------


class _Readings:
    """The readings of a file, line by line, in chunks. `commas`: its numbers have decimal commas."""

    def __init__(self, lines: Lines, devices: Mapping[str, int], *, commas: bool) -> None:
        self._lines = lines
        self._devices = devices
        self._commas = commas
        self._latest_ms = int(time.time() * 1000) + AHEAD_MS
        self._checked: set[FieldKey] = set()

    def chunks(self, reject: Callable[[RejectedLine], None]) -> Iterator[_Chunk]:
        """Readings by field, some hundred thousand at a time; `reject` hears of the other lines."""
        chunk: dict[FieldKey, _Column] = {}
        count = 0
        for number, line, cells in self._lines:
            try:
                if isinstance(cells, Unreadable):
                    raise cells
                key, timestamp, value = self._parsed(cells)
            except Unreadable as error:
                reject(RejectedLine(number, str(error), line.strip()[:200]))
                continue
            column = chunk.get(key)
            if column is None:
                column = chunk[key] = _Column()
            column.timestamps.append(timestamp)
            column.values.append(value)
            column.lines.append(number)
            count += 1
            if count == _CHUNK:
                yield chunk
                chunk, count = {}, 0
        if chunk:
            yield chunk

    def _parsed(self, cells: Sequence[str]) -> tuple[FieldKey, int, float]:
        """Raises Unreadable."""
        when, device, field_name, value = cells
        key = (device, field_name)
        if key not in self._checked:
            self._check(device, field_name)
            self._checked.add(key)
        return key, self._timestamp(when), self._number(value)

    def _check(self, device: str, field_name: str) -> None:
        if device not in self._devices:
            raise Unreadable(f"this house has no device {device[:64]!r}")
        if not field_name or len(field_name) > MAX_FIELD_LENGTH:
            raise Unreadable(f"a field's name has 1 to {MAX_FIELD_LENGTH} characters")
        if not field_name.isprintable() or "\ufffd" in field_name:
            raise Unreadable("the field's name holds characters that can't be shown, or is not UTF-8")

    def _timestamp(self, text: str) -> int:
        timestamp = csv_format.timestamp_ms(text)
        if timestamp < EARLIEST_MS:
            raise Unreadable("the time is before 2010; whole numbers count milliseconds since 1970, UTC")
        if timestamp > self._latest_ms:
            raise Unreadable("the time is ahead of this computer's clock")
        return timestamp

    def _number(self, text: str) -> float:
        value = csv_format.number(text, commas=self._commas)
        if not math.isfinite(value):
            raise Unreadable(f"the value {text[:40]!r} is not a finite number")
        if abs(value) > MAX_VALUE:
            raise Unreadable(f"the value {text[:40]!r} is beyond {MAX_VALUE:g}")
        return value
