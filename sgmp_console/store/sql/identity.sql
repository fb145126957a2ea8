-- Who is asking, and what may they.
--
-- Always `session_user`, the role that signed in: SET ROLE and SECURITY DEFINER change `current_user` only. Who is
-- a member of the schema's owner may everything.

-- The role of an account. Every role of a server sees the names of all others, so it reveals nobody's email.
CREATE FUNCTION sgmp.login_name(email text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN {deployment_text} || ':' || left(encode(sha256(convert_to(email, 'UTF8')), 'hex'), 24);

CREATE FUNCTION sgmp.is_owner() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN pg_has_role(session_user, (SELECT nspowner FROM pg_namespace WHERE nspname = 'sgmp'), 'MEMBER');

-- An account that has to change its password first can do nothing else.
CREATE FUNCTION sgmp.is_active(asked sgmp.account) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN (asked).enabled AND NOT (asked).must_change_password;

-- How the audit names who is signed in.
CREATE FUNCTION sgmp.actor() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN COALESCE((SELECT a.email FROM sgmp.account a WHERE a.login = session_user), session_user::text);

-- Permissions are those of now. REPEATABLE READ and SERIALIZABLE look at the moment at which they began, and would let
-- an account go on with what was taken from it since.
CREATE FUNCTION sgmp.my_permissions() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF sgmp.is_owner() THEN
        RETURN QUERY SELECT p.name FROM sgmp.permission p;
    ELSIF session_user = {watch_text} THEN
        -- The watch reads all houses, as an account that may change nothing.
        RETURN QUERY SELECT unnest(ARRAY['all_houses', 'view_dashboards', 'view_devices']);
    ELSIF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE = 'Permissions are given in READ COMMITTED transactions only.';
    ELSE
        RETURN QUERY
            SELECT rp.permission FROM sgmp.account a JOIN sgmp.role_permission rp USING (role_id)
            WHERE a.login = session_user AND sgmp.is_active(a);
    END IF;
END
$$;

CREATE FUNCTION sgmp.may(asked text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN asked IN (SELECT sgmp.my_permissions());

CREATE FUNCTION sgmp.sees_every_house() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN sgmp.may('all_houses');

-- The one house of an account that does not see all.
CREATE FUNCTION sgmp.my_house() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT a.house_id FROM sgmp.account a WHERE a.login = session_user AND sgmp.is_active(a));

-- Whether what is in houses is any of their business: managing accounts and roles alone is not.
CREATE FUNCTION sgmp.sees_contents() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN EXISTS (
    SELECT sgmp.my_permissions() EXCEPT SELECT unnest(ARRAY['manage_accounts', 'manage_roles', 'all_houses']));

CREATE FUNCTION sgmp.sees_house(asked integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM sgmp.house WHERE house_id = asked AND {house_visible});

CREATE FUNCTION sgmp.require_permission(asked text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.may(asked) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE =
            format('Your role does not have the permission %s. An administrator can give it.', asked);
    END IF;
END
$$;

-- An initial password that nobody changed lies in some mailbox.
CREATE FUNCTION sgmp.has_expired(asked sgmp.account) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN (asked).must_change_password AND (asked).password_set_at < now() - interval '7 days';

CREATE FUNCTION sgmp.me() RETURNS TABLE (
    account_id integer, email text, name text, role text, house_id integer,
    permissions text[], enabled boolean, must_change_password boolean, revision integer, expired boolean
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.account_id, a.email, a.name, r.name, a.house_id,
           ARRAY(SELECT sgmp.my_permissions()), a.enabled, a.must_change_password, a.revision,
           sgmp.has_expired(a)
    FROM sgmp.account a JOIN sgmp.role r USING (role_id)
    WHERE a.login = session_user;
END;

-- For an act in one house. A house that the account does not see does not exist for it.
CREATE FUNCTION sgmp.require_in_house(asked text, house integer) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_permission(asked);
    IF sgmp.sees_house(house) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such house. It may have been deleted.';
    END IF;
END
$$;

-- Whether the account may read what is in this house.
CREATE FUNCTION sgmp.sees_contents_of(house integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN sgmp.sees_contents() AND sgmp.sees_house(house);
