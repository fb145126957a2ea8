-- Continuous aggregates: which series have them, how they are kept, who reads them.
--
-- On TimescaleDB `slot` and `hour` are continuous aggregates over all readings. On plain PostgreSQL they are tables of the same
-- columns, and hold the series that some analytic item registered:
--   add_to_slots      adds readings that are new to their slots; it needs no raw row but these
--   recompute_slots   computes slots again from the raw rows, unless fewer of these are left than were counted before
--   populate          does that for what was stored before a series was registered, newest first, in steps
-- What changes the aggregates of a house holds the house's lock until it commits, so that what is derived (hours from slots)
-- never misses what another has not yet committed. What stores does not wait for that lock, which an account can hold, as can
-- another that stores and waits for what this one has stored: what it then stores is in a range of `late`. So is, on
-- TimescaleDB, what arrives after its time was aggregated. Who reads slots or hours of such a range gets them computed from
-- the raw rows; each minute `late` is worked off.
-- What writes is PL/pgSQL, which is not looked at before it runs: on TimescaleDB slot and hour are views.

CREATE FUNCTION sgmp.on_timescale() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT c.relkind = 'v' FROM pg_class c WHERE c.oid = 'sgmp.slot'::regclass);

-- For ingest, which waits for no account. Returns whether all of these houses' locks were free. If not, the range of these
-- slots (their starts, UTC ms) is late.
CREATE FUNCTION sgmp.try_lock_aggregates(of_series integer[], slots bigint[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    houses integer[] := ARRAY(SELECT DISTINCT s.house_id FROM sgmp.series s WHERE s.series_id = ANY (of_series));
BEGIN
    IF NOT sgmp.try_locks('aggregates', houses) THEN
        PERFORM sgmp.add_late(houses, sgmp.from_ms((SELECT min(s) FROM unnest(slots) s)),
                              sgmp.from_ms((SELECT max(s) FROM unnest(slots) s)));
        RETURN false;
    END IF;
    RETURN true;
END
$$;

-- Readings of these houses from from_ts to to_ts are stored and not aggregated yet. Whole hours.
CREATE FUNCTION sgmp.add_late(houses integer[], from_ts timestamptz, to_ts timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO sgmp.late (house_id, from_ts, to_ts)
    SELECT h, date_trunc('hour', from_ts, 'UTC'), date_trunc('hour', to_ts, 'UTC') + interval '1 hour'
    FROM unnest(houses) h;
END;

-- No search_path of its own, so that it is inlined; its body is looked up when it is made.
CREATE FUNCTION sgmp.from_ms(ms bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE
RETURN timestamptz '1970-01-01 00:00:00+00' + ms * interval '1 millisecond';

-- timeseries.aggregates.timestamp_hash.
CREATE FUNCTION sgmp.timestamp_hash(ts timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN hashint8((date_part('epoch', ts) * 1000)::bigint);

-- Hours [from_hour, to_hour) of these series, from their slots.
CREATE FUNCTION sgmp.derive_hours(of_series integer[], from_hour timestamptz, to_hour timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO sgmp.hour AS known
    SELECT s.series_id, date_trunc('hour', s.slot, 'UTC'), count(*), sum(s.sum / s.n), sum(s.positive_sum / s.n),
           sum(s.negative_sum / s.n), min(s.minimum), max(s.maximum), sum(s.n)::bigint, sum(s.timestamp_hash)::bigint
    FROM sgmp.slot s
    WHERE s.series_id = ANY (of_series) AND s.slot >= from_hour AND s.slot < to_hour
    GROUP BY 1, 2
    ON CONFLICT (series_id, hour) DO UPDATE SET
        covered = excluded.covered, sum = excluded.sum, positive_sum = excluded.positive_sum,
        negative_sum = excluded.negative_sum, minimum = excluded.minimum, maximum = excluded.maximum,
        n = excluded.n, timestamp_hash = excluded.timestamp_hash;
END
$$;

-- The hours that hold these slots.
CREATE FUNCTION sgmp.derive_hours_of(of_series integer[], slots bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched record;
BEGIN
    FOR touched IN
        SELECT hour, array_agg(series_id) AS series
        FROM (SELECT DISTINCT s.series_id, date_trunc('hour', sgmp.from_ms(s.slot), 'UTC') AS hour
              FROM unnest(of_series, slots) AS s (series_id, slot)) found
        GROUP BY hour
    LOOP
        PERFORM sgmp.derive_hours(touched.series, touched.hour, touched.hour + interval '1 hour');
    END LOOP;
END
$$;

-- Compute these slots again from what raw rows there are. A slot that had counted more keeps what it knew: its raw rows
-- were dropped since.
CREATE FUNCTION sgmp.recompute_slots_of(of_series integer[], slots bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO sgmp.slot AS known
    SELECT given.series_id, given.slot, count(*), sum(r.value), sum(greatest(r.value, 0)), sum(least(r.value, 0)),
           min(r.value), max(r.value), sum(sgmp.timestamp_hash(r.ts))::bigint
    FROM (SELECT DISTINCT s.series_id, sgmp.from_ms(s.slot) AS slot FROM unnest(of_series, slots) AS s (series_id, slot)) given
    JOIN sgmp.reading r
      ON r.series_id = given.series_id AND r.ts >= given.slot AND r.ts < given.slot + interval '5 minutes'
    GROUP BY given.series_id, given.slot
    ON CONFLICT (series_id, slot) DO UPDATE SET
        n = excluded.n, sum = excluded.sum, positive_sum = excluded.positive_sum, negative_sum = excluded.negative_sum,
        minimum = excluded.minimum, maximum = excluded.maximum, timestamp_hash = excluded.timestamp_hash
    WHERE excluded.n >= known.n;
END
$$;

-- The same for all slots of a range, which begins and ends on slots.
CREATE FUNCTION sgmp.recompute_range(of_series integer[], from_slot timestamptz, to_slot timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO sgmp.slot AS known
    SELECT r.series_id, date_bin('5 minutes', r.ts, timestamptz '2000-01-01 00:00:00+00'), count(*), sum(r.value),
           sum(greatest(r.value, 0)), sum(least(r.value, 0)), min(r.value), max(r.value),
           sum(sgmp.timestamp_hash(r.ts))::bigint
    FROM sgmp.reading r
    WHERE r.series_id = ANY (of_series) AND r.ts >= from_slot AND r.ts < to_slot
    GROUP BY 1, 2
    ON CONFLICT (series_id, slot) DO UPDATE SET
        n = excluded.n, sum = excluded.sum, positive_sum = excluded.positive_sum, negative_sum = excluded.negative_sum,
        minimum = excluded.minimum, maximum = excluded.maximum, timestamp_hash = excluded.timestamp_hash
    WHERE excluded.n >= known.n;
    PERFORM sgmp.derive_hours(
        of_series, date_trunc('hour', from_slot, 'UTC'),
        date_trunc('hour', to_slot + interval '1 hour' - interval '1 microsecond', 'UTC'));
END
$$;

-- Before this instant raw readings have been dropped, so that a repeat of one can't be distinguished from a new one. TimescaleDB
-- drops chunks of a day, once a day, when all of it is old enough: some before this may still be there.
CREATE FUNCTION sgmp.raw_kept_from() RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF sgmp.on_timescale() THEN
        RETURN COALESCE((
            SELECT date_trunc('day', now() - (j.config ->> 'drop_after')::interval, 'UTC')
            FROM timescaledb_information.jobs j
            WHERE j.proc_name = 'policy_retention' AND j.hypertable_schema = 'sgmp' AND j.hypertable_name = 'reading'
        ), '-infinity');
    END IF;
    RETURN COALESCE((SELECT i.value::timestamptz FROM sgmp.installation i WHERE i.key = 'raw_kept_from'), '-infinity');
END
$$;

-- Readings that were stored just now and are all new, summed per series and slot (its start in UTC ms).
CREATE FUNCTION sgmp.add_to_slots(
    of_series integer[], slots bigint[], counts bigint[], sums double precision[], positive_sums double precision[],
    negative_sums double precision[], minima double precision[], maxima double precision[], hashes bigint[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept_from timestamptz := sgmp.raw_kept_from();
    kept integer[];
    late_series integer[];
    late_slots bigint[];
BEGIN
    PERFORM sgmp.require_ingest();
    IF NOT sgmp.try_lock_aggregates(of_series, slots) THEN
        RETURN;
    END IF;
    kept := ARRAY(SELECT s.series_id FROM sgmp.series s WHERE s.series_id = ANY (of_series) AND s.aggregated);
    IF cardinality(kept) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO sgmp.slot AS known
    SELECT g.series_id, sgmp.from_ms(g.slot), g.n, g.sum, g.positive_sum, g.negative_sum, g.minimum, g.maximum, g.timestamp_hash
    FROM unnest(of_series, slots, counts, sums, positive_sums, negative_sums, minima, maxima, hashes)
         AS g (series_id, slot, n, sum, positive_sum, negative_sum, minimum, maximum, timestamp_hash)
    WHERE g.series_id = ANY (kept) AND sgmp.from_ms(g.slot) >= kept_from
    ON CONFLICT (series_id, slot) DO UPDATE SET
        n = known.n + excluded.n, sum = known.sum + excluded.sum,
        positive_sum = known.positive_sum + excluded.positive_sum,
        negative_sum = known.negative_sum + excluded.negative_sum,
        minimum = least(known.minimum, excluded.minimum), maximum = greatest(known.maximum, excluded.maximum),
        timestamp_hash = known.timestamp_hash + excluded.timestamp_hash;
    SELECT array_agg(g.series_id), array_agg(g.slot) INTO late_series, late_slots
    FROM unnest(of_series, slots) AS g (series_id, slot)
    WHERE g.series_id = ANY (kept) AND sgmp.from_ms(g.slot) < kept_from;
    IF late_series IS NOT NULL THEN
        PERFORM sgmp.recompute_slots_of(late_series, late_slots);
    END IF;
    PERFORM sgmp.derive_hours_of(array_agg(g.series_id), array_agg(g.slot))
    FROM unnest(of_series, slots) AS g (series_id, slot) WHERE g.series_id = ANY (kept);
END
$$;

-- Slots into which something was stored, some of it new and some not.
CREATE FUNCTION sgmp.recompute_slots(of_series integer[], slots bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept_series integer[];
    kept_slots bigint[];
BEGIN
    PERFORM sgmp.require_ingest();
    IF NOT sgmp.try_lock_aggregates(of_series, slots) THEN
        RETURN;
    END IF;
    SELECT array_agg(g.series_id), array_agg(g.slot) INTO kept_series, kept_slots
    FROM unnest(of_series, slots) AS g (series_id, slot) JOIN sgmp.series s USING (series_id) WHERE s.aggregated;
    IF kept_series IS NOT NULL THEN
        PERFORM sgmp.recompute_slots_of(kept_series, kept_slots);
        PERFORM sgmp.derive_hours_of(kept_series, kept_slots);
    END IF;
END
$$;

-- The same for whole ranges (UTC ms) of series, when much was stored at once.
CREATE FUNCTION sgmp.recompute_between(of_series integer[], from_ms bigint, to_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept integer[];
BEGIN
    PERFORM sgmp.require_ingest();
    IF NOT sgmp.try_lock_aggregates(of_series, ARRAY[from_ms, to_ms]) THEN
        RETURN;
    END IF;
    kept := ARRAY(SELECT s.series_id FROM sgmp.series s WHERE s.series_id = ANY (of_series) AND s.aggregated);
    IF cardinality(kept) > 0 THEN
        PERFORM sgmp.recompute_range(kept, sgmp.from_ms(from_ms), sgmp.from_ms(to_ms));
    END IF;
END
$$;

-- Registration -------------------------------------------------------------------------------------------------------

-- An identifier is asked for by its device's name: the series of whichever device has it now.
CREATE FUNCTION sgmp.apply_registration(house integer, device text, asked text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted boolean;
BEGIN
    -- What is being stored under this lock has not looked at the flag yet, or has been committed.
    PERFORM sgmp.take_lock('aggregates', house);
    wanted := EXISTS (SELECT FROM sgmp.aggregation a
                      WHERE a.house_id = house AND a.device_name = device AND a.field = asked);
    UPDATE sgmp.series s SET
        aggregated = wanted,
        unpopulated = CASE
            WHEN sgmp.on_timescale() THEN NULL
            -- From now on ingest keeps it; what is stored by now is to be populated.
            WHEN wanted THEN tstzrange(NULL, date_bin('5 minutes', greatest(now(), (
                SELECT max(r.ts) FROM sgmp.reading r WHERE r.series_id = s.series_id)),
                timestamptz '2000-01-01 00:00:00+00') + interval '5 minutes')
            ELSE '(,)'::tstzrange
        END
    FROM sgmp.device d
    WHERE d.device_id = s.device_id AND d.house_id = house AND d.name = device AND s.field = asked
      AND s.aggregated <> wanted;
END
$$;

CREATE FUNCTION sgmp.note_registration() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM sgmp.apply_registration(OLD.house_id, OLD.device_name, OLD.field);
    ELSE
        PERFORM sgmp.apply_registration(NEW.house_id, NEW.device_name, NEW.field);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER sgmp_note_registration AFTER INSERT OR DELETE ON sgmp.aggregation
FOR EACH ROW EXECUTE FUNCTION sgmp.note_registration();

-- A series that begins while its identifier is registered has nothing to populate.
CREATE FUNCTION sgmp.note_series() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Where the lock is taken, somebody may be registering this very field: what works off `late` looks again.
    IF NOT sgmp.try_lock('aggregates', NEW.house_id) THEN
        PERFORM sgmp.add_late(ARRAY[NEW.house_id], now(), now());
    END IF;
    NEW.aggregated := EXISTS (
        SELECT FROM sgmp.aggregation a JOIN sgmp.device d ON d.name = a.device_name AND d.house_id = a.house_id
        WHERE d.device_id = NEW.device_id AND a.field = NEW.field);
    NEW.unpopulated := CASE WHEN NEW.aggregated OR sgmp.on_timescale() THEN NULL ELSE '(,)'::tstzrange END;
    RETURN NEW;
END
$$;

CREATE TRIGGER sgmp_note_series BEFORE INSERT ON sgmp.series
FOR EACH ROW EXECUTE FUNCTION sgmp.note_series();

-- One step of populating a house, newest day first: returns how far it got and how far it has to go (both null when
-- nothing is left). Harmless to repeat and to stop in between.
CREATE FUNCTION sgmp.populate(house integer, OUT reached timestamptz, OUT oldest timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    upper_end timestamptz;
    chosen integer[];
    newest timestamptz;
BEGIN
    IF NOT (sgmp.may('manage_analytics') AND sgmp.sees_house(house)) THEN
        PERFORM sgmp.require_permission('manage_analytics');
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such house. It may have been deleted.';
    END IF;
    IF sgmp.on_timescale() THEN
        RETURN;
    END IF;
    PERFORM sgmp.take_lock('aggregates', house);
    SELECT max(upper(s.unpopulated)) INTO upper_end
    FROM sgmp.series s WHERE s.house_id = house AND s.aggregated AND s.unpopulated IS NOT NULL;
    IF upper_end IS NULL THEN
        RETURN;
    END IF;
    chosen := ARRAY(SELECT s.series_id FROM sgmp.series s
                    WHERE s.house_id = house AND s.aggregated AND upper(s.unpopulated) = upper_end);
    SELECT min(first.ts), max(last.ts) INTO oldest, newest
    FROM unnest(chosen) AS c (series_id)
    LEFT JOIN LATERAL (SELECT r.ts FROM sgmp.reading r WHERE r.series_id = c.series_id AND r.ts < upper_end
                       ORDER BY r.ts LIMIT 1) first ON true
    LEFT JOIN LATERAL (SELECT r.ts FROM sgmp.reading r WHERE r.series_id = c.series_id AND r.ts < upper_end
                       ORDER BY r.ts DESC LIMIT 1) last ON true;
    IF oldest IS NOT NULL THEN
        reached := date_trunc('day', newest, 'UTC');
        PERFORM sgmp.recompute_range(chosen, reached, upper_end);
    END IF;
    UPDATE sgmp.series s SET unpopulated = CASE WHEN reached > oldest THEN tstzrange(NULL, reached) END
    WHERE s.series_id = ANY (chosen);
    -- Others of the house may still be waiting: the caller goes on until this finds none.
    reached := COALESCE(reached, upper_end);
    oldest := COALESCE(oldest, upper_end);
END
$$;

-- Retention on plain PostgreSQL: whole weeks, once every aggregated series has them in its slots. Returns how many
-- weeks went. TimescaleDB has a policy for it. A reader makes it wait, and all who come after wait behind it: it soon
-- gives up (55P03), to be called again later.
CREATE FUNCTION sgmp.drop_old_readings(keep interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    partition record;
    dropped integer := 0;
BEGIN
    PERFORM sgmp.require_ingest();
    -- As instants: a month of an interval has as many days as it likes. And null is no answer.
    IF (now() - keep <= now() - interval '7 days') IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'Raw readings are kept for at least 7 days.';
    END IF;
    IF sgmp.on_timescale() THEN
        RETURN 0;
    END IF;
    FOR partition IN
        SELECT c.oid::regclass AS name, to_timestamp(right(c.relname, 8) || ' 00 +00', 'YYYYMMDD HH24 TZH') AS monday
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'sgmp.reading'::regclass ORDER BY 2
    LOOP
        EXIT WHEN partition.monday + interval '7 days' > now() - keep;
        EXIT WHEN EXISTS (SELECT FROM sgmp.series s
                          WHERE s.aggregated AND lower_inf(s.unpopulated) AND NOT upper_inf(s.unpopulated)
                            AND EXISTS (SELECT FROM sgmp.reading r
                                        WHERE r.series_id = s.series_id AND r.ts < upper(s.unpopulated)));
        EXECUTE format('DROP TABLE %s', partition.name);
        INSERT INTO sgmp.installation VALUES ('raw_kept_from', (partition.monday + interval '7 days')::text)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
        WHERE installation.value::timestamptz < excluded.value::timestamptz;
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

-- Late readings ------------------------------------------------------------------------------------------------------

-- On TimescaleDB a refresh computes a range again from its raw rows, of all series: it must not reach where raw rows may have
-- been dropped. Before this instant slots are merged, series by series; from it on, refreshed.
CREATE FUNCTION sgmp.refreshable_from() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN date_trunc('day', now() - interval '{refresh_days} days', 'UTC');

-- On TimescaleDB: readings of these series arrived after their time may have been aggregated.
CREATE FUNCTION sgmp.note_late(of_series integer[], from_ms bigint, to_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    horizon timestamptz := sgmp.refreshable_from();
    houses integer[] := ARRAY(SELECT DISTINCT s.house_id FROM sgmp.series s WHERE s.series_id = ANY (of_series) ORDER BY 1);
BEGIN
    PERFORM sgmp.require_ingest();
    IF sgmp.from_ms(from_ms) < horizon THEN
        PERFORM sgmp.move_watermarks();
        IF sgmp.try_locks('merge', houses) THEN
            PERFORM sgmp.merge_slots(of_series, sgmp.from_ms(from_ms), least(sgmp.from_ms(to_ms + 1), horizon));
        ELSE
            horizon := sgmp.from_ms(from_ms);  -- another that stores has the lock: all of it is late
        END IF;
    END IF;
    IF sgmp.from_ms(to_ms) >= horizon THEN
        PERFORM sgmp.add_late(houses, greatest(sgmp.from_ms(from_ms), horizon), sgmp.from_ms(to_ms));
    END IF;
END
$$;

-- On TimescaleDB an aggregate is read up to its watermark; after it, raw rows are. Only a refresh that finds readings moves the
-- watermark, so that what is merged behind it would be invisible once its raw rows are dropped. Where no recent reading has
-- moved it, one of series 0, which no device has, is left for the policies to find (they look 26 days back, up to 2 hours ago).
-- WORKAROUND: a watermark can't be moved otherwise; there is no upstream report.
CREATE FUNCTION sgmp.watermark_at() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN now() - interval '6 hours';

CREATE FUNCTION sgmp.move_watermarks() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- MATERIALIZED: otherwise the plan may ask for the watermark of each hypertable there is, and of one that is no
    -- aggregate that is an error.
    IF EXISTS (
        WITH aggregates AS MATERIALIZED (
            SELECT h.id FROM timescaledb_information.continuous_aggregates c
            JOIN _timescaledb_catalog.hypertable h
              ON h.schema_name = c.materialization_hypertable_schema AND h.table_name = c.materialization_hypertable_name
            WHERE c.view_schema = 'sgmp'
        )
        SELECT FROM aggregates a
        WHERE _timescaledb_functions.to_timestamp(_timescaledb_functions.cagg_watermark(a.id)) < sgmp.refreshable_from()
    ) THEN
        -- The transaction's own instant: who does the same at the same time doesn't wait.
        INSERT INTO sgmp.reading (series_id, ts, value) VALUES (0, sgmp.watermark_at(), 0) ON CONFLICT DO NOTHING;
    END IF;
END
$$;

-- On TimescaleDB: bring the raw rows of these series in a range into the slots and hours, where they are at least as many as
-- were counted before. For ranges that no refresh reaches any more, since it would take all series again from raw rows, and
-- those of others may have been dropped.
-- WORKAROUND: writes to the tables below the continuous aggregates; there is no upstream report, and no other way to add a
-- range of some series.
CREATE FUNCTION sgmp.merge_slots(of_series integer[], from_ts timestamptz, to_ts timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    slot_table text;
    hour_table text;
    from_slot timestamptz := date_bin('5 minutes', from_ts, timestamptz '2000-01-01 00:00:00+00');
    -- The last slot is computed whole: it may hold readings after the last that came late.
    to_slot timestamptz := date_bin('5 minutes', to_ts - interval '1 microsecond', timestamptz '2000-01-01 00:00:00+00')
                           + interval '5 minutes';
BEGIN
    SELECT max(format('%I.%I', c.materialization_hypertable_schema, c.materialization_hypertable_name))
               FILTER (WHERE c.view_name = 'slot'),
           max(format('%I.%I', c.materialization_hypertable_schema, c.materialization_hypertable_name))
               FILTER (WHERE c.view_name = 'hour')
    INTO slot_table, hour_table
    FROM timescaledb_information.continuous_aggregates c WHERE c.view_schema = 'sgmp';
    EXECUTE format($merge$
        WITH computed AS (
            SELECT r.series_id, date_bin('5 minutes', r.ts, timestamptz '2000-01-01 00:00:00+00') AS slot, count(*) AS n,
                   sum(r.value) AS sum, sum(greatest(r.value, 0)) AS positive_sum, sum(least(r.value, 0)) AS negative_sum,
                   min(r.value) AS minimum, max(r.value) AS maximum, sum(sgmp.timestamp_hash(r.ts)) AS timestamp_hash
            FROM sgmp.reading r
            WHERE r.series_id = ANY ($1) AND r.ts >= $2 AND r.ts < $3
            GROUP BY 1, 2
        ), better AS (
            SELECT c.* FROM computed c
            LEFT JOIN %1$s k ON k.series_id = c.series_id AND k.slot = c.slot AND k.slot >= $2 AND k.slot < $3
            WHERE k.n IS NULL OR c.n >= k.n
        ), replaced AS (
            DELETE FROM %1$s k USING better b
            WHERE k.series_id = b.series_id AND k.slot = b.slot AND k.slot >= $2 AND k.slot < $3
        )
        INSERT INTO %1$s (series_id, slot, n, sum, positive_sum, negative_sum, minimum, maximum, timestamp_hash)
        SELECT series_id, slot, n, sum, positive_sum, negative_sum, minimum, maximum, timestamp_hash FROM better
    $merge$, slot_table) USING of_series, from_slot, to_slot;
    EXECUTE format($merge$
        DELETE FROM %1$s WHERE series_id = ANY ($1) AND hour >= date_trunc('hour', $2, 'UTC') AND hour < $3
    $merge$, hour_table) USING of_series, from_slot, to_slot;
    EXECUTE format($merge$
        INSERT INTO %2$s (series_id, hour, covered, sum, positive_sum, negative_sum, minimum, maximum, n, timestamp_hash)
        SELECT s.series_id, date_trunc('hour', s.slot, 'UTC'), count(*), sum(s.sum / s.n), sum(s.positive_sum / s.n),
               sum(s.negative_sum / s.n), min(s.minimum), max(s.maximum), sum(s.n)::bigint, sum(s.timestamp_hash)::bigint
        FROM %1$s s
        WHERE s.series_id = ANY ($1) AND s.slot >= date_trunc('hour', $2, 'UTC')
          AND s.slot < date_trunc('hour', $3 - interval '1 microsecond', 'UTC') + interval '1 hour'
        GROUP BY 1, 2
    $merge$, slot_table, hour_table) USING of_series, from_slot, to_slot;
END
$$;

-- Looks again at which fields of a house are registered. Under the house's lock.
CREATE FUNCTION sgmp.apply_registrations(house integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.apply_registration(d.house_id, d.name, s.field)
    FROM sgmp.series s JOIN sgmp.device d ON d.device_id = s.device_id
    WHERE s.house_id = house AND s.aggregated <> EXISTS (
        SELECT FROM sgmp.aggregation a
        WHERE a.house_id = house AND a.device_name = d.name AND a.field = s.field);
END
$$;

-- A job of TimescaleDB's scheduler, each minute; houses whose locks are taken wait. A range is late until it is refreshed:
-- who reads meanwhile counts it raw.
CREATE OR REPLACE PROCEDURE sgmp.refresh_late(job_id integer, config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    house integer;
    present bigint[] := '{}';
    old record;
    whole record;
BEGIN
    IF EXISTS (SELECT FROM sgmp.late l WHERE l.from_ts < sgmp.refreshable_from()) THEN
        PERFORM sgmp.move_watermarks();
    END IF;
    FOR house IN SELECT DISTINCT l.house_id FROM sgmp.late l ORDER BY 1 LOOP
        CONTINUE WHEN NOT (sgmp.try_lock('aggregates', house) AND sgmp.try_lock('merge', house));
        PERFORM sgmp.apply_registrations(house);
        present := present || ARRAY(SELECT l.late_id FROM sgmp.late l WHERE l.house_id = house);
        FOR old IN  -- what was stored while another had the lock, or waited for days, while no job ran
            SELECT lower(r) AS from_ts, upper(r) AS to_ts
            FROM (SELECT unnest(range_agg(tstzrange(l.from_ts, l.to_ts))
                                * tstzmultirange(tstzrange(NULL, sgmp.refreshable_from()))) AS r
                  FROM sgmp.late l WHERE l.house_id = house AND l.late_id = ANY (present)) ranges
        LOOP
            PERFORM sgmp.merge_slots(
                ARRAY(SELECT s.series_id FROM sgmp.series s WHERE s.house_id = house), old.from_ts, old.to_ts);
        END LOOP;
    END LOOP;
    COMMIT;
    FOR whole IN
        SELECT greatest(lower(r), sgmp.refreshable_from()) AS from_ts, upper(r) AS to_ts
        FROM (SELECT unnest(range_agg(tstzrange(l.from_ts, l.to_ts))) AS r
              FROM sgmp.late l WHERE l.late_id = ANY (present)) ranges
    LOOP
        CONTINUE WHEN whole.to_ts <= whole.from_ts;
        CALL public.refresh_continuous_aggregate('sgmp.slot', whole.from_ts, whole.to_ts);
        CALL public.refresh_continuous_aggregate('sgmp.hour', whole.from_ts, whole.to_ts);
    END LOOP;
    DELETE FROM sgmp.late l WHERE l.late_id = ANY (present);
END
$$;

-- The same on plain PostgreSQL, for ingest to call each minute: houses whose lock is taken wait. Returns how many ranges.
CREATE FUNCTION sgmp.recompute_late() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    house integer;
    present bigint[];
    whole record;
    done integer := 0;
BEGIN
    PERFORM sgmp.require_ingest();
    IF sgmp.on_timescale() THEN
        RETURN 0;
    END IF;
    FOR house IN SELECT DISTINCT l.house_id FROM sgmp.late l ORDER BY 1 LOOP
        CONTINUE WHEN NOT sgmp.try_lock('aggregates', house);
        present := ARRAY(SELECT l.late_id FROM sgmp.late l WHERE l.house_id = house);
        PERFORM sgmp.apply_registrations(house);
        FOR whole IN
            SELECT lower(r) AS from_ts, upper(r) AS to_ts
            FROM (SELECT unnest(range_agg(tstzrange(l.from_ts, l.to_ts))) AS r
                  FROM sgmp.late l WHERE l.late_id = ANY (present)) ranges
        LOOP
            PERFORM sgmp.recompute_range(
                ARRAY(SELECT s.series_id FROM sgmp.series s WHERE s.house_id = house AND s.aggregated),
                whole.from_ts, whole.to_ts);
        END LOOP;
        DELETE FROM sgmp.late l WHERE l.late_id = ANY (present);
        done := done + cardinality(present);
    END LOOP;
    RETURN done;
END
$$;

-- Of these slots (start in UTC ms) the ones whose raw rows have been dropped: a reading that arrives for one now can't be known
-- from a repeat, and can't be kept.
CREATE FUNCTION sgmp.closed_slots(of_series integer[], slots bigint[]) RETURNS TABLE (series_id integer, slot bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    kept_from timestamptz := sgmp.raw_kept_from();
    first_slot timestamptz := sgmp.from_ms((SELECT min(s) FROM unnest(slots) s));
    last_slot timestamptz := sgmp.from_ms((SELECT max(s) FROM unnest(slots) s));
BEGIN
    PERFORM sgmp.require_ingest();
    IF first_slot >= kept_from THEN
        RETURN;
    END IF;
    -- Counted in one pass: a count of its own for each slot would unpack the same compressed rows again and again.
    RETURN QUERY
        WITH stored AS MATERIALIZED (
            SELECT r.series_id, date_bin('5 minutes', r.ts, timestamptz '2000-01-01 00:00:00+00') AS slot, count(*) AS n
            FROM sgmp.reading r
            WHERE r.series_id = ANY (of_series) AND r.ts >= first_slot AND r.ts < least(last_slot + interval '5 minutes', kept_from)
            GROUP BY 1, 2
        )
        SELECT g.of_series, g.slot
        FROM (SELECT DISTINCT a.of_series, a.slot FROM unnest(of_series, slots) AS a (of_series, slot)) g
        JOIN sgmp.slot k ON k.series_id = g.of_series AND k.slot = sgmp.from_ms(g.slot)
            AND k.slot >= first_slot AND k.slot <= last_slot
        LEFT JOIN stored s ON s.series_id = g.of_series AND s.slot = sgmp.from_ms(g.slot)
        WHERE k.slot < kept_from AND k.n > COALESCE(s.n, 0);
END
$$;

-- Reading ------------------------------------------------------------------------------------------------------------

-- The late ranges among these, of the houses of these series; null if there are none.
CREATE FUNCTION sgmp.late_ranges(of_series integer[], starting timestamptz, ending timestamptz) RETURNS tstzmultirange
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT range_agg(tstzrange(l.from_ts, l.to_ts) * tstzrange(starting, ending)) FROM sgmp.late l
    WHERE l.from_ts < ending AND l.to_ts > starting
      AND l.house_id IN (SELECT s.house_id FROM sgmp.series s WHERE s.series_id = ANY (of_series)));

-- Slots as they are once late ranges are worked off: there, as computed from the raw rows, unless more were counted before.
CREATE FUNCTION sgmp.current_slots(of_series integer[], from_ts timestamptz, to_ts timestamptz, late tstzmultirange)
RETURNS TABLE (
    series_id integer, slot timestamptz, n bigint, sum double precision, positive_sum double precision,
    negative_sum double precision, minimum double precision, maximum double precision, timestamp_hash bigint
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF late IS NULL THEN
        RETURN QUERY
            SELECT a.series_id, a.slot, a.n, a.sum, a.positive_sum, a.negative_sum, a.minimum, a.maximum, a.timestamp_hash::bigint
            FROM sgmp.slot a WHERE a.series_id = ANY (of_series) AND a.slot >= from_ts AND a.slot < to_ts;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT DISTINCT ON (u.series_id, u.slot)
               u.series_id, u.slot, u.n, u.sum, u.positive_sum, u.negative_sum, u.minimum, u.maximum, u.timestamp_hash
        FROM (
            SELECT a.series_id, a.slot, a.n, a.sum, a.positive_sum, a.negative_sum, a.minimum, a.maximum,
                   a.timestamp_hash::bigint, false AS computed
            FROM sgmp.slot a WHERE a.series_id = ANY (of_series) AND a.slot >= from_ts AND a.slot < to_ts
            UNION ALL
            SELECT r.series_id, date_bin('5 minutes', r.ts, timestamptz '2000-01-01 00:00:00+00'), count(*), sum(r.value),
                   sum(greatest(r.value, 0)), sum(least(r.value, 0)), min(r.value), max(r.value),
                   sum(sgmp.timestamp_hash(r.ts))::bigint, true
            FROM unnest(late) AS l (range)
            JOIN sgmp.reading r ON r.ts >= lower(l.range) AND r.ts < upper(l.range)
            JOIN sgmp.series s ON s.series_id = r.series_id
            WHERE r.series_id = ANY (of_series) AND (s.aggregated OR sgmp.on_timescale())
            GROUP BY 1, 2
        ) u
        ORDER BY u.series_id, u.slot, u.n DESC, u.computed DESC;
END
$$;

-- Slots that begin in [from_ts, to_ts), a row for each series: their columns, one after the other in PostgreSQL's binary
-- form, in no order.
CREATE FUNCTION sgmp.packed_slots(asked integer[], from_ts timestamptz, to_ts timestamptz) RETURNS TABLE (
    series_id integer, starts bytea, n bytea, sums bytea, positive_sums bytea, negative_sums bytea, minima bytea,
    maxima bytea, hashes bytea
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    readable integer[] := sgmp.readable_series(asked);
    late tstzmultirange := sgmp.late_ranges(readable, from_ts, to_ts);
BEGIN
    IF late IS NOT NULL THEN
        RETURN QUERY
            SELECT a.series_id, string_agg(timestamptz_send(a.slot), ''::bytea), string_agg(int8send(a.n), ''::bytea),
                   string_agg(float8send(a.sum), ''::bytea), string_agg(float8send(a.positive_sum), ''::bytea),
                   string_agg(float8send(a.negative_sum), ''::bytea), string_agg(float8send(a.minimum), ''::bytea),
                   string_agg(float8send(a.maximum), ''::bytea), string_agg(int8send(a.timestamp_hash), ''::bytea)
            FROM sgmp.current_slots(readable, from_ts, to_ts, late) a GROUP BY a.series_id;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.series_id, string_agg(timestamptz_send(a.slot), ''::bytea), string_agg(int8send(a.n), ''::bytea),
               string_agg(float8send(a.sum), ''::bytea), string_agg(float8send(a.positive_sum), ''::bytea),
               string_agg(float8send(a.negative_sum), ''::bytea), string_agg(float8send(a.minimum), ''::bytea),
               string_agg(float8send(a.maximum), ''::bytea), string_agg(int8send(a.timestamp_hash::bigint), ''::bytea)
        FROM sgmp.slot a
        WHERE a.series_id = ANY (readable) AND a.slot >= from_ts AND a.slot < to_ts
        GROUP BY a.series_id;
END
$$;

-- The same for hours.
CREATE FUNCTION sgmp.packed_hours(asked integer[], from_ts timestamptz, to_ts timestamptz) RETURNS TABLE (
    series_id integer, starts bytea, covered bytea, sums bytea, positive_sums bytea, negative_sums bytea, minima bytea,
    maxima bytea, n bytea, hashes bytea
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    readable integer[] := sgmp.readable_series(asked);
    from_hour timestamptz := date_trunc('hour', from_ts, 'UTC');
    to_hour timestamptz := date_trunc('hour', to_ts + interval '1 hour' - interval '1 microsecond', 'UTC');
    late tstzmultirange := sgmp.late_ranges(readable, from_hour, to_hour);
BEGIN
    IF late IS NOT NULL THEN
        RETURN QUERY
            WITH derived AS (
                SELECT s.series_id, date_trunc('hour', s.slot, 'UTC') AS hour, count(*) AS covered, sum(s.sum / s.n) AS sum,
                       sum(s.positive_sum / s.n) AS positive_sum, sum(s.negative_sum / s.n) AS negative_sum,
                       min(s.minimum) AS minimum, max(s.maximum) AS maximum, sum(s.n)::bigint AS n,
                       sum(s.timestamp_hash)::bigint AS timestamp_hash
                FROM unnest(late) AS l (range),
                     LATERAL sgmp.current_slots(
                         readable, lower(l.range), upper(l.range), tstzmultirange(l.range)) s
                GROUP BY 1, 2
            ), present AS (
                SELECT d.* FROM derived d WHERE d.hour >= from_ts AND d.hour < to_ts
                UNION ALL
                SELECT h.series_id, h.hour, h.covered, h.sum, h.positive_sum, h.negative_sum, h.minimum, h.maximum, h.n,
                       h.timestamp_hash::bigint
                FROM sgmp.hour h
                WHERE h.series_id = ANY (readable) AND h.hour >= from_ts AND h.hour < to_ts
                  AND NOT EXISTS (SELECT FROM derived d WHERE d.series_id = h.series_id AND d.hour = h.hour)
            )
            SELECT a.series_id, string_agg(timestamptz_send(a.hour), ''::bytea), string_agg(int8send(a.covered), ''::bytea),
                   string_agg(float8send(a.sum), ''::bytea), string_agg(float8send(a.positive_sum), ''::bytea),
                   string_agg(float8send(a.negative_sum), ''::bytea), string_agg(float8send(a.minimum), ''::bytea),
                   string_agg(float8send(a.maximum), ''::bytea), string_agg(int8send(a.n), ''::bytea),
                   string_agg(int8send(a.timestamp_hash), ''::bytea)
            FROM present a GROUP BY a.series_id;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.series_id, string_agg(timestamptz_send(a.hour), ''::bytea), string_agg(int8send(a.covered), ''::bytea),
               string_agg(float8send(a.sum), ''::bytea), string_agg(float8send(a.positive_sum), ''::bytea),
               string_agg(float8send(a.negative_sum), ''::bytea), string_agg(float8send(a.minimum), ''::bytea),
               string_agg(float8send(a.maximum), ''::bytea), string_agg(int8send(a.n), ''::bytea),
               string_agg(int8send(a.timestamp_hash::bigint), ''::bytea)
        FROM sgmp.hour a
        WHERE a.series_id = ANY (readable) AND a.hour >= from_ts AND a.hour < to_ts
        GROUP BY a.series_id;
END
$$;
