"""Series that tests store."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from sgmp_console.store import Batch, DeviceSeries, Written, readings
from sgmp_console.timeseries import Series


def write_series(
    connection: sa.Connection, house_id: int, device_id: int, fields: Mapping[str, Series]
) -> Written:
    """`readings.write` of whole series of one device."""
    return readings.write(connection, Batch(series=[DeviceSeries(house_id, device_id, fields)]))
