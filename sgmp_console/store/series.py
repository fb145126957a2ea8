"""Series: what a reading belongs to, (house, device, field), and the number the database has for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from psycopg2 import sql

from sgmp_console.store.rows import from_ms

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


def packed_query(function: str, series_ids: Sequence[int], start_ms: int, end_ms: int) -> sql.Composed:
    """COPY of one of the database's `packed_...` functions, for `binary_copy.decode_packed`; start <= ts < end, UTC ms."""
    return sql.SQL(
        "COPY (SELECT * FROM sgmp.{}(CAST({} AS integer[]), {}, {})) TO STDOUT (FORMAT binary)"
    ).format(
        sql.Identifier(function),
        sql.Literal(list(series_ids)),
        sql.Literal(from_ms(start_ms)),
        sql.Literal(from_ms(end_ms)),
    )
