-- Messages that could not be read: bounded for each house and in all, for a time, and stored again where that is asked for.

-- Follows every insert and delete. House 0 stands for messages of no house.
CREATE FUNCTION sgmp.count_quarantine() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO sgmp.quarantine_usage AS known (house_id, messages, bytes)
    SELECT COALESCE(m.house_id, 0), CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END * count(*),
           CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END * sum(octet_length(m.payload) + octet_length(m.topic))
    FROM moved_rows m GROUP BY 1 ORDER BY 1
    ON CONFLICT (house_id) DO UPDATE SET messages = GREATEST(known.messages + excluded.messages, 0),
                                         bytes = GREATEST(known.bytes + excluded.bytes, 0);
    RETURN NULL;
END
$$;
CREATE TRIGGER sgmp_count_quarantine AFTER INSERT ON sgmp.quarantine REFERENCING NEW TABLE AS moved_rows
FOR EACH STATEMENT EXECUTE FUNCTION sgmp.count_quarantine();
CREATE TRIGGER sgmp_count_quarantine_gone AFTER DELETE ON sgmp.quarantine REFERENCING OLD TABLE AS moved_rows
FOR EACH STATEMENT EXECUTE FUNCTION sgmp.count_quarantine();

-- Stores messages that are not there yet, as far as there is room; counts those for which there is none. Returns how many
-- were stored, and the house of each for which there was no room. Room: 10,000 messages and 50 MB of a house, 100,000 and 500 MB in all.
CREATE FUNCTION sgmp.set_aside(
    received timestamptz[], houses integer[], topics text[], payloads bytea[], reasons text[], keys bytea[],
    OUT stored integer, OUT without_room integer[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    all_messages bigint;
    all_bytes bigint;
BEGIN
    PERFORM sgmp.require_ingest();
    -- Their counts are locked first, in order; what is stored below changes them.
    INSERT INTO sgmp.quarantine_usage AS known (house_id, messages, bytes)
    SELECT DISTINCT COALESCE(h, 0), 0, 0 FROM unnest(houses) h ORDER BY 1
    ON CONFLICT (house_id) DO UPDATE SET messages = known.messages;
    SELECT COALESCE(sum(u.messages), 0), COALESCE(sum(u.bytes), 0) INTO all_messages, all_bytes FROM sgmp.quarantine_usage u;
    WITH arriving AS MATERIALIZED (
        SELECT n.*, COALESCE(u.messages, 0) + row_number() OVER of_house <= 10000
                    AND COALESCE(u.bytes, 0) + sum(n.size) OVER of_house <= 50000000
                    AND all_messages + row_number() OVER of_all <= 100000
                    AND all_bytes + sum(n.size) OVER of_all <= 500000000 AS has_room
        FROM (SELECT DISTINCT ON (a.key) a.*, octet_length(a.payload) + octet_length(a.topic) AS size
              FROM unnest(received, houses, topics, payloads, reasons, keys)
                   WITH ORDINALITY AS a (received, house, topic, payload, reason, key, place)
              WHERE NOT EXISTS (SELECT FROM sgmp.quarantine q WHERE q.content_key = a.key)
              ORDER BY a.key, a.place) n
        LEFT JOIN sgmp.quarantine_usage u ON u.house_id = COALESCE(n.house, 0)
        WINDOW of_house AS (PARTITION BY COALESCE(n.house, 0) ORDER BY n.place), of_all AS (ORDER BY n.place)
    ), stored_rows AS (
        INSERT INTO sgmp.quarantine (received_at, house_id, topic, payload, reason, content_key)
        SELECT a.received, a.house, a.topic, a.payload, a.reason, a.key FROM arriving a WHERE a.has_room
        ORDER BY a.place
        ON CONFLICT (content_key) DO NOTHING
        RETURNING 1
    ), refused_rows AS (
        INSERT INTO sgmp.quarantine_usage AS known (house_id, messages, bytes, refused)
        SELECT COALESCE(a.house, 0), 0, 0, count(*) FROM arriving a WHERE NOT a.has_room GROUP BY 1 ORDER BY 1
        ON CONFLICT (house_id) DO UPDATE SET refused = known.refused + excluded.refused
    )
    SELECT (SELECT count(*) FROM stored_rows), ARRAY(SELECT COALESCE(a.house, 0) FROM arriving a WHERE NOT a.has_room)
    INTO stored, without_room;
END
$$;

-- Remove what is older, and what was discarded. Rows that an account holds wait for the next time. Returns how many went.
CREATE FUNCTION sgmp.drop_old_quarantine(older_than interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dropped integer;
BEGIN
    PERFORM sgmp.require_ingest();
    DELETE FROM sgmp.quarantine q WHERE q.quarantine_id IN (
        SELECT o.quarantine_id FROM sgmp.quarantine o WHERE o.received_at < now() - older_than OR o.discarded
        FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END
$$;

-- Ingest stores again what somebody asked for, one after the other. Locked, so that two ingests don't do the same.
CREATE FUNCTION sgmp.message_to_replay() RETURNS TABLE (quarantine_id bigint, topic text, payload bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_ingest();
    RETURN QUERY SELECT q.quarantine_id, q.topic, q.payload FROM sgmp.quarantine q
                 WHERE q.replay AND NOT q.discarded ORDER BY q.quarantine_id LIMIT 1 FOR UPDATE SKIP LOCKED;
END
$$;

-- What became of it: gone where the reason is null, else back in quarantine for that reason.
CREATE FUNCTION sgmp.settle_replay(id bigint, new_reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_ingest();
    IF new_reason IS NULL THEN
        DELETE FROM sgmp.quarantine q WHERE q.quarantine_id = id;
    ELSE
        UPDATE sgmp.quarantine q SET replay = false, reason = new_reason WHERE q.quarantine_id = id;
    END IF;
END
$$;

-- An operator's acts: those of the messages that the account sees. They mark messages only: what counts them is locked by
-- ingest, which waits for no account.
CREATE FUNCTION sgmp.act_on_quarantine(act text, ids bigint[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_house record;
    done integer := 0;
BEGIN
    PERFORM sgmp.require_permission('manage_devices');
    IF act NOT IN ('replay', 'discard') OR cardinality(ids) > 10000 THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'Choose at most 10,000 messages.';
    END IF;
    -- In order: two accounts may choose the same messages.
    PERFORM FROM sgmp.quarantine q
    WHERE q.quarantine_id = ANY (ids) AND NOT q.discarded
      AND CASE WHEN q.house_id IS NULL THEN sgmp.sees_every_house() ELSE sgmp.sees_house(q.house_id) END
    ORDER BY q.quarantine_id FOR NO KEY UPDATE;
    FOR of_house IN
        SELECT q.house_id, array_agg(q.quarantine_id) AS ids, count(*)::integer AS messages
        FROM sgmp.quarantine q
        WHERE q.quarantine_id = ANY (ids) AND NOT q.discarded
          AND CASE WHEN q.house_id IS NULL THEN sgmp.sees_every_house() ELSE sgmp.sees_house(q.house_id) END
        GROUP BY q.house_id
    LOOP
        IF act = 'replay' THEN
            UPDATE sgmp.quarantine q SET replay = true WHERE q.quarantine_id = ANY (of_house.ids);
        ELSE
            UPDATE sgmp.quarantine q SET discarded = true WHERE q.quarantine_id = ANY (of_house.ids);
        END IF;
        PERFORM sgmp.write_audit(act, 'quarantine', of_house.messages || ' messages', NULL, of_house.house_id, NULL,
                                 jsonb_build_object('messages', of_house.messages));
        done := done + of_house.messages;
    END LOOP;
    RETURN done;
END
$$;

-- Messages, the newest first, with their payloads: of one house, or of all that the account sees (null).
CREATE FUNCTION sgmp.visible_quarantine(house integer DEFAULT NULL, before_id bigint DEFAULT NULL, newest integer DEFAULT 1000)
RETURNS SETOF sgmp.quarantine
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT sgmp.may('view_devices') THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT q.* FROM sgmp.quarantine q
        WHERE NOT q.discarded AND (house IS NULL OR q.house_id = house) AND (before_id IS NULL OR q.quarantine_id < before_id)
          AND ((SELECT sgmp.sees_every_house()) OR q.house_id = (SELECT sgmp.my_house()))
        ORDER BY q.quarantine_id DESC
        LIMIT newest;
END
$$;

-- How much of each house is in quarantine; house 0 stands for messages of no house.
CREATE FUNCTION sgmp.quarantine_usages() RETURNS SETOF sgmp.quarantine_usage
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT u.house_id, u.messages - COALESCE(d.messages, 0), u.bytes - COALESCE(d.bytes, 0), u.refused
    FROM (SELECT * FROM sgmp.quarantine_usage WHERE (SELECT sgmp.may('view_devices')) AND {house_visible}) u
    LEFT JOIN (SELECT COALESCE(q.house_id, 0) AS house_id, count(*) AS messages,
                      sum(octet_length(q.payload) + octet_length(q.topic)) AS bytes
               FROM sgmp.quarantine q WHERE q.discarded GROUP BY 1) d ON d.house_id = u.house_id;
END;
