-- What nobody needs and somebody could use.

-- With `debug_print_plan` anybody has the plans of their statements printed, of the functions that these call, too, with
-- the arguments as constants: the config of a device among them. Programs are silent, whoever calls them.
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

-- Large objects are for everybody, and fill the disk; TimescaleDB lets everybody have jobs run. Only a superuser can
-- change that.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    FOR routine IN
        SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'pg_catalog' AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite')
           OR n.nspname = 'public' AND p.proname = 'add_job' AND EXISTS (
                SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                WHERE d.objid = p.oid AND d.deptype = 'e' AND e.extname = 'timescaledb')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine);
    END LOOP;
END
$$;
