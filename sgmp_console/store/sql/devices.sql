-- Devices' configs hold secrets. Everybody reads them masked; what was masked comes back on purpose only, and into audit.

-- A setting is shown if its type's schema declares it and does not call it secret, or if it can't hold a text.
-- `texts`: whether other texts are shown at all.
CREATE FUNCTION sgmp.masked(device_type text, config jsonb, texts boolean DEFAULT true) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN COALESCE((
    SELECT jsonb_object_agg(given.key, CASE
        WHEN known.secret THEN '"***"'
        WHEN jsonb_typeof(given.value) IN ('number', 'boolean', 'null') THEN given.value
        WHEN texts AND NOT known.secret THEN given.value
        ELSE '"***"'
    END)
    FROM jsonb_each(CASE WHEN jsonb_typeof(config) = 'object' THEN config ELSE '{}' END) given
    LEFT JOIN sgmp.device_setting known ON known.type = device_type AND known.setting = given.key
), '{}');

-- The same for the devices of a configuration.
CREATE FUNCTION sgmp.masked_devices(devices jsonb, texts boolean) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN COALESCE((
    SELECT jsonb_agg(jsonb_build_object(
        'device_id', d -> 'device_id', 'name', d -> 'name', 'type', d -> 'type',
        'config', sgmp.masked(d ->> 'type', d -> 'config', texts)) ORDER BY position)
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(devices) = 'array' THEN devices ELSE '[]' END)
         WITH ORDINALITY AS listed (d, position)
), '[]');

-- What the audit holds of a device, masked again.
CREATE FUNCTION sgmp.masked_entry(entry jsonb, device_type text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN entry ? 'config'
    THEN entry || jsonb_build_object('config', sgmp.masked(device_type, entry -> 'config')) ELSE entry END;

-- The devices of a house, or of all that the account sees (null).
CREATE FUNCTION sgmp.visible_devices(house integer DEFAULT NULL) RETURNS TABLE (
    device_id integer, house_id integer, name text, type text, description text, revision integer,
    created_at timestamptz, deleted_at timestamptz, config jsonb
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.device_id, d.house_id, d.name, d.type, d.description, d.revision, d.created_at, d.deleted_at,
           sgmp.masked(d.type, d.config, (SELECT sgmp.may('view_devices')))
    FROM sgmp.device d
    WHERE (house IS NULL OR d.house_id = house) AND {contents_visible};
END;

-- Null where there is none that the account sees.
CREATE FUNCTION sgmp.house_of_device(device integer) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (SELECT d.house_id FROM sgmp.device d WHERE d.device_id = device AND {contents_visible});

-- How many devices each house has that are in use.
CREATE FUNCTION sgmp.device_counts() RETURNS TABLE (house_id integer, devices integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT d.house_id, count(*)::integer FROM sgmp.device d
    WHERE d.deleted_at IS NULL AND {contents_visible} GROUP BY d.house_id;
END;

CREATE VIEW sgmp.devices AS SELECT * FROM sgmp.visible_devices();
COMMENT ON VIEW sgmp.devices IS 'sgmp program';

-- The configurations that were made for a house's edge, or one of them.
CREATE FUNCTION sgmp.visible_config_versions(house integer DEFAULT NULL, asked_version integer DEFAULT NULL) RETURNS TABLE (
    house_id integer, version integer, sha256 text, created_by text, created_at timestamptz, published_at timestamptz,
    devices jsonb
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT v.house_id, v.version, v.sha256, v.created_by, v.created_at, v.published_at,
           sgmp.masked_devices(v.devices, (SELECT sgmp.may('view_devices')))
    FROM sgmp.config_version v
    WHERE (house IS NULL OR v.house_id = house) AND (asked_version IS NULL OR v.version = asked_version)
      AND {contents_visible};
END;

CREATE VIEW sgmp.config_versions AS SELECT * FROM sgmp.visible_config_versions();
COMMENT ON VIEW sgmp.config_versions IS 'sgmp program';

-- The same without the devices, but their number: what a list of versions takes.
CREATE FUNCTION sgmp.config_version_list(house integer DEFAULT NULL) RETURNS TABLE (
    house_id integer, version integer, sha256 text, created_by text, created_at timestamptz, published_at timestamptz,
    device_count integer
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT v.house_id, v.version, v.sha256, v.created_by, v.created_at, v.published_at,
           CASE jsonb_typeof(v.devices) WHEN 'array' THEN jsonb_array_length(v.devices) ELSE 0 END
    FROM sgmp.config_version v
    WHERE (house IS NULL OR v.house_id = house) AND {contents_visible};
END;

-- The configuration of a device over time, from the audit: what was changed of it and of the units of its fields, the newest
-- first. For who sees its settings, masked as these are now, whatever was a secret when the entry was written.
CREATE FUNCTION sgmp.device_history(device integer, newest integer) RETURNS TABLE (
    entry_id bigint, at timestamptz, actor text, act text, kind text, subject text, house_id integer, before jsonb, after jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    current_type text;
BEGIN
    IF NOT sgmp.may('view_devices') OR sgmp.house_of_device(device) IS NULL THEN
        RETURN;
    END IF;
    SELECT d.type INTO current_type FROM sgmp.device d WHERE d.device_id = device;
    RETURN QUERY
        SELECT a.entry_id, a.at, a.actor, a.act, a.kind, a.subject, a.house_id,
               sgmp.masked_entry(a.before, COALESCE(a.before ->> 'type', current_type)),
               sgmp.masked_entry(a.after, COALESCE(a.after ->> 'type', current_type))
        FROM sgmp.audit a
        WHERE (a.kind = 'device' AND a.subject_id = device
               OR a.kind = 'series' AND a.subject_id IN (SELECT s.series_id FROM sgmp.series s WHERE s.device_id = device))
          AND a.act IN ('create', 'change', 'delete', 'restore')
        ORDER BY a.entry_id DESC
        LIMIT newest;
END
$$;

CREATE FUNCTION sgmp.create_device(house integer, name text, type text, description text, config jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    created integer;
BEGIN
    PERFORM sgmp.require_in_house('manage_devices', house);
    INSERT INTO sgmp.device (house_id, name, type, description, config) VALUES (house, name, type, description, config)
    RETURNING device_id INTO created;
    RETURN created;
END
$$;

-- `restored`: of a device that was deleted, which is then in use again. Returns the new revision; null if it is no longer
-- `seen`.
CREATE FUNCTION sgmp.update_device(
    device integer, seen integer, new_type text, new_description text, new_config jsonb, restored boolean DEFAULT false
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    broken text;
    of_table text;
BEGIN
    PERFORM sgmp.require_permission('manage_devices');
    UPDATE sgmp.device d SET
        type = new_type, description = new_description, config = new_config, deleted_at = NULL, revision = d.revision + 1
    WHERE d.device_id = device AND d.revision = seen AND (d.deleted_at IS NOT NULL) = restored
      AND sgmp.sees_house(d.house_id);
    RETURN CASE WHEN FOUND THEN seen + 1 END;
EXCEPTION WHEN integrity_constraint_violation THEN
    -- The same without PostgreSQL's detail: it quotes the row, with secrets that the caller may not see.
    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME, of_table = TABLE_NAME;
    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, CONSTRAINT = broken, TABLE = of_table;
END
$$;

-- Takes it out of use; its history stays. Returns whether it was there.
CREATE FUNCTION sgmp.delete_device(device integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_permission('manage_devices');
    UPDATE sgmp.device d SET deleted_at = now(), revision = d.revision + 1
    WHERE d.device_id = device AND d.deleted_at IS NULL AND sgmp.sees_house(d.house_id);
    RETURN FOUND;
END
$$;

-- A configuration holds the secrets of all its devices.
CREATE FUNCTION sgmp.add_config_version(house integer, new_version integer, sha256 text, devices jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_in_house('manage_houses', house);
    PERFORM sgmp.require_permission('view_secrets');
    INSERT INTO sgmp.config_version (house_id, version, sha256, devices) VALUES (house, new_version, sha256, devices);
    RETURN true;
END
$$;

-- Whether a setting says where a device's secrets are sent: hosts and addresses as its type declares them. Of a setting
-- that no type declares any text may.
CREATE FUNCTION sgmp.is_address(device_type text, setting text, value jsonb) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
RETURN (device_type, setting) IN ({addresses}) OR (
    jsonb_typeof(value) NOT IN ('number', 'boolean', 'null') AND NOT EXISTS (
        SELECT FROM sgmp.device_setting known WHERE known.type = device_type AND known.setting = is_address.setting));

-- Whether a config leads its secrets elsewhere than another did. `config` may hold masks, which stand for what was there.
CREATE FUNCTION sgmp.address_changed(device_type text, old_config jsonb, config jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN EXISTS (
    SELECT FROM (SELECT jsonb_object_keys(old_config) UNION SELECT jsonb_object_keys(config)) AS named (setting)
    WHERE config -> named.setting IS DISTINCT FROM old_config -> named.setting
      AND config -> named.setting IS DISTINCT FROM '"***"'
      AND (sgmp.is_address(device_type, named.setting, config -> named.setting)
           OR sgmp.is_address(device_type, named.setting, old_config -> named.setting)));

-- A mask that comes back stands for what is stored. Not where the type changed, which says what is a secret. Secrets go
-- with their address: one who may not see them can't send them elsewhere by changing it, so they are dropped.
CREATE FUNCTION sgmp.keep_masked() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    setting text;
    leads_elsewhere boolean;
BEGIN
    IF jsonb_typeof(NEW.config) <> 'object' THEN
        RETURN NEW;  -- refused by the table
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.type <> OLD.type AND NEW.config = OLD.config
       AND sgmp.masked(OLD.type, OLD.config) <> OLD.config THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'With another type all settings are to be entered again.';
    END IF;
    leads_elsewhere := TG_OP = 'UPDATE' AND NEW.type = OLD.type AND NOT sgmp.may('view_secrets')
        AND sgmp.address_changed(NEW.type, OLD.config, NEW.config);
    FOR setting IN SELECT e.key FROM jsonb_each(NEW.config) e WHERE e.value = '"***"' LOOP
        IF leads_elsewhere AND OLD.config ? setting THEN
            NEW.config := NEW.config - setting;
        ELSIF TG_OP = 'UPDATE' AND NEW.type = OLD.type AND OLD.config ? setting THEN
            NEW.config := NEW.config || jsonb_build_object(setting, OLD.config -> setting);
        ELSE
            RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE =
                format('The setting %s is masked, and nothing is stored that it could stand for. Enter it.', left(setting, 64));
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;

CREATE TRIGGER sgmp_keep_masked BEFORE INSERT OR UPDATE OF config, type ON sgmp.device
FOR EACH ROW EXECUTE FUNCTION sgmp.keep_masked();

CREATE FUNCTION sgmp.sign_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.created_by := sgmp.actor();
    RETURN NEW;
END
$$;

CREATE TRIGGER sgmp_sign_version BEFORE INSERT ON sgmp.config_version
FOR EACH ROW EXECUTE FUNCTION sgmp.sign_version();

-- A version was left with the broker.
CREATE FUNCTION sgmp.note_published(house integer, published_version integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM sgmp.require_permission('manage_houses');
    UPDATE sgmp.config_version v SET published_at = clock_timestamp()
    WHERE v.house_id = house AND v.version = published_version AND sgmp.sees_house(v.house_id);
END
$$;

-- The devices of a house as they are sent to its edge, secrets included.
CREATE FUNCTION sgmp.present_devices(house integer) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN COALESCE((
    SELECT jsonb_agg(jsonb_build_object('device_id', d.device_id, 'name', d.name, 'type', d.type, 'config', d.config)
                     ORDER BY d.device_id)
    FROM sgmp.device d WHERE d.house_id = house AND d.deleted_at IS NULL
), '[]');

-- A version of a house's configuration; null stands for the devices as they are now.
CREATE FUNCTION sgmp.devices_of(house integer, asked_version integer) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN asked_version IS NULL THEN sgmp.present_devices(house)
            ELSE (SELECT v.devices FROM sgmp.config_version v WHERE v.house_id = house AND v.version = asked_version) END;

-- The settings that are not the same in two versions though both are masked (null: now).
CREATE FUNCTION sgmp.changed_secrets(house integer, old_version integer, new_version integer)
RETURNS TABLE (device_id integer, setting text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT (o ->> 'device_id')::integer, given.key
    FROM jsonb_array_elements(sgmp.devices_of(house, old_version)) o
    JOIN jsonb_array_elements(sgmp.devices_of(house, new_version)) n ON n -> 'device_id' = o -> 'device_id'
    CROSS JOIN LATERAL jsonb_each(o -> 'config') given
    WHERE sgmp.sees_contents() AND sgmp.sees_house(house)
      AND n -> 'config' ? given.key AND (n -> 'config' -> given.key)::text <> given.value::text
      AND sgmp.masked(o ->> 'type', o -> 'config') ->> given.key = '***'
      AND sgmp.masked(n ->> 'type', n -> 'config') ->> given.key = '***';
END;

-- Secrets are given in two steps, so that nobody sees one and takes the entry back: `announce_reveal` writes it, and
-- `reveal` wants it committed. `kind`: device (id), configuration (house, and a version; null: the devices as they are).
CREATE FUNCTION sgmp.announce_reveal(kind text, id integer, asked_version integer DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    subject record;
BEGIN
    PERFORM sgmp.require_permission('view_secrets');
    IF kind = 'device' THEN
        SELECT d.name, d.house_id, NULL::jsonb AS details INTO subject
        FROM sgmp.device d
        WHERE d.device_id = id AND d.deleted_at IS NULL AND sgmp.sees_house(d.house_id);
    ELSE
        PERFORM sgmp.require_permission('manage_houses');
        SELECT h.name, h.house_id, CASE WHEN asked_version IS NOT NULL THEN jsonb_build_object('version', asked_version) END
               AS details INTO subject
        FROM sgmp.house h
        WHERE h.house_id = id AND h.deleted_at IS NULL AND sgmp.sees_house(h.house_id)
          AND sgmp.devices_of(h.house_id, asked_version) IS NOT NULL;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = CASE
            WHEN kind = 'device' THEN 'There is no such device. It may have been deleted.'
            WHEN asked_version IS NULL THEN 'There is no such house. It may have been deleted.'
            ELSE 'There is no such version of the configuration.' END;
    END IF;
    RETURN sgmp.write_audit(
        'reveal_secrets', CASE kind WHEN 'device' THEN kind ELSE 'configuration' END, subject.name, id, subject.house_id,
        NULL, subject.details);
END
$$;

CREATE FUNCTION sgmp.reveal(announced bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    entry sgmp.audit;
BEGIN
    SELECT * INTO entry FROM sgmp.audit a
    WHERE a.entry_id = announced AND a.act = 'reveal_secrets' AND a.actor = sgmp.actor()
      AND a.at > clock_timestamp() - interval '1 minute';
    IF NOT FOUND OR pg_xact_status(entry.transaction::xid8) <> 'committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'SG002', MESSAGE = 'Secrets are given only after audit has noted it.';
    END IF;
    PERFORM sgmp.require_permission('view_secrets');
    IF NOT sgmp.sees_house(entry.house_id) THEN
        RETURN NULL;
    END IF;
    IF entry.kind = 'device' THEN
        RETURN (SELECT d.config FROM sgmp.device d WHERE d.device_id = entry.subject_id AND d.deleted_at IS NULL);
    END IF;
    PERFORM sgmp.require_permission('manage_houses');
    RETURN sgmp.devices_of(entry.house_id, (entry.after ->> 'version')::integer);
END
$$;
