"""Readings in and out of the database, in bulk.

A reading is (house, device, field, timestamp, value). In the database a series stands for (house, device, field).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import BytesIO
from itertools import chain

import numpy as np
import psycopg2
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.errors import UserError
from sgmp_console.measurements import MAX_VALUE
from sgmp_console.store import aggregates, binary_copy, events, quality
from sgmp_console.store.database import PARTITION_CACHE, SERIES_CACHE, note_change
from sgmp_console.store.rows import array_literal, driver, from_ms, to_ms
from sgmp_console.store.series import FieldKey, SeriesIds, read_packed, series_of
from sgmp_console.timeseries import Series

MAX_SERIES = 4_000
"""Of a device, in `sql/ingest.sql`, too: no device measures so much, and one that invents fields stops there."""

_DAY_MS = 86_400_000
_REPEATS = "sgmp_repeats"
_FEW = 5_000
_NO_SERIES = 0
"""Stands for a field for which its device has no room: no series has this number."""

_MAX_SHAPES = 20_000
_Shape = tuple[int, int, tuple[str, ...]]
"""(house id, device id, fields)."""


@dataclass(frozen=True)
class ReadingRow:
    """The numbers of one device at one instant: field -> value."""

    house_id: int
    device_id: int
    device_name: str
    timestamp_ms: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class TextRow:
    """The texts of one device at one instant: field -> text."""

    house_id: int
    device_id: int
    device_name: str
    timestamp_ms: int
    texts: Mapping[str, str]


@dataclass(frozen=True)
class DeviceSeries:
    """Whole series of one device, for history and imports: many times faster than the same as rows."""

    house_id: int
    device_id: int
    fields: Mapping[str, Series]


@dataclass
class Batch:
    """What is stored, and notified, together."""

    readings: list[ReadingRow] = field(default_factory=list)
    texts: list[TextRow] = field(default_factory=list)
    events: list[events.EventRow] = field(default_factory=list)
    series: list[DeviceSeries] = field(default_factory=list)


@dataclass(frozen=True)
class Written:
    """How many were new; `repeated` readings were stored before, or twice in the batch.

    `not_kept` readings came too late: what else was measured in their five minutes is known as a sum only.
    """

    readings: int
    repeated: int
    texts: int
    events: int
    over_limit: frozenset[tuple[int, int]] = frozenset()
    """(house id, device id) of devices with a field that was left out, because they have MAX_SERIES fields already."""
    not_kept: int = 0


def write(connection: sa.Connection, batch: Batch) -> Written:
    """Store a batch; what is stored already is left as it is. Listeners hear of it after the transaction commits.

    Once in a transaction, before `quarantine.store`: all that store take their locks in the same order, which is that of
    the lines below. Values that are not finite, or beyond MAX_VALUE, are left out. As ingest or owner. A device that is
    not of its house is a bug of the caller: StatementFailed.
    """
    of_readings, of_series, of_texts = _find_series(connection, batch)
    lengths = [len(row.values) for row in batch.readings]
    whole = [
        (number, series)
        for device, numbers in zip(batch.series, of_series, strict=True)
        for number, series in zip(numbers, (one.finite() for one in device.fields.values()), strict=True)
    ]
    numbers = np.concatenate(
        [np.empty(0, np.int32), *of_readings, *(np.full(len(one), number, np.int32) for number, one in whole)]
    )
    timestamps = np.concatenate(
        [
            np.repeat(np.array([row.timestamp_ms for row in batch.readings], np.int64), lengths),
            *(one.timestamps for _, one in whole),
        ]
    )
    values = np.concatenate(
        [
            np.fromiter(chain.from_iterable(row.values.values() for row in batch.readings), np.float64),
            *(one.values for _, one in whole),
        ]
    )
    new, repeated, not_kept = _store(connection, numbers, timestamps, values)
    now_ms = time.time_ns() // 1_000_000
    if new and timestamps.min() < now_ms - quality.LATE_MS:
        houses = np.concatenate(
            [
                np.repeat(np.array([row.house_id for row in batch.readings], np.int64), lengths),
                *(
                    np.full(sum(len(one.finite()) for one in device.fields.values()), device.house_id)
                    for device in batch.series
                ),
            ]
        )
        quality.note_late(connection, houses, timestamps, now_ms)
    texts = _store_texts(connection, batch.texts, of_texts)
    new_events = events.store(connection, batch.events)
    for house_id, earliest_ms in _earliest(batch).items():
        note_change(connection, house_id, earliest_ms)
    rows: list[ReadingRow | DeviceSeries | TextRow] = [*batch.readings, *batch.series, *batch.texts]
    over_limit = frozenset(
        (row.house_id, row.device_id)
        for row, ids in zip(rows, [*of_readings, *of_series, *of_texts], strict=True)
        if (ids == _NO_SERIES).any()
    )
    return Written(new, repeated, texts, new_events, over_limit, not_kept)


def read(
    connection: sa.Connection,
    house_id: int,
    fields: Collection[FieldKey],
    start_ms: int,
    end_ms: int,
    *,
    series: SeriesIds | None = None,
) -> dict[FieldKey, Series]:
    """The readings of the half-open range [start_ms, end_ms), one entry for each of `fields`, empty where none are.

    All series come in one COPY. A name stands for the device that has it now, else for the last that had it.
    `series`: what `series_of` returned in this transaction, if it is known.
    """
    known = series_of(connection, house_id) if series is None else series
    found = of_series(connection, [known.get(key) for key in fields], start_ms, end_ms)
    return dict(zip(fields, found, strict=True))


def of_series(
    connection: sa.Connection, series: Sequence[int | None], start_ms: int, end_ms: int
) -> list[Series]:
    """The same by the numbers of series; nothing for None."""
    asked = dict(enumerate(series))
    columns = read_packed(connection, asked, start_ms, end_ms, "packed_readings", (">i8", ">f8"))
    return [Series(binary_copy.to_ms(times), values) for times, values in columns.values()]


def not_kept(connection: sa.Connection, house_id: int, fields: Mapping[FieldKey, Series]) -> int:
    """How many of these readings could not be kept: see `Written`. As ingest or owner."""
    known = series_of(connection, house_id)
    return sum(
        int(
            aggregates.closed(connection, np.full(len(series), known[key], np.int32), series.timestamps).sum()
        )
        for key, series in fields.items()
        if key in known
    )


def latest(connection: sa.Connection, house_id: int) -> dict[FieldKey, tuple[int, float]]:
    """The newest reading (UTC ms, value) of every series of the house that has one."""
    names = {number: key for key, number in series_of(connection, house_id).items()}
    rows = connection.execute(
        sa.text("SELECT series_id, ts, value FROM sgmp.newest_readings(ARRAY[CAST(:house AS integer)])"),
        {"house": house_id},
    )
    return {names[number]: (to_ms(ts), value) for number, ts, value in rows if number in names}


def units(connection: sa.Connection, house_id: int) -> dict[FieldKey, str]:
    """The unit of every series of the house: the operator's, else its device type's, else ""."""
    from sgmp_edge import contract

    rows = connection.execute(
        sa.text("SELECT device, field, unit, type FROM sgmp.fields_of(:house)"), {"house": house_id}
    )
    types = contract.device_types()
    return {
        (device, field_name): unit
        if unit is not None
        else (types[type_name].unit_of(field_name) if type_name in types else "")
        for device, field_name, unit, type_name in rows
    }


@dataclass(frozen=True)
class FieldNow:
    """A field of a device: its newest reading and its newest text, each with its time (UTC ms), as far as there are any.
    `unit`: the operator's; None leaves it to the device's type."""

    field: str
    series_id: int
    unit: str | None
    reading: tuple[int, float] | None
    text: tuple[int, str] | None


def fields_now(connection: sa.Connection, device_id: int) -> list[FieldNow]:
    """The fields of a device in order of name; none of a device that the account does not see."""
    rows = connection.execute(sa.text("SELECT * FROM sgmp.fields_now(:device)"), {"device": device_id})
    return [
        FieldNow(
            row.field,
            row.series_id,
            row.unit,
            None if row.ts is None else (to_ms(row.ts), row.value),
            None if row.text_ts is None else (to_ms(row.text_ts), row.text_value),
        )
        for row in rows
    ]


def set_unit(connection: sa.Connection, house_id: int, key: FieldKey, unit: str | None) -> None:
    """Set the unit of a field; None leaves it to the device's type. Raises UserError where there is none, Refused."""
    series_id = series_of(connection, house_id).get(key)
    if not connection.execute(
        sa.text("SELECT sgmp.set_unit(:series, :unit)"), {"series": series_id, "unit": unit}
    ).scalar_one():
        raise UserError("There is no such field. Its device may have been deleted.")


def _earliest(batch: Batch) -> dict[int, int]:
    """House -> its earliest timestamp (UTC ms)."""
    earliest: dict[int, int] = {}
    rows: list[ReadingRow | TextRow | events.EventRow] = [*batch.readings, *batch.texts, *batch.events]
    stamps = [(row.house_id, row.timestamp_ms) for row in rows]
    for device in batch.series:
        stamps += [(device.house_id, int(one.timestamps[0])) for one in device.fields.values() if len(one)]
    for house_id, timestamp_ms in stamps:
        earliest[house_id] = min(earliest.get(house_id, timestamp_ms), timestamp_ms)
    return earliest


def _find_series(
    connection: sa.Connection, batch: Batch
) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int32]], list[NDArray[np.int32]]]:
    """For each row, whole series and text of a batch the ids of its fields, created where there are none; _NO_SERIES
    beyond a device's limit. A device sends the same fields each time: they are looked up once a connection."""
    rows: list[_Shape] = [
        *((row.house_id, row.device_id, tuple(row.values)) for row in batch.readings),
        *((device.house_id, device.device_id, tuple(device.fields)) for device in batch.series),
        *((row.house_id, row.device_id, tuple(row.texts)) for row in batch.texts),
    ]
    known: dict[_Shape, NDArray[np.int32]] = connection.info.setdefault(SERIES_CACHE, {})
    missing = list(dict.fromkeys(row for row in rows if row not in known))
    if missing:
        if len(known) > _MAX_SHAPES:
            known.clear()
            missing = list(dict.fromkeys(rows))
        fields = [(house, device, name) for house, device, names in missing for name in names]
        houses, devices, names = zip(*fields, strict=True) if fields else ((), (), ())
        found = connection.execute(
            sa.text("SELECT sgmp.series_ids(:houses, :devices, :fields)"),
            {"houses": list(houses), "devices": list(devices), "fields": list(names)},
        ).scalars()
        ids = np.fromiter((number or _NO_SERIES for number in found), np.int32)
        ends = np.cumsum([len(names) for _, _, names in missing])
        known.update(zip(missing, np.split(ids, ends[:-1]), strict=True))
    of_rows = [known[row] for row in rows]
    series, texts = len(batch.readings), len(batch.readings) + len(batch.series)
    return of_rows[:series], of_rows[series:texts], of_rows[texts:]


def _store(
    connection: sa.Connection,
    series: NDArray[np.int32],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
) -> tuple[int, int, int]:
    """Returns how many were new, how many not, and how many can't be kept."""
    possible = (np.abs(values) <= MAX_VALUE) & (series != _NO_SERIES)  # NaN is not
    if not possible.all():
        series, timestamps, values = series[possible], timestamps[possible], values[possible]
    if len(series) == 0:
        return 0, 0, 0
    given = len(series)
    # In the order of the index; of equals the first stays.
    order = np.lexsort((timestamps, series))
    series, timestamps, values = series[order], timestamps[order], values[order]
    first = np.r_[True, (series[1:] != series[:-1]) | (timestamps[1:] != timestamps[:-1])]
    if not first.all():
        series, timestamps, values = series[first], timestamps[first], values[first]
    refused = aggregates.closed(connection, series, timestamps)
    not_kept = int(refused.sum())
    if not_kept:
        series, timestamps, values = series[~refused], timestamps[~refused], values[~refused]
        if len(series) == 0:
            return 0, given - not_kept, not_kept
    days = timestamps // _DAY_MS
    _ensure_partitions(connection, np.unique(days))
    # By day first: where two store into the same partitions or chunks, both go through these in the same order.
    by_day = np.argsort(days, kind="stable")
    rows = series[by_day], timestamps[by_day], values[by_day]
    stream = binary_copy.encode(*rows)
    # TimescaleDB flushes the chunks of a COPY in an order of its own.
    ends = np.flatnonzero(np.diff(days[by_day])) + 1
    streams = _parts(*rows, ends) if len(ends) and aggregates.on_timescale(connection) else [stream]
    stored = None if connection.info.get(_REPEATS) else _copy_new(connection, streams)
    if stored is None:
        stream.seek(0)
        stored = (
            _insert_ignoring_repeats(connection, *rows)
            if len(series) <= _FEW
            else _copy_ignoring_repeats(connection, stream)
        )
    if stored:
        aggregates.fold(connection, series, timestamps, values, all_new=stored == len(series))
    # Repeats come in runs (a redelivery, a second import): after one, don't try the fast way in vain.
    connection.info[_REPEATS] = stored < len(series)
    return stored, given - stored - not_kept, not_kept


def _parts(
    series: NDArray[np.int32],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
    ends: NDArray[np.intp],
) -> list[BytesIO]:
    columns = (np.split(column, ends) for column in (series, timestamps, values))
    return [binary_copy.encode(*part) for part in zip(*columns, strict=True)]


def _copy_new(connection: sa.Connection, streams: Sequence[BytesIO]) -> int | None:
    """The fast way, which holds for readings that are all new; None if one was not, and then none is stored."""
    with driver(connection).cursor() as cursor:
        # Sent as one, and released with the transaction: each statement more is a journey to the server and back.
        begin, stored = "SAVEPOINT arriving; ", 0
        try:
            for stream in streams:
                cursor.copy_expert(
                    f"{begin}COPY sgmp.reading (series_id, ts, value) FROM STDIN (FORMAT binary)", stream
                )
                begin, stored = "", stored + cursor.rowcount
        except psycopg2.errors.UniqueViolation:
            cursor.execute("ROLLBACK TO SAVEPOINT arriving")
            return None
        return stored


def _insert_ignoring_repeats(
    connection: sa.Connection,
    series: NDArray[np.int32],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
) -> int:
    """For a batch from the broker quicker than a temporary table, which has to be emptied twice."""
    return connection.execute(
        sa.text(
            "INSERT INTO sgmp.reading (series_id, ts, value)"
            " SELECT series_id, timestamptz 'epoch' + ms * interval '1 millisecond', value"
            " FROM unnest(CAST(:series AS integer[]), CAST(:times AS bigint[]), CAST(:values AS float8[]))"
            " AS arriving (series_id, ms, value) ON CONFLICT DO NOTHING"
        ),
        {
            "series": array_literal(series),
            "times": array_literal(timestamps),
            "values": array_literal(values),
        },
    ).rowcount


def _copy_ignoring_repeats(connection: sa.Connection, stream: BytesIO) -> int:
    connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS arriving (series_id integer, ts timestamptz, value double precision)"
        " ON COMMIT DELETE ROWS"
    )
    connection.exec_driver_sql("TRUNCATE pg_temp.arriving")
    with driver(connection).cursor() as cursor:
        cursor.copy_expert("COPY pg_temp.arriving FROM STDIN (FORMAT binary)", stream)
    return connection.exec_driver_sql(
        "INSERT INTO sgmp.reading (series_id, ts, value)"
        " SELECT series_id, ts, value FROM pg_temp.arriving ON CONFLICT DO NOTHING"
    ).rowcount


def _ensure_partitions(connection: sa.Connection, days: NDArray[np.int64]) -> None:
    """Have partitions or chunks for these days (since 1970, UTC) made before any reading is stored."""
    known: set[int] = connection.info.setdefault(PARTITION_CACHE, set())
    # What is older than two weeks may have been dropped since it was seen.
    kept = int(time.time() * 1000) // _DAY_MS - 14
    missing = [day for day in days.tolist() if day < kept or day not in known]
    if missing:
        connection.execute(
            sa.text("SELECT sgmp.ensure_partitions(:days)"),
            {"days": [date(1970, 1, 1) + timedelta(day) for day in missing]},
        )
        known.update(missing)


def _store_texts(
    connection: sa.Connection, rows: Sequence[TextRow], of_rows: Sequence[NDArray[np.int32]]
) -> int:
    """Returns how many were stored."""
    texts = [
        (number, from_ms(row.timestamp_ms), text)
        for row, numbers in zip(rows, of_rows, strict=True)
        for number, text in zip(numbers.tolist(), row.texts.values(), strict=True)
        if number != _NO_SERIES
    ]
    if not texts:
        return 0
    series, times, values = zip(*texts, strict=True)
    return int(
        connection.execute(
            sa.text("SELECT sgmp.store_texts(:series, :times, :texts)"),
            {"series": list(series), "times": list(times), "texts": list(values)},
        ).scalar_one()
    )
