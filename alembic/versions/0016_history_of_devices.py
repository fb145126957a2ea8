"""The history of a device in the audit."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX audit_device_idx ON sgmp.audit (subject_id)"
        " WHERE kind = ANY (ARRAY['device'::text, 'series'::text])"
    )
