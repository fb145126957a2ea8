-- The watch: whose turn it is, and what it reads of everything that can go wrong.

CREATE FUNCTION sgmp.require_watch() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF session_user <> {watch_text} AND NOT sgmp.is_owner() THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE = 'Only the watch may do this.';
    END IF;
END
$$;

-- Since the last turn of the watch; null where there never was one. Without it, no findings does not mean that all is well.
CREATE FUNCTION sgmp.watch_age_ms() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT GREATEST(extract(epoch FROM clock_timestamp() - w.turn_at) * 1000, 0)::bigint FROM sgmp.watch_state w);

-- The next turn of the watch, unless another watcher has it at this moment or had one within `pause`. Held until the
-- transaction ends.
CREATE FUNCTION sgmp.take_turn(asking text, pause interval)
RETURNS TABLE (at timestamptz, seen_event bigint, newest_event bigint, newest_event_at timestamptz, last_event bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    last bigint := COALESCE((SELECT max(e.event_id) FROM sgmp.event e), 0);
BEGIN
    PERFORM sgmp.require_watch();
    -- Not each time: an insert waits for the turn in which the row was changed.
    IF NOT EXISTS (SELECT FROM sgmp.watch_state w) THEN
        INSERT INTO sgmp.watch_state (name, turn_at, watcher, seen_event, newest_event, newest_event_at)
        VALUES ('watch', to_timestamp(0), '', -1, last, now()) ON CONFLICT DO NOTHING;
    END IF;
    PERFORM FROM sgmp.watch_state w FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR EXISTS (SELECT FROM sgmp.watch_state w WHERE w.turn_at > now() - pause AND w.watcher <> asking) THEN
        RETURN;
    END IF;
    RETURN QUERY
        UPDATE sgmp.watch_state known SET turn_at = now(), watcher = asking
        RETURNING known.turn_at, known.seen_event, known.newest_event, known.newest_event_at, last;
END
$$;

-- The newest reading of each device in use.
CREATE FUNCTION sgmp.newest_of_devices() RETURNS TABLE (house_id integer, device_name text, config jsonb, newest timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT d.house_id, d.name, jsonb_build_object('interval', d.config -> 'interval'), max(newest_reading.ts)
        FROM sgmp.device d
        JOIN sgmp.house h ON h.house_id = d.house_id AND h.deleted_at IS NULL
        LEFT JOIN sgmp.series s ON s.device_id = d.device_id
        LEFT JOIN LATERAL (
            SELECT r.ts FROM sgmp.reading r WHERE r.series_id = s.series_id AND r.ts <= now() + interval '5 minutes'
            ORDER BY r.ts DESC LIMIT 1
        ) newest_reading ON true
        WHERE d.deleted_at IS NULL
        GROUP BY d.device_id;
END
$$;

-- When each of these devices first delivered a reading after a time; null where it did not.
CREATE FUNCTION sgmp.first_readings_after(houses integer[], devices text[], afters timestamptz[])
RETURNS TABLE (house_id integer, device_name text, first timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT asked.house, asked.device, min(earliest.ts)
        FROM unnest(houses, devices, afters) AS asked (house, device, after)
        JOIN sgmp.device d ON d.house_id = asked.house AND d.name = asked.device AND d.deleted_at IS NULL
        JOIN sgmp.series s ON s.device_id = d.device_id
        LEFT JOIN LATERAL (
            SELECT r.ts FROM sgmp.reading r WHERE r.series_id = s.series_id AND r.ts > asked.after ORDER BY r.ts LIMIT 1
        ) earliest ON true
        GROUP BY asked.house, asked.device;
END
$$;

-- Devices (and edges) of which warnings came after an event; before the first (-1), those of a week.
CREATE FUNCTION sgmp.warned_since(after_event bigint) RETURNS TABLE (house_id integer, device_name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    IF after_event < 0 THEN
        RETURN QUERY
            SELECT DISTINCT e.house_id, e.device_name FROM sgmp.house h
            JOIN sgmp.event e ON e.house_id = h.house_id AND e.type = 'WARNING' AND e.ts > now() - interval '7 days';
    ELSE
        RETURN QUERY
            SELECT DISTINCT e.house_id, e.device_name FROM sgmp.event e
            WHERE e.event_id > after_event AND e.type = 'WARNING';
    END IF;
END
$$;

-- The warnings of these devices since a time.
CREATE FUNCTION sgmp.warnings_of(houses integer[], devices text[], since timestamptz)
RETURNS TABLE (house_id integer, device_name text, ts timestamptz, data jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT e.house_id, e.device_name, e.ts, e.data
        FROM unnest(houses, devices) AS asked (house, device)
        JOIN sgmp.event e ON e.house_id = asked.house AND e.type = 'WARNING' AND e.ts >= since AND e.device_name = asked.device
        ORDER BY e.ts, e.event_id;
END
$$;

-- Accounts whose initial password nobody has changed yet, and when it expires.
CREATE FUNCTION sgmp.initial_passwords() RETURNS TABLE (email text, house_id integer, expires_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT a.email, a.house_id, a.password_set_at + interval '7 days'
        FROM sgmp.account a WHERE a.enabled AND a.must_change_password;
END
$$;

-- When the newest message of each house came into quarantine; 0 stands for messages of no house.
CREATE FUNCTION sgmp.quarantined() RETURNS TABLE (house_id integer, messages bigint, first timestamptz, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT u.house_id, u.messages, oldest.received_at, oldest.reason
        FROM sgmp.quarantine_usage u
        CROSS JOIN LATERAL (
            SELECT q.received_at, q.reason FROM sgmp.quarantine q
            WHERE q.house_id IS NOT DISTINCT FROM NULLIF(u.house_id, 0) AND NOT q.discarded
            ORDER BY q.received_at LIMIT 1
        ) oldest
        WHERE u.messages > 0;
END
$$;
