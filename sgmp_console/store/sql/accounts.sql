-- Accounts are PostgreSQL roles: they are made, changed and dropped here only.

-- Whether a password is long enough only who makes the verifier knows; it can't be a cheap one, or a password in clear,
-- which would stand in the server's log.
CREATE FUNCTION sgmp.checked_verifier(verifier text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part text[] := regexp_match(
        verifier, '^SCRAM-SHA-256\$([0-9]{1,7}):[A-Za-z0-9+/]{22,}={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$');
BEGIN
    IF part IS NULL OR part[1]::integer < 4096 THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'A password reaches the database only as a SCRAM verifier.';
    END IF;
    RETURN verifier;
END
$$;

-- The role of that name. Nobody can give what they don't have.
CREATE FUNCTION sgmp.grantable_role(role_name text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found integer := (SELECT r.role_id FROM sgmp.role r WHERE r.name = role_name);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = format('There is no role %s.', role_name);
    END IF;
    IF EXISTS (
        SELECT rp.permission FROM sgmp.role_permission rp WHERE rp.role_id = found
        EXCEPT SELECT sgmp.my_permissions()
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE =
            format('The role %s includes permissions that you don''t have, so you can''t assign it.', role_name);
    END IF;
    RETURN found;
END
$$;

CREATE FUNCTION sgmp.create_account(
    email text, name text, role_name text, house integer, verifier text, must_change_password boolean
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    login text := sgmp.login_name(email);
    made integer;
BEGIN
    PERFORM sgmp.require_permission('manage_accounts');
    IF house IS NOT NULL AND NOT sgmp.sees_house(house) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such house.';
    END IF;
    IF EXISTS (SELECT FROM sgmp.account a WHERE a.email = create_account.email) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG003', MESSAGE = format('An account for %s exists already.', email);
    END IF;
    INSERT INTO sgmp.account (email, name, role_id, house_id, login, must_change_password)
    VALUES (email, name, sgmp.grantable_role(role_name), house, login, must_change_password)
    RETURNING account_id INTO made;
    EXECUTE format(
        'CREATE ROLE %I LOGIN CONNECTION LIMIT 16 PASSWORD %L IN ROLE {accounts}', login, sgmp.checked_verifier(verifier));
    -- Whoever may end a role's sessions is a member of it, or a superuser, which the owner need not be.
    EXECUTE format('GRANT %I TO CURRENT_USER', login);
    -- Against what is forgotten: a role can set both anew for itself.
    EXECUTE format('ALTER ROLE %I SET statement_timeout = ''15min''', login);
    EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''5min''', login);
    RETURN made;
END
$$;

CREATE FUNCTION sgmp.set_own_password(verifier text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own sgmp.account;
BEGIN
    SELECT * INTO own FROM sgmp.account a WHERE a.login = session_user AND a.enabled FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE = 'Only a signed-in account has a password to change here.';
    END IF;
    IF sgmp.has_expired(own) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE =
            'The initial password has expired. An administrator can reset it, which makes a new one.';
    END IF;
    UPDATE sgmp.account SET must_change_password = false, password_set_at = now() WHERE account_id = own.account_id;
    EXECUTE format('ALTER ROLE %I PASSWORD %L', session_user, sgmp.checked_verifier(verifier));
    PERFORM sgmp.write_audit('change_password', 'account', own.email, own.account_id, own.house_id, NULL, NULL);
END
$$;

CREATE FUNCTION sgmp.reset_password(chosen integer, verifier text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    managed sgmp.account := sgmp.managed_account(chosen);
BEGIN
    EXECUTE format('ALTER ROLE %I PASSWORD %L', managed.login, sgmp.checked_verifier(verifier));
    UPDATE sgmp.account SET must_change_password = true, password_set_at = now() WHERE account_id = chosen;
    PERFORM sgmp.write_audit('reset_password', 'account', managed.email, chosen, managed.house_id, NULL, NULL);
END
$$;

-- Told once per sign-in by our programs. Other clients need not: log_connections of the server is for these.
CREATE FUNCTION sgmp.note_sign_in() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;  -- a standby
    END IF;
    PERFORM sgmp.write_audit('sign_in', 'account', a.email, a.account_id, a.house_id, NULL, NULL)
    FROM sgmp.account a WHERE a.login = session_user;
END
$$;

-- An account that the caller may change: of a house of theirs, and not mightier than they are.
CREATE FUNCTION sgmp.managed_account(chosen integer) RETURNS sgmp.account
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    managed sgmp.account;
BEGIN
    PERFORM sgmp.require_permission('manage_accounts');
    SELECT * INTO managed FROM sgmp.account a
    WHERE a.account_id = chosen
      AND (sgmp.sees_every_house() OR a.house_id = sgmp.my_house())
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such account.';
    END IF;
    PERFORM sgmp.grantable_role((SELECT r.name FROM sgmp.role r WHERE r.role_id = managed.role_id));
    RETURN managed;
END
$$;

-- Somebody must always be left who can sign in and set all right.
CREATE FUNCTION sgmp.keep_an_administrator() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM sgmp.account a JOIN sgmp.role r USING (role_id)
        WHERE a.enabled AND r.built_in AND r.name = 'admin'
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE =
            'This is the last administrator. Make another account an administrator first.';
    END IF;
END
$$;

-- Returns the new revision; null if it is no longer `seen`.
CREATE FUNCTION sgmp.update_account(
    chosen integer, seen integer, new_name text, role_name text, house integer, new_enabled boolean
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before sgmp.account := sgmp.managed_account(chosen);
    now_revision integer;
BEGIN
    IF house IS NOT NULL AND NOT sgmp.sees_house(house) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such house.';
    END IF;
    PERFORM pg_advisory_xact_lock('sgmp.account'::regclass::integer);
    UPDATE sgmp.account SET
        name = new_name, role_id = sgmp.grantable_role(role_name), house_id = house, enabled = new_enabled,
        revision = revision + 1
    WHERE account_id = chosen AND revision = seen
    RETURNING revision INTO now_revision;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM sgmp.keep_an_administrator();
    EXECUTE format('ALTER ROLE %I %s', before.login, CASE WHEN new_enabled THEN 'LOGIN' ELSE 'NOLOGIN' END);
    RETURN now_revision;
END
$$;

CREATE FUNCTION sgmp.delete_account(chosen integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before sgmp.account := sgmp.managed_account(chosen);
BEGIN
    IF before.login = session_user THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE =
            'You can''t delete the account that you are signed in with. Another administrator can.';
    END IF;
    PERFORM pg_advisory_xact_lock('sgmp.account'::regclass::integer);
    DELETE FROM sgmp.account WHERE account_id = chosen;
    PERFORM sgmp.keep_an_administrator();
END
$$;

-- Sessions end with what they were begun with: the account, its role and house, the password. At the end of the
-- transaction, so that hardly anybody comes back before it is committed. What a session had going ends undone.
CREATE FUNCTION sgmp.end_sessions(of_login text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_stat_clear_snapshot();
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = of_login AND pid <> pg_backend_pid();
END
$$;

CREATE FUNCTION sgmp.end_account_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.end_sessions(OLD.login);
    IF TG_OP = 'DELETE' THEN
        PERFORM sgmp.drop_login(OLD.login);
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER sgmp_end_sessions AFTER UPDATE ON sgmp.account DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN ((OLD.role_id, OLD.house_id, OLD.enabled, OLD.password_set_at)
                   IS DISTINCT FROM (NEW.role_id, NEW.house_id, NEW.enabled, NEW.password_set_at))
EXECUTE FUNCTION sgmp.end_account_sessions();
CREATE CONSTRAINT TRIGGER sgmp_end_sessions_of_deleted AFTER DELETE ON sgmp.account DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION sgmp.end_account_sessions();

CREATE FUNCTION sgmp.end_member_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.end_sessions(a.login) FROM sgmp.account a WHERE a.role_id = OLD.role_id;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER sgmp_end_sessions AFTER DELETE ON sgmp.role_permission DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION sgmp.end_member_sessions();

-- A role that owns something, in whatever database it may connect to, can't be dropped: large objects, privileges by
-- default, jobs of TimescaleDB. Nobody shall make themselves undeletable so: what is left of it is nobody's.
CREATE FUNCTION sgmp.drop_login(login text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format('DROP ROLE %I', login);
EXCEPTION WHEN dependent_objects_still_exist THEN
    EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', login);
    EXECUTE format('REVOKE {accounts} FROM %I', login);
    EXECUTE format('ALTER ROLE %I RENAME TO %I', login,
                   {deployment_text} || ':deleted:' || (SELECT oid FROM pg_roles WHERE rolname = login));
END
$$;

-- Accounts are read through a function: of a table with row-level security, EXPLAIN tells how many rows of others an
-- index walked past, and with that, question by question, their emails.
CREATE FUNCTION sgmp.visible_accounts() RETURNS SETOF sgmp.account
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.* FROM sgmp.account a
    WHERE a.login = session_user OR ((SELECT sgmp.may('manage_accounts')) AND {house_visible});
END;

CREATE VIEW sgmp.accounts AS SELECT * FROM sgmp.visible_accounts();
COMMENT ON VIEW sgmp.accounts IS 'sgmp program';
