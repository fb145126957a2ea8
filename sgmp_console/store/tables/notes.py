"""Notes on times of a house."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, func

from sgmp_console.store.tables.columns import (
    at_most,
    flag,
    is_one_of,
    metadata,
    now,
    revision,
    row_id,
    text_column,
    when,
)
from sgmp_console.store.tables.houses import house

# `excluded`: the time counts in no mean and no sum. `who` wrote it last, `at`.
note = Table(
    "note",
    metadata,
    row_id("note_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("kind", Text, nullable=False),
    when("from_at", nullable=False),
    when("to_at", nullable=False),
    text_column("text"),
    flag("excluded"),
    Column("who", Text, nullable=False),
    now("at", func.clock_timestamp()),
    revision(),
    is_one_of("kind", "outage", "maintenance", "experiment", "other"),
    CheckConstraint("from_at < to_at", name="range"),
    at_most("text", 2000),
    Index(None, "house_id", "to_at"),
)
