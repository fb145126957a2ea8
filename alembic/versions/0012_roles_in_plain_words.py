"""Descriptions of the built-in roles in plain English; late ranges are always those of one house."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = """
UPDATE sgmp.role SET description = replace(description, 'in the own house', 'of the account''s house') WHERE built_in;
INSERT INTO sgmp.late (house_id, from_ts, to_ts)
SELECT h.house_id, l.from_ts, l.to_ts FROM sgmp.late l CROSS JOIN sgmp.house h WHERE l.house_id IS NULL;
DELETE FROM sgmp.late WHERE house_id IS NULL;
ALTER TABLE sgmp.late ALTER COLUMN house_id SET NOT NULL;
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
