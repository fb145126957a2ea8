"""How much is in quarantine of each house, and which messages are to be stored again."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE sgmp.quarantine ADD COLUMN replay boolean NOT NULL DEFAULT false;
CREATE INDEX quarantine_replay_idx ON sgmp.quarantine (quarantine_id) WHERE replay;
CREATE TABLE sgmp.quarantine_usage (
    house_id integer PRIMARY KEY,
    messages bigint NOT NULL,
    bytes bigint NOT NULL,
    refused bigint NOT NULL DEFAULT 0
);
INSERT INTO sgmp.quarantine_usage (house_id, messages, bytes)
SELECT COALESCE(house_id, 0), count(*), sum(octet_length(payload) + octet_length(topic)) FROM sgmp.quarantine GROUP BY 1;
"""


def upgrade() -> None:
    op.execute(TABLES)
