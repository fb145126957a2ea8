"""A message says which session claimed it, so that one of a sender that was killed is sent again at once."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE sgmp.notification ADD COLUMN claimed_by integer")
