"""Ranges that the continuous aggregates do not hold yet, of each house, on every kind of server."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# TimescaleDB has had the table since 0002, for all houses together.
TABLE = """
CREATE TABLE IF NOT EXISTS sgmp.late (from_ts timestamptz NOT NULL, to_ts timestamptz NOT NULL);
ALTER TABLE sgmp.late
    ADD COLUMN late_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN house_id integer;
CREATE INDEX late_house_id_idx ON sgmp.late (house_id);
"""


def upgrade() -> None:
    op.execute(TABLE)
