"""Series: what a reading belongs to, (house, device, field), and the number the database has for it."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

FieldKey = tuple[str, str]
"""(device name, field)."""

SeriesIds = Mapping[FieldKey, int]
"""What `series_of` gives."""


def series_of(connection: sa.Connection, house_id: int) -> dict[FieldKey, int]:
    """The ids of all series of the house. A name stands for the device that has it now, else for the last one."""
    rows = connection.execute(
        sa.text(
            "SELECT d.name, s.field, s.series_id"
            " FROM (SELECT DISTINCT ON (name) device_id, name FROM sgmp.device WHERE house_id = :house"
            "       ORDER BY name, deleted_at DESC NULLS FIRST) d"
            " JOIN sgmp.series s USING (device_id)"
        ),
        {"house": house_id},
    )
    return {(name, field_name): number for name, field_name, number in rows}
