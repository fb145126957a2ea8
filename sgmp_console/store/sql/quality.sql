-- Quality of readings (docs/quality.md): the watch checks each house's days when they are over (its rights to the tables are in
-- rights.sql), ingest notes what came after that, and accounts read what was found.

-- Readings of these houses, each between two instants (UTC ms), came so late that their day may have been checked. Only adds
-- rows, so that who stores waits for nobody.
CREATE FUNCTION sgmp.note_unchecked(houses integer[], from_ms bigint[], to_ms bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_ingest();
    INSERT INTO sgmp.unchecked (house_id, from_ts, to_ts)
    SELECT n.house, sgmp.from_ms(n.since), sgmp.from_ms(n.until + 1) FROM unnest(houses, from_ms, to_ms) AS n (house, since, until);
END
$$;

-- The series of a house's devices in use, for a check of a day that begins at `day_from`. `recent`: it had a reading in the
-- week before; `expected`: in the hour before, or the day before ended with its field vanished (the bit `vanished`).
CREATE FUNCTION sgmp.series_to_check(house integer, day_from timestamptz, vanished integer) RETURNS TABLE (
    device text, type text, field text, series_id integer, unit text, recent boolean, expected boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT d.name, d.type, s.field, s.series_id, s.unit,
               EXISTS (SELECT FROM sgmp.reading r
                       WHERE r.series_id = s.series_id AND r.ts >= day_from - interval '168 hours' AND r.ts < day_from),
               EXISTS (SELECT FROM sgmp.reading r
                       WHERE r.series_id = s.series_id AND r.ts >= day_from - interval '1 hour' AND r.ts < day_from)
               OR EXISTS (SELECT FROM sgmp.quality_run q
                          WHERE q.house_id = house AND q.series_id = s.series_id AND q.to_ts = day_from
                            AND q.from_ts >= day_from - interval '26 hours' AND q.bits & vanished <> 0)
        FROM sgmp.device d JOIN sgmp.series s ON s.device_id = d.device_id
        WHERE d.house_id = house AND d.deleted_at IS NULL;
END
$$;

-- The newest checked day of each house on which something was found, or something was silent.
CREATE FUNCTION sgmp.quality_faults() RETURNS TABLE (house_id integer, from_ts timestamptz, faults jsonb, silent jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT h.house_id, newest.from_ts, newest.faults, newest.silent
        FROM sgmp.house h
        CROSS JOIN LATERAL (
            SELECT q.from_ts, q.faults, q.silent FROM sgmp.quality_day q WHERE q.house_id = h.house_id ORDER BY q.day DESC LIMIT 1
        ) newest
        WHERE h.deleted_at IS NULL AND (newest.faults <> '[]' OR newest.silent <> '[]');
END
$$;

-- The days of a house between two instants that were checked, and by which version (0: it is to be checked again).
CREATE FUNCTION sgmp.checked_days(house integer, since timestamptz, until timestamptz)
RETURNS TABLE (from_ts timestamptz, to_ts timestamptz, version integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.sees_contents_of(house) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT q.from_ts, q.to_ts, q.version FROM sgmp.quality_day q
        WHERE q.house_id = house AND q.to_ts > since AND q.from_ts < until ORDER BY q.from_ts;
END
$$;

-- What was found in a house between two instants; series 0 is its balance.
CREATE FUNCTION sgmp.quality_between(house integer, since timestamptz, until timestamptz)
RETURNS TABLE (series_id integer, from_ts timestamptz, to_ts timestamptz, bits integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.sees_contents_of(house) THEN
        RETURN;
    END IF;
    RETURN QUERY
        -- A run ends with its day, which has at most 25 hours.
        SELECT q.series_id, q.from_ts, q.to_ts, q.bits FROM sgmp.quality_run q
        WHERE q.house_id = house AND q.from_ts > since - interval '26 hours' AND q.from_ts < until AND q.to_ts > since
        ORDER BY q.series_id, q.from_ts;
END
$$;

-- How many slots of each of these houses were judged on the days that ended in a time, how many have a flag, and the counts of each day.
CREATE FUNCTION sgmp.quality_of_houses(asked integer[], since timestamptz)
RETURNS TABLE (house_id integer, days integer, slots bigint, flagged bigint, counts jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.sees_contents() THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT h.house_id, lately.days, lately.slots, lately.flagged, lately.counts
        FROM sgmp.house h
        CROSS JOIN LATERAL (  -- by the primary key: the days of years are in the table
            SELECT count(*)::integer AS days, sum(q.slots) AS slots, sum(q.flagged) AS flagged, jsonb_agg(q.counts) AS counts
            FROM sgmp.quality_day q
            WHERE q.house_id = h.house_id AND q.day >= (since AT TIME ZONE 'UTC')::date - 1 AND q.to_ts > since
        ) lately
        WHERE h.house_id = ANY (asked) AND lately.days > 0 AND h.deleted_at IS NULL
          AND ((SELECT sgmp.sees_every_house()) OR h.house_id = (SELECT sgmp.my_house()));
END
$$;
