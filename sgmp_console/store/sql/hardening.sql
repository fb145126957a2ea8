-- What nobody needs and somebody could use.

-- With `debug_print_plan` anybody has the plans of their statements printed, of the functions that these call, too, with
-- the arguments as constants: the config of a device among them. Functions are silent for every caller.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    -- All but what is inlined and what ends transactions, which have no settings.
    FOR routine IN
        SELECT oid FROM pg_proc WHERE pronamespace = 'sgmp'::regnamespace AND proconfig IS NOT NULL
    LOOP
        EXECUTE format('ALTER ROUTINE %s SET debug_print_plan = off', routine);
        EXECUTE format('ALTER ROUTINE %s SET client_min_messages = warning', routine);
    END LOOP;
END
$$;

-- Large objects are for everybody, and fill the disk; advisory locks are, and fill the table of all locks; TimescaleDB lets
-- everybody have jobs run. Only a superuser can change that.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    FOR routine IN
        SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'pg_catalog' AND p.proname ~ '^pg_(try_)?advisory_'
           OR n.nspname = 'pg_catalog' AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite')
           OR n.nspname = 'public' AND p.proname = 'add_job' AND EXISTS (
                SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                WHERE d.objid = p.oid AND d.deptype = 'e' AND e.extname = 'timescaledb')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine);
    END LOOP;
END
$$;

-- No session may fill the disk with temporary files.
DO $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('ALTER DATABASE %I SET temp_file_limit = ''{temp_file_limit}''', current_database());
    END IF;
END
$$;

-- The last connections of the server are for administrators and ingest.
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 160000
       AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT pg_use_reserved_connections TO {ingest};
    END IF;
    PERFORM sgmp.reserve_connections(a.account_id) FROM sgmp.account a;
END
$$;

-- Accounts that were made before a limit became what it is.
DO $$
DECLARE
    login text;
BEGIN
    FOR login IN SELECT a.login FROM sgmp.account a JOIN pg_roles r ON r.rolname = a.login
                 WHERE r.rolconnlimit <> {connections} LOOP
        EXECUTE format('ALTER ROLE %I CONNECTION LIMIT {connections}', login);
    END LOOP;
END
$$;
