-- Times of maintenance: findings that open meanwhile notify nobody.

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
