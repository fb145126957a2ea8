-- Programs hold no data: all are replaced, in one transaction, whenever one of them changed.
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass)
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace = 'sgmp'::regnamespace AND NOT tgisinternal AND tgname LIKE 'sgmp\_%'
        UNION ALL
        SELECT format('DROP POLICY %I ON %I.%I', policyname, schemaname, tablename)
        FROM pg_policies WHERE schemaname = 'sgmp'
    LOOP
        EXECUTE statement;
    END LOOP;
    -- Continuous aggregates are views, too, and stay.
    FOR statement IN
        SELECT format('DROP VIEW %s', pg_class.oid::regclass)
        FROM pg_class
        WHERE relnamespace = 'sgmp'::regnamespace AND relkind = 'v' AND obj_description(pg_class.oid) = 'sgmp program'
        ORDER BY pg_class.oid DESC
    LOOP
        EXECUTE statement;
    END LOOP;
    FOR statement IN
        SELECT format('DROP ROUTINE %s', pg_proc.oid::regprocedure)
        FROM pg_proc WHERE pronamespace = 'sgmp'::regnamespace
        ORDER BY pg_proc.oid DESC
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
