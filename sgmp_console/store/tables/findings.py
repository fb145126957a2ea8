"""What is wrong, who is notified of it, and when nobody is."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Time,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

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

_SEVERITIES = ("info", "warning", "critical")

# Everything that was or is wrong (docs/findings.md). Without a house: of the deployment. `from_at`: since when it holds;
# `seen_at`: since when the watch knows; `opened_at`: null while its hold time has not passed, and nobody sees it; `gone_at`:
# it holds no more, and closes (`to_at`) unless it comes back soon.
finding = Table(
    "finding",
    metadata,
    row_id("finding_id", BigInteger),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    text_column("device_name"),
    Column("series_id", Integer),
    Column("rule", Text, nullable=False),
    text_column("subject"),
    Column("severity", Text, nullable=False),
    when("from_at", nullable=False),
    when("seen_at", nullable=False),
    when("opened_at"),
    when("gone_at"),
    when("to_at"),
    Column("value", Double),
    Column("kwh", Double),
    Column("details", JSONB, nullable=False, server_default=text("'{}'")),
    # Nothing can be said of it now: what would show it is missing.
    flag("suspended"),
    is_one_of("severity", *_SEVERITIES),
    at_most("device_name", 64),
    at_most("rule", 64),
    at_most("subject", 300),
    at_most("details", 8000, of="octet_length({}::text)"),
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
    row_id("act_id", BigInteger),
    Column("finding_id", BigInteger, ForeignKey(finding.c.finding_id, ondelete="CASCADE"), nullable=False),
    Column("act", Text, nullable=False),
    now("at", func.clock_timestamp()),
    Column("who", Text, nullable=False),
    text_column("note"),
    when("until"),
    is_one_of("act", "acknowledge", "silence", "reopen"),
    at_most("note", 2000),
    Index(None, "finding_id", "act_id"),
)

# Who is notified of findings, of one house or of all. `secret` signs what a webhook receives.
recipient = Table(
    "recipient",
    metadata,
    row_id("recipient_id"),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    text_column("secret"),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    Column("least_severity", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    now("created_at"),
    when("deleted_at"),
    is_one_of("channel", "mail", "webhook"),
    is_one_of("least_severity", *_SEVERITIES),
    at_most("address", 1000),
    at_most("secret", 200),
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
    row_id("notification_id", BigInteger),
    Column("recipient_id", Integer, ForeignKey(recipient.c.recipient_id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", UUID, nullable=False, server_default=func.gen_random_uuid()),
    now("created_at"),
    now("not_before"),
    when("claimed_at"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    when("sent_at"),
    when("failed_at"),
    text_column("problem"),
    # The server's process of the session that claimed it.
    Column("claimed_by", Integer),
    UniqueConstraint("key"),
    is_one_of("kind", "opened", "closed", "reminder", "digest", "test"),
    at_most("problem", 500),
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
    is_one_of("kind", "opened", "closed", "reminder"),
    Index(None, "finding_id"),
)

# When nobody is notified: once (`starts_at`, `ends_at`), or on weekdays (1 is Monday) by the clock of the house.
maintenance_window = Table(
    "maintenance_window",
    metadata,
    row_id("window_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    text_column("device_name"),
    when("starts_at"),
    when("ends_at"),
    Column("weekdays", ARRAY(Integer)),
    Column("from_time", Time),
    Column("until_time", Time),
    text_column("note"),
    Column("created_by", Text, nullable=False),
    now("created_at"),
    CheckConstraint(
        "starts_at < ends_at AND weekdays IS NULL AND from_time IS NULL AND until_time IS NULL"
        " OR starts_at IS NULL AND ends_at IS NULL AND cardinality(weekdays) BETWEEN 1 AND 7"
        " AND weekdays <@ ARRAY[1, 2, 3, 4, 5, 6, 7] AND from_time <> until_time",
        name="form",
    ),
    CheckConstraint("device_name = '' OR house_id IS NOT NULL", name="device"),
    at_most("device_name", 64),
    at_most("note", 2000),
)

# What operators have watched: the values of a formula above or below a threshold for `hold_s`. Without a house: in all houses.
# It is over beyond `clear_threshold` (null: the threshold) for `clear_s`. With times: within them only, by the clock of the
# house. `changed_at`: since when it asks what it asks.
rule = Table(
    "rule",
    metadata,
    row_id("rule_id"),
    Column("house_id", Integer, ForeignKey(house.c.house_id)),
    Column("name", Text, nullable=False),
    Column("formula", Text, nullable=False),
    Column("above", Boolean, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("clear_threshold", Double),
    Column("hold_s", Integer, nullable=False),
    Column("clear_s", Integer, nullable=False),
    Column("from_time", Time),
    Column("until_time", Time),
    Column("severity", Text, nullable=False),
    text_column("guidance"),
    text_column("unit"),
    Column("enabled", Boolean, nullable=False),
    revision(),
    now("changed_at"),
    now("created_at"),
    is_one_of("severity", *_SEVERITIES),
    CheckConstraint("name ~ '[^[:space:]]' AND name !~ '[[:cntrl:]]' AND length(name) <= 100", name="name"),
    at_most("formula", 10000),
    at_most("guidance", 2000),
    at_most("unit", 64),
    CheckConstraint(
        "abs(threshold) <= 1e100 AND (clear_threshold IS NULL"
        " OR CASE WHEN above THEN clear_threshold <= threshold AND clear_threshold >= -1e100"
        " ELSE clear_threshold >= threshold AND clear_threshold <= 1e100 END)",
        name="threshold",
    ),
    CheckConstraint("hold_s BETWEEN 0 AND 604800 AND clear_s BETWEEN 0 AND 604800", name="times"),
    CheckConstraint(
        "(from_time IS NULL) = (until_time IS NULL) AND from_time IS DISTINCT FROM until_time"
        " OR from_time IS NULL AND until_time IS NULL",
        name="hours",
    ),
)
Index("rule_name_key", func.coalesce(rule.c.house_id, 0), rule.c.name, unique=True)

# Whose turn was the last, and up to which event warnings were read (`store.findings.Turn`).
watch_state = Table(
    "watch_state",
    metadata,
    Column("name", Text, primary_key=True),
    when("turn_at", nullable=False),
    Column("watcher", Text, nullable=False),
    Column("seen_event", BigInteger, nullable=False),
    Column("newest_event", BigInteger, nullable=False),
    when("newest_event_at", nullable=False),
)
