"""What checks of quality found (docs/quality.md): stored by the watch, read by accounts, made out of date by ingest."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg2.extras import execute_values

from sgmp_console.store.houses import House, Place
from sgmp_console.store.rows import array_literal, driver, from_ms, to_ms

LATE_MS = 45 * 60_000
"""Readings that come so long after their time are noted: their day may have been checked."""

SETTLED_MS = 60 * 60_000
"""A day is checked when it has been over for so long; longer than LATE_MS by more than a transaction of ingest takes."""

AGAIN_MS = 10 * 60_000
"""A day is checked again at the earliest so long after it was: the rest of what comes late is on its way."""

HOUSE = 0
"""The series that stands for the balance of a house."""


@dataclass(frozen=True)
class LocalDay:
    """A day of all houses of a time zone, [start_ms, end_ms) in UTC ms."""

    zone: str
    day: date
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class DueDay:
    """[start_ms, end_ms) of a house is to be checked."""

    house: House
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class CheckedDay:
    """[start_ms, end_ms) was checked by `version` of the checks; 0: it is to be checked again."""

    start_ms: int
    end_ms: int
    version: int


@dataclass(frozen=True)
class SeriesToCheck:
    """`unit` as the operator set it; `recent`, `expected`: as `sgmp.series_to_check` says."""

    device: str
    type: str
    field: str
    series_id: int
    unit: str | None
    recent: bool
    expected: bool


@dataclass(frozen=True)
class Run:
    """Neighbouring slots of a series with the same bits, [start_ms, end_ms)."""

    series_id: int
    start_ms: int
    end_ms: int
    bits: int


@dataclass(frozen=True)
class DayToStore:
    """What a check of a day found. `faults`, `silent`: what `faults` gives back. `counts` by the names of bits."""

    house_id: int
    day: date
    start_ms: int
    end_ms: int
    version: int
    checked_ms: int
    slots: int
    flagged: int
    counts: Mapping[str, int]
    faults: Sequence[Mapping[str, Any]]
    silent: Sequence[str]
    runs: Sequence[Run]


@dataclass(frozen=True)
class HouseFaults:
    """Of the newest checked day of a house, which began at `start_ms`."""

    house_id: int
    start_ms: int
    faults: Sequence[Mapping[str, Any]]
    silent: Sequence[str]


@dataclass(frozen=True)
class HouseQuality:
    """Of the days of a house that ended lately: how many were checked, how many slots of series were judged, how many have a
    flag, and how many each flag, by the names of the bits."""

    days: int
    slots: int
    flagged: int
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def good(self) -> float | None:
        """The share of slots without a flag, 0 to 1; None where none was judged."""
        return 1 - self.flagged / self.slots if self.slots else None


# --- Ingest -----------------------------------------------------------------------------------------------------------


def note_late(
    connection: sa.Connection, houses: NDArray[np.int64], timestamps: NDArray[np.int64], now_ms: int
) -> None:
    """Of readings that were stored (their houses, UTC ms): note the ranges of those that came late. As ingest or owner."""
    late = timestamps < now_ms - LATE_MS
    if not late.any():
        return
    days = timestamps[late] // 86_400_000
    ranges: dict[tuple[int, int], list[int]] = {}
    for house_id, day in np.unique(np.stack([houses[late], days]), axis=1).T.tolist():
        of_day = timestamps[late][(houses[late] == house_id) & (days == day)]
        ranges[house_id, day] = [int(of_day.min()), int(of_day.max())]
    bounds = np.array(list(ranges.values()), np.int64)
    connection.execute(
        sa.text(
            "SELECT sgmp.note_unchecked(CAST(:houses AS integer[]), CAST(:from AS bigint[]), CAST(:to AS bigint[]))"
        ),
        {
            "houses": array_literal(np.array([house_id for house_id, _ in ranges], np.int64)),
            "from": array_literal(bounds[:, 0]),
            "to": array_literal(bounds[:, 1]),
        },
    )


# --- The watch --------------------------------------------------------------------------------------------------------


def take(connection: sa.Connection) -> int | None:
    """The database's time (UTC ms); None where another watcher is at work. One works until its transaction ends: what comes late
    while a day is checked is worked off after it."""
    row = connection.exec_driver_sql(
        "SELECT now() AS at FROM sgmp.watch_state FOR UPDATE SKIP LOCKED"
    ).one_or_none()
    return None if row is None else to_ms(row.at)


def work_off_late(connection: sa.Connection) -> None:
    """Days of which readings came late are to be checked again."""
    connection.exec_driver_sql(
        "WITH noted AS (DELETE FROM sgmp.unchecked RETURNING house_id, from_ts, to_ts)"
        " UPDATE sgmp.quality_day q SET version = 0 FROM noted n"
        " WHERE q.house_id = n.house_id AND q.from_ts < n.to_ts AND q.to_ts > n.from_ts"
    )


def zones(connection: sa.Connection) -> list[str]:
    """The time zones of all houses."""
    rows = connection.exec_driver_sql(
        "SELECT DISTINCT h.time_zone FROM sgmp.visible_houses() h WHERE h.deleted_at IS NULL ORDER BY 1"
    )
    return list(rows.scalars())


_DUE = sa.text("""
    WITH kept AS MATERIALIZED (SELECT sgmp.raw_kept_from() AS since),
    lately AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:zones AS text[]), CAST(:days AS date[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[])
        ) AS l (zone, day, from_ts, to_ts)
    )
    SELECT h.house_id, h.name, h.time_zone, h.load_contains_ev, h.latitude, h.longitude, d.from_ts, d.to_ts
    FROM sgmp.visible_houses() h CROSS JOIN LATERAL (
        SELECT l.from_ts, l.to_ts FROM lately l
        WHERE l.zone = h.time_zone AND NOT EXISTS (
            SELECT FROM sgmp.quality_day q
            WHERE q.house_id = h.house_id AND q.day = l.day AND q.from_ts = l.from_ts AND q.to_ts = l.to_ts)
        UNION SELECT q.from_ts, q.to_ts FROM sgmp.quality_day q
        WHERE q.house_id = h.house_id AND q.version = 0 AND q.checked_at <= :again
        UNION SELECT q.from_ts, q.to_ts FROM sgmp.quality_day q
        WHERE q.house_id = h.house_id AND q.day >= CAST(:since AS date) AND q.version <> :version AND q.checked_at <= :again
    ) d, kept
    WHERE h.deleted_at IS NULL AND h.time_zone = ANY (CAST(:zones AS text[])) AND d.from_ts >= kept.since
    ORDER BY date_trunc('day', d.to_ts, 'UTC') DESC, h.house_id, d.from_ts DESC
    LIMIT :most
""")


def due_days(
    connection: sa.Connection,
    lately: Collection[LocalDay],
    version: int,
    *,
    since_ms: int,
    again_before_ms: int,
    most: int,
) -> list[DueDay]:
    """Days of `lately` that were never checked, days since a time that another version checked, and those that are to be checked
    again; the last two where they were checked before `again_before_ms`. None of which raw readings may have been dropped.
    The newest first, at most so many."""
    rows = connection.execute(
        _DUE,
        {
            "zones": [day.zone for day in lately],
            "days": [day.day for day in lately],
            "starts": [from_ms(day.start_ms) for day in lately],
            "ends": [from_ms(day.end_ms) for day in lately],
            "version": version,
            "since": from_ms(since_ms),
            "again": from_ms(again_before_ms),
            "most": most,
        },
    )
    found = []
    for row in rows:
        place = None if row.latitude is None else Place(row.latitude, row.longitude)
        house = House(
            row.house_id,
            row.name,
            time_zone=row.time_zone,
            load_contains_ev=row.load_contains_ev,
            place=place,
        )
        found.append(DueDay(house, to_ms(row.from_ts), to_ms(row.to_ts)))
    return found


def series_to_check(
    connection: sa.Connection, house_id: int, day_start_ms: int, vanished: int
) -> list[SeriesToCheck]:
    """The series of a house's devices in use. `vanished`: the bit of a field that does not come any more."""
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.series_to_check(:house, :start, :vanished)"),
        {"house": house_id, "start": from_ms(day_start_ms), "vanished": vanished},
    )
    return [SeriesToCheck(*row) for row in rows]


def store_day(connection: sa.Connection, checked: DayToStore) -> None:
    """In place of what was known of the day."""
    span = (checked.house_id, from_ms(checked.start_ms), from_ms(checked.end_ms))
    with driver(connection).cursor() as cursor:
        cursor.execute(
            "DELETE FROM sgmp.quality_run WHERE house_id = %s AND from_ts >= %s AND from_ts < %s", span
        )
        if checked.runs:
            execute_values(
                cursor,
                "INSERT INTO sgmp.quality_run (house_id, series_id, from_ts, to_ts, bits) VALUES %s",
                [
                    (checked.house_id, run.series_id, from_ms(run.start_ms), from_ms(run.end_ms), run.bits)
                    for run in checked.runs
                ],
                page_size=1000,
            )
        cursor.execute(
            "INSERT INTO sgmp.quality_day (house_id, from_ts, to_ts, day, version, checked_at, slots, flagged, counts, faults, silent)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (house_id, day) DO UPDATE SET from_ts = excluded.from_ts, to_ts = excluded.to_ts,"
            " version = excluded.version, checked_at = excluded.checked_at, slots = excluded.slots, flagged = excluded.flagged,"
            " counts = excluded.counts, faults = excluded.faults, silent = excluded.silent",
            (
                *span,
                checked.day,
                checked.version,
                from_ms(checked.checked_ms),
                checked.slots,
                checked.flagged,
                *(
                    json.dumps(value)
                    for value in (
                        dict(checked.counts),
                        [dict(fault) for fault in checked.faults],
                        [*checked.silent],
                    )
                ),
            ),
        )


def faults(connection: sa.Connection) -> list[HouseFaults]:
    """Of the newest checked day of each house that has any, or had silent devices."""
    rows = connection.exec_driver_sql("SELECT * FROM sgmp.quality_faults()")
    return [HouseFaults(row.house_id, to_ms(row.from_ts), row.faults, row.silent) for row in rows]


# --- Accounts ---------------------------------------------------------------------------------------------------------


def checked_days(connection: sa.Connection, house_id: int, start_ms: int, end_ms: int) -> list[CheckedDay]:
    """The days of a house that touch a range and were checked, in order."""
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.checked_days(:house, :start, :end)"),
        {"house": house_id, "start": from_ms(start_ms), "end": from_ms(end_ms)},
    )
    return [CheckedDay(to_ms(row.from_ts), to_ms(row.to_ts), row.version) for row in rows]


def runs(connection: sa.Connection, house_id: int, start_ms: int, end_ms: int) -> list[Run]:
    """What was found in a range of a house, by series and time; series `HOUSE` is its balance."""
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.quality_between(:house, :start, :end)"),
        {"house": house_id, "start": from_ms(start_ms), "end": from_ms(end_ms)},
    )
    return [Run(row.series_id, to_ms(row.from_ts), to_ms(row.to_ts), row.bits) for row in rows]


def of_houses(
    connection: sa.Connection, house_ids: Collection[int], since_ms: int
) -> dict[int, HouseQuality]:
    """House -> the quality of its days that ended since a time, for those of which days were checked."""
    rows = connection.execute(
        sa.text("SELECT * FROM sgmp.quality_of_houses(:houses, :since)"),
        {"houses": list(house_ids), "since": from_ms(since_ms)},
    )
    return {
        row.house_id: HouseQuality(row.days, int(row.slots), int(row.flagged), _sum(row.counts))
        for row in rows
    }


def _sum(counts: Collection[Mapping[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for of_day in counts for name in of_day)
    return {name: sum(of_day.get(name, 0) for of_day in counts) for name in names}
