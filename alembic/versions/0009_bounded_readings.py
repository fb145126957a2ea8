"""No reading beyond what one may be; the column of the timestamps' hash is named for what it holds."""

from __future__ import annotations

from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# TimescaleDB renames the columns of the tables below, too.
PLAIN_NAMES = """
ALTER TABLE sgmp.slot RENAME COLUMN instants TO timestamp_hash;
ALTER TABLE sgmp.hour RENAME COLUMN instants TO timestamp_hash;
"""
TIMESCALE_NAMES = """
ALTER MATERIALIZED VIEW sgmp.slot RENAME COLUMN instants TO timestamp_hash;
ALTER MATERIALIZED VIEW sgmp.hour RENAME COLUMN instants TO timestamp_hash;
"""

# Since a reading has a bound (timeseries.READING_LIMIT), none beyond it is stored. Two that were stored before can make a sum
# that is no float, and what computes it fails: of slots and hours when they are computed again, on TimescaleDB of the refresh
# of all houses. They go, and slots and hours that counted them are computed from the rest, as late ranges are.
BOUND = """
DO $$
DECLARE
    odd record;
    slot_table text := 'sgmp.slot';
    hour_table text := 'sgmp.hour';
    wrong CONSTANT text := 'NOT (minimum >= -1e100 AND maximum <= 1e100)';
BEGIN
    CREATE TEMPORARY TABLE odd_hour (house_id integer, hour timestamptz) ON COMMIT DROP;
    IF {timescale} THEN
        SELECT max(format('%I.%I', c.materialization_hypertable_schema, c.materialization_hypertable_name))
                   FILTER (WHERE c.view_name = 'slot'),
               max(format('%I.%I', c.materialization_hypertable_schema, c.materialization_hypertable_name))
                   FILTER (WHERE c.view_name = 'hour')
        INTO slot_table, hour_table
        FROM timescaledb_information.continuous_aggregates c WHERE c.view_schema = 'sgmp';
        PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
    END IF;
    -- One by one: of the columnstore only the batch is opened that holds it.
    FOR odd IN SELECT r.series_id, r.ts FROM sgmp.reading r WHERE r.value < -1e100 OR r.value > 1e100 LOOP
        DELETE FROM sgmp.reading r WHERE r.series_id = odd.series_id AND r.ts = odd.ts;
        INSERT INTO odd_hour SELECT s.house_id, date_trunc('hour', odd.ts, 'UTC')
        FROM sgmp.series s WHERE s.series_id = odd.series_id;
    END LOOP;
    EXECUTE format(
        'WITH gone AS (DELETE FROM %s WHERE %s RETURNING series_id, slot) INSERT INTO odd_hour'
        ' SELECT s.house_id, date_trunc(''hour'', g.slot, ''UTC'') FROM gone g JOIN sgmp.series s USING (series_id)',
        slot_table, wrong);
    EXECUTE format('DELETE FROM %s WHERE %s', hour_table, wrong);
    INSERT INTO sgmp.late (house_id, from_ts, to_ts)
    SELECT DISTINCT house_id, hour, hour + interval '1 hour' FROM odd_hour;
END
$$;
"""


def upgrade() -> None:
    timescale = context.config.attributes["timescale"]
    op.execute(TIMESCALE_NAMES if timescale else PLAIN_NAMES)
    op.execute(BOUND.replace("{timescale}", str(timescale).lower()))
