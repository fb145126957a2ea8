"""What checks of quality found."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE sgmp.quality_day (
    house_id integer NOT NULL CONSTRAINT quality_day_house_id_fkey REFERENCES sgmp.house (house_id),
    day date NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL,
    version integer NOT NULL,
    checked_at timestamptz NOT NULL,
    slots integer NOT NULL,
    flagged integer NOT NULL,
    counts jsonb NOT NULL,
    faults jsonb NOT NULL,
    silent jsonb NOT NULL,
    CONSTRAINT quality_day_pkey PRIMARY KEY (house_id, day),
    CONSTRAINT quality_day_faults_length_check CHECK (octet_length(faults::text) <= 262144)
);
CREATE INDEX quality_day_again_idx ON sgmp.quality_day (house_id) WHERE version = 0;

CREATE TABLE sgmp.quality_run (
    house_id integer NOT NULL,
    from_ts timestamptz NOT NULL,
    series_id integer NOT NULL,
    to_ts timestamptz NOT NULL,
    bits integer NOT NULL,
    CONSTRAINT quality_run_pkey PRIMARY KEY (house_id, from_ts, series_id)
);

CREATE TABLE sgmp.unchecked (
    house_id integer NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL
);
"""


def upgrade() -> None:
    op.execute(TABLES)
