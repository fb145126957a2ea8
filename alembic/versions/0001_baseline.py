"""Baseline: all tables."""

from __future__ import annotations

from alembic import context, op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE sgmp.installation (
    key text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE sgmp.permission (
    name text PRIMARY KEY,
    description text NOT NULL
);

CREATE TABLE sgmp.role (
    role_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CONSTRAINT role_name_check CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 64),
    description text NOT NULL DEFAULT '',
    built_in boolean NOT NULL DEFAULT false,
    revision integer NOT NULL DEFAULT 1
);

CREATE TABLE sgmp.role_permission (
    role_id integer NOT NULL REFERENCES sgmp.role ON DELETE CASCADE,
    permission text NOT NULL REFERENCES sgmp.permission,
    PRIMARY KEY (role_id, permission)
);

CREATE TABLE sgmp.house (
    house_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CONSTRAINT house_name_check CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 64),
    description text NOT NULL DEFAULT '',
    time_zone text NOT NULL DEFAULT 'UTC',
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX house_name_key ON sgmp.house (name) WHERE deleted_at IS NULL;

CREATE TABLE sgmp.account (
    account_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE
        CONSTRAINT account_email_check CHECK (email ~ '^[!-?A-~]+@[!-?A-~]+$' AND length(email) <= 254)
        CONSTRAINT account_email_case_check CHECK (email = lower(email COLLATE "C")),
    name text NOT NULL,
    role_id integer NOT NULL REFERENCES sgmp.role,
    house_id integer REFERENCES sgmp.house,
    login text NOT NULL UNIQUE,
    enabled boolean NOT NULL DEFAULT true,
    must_change_password boolean NOT NULL DEFAULT true,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_house_id_idx ON sgmp.account (house_id);
CREATE INDEX account_role_id_idx ON sgmp.account (role_id);

CREATE TABLE sgmp.device (
    device_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    house_id integer NOT NULL REFERENCES sgmp.house,
    name text NOT NULL CONSTRAINT device_name_check CHECK (
        name ~ '^[A-Za-z][A-Za-z0-9_]*$' AND length(name) <= 64 AND name NOT IN ('events', 'analytics')),
    type text NOT NULL,
    description text NOT NULL DEFAULT '',
    config jsonb NOT NULL CONSTRAINT device_config_check CHECK (jsonb_typeof(config) = 'object'),
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    UNIQUE (house_id, device_id)
);
CREATE UNIQUE INDEX device_name_key ON sgmp.device (house_id, name) WHERE deleted_at IS NULL;

CREATE TABLE sgmp.analytic_item (
    item_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    house_id integer NOT NULL REFERENCES sgmp.house,
    name text NOT NULL CONSTRAINT analytic_item_name_check CHECK (
        name ~ '^[A-Za-z][A-Za-z0-9_]*$' AND length(name) <= 64),
    description text NOT NULL DEFAULT '',
    formula text NOT NULL,
    aggregated boolean NOT NULL DEFAULT false,
    unit text NOT NULL DEFAULT '',
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (house_id, name)
);

CREATE TABLE sgmp.config_version (
    house_id integer NOT NULL REFERENCES sgmp.house,
    version integer NOT NULL,
    sha256 text NOT NULL,
    devices jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (house_id, version)
);

CREATE TABLE sgmp.house_state (
    house_id integer PRIMARY KEY REFERENCES sgmp.house,
    status jsonb,
    status_at timestamptz,
    applied_version integer,
    applied_sha256 text,
    applied_at timestamptz,
    rejected_reason text,
    rejected_at timestamptz
);

CREATE TABLE sgmp.series (
    series_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    house_id integer NOT NULL,
    device_id integer NOT NULL,
    field text NOT NULL,
    unit text,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (house_id, device_id) REFERENCES sgmp.device (house_id, device_id),
    UNIQUE (device_id, field)
);
CREATE INDEX series_house_id_idx ON sgmp.series (house_id);

CREATE TABLE sgmp.text_reading (
    series_id integer NOT NULL,
    ts timestamptz NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (series_id, ts)
);

CREATE TABLE sgmp.event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    house_id integer NOT NULL REFERENCES sgmp.house,
    device_id integer REFERENCES sgmp.device,
    device_name text NOT NULL,
    type text NOT NULL,
    ts timestamptz NOT NULL,
    data jsonb NOT NULL,
    content_key bytea NOT NULL UNIQUE
);
CREATE INDEX event_house_id_ts_idx ON sgmp.event (house_id, ts);
CREATE INDEX event_house_id_type_ts_idx ON sgmp.event (house_id, type, ts);

CREATE TABLE sgmp.quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    house_id integer,
    topic text NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    content_key bytea NOT NULL UNIQUE
);
CREATE INDEX quarantine_house_id_received_at_idx ON sgmp.quarantine (house_id, received_at);
CREATE INDEX quarantine_received_at_idx ON sgmp.quarantine (received_at);

CREATE TABLE sgmp.ingest_state (
    name text PRIMARY KEY,
    updated_at timestamptz NOT NULL,
    statistics jsonb NOT NULL
);
"""

# Narrow, and the index covers the value: what is asked for is a time range of a few series, and their rows are
# scattered over the table.
PLAIN_READING = """
CREATE TABLE sgmp.reading (
    series_id integer NOT NULL,
    ts timestamptz NOT NULL,
    value double precision NOT NULL,
    CONSTRAINT reading_pkey PRIMARY KEY (series_id, ts) INCLUDE (value)
) PARTITION BY RANGE (ts);
"""

TIMESCALE_READING = """
CREATE TABLE sgmp.reading (
    series_id integer NOT NULL,
    ts timestamptz NOT NULL,
    value double precision NOT NULL,
    CONSTRAINT reading_pkey PRIMARY KEY (series_id, ts)
);
SELECT create_hypertable('sgmp.reading', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
ALTER TABLE sgmp.reading SET (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'series_id',
    timescaledb.orderby = 'ts'
);
CALL add_columnstore_policy('sgmp.reading', after => INTERVAL '2 days', if_not_exists => true);
"""

PERMISSIONS = {
    "view_dashboards": "See dashboards and reports",
    "view_devices": "See devices, their state, and messages in quarantine",
    "view_secrets": "See passwords and tokens in device configurations",
    "manage_devices": "Create, edit and delete devices",
    "manage_analytics": "Create, edit and delete analytic items",
    "manage_houses": "Create, edit and delete houses and their credentials, and synchronize configurations",
    "manage_accounts": "Create, edit and delete accounts",
    "manage_roles": "Create, edit and delete roles",
    "control_devices": "Send commands to devices",
    "all_houses": "All of this in every house, not only in the account's own",
    "export": "Export data and charts",
}

ROLES = {
    "admin": ("Everything in every house", list(PERMISSIONS)),
    "researcher": (
        "Dashboards, devices without their secrets, analytics and export in the own house",
        ["view_dashboards", "view_devices", "manage_analytics", "export"],
    ),
    "visitor": ("Dashboards and reports in the own house", ["view_dashboards"]),
}


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(TIMESCALE_READING if context.config.attributes["timescale"] else PLAIN_READING)
    connection = op.get_bind()
    for name, description in PERMISSIONS.items():
        connection.exec_driver_sql("INSERT INTO sgmp.permission VALUES (%s, %s)", (name, description))
    for name, (description, permissions) in ROLES.items():
        connection.exec_driver_sql(
            "WITH made AS (INSERT INTO sgmp.role (name, description, built_in) VALUES (%s, %s, true) RETURNING role_id)"
            " INSERT INTO sgmp.role_permission SELECT role_id, unnest(%s::text[]) FROM made",
            (name, description, permissions),
        )
