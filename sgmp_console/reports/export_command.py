"""`sgmp-console export`: readings, items or events of a house as one CSV or Parquet file.

The range is read window by window, each in a transaction of its own, and written as it comes, so memory does not grow
with the range. A file that was cut off goes on where it ended and has the same bytes as one that was not. Readings as CSV
can be read by `sgmp-console import`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console import store
from sgmp_console.errors import UserError
from sgmp_console.files import opened_atomic
from sgmp_console.measurements import EARLIEST_MS
from sgmp_console.quality import Quality
from sgmp_console.reports import partial_file, periods
from sgmp_console.reports.export import CannotWrite
from sgmp_console.reports.export_rows import (
    NOT_CHECKED,
    Csv,
    Measured,
    Name,
    Parquet,
    Rows,
    What,
    merged,
    with_byte_order_mark,
)
from sgmp_console.reports.item_reader import ItemReader
from sgmp_console.reports.partial_file import PartialFile, Progress
from sgmp_console.store import Database, House, quality
from sgmp_console.timeseries import HOUR_MS, Series, calendar

_DONE, _NOTHING_THERE = 0, 1

_WINDOW_MS = {What.READINGS: 6 * HOUR_MS, What.ITEMS: 24 * HOUR_MS, What.EVENTS: 14 * 24 * HOUR_MS}
"""Of the range, read at a time, where a plan does not say so: of a large house some hundred thousand rows."""

_FORMATS: dict[str, type[Csv | Parquet]] = {"csv": Csv, "parquet": Parquet}


class UnknownName(UserError):
    """The house has no such item, device or field; the sentence names it."""


@dataclass(frozen=True)
class Plan:
    """What is exported, decided once: [start_ms, end_ms) in UTC, and the series that there were then, in order."""

    house: House
    what: What
    raw: bool
    devices: Sequence[str]
    start_ms: int
    end_ms: int
    names: Sequence[Name]
    series: Sequence[int] | None = None
    """Of readings, the numbers of the series that the names stand for, where those are not the present ones."""
    window_ms: int = 0
    """Of the range, read at a time."""

    def read(self, connection: sa.Connection, start_ms: int, end_ms: int) -> Rows:
        """A window of it."""
        house_id = self.house.house_id
        if self.what is What.EVENTS:
            return store.events.read(connection, house_id, start_ms, end_ms, devices=self.devices)
        if self.what is What.READINGS:
            ids: Sequence[int | None]
            if self.series is None:
                present = store.series_of(connection, house_id)
                ids = [present.get((name.first, name.second)) for name in self.names]
            else:
                ids = self.series
            found = store.readings.of_series(connection, ids, start_ms, end_ms)
            flags = _Flags.read(connection, house_id, start_ms, end_ms)
            return merged(
                found, [flags.of(number, one.timestamps) for number, one in zip(ids, found, strict=True)]
            )
        reader = ItemReader(connection, house_id)
        items = [name.first for name in self.names]
        if self.raw:
            values = reader.values(items, start_ms, end_ms)
        else:
            slots = reader.slots(items, start_ms, end_ms)
            values = {name: Series(one.slots.starts, one.slots.means) for name, one in slots.items()}
        return merged([values[name] for name in items])


@dataclass(frozen=True)
class _Flags:
    """What checks of quality found in a range of a house: the days that were checked, and the runs of each series."""

    days: Sequence[quality.CheckedDay]
    runs: Mapping[int, Sequence[quality.Run]]

    @classmethod
    def read(cls, connection: sa.Connection, house_id: int, start_ms: int, end_ms: int) -> _Flags:
        by_series: dict[int, list[quality.Run]] = {}
        for run in quality.runs(connection, house_id, start_ms, end_ms):
            by_series.setdefault(run.series_id, []).append(run)
        return cls(quality.checked_days(connection, house_id, start_ms, end_ms), by_series)

    def of(self, series_id: int | None, times_ms: NDArray[np.int64]) -> NDArray[np.int16]:
        """The bits of the slots that these times of a series (ascending) are in; NOT_CHECKED on days that were not."""
        found = np.full(len(times_ms), NOT_CHECKED, np.int16)
        for day in self.days:
            first, last = np.searchsorted(times_ms, (day.start_ms, day.end_ms))
            found[first:last] = 0
        for run in () if series_id is None else self.runs.get(series_id, ()):
            first, last = np.searchsorted(times_ms, (run.start_ms, run.end_ms))
            found[first:last] = run.bits
        return found


def run(database: Database, arguments: argparse.Namespace, now_ms: int, show: Callable[[float], None]) -> int:
    """Write the file, or to standard output for `-`. Returns 1 if there was nothing in the range.

    `show` is called with the share that is done. Raises UserError with a sentence for what can't be done.
    """
    what = What(arguments.what)
    with database.begin() as connection:
        store.permissions.require(connection, "export")
        house = store.houses.by_name(connection, arguments.house)
        names = _names(connection, house, what, arguments)
    period = periods.parse(arguments.range, now_ms, house.time_zone)
    start_ms = max(period.start_ms, EARLIEST_MS)
    plan = Plan(
        house,
        what,
        arguments.raw,
        list(dict.fromkeys(arguments.device)),
        start_ms,
        max(start_ms, min(period.end_ms, now_ms)),
        names,
    )
    if str(arguments.out) == "-":
        rows = _to_standard_output(database, plan, show)
        return _DONE if rows else _NOTHING_THERE
    rows = _to_file(database, plan, arguments, show)
    return _DONE if rows else _NOTHING_THERE


def format_of(arguments: argparse.Namespace) -> str:
    """`csv` or `parquet`: as asked for, else by the ending of the file."""
    if arguments.format is not None:
        return str(arguments.format)
    return "parquet" if arguments.out.suffix.lower() == ".parquet" else "csv"


def _to_standard_output(database: Database, plan: Plan, show: Callable[[float], None]) -> int:
    written = Csv(plan.what, plan.names)
    stream = sys.stdout.buffer
    stream.write(written.begin())
    count = 0
    plan = replace(plan, window_ms=_WINDOW_MS[plan.what])
    for start in range(plan.start_ms, plan.end_ms, plan.window_ms):
        rows = _window(database, plan, start)
        count += _count(rows)
        stream.write(written.part(rows))
        show(_share(plan, start))
    stream.flush()
    return count


def _to_file(
    database: Database, plan: Plan, arguments: argparse.Namespace, show: Callable[[float], None]
) -> int:
    file: Path = arguments.out
    if file.exists() and not file.is_file():
        raise CannotWrite(f"{file} can't be written: it is not an ordinary file.")
    if file.exists() and not arguments.force:
        raise CannotWrite(f"{file} exists. Give another name, or --force to overwrite it.")
    written_as = format_of(arguments)

    def say_resumed(next_ms: int) -> None:
        if not arguments.json:
            since = calendar.local(next_ms, plan.house.time_zone).isoformat()
            print(f"{file} was cut off: it goes on at {since}.", file=sys.stderr)

    asked = {name: sorted(getattr(arguments, name)) for name in ("device", "field", "item")}
    written = write(database, plan, file, written_as, asked, show, again=arguments.force, resumed=say_resumed)
    if arguments.json:
        result: dict[str, Any] = {
            "file": str(file),
            "format": written_as,
            "rows": written.rows,
            "start_ms": written.plan.start_ms,
            "end_ms": written.plan.end_ms,
            "resumed": written.resumed,
        }
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        print(f"Written: {file}, {written.rows:,} rows", file=sys.stderr)
    return written.rows


@dataclass(frozen=True)
class Written:
    """A file that is complete. `plan`: as it was when the file began."""

    plan: Plan
    rows: int
    resumed: bool


def write(
    database: Database,
    plan: Plan,
    file: Path,
    written_as: str,
    asked: Mapping[str, Any],
    show: Callable[[float], None],
    *,
    again: bool = False,
    resumed: Callable[[int], None] = lambda _next_ms: None,
) -> Written:
    """Write the file, or go on with one that was cut off, unless `again`; then `resumed` is called with where (UTC ms).

    A file goes on only where house, range, format and `asked` are the same. Raises CannotWrite, OtherFile.
    """
    request = {
        "version": 3,
        "format": written_as,
        "what": plan.what.value,
        "house": plan.house.house_id,
        "start_ms": plan.start_ms,
        "raw": plan.raw,
        **asked,
    }
    begun = {
        "end_ms": plan.end_ms,
        "names": [[name.first, name.second] for name in plan.names],
        "series": None if plan.series is None else list(plan.series),
        "window_ms": plan.window_ms or _WINDOW_MS[plan.what],
    }
    try:
        with partial_file.opened(file, Progress(request, begun, plan.start_ms), again=again) as partial:
            goes_on = partial.progress.offset > 0
            plan = _as_begun(plan, partial.progress)
            if goes_on:
                resumed(partial.progress.next_ms)
            _append(database, plan, partial, _FORMATS[written_as](plan.what, plan.names), show)
            rows = partial.progress.rows
            _finish(file, plan, partial, written_as)
    except OSError as error:
        raise CannotWrite(f"{file} can't be written: {error.strerror}.") from error
    return Written(plan, rows, goes_on)


def _as_begun(plan: Plan, progress: Progress) -> Plan:
    """With what was decided when the file began, so that it has the same bytes as if it had not been cut off."""
    names = [Name(first, second) for first, second in progress.plan["names"]]
    begun = {key: progress.plan[key] for key in ("end_ms", "series", "window_ms")}
    return replace(plan, names=names, **begun)


def _append(
    database: Database,
    plan: Plan,
    partial: PartialFile,
    written: Csv | Parquet,
    show: Callable[[float], None],
) -> None:
    if not partial.progress.offset and (begin := written.begin()):
        partial.append(with_byte_order_mark(begin), 0, plan.start_ms)
    step_ms = plan.window_ms
    for start in range(partial.progress.next_ms, plan.end_ms, step_ms):
        rows = _window(database, plan, start)
        partial.append(written.part(rows), _count(rows), start + step_ms)
        show(_share(plan, start))


def _finish(file: Path, plan: Plan, partial: PartialFile, written_as: str) -> None:
    if written_as == "csv":
        partial.finish()
        return
    partial.note()
    partial.stream.seek(0)
    about = {
        "house": plan.house.name,
        "time_zone": plan.house.time_zone,
        "start_ms": str(plan.start_ms),
        "end_ms": str(plan.end_ms),
        "values": "" if plan.what is not What.ITEMS else "raw" if plan.raw else "means of five-minute slots",
    }
    if plan.what is What.READINGS:
        about["quality"] = ", ".join(f"{bit.value} {bit.name}" for bit in Quality)
    with opened_atomic(file, mode=0o644) as out:
        Parquet(plan.what, plan.names).finish(partial.stream, out, about)
    partial.discard()


def _window(database: Database, plan: Plan, start_ms: int) -> Rows:
    with database.begin() as connection:
        return plan.read(connection, start_ms, min(start_ms + plan.window_ms, plan.end_ms))


def _count(rows: Rows) -> int:
    return len(rows.values) if isinstance(rows, Measured) else len(rows)


def _share(plan: Plan, start_ms: int) -> float:
    done = start_ms + plan.window_ms - plan.start_ms
    return min(1.0, done / (plan.end_ms - plan.start_ms))


def _names(connection: sa.Connection, house: House, what: What, arguments: argparse.Namespace) -> list[Name]:
    """Of all series of the house, or of those that are asked for, in order. Raises UnknownName."""
    if what is What.EVENTS:
        return []
    if what is What.READINGS:
        known = sorted(store.series.series_of(connection, house.house_id))
        for place, kind, wanted in ((0, "device", arguments.device), (1, "field", arguments.field)):
            for name in wanted:
                if all(key[place] != name for key in known):
                    raise UnknownName(f"{house.name} has no readings of a {kind} {name}.")
        return [
            Name(device, field)
            for device, field in known
            if (not arguments.device or device in arguments.device)
            and (not arguments.field or field in arguments.field)
        ]
    items = ItemReader(connection, house.house_id).items
    for name in arguments.item:
        if name not in items:
            raise UnknownName(f"{house.name} has no analytic item {name}.")
    return [Name(name, items[name].unit) for name in list(dict.fromkeys(arguments.item)) or sorted(items)]
