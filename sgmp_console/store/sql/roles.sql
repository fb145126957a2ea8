-- Roles are the deployment's, in all its houses: who changes them sees all houses, and gives nothing they don't have.

CREATE FUNCTION sgmp.require_roles(asked text[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    PERFORM sgmp.require_permission('manage_roles');
    PERFORM sgmp.require_permission('all_houses');
    SELECT string_agg(p, ', ' ORDER BY p) INTO missing
    FROM (SELECT unnest(asked) AS p EXCEPT SELECT p.name FROM sgmp.permission p) unknown;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = format('There is no permission %s.', left(missing, 200));
    END IF;
    SELECT string_agg(p, ', ' ORDER BY p) INTO missing
    FROM (SELECT unnest(asked) AS p EXCEPT SELECT sgmp.my_permissions()) above;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE =
            format('You can''t give or take permissions that you don''t have: %s.', missing);
    END IF;
END
$$;

-- The role, held until the transaction ends. Built-in ones stay as they are: somebody must always be able to repair everything.
CREATE FUNCTION sgmp.managed_role(chosen integer) RETURNS sgmp.role
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    managed sgmp.role;
BEGIN
    PERFORM sgmp.require_roles(ARRAY(SELECT p.permission FROM sgmp.role_permission p WHERE p.role_id = chosen));
    SELECT * INTO managed FROM sgmp.role r WHERE r.role_id = chosen FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such role. It may have been deleted.';
    END IF;
    IF managed.built_in THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = format(
            'The role %s is built in and can be neither changed nor deleted. Make a role of your own instead.', managed.name);
    END IF;
    RETURN managed;
END
$$;

CREATE FUNCTION sgmp.create_role(new_name text, new_description text, permissions text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    created integer;
BEGIN
    PERFORM sgmp.require_roles(permissions);
    INSERT INTO sgmp.role (name, description) VALUES (new_name, new_description) RETURNING role_id INTO created;
    INSERT INTO sgmp.role_permission SELECT DISTINCT created, p FROM unnest(permissions) p;
    RETURN created;
END
$$;

-- Returns the new revision; null if it is no longer `seen`.
CREATE FUNCTION sgmp.update_role(
    chosen integer, seen integer, new_name text, new_description text, permissions text[]
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before sgmp.role := sgmp.managed_role(chosen);
BEGIN
    PERFORM sgmp.require_roles(permissions);
    IF before.revision <> seen THEN
        RETURN NULL;
    END IF;
    UPDATE sgmp.role SET name = new_name, description = new_description, revision = seen + 1 WHERE role_id = chosen;
    DELETE FROM sgmp.role_permission p WHERE p.role_id = chosen AND p.permission <> ALL (permissions);
    INSERT INTO sgmp.role_permission SELECT DISTINCT chosen, p FROM unnest(permissions) p ON CONFLICT DO NOTHING;
    RETURN seen + 1;
END
$$;

CREATE FUNCTION sgmp.delete_role(chosen integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before sgmp.role := sgmp.managed_role(chosen);
    members text[] := ARRAY(SELECT a.email FROM sgmp.account a WHERE a.role_id = chosen ORDER BY a.email);
BEGIN
    IF cardinality(members) > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = format(
            'The role %s is still given to %s%s. Give these another role first.', before.name,
            CASE cardinality(members) WHEN 1 THEN 'an account' ELSE cardinality(members) || ' accounts' END,
            -- Emails are for those who manage accounts.
            CASE WHEN sgmp.may('manage_accounts') THEN
                format(' (%s%s)', array_to_string(members[1:8], ', '), CASE WHEN cardinality(members) > 8 THEN ', ...' ELSE '' END)
            ELSE '' END);
    END IF;
    DELETE FROM sgmp.role WHERE role_id = chosen;
END
$$;

-- How many accounts have each role is for those who give roles.
CREATE FUNCTION sgmp.visible_roles() RETURNS TABLE (
    role_id integer, name text, description text, built_in boolean, revision integer, permissions text[], members integer
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.role_id, r.name, r.description, r.built_in, r.revision,
           ARRAY(SELECT p.permission FROM sgmp.role_permission p WHERE p.role_id = r.role_id ORDER BY 1),
           (SELECT count(*) FROM sgmp.account a
            WHERE a.role_id = r.role_id
              AND ((SELECT sgmp.may('manage_roles')) AND (SELECT sgmp.sees_every_house())
                   OR (SELECT sgmp.may('manage_accounts')) AND {house_visible}))::integer
    FROM sgmp.role r;
END;

CREATE VIEW sgmp.roles AS SELECT * FROM sgmp.visible_roles();
COMMENT ON VIEW sgmp.roles IS 'sgmp program';
