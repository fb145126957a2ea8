-- What ingest may do besides inserting: it can't read what it or anybody else has stored.

CREATE FUNCTION sgmp.require_ingest() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF session_user <> {ingest_text} AND NOT sgmp.is_owner() THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE = 'Only the ingest may do this.';
    END IF;
END
$$;

CREATE FUNCTION sgmp.known_devices() RETURNS TABLE (device_id integer, house_id integer, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_ingest();
    RETURN QUERY SELECT d.device_id, d.house_id, d.name FROM sgmp.device d
                 UNION ALL SELECT 0, h.house_id, '_edge' FROM sgmp.house h;
END
$$;

-- The series of these fields, in the order given, created where they are missing; null where the device has 4,000 already.
CREATE FUNCTION sgmp.series_ids(houses integer[], devices integer[], fields text[]) RETURNS SETOF integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_ingest();
    INSERT INTO sgmp.series (house_id, device_id, field)
    SELECT n.h, n.d, n.f
    FROM (SELECT m.*, row_number() OVER (PARTITION BY m.d ORDER BY m.first) AS number
          FROM (SELECT h, d, f, min(position) AS first
                FROM unnest(houses, devices, fields) WITH ORDINALITY AS asked (h, d, f, position)
                WHERE NOT EXISTS (SELECT FROM sgmp.series s WHERE s.device_id = d AND s.field = f)
                GROUP BY h, d, f) m) n
    WHERE n.number + (SELECT count(*) FROM sgmp.series s WHERE s.device_id = n.d) <= 4000
    ORDER BY n.d, n.f  -- the same order in every ingest, so that two never wait for each other
    ON CONFLICT (device_id, field) DO NOTHING;
    IF EXISTS (SELECT FROM unnest(houses, devices) AS asked (h, d)
               WHERE NOT EXISTS (SELECT FROM sgmp.device v WHERE v.device_id = d AND v.house_id = h)) THEN
        RAISE EXCEPTION 'a reading names a device that is not of its house';
    END IF;
    RETURN QUERY
        SELECT s.series_id
        FROM unnest(houses, devices, fields) WITH ORDINALITY AS asked (h, d, f, position)
        LEFT JOIN sgmp.series s ON s.device_id = d AND s.field = f AND s.house_id = h
        ORDER BY position;
END
$$;

-- On plain PostgreSQL readings are in partitions, one a week (their Mondays, UTC). TimescaleDB makes its chunks itself.
CREATE FUNCTION sgmp.partitioned_by_week() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (SELECT relkind = 'p' FROM pg_class WHERE oid = 'sgmp.reading'::regclass);

-- A table that can become the partition of this week. Vacuumed early: index-only scans need a fresh visibility map.
CREATE FUNCTION sgmp.make_week(partition text, monday date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'CREATE TABLE sgmp.%I (LIKE sgmp.reading, CONSTRAINT week CHECK (ts >= %L AND ts < %L)) WITH ('
        'autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000,'
        'autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05)',
        partition, monday::text || ' 00:00:00+00', (monday + 7)::text || ' 00:00:00+00');
END
$$;

-- Attached rather than made in place, since that lets readers go on; the constraint saves looking at every row.
CREATE FUNCTION sgmp.attach_week(partition text, monday date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'ALTER TABLE sgmp.reading ATTACH PARTITION sgmp.%I FOR VALUES FROM (%L) TO (%L)',
        partition, monday::text || ' 00:00:00+00', (monday + 7)::text || ' 00:00:00+00');
    EXECUTE format('ALTER TABLE sgmp.%I DROP CONSTRAINT week', partition);
END
$$;

-- By a query of its own: `to_regclass` may not have heard yet of what another committed while this one waited for it.
CREATE FUNCTION sgmp.has_partition(partition text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_class c WHERE c.relname = partition AND c.relnamespace = 'sgmp'::regnamespace);
END
$$;

-- Partitions for the weeks of these days, before any reading is stored. TimescaleDB makes its chunks itself, while it stores,
-- and who makes one keeps others from making any until it commits: these wait here, before they hold a reading.
CREATE FUNCTION sgmp.ensure_partitions(days date[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    monday date;
    partition text;
BEGIN
    PERFORM sgmp.require_ingest();
    IF NOT sgmp.partitioned_by_week() THEN
        -- Who stores what no refresh reaches may have to move the watermarks, which is a reading of its own.
        IF (SELECT min(d.day) FROM unnest(days) AS d (day)) <= (sgmp.refreshable_from() AT TIME ZONE 'UTC')::date THEN
            days := days || (sgmp.watermark_at() AT TIME ZONE 'UTC')::date;
        END IF;
        IF EXISTS (SELECT FROM unnest(days) AS d (day)
                   WHERE NOT EXISTS (
                       SELECT FROM timescaledb_information.chunks c
                       WHERE c.hypertable_schema = 'sgmp' AND c.hypertable_name = 'reading'
                         AND c.range_start <= d.day::timestamp AT TIME ZONE 'UTC'
                         AND c.range_end > d.day::timestamp AT TIME ZONE 'UTC')) THEN
            PERFORM sgmp.take_lock('partitions');
        END IF;
        RETURN;
    END IF;
    FOR monday IN SELECT DISTINCT date_trunc('week', d::timestamp)::date FROM unnest(days) d ORDER BY 1 LOOP
        partition := 'reading_' || to_char(monday, 'YYYYMMDD');
        CONTINUE WHEN sgmp.has_partition(partition);
        PERFORM sgmp.take_lock('partitions');
        CONTINUE WHEN sgmp.has_partition(partition);
        IF monday NOT BETWEEN '2000-01-01' AND current_date + 14 THEN
            RAISE EXCEPTION 'no partition starts on %', monday;
        END IF;
        PERFORM sgmp.make_week(partition, monday);
        PERFORM sgmp.attach_week(partition, monday);
    END LOOP;
END
$$;

-- Write the oldest week that is over again, in the order of its index, which is half empty after all the small inserts:
-- a quarter less disk, and neighbours in time side by side. Readers go on; who stores into that week waits. Returns
-- whether there was one. Where somebody's reading keeps it from putting the week in its place, others do not wait behind it
-- for long: it tries again, and gives up in the end (55P03).
CREATE FUNCTION sgmp.pack_week() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    week record;
    attempt integer := 1;
BEGIN
    PERFORM sgmp.require_ingest();
    IF NOT sgmp.partitioned_by_week() THEN
        RETURN false;
    END IF;
    SELECT c.relname AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS monday INTO week
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'sgmp.reading'::regclass AND obj_description(c.oid) IS DISTINCT FROM 'packed'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') + 9 < current_date
    ORDER BY 2 LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE sgmp.%I IN SHARE MODE', week.name);
    PERFORM sgmp.make_week('packing', week.monday);
    EXECUTE format('INSERT INTO sgmp.packing SELECT series_id, ts, value FROM sgmp.%I ORDER BY series_id, ts', week.name);
    ALTER TABLE sgmp.packing ADD PRIMARY KEY (series_id, ts) INCLUDE (value);
    PERFORM set_config('lock_timeout', '200ms', true);
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE sgmp.reading DETACH PARTITION sgmp.%I', week.name);
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF attempt = 5 THEN
                RAISE;
            END IF;
            attempt := attempt + 1;
            PERFORM pg_sleep(0.5);
        END;
    END LOOP;
    EXECUTE format('DROP TABLE sgmp.%I', week.name);
    EXECUTE format('ALTER TABLE sgmp.packing RENAME TO %I', week.name);
    EXECUTE format('ALTER INDEX sgmp.packing_pkey RENAME TO %I', week.name || '_pkey');
    PERFORM sgmp.attach_week(week.name, week.monday);
    EXECUTE format('COMMENT ON TABLE sgmp.%I IS %L', week.name, 'packed');
    RETURN true;
END
$$;

-- Stores a text that differs from the one in force before it, or is the first of its hour. Returns how many.
CREATE FUNCTION sgmp.store_texts(series integer[], times timestamptz[], texts text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored integer;
BEGIN
    PERFORM sgmp.require_ingest();
    WITH given AS (
        SELECT DISTINCT ON (series_id, ts) series_id, ts, value
        FROM unnest(series, times, texts) AS given (series_id, ts, value)
    ), placed AS (
        SELECT given.*, lag(value) OVER earlier AS given_value, lag(ts) OVER earlier AS given_ts
        FROM given WINDOW earlier AS (PARTITION BY series_id ORDER BY ts)
    )
    INSERT INTO sgmp.text_reading (series_id, ts, value)
    SELECT p.series_id, p.ts, p.value
    FROM placed p
    LEFT JOIN LATERAL (
        SELECT t.value, t.ts FROM sgmp.text_reading t
        WHERE t.series_id = p.series_id AND t.ts <= p.ts ORDER BY t.ts DESC LIMIT 1
    ) s ON true
    WHERE CASE WHEN p.given_ts > s.ts OR s.ts IS NULL
               THEN (p.given_value, date_trunc('hour', p.given_ts, 'UTC'))
               ELSE (s.value, date_trunc('hour', s.ts, 'UTC'))
          END IS DISTINCT FROM (p.value, date_trunc('hour', p.ts, 'UTC'))
    ORDER BY p.series_id, p.ts
    ON CONFLICT (series_id, ts) DO NOTHING;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;

-- Before events of these houses are stored: each changes the state of its house.
CREATE FUNCTION sgmp.lock_events(houses integer[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    house integer;
BEGIN
    PERFORM sgmp.require_ingest();
    FOR house IN SELECT DISTINCT h FROM unnest(houses) h ORDER BY h LOOP
        PERFORM sgmp.take_lock('events', house);
    END LOOP;
END
$$;

CREATE FUNCTION sgmp.report_ingest(ingest_name text, about jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_ingest();
    INSERT INTO sgmp.ingest_state AS known (name, updated_at, statistics) VALUES (ingest_name, now(), about)
    ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at, statistics = excluded.statistics;
END
$$;

-- How each ingest is doing. Its alarms name houses, and why nothing can be stored may name what is in one: an account of one
-- house reads what is of its own.
CREATE FUNCTION sgmp.visible_ingest_states() RETURNS SETOF sgmp.ingest_state
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT i.name, i.updated_at,
           CASE WHEN (SELECT sgmp.sees_every_house()) OR jsonb_typeof(i.statistics -> 'alarms') IS DISTINCT FROM 'object'
                THEN i.statistics
                ELSE i.statistics || jsonb_build_object('alarms', COALESCE((
                    SELECT jsonb_object_agg(a.key, CASE jsonb_typeof(a.value -> 'houses')
                        WHEN 'object' THEN jsonb_build_object('houses', jsonb_build_object(own.house, a.value -> 'houses' -> own.house))
                        WHEN 'array' THEN jsonb_build_object('houses', jsonb_build_array(own.house))
                        ELSE a.value - 'reason' END)
                    FROM jsonb_each(i.statistics -> 'alarms') a
                    WHERE a.value -> 'houses' IS NULL OR a.value -> 'houses' ? own.house), '{}'))
           END
    FROM sgmp.ingest_state i, (SELECT COALESCE(sgmp.my_house()::text, '') AS house) own;
END;

CREATE VIEW sgmp.ingest_states AS SELECT * FROM sgmp.visible_ingest_states();
COMMENT ON VIEW sgmp.ingest_states IS 'sgmp program';

-- A version number that an edge names; null for anything else.
CREATE FUNCTION sgmp.version_in(named text) RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN named ~ '^[0-9]{1,9}$' THEN named::integer END;

-- What an edge reports about itself becomes the state of its house; nothing in it can make the insert fail. The version it
-- applied is what it reported last, also by its status: an edge with other software may not run any more what it confirmed.
CREATE FUNCTION sgmp.note_edge_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    version integer := sgmp.version_in(NEW.data ->> 'version');
    runs integer := sgmp.version_in(NEW.data ->> 'config_version');
BEGIN
    IF NEW.type = 'EDGE_STATUS' AND NEW.data ->> 'state' = 'offline' THEN
        -- The last will. MQTT fixed its timestamp when the connection was made, so what counts is that it came; when the
        -- edge was last heard of, and what it said then, stays.
        INSERT INTO sgmp.house_state AS known (house_id, status, status_at) VALUES (NEW.house_id, NEW.data, NEW.ts)
        ON CONFLICT (house_id) DO UPDATE SET
            status = COALESCE(known.status, '{}') || excluded.status,
            status_at = GREATEST(known.status_at, excluded.status_at);
    ELSIF NEW.type = 'EDGE_STATUS' THEN
        INSERT INTO sgmp.house_state AS known (house_id, status, status_at, heard_at)
        VALUES (NEW.house_id, NEW.data, NEW.ts, clock_timestamp())
        ON CONFLICT (house_id) DO UPDATE SET
            status = excluded.status, status_at = excluded.status_at, heard_at = excluded.heard_at
        WHERE known.status_at IS NULL OR known.status_at <= excluded.status_at;
        IF NEW.data ? 'config_version' THEN
            UPDATE sgmp.house_state known SET
                applied_version = runs, applied_sha256 = NEW.data ->> 'config_sha256', applied_at = NEW.ts
            WHERE known.house_id = NEW.house_id
              AND (known.applied_at < NEW.ts OR known.applied_at IS NULL AND runs IS NOT NULL)
              AND ((known.applied_version, known.applied_sha256) IS DISTINCT FROM (runs, NEW.data ->> 'config_sha256')
                   OR runs = known.rejected_version AND known.rejected_at BETWEEN known.applied_at AND NEW.ts);
        END IF;
    ELSIF NEW.type = 'CONFIG_APPLIED' THEN
        INSERT INTO sgmp.house_state AS known (house_id, applied_version, applied_sha256, applied_at)
        VALUES (NEW.house_id, version, NEW.data ->> 'sha256', NEW.ts)
        ON CONFLICT (house_id) DO UPDATE SET
            applied_version = excluded.applied_version, applied_sha256 = excluded.applied_sha256,
            applied_at = excluded.applied_at
        WHERE known.applied_at IS NULL OR known.applied_at <= excluded.applied_at;
    ELSIF NEW.type = 'CONFIG_REJECTED' THEN
        INSERT INTO sgmp.house_state AS known (house_id, rejected_reason, rejected_at, rejected_version)
        VALUES (NEW.house_id, NEW.data ->> 'reason', NEW.ts, version)
        ON CONFLICT (house_id) DO UPDATE SET
            rejected_reason = excluded.rejected_reason, rejected_at = excluded.rejected_at,
            rejected_version = excluded.rejected_version
        WHERE known.rejected_at IS NULL OR known.rejected_at <= excluded.rejected_at;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER sgmp_note_edge_event AFTER INSERT ON sgmp.event
FOR EACH ROW WHEN (NEW.device_id IS NULL) EXECUTE FUNCTION sgmp.note_edge_event();
