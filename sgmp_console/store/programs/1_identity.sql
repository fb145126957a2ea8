-- Who is asking, and what may they.
--
-- Always `session_user`, the role that signed in: SET ROLE and SECURITY DEFINER change `current_user` only. Whoever is
-- a member of the schema's owner may everything.

CREATE FUNCTION sgmp.login_name(email text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE
    WHEN octet_length({deployment_text} || ':' || email) <= 63 THEN {deployment_text} || ':' || email
    ELSE left({deployment_text} || ':' || email, 46) || '~' || left(encode(sha256(convert_to(email, 'UTF8')), 'hex'), 16)
END;

CREATE FUNCTION sgmp.is_owner() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN pg_has_role(session_user, (SELECT nspowner FROM pg_namespace WHERE nspname = 'sgmp'), 'MEMBER');

CREATE FUNCTION sgmp.my_permissions() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT p.name FROM sgmp.permission p
    WHERE sgmp.is_owner()
       OR p.name IN (
            SELECT rp.permission FROM sgmp.account a JOIN sgmp.role_permission rp USING (role_id)
            WHERE a.login = session_user AND a.enabled);
END;

CREATE FUNCTION sgmp.may(asked text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN asked IN (SELECT sgmp.my_permissions());

CREATE FUNCTION sgmp.sees_every_house() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN sgmp.may('all_houses');

-- The one house of an account that does not see all.
CREATE FUNCTION sgmp.my_house() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT a.house_id FROM sgmp.account a WHERE a.login = session_user AND a.enabled);

CREATE FUNCTION sgmp.sees_house(asked integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM sgmp.house WHERE house_id = asked AND {visible});

CREATE FUNCTION sgmp.require(asked text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.may(asked) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE =
            format('Your role lacks the permission %s. An administrator can give it.', asked);
    END IF;
END
$$;

CREATE FUNCTION sgmp.me() RETURNS TABLE (
    account_id integer, email text, name text, role text, house_id integer,
    permissions text[], enabled boolean, must_change_password boolean, revision integer
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.account_id, a.email, a.name, r.name, a.house_id,
           ARRAY(SELECT sgmp.my_permissions()), a.enabled, a.must_change_password, a.revision
    FROM sgmp.account a JOIN sgmp.role r USING (role_id)
    WHERE a.login = session_user;
END;
