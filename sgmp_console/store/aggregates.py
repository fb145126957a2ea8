"""Continuous aggregates of series: registered by analytic items, populated, kept, read.

What the numbers mean is said in `timeseries.aggregates`; how they are kept, in `sql/aggregates.sql`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.retention import MIN_RAW_RETENTION_MS, RAW_RETENTION_DAYS
from sgmp_console.store import binary_copy
from sgmp_console.store.database import Database
from sgmp_console.store.rows import array_literal, to_ms, to_ms_or_none
from sgmp_console.store.series import FieldKey, Key, SeriesIds, read_packed, series_of
from sgmp_console.timeseries import SLOT_MS, HourAggregates, SlotAggregates, timestamp_hash

_TIMESCALE = "sgmp_timescale"
_LATE_MS = 5 * 60_000
"""Readings that are older when they arrive may be in a range that TimescaleDB has aggregated (its policy: 10 minutes)."""
_MAX_SLOTS_SENT = 2_000
"""More slots than these are cheaper counted again by the server than sent to it."""

_FOLD = sa.text(  # made once: SQLAlchemy looks for parameters each time
    "SELECT sgmp.add_to_slots(CAST(:series AS integer[]), CAST(:slots AS bigint[]), CAST(:counts AS bigint[]),"
    " CAST(:sums AS float8[]), CAST(:positive AS float8[]), CAST(:negative AS float8[]),"
    " CAST(:minima AS float8[]), CAST(:maxima AS float8[]), CAST(:hashes AS bigint[]))"
)

_SLOT_COLUMNS = (">i8", ">i8", ">f8", ">f8", ">f8", ">f8", ">f8", ">i8")
"""start, n, sum, positive sum, negative sum, least, greatest, timestamp hash."""
_HOUR_COLUMNS = (">i8", ">i8", ">f8", ">f8", ">f8", ">f8", ">f8", ">i8", ">i8")
"""start, covered slots, sum, positive sum, negative sum, least, greatest, n, timestamp hash."""

Progress = Callable[[float], None]
"""Hears how much is done, 0 to 1. May raise Cancelled: what is populated by then stays, the rest can go on later."""


# --- Registration -----------------------------------------------------------------------------------------------------


def register(connection: sa.Connection, house_id: int, item_id: int, fields: Collection[FieldKey]) -> None:
    """Let an item ask for aggregates of just these fields; none releases it.

    A field is aggregated while any item asks. Deleting an item releases its fields by itself.
    """
    asked = sorted(set(fields))
    connection.execute(
        sa.text(
            "SELECT sgmp.register_aggregation(:house, :item, CAST(:devices AS text[]), CAST(:fields AS text[]))"
        ),
        {
            "house": house_id,
            "item": item_id,
            "devices": [device for device, _ in asked],
            "fields": [name for _, name in asked],
        },
    )


def registered(connection: sa.Connection, house_id: int) -> dict[FieldKey, frozenset[int]]:
    """The fields of the house that are asked for, and by which items (their ids)."""
    found: dict[FieldKey, set[int]] = {}
    for row in connection.execute(
        sa.text("SELECT device_name, field, item_id FROM sgmp.registrations WHERE house_id = :house"),
        {"house": house_id},
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


def recompute_late(connection: sa.Connection) -> int:
    """Bring ranges up to date that ingest left, since an account held the house's lock. As ingest or owner.

    On plain PostgreSQL, each minute; TimescaleDB has a job for it: 0. Returns how many ranges.
    """
    return int(connection.execute(sa.text("SELECT sgmp.recompute_late()")).scalar_one())


# --- Keeping ----------------------------------------------------------------------------------------------------------


def closed(
    connection: sa.Connection, series: NDArray[np.int32], timestamps: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which of these readings can't be kept: their slot was aggregated from raw readings that have been dropped, so that
    neither a repeat can be recognized nor another value added. As ingest or owner."""
    refused = np.zeros(len(series), np.bool_)
    old = timestamps < time.time() * 1000 - MIN_RAW_RETENTION_MS
    if not old.any():
        return refused
    slots = np.floor_divide(timestamps, SLOT_MS) * SLOT_MS
    pairs = np.unique(np.stack([series[old].astype(np.int64), slots[old]]), axis=1)
    rows = connection.execute(
        sa.text(
            "SELECT series_id, slot FROM sgmp.closed_slots(CAST(:series AS integer[]), CAST(:slots AS bigint[]))"
        ),
        {"series": array_literal(pairs[0]), "slots": array_literal(pairs[1])},
    ).all()
    if not rows:
        return refused
    shut = np.array([(number, start) for number, start in rows], np.int64)
    for number in np.unique(shut[:, 0]):
        refused |= (series == number) & np.isin(slots, shut[shut[:, 0] == number, 1])
    return refused


def fold(
    connection: sa.Connection,
    series: NDArray[np.int32],
    timestamps: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    all_new: bool,
) -> None:
    """Bring the slots up to date with readings just stored: finite, unique, by series and then time. As ingest or owner.

    `all_new`: none of them had been stored before; else the slots they fall into are counted again. On TimescaleDB
    only what its aggregates may miss is noted, or merged into them.
    """
    if len(series) == 0:
        return
    if on_timescale(connection):
        late = timestamps < time.time() * 1000 - _LATE_MS
        if late.any():
            connection.execute(
                sa.text("SELECT sgmp.note_late(CAST(:series AS integer[]), :from_ms, :to_ms)"),
                {
                    "series": array_literal(np.unique(series[late])),
                    "from_ms": int(timestamps[late].min()),
                    "to_ms": int(timestamps[late].max()),
                },
            )
        return
    slots = np.floor_divide(timestamps, SLOT_MS)
    changes = (series[1:] != series[:-1]) | (slots[1:] != slots[:-1])
    first = np.flatnonzero(np.concatenate(([True], changes)))
    of_series, starts = array_literal(series[first]), array_literal(slots[first] * SLOT_MS)
    if len(first) > _MAX_SLOTS_SENT:
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
            "hashes": array_literal(np.add.reduceat(timestamp_hash(timestamps), first)),
        },
    )


def on_timescale(connection: sa.Connection) -> bool:
    """Whether the server is TimescaleDB; asked once a connection."""
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
    """How the house's aggregates stand now. `series`: what `series_of` gave in this transaction, if it is known."""
    ids = series_of(connection, house_id) if series is None else series
    names = {number: key for key, number in ids.items()}
    rows = connection.execute(
        sa.text(
            "SELECT nullif(kept, '-infinity'), s.series_id, s.populated_from"
            " FROM sgmp.raw_kept_from() AS kept"
            " LEFT JOIN sgmp.fields_of(:house) s ON s.aggregated"
        ),
        {"house": house_id},
    ).all()
    complete = {
        names[number]: None if end is None else to_ms(end) for _, number, end in rows if number in names
    }
    kept_from = rows[0][0]
    return Standing(complete, None if kept_from is None else to_ms(kept_from))


def standings(connection: sa.Connection, house_ids: Collection[int]) -> dict[int, tuple[SeriesIds, Standing]]:
    """Of each of these houses its series and what can be relied on, in one statement."""
    rows = connection.execute(
        sa.text(
            "SELECT asked.house, nullif(kept, '-infinity') AS kept, s.device, s.field, s.series_id, s.aggregated,"
            " s.populated_from FROM sgmp.raw_kept_from() AS kept"
            " CROSS JOIN unnest(CAST(:houses AS integer[])) AS asked (house)"
            " LEFT JOIN LATERAL sgmp.fields_of(asked.house) s ON true"
        ),
        {"houses": list(house_ids)},
    ).all()
    series: dict[int, dict[FieldKey, int]] = {house_id: {} for house_id in house_ids}
    complete: dict[int, dict[FieldKey, int | None]] = {house_id: {} for house_id in house_ids}
    for row in rows:
        if row.series_id is not None:
            series[row.house][row.device, row.field] = row.series_id
            if row.aggregated:
                complete[row.house][row.device, row.field] = to_ms_or_none(row.populated_from)
    kept_from_ms = to_ms_or_none(rows[0].kept) if rows else None
    return {
        house_id: (series[house_id], Standing(complete[house_id], kept_from_ms)) for house_id in house_ids
    }


def read_slots(
    connection: sa.Connection, series: Mapping[Key, int | None], start_ms: int, end_ms: int
) -> dict[Key, SlotAggregates]:
    """The slots that begin in [start_ms, end_ms) of series, as `read_packed` takes them: one entry for each, empty where
    there are none. One statement."""
    columns = read_packed(connection, series, start_ms, end_ms, "packed_slots", _SLOT_COLUMNS)
    return {key: _slots(arrays) for key, arrays in columns.items()}


def _slots(arrays: list[NDArray[Any]]) -> SlotAggregates:
    starts, n, sums, positive_sums, negative_sums, minima, maxima, hashes = arrays
    return SlotAggregates(
        starts=binary_copy.to_ms(starts),
        n=n,
        sums=sums,
        positive_sums=positive_sums,
        negative_sums=negative_sums,
        minima=minima,
        maxima=maxima,
        timestamp_hash=hashes,
    )


def read_hours(
    connection: sa.Connection, series: Mapping[Key, int | None], start_ms: int, end_ms: int
) -> dict[Key, HourAggregates]:
    """As `read_slots`, of UTC hours."""
    columns = read_packed(connection, series, start_ms, end_ms, "packed_hours", _HOUR_COLUMNS)
    return {key: _hours(arrays) for key, arrays in columns.items()}


def _hours(arrays: list[NDArray[Any]]) -> HourAggregates:
    starts, covered, sums, positive_sums, negative_sums, minima, maxima, n, hashes = arrays
    return HourAggregates(
        starts=binary_copy.to_ms(starts),
        covered=covered,
        sums=sums,
        positive_sums=positive_sums,
        negative_sums=negative_sums,
        minima=minima,
        maxima=maxima,
        n=n,
        timestamp_hash=hashes,
    )
