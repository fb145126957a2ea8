-- Houses. Accounts read every table through functions: of a table or a view, EXPLAIN ANALYZE shows how many rows of others a
-- condition met, and with that, question by question, what they hold. Of a function it shows what comes out.

CREATE FUNCTION sgmp.visible_houses() RETURNS SETOF sgmp.house
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT h.* FROM sgmp.house h WHERE {house_visible};
END;

CREATE VIEW sgmp.houses AS SELECT * FROM sgmp.visible_houses();
COMMENT ON VIEW sgmp.houses IS 'sgmp program';

CREATE FUNCTION sgmp.create_house(
    name text, description text, time_zone text, load_contains_ev boolean DEFAULT false,
    latitude double precision DEFAULT NULL, longitude double precision DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    created integer;
BEGIN
    PERFORM sgmp.require_permission('manage_houses');
    PERFORM sgmp.require_permission('all_houses');
    INSERT INTO sgmp.house (name, description, time_zone, load_contains_ev, latitude, longitude)
    VALUES (name, description, time_zone, load_contains_ev, latitude, longitude)
    RETURNING house_id INTO created;
    RETURN created;
END
$$;

-- Returns the new revision; null if it is no longer `seen`, or the house was deleted.
CREATE FUNCTION sgmp.update_house(
    house integer, seen integer, new_name text, new_description text, new_time_zone text,
    new_load_contains_ev boolean, new_latitude double precision, new_longitude double precision
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_in_house('manage_houses', house);
    UPDATE sgmp.house h SET
        name = new_name, description = new_description, time_zone = new_time_zone,
        load_contains_ev = new_load_contains_ev, latitude = new_latitude, longitude = new_longitude,
        revision = h.revision + 1
    WHERE h.house_id = house AND h.revision = seen AND h.deleted_at IS NULL;
    RETURN CASE WHEN FOUND THEN seen + 1 END;
END
$$;

-- Returns whether it was there.
CREATE FUNCTION sgmp.delete_house(house integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_in_house('manage_houses', house);
    UPDATE sgmp.house h SET deleted_at = now(), revision = h.revision + 1
    WHERE h.house_id = house AND h.deleted_at IS NULL;
    RETURN FOUND;
END
$$;

-- What the edges last reported about themselves.
CREATE FUNCTION sgmp.visible_house_states() RETURNS SETOF sgmp.house_state
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT s.* FROM sgmp.house_state s WHERE {contents_visible};
END;

CREATE VIEW sgmp.house_states AS SELECT * FROM sgmp.visible_house_states();
COMMENT ON VIEW sgmp.house_states IS 'sgmp program';
