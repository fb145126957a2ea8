-- How all houses stand, in one statement: what overviews read.

-- Of one house, or of all that the account sees (null): how many devices, whether these are others than those of the newest
-- version (as texts: 10 and 10.0 have two fingerprints), what the edge last reported, and the newest version. No function is
-- called for each house: of 1,000 houses that took most of the time. Laterals, whose plan is the same whatever is known of
-- the tables: one that gathers all devices again for each house takes minutes.
CREATE FUNCTION sgmp.house_standings(asked integer DEFAULT NULL) RETURNS TABLE (
    house_id integer, changed boolean, devices integer, status jsonb, status_at timestamptz, applied_version integer,
    applied_sha256 text, applied_at timestamptz, rejected_reason text, rejected_at timestamptz, rejected_version integer,
    heard_at timestamptz,
    version integer, sha256 text, created_by text, created_at timestamptz, published_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT h.house_id,
           -- A version lists its devices in the order of their ids, those of old consoles perhaps not.
           v.version IS NULL OR present.devices <> v.devices::text AND present.devices <> COALESCE((
               SELECT jsonb_agg(d ORDER BY (d ->> 'device_id')::integer) FROM jsonb_array_elements(v.devices) d), '[]')::text,
           present.number,
           s.status, s.status_at, s.applied_version, s.applied_sha256, s.applied_at, s.rejected_reason, s.rejected_at,
           s.rejected_version, s.heard_at, v.version, v.sha256, v.created_by, v.created_at, v.published_at
    FROM sgmp.visible_houses() h
    LEFT JOIN sgmp.house_state s ON s.house_id = h.house_id
    CROSS JOIN LATERAL (
        -- As sgmp.present_devices has them.
        SELECT count(*)::integer AS number,
               COALESCE(jsonb_agg(jsonb_build_object('device_id', d.device_id, 'name', d.name, 'type', d.type,
                                                     'config', d.config) ORDER BY d.device_id), '[]')::text AS devices
        FROM sgmp.device d WHERE d.house_id = h.house_id AND d.deleted_at IS NULL
    ) present
    LEFT JOIN LATERAL (
        SELECT c.version, c.sha256, c.devices, c.created_by, c.created_at, c.published_at
        FROM sgmp.config_version c WHERE c.house_id = h.house_id ORDER BY c.version DESC LIMIT 1
    ) v ON true
    WHERE h.deleted_at IS NULL AND (asked IS NULL OR h.house_id = asked) AND (SELECT sgmp.sees_contents());
END;

-- The newest reading of each house that has one.
CREATE FUNCTION sgmp.newest_of_houses() RETURNS TABLE (house_id integer, newest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.house_id, max(r.ts)
    FROM sgmp.newest_readings(ARRAY(SELECT h.house_id FROM sgmp.visible_houses() h WHERE h.deleted_at IS NULL)) r
    GROUP BY r.house_id;
END;
