-- Who changed and did what: written by the database in the transaction of the change, read by few, changed by nobody.
--
-- Rows are told by triggers, whoever writes them and however; acts that change no row by the functions that do them
-- (`write_audit`), and those that happen outside the database by the console (`audit_external`). Of a change, `before` and
-- `after` hold what differs. A secret that changed stands in both, masked.

CREATE FUNCTION sgmp.write_audit(
    act text, kind text, subject text, subject_id bigint, house integer, before jsonb, after jsonb
) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO sgmp.audit (actor, act, kind, subject, subject_id, house_id, before, after)
    VALUES (sgmp.actor(), act, kind, subject, subject_id, house, before, after)
    RETURNING entry_id;
END;

CREATE FUNCTION sgmp.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE = 'The audit is only ever added to.';
END
$$;

CREATE TRIGGER sgmp_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sgmp.audit
FOR EACH STATEMENT EXECUTE FUNCTION sgmp.refuse_change();

-- What audit tells of a row.
CREATE FUNCTION sgmp.audit_columns(of_table text, stored jsonb) RETURNS jsonb
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
RETURN CASE of_table
    WHEN 'account' THEN jsonb_build_object(
        'email', stored -> 'email', 'name', stored -> 'name', 'house_id', stored -> 'house_id',
        'enabled', stored -> 'enabled',
        'role', (SELECT r.name FROM sgmp.role r WHERE r.role_id = (stored ->> 'role_id')::integer))
    WHEN 'role' THEN jsonb_build_object('name', stored -> 'name', 'description', stored -> 'description')
    WHEN 'house' THEN jsonb_build_object(
        'name', stored -> 'name', 'description', stored -> 'description', 'time_zone', stored -> 'time_zone')
    WHEN 'device' THEN jsonb_build_object(
        'name', stored -> 'name', 'type', stored -> 'type', 'description', stored -> 'description',
        'config', stored -> 'config')
    WHEN 'analytic_item' THEN jsonb_build_object(
        'name', stored -> 'name', 'description', stored -> 'description', 'formula', stored -> 'formula',
        'aggregated', stored -> 'aggregated', 'unit', stored -> 'unit')
    WHEN 'config_version' THEN jsonb_build_object('version', stored -> 'version', 'sha256', stored -> 'sha256')
    WHEN 'series' THEN jsonb_build_object('unit', stored -> 'unit')
END;

-- What `one` holds otherwise than `other`.
CREATE FUNCTION sgmp.jsonb_diff(one jsonb, other jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN COALESCE((SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(one) e
                 WHERE e.value IS DISTINCT FROM other -> e.key), '{}');

CREATE FUNCTION sgmp.audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    old_row jsonb := to_jsonb(OLD);
    new_row jsonb := to_jsonb(NEW);
    stored jsonb := COALESCE(new_row, old_row);
    house integer := (stored ->> 'house_id')::integer;
    before jsonb := sgmp.audit_columns(TG_TABLE_NAME, old_row);
    after jsonb := sgmp.audit_columns(TG_TABLE_NAME, new_row);
    act text := CASE TG_OP WHEN 'INSERT' THEN 'create' WHEN 'DELETE' THEN 'delete' ELSE 'change' END;
BEGIN
    IF TG_OP = 'UPDATE' AND old_row -> 'deleted_at' IS DISTINCT FROM new_row -> 'deleted_at' THEN
        IF new_row ->> 'deleted_at' IS NULL THEN
            act := 'restore';
            before := NULL;
        ELSE
            act := 'delete';
            after := NULL;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT sgmp.jsonb_diff(before, after), sgmp.jsonb_diff(after, before) INTO before, after;
        IF before = '{}' THEN
            RETURN NULL;
        END IF;
        IF before ? 'config' THEN
            SELECT before || jsonb_build_object('config', sgmp.jsonb_diff(before -> 'config', after -> 'config')),
                   after || jsonb_build_object('config', sgmp.jsonb_diff(after -> 'config', before -> 'config'))
            INTO before, after;
        END IF;
    END IF;
    IF before ? 'config' THEN
        before := before || jsonb_build_object('config', sgmp.masked(old_row ->> 'type', before -> 'config'));
    END IF;
    IF after ? 'config' THEN
        after := after || jsonb_build_object('config', sgmp.masked(new_row ->> 'type', after -> 'config'));
    END IF;
    PERFORM sgmp.write_audit(
        act,
        CASE TG_TABLE_NAME WHEN 'config_version' THEN 'configuration' ELSE TG_TABLE_NAME END,
        CASE TG_TABLE_NAME
            WHEN 'account' THEN stored ->> 'email'
            WHEN 'config_version' THEN (SELECT h.name FROM sgmp.house h WHERE h.house_id = house)
            WHEN 'series' THEN (SELECT d.name FROM sgmp.device d WHERE d.device_id = (stored ->> 'device_id')::integer)
                || '.' || (stored ->> 'field')
            ELSE stored ->> 'name'
        END,
        (stored ->> CASE TG_TABLE_NAME
            WHEN 'config_version' THEN 'version'
            WHEN 'analytic_item' THEN 'item_id'
            ELSE TG_TABLE_NAME || '_id'
        END)::bigint,
        house, before, after);
    RETURN NULL;
END
$$;

CREATE TRIGGER sgmp_audit_row AFTER INSERT OR UPDATE OR DELETE ON sgmp.account
FOR EACH ROW EXECUTE FUNCTION sgmp.audit_row();
CREATE TRIGGER sgmp_audit_row AFTER INSERT OR UPDATE OR DELETE ON sgmp.role
FOR EACH ROW EXECUTE FUNCTION sgmp.audit_row();
CREATE TRIGGER sgmp_audit_row AFTER INSERT OR UPDATE OR DELETE ON sgmp.house
FOR EACH ROW EXECUTE FUNCTION sgmp.audit_row();
CREATE TRIGGER sgmp_audit_row AFTER INSERT OR UPDATE OR DELETE ON sgmp.device
FOR EACH ROW EXECUTE FUNCTION sgmp.audit_row();
CREATE TRIGGER sgmp_audit_row AFTER INSERT OR UPDATE OR DELETE ON sgmp.analytic_item
FOR EACH ROW EXECUTE FUNCTION sgmp.audit_row();
CREATE TRIGGER sgmp_audit_row AFTER INSERT OR UPDATE OR DELETE ON sgmp.config_version
FOR EACH ROW EXECUTE FUNCTION sgmp.audit_row();
-- Not what ingest and populating do to series, which is no act of anybody's.
CREATE TRIGGER sgmp_audit_row AFTER UPDATE OF unit ON sgmp.series
FOR EACH ROW EXECUTE FUNCTION sgmp.audit_row();

CREATE FUNCTION sgmp.audit_permissions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_role sgmp.role;
    present text[];
    moved text[];
BEGIN
    FOR of_role IN SELECT r.* FROM sgmp.role r WHERE r.role_id IN (SELECT m.role_id FROM moved_rows m) LOOP
        present := ARRAY(SELECT p.permission FROM sgmp.role_permission p WHERE p.role_id = of_role.role_id ORDER BY 1);
        moved := ARRAY(SELECT m.permission FROM moved_rows m WHERE m.role_id = of_role.role_id);
        PERFORM sgmp.write_audit(
            'change', 'role', of_role.name, of_role.role_id, NULL,
            jsonb_build_object('permissions', CASE TG_OP
                WHEN 'INSERT' THEN ARRAY(SELECT p FROM unnest(present) p WHERE p <> ALL (moved) ORDER BY 1)
                ELSE ARRAY(SELECT p FROM unnest(present || moved) p ORDER BY 1)
            END),
            jsonb_build_object('permissions', present));
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER sgmp_audit_permissions AFTER INSERT ON sgmp.role_permission REFERENCING NEW TABLE AS moved_rows
FOR EACH STATEMENT EXECUTE FUNCTION sgmp.audit_permissions();
CREATE TRIGGER sgmp_audit_permissions_gone AFTER DELETE ON sgmp.role_permission REFERENCING OLD TABLE AS moved_rows
FOR EACH STATEMENT EXECUTE FUNCTION sgmp.audit_permissions();

-- What the console did elsewhere, on its word: in the broker, the credentials service, a file.
CREATE FUNCTION sgmp.audit_external(act text, kind text, subject text, house integer, details jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    needed text := CASE act
        WHEN 'issue_credentials' THEN 'manage_houses'
        WHEN 'revoke_credentials' THEN 'manage_houses'
        WHEN 'remove_credentials' THEN 'manage_houses'
        WHEN 'synchronize' THEN 'manage_houses'
        WHEN 'roll_back' THEN 'manage_houses'
        WHEN 'probe' THEN 'manage_devices'
        WHEN 'control' THEN 'control_devices'
        WHEN 'export' THEN 'export'
    END;
BEGIN
    IF needed IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = format('The audit knows no act %s.', left(act, 64));
    END IF;
    PERFORM sgmp.require_permission(needed);
    IF house IS NULL THEN
        PERFORM sgmp.require_permission('all_houses');
    ELSIF NOT sgmp.sees_house(house) THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such house. It may have been deleted.';
    END IF;
    IF length(kind) > 64 OR length(subject) > 200 OR pg_column_size(details) > 8000 THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'The audit takes 8 KB of details at most.';
    END IF;
    PERFORM sgmp.write_audit(act, kind, subject, NULL, house, NULL, details);
END
$$;

-- Who looks after accounts sees what these did. In order, so that a page of it is read from the index.
CREATE VIEW sgmp.audit_entries WITH (security_barrier) AS
SELECT a.entry_id, a.at, sgmp.leak_barrier(a.actor) AS actor, sgmp.leak_barrier(a.act) AS act, sgmp.leak_barrier(a.kind) AS kind,
       sgmp.leak_barrier(a.subject) AS subject, a.subject_id, a.house_id, a.before, a.after
FROM sgmp.audit a
WHERE (SELECT sgmp.may('manage_accounts')) AND {house_visible}
ORDER BY a.entry_id DESC;
COMMENT ON VIEW sgmp.audit_entries IS 'sgmp program';
