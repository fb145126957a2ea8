"""Continuous aggregates of series: registered by analytic items, populated, kept, read.

What the numbers mean is said in `timeseries.aggregates`; how they are kept, in `sql/aggregates.sql`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg2 import sql

from sgmp_console.store import binary_copy
from sgmp_console.store.database import Database
from sgmp_console.store.rows import array_literal, driver, from_ms, to_ms
from sgmp_console.store.series import FieldKey, SeriesIds, series_of
from sgmp_console.store.tables import aggregation
from sgmp_console.timeseries import SLOT_MS, HourAggregates, SlotAggregates, starts_of_runs, timestamp_hash

RAW_RETENTION_DAYS = 31

_TIMESCALE = "sgmp_timescale"
_POLICY_DAYS = 25
"""TimescaleDB brings aggregates up to date by itself this far back (its policies: a day more)."""
_MOST_FOLDED = 2_000
"""More slots than these are cheaper counted anew by the server than sent to it."""

_FOLD = sa.text(  # made once: SQLAlchemy looks for parameters each time
    "SELECT sgmp.add_to_slots(CAST(:series AS integer[]), CAST(:slots AS bigint[]), CAST(:counts AS bigint[]),"
    " CAST(:sums AS float8[]), CAST(:positive AS float8[]), CAST(:negative AS float8[]),"
    " CAST(:minima AS float8[]), CAST(:maxima AS float8[]), CAST(:instants AS bigint[]))"
)

_SLOT_COLUMNS = ("slot", "n", "sum", "positive_sum", "negative_sum", "minimum", "maximum", "instants")
_HOUR_COLUMNS = (
    "hour",
    "covered",
    "sum",
    "positive_sum",
    "negative_sum",
    "minimum",
    "maximum",
    "n",
    "instants",
)
_INTEGERS = frozenset({"n", "covered", "instants"})

Progress = Callable[[float], None]
"""Hears how much is done, 0 to 1. May raise Cancelled: what is populated by then stays, the rest can go on later."""


# --- Registration -----------------------------------------------------------------------------------------------------


def register(connection: sa.Connection, house_id: int, item_id: int, fields: Collection[FieldKey]) -> None:
    """Let an item ask for aggregates of just these fields; none releases it.

    A field is aggregated while any item asks. Deleting an item releases its fields by itself.
    """
    mine = (aggregation.c.house_id == house_id) & (aggregation.c.item_id == item_id)
    before = {
        (row.device_name, row.field)
        for row in connection.execute(sa.select(aggregation.c.device_name, aggregation.c.field).where(mine))
    }
    for device, field in sorted(before - set(fields)):
        this = (aggregation.c.device_name == device) & (aggregation.c.field == field)
        connection.execute(aggregation.delete().where(mine & this))
    for device, field in sorted(set(fields) - before):
        connection.execute(
            aggregation.insert().values(house_id=house_id, item_id=item_id, device_name=device, field=field)
        )


def registered(connection: sa.Connection, house_id: int) -> dict[FieldKey, frozenset[int]]:
    """The fields of the house that are asked for, and by which items (their ids)."""
    found: dict[FieldKey, set[int]] = {}
    for row in connection.execute(
        sa.select(aggregation.c.device_name, aggregation.c.field, aggregation.c.item_id).where(
            aggregation.c.house_id == house_id
        )
    ):
        found.setdefault((row.device_name, row.field), set()).add(row.item_id)
    return {key: frozenset(items) for key, items in found.items()}


# --- Population -------------------------------------------------------------------------------------------------------


def populate(database: Database, house_id: int, progress: Progress | None = None) -> None:
    """Count what was stored before its series were registered, newest day first.

    Each step is a transaction of its own, so it can be stopped at any of them and goes on where it was. On TimescaleDB
    there is nothing to do.
    """
    newest = None
    while True:
        with database.begin() as connection:
            reached, oldest = connection.execute(
                sa.text("SELECT reached, oldest FROM sgmp.populate(:house)"), {"house": house_id}
            ).one()
        if reached is None:
            break
        if newest is None:
            newest = reached
        if progress is not None and newest > oldest:
            progress(min(1.0, (newest - reached) / (newest - oldest)))
    if progress is not None:
        progress(1.0)


def drop_old_readings(connection: sa.Connection, keep_days: int = RAW_RETENTION_DAYS) -> int:
    """Drop whole weeks of raw readings older than `keep_days`; returns how many went. As ingest or owner.

    Aggregates stay. A week whose slots are not all populated waits. On TimescaleDB a policy does this: 0.
    """
    return int(
        connection.execute(
            sa.text("SELECT sgmp.drop_old_readings(make_interval(days => :days))"), {"days": keep_days}
        ).scalar_one()
    )


# --- Keeping ----------------------------------------------------------------------------------------------------------


def fold(
    connection: sa.Connection,
    series: NDArray[np.int32],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    all_new: bool,
) -> None:
    """Bring the slots up to date with readings just stored: finite, unique, by series and then time. As ingest or owner.

    `all_new`: none of them had been stored before; else the slots they fall into are counted anew. On TimescaleDB
    only what its policies would miss is noted.
    """
    if len(series) == 0:
        return
    if _on_timescale(connection):
        if int(timestamps.min()) < time.time() * 1000 - _POLICY_DAYS * 86_400_000:
            connection.execute(
                sa.text("SELECT sgmp.note_late(:from_ms, :to_ms)"),
                {"from_ms": int(timestamps.min()), "to_ms": int(timestamps.max())},
            )
        return
    slots = np.floor_divide(timestamps, SLOT_MS)
    changes = (series[1:] != series[:-1]) | (slots[1:] != slots[:-1])
    first = np.flatnonzero(np.concatenate(([True], changes)))
    of_series, starts = array_literal(series[first]), array_literal(slots[first] * SLOT_MS)
    if len(first) > _MOST_FOLDED:
        connection.execute(
            sa.text("SELECT sgmp.recompute_between(:series, :from_ms, :to_ms)"),
            {
                "series": np.unique(series).tolist(),
                "from_ms": int(slots.min()) * SLOT_MS,
                "to_ms": (int(slots.max()) + 1) * SLOT_MS,
            },
        )
        return
    if not all_new:
        connection.execute(
            sa.text("SELECT sgmp.recompute_slots(CAST(:series AS integer[]), CAST(:slots AS bigint[]))"),
            {"series": of_series, "slots": starts},
        )
        return
    # Absurd values can add up to infinity: their slot then has no mean, and the readings themselves are stored.
    with np.errstate(over="ignore"):
        sums, positive, negative = (
            np.add.reduceat(part, first)
            for part in (values, np.maximum(values, 0.0), np.minimum(values, 0.0))
        )
    connection.execute(
        _FOLD,
        {
            "series": of_series,
            "slots": starts,
            "counts": array_literal(np.diff(np.append(first, len(series)))),
            "sums": array_literal(sums),
            "positive": array_literal(positive),
            "negative": array_literal(negative),
            "minima": array_literal(np.minimum.reduceat(values, first)),
            "maxima": array_literal(np.maximum.reduceat(values, first)),
            "instants": array_literal(np.add.reduceat(timestamp_hash(timestamps), first)),
        },
    )


def _on_timescale(connection: sa.Connection) -> bool:
    known = connection.info.get(_TIMESCALE)
    if known is None:
        known = connection.execute(sa.text("SELECT sgmp.on_timescale()")).scalar_one()
        connection.info[_TIMESCALE] = known
    return bool(known)


# --- Reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What can be relied on: which fields have aggregates, and since when raw readings are there.

    `complete_from_ms`: from this instant on (UTC ms) the field's aggregates are complete; None where they always are.
    `raw_kept_from_ms`: raw readings before it have been dropped, or may have been; None where none were.
    """

    complete_from_ms: Mapping[FieldKey, int | None]
    raw_kept_from_ms: int | None


def standing(connection: sa.Connection, house_id: int, *, series: SeriesIds | None = None) -> Standing:
    """How the house's aggregates stand now. `series`: what `series_of` told in this transaction, if it is known."""
    ids = series_of(connection, house_id) if series is None else series
    names = {number: key for key, number in ids.items()}
    rows = connection.execute(
        sa.text(
            "SELECT nullif(kept, '-infinity'), s.series_id, upper(s.unpopulated)"
            " FROM sgmp.raw_kept_from() AS kept"
            " LEFT JOIN sgmp.series s ON s.house_id = :house AND s.aggregated"
        ),
        {"house": house_id},
    ).all()
    complete = {
        names[number]: None if end is None else to_ms(end) for _, number, end in rows if number in names
    }
    kept_from = rows[0][0]
    return Standing(complete, None if kept_from is None else to_ms(kept_from))


def read_slots(
    connection: sa.Connection,
    house_id: int,
    fields: Collection[FieldKey],
    start_ms: int,
    end_ms: int,
    *,
    series: SeriesIds | None = None,
) -> dict[FieldKey, SlotAggregates]:
    """The slots that begin in [start_ms, end_ms), one entry for each of `fields`, empty where none are."""
    columns = _read(connection, house_id, fields, start_ms, end_ms, "slots", _SLOT_COLUMNS, series)
    return {
        key: SlotAggregates(
            starts=_ms(c["slot"]),
            n=c["n"],
            sums=c["sum"],
            positive_sums=c["positive_sum"],
            negative_sums=c["negative_sum"],
            minima=c["minimum"],
            maxima=c["maximum"],
            instants=c["instants"],
        )
        for key, c in columns.items()
    }


def read_hours(
    connection: sa.Connection,
    house_id: int,
    fields: Collection[FieldKey],
    start_ms: int,
    end_ms: int,
    *,
    series: SeriesIds | None = None,
) -> dict[FieldKey, HourAggregates]:
    """The UTC hours that begin in [start_ms, end_ms), one entry for each of `fields`, empty where none are."""
    columns = _read(connection, house_id, fields, start_ms, end_ms, "hours", _HOUR_COLUMNS, series)
    return {
        key: HourAggregates(
            starts=_ms(c["hour"]),
            covered=c["covered"],
            sums=c["sum"],
            positive_sums=c["positive_sum"],
            negative_sums=c["negative_sum"],
            minima=c["minimum"],
            maxima=c["maximum"],
            n=c["n"],
            instants=c["instants"],
        )
        for key, c in columns.items()
    }


def _ms(microseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    return microseconds // 1000 + binary_copy.EPOCH_MS


def _read(
    connection: sa.Connection,
    house_id: int,
    fields: Collection[FieldKey],
    start_ms: int,
    end_ms: int,
    view: str,
    columns: tuple[str, ...],
    series: SeriesIds | None,
) -> dict[FieldKey, dict[str, NDArray[Any]]]:
    known = series_of(connection, house_id) if series is None else series
    ids = {known[key]: key for key in set(fields) & known.keys()}
    kinds = {"series_id": ">i4"} | {
        name: ">i8" if name == columns[0] or name in _INTEGERS else ">f8" for name in columns
    }
    stream = BytesIO()
    query = sql.SQL(
        "COPY (SELECT {columns} FROM sgmp.{view} WHERE series_id = ANY ({ids})"
        " AND {start} >= {from_ts} AND {start} < {to_ts} ORDER BY series_id, {start}) TO STDOUT (FORMAT binary)"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, kinds)),
        view=sql.Identifier(view),
        ids=sql.Literal(list(ids) or [0]),
        start=sql.Identifier(columns[0]),
        from_ts=sql.Literal(from_ms(start_ms)),
        to_ts=sql.Literal(from_ms(end_ms)),
    )
    with driver(connection).cursor() as cursor:
        cursor.copy_expert(query, stream)
    rows = binary_copy.decode_rows(stream, kinds)
    bounds = np.append(starts_of_runs(rows["series_id"]), len(rows["series_id"]))
    nothing = {name: column[:0] for name, column in rows.items()}
    found = dict.fromkeys(fields, nothing)
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        found[ids[int(rows["series_id"][first])]] = {name: c[first:last] for name, c in rows.items()}
    return found
