"""`sgmp-console archive`: the raw readings of months that are over, as Parquet, a file for each house and month.

Beside each file stands its account, a CSV with the number and the sum of readings per device, field and UTC day. It is written once
the file was read back and agrees with the database, so it also says that the file is complete. Nothing is ever dropped here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from sgmp_console import csv_format, store
from sgmp_console.errors import SgmpError
from sgmp_console.files import write_atomic
from sgmp_console.reports import export_command
from sgmp_console.reports.export import CannotWrite
from sgmp_console.reports.export_rows import Name, What
from sgmp_console.store import Database, FieldKey, House, tallies
from sgmp_console.timeseries import HOUR_MS, calendar

_HEADER = ("device", "field", "day", "readings", "sum", "sum_of_sizes")
_ROWS_AT_A_TIME = 500_000
_ATTEMPTS = 2
"""Readings that come late while a file is written are in the next attempt."""


Account = Mapping[tuple[FieldKey, int], tuple[int, float, float]]
"""Of each field and UTC day (since 1970): how many readings, their sum, and the sum of their sizes."""


class Outcome(Enum):
    WRITTEN = "written"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    """The database has less of the month by now: its raw readings were dropped."""
    INCOMPLETE = "incomplete"
    """Readings came late that are not in the file; others of the month were dropped since, so that it can't be made again."""
    UNREADABLE = "unreadable"
    """What is there can't be read, and is not ours to replace."""


@dataclass(frozen=True)
class Month:
    """A month of a house, by the house's calendar, [start_ms, end_ms) in UTC ms."""

    house: str
    name: str
    start_ms: int
    end_ms: int
    file: Path
    outcome: Outcome
    readings: int
    """In the file."""
    dropped_before_ms: int | None = None
    """Raw readings before this had been dropped when the file was written: it holds a part of the month."""

    @property
    def is_archived(self) -> bool:
        return self.outcome not in (Outcome.INCOMPLETE, Outcome.UNREADABLE)


class Changing(SgmpError):
    """The file does not agree with the database; the sentence says what to do."""


def run(
    database: Database,
    folder: Path,
    houses: Sequence[House],
    now_ms: int,
    show: Callable[[float], None] = lambda _share: None,
) -> Iterator[Month]:
    """Write what is missing or has changed, month by month, as the database's owner. What an interruption left goes on.

    `show` is called with the share of a file that is done. Raises CannotWrite, Changing, OtherFile.
    """
    for house in houses:
        with database.begin() as connection:
            series = tallies.series_of_house(connection, house.house_id)
            first_ms = tallies.first_reading(connection, [number for number, _ in series])
        if first_ms is None:
            continue
        for start_ms, end_ms in _months(first_ms, now_ms, house.time_zone):
            yield _month(database, folder, house, series, start_ms, end_ms, show)


def archived_until(months: Sequence[Month], houses: Sequence[House], now_ms: int) -> int:
    """Before this instant (UTC ms) all raw readings of these houses are in files, as far as they had not been dropped.

    `months`: all that `run` gave for `houses`.
    """
    missing = [month.start_ms for month in months if not month.is_archived]
    begun = [calendar.month_of(now_ms, house.time_zone)[0] for house in houses]
    return min([*missing, *begun], default=now_ms)


def _months(first_ms: int, now_ms: int, zone: str) -> Iterator[tuple[int, int]]:
    """Those that are over."""
    start_ms, end_ms = calendar.month_of(first_ms, zone)
    while end_ms <= now_ms:
        yield start_ms, end_ms
        start_ms, end_ms = calendar.month_of(end_ms, zone)


def _month(
    database: Database,
    folder: Path,
    house: House,
    series: Sequence[tuple[int, FieldKey]],
    start_ms: int,
    end_ms: int,
    show: Callable[[float], None],
) -> Month:
    name = f"{calendar.local(start_ms, house.time_zone):%Y-%m}"
    file = folder / f"house_{house.house_id}" / f"{name}.parquet"
    stored = _stored(database, series, start_ms, end_ms)
    with database.begin() as connection:
        kept_from_ms = store.aggregates.standing(connection, house.house_id).raw_kept_from_ms
    dropped = kept_from_ms is not None and kept_from_ms > start_ms
    known = _known(file)
    outcome = Outcome.WRITTEN
    if known is not None:
        outcome = _compared(known, stored)
    elif file.exists():
        outcome = Outcome.UNREADABLE
    if outcome is Outcome.WRITTEN:
        known = _write(
            database, house, file, series, start_ms, end_ms, _window_ms(stored, start_ms, end_ms), show
        )
        _write_account(file, known)
    return Month(
        house.name,
        name,
        start_ms,
        end_ms,
        file,
        outcome,
        sum(count for count, _, _ in (known or {}).values()),
        kept_from_ms if dropped and outcome is Outcome.WRITTEN else None,
    )


def _compared(known: Account, stored: Account) -> Outcome:
    """What is to be done about a file with these readings."""
    found = _differences(known, stored)
    if not found:
        return Outcome.UNCHANGED
    if all(one.found > one.expected[0] for one in found):
        return Outcome.WRITTEN
    return Outcome.KEPT if all(one.found < one.expected[0] for one in found) else Outcome.INCOMPLETE


def _write(
    database: Database,
    house: House,
    file: Path,
    series: Sequence[tuple[int, FieldKey]],
    start_ms: int,
    end_ms: int,
    window_ms: int,
    show: Callable[[float], None],
) -> Account:
    """Returns what the file holds, which is what the database holds."""
    ids, names = [number for number, _ in series], [Name(*key) for _, key in series]
    plan = export_command.Plan(house, What.READINGS, False, [], start_ms, end_ms, names, ids, window_ms)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{file.parent} can't be made: {error.strerror}.") from error
    for attempt in range(_ATTEMPTS):
        export_command.write(database, plan, file, "parquet", {}, show, again=attempt > 0)
        written = _read_back(file)
        if not _differences(written, _stored(database, series, start_ms, end_ms)):
            return written
    raise Changing(
        f"{file} does not agree with the database: readings of {house.name} in that month come just now. Run this again later."
    )


def _window_ms(stored: Account, start_ms: int, end_ms: int) -> int:
    """What is read at a time: whole hours with so many rows, if they are spread evenly."""
    hours = (end_ms - start_ms) // HOUR_MS
    rows = sum(count for count, _, _ in stored.values())
    return HOUR_MS * max(1, min(hours, hours * _ROWS_AT_A_TIME // max(1, rows)))


def _differences(known: Account, found: Account) -> list[tallies.Difference]:
    """The series of a difference is the place of its name."""
    places = {key: place for place, key in enumerate(sorted({key for key, _ in (*known, *found)}))}
    expected, other = (
        tallies.tally([(places[key], day, *figures) for (key, day), figures in one.items()])
        for one in (known, found)
    )
    return tallies.differences(expected, expected, other)


def _stored(
    database: Database, series: Sequence[tuple[int, FieldKey]], start_ms: int, end_ms: int
) -> Account:
    """What the database holds. Several series may have one name: of devices that followed one another."""
    names = dict(series)
    with database.begin() as connection:
        rows = tallies.rows_of(connection, np.array(list(names), np.int64), (start_ms, end_ms))
    return _added((names[number], day, count, total, size) for number, day, count, total, size in rows)


def _read_back(file: Path) -> Account:
    """What a Parquet file holds. Memory holds one row group at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def rows() -> Iterator[tuple[FieldKey, int, int, float, float]]:
        with pq.ParquetFile(file) as opened:
            for number in range(opened.num_row_groups):
                group = opened.read_row_group(number, columns=["timestamp", "device", "field", "value"])
                # Whole days of UTC; dates go down, also before 1970.
                days = (
                    group["timestamp"].cast(pa.timestamp("ms")).cast(pa.date32(), safe=False).cast(pa.int32())
                )
                sizes = pc.abs(group["value"])
                counted = (
                    group.append_column("day", days)
                    .append_column("size", sizes)
                    .group_by(["device", "field", "day"])
                    .aggregate([("value", "count"), ("value", "sum"), ("size", "sum")])
                )
                for row in counted.to_pylist():
                    key = (row["device"], row["field"])
                    yield key, row["day"], row["value_count"], row["value_sum"], row["size_sum"]

    return _added(rows())


def _added(rows: Iterable[tuple[FieldKey, int, int, float, float]]) -> Account:
    """One entry for each field and day."""
    found: dict[tuple[FieldKey, int], tuple[int, float, float]] = {}
    for key, day, count, total, size in rows:
        known = found.get((key, day), (0, 0.0, 0.0))
        found[key, day] = (known[0] + count, known[1] + total, known[2] + size)
    return found


def _write_account(file: Path, account: Account) -> None:
    lines = [csv_format.written_record(_HEADER)]
    for ((device, field), day), (count, total, size) in sorted(account.items()):
        names = (csv_format.written_cell(text) for text in (device, field))
        numbers = (str(np.datetime64(day, "D")), str(count), repr(total), repr(size))
        lines.append(csv_format.joined((*names, *numbers)))
    try:
        write_atomic(_account_file(file), "".join(lines).encode("utf-8"), mode=0o644)
    except OSError as error:
        raise CannotWrite(f"{_account_file(file)} can't be written: {error.strerror}.") from error


def _known(file: Path) -> Account | None:
    """What a file of before holds, by its account, else by itself; None where neither can be read."""
    if not file.is_file():
        return None
    try:
        return _read_account(_account_file(file))
    except (OSError, ValueError):
        pass
    try:
        return _read_back(file)
    except (OSError, ValueError):  # what pyarrow raises is one of them
        return None


def _read_account(file: Path) -> Account:
    """Raises OSError, ValueError."""
    lines = csv_format.records(file.read_bytes().decode("utf-8"), ",")
    if tuple(next(lines, (0, []))[1]) != _HEADER:
        raise ValueError("another header")
    found: dict[tuple[FieldKey, int], tuple[int, float, float]] = {}
    for _, (device, field, day, count, total, size) in lines:
        key = (csv_format.read_cell(device), csv_format.read_cell(field))
        found[key, int(np.datetime64(day, "D").astype(np.int64))] = (int(count), float(total), float(size))
    return found


def _account_file(file: Path) -> Path:
    return file.with_suffix(".csv")
