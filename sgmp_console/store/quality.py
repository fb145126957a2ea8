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
class DueHouse:
    """A house with its days that were checked lately, and those that are to be checked again, by their start (UTC ms).

    `raw_from_ms`: raw readings before it may have been dropped.
    """

    house: House
    days: Sequence[CheckedDay]
    raw_from_ms: int | None


@dataclass(frozen=True)
class CheckedDay:
    """[start_ms, end_ms) was checked by `version` of the checks; 0: it is to be checked again."""

    start_ms: int
    end_ms: int
    version: int
    checked_ms: int = 0


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


def houses_to_check(connection: sa.Connection, since_ms: int) -> list[DueHouse]:
    """All houses, with their days since a time and those that are to be checked again."""
    rows = connection.execute(
        sa.text(
            "SELECT h.house_id, h.name, h.time_zone, h.load_contains_ev, h.latitude, h.longitude,"
            " nullif(kept, '-infinity') AS kept, q.from_ts, q.to_ts, q.version, q.checked_at"
            " FROM sgmp.visible_houses() h CROSS JOIN sgmp.raw_kept_from() AS kept LEFT JOIN LATERAL ("
            "  SELECT * FROM sgmp.quality_day d WHERE d.house_id = h.house_id AND d.day >= CAST(:since AS date)"
            "  UNION SELECT * FROM sgmp.quality_day d WHERE d.house_id = h.house_id AND d.version = 0"
            " ) q ON true WHERE h.deleted_at IS NULL ORDER BY h.house_id"
        ),
        {"since": from_ms(since_ms)},
    ).all()
    days: dict[int, list[CheckedDay]] = {}
    for row in rows:
        of_house = days.setdefault(row.house_id, [])
        if row.from_ts is not None:
            of_house.append(
                CheckedDay(to_ms(row.from_ts), to_ms(row.to_ts), row.version, to_ms(row.checked_at))
            )
    found = {}
    for row in rows:
        place = None if row.latitude is None else Place(row.latitude, row.longitude)
        house = House(
            row.house_id,
            row.name,
            time_zone=row.time_zone,
            load_contains_ev=row.load_contains_ev,
            place=place,
        )
        raw_from_ms = None if row.kept is None else to_ms(row.kept)
        found[row.house_id] = DueHouse(house, days[row.house_id], raw_from_ms)
    return list(found.values())


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
