"""The design that SGMP replaces, re-implemented to be measured against.

What it stands for: one row per field with its names spelled out in each, two descending indexes, one connection and
commit per message, and every read a `fetchall` of the whole range into pandas, once per formula. Its arithmetic is kept
with its faults (a missing value becomes 0 in `pos` and `neg`), since only its cost matters here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = """
CREATE TABLE house_data (
    "timestamp" timestamptz(3) NOT NULL,
    house_id integer NOT NULL,
    device_name varchar(256) NOT NULL,
    field text NOT NULL,
    value_decimal double precision,
    value_text text
);
CREATE INDEX ON house_data (house_id, device_name, field, "timestamp" DESC);
CREATE INDEX ON house_data (house_id, device_name, "timestamp" DESC);
"""

INSERT = (
    "INSERT INTO house_data (timestamp, house_id, device_name, field, value_decimal, value_text) VALUES %s"
)

READ = """
SELECT timestamp, field, value_decimal, value_text FROM house_data
WHERE timestamp BETWEEN to_timestamp(%s) AND to_timestamp(%s) AND house_id = %s AND device_name = %s AND field IN %s
"""


@dataclass(frozen=True)
class Item:
    """An analytic item: the fields it reads of one device, and its formula over pandas series."""

    device: str
    fields: tuple[str, ...]
    formula: Callable[[Mapping[str, pd.Series]], pd.Series]


PAC, SOC = "status.Pac_total_W", "battery.battery_status.relativestateofcharge"

ITEMS: Mapping[str, Item] = {
    "solar": Item("egauge", ("A.Solar",), lambda s: s["A.Solar"].where(s["A.Solar"] > 0, 0)),
    "load": Item("egauge", ("A.Load",), lambda s: -s["A.Load"]),
    "ev": Item("egauge", ("A.EV",), lambda s: -s["A.EV"]),
    "grid_export": Item(
        "egauge", ("A.GridPower",), lambda s: s["A.GridPower"].where(s["A.GridPower"] > 0, 0)
    ),
    "grid_import": Item(
        "egauge", ("A.GridPower",), lambda s: -s["A.GridPower"].where(s["A.GridPower"] < 0, 0)
    ),
    "battery_charging": Item("sonnen", (PAC,), lambda s: -(s[PAC] / 1000).where(s[PAC] < 0, 0)),
    "battery_discharging": Item("sonnen", (PAC,), lambda s: (s[PAC] / 1000).where(s[PAC] > 0, 0)),
}
"""The seven curves of Home's power chart."""

OTHER_ITEMS: Mapping[str, Item] = {
    "soc": Item("sonnen", (SOC,), lambda s: s[SOC]),
    "l1_voltage": Item("egauge", ("A.L1_Voltage",), lambda s: s["A.L1_Voltage"]),
    "l2_voltage": Item("egauge", ("A.L2_Voltage",), lambda s: s["A.L2_Voltage"]),
    "l1_frequency": Item("egauge", ("A.L1_Frequency",), lambda s: s["A.L1_Frequency"]),
}


def create(connection: psycopg2.extensions.connection, *, hypertable: bool) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        if hypertable:
            cursor.execute("SELECT create_hypertable('house_data', 'timestamp')")


def bulk_load(
    connection: psycopg2.extensions.connection, house_id: int, rows: Iterable[tuple[str, str, str, float]]
) -> None:
    """Rows (ISO timestamp, device, field, value), by text COPY."""
    with connection, connection.cursor() as cursor:
        buffer = io.StringIO()
        for timestamp, device, field, value in rows:
            buffer.write(f"{timestamp}\t{house_id}\t{device}\t{field}\t{value!r}\t\\N\n")
            if buffer.tell() > 1 << 24:
                _copy(cursor, buffer)
        _copy(cursor, buffer)


def _copy(cursor: Any, buffer: io.StringIO) -> None:
    buffer.seek(0)
    cursor.copy_expert("COPY house_data FROM STDIN", buffer)
    buffer.seek(0)
    buffer.truncate()


def ingest_message(dsn: str, house_id: int, timestamp_ms: int, device: str, data: Mapping[str, Any]) -> None:
    """One MQTT message: its own connection, one INSERT, one commit, as its cloud function does."""
    connection = psycopg2.connect(dsn)
    try:
        rows = [
            (timestamp_ms / 1000, house_id, device, field, float(value), None)
            for field, value in data.items()
        ]
        with connection.cursor() as cursor:
            psycopg2.extras.execute_values(
                cursor, INSERT, rows, template="(to_timestamp(%s), %s, %s, %s, %s, %s)"
            )
        connection.commit()
    finally:
        connection.close()


def read_item(
    connection: psycopg2.extensions.connection, house_id: int, item: Item, start_ms: int, end_ms: int
) -> pd.Series:
    """The item's values, one per raw timestamp."""
    import pandas as pd

    with connection.cursor() as cursor:
        cursor.execute(READ, (start_ms / 1000, end_ms / 1000, house_id, item.device, item.fields))
        rows = cursor.fetchall()
    timestamps: dict[str, list[int]] = {field: [] for field in item.fields}
    values: dict[str, list[Any]] = {field: [] for field in item.fields}
    for row in rows:
        timestamps[row[1]].append(int(row[0].timestamp() * 1000))
        values[row[1]].append(row[2] if row[2] is not None else row[3])
    return item.formula({field: pd.Series(values[field], index=timestamps[field]) for field in item.fields})


def read_means(
    connection: psycopg2.extensions.connection,
    house_id: int,
    item: Item,
    start_ms: int,
    end_ms: int,
    period_ms: int,
) -> pd.Series:
    """The item's means per period, as its charts ask for them."""
    return (
        read_item(connection, house_id, item, start_ms, end_ms).groupby(lambda ts: ts - ts % period_ms).mean()
    )
