"""Findings, what people do with them, who is notified, and when nobody is."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE sgmp.house_state ADD COLUMN heard_at timestamptz;

CREATE TABLE sgmp.finding (
    finding_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT finding_pkey PRIMARY KEY,
    house_id integer CONSTRAINT finding_house_id_fkey REFERENCES sgmp.house (house_id),
    device_name text NOT NULL DEFAULT '',
    series_id integer,
    rule text NOT NULL,
    subject text NOT NULL DEFAULT '',
    severity text NOT NULL,
    from_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    opened_at timestamptz,
    gone_at timestamptz,
    to_at timestamptz,
    value double precision,
    kwh double precision,
    details jsonb NOT NULL DEFAULT '{}',
    suspended boolean NOT NULL DEFAULT false,
    CONSTRAINT finding_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT finding_device_name_length_check CHECK (length(device_name) <= 64),
    CONSTRAINT finding_rule_length_check CHECK (length(rule) <= 64),
    CONSTRAINT finding_subject_length_check CHECK (length(subject) <= 300),
    CONSTRAINT finding_details_length_check CHECK (octet_length(details::text) <= 8000)
);
CREATE UNIQUE INDEX finding_open_key ON sgmp.finding (COALESCE(house_id, 0), device_name, rule, subject) WHERE to_at IS NULL;
CREATE INDEX finding_house_id_to_at_idx ON sgmp.finding (house_id, to_at);
CREATE INDEX finding_to_at_idx ON sgmp.finding (to_at);

CREATE TABLE sgmp.finding_act (
    act_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT finding_act_pkey PRIMARY KEY,
    finding_id bigint NOT NULL CONSTRAINT finding_act_finding_id_fkey REFERENCES sgmp.finding (finding_id) ON DELETE CASCADE,
    act text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL,
    note text NOT NULL DEFAULT '',
    until timestamptz,
    CONSTRAINT finding_act_act_check CHECK (act IN ('acknowledge', 'silence', 'reopen')),
    CONSTRAINT finding_act_note_length_check CHECK (length(note) <= 2000)
);
CREATE INDEX finding_act_finding_id_act_id_idx ON sgmp.finding_act (finding_id, act_id);

CREATE TABLE sgmp.recipient (
    recipient_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT recipient_pkey PRIMARY KEY,
    channel text NOT NULL,
    address text NOT NULL,
    secret text NOT NULL DEFAULT '',
    house_id integer CONSTRAINT recipient_house_id_fkey REFERENCES sgmp.house (house_id),
    least_severity text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT recipient_channel_check CHECK (channel IN ('mail', 'webhook')),
    CONSTRAINT recipient_least_severity_check CHECK (least_severity IN ('info', 'warning', 'critical')),
    CONSTRAINT recipient_address_length_check CHECK (length(address) <= 1000),
    CONSTRAINT recipient_secret_length_check CHECK (length(secret) <= 200)
);
CREATE UNIQUE INDEX recipient_present_key ON sgmp.recipient (channel, address, COALESCE(house_id, 0)) WHERE deleted_at IS NULL;

CREATE TABLE sgmp.notification (
    notification_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT notification_pkey PRIMARY KEY,
    recipient_id integer NOT NULL CONSTRAINT notification_recipient_id_fkey REFERENCES sgmp.recipient (recipient_id),
    kind text NOT NULL,
    key uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT notification_key_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    not_before timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    failed_at timestamptz,
    problem text NOT NULL DEFAULT '',
    CONSTRAINT notification_kind_check CHECK (kind IN ('opened', 'closed', 'reminder', 'digest', 'test')),
    CONSTRAINT notification_problem_length_check CHECK (length(problem) <= 500)
);
CREATE INDEX notification_unsent_idx ON sgmp.notification (recipient_id, notification_id)
    WHERE sent_at IS NULL AND failed_at IS NULL;
CREATE INDEX notification_recipient_id_created_at_idx ON sgmp.notification (recipient_id, created_at);

CREATE TABLE sgmp.notification_item (
    notification_id bigint NOT NULL CONSTRAINT notification_item_notification_id_fkey
        REFERENCES sgmp.notification (notification_id) ON DELETE CASCADE,
    finding_id bigint NOT NULL CONSTRAINT notification_item_finding_id_fkey
        REFERENCES sgmp.finding (finding_id) ON DELETE CASCADE,
    kind text NOT NULL,
    CONSTRAINT notification_item_pkey PRIMARY KEY (notification_id, finding_id, kind),
    CONSTRAINT notification_item_kind_check CHECK (kind IN ('opened', 'closed', 'reminder'))
);
CREATE INDEX notification_item_finding_id_idx ON sgmp.notification_item (finding_id);

CREATE TABLE sgmp.maintenance_window (
    window_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT maintenance_window_pkey PRIMARY KEY,
    house_id integer CONSTRAINT maintenance_window_house_id_fkey REFERENCES sgmp.house (house_id),
    device_name text NOT NULL DEFAULT '',
    starts_at timestamptz,
    ends_at timestamptz,
    weekdays integer[],
    from_time time,
    until_time time,
    note text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT maintenance_window_form_check CHECK (
        starts_at < ends_at AND weekdays IS NULL AND from_time IS NULL AND until_time IS NULL
        OR starts_at IS NULL AND ends_at IS NULL AND cardinality(weekdays) BETWEEN 1 AND 7
           AND weekdays <@ ARRAY[1, 2, 3, 4, 5, 6, 7] AND from_time <> until_time),
    CONSTRAINT maintenance_window_device_check CHECK (device_name = '' OR house_id IS NOT NULL),
    CONSTRAINT maintenance_window_device_name_length_check CHECK (length(device_name) <= 64),
    CONSTRAINT maintenance_window_note_length_check CHECK (length(note) <= 2000)
);

CREATE TABLE sgmp.watch_state (
    name text CONSTRAINT watch_state_pkey PRIMARY KEY,
    turn_at timestamptz NOT NULL,
    watcher text NOT NULL,
    seen_event bigint NOT NULL,
    newest_event bigint NOT NULL,
    newest_event_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    op.execute(TABLES)
