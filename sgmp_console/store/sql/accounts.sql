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
    created integer;
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
    RETURNING account_id INTO created;
    EXECUTE format(
        'CREATE ROLE %I LOGIN CONNECTION LIMIT {connections} PASSWORD %L IN ROLE {accounts}', login, sgmp.checked_verifier(verifier));
    -- Ending a role's sessions takes being a member of it, or a superuser, which the owner need not be.
    EXECUTE format('GRANT %I TO CURRENT_USER', login);
    -- Against what is forgotten. A role can set both for itself: `end_stale_sessions` is for these.
    EXECUTE format('ALTER ROLE %I SET statement_timeout = ''15min''', login);
    EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''5min''', login);
    PERFORM sgmp.reserve_connections(created);
    RETURN created;
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
    managed sgmp.account;
BEGIN
    PERFORM sgmp.end_sessions_of(chosen);
    managed := sgmp.managed_account(chosen);
    PERFORM sgmp.alter_login(managed.login, format('PASSWORD %L', sgmp.checked_verifier(verifier)));
    UPDATE sgmp.account SET must_change_password = true, password_set_at = now() WHERE account_id = chosen;
    PERFORM sgmp.write_audit('reset_password', 'account', managed.email, chosen, managed.house_id, NULL, NULL);
END
$$;

-- Called once per sign-in by our programs. Other clients need not: log_connections of the server is for these.
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
CREATE FUNCTION sgmp.manageable_account(chosen integer) RETURNS sgmp.account
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    managed sgmp.account;
BEGIN
    PERFORM sgmp.require_permission('manage_accounts');
    SELECT * INTO managed FROM sgmp.account a
    WHERE a.account_id = chosen
      AND (sgmp.sees_every_house() OR a.house_id = sgmp.my_house());
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such account.';
    END IF;
    PERFORM sgmp.grantable_role((SELECT r.name FROM sgmp.role r WHERE r.role_id = managed.role_id));
    RETURN managed;
END
$$;

-- The same, held until the transaction ends.
CREATE FUNCTION sgmp.managed_account(chosen integer) RETURNS sgmp.account
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    managed sgmp.account;
BEGIN
    managed := sgmp.manageable_account(chosen);
    -- The account itself may hold its row, in a transaction that it never ends.
    PERFORM FROM sgmp.account a WHERE a.account_id = chosen FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        PERFORM sgmp.end_sessions(managed.login);
        PERFORM FROM sgmp.account a WHERE a.account_id = chosen FOR UPDATE;
    END IF;
    RETURN sgmp.manageable_account(chosen);
END
$$;

-- Somebody must always be left who can sign in and set all right. Two that would each leave the other as the last one
-- wait for each other; only who manages administrators takes this lock.
CREATE FUNCTION sgmp.keep_an_administrator() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.take_lock('administrators');
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
    before sgmp.account;
    now_revision integer;
BEGIN
    before := sgmp.manageable_account(chosen);
    IF (before.house_id, before.enabled) IS DISTINCT FROM (house, new_enabled) THEN
        PERFORM sgmp.end_sessions_of(chosen);
    END IF;
    before := sgmp.managed_account(chosen);
    IF house IS NOT NULL AND NOT sgmp.sees_house(house) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such house.';
    END IF;
    UPDATE sgmp.account SET
        name = new_name, role_id = sgmp.grantable_role(role_name), house_id = house, enabled = new_enabled,
        revision = revision + 1
    WHERE account_id = chosen AND revision = seen
    RETURNING revision INTO now_revision;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF sgmp.is_administrator(before) THEN
        PERFORM sgmp.keep_an_administrator();
    END IF;
    IF before.enabled <> new_enabled THEN
        PERFORM sgmp.alter_login(before.login, CASE WHEN new_enabled THEN 'LOGIN' ELSE 'NOLOGIN' END);
    END IF;
    PERFORM sgmp.reserve_connections(chosen);
    RETURN now_revision;
END
$$;

CREATE FUNCTION sgmp.delete_account(chosen integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before sgmp.account := sgmp.manageable_account(chosen);
BEGIN
    IF before.login = session_user THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE =
            'You can''t delete the account that you are signed in with. Another administrator can.';
    END IF;
    PERFORM sgmp.end_sessions_of(chosen);
    before := sgmp.managed_account(chosen);
    PERFORM sgmp.alter_login(before.login, 'NOLOGIN');
    DELETE FROM sgmp.account WHERE account_id = chosen;
    IF sgmp.is_administrator(before) THEN
        PERFORM sgmp.keep_an_administrator();
    END IF;
END
$$;

CREATE FUNCTION sgmp.is_administrator(account sgmp.account) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM sgmp.role r WHERE r.role_id = (account).role_id AND r.built_in AND r.name = 'admin');

-- Sessions end with what they were begun with: the account, its role and house, the password. First of all, since a session
-- can hold what the act needs, and again at the end of the transaction, so that hardly anybody comes back before it is
-- committed. What a session had going ends undone.
CREATE FUNCTION sgmp.end_sessions(of_login text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_stat_clear_snapshot();
    -- Up to 2 s for each: a session that was asked to end still holds its locks.
    PERFORM pg_terminate_backend(pid, 2000) FROM pg_stat_activity
    WHERE usename = of_login AND pid <> pg_backend_pid();
END
$$;

-- Of an account that the caller may change, and is not.
CREATE FUNCTION sgmp.end_sessions_of(chosen integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    managed sgmp.account := sgmp.manageable_account(chosen);
BEGIN
    IF managed.login <> session_user THEN
        PERFORM sgmp.end_sessions(managed.login);
    END IF;
END
$$;

-- Every role may alter itself, and hold its row in a transaction that it never ends: who comes back in between is ended
-- again.
CREATE FUNCTION sgmp.alter_login(login text, change text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
    attempts CONSTANT integer := 10;
BEGIN
    FOR attempt IN 1..attempts LOOP
        BEGIN
            EXECUTE format('ALTER ROLE %I %s', login, change);
            RETURN;
        EXCEPTION WHEN lock_not_available OR internal_error THEN  -- "tuple concurrently updated" is an internal error
            IF attempt = attempts THEN
                RAISE;
            END IF;
            PERFORM sgmp.end_sessions(login);
        END;
    END LOOP;
END
$$;

-- The last connections of a server are for administrators and ingest, where its owner may grant that.
CREATE FUNCTION sgmp.reserve_connections(chosen integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_account sgmp.account;
    has_it boolean;
BEGIN
    IF current_setting('server_version_num')::integer < 160000
       OR NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    SELECT * INTO of_account FROM sgmp.account a WHERE a.account_id = chosen;
    has_it := pg_has_role(of_account.login, 'pg_use_reserved_connections', 'MEMBER');
    IF sgmp.is_administrator(of_account) AND NOT has_it THEN
        EXECUTE format('GRANT pg_use_reserved_connections TO %I', of_account.login);
    ELSIF has_it AND NOT sgmp.is_administrator(of_account) THEN
        EXECUTE format('REVOKE pg_use_reserved_connections FROM %I', of_account.login);
    END IF;
END
$$;

-- A session can switch off the time-outs that its role has. A transaction that is idle for 5 minutes and a statement that
-- runs for 15 end all the same: other acts wait for what they hold, and old readings can't be dropped. Returns how many.
CREATE FUNCTION sgmp.end_stale_sessions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_ingest();
    RETURN sgmp.end_sessions_after(interval '5 minutes', interval '15 minutes');
END
$$;

-- For the owner.
CREATE FUNCTION sgmp.end_sessions_after(idle_for interval, running_for interval) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_stat_clear_snapshot();
    RETURN (
        SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a JOIN sgmp.account o ON o.login = a.usename
        WHERE a.datname = current_database()
          AND (a.state LIKE 'idle in transaction%' AND a.state_change < clock_timestamp() - idle_for
               OR a.state = 'active' AND a.query_start < clock_timestamp() - running_for));
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

-- Accounts are read through a function: of a table with row-level security, EXPLAIN shows how many rows of others an
-- index walked past, and with that, question by question, their emails.
CREATE FUNCTION sgmp.visible_accounts() RETURNS SETOF sgmp.account
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.* FROM sgmp.account a
    WHERE a.login = session_user OR ((SELECT sgmp.may('manage_accounts')) AND {house_visible});
END;

CREATE VIEW sgmp.accounts AS SELECT * FROM sgmp.visible_accounts();
COMMENT ON VIEW sgmp.accounts IS 'sgmp program';
