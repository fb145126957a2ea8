-- What accounts read measurements through. TimescaleDB refuses row-level security on hypertables with columnstore, so
-- readings have a security-barrier view; what asks for the newest has a function, since no ORDER BY ... LIMIT reaches
-- an index through such a view.

CREATE VIEW sgmp.readings WITH (security_barrier) AS
SELECT r.series_id, r.ts, sgmp.leak_barrier(r.value) AS value
FROM sgmp.reading r
WHERE {series_visible};
COMMENT ON VIEW sgmp.readings IS 'sgmp program';

CREATE FUNCTION sgmp.latest_readings(house integer)
RETURNS TABLE (series_id integer, ts timestamptz, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT (sgmp.sees_contents() AND sgmp.sees_house(house)) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT s.series_id, newest.ts, newest.value
        FROM sgmp.series s
        CROSS JOIN LATERAL (
            -- What a clock that was wrong stamped ahead of now does not hide that nothing comes any more.
            SELECT r.ts, r.value FROM sgmp.reading r
            WHERE r.series_id = s.series_id AND r.ts <= now() + interval '5 minutes'
            ORDER BY r.ts DESC LIMIT 1
        ) newest
        WHERE s.house_id = house;
END
$$;
