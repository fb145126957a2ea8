"""Rules of operators."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE sgmp.rule (
    rule_id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT rule_pkey PRIMARY KEY,
    house_id integer CONSTRAINT rule_house_id_fkey REFERENCES sgmp.house (house_id),
    name text NOT NULL,
    formula text NOT NULL,
    above boolean NOT NULL,
    threshold double precision NOT NULL,
    clear_threshold double precision,
    hold_s integer NOT NULL,
    clear_s integer NOT NULL,
    from_time time,
    until_time time,
    severity text NOT NULL CONSTRAINT rule_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    guidance text NOT NULL DEFAULT '',
    unit text NOT NULL DEFAULT '',
    enabled boolean NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rule_name_check CHECK (name ~ '[^[:space:]]' AND name !~ '[[:cntrl:]]' AND length(name) <= 100),
    CONSTRAINT rule_formula_length_check CHECK (length(formula) <= 10000),
    CONSTRAINT rule_guidance_length_check CHECK (length(guidance) <= 2000),
    CONSTRAINT rule_unit_length_check CHECK (length(unit) <= 64),
    CONSTRAINT rule_threshold_check CHECK (
        abs(threshold) <= 1e100 AND (clear_threshold IS NULL
        OR CASE WHEN above THEN clear_threshold <= threshold AND clear_threshold >= -1e100
        ELSE clear_threshold >= threshold AND clear_threshold <= 1e100 END)),
    CONSTRAINT rule_times_check CHECK (hold_s BETWEEN 0 AND 604800 AND clear_s BETWEEN 0 AND 604800),
    CONSTRAINT rule_hours_check CHECK (
        (from_time IS NULL) = (until_time IS NULL) AND from_time IS DISTINCT FROM until_time
        OR from_time IS NULL AND until_time IS NULL)
);
CREATE UNIQUE INDEX rule_name_key ON sgmp.rule (COALESCE(house_id, 0), name);
"""


def upgrade() -> None:
    op.execute(TABLES)
