-- Recipients, and the messages to them: who gets which, which is due, and what became of it. The watch writes and sends them.

-- As audit and findings name a recipient. The path of a web address may be all that keeps others from posting there.
CREATE FUNCTION sgmp.shown_address(channel text, address text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE channel WHEN 'webhook' THEN COALESCE(substring(address FROM '^https?://([^/?#@]*)([/?#]|$)'), '') ELSE address END;

-- Their secrets are never shown.
CREATE FUNCTION sgmp.visible_recipients() RETURNS TABLE (
    recipient_id integer, channel text, address text, house_id integer, least_severity text, created_by text,
    created_at timestamptz, sent_at timestamptz, waiting integer, problem text
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.recipient_id, r.channel, r.address, r.house_id, r.least_severity, r.created_by, r.created_at,
           n.sent_at, COALESCE(n.waiting, 0), COALESCE(l.problem, '')
    FROM sgmp.recipient r
    LEFT JOIN LATERAL (
        SELECT max(m.sent_at) AS sent_at, (count(*) FILTER (WHERE m.sent_at IS NULL AND m.failed_at IS NULL))::integer AS waiting
        FROM sgmp.notification m WHERE m.recipient_id = r.recipient_id
    ) n ON true
    LEFT JOIN LATERAL (
        SELECT m.problem FROM sgmp.notification m WHERE m.recipient_id = r.recipient_id AND m.attempts > 0
        ORDER BY m.notification_id DESC LIMIT 1
    ) l ON true
    WHERE r.deleted_at IS NULL AND (SELECT sgmp.may('manage_houses'))
      AND ((SELECT sgmp.sees_every_house()) OR r.house_id = (SELECT sgmp.my_house()));
END;

-- One of all houses, and a webhook, which makes the server call an address, take `all_houses`.
CREATE FUNCTION sgmp.require_recipients(of_channel text, house integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF house IS NULL OR of_channel <> 'mail' THEN
        PERFORM sgmp.require_permission('all_houses');
    END IF;
    IF house IS NULL THEN
        PERFORM sgmp.require_permission('manage_houses');
    ELSE
        PERFORM sgmp.require_in_house('manage_houses', house);
    END IF;
END
$$;

CREATE FUNCTION sgmp.add_recipient(channel text, address text, secret text, house integer, least_severity text)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    created integer;
BEGIN
    PERFORM sgmp.require_recipients(channel, house);
    IF address ~ '[[:cntrl:][:space:]]' THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'An address has no blanks.';
    END IF;
    INSERT INTO sgmp.recipient (channel, address, secret, house_id, least_severity, created_by)
    VALUES (channel, address, secret, house, least_severity, sgmp.actor()) RETURNING recipient_id INTO created;
    PERFORM sgmp.write_audit('create', 'recipient', sgmp.shown_address(channel, address), created, house, NULL,
                             jsonb_build_object('channel', channel, 'least_severity', least_severity));
    RETURN created;
END
$$;

CREATE FUNCTION sgmp.require_recipient(recipient integer) RETURNS sgmp.recipient
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.recipient;
BEGIN
    PERFORM sgmp.require_permission('manage_houses');
    SELECT r.* INTO about FROM sgmp.recipient r
    WHERE r.recipient_id = recipient AND r.deleted_at IS NULL
      AND (sgmp.sees_every_house() OR r.house_id = sgmp.my_house());
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such recipient. It may have been removed.';
    END IF;
    PERFORM sgmp.require_recipients(about.channel, about.house_id);
    RETURN about;
END
$$;

CREATE FUNCTION sgmp.remove_recipient(recipient integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.recipient := sgmp.require_recipient(recipient);
BEGIN
    UPDATE sgmp.recipient r SET deleted_at = now(), secret = '' WHERE r.recipient_id = recipient;
    PERFORM sgmp.write_audit('delete', 'recipient', sgmp.shown_address(about.channel, about.address), recipient, about.house_id,
                             jsonb_build_object('channel', about.channel, 'least_severity', about.least_severity), NULL);
    RETURN true;
END
$$;

-- Have a test message sent; `sgmp.notification_state` says what became of it.
CREATE FUNCTION sgmp.test_recipient(recipient integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.recipient := sgmp.require_recipient(recipient);
    created bigint;
BEGIN
    IF (SELECT count(*) FROM sgmp.notification n WHERE n.recipient_id = recipient AND n.kind = 'test'
        AND n.created_at > now() - interval '1 minute') >= 5 THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'Five test messages were sent within a minute. Wait a little.';
    END IF;
    INSERT INTO sgmp.notification (recipient_id, kind) VALUES (recipient, 'test') RETURNING notification_id INTO created;
    PERFORM sgmp.write_audit('test', 'recipient', sgmp.shown_address(about.channel, about.address), recipient, about.house_id, NULL, NULL);
    RETURN created;
END
$$;

CREATE FUNCTION sgmp.notification_state(notification bigint) RETURNS TABLE (
    sent_at timestamptz, failed_at timestamptz, attempts integer, problem text
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT n.sent_at, n.failed_at, n.attempts, n.problem
    FROM sgmp.notification n JOIN sgmp.recipient r USING (recipient_id)
    WHERE n.notification_id = notification AND (SELECT sgmp.may('manage_houses'))
      AND ((SELECT sgmp.sees_every_house()) OR r.house_id = (SELECT sgmp.my_house()));
END;

-- Whether a claim holds: for two minutes, and as long as the session is there that made it. A server that started since then
-- has ended the sessions of senders that go on: it leaves them their claims for as long as a message takes (30 s by mail).
CREATE FUNCTION sgmp.claim_holds(at timestamptz, session integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN at < pg_postmaster_start_time() THEN pg_postmaster_start_time() > clock_timestamp() - interval '{claim_grace_s} seconds'
            ELSE at > clock_timestamp() - interval '2 minutes'
                 AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = session) END IS TRUE;

-- Notifications that are due, each recipient's in their order: the next of each, claimed by who calls. What was claimed by a
-- sender that is no more is claimed again, with the same key.
CREATE FUNCTION sgmp.claim_notifications(most integer) RETURNS TABLE (
    notification_id bigint, kind text, key uuid, attempts integer, channel text, address text, secret text, items jsonb
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        WITH due AS (
            SELECT n.notification_id
            FROM sgmp.recipient r
            CROSS JOIN LATERAL (
                SELECT m.notification_id, m.not_before, m.claimed_at, m.claimed_by FROM sgmp.notification m
                WHERE m.recipient_id = r.recipient_id AND m.sent_at IS NULL AND m.failed_at IS NULL
                ORDER BY m.kind <> 'test', m.notification_id LIMIT 1
            ) n
            WHERE r.deleted_at IS NULL AND n.not_before <= clock_timestamp()
              AND NOT sgmp.claim_holds(n.claimed_at, n.claimed_by)
            ORDER BY n.notification_id LIMIT most
        ), locked AS (
            SELECT l.notification_id FROM sgmp.notification l JOIN due USING (notification_id)
            WHERE l.sent_at IS NULL AND l.failed_at IS NULL AND NOT sgmp.claim_holds(l.claimed_at, l.claimed_by)
            FOR UPDATE OF l SKIP LOCKED
        ), claimed AS (
            UPDATE sgmp.notification c SET
                claimed_at = clock_timestamp(), claimed_by = pg_backend_pid(), attempts = c.attempts + 1
            FROM locked WHERE c.notification_id = locked.notification_id
            RETURNING c.*
        )
        SELECT c.notification_id, c.kind, c.key, c.attempts, r.channel, r.address, r.secret, COALESCE((
            SELECT jsonb_agg(jsonb_build_object(
                'kind', i.kind, 'finding_id', f.finding_id, 'house_id', f.house_id, 'house', h.name, 'zone', h.time_zone,
                'device', f.device_name, 'rule', f.rule, 'subject', f.subject, 'severity', f.severity,
                'from_ms', (extract(epoch FROM f.from_at) * 1000)::bigint,
                'to_ms', (extract(epoch FROM f.to_at) * 1000)::bigint,
                'value', f.value, 'details', f.details) ORDER BY i.finding_id, i.kind DESC)
            FROM sgmp.notification_item i JOIN sgmp.finding f USING (finding_id) LEFT JOIN sgmp.house h USING (house_id)
            WHERE i.notification_id = c.notification_id), '[]')
        FROM claimed c JOIN sgmp.recipient r USING (recipient_id)
        ORDER BY c.notification_id;
END
$$;

-- What became of one that was claimed: sent, failed for good (`again_in` null), or to be tried again.
CREATE FUNCTION sgmp.settle_notification(notification bigint, failure text, again_in interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    UPDATE sgmp.notification n SET
        claimed_at = NULL,
        sent_at = CASE WHEN failure IS NULL THEN clock_timestamp() END,
        failed_at = CASE WHEN failure IS NOT NULL AND again_in IS NULL THEN clock_timestamp() END,
        not_before = CASE WHEN failure IS NOT NULL AND again_in IS NOT NULL THEN clock_timestamp() + again_in ELSE n.not_before END,
        problem = left(COALESCE(failure, ''), 500)
    WHERE n.notification_id = notification AND n.sent_at IS NULL;
END
$$;

-- Recipients who do not know of something: of an open finding that nobody took note of, of the end of one whose opening they
-- were notified of, of one that is no longer silenced. Nobody is notified of what opened before they were added, nor of what
-- can't be judged at present. What names an account or another recipient is for those of all houses.
CREATE FUNCTION sgmp.notification_candidates() RETURNS TABLE (
    recipient_id integer, finding_id bigint, kind text, house_id integer, device_name text, zone text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        WITH open AS (
            SELECT f.*, a.act, a.until FROM sgmp.finding f
            LEFT JOIN LATERAL (
                SELECT l.act, l.until FROM sgmp.finding_act l WHERE l.finding_id = f.finding_id ORDER BY l.act_id DESC LIMIT 1
            ) a ON true
            WHERE f.to_at IS NULL AND f.opened_at IS NOT NULL AND NOT f.suspended
              AND (a.act IS NULL OR a.act = 'reopen' OR a.act = 'silence' AND a.until <= now())
        ), due AS (
            SELECT r.recipient_id, o.finding_id, 'opened' AS kind, o.house_id, o.device_name
            FROM open o
            JOIN sgmp.recipient r ON r.house_id IS NULL OR r.house_id = o.house_id AND o.rule NOT IN ('initial_password', 'delivery')
            WHERE r.deleted_at IS NULL AND o.opened_at >= r.created_at
              AND array_position(ARRAY['info', 'warning', 'critical'], o.severity)
                  >= array_position(ARRAY['info', 'warning', 'critical'], r.least_severity)
              AND NOT EXISTS (SELECT FROM sgmp.notification_item i JOIN sgmp.notification n USING (notification_id)
                              WHERE i.finding_id = o.finding_id AND n.recipient_id = r.recipient_id)
            UNION ALL
            SELECT n.recipient_id, f.finding_id, 'closed', f.house_id, f.device_name
            FROM sgmp.finding f
            JOIN sgmp.notification_item i ON i.finding_id = f.finding_id AND i.kind = 'opened'
            JOIN sgmp.notification n ON n.notification_id = i.notification_id
            JOIN sgmp.recipient r ON r.recipient_id = n.recipient_id AND r.deleted_at IS NULL
            WHERE f.to_at > now() - interval '7 days'
              AND NOT EXISTS (SELECT FROM sgmp.notification_item c JOIN sgmp.notification m USING (notification_id)
                              WHERE c.finding_id = f.finding_id AND c.kind = 'closed' AND m.recipient_id = n.recipient_id)
            UNION ALL
            SELECT n.recipient_id, o.finding_id, 'reminder', o.house_id, o.device_name
            FROM open o
            JOIN sgmp.notification_item i ON i.finding_id = o.finding_id AND i.kind = 'opened'
            JOIN sgmp.notification n ON n.notification_id = i.notification_id
            JOIN sgmp.recipient r ON r.recipient_id = n.recipient_id AND r.deleted_at IS NULL
            WHERE o.act = 'silence' AND o.until > n.created_at
              AND NOT EXISTS (SELECT FROM sgmp.notification_item c JOIN sgmp.notification m USING (notification_id)
                              WHERE c.finding_id = o.finding_id AND c.kind = 'reminder' AND m.recipient_id = n.recipient_id
                                AND m.created_at >= o.until)
        )
        SELECT d.recipient_id, d.finding_id, d.kind, d.house_id, d.device_name, COALESCE(h.time_zone, '')
        FROM due d LEFT JOIN sgmp.house h ON h.house_id = d.house_id
        ORDER BY d.recipient_id, d.finding_id;
END
$$;

-- Messages to one recipient about these findings. Those beyond `most` within a time are one digest, which is sent at its end
-- and takes what comes until then. Returns how many messages were added.
CREATE FUNCTION sgmp.enqueue_notifications(
    recipient integer, findings bigint[], kinds text[], most integer, within interval
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item record;
    digest bigint;
    created bigint;
    added integer := 0;
    recent integer;
BEGIN
    PERFORM sgmp.require_watch();
    -- One that is about to be sent is not changed any more.
    SELECT n.notification_id INTO digest FROM sgmp.notification n
    WHERE n.recipient_id = recipient AND n.kind = 'digest' AND n.attempts = 0 AND n.not_before > clock_timestamp() + interval '2 seconds'
    ORDER BY n.notification_id DESC LIMIT 1 FOR UPDATE;
    SELECT count(*) INTO recent FROM sgmp.notification n
    WHERE n.recipient_id = recipient AND n.kind <> 'test' AND n.created_at > now() - within;
    FOR item IN SELECT * FROM unnest(findings, kinds) AS listed (finding, kind) LOOP
        IF digest IS NULL AND recent >= most THEN
            INSERT INTO sgmp.notification (recipient_id, kind, not_before) VALUES (recipient, 'digest', now() + within)
            RETURNING notification_id INTO digest;
            added := added + 1;
        END IF;
        created := digest;
        IF created IS NULL THEN
            INSERT INTO sgmp.notification (recipient_id, kind) VALUES (recipient, item.kind)
            RETURNING notification_id INTO created;
            added := added + 1;
            recent := recent + 1;
        END IF;
        INSERT INTO sgmp.notification_item (notification_id, finding_id, kind) VALUES (created, item.finding, item.kind)
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN added;
END
$$;

-- Recipients whose next message has failed, or whose last one failed for good within a day.
CREATE FUNCTION sgmp.undelivered() RETURNS TABLE (
    address text, house_id integer, since timestamptz, messages integer, problem text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT sgmp.shown_address(r.channel, r.address), r.house_id, min(n.created_at), count(*)::integer,
               (array_agg(n.problem ORDER BY n.notification_id DESC) FILTER (WHERE n.problem <> ''))[1]
        FROM sgmp.recipient r JOIN sgmp.notification n USING (recipient_id)
        WHERE r.deleted_at IS NULL AND n.kind <> 'test' AND n.sent_at IS NULL
          AND (n.failed_at IS NULL OR n.failed_at > now() - interval '1 day')
        GROUP BY 1, 2 HAVING bool_or(n.problem <> '');
END
$$;
