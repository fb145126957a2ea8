"""The tables of schema `sgmp`, as SQLAlchemy sees them.

Alembic makes them (`alembic/versions`), a test keeps both equal. Functions, views, policies and grants, which hold no
data, are in `sql/`. Names of tables are singular; the views that accounts read are plural.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Time,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZRANGE, UUID

SCHEMA = "sgmp"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

NAME_RULE = "name ~ '^[A-Za-z][A-Za-z0-9_]*$' AND length(name) <= 64"
"""Of devices and analytic items: what a formula can refer to without quotes."""


def _id(name: str) -> Column[int]:
    return Column(name, Integer, Identity(always=True), primary_key=True)


def _revision() -> Column[int]:
    # Counts the changes of a row, so that of two consoles editing the same thing the second is refused.
    return Column("revision", Integer, nullable=False, server_default=text("1"))


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def _at_most(column: str, limit: int, *, of: str = "length({})") -> CheckConstraint:
    """No text or document that an account can write is without a bound."""
    return CheckConstraint(f"{of.format(column)} <= {limit}", name=f"{column}_length")


# What the installation knows of itself: deployment, whether TimescaleDB is used, fingerprint of the programs.
installation = Table(
    "installation",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Rows that functions lock, so that two acts keep apart (sql/locks.sql). House 0 stands for none.
lock = Table(
    "lock",
    metadata,
    Column("name", Text, nullable=False),
    Column("house_id", Integer, nullable=False),
    PrimaryKeyConstraint("name", "house_id"),
)

# --- Who ------------------------------------------------------------------------------------------------------------

permission = Table(
    "permission",
    metadata,
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
)

role = Table(
    "role",
    metadata,
    _id("role_id"),
    Column(
        "name", Text, CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 64", name="name")
    ),
    _text("description"),
    Column("built_in", Boolean, nullable=False, server_default=text("false")),
    _revision(),
    UniqueConstraint("name"),
    _at_most("description", 4000),
)
role.c.name.nullable = False

role_permission = Table(
    "role_permission",
    metadata,
    Column("role_id", Integer, ForeignKey(role.c.role_id, ondelete="CASCADE"), nullable=False),
    Column("permission", Text, ForeignKey(permission.c.name), nullable=False),
    PrimaryKeyConstraint("role_id", "permission"),
)

house = Table(
    "house",
    metadata,
    _id("house_id"),
    Column("name", Text, nullable=False),
    _text("description"),
    Column("time_zone", Text, nullable=False, server_default=text("'UTC'")),
    _revision(),
    _now("created_at"),
    Column("deleted_at", DateTime(timezone=True)),
    Column("load_contains_ev", Boolean, nullable=False, server_default=text("false")),
    Column("latitude", Double),
    Column("longitude", Double),
    CheckConstraint(
        "(latitude IS NULL) = (longitude IS NULL)"
        " AND COALESCE(latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180, true)",
        name="place",
    ),
    CheckConstraint("name = btrim(name) AND length(name) BETWEEN 1 AND 64", name="name"),
    _at_most("description", 4000),
    _at_most("time_zone", 64),
)
Index("house_name_key", house.c.name, unique=True, postgresql_where=text("deleted_at IS NULL"))

account = Table(
    "account",
    metadata,
    _id("account_id"),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role_id", Integer, ForeignKey(role.c.role_id), nullable=False),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    # The PostgreSQL role that this account signs in as.
    Column("login", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("must_change_password", Boolean, nullable=False, server_default=text("true")),
    _revision(),
    _now("created_at"),
    _now("password_set_at"),
    # ASCII, so that lower case means the same to Python, PostgreSQL in any locale, and a mail server.
    CheckConstraint(r"email ~ '^[!-?A-~]+@[!-?A-~]+$' AND length(email) <= 254", name="email"),
    CheckConstraint('email = lower(email COLLATE "C")', name="email_case"),
    UniqueConstraint("email"),
    UniqueConstraint("login"),
    _at_most("name", 200),
    Index(None, "house_id"),
    Index(None, "role_id"),
)

# What was changed and done, by whom; only ever added to (sql/audit.sql). It outlives what it is about.
audit = Table(
    "audit",
    metadata,
    Column("entry_id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
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
)

# --- What -----------------------------------------------------------------------------------------------------------

device = Table(
    "device",
    metadata,
    _id("device_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    _text("description"),
    Column("config", JSONB, nullable=False),
    _revision(),
    _now("created_at"),
    # Deleted devices stay: their history does, too.
    Column("deleted_at", DateTime(timezone=True)),
    CheckConstraint(NAME_RULE + " AND name NOT IN ('events', 'analytics')", name="name"),
    CheckConstraint("jsonb_typeof(config) = 'object'", name="config"),
    _at_most("type", 64),
    _at_most("description", 4000),
    _at_most("config", 65536, of="octet_length({}::text)"),
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

analytic_item = Table(
    "analytic_item",
    metadata,
    _id("item_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("name", Text, nullable=False),
    _text("description"),
    Column("formula", Text, nullable=False),
    Column("aggregated", Boolean, nullable=False, server_default=text("false")),
    _text("unit"),
    _revision(),
    _now("created_at"),
    CheckConstraint(NAME_RULE, name="name"),
    _at_most("description", 4000),
    _at_most("formula", 10000),
    _at_most("unit", 64),
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
        ["house_id", "item_id"],
        [analytic_item.c.house_id, analytic_item.c.item_id],
        ondelete="CASCADE",
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
    _now("created_at"),
    Column("published_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("house_id", "version"),
    _at_most("sha256", 64),
    _at_most("devices", 4194304, of="octet_length({}::text)"),
)

# What a house's edge last said about itself; kept by a trigger on `event`.
house_state = Table(
    "house_state",
    metadata,
    Column("house_id", Integer, ForeignKey(house.c.house_id), primary_key=True, autoincrement=False),
    Column("status", JSONB),
    Column("status_at", DateTime(timezone=True)),
    Column("applied_version", Integer),
    Column("applied_sha256", Text),
    Column("applied_at", DateTime(timezone=True)),
    Column("rejected_reason", Text),
    Column("rejected_at", DateTime(timezone=True)),
    Column("rejected_version", Integer),
    # When the last status came, by the database's clock: `status_at` is the edge's.
    Column("heard_at", DateTime(timezone=True)),
)

# --- What was measured ----------------------------------------------------------------------------------------------

series = Table(
    "series",
    metadata,
    _id("series_id"),
    Column("house_id", Integer, nullable=False),
    Column("device_id", Integer, nullable=False),
    Column("field", Text, nullable=False),
    # The operator's word; where it is null, the device type's holds.
    Column("unit", Text),
    _now("created_at"),
    # Whether an analytic item asks for continuous aggregates, and which part of them is not there yet (null: none).
    Column("aggregated", Boolean, nullable=False, server_default=text("false")),
    Column("unpopulated", TSTZRANGE),
    _at_most("unit", 64),
    ForeignKeyConstraint(["house_id", "device_id"], [device.c.house_id, device.c.device_id]),
    UniqueConstraint("device_id", "field"),
    Index(None, "house_id"),
)

# No foreign key: checking one costs more than the insert. A series is never deleted.
reading = Table(
    "reading",
    metadata,
    Column("series_id", Integer, nullable=False),
    Column("ts", DateTime(timezone=True), nullable=False),
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
    Column("slot", DateTime(timezone=True), nullable=False),
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
    Column("hour", DateTime(timezone=True), nullable=False),
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
    Column("from_ts", DateTime(timezone=True), nullable=False),
    Column("to_ts", DateTime(timezone=True), nullable=False),
    Column("late_id", BigInteger, Identity(always=True), primary_key=True),
    Column("house_id", Integer, nullable=False),
    Index(None, "house_id"),
)

# A text in force from `ts` until the next of its series; repeated once an hour though nothing changed, so that late
# arrivals and retention can't falsify more than the hour they touch.
text_reading = Table(
    "text_reading",
    metadata,
    Column("series_id", Integer, nullable=False),
    Column("ts", DateTime(timezone=True), nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("series_id", "ts"),
)

event = Table(
    "event",
    metadata,
    Column("event_id", BigInteger, Identity(always=True), primary_key=True),
    Column("house_id", Integer, ForeignKey(house.c.house_id), nullable=False),
    Column("device_id", Integer, ForeignKey(device.c.device_id)),  # null: the edge itself
    Column("device_name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("ts", DateTime(timezone=True), nullable=False),
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
    Column("quarantine_id", BigInteger, Identity(always=True), primary_key=True),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("house_id", Integer),  # as far as the topic says; not checked
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content_key", LargeBinary, nullable=False),
    Column("replay", Boolean, nullable=False, server_default=text("false")),  # ingest is to read it again
    UniqueConstraint("content_key"),
    Index(None, "house_id", "received_at"),
    Index(None, "received_at"),
    # By an operator; removed within a minute.
    Column("discarded", Boolean, nullable=False, server_default=text("false")),
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
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("statistics", JSONB, nullable=False),
)

# --- What is wrong --------------------------------------------------------------------------------------------------


def _when(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _is_one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


_SEVERITIES = ("info", "warning", "critical")

# Everything that was or is wrong (docs/findings.md). Without a house: of the deployment. `from_at`: since when it holds;
# `seen_at`: since when the watch knows; `opened_at`: null while its hold time has not passed, and nobody sees it; `gone_at`:
# it holds no more, and closes (`to_at`) unless it comes back soon.
finding = Table(
    "finding",
    metadata,
    Column("finding_id", BigInteger, Identity(always=True), primary_key=True),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    _text("device_name"),
    Column("series_id", Integer),
    Column("rule", Text, nullable=False),
    _text("subject"),
    Column("severity", Text, nullable=False),
    _when("from_at", nullable=False),
    _when("seen_at", nullable=False),
    _when("opened_at"),
    _when("gone_at"),
    _when("to_at"),
    Column("value", Double),
    Column("kwh", Double),
    Column("details", JSONB, nullable=False, server_default=text("'{}'")),
    # Nothing can be said of it now: what would show it is missing.
    Column("suspended", Boolean, nullable=False, server_default=text("false")),
    _is_one_of("severity", *_SEVERITIES),
    _at_most("device_name", 64),
    _at_most("rule", 64),
    _at_most("subject", 300),
    _at_most("details", 8000, of="octet_length({}::text)"),
    Index(None, "house_id", "to_at"),
    Index(None, "to_at"),
)
Index(
    "finding_open_key",
    func.coalesce(finding.c.house_id, 0),
    finding.c.device_name,
    finding.c.rule,
    finding.c.subject,
    unique=True,
    postgresql_where=text("to_at IS NULL"),
)

# What people did with a finding; the last act counts.
finding_act = Table(
    "finding_act",
    metadata,
    Column("act_id", BigInteger, Identity(always=True), primary_key=True),
    Column("finding_id", BigInteger, ForeignKey(finding.c.finding_id, ondelete="CASCADE"), nullable=False),
    Column("act", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("who", Text, nullable=False),
    _text("note"),
    _when("until"),
    _is_one_of("act", "acknowledge", "silence", "reopen"),
    _at_most("note", 2000),
    Index(None, "finding_id", "act_id"),
)

# Who is notified of findings, of one house or of all. `secret` signs what a webhook receives.
recipient = Table(
    "recipient",
    metadata,
    _id("recipient_id"),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    _text("secret"),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    Column("least_severity", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    _now("created_at"),
    _when("deleted_at"),
    _is_one_of("channel", "mail", "webhook"),
    _is_one_of("least_severity", *_SEVERITIES),
    _at_most("address", 1000),
    _at_most("secret", 200),
)
Index(
    "recipient_present_key",
    recipient.c.channel,
    recipient.c.address,
    func.coalesce(recipient.c.house_id, 0),
    unique=True,
    postgresql_where=text("deleted_at IS NULL"),
)

# What is to be sent and was sent, one row for each message; `key` stands in the message.
notification = Table(
    "notification",
    metadata,
    Column("notification_id", BigInteger, Identity(always=True), primary_key=True),
    Column("recipient_id", Integer, ForeignKey(recipient.c.recipient_id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", UUID, nullable=False, server_default=func.gen_random_uuid()),
    _now("created_at"),
    _now("not_before"),
    _when("claimed_at"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _when("sent_at"),
    _when("failed_at"),
    _text("problem"),
    # The server's process of the session that claimed it.
    Column("claimed_by", Integer),
    UniqueConstraint("key"),
    _is_one_of("kind", "opened", "closed", "reminder", "digest", "test"),
    _at_most("problem", 500),
    Index(
        "notification_unsent_idx",
        "recipient_id",
        "notification_id",
        postgresql_where=text("sent_at IS NULL AND failed_at IS NULL"),
    ),
    Index(None, "recipient_id", "created_at"),
)

notification_item = Table(
    "notification_item",
    metadata,
    Column(
        "notification_id",
        BigInteger,
        ForeignKey(notification.c.notification_id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("finding_id", BigInteger, ForeignKey(finding.c.finding_id, ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("notification_id", "finding_id", "kind"),
    _is_one_of("kind", "opened", "closed", "reminder"),
    Index(None, "finding_id"),
)

# When nobody is notified: once (`starts_at`, `ends_at`), or on weekdays (1 is Monday) by the clock of the house.
maintenance_window = Table(
    "maintenance_window",
    metadata,
    _id("window_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    _text("device_name"),
    _when("starts_at"),
    _when("ends_at"),
    Column("weekdays", ARRAY(Integer)),
    Column("from_time", Time),
    Column("until_time", Time),
    _text("note"),
    Column("created_by", Text, nullable=False),
    _now("created_at"),
    CheckConstraint(
        "starts_at < ends_at AND weekdays IS NULL AND from_time IS NULL AND until_time IS NULL"
        " OR starts_at IS NULL AND ends_at IS NULL AND cardinality(weekdays) BETWEEN 1 AND 7"
        " AND weekdays <@ ARRAY[1, 2, 3, 4, 5, 6, 7] AND from_time <> until_time",
        name="form",
    ),
    CheckConstraint("device_name = '' OR house_id IS NOT NULL", name="device"),
    _at_most("device_name", 64),
    _at_most("note", 2000),
)

# Whose turn was the last, and up to which event warnings were read (`store.findings.Turn`).
watch_state = Table(
    "watch_state",
    metadata,
    Column("name", Text, primary_key=True),
    _when("turn_at", nullable=False),
    Column("watcher", Text, nullable=False),
    Column("seen_event", BigInteger, nullable=False),
    Column("newest_event", BigInteger, nullable=False),
    _when("newest_event_at", nullable=False),
)
