"""Accounts reach tables through functions only; locks of our own; no text or document without a bound."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Rows to be locked, by functions: an advisory lock can be taken by every session, and held for ever.
LOCKS = """
CREATE TABLE sgmp.lock (
    name text NOT NULL,
    house_id integer NOT NULL,
    PRIMARY KEY (name, house_id)
);
"""

# Functions decide what an account sees: conditions of row-level security can be measured with EXPLAIN ANALYZE.
NO_ROW_SECURITY = """
DO $$
DECLARE
    of_table regclass;
BEGIN
    FOR of_table IN SELECT oid FROM pg_class WHERE relnamespace = 'sgmp'::regnamespace AND relrowsecurity LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', of_table);
    END LOOP;
END
$$;
"""

# Characters. What is longer was no description but an attack on its reader, and is cut.
LIMITS = {
    ("role", "description"): 4000,
    ("house", "description"): 4000,
    ("house", "time_zone"): 64,
    ("account", "name"): 200,
    ("device", "type"): 64,
    ("device", "description"): 4000,
    ("analytic_item", "description"): 4000,
    ("analytic_item", "formula"): 10000,
    ("analytic_item", "unit"): 64,
    ("series", "unit"): 64,
    ("config_version", "sha256"): 64,
}

# Bytes of a document as text.
DOCUMENTS = {("device", "config"): 65_536, ("config_version", "devices"): 4_194_304}


# What is too long already stays until it is changed.
DOCUMENT_LIMIT = """
ALTER TABLE sgmp.{table} ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM sgmp.{table} WHERE NOT ({rule})) THEN
        ALTER TABLE sgmp.{table} VALIDATE CONSTRAINT {name};
    END IF;
END
$$;
"""

TEXT_LIMIT = """
UPDATE sgmp.{table} SET {column} = left({column}, {limit}) WHERE length({column}) > {limit};
ALTER TABLE sgmp.{table} ADD CONSTRAINT {table}_{column}_length_check CHECK (length({column}) <= {limit});
"""


def upgrade() -> None:
    op.execute(LOCKS)
    op.execute(NO_ROW_SECURITY)
    for (table, column), limit in LIMITS.items():
        op.execute(TEXT_LIMIT.format(table=table, column=column, limit=limit))
    rules = {
        ("aggregation", "aggregation_length_check"): "length(device_name) <= 64 AND length(field) <= 1000",
        **{
            (table, f"{table}_{column}_length_check"): f"octet_length({column}::text) <= {limit}"
            for (table, column), limit in DOCUMENTS.items()
        },
    }
    for (table, name), rule in rules.items():
        op.execute(DOCUMENT_LIMIT.format(table=table, name=name, rule=rule))
