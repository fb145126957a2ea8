"""`sgmp-console export`: readings, items or events of a house as one CSV, in memory that does not grow with the range.

The range is read window by window, each in a transaction of its own, and written as it comes. Readings have the columns
that `sgmp-console import` reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console import csv_format, store
from sgmp_console.errors import UserError
from sgmp_console.files import opened_atomic
from sgmp_console.reports import periods
from sgmp_console.reports.export import CannotWrite
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.store import Database, House
from sgmp_console.timeseries import HOUR_MS, Series

_DONE, _NOTHING_THERE = 0, 1

_WINDOW_MS = {"readings": 6 * HOUR_MS, "items": 24 * HOUR_MS, "events": 14 * 24 * HOUR_MS}
"""Of the range, read at a time: of a large house some hundred thousand rows."""

_BYTE_ORDER_MARK = "\ufeff".encode()

_Lines = tuple[int, bytes]
"""How many rows, and their text."""

HEADERS = {
    "readings": ("timestamp", "device", "field", "value"),
    "items": ("timestamp", "item", "value", "unit"),
    "events": ("timestamp", "device", "type", "data"),
}


class UnknownName(UserError):
    """The house has no such item, device or field; the sentence names it."""


def run(database: Database, arguments: argparse.Namespace, now_ms: int, show: Callable[[float], None]) -> int:
    """Write the file, or to standard output for `-`. Returns 1 if there was nothing in the range.

    `show` is called with the share that is done. Raises UserError with a sentence for what can't be done.
    """
    with database.begin() as connection:
        store.permissions.require(connection, "export")
        house = store.houses.by_name(connection, arguments.house)
        window = _window_reader(connection, house, arguments)
    period = periods.parse(arguments.range, now_ms, house.time_zone)
    end_ms = min(period.end_ms, now_ms)

    rows = 0

    def lines() -> Iterator[bytes]:
        nonlocal rows
        yield csv_format.written_record(HEADERS[arguments.what]).encode()
        step_ms = _WINDOW_MS[arguments.what]
        for start in range(period.start_ms, end_ms, step_ms):
            with database.begin() as connection:
                count, text = window(connection, start, min(start + step_ms, end_ms))
            rows += count
            yield text
            show(min(1.0, (start + step_ms - period.start_ms) / (end_ms - period.start_ms)))

    if str(arguments.out) == "-":
        _write(lines(), sys.stdout.buffer)
        return _DONE if rows else _NOTHING_THERE
    file: Path = arguments.out
    if file.exists() and not arguments.force:
        raise CannotWrite(f"{file} exists. Give another name, or --force to overwrite it.")
    try:
        with opened_atomic(file, mode=0o644) as opened:
            opened.write(_BYTE_ORDER_MARK)
            _write(lines(), opened)
    except OSError as error:
        raise CannotWrite(f"{file} can't be written: {error.strerror}.") from error
    print(f"Written: {file}, {rows:,} rows", file=sys.stderr)
    return _DONE if rows else _NOTHING_THERE


def _write(lines: Iterator[bytes], stream: BinaryIO) -> None:
    stream.writelines(lines)
    stream.flush()


def _window_reader(
    connection: sa.Connection, house: House, arguments: argparse.Namespace
) -> Callable[[sa.Connection, int, int], _Lines]:
    """What reads a part of the range. Raises UnknownName."""
    if arguments.what == "readings":
        wanted = _fields(connection, house, arguments.device, arguments.field)
        return lambda connection, start, end: _readings(connection, house, wanted, start, end)
    if arguments.what == "items":
        known = ItemReader(connection, house.house_id).items
        for name in arguments.item:
            if name not in known:
                raise UnknownName(f"{house.name} has no analytic item {name}.")
        names = list(dict.fromkeys(arguments.item)) or sorted(known)
        return lambda connection, start, end: _items(connection, house, names, start, end, arguments.raw)
    devices = list(dict.fromkeys(arguments.device))
    return lambda connection, start, end: _events(connection, house, devices, start, end)


def _fields(
    connection: sa.Connection, house: House, devices: Sequence[str], fields: Sequence[str]
) -> list[store.FieldKey]:
    """All series of the house, or those of the named devices and fields."""
    known = sorted(store.series.series_of(connection, house.house_id))
    for place, kind, names in ((0, "device", devices), (1, "field", fields)):
        for name in names:
            if all(key[place] != name for key in known):
                raise UnknownName(f"{house.name} has no readings of a {kind} {name}.")
    return [key for key in known if (not devices or key[0] in devices) and (not fields or key[1] in fields)]


def _readings(
    connection: sa.Connection, house: House, fields: Sequence[store.FieldKey], start_ms: int, end_ms: int
) -> _Lines:
    found = store.readings.read(connection, house.house_id, fields, start_ms, end_ms)
    return _in_order([(f"{_cells(key)},", found[key], "") for key in fields])


def _items(
    connection: sa.Connection, house: House, names: Sequence[str], start_ms: int, end_ms: int, raw: bool
) -> _Lines:
    """Means of five-minute slots, with the start of each, or (`raw`) the value at each reading."""
    reader = ItemReader(connection, house.house_id)
    if raw:
        series = reader.values(names, start_ms, end_ms)
    else:
        slots = reader.slots(names, start_ms, end_ms)
        series = {name: Series(one.slots.starts, one.slots.means) for name, one in slots.items()}
    return _in_order(
        [(f"{_cells([name])},", series[name], f",{_cells([reader.items[name].unit])}") for name in names]
    )


def _events(
    connection: sa.Connection, house: House, devices: Sequence[str], start_ms: int, end_ms: int
) -> _Lines:
    found = store.events.read(connection, house.house_id, start_ms, end_ms, devices=devices)
    stamps = _stamps(np.array([event.timestamp_ms for event in found], np.int64))
    lines = [
        csv_format.written_record(
            (stamp, event.device, event.type, json.dumps(event.data, ensure_ascii=False, sort_keys=True))
        )
        for stamp, event in zip(stamps, found, strict=True)
    ]
    return len(lines), "".join(lines).encode()


def _in_order(parts: Sequence[tuple[str, Series, str]]) -> _Lines:
    """Lines of several series by time; at one time in the order of `parts`. Each has the cells before and after its value."""
    parts = [part for part in parts if len(part[1])]
    if not parts:
        return 0, b""
    times = np.concatenate([series.timestamps for _, series, _ in parts])
    values = np.concatenate([series.values for _, series, _ in parts])
    which = np.repeat(np.arange(len(parts)), [len(series) for _, series, _ in parts])
    order = np.argsort(times, kind="stable")
    heads, tails = [head for head, _, _ in parts], [tail for _, _, tail in parts]
    lines = [
        f"{stamp},{heads[part]}{value!r}{tails[part]}\r\n"
        for stamp, part, value in zip(
            _stamps(times[order]), which[order].tolist(), values[order].tolist(), strict=True
        )
    ]
    return len(lines), "".join(lines).encode()


def _cells(texts: Sequence[str]) -> str:
    return csv_format.written_record(texts).rstrip("\r\n")


def _stamps(times_ms: NDArray[np.int64]) -> list[str]:
    """ISO 8601 in UTC, to the millisecond: `2025-05-13T10:00:00.000Z`."""
    texts: list[str] = np.datetime_as_string(times_ms.astype("M8[ms]"), unit="ms").tolist()
    return [f"{text}Z" for text in texts]
