"""Of a house: whether its load contains the car, and where it is."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE sgmp.house
    ADD COLUMN load_contains_ev boolean NOT NULL DEFAULT false,
    ADD COLUMN latitude double precision,
    ADD COLUMN longitude double precision,
    ADD CONSTRAINT house_place_check CHECK (
        (latitude IS NULL) = (longitude IS NULL)
        AND COALESCE(latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180, true));
"""


def upgrade() -> None:
    op.execute(COLUMNS)
