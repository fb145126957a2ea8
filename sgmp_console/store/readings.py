"""Readings in and out of the database, in bulk.

A reading is (house, device, field, timestamp, value). In the database a series stands for (house, device, field).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from io import BytesIO

import numpy as np
import psycopg2
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg2 import sql

from sgmp_console.store import aggregates, binary_copy, events, quarantine
from sgmp_console.store.database import PARTITION_CACHE, SERIES_CACHE
from sgmp_console.store.rows import driver, from_ms, to_ms
from sgmp_console.store.series import FieldKey, series_of
from sgmp_console.timeseries.series import Series

CHANGE_CHANNEL = "sgmp_change"

_WEEK_MS = 7 * 86_400_000
_MONDAY_MS = 4 * 86_400_000  # 1970-01-05 was a Monday
_REPEATS = "sgmp_repeats"


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


@dataclass
class Batch:
    """What is stored, and notified, together."""

    readings: list[ReadingRow] = field(default_factory=list)
    texts: list[TextRow] = field(default_factory=list)
    events: list[events.EventRow] = field(default_factory=list)
    rejected: list[quarantine.Rejected] = field(default_factory=list)


@dataclass(frozen=True)
class Written:
    """How many were new; `repeated` readings were stored before, or twice in the batch."""

    readings: int
    repeated: int
    texts: int
    events: int
    rejected: int


def write(connection: sa.Connection, batch: Batch) -> Written:
    """Store a batch; what is stored already is left as it is. Listeners hear of it when the transaction commits.

    Values that are not finite are left out. As ingest or owner. A device that is not of its house is a bug of the
    caller: StatementFailed.
    """
    ids = _series_ids(
        connection,
        {(r.house_id, r.device_id, name) for r in batch.readings for name in r.values}
        | {(t.house_id, t.device_id, name) for t in batch.texts for name in t.texts},
    )
    numbers = [
        (ids[r.house_id, r.device_id, name], r.timestamp_ms, value)
        for r in batch.readings
        for name, value in r.values.items()
    ]
    count = len(numbers)
    series = np.fromiter((n[0] for n in numbers), np.int32, count)
    timestamps = np.fromiter((n[1] for n in numbers), np.int64, count)
    values = np.fromiter((n[2] for n in numbers), np.float64, count)
    new, repeated = _store(connection, series, timestamps, values)
    texts = _store_texts(connection, ids, batch.texts)
    new_events = events.store(connection, batch.events)
    rejected = quarantine.store(connection, batch.rejected)
    notify(connection, _earliest([*batch.readings, *batch.texts, *batch.events]))
    return Written(new, repeated, texts, new_events, rejected)


def write_series(
    connection: sa.Connection, house_id: int, device_id: int, fields: Mapping[str, Series]
) -> Written:
    """Store whole series of one device, for history and imports: many times faster than the same as rows."""
    ids = _series_ids(connection, {(house_id, device_id, name) for name in fields})
    parts = [(ids[house_id, device_id, name], one.finite()) for name, one in fields.items()]
    if not parts:
        return Written(0, 0, 0, 0, 0)
    series = np.concatenate([np.full(len(one), number, np.int32) for number, one in parts])
    timestamps = np.concatenate([one.timestamps for _, one in parts])
    values = np.concatenate([one.values for _, one in parts])
    new, repeated = _store(connection, series, timestamps, values)
    if len(timestamps):
        notify(connection, {house_id: int(timestamps.min())})
    return Written(new, repeated, 0, 0, 0)


def read(
    connection: sa.Connection, house_id: int, fields: Collection[FieldKey], start_ms: int, end_ms: int
) -> dict[FieldKey, Series]:
    """The readings of the half-open range [start_ms, end_ms), one entry for each of `fields`, empty where none are.

    All series come in one COPY. A name stands for the device that has it now, else for the last that had it.
    """
    found = dict.fromkeys(fields, Series.empty())
    ids = {number: key for key, number in series_of(connection, house_id).items() if key in found}
    if not ids or end_ms <= start_ms:
        return found
    query = sql.SQL(
        "COPY (SELECT series_id, ts, value FROM sgmp.readings"
        " WHERE series_id = ANY ({}) AND ts >= {} AND ts < {}) TO STDOUT (FORMAT binary)"
    ).format(sql.Literal(list(ids)), sql.Literal(from_ms(start_ms)), sql.Literal(from_ms(end_ms)))
    stream = BytesIO()
    _copy(connection, query, stream)
    for number, one in _by_series(*binary_copy.decode(stream)).items():
        found[ids[number]] = one
    return found


def latest(connection: sa.Connection, house_id: int) -> dict[FieldKey, tuple[int, float]]:
    """The newest reading (UTC ms, value) of every series of the house that has one."""
    names = {number: key for key, number in series_of(connection, house_id).items()}
    rows = connection.execute(
        sa.text("SELECT series_id, ts, value FROM sgmp.latest_readings(:house)"), {"house": house_id}
    )
    return {names[number]: (to_ms(ts), value) for number, ts, value in rows if number in names}


def units(connection: sa.Connection, house_id: int) -> dict[FieldKey, str]:
    """The unit of every series of the house: the operator's, else its device type's, else ""."""
    from sgmp_edge import contract

    rows = connection.execute(
        sa.text(
            "SELECT d.name, s.field, s.unit, d.type"
            " FROM (SELECT DISTINCT ON (name) device_id, name, type FROM sgmp.device WHERE house_id = :house"
            "       ORDER BY name, deleted_at DESC NULLS FIRST) d"
            " JOIN sgmp.series s USING (device_id)"
        ),
        {"house": house_id},
    )
    types = contract.device_types()
    return {
        (name, field_name): unit
        if unit is not None
        else (types[type_name].unit_of(field_name) if type_name in types else "")
        for name, field_name, unit, type_name in rows
    }


def notify(connection: sa.Connection, changes: Mapping[int, int]) -> None:
    """Tell listeners, at commit, from which timestamp on (UTC ms) houses changed."""
    if changes:
        connection.execute(
            sa.text("SELECT pg_notify(:channel, message) FROM unnest(CAST(:messages AS text[])) AS message"),
            {"channel": CHANGE_CHANNEL, "messages": [f"{house} {ms}" for house, ms in changes.items()]},
        )


def _earliest(rows: Iterable[ReadingRow | TextRow | events.EventRow]) -> dict[int, int]:
    """House -> its earliest timestamp (UTC ms)."""
    earliest: dict[int, int] = {}
    for row in rows:
        earliest[row.house_id] = min(earliest.get(row.house_id, row.timestamp_ms), row.timestamp_ms)
    return earliest


def _series_ids(
    connection: sa.Connection, wanted: set[tuple[int, int, str]]
) -> dict[tuple[int, int, str], int]:
    known: dict[tuple[int, int, str], int] = connection.info.setdefault(SERIES_CACHE, {})
    missing = sorted(key for key in wanted if key not in known)
    if missing:
        found = connection.execute(
            sa.text("SELECT sgmp.series_ids(:houses, :devices, :fields)"),
            {
                "houses": [key[0] for key in missing],
                "devices": [key[1] for key in missing],
                "fields": [key[2] for key in missing],
            },
        ).scalars()
        known.update(zip(missing, found, strict=True))
    return known


def _store(
    connection: sa.Connection,
    series: NDArray[np.int32],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
) -> tuple[int, int]:
    """Returns how many were new and how many not."""
    finite = np.isfinite(values)
    if not finite.all():
        series, timestamps, values = series[finite], timestamps[finite], values[finite]
    if len(series) == 0:
        return 0, 0
    given = len(series)
    # The first of equals stays; and what is sorted by time lands together.
    order = np.lexsort((series, timestamps))
    series, timestamps, values = series[order], timestamps[order], values[order]
    first = np.empty(given, bool)
    first[0] = True
    first[1:] = (series[1:] != series[:-1]) | (timestamps[1:] != timestamps[:-1])
    if not first.all():
        series, timestamps, values = series[first], timestamps[first], values[first]
    _ensure_weeks(connection, timestamps)
    stream = binary_copy.encode(series, timestamps, values)
    stored = None if connection.info.get(_REPEATS) else _copy_new(connection, stream)
    if stored is None:
        stream.seek(0)
        stored = _copy_ignoring_repeats(connection, stream)
    if stored:
        aggregates.fold(connection, series, timestamps, values, all_new=stored == len(series))
    # Repeats come in runs (a redelivery, a second import): after one, don't try the fast way in vain.
    connection.info[_REPEATS] = stored < len(series)
    return stored, given - stored


def _copy_new(connection: sa.Connection, stream: BytesIO) -> int | None:
    """The fast way, which holds for readings that are all new; None if one was not, and then none is stored."""
    savepoint = connection.begin_nested()
    try:
        stored = _copy(
            connection, "COPY sgmp.reading (series_id, ts, value) FROM STDIN (FORMAT binary)", stream
        )
    except psycopg2.errors.UniqueViolation:
        savepoint.rollback()
        return None
    savepoint.commit()
    return stored


def _copy_ignoring_repeats(connection: sa.Connection, stream: BytesIO) -> int:
    connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS arriving (series_id integer, ts timestamptz, value double precision)"
        " ON COMMIT DELETE ROWS"
    )
    connection.exec_driver_sql("TRUNCATE pg_temp.arriving")
    _copy(connection, "COPY pg_temp.arriving FROM STDIN (FORMAT binary)", stream)
    return connection.exec_driver_sql(
        "INSERT INTO sgmp.reading (series_id, ts, value)"
        " SELECT series_id, ts, value FROM pg_temp.arriving ON CONFLICT DO NOTHING"
    ).rowcount


def _ensure_weeks(connection: sa.Connection, timestamps: NDArray[np.int64]) -> None:
    known: set[int] = connection.info.setdefault(PARTITION_CACHE, set())
    # What is older than last week may have been dropped since it was seen.
    kept = (int(time.time() * 1000) - _MONDAY_MS) // _WEEK_MS - 1
    arrived = np.unique((timestamps - _MONDAY_MS) // _WEEK_MS).tolist()
    weeks = {week for week in arrived if week < kept or week not in known}
    if weeks:
        connection.execute(
            sa.text("SELECT sgmp.ensure_weeks(:mondays)"),
            {"mondays": [_monday(week) for week in sorted(weeks)]},
        )
        known.update(weeks)


def _monday(week: int) -> date:
    return (datetime(1970, 1, 5, tzinfo=UTC) + timedelta(weeks=week)).date()


def _store_texts(
    connection: sa.Connection, ids: Mapping[tuple[int, int, str], int], rows: Iterable[TextRow]
) -> int:
    texts = [
        (ids[row.house_id, row.device_id, name], from_ms(row.timestamp_ms), text)
        for row in rows
        for name, text in row.texts.items()
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


def _by_series(
    series: NDArray[np.int32], timestamps: NDArray[np.int64], values: NDArray[np.float64]
) -> dict[int, Series]:
    """Apart and in order of time. The server returns index order, hence mostly ordered runs, but promises none."""
    if len(series) == 0:
        return {}
    order = np.lexsort((timestamps, series))
    series, timestamps, values = series[order], timestamps[order], values[order]
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
    ends = np.r_[starts[1:], len(series)]
    return {
        int(series[start]): Series(timestamps[start:end], values[start:end])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    }


def _copy(connection: sa.Connection, statement: str | sql.Composed, stream: BytesIO) -> int:
    with driver(connection).cursor() as cursor:
        cursor.copy_expert(statement, stream)
        return cursor.rowcount
