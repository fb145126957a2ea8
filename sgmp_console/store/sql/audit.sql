-- Who changed and did what: written by the database in the transaction of the change, read by few, changed by nobody.
--
-- Rows are recorded by triggers, by whatever way they are written; acts that change no row by the functions that do them
-- (`write_audit`), and those that happen outside the database by the console (`audit_external`). Of a change, `before` and
-- `after` hold what differs. A secret that changed stands in both, masked.

-- A document of an entry: each long value in it is cut, and says so. An entry so stays within some kilobytes for each
-- setting of a device.
CREATE FUNCTION sgmp.shortened(document jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    longest CONSTANT integer := 2000;  -- characters
BEGIN
    IF document IS NULL OR length(document::text) <= longest THEN
        RETURN document;
    END IF;
    IF jsonb_typeof(document) = 'object' THEN
        RETURN (SELECT jsonb_object_agg(left(e.key, 200), sgmp.shortened(e.value))
                FROM (SELECT * FROM jsonb_each(document) LIMIT 200) e);
    END IF;
    RETURN to_jsonb(format('%s … (%s characters)', left(document #>> '{}', longest), length(document #>> '{}')));
END
$$;

CREATE FUNCTION sgmp.write_audit(
    act text, kind text, subject text, subject_id bigint, house integer, before jsonb, after jsonb
) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO sgmp.audit (actor, act, kind, subject, subject_id, house_id, before, after)
    VALUES (sgmp.actor(), act, kind, left(subject, 300), subject_id, house, sgmp.shortened(before), sgmp.shortened(after))
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

-- What the audit records of a row.
CREATE FUNCTION sgmp.audit_columns(of_table text, stored jsonb) RETURNS jsonb
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
RETURN CASE of_table
    WHEN 'account' THEN jsonb_build_object(
        'email', stored -> 'email', 'name', stored -> 'name', 'house_id', stored -> 'house_id',
        'enabled', stored -> 'enabled',
        'role', (SELECT r.name FROM sgmp.role r WHERE r.role_id = (stored ->> 'role_id')::integer))
    WHEN 'role' THEN jsonb_build_object('name', stored -> 'name', 'description', stored -> 'description')
    WHEN 'house' THEN jsonb_build_object(
        'name', stored -> 'name', 'description', stored -> 'description', 'time_zone', stored -> 'time_zone',
        'load_contains_ev', stored -> 'load_contains_ev', 'latitude', stored -> 'latitude',
        'longitude', stored -> 'longitude')
    WHEN 'device' THEN jsonb_build_object(
        'name', stored -> 'name', 'type', stored -> 'type', 'description', stored -> 'description',
        'config', stored -> 'config')
    WHEN 'analytic_item' THEN jsonb_build_object(
        'name', stored -> 'name', 'description', stored -> 'description', 'formula', stored -> 'formula',
        'aggregated', stored -> 'aggregated', 'unit', stored -> 'unit')
    WHEN 'rule' THEN stored - ARRAY['rule_id', 'house_id', 'revision', 'changed_at', 'created_at']
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
CREATE TRIGGER sgmp_audit_row AFTER INSERT OR UPDATE OR DELETE ON sgmp.rule
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
    -- What stands beside the database's own entries may not pass for one of another kind, or hide in the list.
    IF kind NOT IN ('account', 'analytic_item', 'audit', 'configuration', 'credentials', 'device', 'house', 'reading',
                    'report', 'role') THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = format('The audit knows no kind %s.', left(kind, 64));
    END IF;
    IF subject ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'The subject of an entry is one line of plain text.';
    END IF;
    IF length(kind) > 64 OR length(subject) > 200  OR pg_column_size(details) > 8000 THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'The audit takes 8 KB of details at most.';
    END IF;
    PERFORM sgmp.write_audit(act, kind, subject, NULL, house, NULL, details);
    IF act = 'issue_credentials' AND house IS NOT NULL THEN
        INSERT INTO sgmp.house_setup (house_id, credentials_at) VALUES (house, now())
        ON CONFLICT (house_id) DO UPDATE SET credentials_at = COALESCE(house_setup.credentials_at, now());
    END IF;
END
$$;

-- Who looks after accounts sees what these did.
CREATE FUNCTION sgmp.visible_audit() RETURNS SETOF sgmp.audit
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT a.* FROM sgmp.audit a WHERE (SELECT sgmp.may('manage_accounts')) AND {house_visible};
END;

CREATE VIEW sgmp.audit_entries AS
SELECT entry_id, at, actor, act, kind, subject, subject_id, house_id, sgmp.shortened(before) AS before,
       sgmp.shortened(after) AS after
FROM sgmp.visible_audit() ORDER BY entry_id DESC;
COMMENT ON VIEW sgmp.audit_entries IS 'sgmp program';

-- A page of it, the newest first. Null or an empty array asks for all. `before` and `after` are there where they are short
-- (`whole`), or `whole_entries` asks for all.
CREATE FUNCTION sgmp.audit_page(
    actor_part text, subject_part text, acts text[], kinds text[], house integer, from_at timestamptz, to_at timestamptz,
    before_id bigint, page integer, whole_entries boolean
) RETURNS TABLE (
    entry_id bigint, at timestamptz, actor text, act text, kind text, subject text, house_id integer,
    before jsonb, after jsonb, whole boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT sgmp.may('manage_accounts') THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.entry_id, a.at, a.actor, a.act, a.kind, a.subject, a.house_id,
               CASE WHEN fits.it THEN a.before WHEN whole_entries THEN sgmp.shortened(a.before) END,
               CASE WHEN fits.it THEN a.after WHEN whole_entries THEN sgmp.shortened(a.after) END,
               fits.it OR whole_entries
        FROM sgmp.audit a,
             LATERAL (SELECT CASE
                 WHEN COALESCE(pg_column_size(a.before), 0) + COALESCE(pg_column_size(a.after), 0) > 4000 THEN false
                 ELSE COALESCE(octet_length(a.before::text), 0) + COALESCE(octet_length(a.after::text), 0) <= 8000
             END) fits (it)
        WHERE ((SELECT sgmp.sees_every_house()) OR a.house_id = (SELECT sgmp.my_house()))
          AND (actor_part IS NULL OR strpos(lower(a.actor), lower(actor_part)) > 0)
          AND (subject_part IS NULL OR strpos(lower(a.subject), lower(subject_part)) > 0)
          AND (cardinality(acts) = 0 OR a.act = ANY (acts))
          AND (cardinality(kinds) = 0 OR a.kind = ANY (kinds))
          AND (house IS NULL OR a.house_id = house)
          AND (from_at IS NULL OR a.at >= from_at) AND (to_at IS NULL OR a.at < to_at)
          AND (before_id IS NULL OR a.entry_id < before_id)
        ORDER BY a.entry_id DESC
        LIMIT page;
END
$$;

-- One entry, its values shortened as `shortened` does.
CREATE FUNCTION sgmp.audit_entry(asked bigint) RETURNS TABLE (
    entry_id bigint, at timestamptz, actor text, act text, kind text, subject text, house_id integer,
    before jsonb, after jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT sgmp.may('manage_accounts') THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.entry_id, a.at, a.actor, a.act, a.kind, a.subject, a.house_id, sgmp.shortened(a.before),
               sgmp.shortened(a.after)
        FROM sgmp.audit a
        WHERE a.entry_id = asked
          AND ((SELECT sgmp.sees_every_house()) OR a.house_id = (SELECT sgmp.my_house()));
END
$$;
