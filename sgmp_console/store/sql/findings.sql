-- Findings: what was or is wrong. The watch opens and closes them (its rights to the tables are in rights.sql); accounts read
-- them and act on them through functions. What an account does is a row of its own (finding_act): the watch waits for no lock
-- that an account can hold.

CREATE FUNCTION sgmp.require_watch() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF session_user <> {watch_text} AND NOT sgmp.is_owner() THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE = 'Only the watch may do this.';
    END IF;
END
$$;

-- Whether the account may read a finding. One of no house is of the deployment: those who see all houses see it, and
-- everybody where it says that readings reach nobody. One that names an account or a recipient is for those who see these.
CREATE FUNCTION sgmp.sees_finding(house integer, rule text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN sgmp.sees_contents()
    AND (CASE WHEN house IS NOT NULL THEN sgmp.sees_house(house)
              ELSE sgmp.sees_every_house() OR rule IN ('ingest_silent', 'broker_away') END)
    AND (rule <> 'initial_password' OR sgmp.may('manage_accounts'))
    AND (rule <> 'delivery' OR sgmp.may('manage_houses'));

-- Those that are open, and of those that ended since a time the newest, of one house (with those of the deployment) or of all.
CREATE FUNCTION sgmp.visible_findings(house integer, ended_since timestamptz, newest integer) RETURNS TABLE (
    finding_id bigint, house_id integer, device_name text, series_id integer, rule text, subject text, severity text,
    from_at timestamptz, opened_at timestamptz, to_at timestamptz, value double precision, kwh double precision,
    details jsonb, suspended boolean, state text, until timestamptz, who text, acted_at timestamptz, note text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT sgmp.sees_contents() THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT f.finding_id, f.house_id, f.device_name, f.series_id, f.rule, f.subject, f.severity, f.from_at, f.opened_at,
               f.to_at, f.value, f.kwh, f.details, f.suspended,
               CASE WHEN f.to_at IS NOT NULL THEN 'resolved'
                    WHEN a.act = 'acknowledge' THEN 'acknowledged'
                    WHEN a.act = 'silence' AND a.until > now() THEN 'silenced'
                    ELSE 'active' END,
               a.until, COALESCE(a.who, ''), a.at, COALESCE(a.note, '')
        FROM (
            SELECT o.* FROM sgmp.finding o WHERE o.to_at IS NULL AND o.opened_at IS NOT NULL
            UNION ALL
            (SELECT e.* FROM sgmp.finding e
             WHERE e.to_at >= ended_since AND e.opened_at IS NOT NULL AND (house IS NULL OR e.house_id = house OR e.house_id IS NULL)
               AND ((SELECT sgmp.sees_every_house()) OR e.house_id IS NULL OR e.house_id = (SELECT sgmp.my_house()))
             ORDER BY e.to_at DESC LIMIT newest)
        ) f
        LEFT JOIN LATERAL (
            SELECT l.act, l.until, l.who, l.at, l.note FROM sgmp.finding_act l
            WHERE l.finding_id = f.finding_id ORDER BY l.act_id DESC LIMIT 1
        ) a ON true
        WHERE (house IS NULL OR f.house_id = house OR f.house_id IS NULL)
          AND CASE WHEN f.house_id IS NULL THEN (SELECT sgmp.sees_every_house()) OR f.rule IN ('ingest_silent', 'broker_away')
                   ELSE (SELECT sgmp.sees_every_house()) OR f.house_id = (SELECT sgmp.my_house()) END
          AND (f.rule <> 'initial_password' OR (SELECT sgmp.may('manage_accounts')))
          AND (f.rule <> 'delivery' OR (SELECT sgmp.may('manage_houses')))
        ORDER BY f.to_at DESC NULLS FIRST, f.finding_id DESC;
END
$$;

-- How many open findings each house has that nobody took note of, and the worst of them; house 0 stands for the deployment.
-- Houses that were deleted have none.
CREATE FUNCTION sgmp.finding_counts() RETURNS TABLE (house_id integer, severity text, active integer, noted integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT COALESCE(f.house_id, 0),
           (ARRAY['info', 'warning', 'critical'])[max(CASE WHEN f.state = 'active' THEN
               array_position(ARRAY['info', 'warning', 'critical'], f.severity) END)],
           (count(*) FILTER (WHERE f.state = 'active'))::integer, (count(*) FILTER (WHERE f.state <> 'active'))::integer
    FROM sgmp.visible_findings(NULL, 'infinity', 0) f
    GROUP BY 1;
END;

-- Since the last turn of the watch; null where there never was one. Without it, no findings does not mean that all is well.
CREATE FUNCTION sgmp.watch_age_ms() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT GREATEST(extract(epoch FROM clock_timestamp() - w.turn_at) * 1000, 0)::bigint FROM sgmp.watch_state w);

-- `act`: acknowledge, silence (until a time), reopen (take that back). Returns whether the finding is there and open.
CREATE FUNCTION sgmp.act_on_finding(finding bigint, act text, note text, until timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.finding;
BEGIN
    PERFORM sgmp.require_permission('manage_devices');
    SELECT f.* INTO about FROM sgmp.finding f
    WHERE f.finding_id = finding AND f.opened_at IS NOT NULL AND sgmp.sees_finding(f.house_id, f.rule);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such finding.';
    END IF;
    IF about.to_at IS NOT NULL THEN
        RETURN false;
    END IF;
    IF act = 'silence' AND (until IS NULL OR until <= now() OR until > now() + interval '366 days') THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'Silence a finding until a time within a year from now.';
    END IF;
    INSERT INTO sgmp.finding_act (finding_id, act, who, note, until)
    VALUES (finding, act, sgmp.actor(), note, CASE act WHEN 'silence' THEN until END);
    PERFORM sgmp.write_audit(act, 'finding', concat_ws(' ', NULLIF(about.device_name, ''), about.rule), finding,
                             about.house_id, NULL, jsonb_strip_nulls(jsonb_build_object(
                                 'note', NULLIF(note, ''), 'until', CASE act WHEN 'silence' THEN until END)));
    RETURN true;
END
$$;

-- Recipients ------------------------------------------------------------------------------------------------------------

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

-- Maintenance windows -----------------------------------------------------------------------------------------------------

CREATE FUNCTION sgmp.visible_windows() RETURNS SETOF sgmp.maintenance_window
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT w.* FROM sgmp.maintenance_window w
    WHERE (SELECT sgmp.sees_contents())
      AND ((SELECT sgmp.sees_every_house()) OR w.house_id IS NULL OR w.house_id = (SELECT sgmp.my_house()))
    ORDER BY w.window_id;
END;

CREATE FUNCTION sgmp.require_window(house integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF house IS NULL THEN
        PERFORM sgmp.require_permission('all_houses');
        PERFORM sgmp.require_permission('manage_devices');
    ELSE
        PERFORM sgmp.require_in_house('manage_devices', house);
    END IF;
END
$$;

CREATE FUNCTION sgmp.add_window(
    house integer, device text, starts timestamptz, ends timestamptz, days integer[], from_clock time, until_clock time,
    note text
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    created integer;
    added sgmp.maintenance_window;
BEGIN
    PERFORM sgmp.require_window(house);
    INSERT INTO sgmp.maintenance_window
        (house_id, device_name, starts_at, ends_at, weekdays, from_time, until_time, note, created_by)
    VALUES (house, device, starts, ends, days, from_clock, until_clock, note, sgmp.actor()) RETURNING * INTO added;
    PERFORM sgmp.write_audit('create', 'maintenance_window', COALESCE(NULLIF(device, ''), 'all devices'), added.window_id, house, NULL,
                             jsonb_strip_nulls(to_jsonb(added) - 'window_id' - 'house_id' - 'created_by' - 'created_at'));
    RETURN added.window_id;
END
$$;

CREATE FUNCTION sgmp.remove_window(asked integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.maintenance_window;
BEGIN
    PERFORM sgmp.require_permission('manage_devices');
    SELECT w.* INTO about FROM sgmp.maintenance_window w
    WHERE w.window_id = asked AND (sgmp.sees_every_house() OR w.house_id = sgmp.my_house());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM sgmp.require_window(about.house_id);
    DELETE FROM sgmp.maintenance_window w WHERE w.window_id = asked;
    PERFORM sgmp.write_audit('delete', 'maintenance_window', COALESCE(NULLIF(about.device_name, ''), 'all devices'), asked,
                             about.house_id,
                             jsonb_strip_nulls(to_jsonb(about) - 'window_id' - 'house_id' - 'created_by' - 'created_at'), NULL);
    RETURN true;
END
$$;

-- The watch -----------------------------------------------------------------------------------------------------------------

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
CREATE FUNCTION sgmp.initial_passwords() RETURNS TABLE (email text, house_id integer, set_at timestamptz, expires_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT a.email, a.house_id, a.password_set_at, a.password_set_at + interval '7 days'
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
-- can't be judged at present.
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
            FROM open o JOIN sgmp.recipient r ON (r.house_id IS NULL OR r.house_id = o.house_id)
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
