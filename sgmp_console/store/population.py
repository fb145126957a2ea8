"""How much there is to populate, known beforehand."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from sgmp_console.store.rows import from_ms

DAYS_LIMIT = 100
"""`days_to_count` looks back this far."""


def days_to_count(connection: sa.Connection, series_ids: Collection[int], until_ms: int) -> int:
    """On how many days (UTC) before `until_ms` any of these series has stored readings; at most DAYS_LIMIT.

    0 on TimescaleDB, which needs no population. One look per day: counting the readings would read them all.
    """
    return int(
        connection.execute(
            sa.text(
                "SELECT CASE WHEN sgmp.on_timescale() THEN 0"
                " ELSE sgmp.days_with_readings(CAST(:ids AS integer[]), :until, :limit) END"
            ),
            {"limit": DAYS_LIMIT, "ids": sorted(series_ids), "until": from_ms(until_ms)},
        ).scalar_one()
    )
