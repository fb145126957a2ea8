"""What the permission for analytic items allows, in plain English."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE sgmp.permission SET description = 'Create, edit and delete analytic items and rules'"
        " WHERE name = 'manage_analytics'"
    )
