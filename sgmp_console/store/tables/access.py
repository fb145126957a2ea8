"""Accounts and their rights, what was done, and what functions lock."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from sgmp_console.store.tables.columns import at_most, flag, metadata, now, revision, row_id, text_column
from sgmp_console.store.tables.houses import house

# What the installation knows of itself: deployment, whether TimescaleDB is used, fingerprint of the programs.
installation = Table(
    "installation", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False)
)

# Rows that functions lock, so that two acts keep apart (sql/locks.sql). House 0 stands for none.
lock = Table(
    "lock",
    metadata,
    Column("name", Text, nullable=False),
    Column("house_id", Integer, nullable=False),
    PrimaryKeyConstraint("name", "house_id"),
)


permission = Table(
    "permission",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
)

role = Table(
    "role",
    metadata,
    row_id("role_id"),
    Column(
        "name", Text, CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 64", name="name")
    ),
    text_column("description"),
    flag("built_in"),
    revision(),
    UniqueConstraint("name"),
    at_most("description", 4000),
)
role.c.name.nullable = False

role_permission = Table(
    "role_permission",
    metadata,
    Column("role_id", Integer, ForeignKey(role.c.role_id, ondelete="CASCADE"), nullable=False),
    Column("permission", Text, ForeignKey(permission.c.name), nullable=False),
    PrimaryKeyConstraint("role_id", "permission"),
)


account = Table(
    "account",
    metadata,
    row_id("account_id"),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role_id", Integer, ForeignKey(role.c.role_id), nullable=False),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    # The PostgreSQL role that this account signs in as.
    Column("login", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("must_change_password", Boolean, nullable=False, server_default=text("true")),
    revision(),
    now("created_at"),
    now("password_set_at"),
    # ASCII, so that lower case means the same to Python, PostgreSQL in any locale, and a mail server.
    CheckConstraint(r"email ~ '^[!-?A-~]+@[!-?A-~]+$' AND length(email) <= 254", name="email"),
    CheckConstraint('email = lower(email COLLATE "C")', name="email_case"),
    UniqueConstraint("email"),
    UniqueConstraint("login"),
    at_most("name", 200),
    Index(None, "house_id"),
    Index(None, "role_id"),
)

# What was changed and done, by whom; only ever added to (sql/audit.sql). It outlives what it is about.
audit = Table(
    "audit",
    metadata,
    row_id("entry_id", BigInteger),
    now("at", func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("subject_id", BigInteger),
    Column("house_id", Integer),
    Column("before", JSONB),
    Column("after", JSONB),
    # So that an act can ask for an entry that was committed before it.
    Column("transaction", Text, nullable=False, server_default=text("(pg_current_xact_id())::text")),
    Index(None, "at"),
    Index(None, "house_id", "entry_id"),
    # The history of a device (`device_history`), and of the units of its fields.
    Index("audit_device_idx", "subject_id", postgresql_where=text("kind IN ('device', 'series')")),
)
