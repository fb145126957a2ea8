"""What checks of quality found (docs/quality.md)."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, text
from sqlalchemy.dialects.postgresql import JSONB

from sgmp_console.store.tables.columns import at_most, metadata, when
from sgmp_console.store.tables.houses import house

# Which days of which houses were checked, by which version of the checks (0: to be checked again). `slots`: how many were
# judged, of all series; `flagged`: how many of these have a bit; `counts`: how many have each, by its name. `faults`: what an
# operator should know; `silent`: the devices of which nothing came, so that nothing can be said of them.
quality_day = Table(
    "quality_day",
    metadata,
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("day", Date, nullable=False),
    when("from_ts", nullable=False),
    when("to_ts", nullable=False),
    Column("version", Integer, nullable=False),
    when("checked_at", nullable=False),
    Column("slots", Integer, nullable=False),
    Column("flagged", Integer, nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("faults", JSONB, nullable=False),
    Column("silent", JSONB, nullable=False),
    PrimaryKeyConstraint("house_id", "day"),
    at_most("faults", 262144, of="octet_length({}::text)"),
)
Index(
    "quality_day_again_idx",
    quality_day.c.house_id,
    postgresql_where=text("version = 0"),
)

# Neighbouring slots of a series with the same bits; slots without any are in none. Series 0 is the house's balance.
quality_run = Table(
    "quality_run",
    metadata,
    Column("house_id", Integer, nullable=False),
    when("from_ts", nullable=False),
    Column("series_id", Integer, nullable=False),
    when("to_ts", nullable=False),
    Column("bits", Integer, nullable=False),
    PrimaryKeyConstraint("house_id", "from_ts", "series_id"),
)

# Readings of a house from `from_ts` on and before `to_ts` came so late that their day may have been checked.
unchecked = Table(
    "unchecked",
    metadata,
    Column("house_id", Integer, nullable=False),
    when("from_ts", nullable=False),
    when("to_ts", nullable=False),
)
