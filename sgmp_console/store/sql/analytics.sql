-- Analytic items, and the fields for which those with Continuous Aggregation ask.

CREATE FUNCTION sgmp.visible_analytic_items() RETURNS SETOF sgmp.analytic_item
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT i.* FROM sgmp.analytic_item i WHERE {contents_visible};
END;

CREATE VIEW sgmp.analytic_items AS SELECT * FROM sgmp.visible_analytic_items();
COMMENT ON VIEW sgmp.analytic_items IS 'sgmp program';

CREATE FUNCTION sgmp.create_analytic_item(
    house integer, name text, description text, formula text, aggregated boolean, unit text
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    created integer;
BEGIN
    PERFORM sgmp.require_in_house('manage_analytics', house);
    INSERT INTO sgmp.analytic_item (house_id, name, description, formula, aggregated, unit)
    VALUES (house, name, description, formula, aggregated, unit) RETURNING item_id INTO created;
    RETURN created;
END
$$;

-- The house of an item that the account may change. Raises where there is none.
CREATE FUNCTION sgmp.house_of_item(item integer) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    house integer := (SELECT i.house_id FROM sgmp.analytic_item i WHERE i.item_id = item);
BEGIN
    PERFORM sgmp.require_permission('manage_analytics');
    IF sgmp.sees_house(house) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such analytic item. It may have been deleted.';
    END IF;
    RETURN house;
END
$$;

-- Returns the new revision; null if it is no longer `seen`.
CREATE FUNCTION sgmp.update_analytic_item(
    item integer, seen integer, new_description text, new_formula text, new_aggregated boolean, new_unit text
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_permission('manage_analytics');
    UPDATE sgmp.analytic_item i SET
        description = new_description, formula = new_formula, aggregated = new_aggregated, unit = new_unit,
        revision = i.revision + 1
    WHERE i.item_id = item AND i.revision = seen AND sgmp.sees_house(i.house_id);
    RETURN CASE WHEN FOUND THEN seen + 1 END;
END
$$;

CREATE FUNCTION sgmp.delete_analytic_item(item integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.house_of_item(item);
    DELETE FROM sgmp.analytic_item i WHERE i.item_id = item;
    RETURN FOUND;
END
$$;

CREATE FUNCTION sgmp.visible_registrations() RETURNS SETOF sgmp.aggregation
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.* FROM sgmp.aggregation a WHERE {contents_visible};
END;

CREATE VIEW sgmp.registrations AS SELECT * FROM sgmp.visible_registrations();
COMMENT ON VIEW sgmp.registrations IS 'sgmp program';

-- From now on the item asks for aggregates of just these fields.
CREATE FUNCTION sgmp.register_aggregation(house integer, item integer, devices text[], fields text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF sgmp.house_of_item(item) <> house THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such analytic item. It may have been deleted.';
    END IF;
    DELETE FROM sgmp.aggregation a
    WHERE a.item_id = item AND NOT EXISTS (
        SELECT FROM unnest(devices, fields) AS asked (device, field) WHERE (device, field) = (a.device_name, a.field));
    INSERT INTO sgmp.aggregation (item_id, house_id, device_name, field)
    SELECT DISTINCT item, house, device, field FROM unnest(devices, fields) AS asked (device, field)
    ORDER BY device, field
    ON CONFLICT DO NOTHING;
END
$$;
