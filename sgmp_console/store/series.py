"""Series: what a reading belongs to, (house, device, field), and the number the database has for it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg2 import sql

from sgmp_console.store import binary_copy
from sgmp_console.store.rows import driver, from_ms

Key = TypeVar("Key", bound=Hashable)

FieldKey = tuple[str, str]
"""(device name, field)."""

SeriesIds = Mapping[FieldKey, int]
"""What `series_of` gives."""


def series_of(connection: sa.Connection, house_id: int) -> dict[FieldKey, int]:
    """The ids of all series of the house. A name stands for the device that has it now, else for the last one."""
    rows = connection.execute(
        sa.text("SELECT device, field, series_id FROM sgmp.fields_of(:house)"), {"house": house_id}
    )
    return {(device, field_name): number for device, field_name, number in rows}


def read_packed(
    connection: sa.Connection,
    series: Mapping[Key, int | None],
    start_ms: int,
    end_ms: int,
    function: str,
    columns: tuple[str, ...],
) -> dict[Key, list[NDArray[Any]]]:
    """The columns of `[start_ms, end_ms)` that one of the database's `packed_...` functions gives, in one COPY.

    `series`: the ids of series of whatever houses, under the caller's names for them; None where there is no series. One
    entry for each, in the order of the first column, which is a time in PostgreSQL's microseconds; empty where there is
    nothing. `columns`: as `binary_copy.decode_packed` takes them.
    """
    nothing: list[NDArray[Any]] = [
        np.empty(0, np.float64 if column == ">f8" else np.int64) for column in columns
    ]
    found = dict.fromkeys(series, nothing)
    keys = {number: key for key, number in series.items() if number is not None}
    if not keys or end_ms <= start_ms:
        return found
    query = sql.SQL(
        "COPY (SELECT * FROM sgmp.{}(CAST({} AS integer[]), {}, {})) TO STDOUT (FORMAT binary)"
    ).format(
        sql.Identifier(function),
        sql.Literal(list(keys)),
        sql.Literal(from_ms(start_ms)),
        sql.Literal(from_ms(end_ms)),
    )
    stream = BytesIO()
    with driver(connection).cursor() as cursor:
        cursor.copy_expert(query, stream)
    for number, arrays in binary_copy.decode_packed(stream, columns).items():
        # The server sends rows in the order in which it finds them: usually that of time.
        if not bool(np.all(arrays[0][1:] > arrays[0][:-1])):
            order = np.argsort(arrays[0])
            arrays = [column[order] for column in arrays]
        found[keys[number]] = arrays
    return found
