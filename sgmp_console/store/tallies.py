"""What is stored, counted: by which a restored copy, or a file, is compared with the database that it came from.

As the owner: accounts have no right to the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sgmp_console.store.database import Database
from sgmp_console.store.rows import array_literal, driver, from_ms, to_ms_or_none
from sgmp_console.store.series import FieldKey

_SERIES_AT_A_TIME = 200
"""Each statement reads the readings of so many series, so that progress can be shown."""

_FIGURES = {
    "reading": ("ts", "count(*), sum(value), sum(abs(value))"),
    "hour": ("hour", "sum(n)::bigint, sum(sum), sum(positive_sum - negative_sum)"),
}
"""Of each table: its time, and what is counted. Hours are all that is left of readings that were dropped."""

_TOLERANCE = 1e-9
"""Of the sum of the sizes: a server adds in any order."""

_DAY_BITS = 22
"""A day since 1970 has fewer; above it a key has the series."""
_DAY_MASK = (1 << _DAY_BITS) - 1

Row = tuple[int, int, int, float, float]


@dataclass(frozen=True, eq=False)
class Tally:
    """For each series and UTC day with readings: their number, their sum, and the sum of their sizes. Columns of one
    length, in order of series and day."""

    series: NDArray[np.int64]
    days: NDArray[np.int64]
    """Since 1970-01-01."""
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    sizes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.series)

    @property
    def columns(self) -> tuple[NDArray[np.int64] | NDArray[np.float64], ...]:
        """As the constructor takes them."""
        return (self.series, self.days, self.counts, self.sums, self.sizes)

    @property
    def total(self) -> int:
        return int(self.counts.sum())


@dataclass(frozen=True)
class Difference:
    """`expected` says what number there should be, or between which two; `sums_differ`: the numbers agree, the sums do not."""

    series_id: int
    day: np.datetime64
    expected: tuple[int, int]
    found: int
    sums_differ: bool = False


def tally(rows: Sequence[Row]) -> Tally:
    """Of rows (series, day, count, sum, size)."""
    series, days, counts, sums, sizes = list(zip(*sorted(rows), strict=True)) or [()] * 5
    return Tally(
        np.array(series, np.int64),
        np.array(days, np.int64),
        np.array(counts, np.int64),
        np.array(sums, np.float64),
        np.array(sizes, np.float64),
    )


def count(
    database: Database, table: str = "reading", progress: Callable[[float], None] | None = None
) -> Tally:
    """All that is in `reading` or `hour`, some series at a time, each in a transaction of its own."""
    with database.begin() as connection:
        found = connection.exec_driver_sql("SELECT series_id FROM sgmp.series ORDER BY 1").scalars().all()
    ids = np.array(found, np.int64)
    rows: list[Row] = []
    for start in range(0, len(ids), _SERIES_AT_A_TIME):
        with database.begin() as connection:
            rows += rows_of(connection, ids[start : start + _SERIES_AT_A_TIME], table=table)
        if progress is not None:
            progress(min(1.0, (start + _SERIES_AT_A_TIME) / len(ids)))
    return tally(rows)


def rows_of(
    connection: sa.Connection,
    series: NDArray[np.int64],
    between_ms: tuple[int, int] | None = None,
    *,
    table: str = "reading",
) -> list[Row]:
    """For `tally`. `between_ms`: of [start, end) in UTC ms only; a day may be cut."""
    time, figures = _FIGURES[table]
    bounds = "" if between_ms is None else f" AND {time} >= %s AND {time} < %s"
    with driver(connection).cursor() as cursor:
        # A house has more readings than a page's statement may take time for.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(
            f"SELECT series_id, floor(date_part('epoch', {time}) / 86400)::bigint AS day, {figures} "  # noqa: S608
            f"FROM sgmp.{table} WHERE series_id = ANY (%s::integer[]){bounds} GROUP BY 1, 2",
            (array_literal(series), *map(from_ms, between_ms or ())),
        )
        return cursor.fetchall()


def series_of_house(connection: sa.Connection, house_id: int) -> list[tuple[int, FieldKey]]:
    """All series of a house with their names, those of devices that were replaced or deleted, too."""
    rows = connection.execute(
        sa.text(
            "SELECT s.series_id, d.name, s.field FROM sgmp.series s JOIN sgmp.device d USING (device_id)"
            " WHERE s.house_id = :house ORDER BY d.name, s.field, s.series_id"
        ),
        {"house": house_id},
    )
    return [(number, (device, name)) for number, device, name in rows]


def first_reading(connection: sa.Connection, series: Sequence[int]) -> int | None:
    """When the first reading that is left of any of these series was, UTC ms."""
    first = connection.execute(
        sa.text(
            "SELECT min(one.ts) FROM unnest(CAST(:series AS integer[])) AS s (series_id) CROSS JOIN LATERAL"
            " (SELECT r.ts FROM sgmp.reading r WHERE r.series_id = s.series_id ORDER BY r.ts LIMIT 1) one"
        ),
        {"series": list(series)},
    ).scalar_one()
    return to_ms_or_none(first)


def rows_of_tables(connection: sa.Connection) -> dict[str, int]:
    """How many rows each table has, apart from readings and their aggregates."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    names = connection.exec_driver_sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'sgmp'::regnamespace AND relkind = 'r'"
        " AND NOT relispartition AND relname NOT IN ('reading', 'slot', 'hour') ORDER BY 1"
    ).scalars()
    return {
        name: int(connection.exec_driver_sql(f'SELECT count(*) FROM sgmp."{name}"').scalar_one())  # noqa: S608
        for name in list(names)
    }


def differences(before: Tally, after: Tally, found: Tally) -> list[Difference]:
    """Where `found`, a copy made between `before` and `after`, does not have what it should.

    What did not change meanwhile must be there exactly, what did with a number between the two.
    """
    keys = np.unique(np.concatenate([_keys(one) for one in (before, after, found)]))
    first, last, copy = (_at(keys, one) for one in (before, after, found))
    low, high = np.minimum(first.counts, last.counts), np.maximum(first.counts, last.counts)
    outside = (copy.counts < low) | (copy.counts > high)
    still = (low == high) & _same(first, last)
    sums_differ = still & ~outside & ~_same(first, copy)
    return [
        Difference(
            int(copy.series[at]),
            np.datetime64(int(copy.days[at]), "D"),
            (int(low[at]), int(high[at])),
            int(copy.counts[at]),
            bool(sums_differ[at]),
        )
        for at in np.flatnonzero(outside | sums_differ)
    ]


def _keys(one: Tally) -> NDArray[np.int64]:
    return (one.series << _DAY_BITS) | one.days


def _at(keys: NDArray[np.int64], one: Tally) -> Tally:
    """With a row for each key: zeros where it has none."""
    counts, sums, sizes = np.zeros(len(keys), np.int64), np.zeros(len(keys)), np.zeros(len(keys))
    places = np.searchsorted(keys, _keys(one))
    counts[places], sums[places], sizes[places] = one.counts, one.sums, one.sizes
    return Tally(keys >> _DAY_BITS, keys & _DAY_MASK, counts, sums, sizes)


def _same(one: Tally, other: Tally) -> NDArray[np.bool_]:
    return np.abs(one.sums - other.sums) <= _TOLERANCE * np.maximum(one.sizes, other.sizes)
