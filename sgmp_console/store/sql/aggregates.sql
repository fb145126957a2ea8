-- Continuous aggregates: which series have them, how plain PostgreSQL keeps them, who reads them.
--
-- On TimescaleDB `slot` and `hour` are continuous aggregates over all readings and keep themselves. On plain PostgreSQL
-- they are tables of the same columns, and hold the series that some analytic item registered:
--   fold           adds readings that are new to their slots; it needs no raw row but these
--   refold         counts slots anew from the raw rows, unless fewer of these are left than were counted before
--   populate       refolds what was stored before a series was registered, newest first, in steps
-- Everything that changes the aggregates of a house holds the house's lock until it commits, so that what is derived
-- (hours from slots) never misses what another has not yet committed. What writes to them is PL/pgSQL, which is not
-- looked at before it runs: on TimescaleDB these are views, and it never does.

CREATE FUNCTION sgmp.on_timescale() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT c.relkind = 'v' FROM pg_class c WHERE c.oid = 'sgmp.slot'::regclass);

CREATE FUNCTION sgmp.lock_aggregates(houses integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one integer;
BEGIN
    FOR one IN SELECT DISTINCT h FROM unnest(houses) h ORDER BY h LOOP
        PERFORM pg_advisory_xact_lock('sgmp.aggregation'::regclass::integer, one);
    END LOOP;
END
$$;

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
           sum(s.negative_sum / s.n), min(s.minimum), max(s.maximum), sum(s.n)::bigint, sum(s.instants)::bigint
    FROM sgmp.slot s
    WHERE s.series_id = ANY (of_series) AND s.slot >= from_hour AND s.slot < to_hour
    GROUP BY 1, 2
    ON CONFLICT (series_id, hour) DO UPDATE SET
        covered = excluded.covered, sum = excluded.sum, positive_sum = excluded.positive_sum,
        negative_sum = excluded.negative_sum, minimum = excluded.minimum, maximum = excluded.maximum,
        n = excluded.n, instants = excluded.instants;
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

-- Count these slots anew from what raw rows there are. A slot that had counted more keeps what it knew: its raw rows
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
        minimum = excluded.minimum, maximum = excluded.maximum, instants = excluded.instants
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
        minimum = excluded.minimum, maximum = excluded.maximum, instants = excluded.instants
    WHERE excluded.n >= known.n;
    PERFORM sgmp.derive_hours(
        of_series, date_trunc('hour', from_slot, 'UTC'),
        date_trunc('hour', to_slot + interval '1 hour' - interval '1 microsecond', 'UTC'));
END
$$;

-- Before this instant raw readings have been dropped, so that a repeat of one can't be told from a new one. TimescaleDB
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
    negative_sums double precision[], minima double precision[], maxima double precision[], instants bigint[]
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
    PERFORM sgmp.lock_aggregates(ARRAY(SELECT DISTINCT s.house_id FROM sgmp.series s WHERE s.series_id = ANY (of_series)));
    kept := ARRAY(SELECT s.series_id FROM sgmp.series s WHERE s.series_id = ANY (of_series) AND s.aggregated);
    IF cardinality(kept) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO sgmp.slot AS known
    SELECT g.series_id, sgmp.from_ms(g.slot), g.n, g.sum, g.positive_sum, g.negative_sum, g.minimum, g.maximum, g.instants
    FROM unnest(of_series, slots, counts, sums, positive_sums, negative_sums, minima, maxima, instants)
         AS g (series_id, slot, n, sum, positive_sum, negative_sum, minimum, maximum, instants)
    WHERE g.series_id = ANY (kept) AND sgmp.from_ms(g.slot) >= kept_from
    ON CONFLICT (series_id, slot) DO UPDATE SET
        n = known.n + excluded.n, sum = known.sum + excluded.sum,
        positive_sum = known.positive_sum + excluded.positive_sum,
        negative_sum = known.negative_sum + excluded.negative_sum,
        minimum = least(known.minimum, excluded.minimum), maximum = greatest(known.maximum, excluded.maximum),
        instants = known.instants + excluded.instants;
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
    PERFORM sgmp.lock_aggregates(ARRAY(SELECT DISTINCT s.house_id FROM sgmp.series s WHERE s.series_id = ANY (of_series)));
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
    PERFORM sgmp.lock_aggregates(ARRAY(SELECT DISTINCT s.house_id FROM sgmp.series s WHERE s.series_id = ANY (of_series)));
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
    PERFORM sgmp.lock_aggregates(ARRAY[house]);
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
    PERFORM sgmp.lock_aggregates(ARRAY[NEW.house_id]);
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
    PERFORM sgmp.lock_aggregates(ARRAY[house]);
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
-- weeks went. TimescaleDB has a policy for it.
CREATE FUNCTION sgmp.drop_old_readings(keep interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

-- On TimescaleDB: readings arrived further back than the refresh policies look. Older ones than 30 days stay out of the
-- aggregates, since a refresh there could find raw readings of others dropped.
CREATE FUNCTION sgmp.note_late(from_ms bigint, to_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    from_ts timestamptz := greatest(sgmp.from_ms(from_ms), now() - interval '30 days');
BEGIN
    PERFORM sgmp.require_ingest();
    IF sgmp.from_ms(to_ms) > from_ts THEN
        INSERT INTO sgmp.late VALUES (from_ts, sgmp.from_ms(to_ms));
    END IF;
END
$$;

-- A job of TimescaleDB's scheduler, each minute.
CREATE OR REPLACE PROCEDURE sgmp.refresh_late(job_id integer, config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    noted record;
BEGIN
    LOOP
        DELETE FROM sgmp.late WHERE ctid = (SELECT ctid FROM sgmp.late LIMIT 1) RETURNING * INTO noted;
        EXIT WHEN NOT FOUND;
        CALL public.refresh_continuous_aggregate(
            'sgmp.slot', date_trunc('hour', noted.from_ts, 'UTC'), date_trunc('hour', noted.to_ts, 'UTC') + interval '1 hour');
        CALL public.refresh_continuous_aggregate(
            'sgmp.hour', date_trunc('hour', noted.from_ts, 'UTC'), date_trunc('hour', noted.to_ts, 'UTC') + interval '1 hour');
    END LOOP;
END
$$;

-- Reading ------------------------------------------------------------------------------------------------------------

CREATE VIEW sgmp.slots WITH (security_barrier) AS
SELECT a.series_id, a.slot, sgmp.leak_barrier(a.n) AS n, sgmp.leak_barrier(a.sum) AS sum,
       sgmp.leak_barrier(a.positive_sum) AS positive_sum, sgmp.leak_barrier(a.negative_sum) AS negative_sum,
       sgmp.leak_barrier(a.minimum) AS minimum, sgmp.leak_barrier(a.maximum) AS maximum, sgmp.leak_barrier(a.instants) AS instants
FROM sgmp.slot a
WHERE {series_visible};
COMMENT ON VIEW sgmp.slots IS 'sgmp program';

CREATE VIEW sgmp.hours WITH (security_barrier) AS
SELECT a.series_id, a.hour, sgmp.leak_barrier(a.covered) AS covered, sgmp.leak_barrier(a.sum) AS sum,
       sgmp.leak_barrier(a.positive_sum) AS positive_sum, sgmp.leak_barrier(a.negative_sum) AS negative_sum,
       sgmp.leak_barrier(a.minimum) AS minimum, sgmp.leak_barrier(a.maximum) AS maximum, sgmp.leak_barrier(a.n) AS n,
       sgmp.leak_barrier(a.instants) AS instants
FROM sgmp.hour a
WHERE {series_visible};
COMMENT ON VIEW sgmp.hours IS 'sgmp program';
