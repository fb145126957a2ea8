"""When a configuration was left with the broker, and which version an edge refused."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE sgmp.config_version ADD COLUMN published_at timestamptz;
UPDATE sgmp.config_version SET published_at = created_at;
ALTER TABLE sgmp.house_state ADD COLUMN rejected_version integer;
"""


def upgrade() -> None:
    op.execute(TABLES)
