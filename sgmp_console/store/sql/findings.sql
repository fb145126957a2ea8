-- Findings: what was or is wrong. The watch opens and closes them (watch.sql; its rights to the tables are in rights.sql);
-- accounts read them and act on them through functions. What an account does is a row of its own (finding_act): the watch
-- waits for no lock that an account can hold.

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
