"""${message}."""

from __future__ import annotations

from alembic import op

revision = "${up_revision}"
down_revision = "${down_revision}"
branch_labels = None
depends_on = None

TABLES = """
"""


def upgrade() -> None:
    op.execute(TABLES)
