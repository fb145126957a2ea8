-- How far houses are on the way from created to finished, beside what `house_standings` says.

-- Of each house that the account sees: which of `asked` items it has, when credentials were generated first, and what the last
-- check of its wiring found.
CREATE FUNCTION sgmp.house_setups(asked text[]) RETURNS TABLE (
    house_id integer, created_at timestamptz, credentials_at timestamptz, items text[], checked_at timestamptz, checked_by text,
    wrong integer, unknown integer
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT h.house_id, h.created_at, s.credentials_at, COALESCE(present.items, '{}'), s.checked_at, s.checked_by, s.wrong, s.unknown
    FROM sgmp.visible_houses() h
    LEFT JOIN sgmp.house_setup s ON s.house_id = h.house_id
    LEFT JOIN (
        SELECT i.house_id, array_agg(i.name) AS items FROM sgmp.analytic_item i WHERE i.name = ANY (asked) GROUP BY i.house_id
    ) present ON present.house_id = h.house_id
    WHERE (SELECT sgmp.sees_contents());
END;

-- What a check of a house's wiring found: so many things to correct, and so many of which nothing could be said. Of who may look but
-- not manage houses nothing is kept. Returns whether it is.
CREATE FUNCTION sgmp.note_wiring(house integer, found_wrong integer, found_unknown integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.may('manage_houses') OR sgmp.sees_house(house) IS NOT TRUE THEN
        RETURN false;
    END IF;
    INSERT INTO sgmp.house_setup (house_id, checked_at, checked_by, wrong, unknown)
    VALUES (house, now(), sgmp.actor(), found_wrong, found_unknown)
    ON CONFLICT (house_id) DO UPDATE SET
        checked_at = excluded.checked_at, checked_by = excluded.checked_by, wrong = excluded.wrong, unknown = excluded.unknown;
    PERFORM sgmp.write_audit('check_wiring', 'house', (SELECT h.name FROM sgmp.house h WHERE h.house_id = house), house, house, NULL,
                             jsonb_build_object('wrong', found_wrong, 'unknown', found_unknown));
    RETURN true;
END
$$;
