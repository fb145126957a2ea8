-- Reading events.

-- Of one house, from_ts <= ts < to_ts, in order of time. No `devices` or `types` mean all.
CREATE FUNCTION sgmp.events_between(
    house integer, from_ts timestamptz, to_ts timestamptz, devices text[] DEFAULT '{}', types text[] DEFAULT '{}'
) RETURNS SETOF sgmp.event
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT sgmp.sees_contents_of(house) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT e.* FROM sgmp.event e
        WHERE e.house_id = house AND e.ts >= from_ts AND e.ts < to_ts
          AND (cardinality(devices) = 0 OR e.device_name = ANY (devices))
          AND (cardinality(types) = 0 OR e.type = ANY (types))
        ORDER BY e.ts, e.event_id;
END
$$;

-- The newest of one house first, of from_ts <= ts < to_ts, at most `newest`. The next part: to_ts and before_id are those of the
-- last event of the part before. `sought` is looked for in device, type and data, in small and capital letters alike.
CREATE FUNCTION sgmp.newest_events(
    house integer, from_ts timestamptz, to_ts timestamptz, before_id bigint, devices text[], types text[], sought text,
    newest integer
) RETURNS SETOF sgmp.event
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT sgmp.sees_contents_of(house) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT e.* FROM sgmp.event e
        WHERE e.house_id = house AND e.ts >= from_ts AND (e.ts, e.event_id) < (to_ts, before_id)
          AND (cardinality(devices) = 0 OR e.device_name = ANY (devices))
          AND (cardinality(types) = 0 OR e.type = ANY (types))
          AND (sought = '' OR position(lower(sought) IN lower(concat_ws(' ', e.device_name, e.type, e.data))) > 0)
        ORDER BY e.ts DESC, e.event_id DESC
        LIMIT newest;
END
$$;

-- The types that have come from a house: one step along the index for each, since a house can have a million events of a
-- handful of types.
CREATE FUNCTION sgmp.event_types(house integer) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    present text;
BEGIN
    IF NOT sgmp.sees_contents_of(house) THEN
        RETURN;
    END IF;
    FOR step IN 1..1000 LOOP  -- a device has a handful; one that invents types stops here
        present := (SELECT e.type FROM sgmp.event e WHERE e.house_id = house AND (present IS NULL OR e.type > present)
                    ORDER BY e.type LIMIT 1);
        EXIT WHEN present IS NULL;
        RETURN NEXT present;
    END LOOP;
END
$$;

-- What a house's edge reported of itself since a time, and of one device, in order of time: at most so many, the newest. Numbers
-- as they came: what is one is for the reader to say.
CREATE FUNCTION sgmp.edge_statuses(house integer, device text, since timestamptz, newest integer)
RETURNS TABLE (ts timestamptz, state text, outcome text, numbers jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT sgmp.sees_contents_of(house) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT lately.* FROM (
            SELECT e.ts, left(e.data ->> 'state', 16), left(e.data #>> ARRAY['devices', device], 64),
                   jsonb_build_array(e.data -> 'backlog', e.data -> 'disk_free_mb', e.data -> 'uptime_s')
            FROM sgmp.event e
            WHERE e.house_id = house AND e.type = 'EDGE_STATUS' AND e.ts >= since AND e.device_id IS NULL
            ORDER BY e.ts DESC LIMIT newest
        ) lately ORDER BY lately.ts;
END
$$;

-- Texts of a house's devices (their states) that differ from the one before, the newest first: of the newest `newest` that are
-- stored of each field in from_ts <= ts < to_ts. What changes more often than every five minutes is a clock or a counter, and
-- is left out. Here and not beside the texts, since it is read along with events.
CREATE FUNCTION sgmp.state_changes(house integer, from_ts timestamptz, to_ts timestamptz, newest integer)
RETURNS TABLE (ts timestamptz, device text, field text, value text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    RETURN QUERY
        SELECT c.ts, c.device, c.field, c.value
        FROM (
            SELECT t.ts, f.device, f.field, t.value, count(*) OVER of_field AS changes,
                   max(t.ts) OVER of_field - min(t.ts) OVER of_field AS span
            FROM sgmp.fields_of(house) f
            CROSS JOIN LATERAL (
                SELECT x.ts, x.value, COALESCE(lag(x.value) OVER (ORDER BY x.ts), (
                           SELECT p.value FROM sgmp.text_reading p
                           WHERE p.series_id = f.series_id AND p.ts < x.ts ORDER BY p.ts DESC LIMIT 1)) AS before
                FROM (
                    SELECT l.ts, l.value FROM sgmp.text_reading l
                    WHERE l.series_id = f.series_id AND l.ts >= from_ts AND l.ts < to_ts ORDER BY l.ts DESC LIMIT newest
                ) x
            ) t
            WHERE t.before IS DISTINCT FROM t.value
            WINDOW of_field AS (PARTITION BY f.series_id)
        ) c
        WHERE c.changes <= 20 OR c.span > (c.changes - 1) * interval '5 minutes'
        ORDER BY c.ts DESC, c.device, c.field LIMIT newest;
END
$$;
