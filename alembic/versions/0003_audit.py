"""Audit, secret settings of device types, initial passwords that expire, logins that do not tell emails."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE sgmp.audit (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    act text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    subject_id bigint,
    house_id integer,
    before jsonb,
    after jsonb,
    transaction text NOT NULL DEFAULT (pg_current_xact_id())::text
);
CREATE INDEX audit_at_idx ON sgmp.audit (at);
CREATE INDEX audit_house_id_entry_id_idx ON sgmp.audit (house_id, entry_id);

CREATE TABLE sgmp.device_setting (
    type text NOT NULL,
    setting text NOT NULL,
    secret boolean NOT NULL,
    PRIMARY KEY (type, setting)
);

ALTER TABLE sgmp.account ADD COLUMN password_set_at timestamptz NOT NULL DEFAULT now();
"""

# Every role of a server sees the names of all others: those of accounts had been emails.
LOGINS = """
UPDATE sgmp.config_version v SET created_by = a.email FROM sgmp.account a WHERE v.created_by = a.login;
DO $$
DECLARE
    one record;
    login text;
BEGIN
    FOR one IN SELECT a.account_id, a.email, a.login FROM sgmp.account a LOOP
        login := split_part(one.login, ':', 1) || ':' || left(encode(sha256(convert_to(one.email, 'UTF8')), 'hex'), 24);
        EXECUTE format('ALTER ROLE %I RENAME TO %I', one.login, login);
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''15min''', login);
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''5min''', login);
        EXECUTE 'UPDATE sgmp.account SET login = $1 WHERE account_id = $2' USING login, one.account_id;
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(LOGINS)
