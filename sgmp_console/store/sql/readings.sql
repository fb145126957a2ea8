-- How accounts read measurements.

-- The ones of these series that the account may read.
CREATE FUNCTION sgmp.readable_series(asked integer[]) RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN sgmp.sees_contents()
    THEN ARRAY(SELECT s.series_id FROM sgmp.series s WHERE s.series_id = ANY (asked) AND {house_visible})
    ELSE ARRAY[]::integer[] END;

-- The series of a house, with their device's name and type. Where devices had the same name, the series of the one that
-- has it now, else of the last.
CREATE FUNCTION sgmp.fields_of(house integer) RETURNS TABLE (
    device text, type text, field text, series_id integer, unit text, aggregated boolean, populated_from timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.sees_contents_of(house) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT d.name, d.type, s.field, s.series_id, s.unit, s.aggregated, upper(s.unpopulated)
        FROM (SELECT DISTINCT ON (o.name) o.device_id, o.name, o.type FROM sgmp.device o WHERE o.house_id = house
              ORDER BY o.name, o.deleted_at DESC NULLS FIRST) d
        JOIN sgmp.series s ON s.device_id = d.device_id;
END
$$;

-- The fields of a device with their newest reading and their newest text.
CREATE FUNCTION sgmp.fields_now(device integer) RETURNS TABLE (
    field text, series_id integer, unit text, ts timestamptz, value double precision, text_ts timestamptz, text_value text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF sgmp.house_of_device(device) IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT s.field, s.series_id, s.unit, number.ts, number.value, words.ts, words.value
        FROM sgmp.series s
        LEFT JOIN LATERAL (
            SELECT r.ts, r.value FROM sgmp.reading r
            WHERE r.series_id = s.series_id AND r.ts <= now() + interval '5 minutes'
            ORDER BY r.ts DESC LIMIT 1
        ) number ON true
        LEFT JOIN LATERAL (
            SELECT t.ts, t.value FROM sgmp.text_reading t
            WHERE t.series_id = s.series_id AND t.ts <= now() + interval '5 minutes'
            ORDER BY t.ts DESC LIMIT 1
        ) words ON true
        WHERE s.device_id = device
        ORDER BY s.field;
END
$$;

-- The unit of a field; null leaves it to the device's type.
CREATE FUNCTION sgmp.set_unit(series integer, new_unit text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_permission('manage_devices');
    UPDATE sgmp.series s SET unit = new_unit WHERE s.series_id = series AND sgmp.sees_house(s.house_id);
    RETURN FOUND;
END
$$;

-- Readings with from_ts <= ts < to_ts, a row for each.
CREATE FUNCTION sgmp.readings_between(asked integer[], from_ts timestamptz, to_ts timestamptz)
RETURNS TABLE (series_id integer, ts timestamptz, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    readable integer[] := sgmp.readable_series(asked);
BEGIN
    RETURN QUERY
        SELECT r.series_id, r.ts, r.value FROM sgmp.reading r
        WHERE r.series_id = ANY (readable) AND r.ts >= from_ts AND r.ts < to_ts
        ORDER BY r.series_id, r.ts;
END
$$;

-- The same, a row for each series: timestamps and values one after the other in PostgreSQL's binary form, in no order.
-- Takes the server less than a row for each reading does.
CREATE FUNCTION sgmp.packed_readings(asked integer[], from_ts timestamptz, to_ts timestamptz)
RETURNS TABLE (series_id integer, times bytea, readings bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    readable integer[] := sgmp.readable_series(asked);
BEGIN
    RETURN QUERY
        SELECT r.series_id, string_agg(timestamptz_send(r.ts), ''::bytea), string_agg(float8send(r.value), ''::bytea)
        FROM sgmp.reading r
        WHERE r.series_id = ANY (readable) AND r.ts >= from_ts AND r.ts < to_ts
        GROUP BY r.series_id;
END
$$;

-- The newest reading of each series of these houses.
CREATE FUNCTION sgmp.newest_readings(houses integer[])
RETURNS TABLE (house_id integer, series_id integer, ts timestamptz, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.sees_contents() THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT s.house_id, s.series_id, newest.ts, newest.value
        FROM sgmp.series s
        CROSS JOIN LATERAL (
            -- What a clock that was wrong stamped ahead of now does not hide that nothing comes any more.
            SELECT r.ts, r.value FROM sgmp.reading r
            WHERE r.series_id = s.series_id AND r.ts <= now() + interval '5 minutes'
            ORDER BY r.ts DESC LIMIT 1
        ) newest
        WHERE s.house_id = ANY (houses)
          AND ((SELECT sgmp.sees_every_house()) OR s.house_id = (SELECT sgmp.my_house()));
END
$$;

CREATE FUNCTION sgmp.texts_between(asked integer[], from_ts timestamptz, to_ts timestamptz) RETURNS SETOF sgmp.text_reading
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    readable integer[] := sgmp.readable_series(asked);
BEGIN
    RETURN QUERY
        SELECT t.* FROM sgmp.text_reading t
        WHERE t.series_id = ANY (readable) AND t.ts >= from_ts AND t.ts < to_ts
        ORDER BY t.series_id, t.ts;
END
$$;

-- On how many of the `days_back` days (UTC) up to `until` any of these series has readings. One look for each day: counting
-- the readings would read them all.
CREATE FUNCTION sgmp.days_with_readings(asked integer[], until timestamptz, days_back integer) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    readable integer[] := sgmp.readable_series(asked);
    today timestamptz := date_trunc('day', until, 'UTC');
BEGIN
    RETURN (
        SELECT count(*) FROM generate_series(0, least(days_back, 1000) - 1) AS back
        WHERE EXISTS (
            SELECT FROM sgmp.reading r
            WHERE r.series_id = ANY (readable)
              AND r.ts >= today - back * interval '24 hours' AND r.ts < today - (back - 1) * interval '24 hours'));
END
$$;
