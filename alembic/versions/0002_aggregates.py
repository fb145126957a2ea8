"""Continuous aggregates: five-minute slots, hours made of them, and which items ask for which."""

from __future__ import annotations

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Which identifiers an analytic item with Continuous Aggregation reads. A series is aggregated while any item asks.
REGISTRATION = """
ALTER TABLE sgmp.analytic_item ADD UNIQUE (house_id, item_id);
CREATE TABLE sgmp.aggregation (
    item_id integer NOT NULL,
    house_id integer NOT NULL,
    device_name text NOT NULL,
    field text NOT NULL,
    PRIMARY KEY (item_id, device_name, field),
    FOREIGN KEY (house_id, item_id) REFERENCES sgmp.analytic_item (house_id, item_id) ON DELETE CASCADE
);
CREATE INDEX aggregation_house_id_device_name_field_idx ON sgmp.aggregation (house_id, device_name, field);
ALTER TABLE sgmp.series ADD COLUMN aggregated boolean NOT NULL DEFAULT false;
ALTER TABLE sgmp.series ADD COLUMN unpopulated tstzrange;
"""

# Kept by ingest, in the transaction that stores the readings (sql/aggregates.sql).
PLAIN = """
CREATE TABLE sgmp.slot (
    series_id integer NOT NULL,
    slot timestamptz NOT NULL,
    n bigint NOT NULL,
    sum double precision NOT NULL,
    positive_sum double precision NOT NULL,
    negative_sum double precision NOT NULL,
    minimum double precision NOT NULL,
    maximum double precision NOT NULL,
    instants bigint NOT NULL,
    PRIMARY KEY (series_id, slot)
) WITH (fillfactor = 80);
CREATE TABLE sgmp.hour (
    series_id integer NOT NULL,
    hour timestamptz NOT NULL,
    covered bigint NOT NULL,
    sum double precision NOT NULL,
    positive_sum double precision NOT NULL,
    negative_sum double precision NOT NULL,
    minimum double precision NOT NULL,
    maximum double precision NOT NULL,
    n bigint NOT NULL,
    instants bigint NOT NULL,
    PRIMARY KEY (series_id, hour)
) WITH (fillfactor = 80);
UPDATE sgmp.series SET unpopulated = '(,)';
"""

# Two for all houses. The fingerprint of a timestamp is timeseries.aggregates.instant_hash; it is written out here since
# an aggregate must not depend on a function that migrations replace. Raw readings are kept longer than any refresh
# looks back, so that none finds raw rows gone and erases what was known: the policies 26 days, `refresh_late` 30.
TIMESCALE = """
CREATE MATERIALIZED VIEW sgmp.slot WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT series_id, time_bucket(INTERVAL '5 minutes', ts) AS slot,
       count(*) AS n, sum(value) AS sum,
       sum(greatest(value, 0)) AS positive_sum, sum(least(value, 0)) AS negative_sum,
       min(value) AS minimum, max(value) AS maximum,
       sum(hashint8((date_part('epoch', ts) * 1000)::bigint)) AS instants
FROM sgmp.reading
GROUP BY series_id, time_bucket(INTERVAL '5 minutes', ts)
WITH NO DATA;

CREATE MATERIALIZED VIEW sgmp.hour WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT series_id, time_bucket(INTERVAL '1 hour', slot) AS hour,
       count(*) AS covered, sum(sum / n) AS sum,
       sum(positive_sum / n) AS positive_sum, sum(negative_sum / n) AS negative_sum,
       min(minimum) AS minimum, max(maximum) AS maximum,
       sum(n)::bigint AS n, sum(instants)::bigint AS instants
FROM sgmp.slot
GROUP BY series_id, time_bucket(INTERVAL '1 hour', slot)
WITH NO DATA;

SELECT add_continuous_aggregate_policy('sgmp.slot', start_offset => INTERVAL '26 days',
    end_offset => INTERVAL '10 minutes', schedule_interval => INTERVAL '5 minutes');
SELECT add_continuous_aggregate_policy('sgmp.hour', start_offset => INTERVAL '26 days',
    end_offset => INTERVAL '2 hours', schedule_interval => INTERVAL '15 minutes');
SELECT add_retention_policy('sgmp.reading', INTERVAL '31 days');

-- Ranges in which readings arrived later than the policies look back; made whole by sql/aggregates.sql.
CREATE TABLE sgmp.late (from_ts timestamptz NOT NULL, to_ts timestamptz NOT NULL);
CREATE PROCEDURE sgmp.refresh_late(job_id integer, config jsonb) LANGUAGE plpgsql AS 'BEGIN END';
SELECT add_job('sgmp.refresh_late', INTERVAL '1 minute');
"""


def upgrade() -> None:
    op.execute(REGISTRATION)
    op.execute(TIMESCALE if context.config.attributes["timescale"] else PLAIN)
