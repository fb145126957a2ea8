"""What was measured, and how it came in."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE

from sgmp_console.store.tables.columns import at_most, flag, metadata, now, row_id, when
from sgmp_console.store.tables.houses import device, house

series = Table(
    "series",
    metadata,
    row_id("series_id"),
    Column("house_id", Integer, nullable=False),
    Column("device_id", Integer, nullable=False),
    Column("field", Text, nullable=False),
    # The operator's word; where it is null, the device type's holds.
    Column("unit", Text),
    now("created_at"),
    # Whether an analytic item asks for continuous aggregates, and which part of them is not there yet (null: none).
    flag("aggregated"),
    Column("unpopulated", TSTZRANGE),
    at_most("unit", 64),
    ForeignKeyConstraint(["house_id", "device_id"], [device.c.house_id, device.c.device_id]),
    UniqueConstraint("device_id", "field"),
    Index(None, "house_id"),
)

# No foreign key: checking one costs more than the insert. A series is never deleted.
reading = Table(
    "reading",
    metadata,
    Column("series_id", Integer, nullable=False),
    when("ts", nullable=False),
    Column("value", Double, nullable=False),
    # On plain PostgreSQL INCLUDE (value): one index both keeps readings unique and answers without the table.
    PrimaryKeyConstraint("series_id", "ts", name="reading_pkey"),
    postgresql_partition_by="RANGE (ts)",
)


def _sums() -> list[Column[float]]:
    names = ("sum", "positive_sum", "negative_sum", "minimum", "maximum")
    return [Column(name, Double, nullable=False) for name in names]


# Continuous aggregates, on plain PostgreSQL; on TimescaleDB views of the same names and columns. What the columns mean:
# timeseries.aggregates.
slot = Table(
    "slot",
    metadata,
    Column("series_id", Integer, nullable=False),
    when("slot", nullable=False),
    Column("n", BigInteger, nullable=False),
    *_sums(),
    Column("timestamp_hash", BigInteger, nullable=False),
    PrimaryKeyConstraint("series_id", "slot"),
    postgresql_with={"fillfactor": 80},
)

hour = Table(
    "hour",
    metadata,
    Column("series_id", Integer, nullable=False),
    when("hour", nullable=False),
    Column("covered", BigInteger, nullable=False),
    *_sums(),
    Column("n", BigInteger, nullable=False),
    Column("timestamp_hash", BigInteger, nullable=False),
    PrimaryKeyConstraint("series_id", "hour"),
    postgresql_with={"fillfactor": 80},
)

# Ranges of a house (of all, if null) with readings that the aggregates do not hold yet (sql/aggregates.sql).
late = Table(
    "late",
    metadata,
    when("from_ts", nullable=False),
    when("to_ts", nullable=False),
    row_id("late_id", BigInteger),
    Column("house_id", Integer, nullable=False),
    Index(None, "house_id"),
)

# A text in force from `ts` until the next of its series; repeated once an hour though nothing changed, so that late
# arrivals and retention can't falsify more than the hour they touch.
text_reading = Table(
    "text_reading",
    metadata,
    Column("series_id", Integer, nullable=False),
    when("ts", nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("series_id", "ts"),
)

event = Table(
    "event",
    metadata,
    row_id("event_id", BigInteger),
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("device_id", Integer, ForeignKey(device.c.device_id)),  # null: the edge itself
    Column("device_name", Text, nullable=False),
    Column("type", Text, nullable=False),
    when("ts", nullable=False),
    Column("data", JSONB, nullable=False),
    Column("content_key", LargeBinary, nullable=False),
    UniqueConstraint("content_key"),
    Index(None, "house_id", "ts"),
    Index(None, "house_id", "type", "ts"),
)

# Messages nobody could read, whole, with the reason.
quarantine = Table(
    "quarantine",
    metadata,
    row_id("quarantine_id", BigInteger),
    when("received_at", nullable=False),
    Column("house_id", Integer),  # as far as the topic says; not checked
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content_key", LargeBinary, nullable=False),
    flag("replay"),  # ingest is to read it again
    UniqueConstraint("content_key"),
    Index(None, "house_id", "received_at"),
    Index(None, "received_at"),
    # By an operator; removed within a minute.
    flag("discarded"),
    Index("quarantine_replay_idx", "quarantine_id", postgresql_where=text("replay")),
    Index("quarantine_discarded_idx", "quarantine_id", postgresql_where=text("discarded")),
)

# How much of each house is in quarantine; house 0 stands for messages of no house.
quarantine_usage = Table(
    "quarantine_usage",
    metadata,
    Column("house_id", Integer, primary_key=True, autoincrement=False),
    Column("messages", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False, server_default=text("0")),
)

# How each ingest is doing.
ingest_state = Table(
    "ingest_state",
    metadata,
    Column("name", Text, primary_key=True),
    when("updated_at", nullable=False),
    Column("statistics", JSONB, nullable=False),
)
