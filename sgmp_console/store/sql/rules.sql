-- Rules of operators: a formula, a threshold, and for how long (docs/findings.md). The watch judges them. One without a house is
-- of all houses, and takes `all_houses` to be changed. What is done with them is recorded by triggers.

CREATE FUNCTION sgmp.visible_rules() RETURNS SETOF sgmp.rule
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.* FROM sgmp.rule r
    WHERE (SELECT sgmp.sees_contents())
      AND ((SELECT sgmp.sees_every_house()) OR r.house_id IS NULL OR r.house_id = (SELECT sgmp.my_house()));
END;

CREATE FUNCTION sgmp.require_rules_of(house integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF house IS NULL THEN
        PERFORM sgmp.require_permission('all_houses');
        PERFORM sgmp.require_permission('manage_analytics');
    ELSE
        PERFORM sgmp.require_in_house('manage_analytics', house);
    END IF;
END
$$;

CREATE FUNCTION sgmp.create_rule(
    house integer, name text, formula text, above boolean, threshold double precision, clear_threshold double precision,
    hold_s integer, clear_s integer, from_time time, until_time time, severity text, guidance text, unit text,
    enabled boolean
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    created integer;
BEGIN
    PERFORM sgmp.require_rules_of(house);
    INSERT INTO sgmp.rule (house_id, name, formula, above, threshold, clear_threshold, hold_s, clear_s, from_time, until_time,
                           severity, guidance, unit, enabled)
    VALUES (house, name, formula, above, threshold, clear_threshold, hold_s, clear_s, from_time, until_time, severity, guidance,
            unit, enabled)
    RETURNING rule_id INTO created;
    RETURN created;
END
$$;

-- A rule that the account may change. Raises where there is none.
CREATE FUNCTION sgmp.require_rule(rule integer) RETURNS sgmp.rule
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.rule;
BEGIN
    PERFORM sgmp.require_permission('manage_analytics');
    SELECT r.* INTO about FROM sgmp.rule r
    WHERE r.rule_id = rule AND (r.house_id IS NULL OR sgmp.sees_house(r.house_id));
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such rule. It may have been deleted.';
    END IF;
    PERFORM sgmp.require_rules_of(about.house_id);
    RETURN about;
END
$$;

-- All but its house. `changed_at` moves where something else is asked than before: what had begun to hold begins again.
-- Returns the new revision; null if it is no longer `seen`.
CREATE FUNCTION sgmp.update_rule(
    rule integer, seen integer, new_name text, new_formula text, new_above boolean, new_threshold double precision,
    new_clear_threshold double precision, new_hold_s integer, new_clear_s integer, new_from_time time, new_until_time time,
    new_severity text, new_guidance text, new_unit text, new_enabled boolean
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_rule(rule);
    UPDATE sgmp.rule r SET
        name = new_name, formula = new_formula, above = new_above, threshold = new_threshold,
        clear_threshold = new_clear_threshold, hold_s = new_hold_s, clear_s = new_clear_s, from_time = new_from_time,
        until_time = new_until_time, severity = new_severity, guidance = new_guidance, unit = new_unit, enabled = new_enabled,
        revision = r.revision + 1,
        changed_at = CASE WHEN (r.formula, r.above, r.threshold, r.enabled) = (new_formula, new_above, new_threshold, new_enabled)
                     THEN r.changed_at ELSE now() END
    WHERE r.rule_id = rule AND r.revision = seen;
    RETURN CASE WHEN FOUND THEN seen + 1 END;
END
$$;

CREATE FUNCTION sgmp.delete_rule(rule integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_rule(rule);
    DELETE FROM sgmp.rule r WHERE r.rule_id = rule;
    RETURN FOUND;
END
$$;

-- The houses that rules are judged in, each with its items by name, as text.
CREATE FUNCTION sgmp.houses_with_rules() RETURNS TABLE (house_id integer, time_zone text, items text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT h.house_id, h.time_zone, COALESCE(present.items, '{}')
        FROM sgmp.house h
        LEFT JOIN LATERAL (
            SELECT jsonb_object_agg(i.name, i.formula)::text AS items FROM sgmp.analytic_item i WHERE i.house_id = h.house_id
        ) present ON true
        WHERE h.deleted_at IS NULL
          AND (EXISTS (SELECT FROM sgmp.rule r WHERE r.enabled AND r.house_id IS NULL)
               OR EXISTS (SELECT FROM sgmp.rule r WHERE r.enabled AND r.house_id = h.house_id));
END
$$;

-- The series of these fields of devices in use, each by its place in the question.
CREATE FUNCTION sgmp.series_of_fields(houses integer[], devices text[], fields text[])
RETURNS TABLE (place bigint, series_id integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT asked.place, s.series_id
        FROM unnest(houses, devices, fields) WITH ORDINALITY AS asked (house, device, field, place)
        JOIN sgmp.device d ON d.house_id = asked.house AND d.name = asked.device AND d.deleted_at IS NULL
        JOIN sgmp.series s ON s.device_id = d.device_id AND s.field = asked.field;
END
$$;

-- The events of these houses since a time: of some types, and with `others` of all but EDGE_STATUS, which edges report each
-- minute.
CREATE FUNCTION sgmp.events_of_houses(houses integer[], since timestamptz, types text[], others boolean)
RETURNS TABLE (house_id integer, device_name text, type text, ts timestamptz, data jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    PERFORM sgmp.require_watch();
    RETURN QUERY
        SELECT e.house_id, e.device_name, e.type, e.ts, e.data FROM sgmp.event e
        WHERE e.house_id = ANY (houses) AND e.ts >= since AND (e.type = ANY (types) OR others AND e.type <> 'EDGE_STATUS')
        ORDER BY e.ts, e.event_id;
END
$$;
