"""Notes on times of a house."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE sgmp.note (
    note_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT note_pkey PRIMARY KEY,
    house_id integer NOT NULL CONSTRAINT note_house_id_fkey REFERENCES sgmp.house (house_id),
    kind text NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    text text NOT NULL DEFAULT '',
    excluded boolean NOT NULL DEFAULT false,
    who text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision integer NOT NULL DEFAULT 1,
    CONSTRAINT note_kind_check CHECK (kind IN ('outage', 'maintenance', 'experiment', 'other')),
    CONSTRAINT note_range_check CHECK (from_at < to_at),
    CONSTRAINT note_text_length_check CHECK (length(text) <= 2000)
);
CREATE INDEX note_house_id_to_at_idx ON sgmp.note (house_id, to_at);
"""


def upgrade() -> None:
    op.execute(TABLES)
