"""How far houses are from being finished: when credentials were generated, and what the last check of the wiring found."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE sgmp.house_setup (
    house_id integer NOT NULL CONSTRAINT house_setup_house_id_fkey REFERENCES sgmp.house (house_id),
    credentials_at timestamptz,
    checked_at timestamptz,
    checked_by text,
    wrong integer,
    unknown integer,
    CONSTRAINT house_setup_pkey PRIMARY KEY (house_id)
);
INSERT INTO sgmp.house_setup (house_id, credentials_at)
SELECT a.house_id, min(a.at) FROM sgmp.audit a JOIN sgmp.house h ON h.house_id = a.house_id
WHERE a.act = 'issue_credentials' GROUP BY a.house_id;
"""


def upgrade() -> None:
    op.execute(TABLES)
