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
