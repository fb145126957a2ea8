"""Discarded messages are marked by an account and removed by ingest, which so waits for no account."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE sgmp.quarantine ADD COLUMN discarded boolean NOT NULL DEFAULT false;
CREATE INDEX quarantine_discarded_idx ON sgmp.quarantine (quarantine_id) WHERE discarded;
"""


def upgrade() -> None:
    op.execute(TABLES)
