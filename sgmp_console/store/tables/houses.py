"""Houses, their devices, analytic items and configurations."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from sgmp_console.store.tables.columns import (
    NAME_RULE,
    at_most,
    flag,
    metadata,
    now,
    revision,
    row_id,
    text_column,
    when,
)

house = Table(
    "house",
    metadata,
    row_id("house_id"),
    Column("name", Text, nullable=False),
    text_column("description"),
    Column("time_zone", Text, nullable=False, server_default=text("'UTC'")),
    revision(),
    now("created_at"),
    when("deleted_at"),
    flag("load_contains_ev"),
    Column("latitude", Double),
    Column("longitude", Double),
    CheckConstraint(
        "(latitude IS NULL) = (longitude IS NULL)"
        " AND COALESCE(latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180, true)",
        name="place",
    ),
    CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 64", name="name"),
    at_most("description", 4000),
    at_most("time_zone", 64),
)
Index("house_name_key", house.c.name, unique=True, postgresql_where=text("deleted_at IS NULL"))


device = Table(
    "device",
    metadata,
    row_id("device_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    text_column("description"),
    Column("config", JSONB, nullable=False),
    revision(),
    now("created_at"),
    # Deleted devices stay: their history does, too.
    when("deleted_at"),
    CheckConstraint(NAME_RULE + " AND name NOT IN ('events', 'analytics')", name="name"),
    CheckConstraint("jsonb_typeof(config) = 'object'", name="config"),
    at_most("type", 64),
    at_most("description", 4000),
    at_most("config", 65536, of="octet_length({}::text)"),
    UniqueConstraint("house_id", "device_id"),  # what series refers to, so that no series crosses houses
)
Index(
    "device_name_key",
    device.c.house_id,
    device.c.name,
    unique=True,
    postgresql_where=text("deleted_at IS NULL"),
)

# The settings that the config schemas of device types declare; what isn't here is a secret, unless it is no text.
device_setting = Table(
    "device_setting",
    metadata,
    Column("type", Text, nullable=False),
    Column("setting", Text, nullable=False),
    Column("secret", Boolean, nullable=False),
    PrimaryKeyConstraint("type", "setting"),
)

# On the way from created to finished: when credentials were generated first, and what the last check of the wiring found.
house_setup = Table(
    "house_setup",
    metadata,
    Column("house_id", Integer, ForeignKey(house.c.house_id), primary_key=True, autoincrement=False),
    when("credentials_at"),
    when("checked_at"),
    Column("checked_by", Text),
    Column("wrong", Integer),
    Column("unknown", Integer),
)

analytic_item = Table(
    "analytic_item",
    metadata,
    row_id("item_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("name", Text, nullable=False),
    text_column("description"),
    Column("formula", Text, nullable=False),
    flag("aggregated"),
    text_column("unit"),
    revision(),
    now("created_at"),
    CheckConstraint(NAME_RULE, name="name"),
    at_most("description", 4000),
    at_most("formula", 10000),
    at_most("unit", 64),
    UniqueConstraint("house_id", "name"),
    UniqueConstraint(
        "house_id", "item_id"
    ),  # what aggregation refers to, so that no registration crosses houses
)

# The identifiers that an item with Continuous Aggregation reads.
aggregation = Table(
    "aggregation",
    metadata,
    Column("item_id", Integer, nullable=False),
    Column("house_id", Integer, nullable=False),
    Column("device_name", Text, nullable=False),
    Column("field", Text, nullable=False),
    PrimaryKeyConstraint("item_id", "device_name", "field"),
    ForeignKeyConstraint(
        ["house_id", "item_id"], [analytic_item.c.house_id, analytic_item.c.item_id], ondelete="CASCADE"
    ),
    CheckConstraint("length(device_name) <= 64 AND length(field) <= 1000", name="length"),
    Index("aggregation_house_id_device_name_field_idx", "house_id", "device_name", "field"),
)

config_version = Table(
    "config_version",
    metadata,
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("version", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("devices", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    now("created_at"),
    when("published_at"),
    PrimaryKeyConstraint("house_id", "version"),
    at_most("sha256", 64),
    at_most("devices", 4194304, of="octet_length({}::text)"),
)

# What a house's edge last said about itself; kept by a trigger on `event`.
house_state = Table(
    "house_state",
    metadata,
    Column("house_id", Integer, ForeignKey(house.c.house_id), primary_key=True, autoincrement=False),
    Column("status", JSONB),
    when("status_at"),
    Column("applied_version", Integer),
    Column("applied_sha256", Text),
    when("applied_at"),
    Column("rejected_reason", Text),
    when("rejected_at"),
    Column("rejected_version", Integer),
    # When the last status came, by the database's clock: `status_at` is the edge's.
    when("heard_at"),
)
