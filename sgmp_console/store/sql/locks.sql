-- Locks are rows of a table that only the owner reaches. An advisory lock can be taken by every session under any key, and
-- held for ever; what waits for one could be stopped by anybody.

CREATE FUNCTION sgmp.take_lock(lock_name text, house integer DEFAULT 0) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO sgmp.lock VALUES (lock_name, house) ON CONFLICT DO NOTHING;
    PERFORM FROM sgmp.lock l WHERE l.name = lock_name AND l.house_id = house FOR UPDATE;
END
$$;

-- The locks of a house that are tried: to make one would wait for another that makes it at the same time.
CREATE FUNCTION sgmp.make_locks(house integer) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO sgmp.lock (name, house_id) VALUES ('aggregates', house), ('merge', house) ON CONFLICT DO NOTHING;
END;

CREATE FUNCTION sgmp.make_house_locks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.make_locks(NEW.house_id);
    RETURN NULL;
END
$$;

CREATE TRIGGER sgmp_make_locks AFTER INSERT ON sgmp.house FOR EACH ROW EXECUTE FUNCTION sgmp.make_house_locks();

SELECT sgmp.make_locks(h.house_id) FROM sgmp.house h;

-- Returns whether the lock was free. Never waits for who holds it.
CREATE FUNCTION sgmp.try_lock(lock_name text, house integer DEFAULT 0) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM sgmp.lock l WHERE l.name = lock_name AND l.house_id = house FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END
$$;

-- Of several houses; those that were free are held in any case.
CREATE FUNCTION sgmp.try_locks(lock_name text, houses integer[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    house integer;
    are_free boolean := true;
BEGIN
    FOREACH house IN ARRAY houses LOOP
        are_free := are_free AND sgmp.try_lock(lock_name, house);
    END LOOP;
    RETURN are_free;
END
$$;

-- Held by acts that change what a house consists of. An account that may do none of them gets no lock: what it then
-- tries is refused.
CREATE FUNCTION sgmp.lock_house(house integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF sgmp.sees_house(house) AND (
        sgmp.may('manage_devices') OR sgmp.may('manage_analytics') OR sgmp.may('manage_houses')
    ) THEN
        PERFORM sgmp.take_lock('house', house);
    END IF;
END
$$;

-- Held while a house is created.
CREATE FUNCTION sgmp.lock_houses() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF sgmp.may('manage_houses') AND sgmp.sees_every_house() THEN
        PERFORM sgmp.take_lock('houses');
    END IF;
END
$$;
