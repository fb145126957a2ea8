-- Rights. Whatever is not granted here is not allowed: not to accounts, not to ingest, not to PUBLIC.

REVOKE ALL ON SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest};
REVOKE ALL ON ALL TABLES IN SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest};
REVOKE ALL ON ALL ROUTINES IN SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest};

-- A function made later is closed until it is granted here. (IN SCHEMA could only add to what PUBLIC has by default.)
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;

GRANT USAGE ON SCHEMA sgmp TO {accounts}, {ingest};

-- Ingest --------------------------------------------------------------------------------------------------------------
GRANT INSERT ON sgmp.reading, sgmp.event TO {ingest};
GRANT EXECUTE ON FUNCTION
    sgmp.known_devices(), sgmp.series_ids(integer[], integer[], text[]), sgmp.ensure_weeks(date[]),
    sgmp.pack_week(), sgmp.drop_old_quarantine(interval),
    sgmp.set_aside(timestamptz[], integer[], text[], bytea[], text[], bytea[]),
    sgmp.messages_to_replay(integer), sgmp.settle_replay(bigint[], text[]),
    sgmp.store_texts(integer[], timestamptz[], text[]), sgmp.report_ingest(text, jsonb),
    sgmp.add_to_slots(integer[], bigint[], bigint[], double precision[], double precision[], double precision[],
                      double precision[], double precision[], bigint[]),
    sgmp.recompute_slots(integer[], bigint[]), sgmp.recompute_between(integer[], bigint, bigint), sgmp.on_timescale(),
    sgmp.drop_old_readings(interval), sgmp.note_late(bigint, bigint)
TO {ingest};

-- Accounts: functions -------------------------------------------------------------------------------------------------
GRANT EXECUTE ON FUNCTION
    sgmp.is_owner(), sgmp.my_permissions(), sgmp.may(text), sgmp.sees_every_house(), sgmp.sees_contents(), sgmp.my_house(),
    sgmp.sees_house(integer), sgmp.me(), sgmp.note_sign_in(), sgmp.latest_readings(integer), sgmp.leak_barrier(double precision),
    sgmp.leak_barrier(bigint), sgmp.leak_barrier(text), sgmp.login_name(text),
    sgmp.masked(text, jsonb, boolean), sgmp.masked_devices(jsonb, boolean),
    sgmp.changed_secrets(integer, integer, integer), sgmp.configuration_changed(integer),
    sgmp.note_published(integer, integer),
    sgmp.announce_reveal(text, integer, integer), sgmp.reveal(bigint), sgmp.audit_external(text, text, text, integer, jsonb),
    sgmp.create_role(text, text, text[]), sgmp.update_role(integer, integer, text, text, text[]), sgmp.delete_role(integer),
    sgmp.create_account(text, text, text, integer, text, boolean), sgmp.set_own_password(text),
    sgmp.reset_password(integer, text), sgmp.delete_account(integer), sgmp.visible_accounts(),
    sgmp.update_account(integer, integer, text, text, integer, boolean),
    sgmp.act_on_quarantine(text, bigint[]),
    sgmp.populate(integer), sgmp.on_timescale(), sgmp.raw_kept_from()
TO {accounts};

-- Accounts: rows of their houses --------------------------------------------------------------------------------------
ALTER TABLE sgmp.house ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.device ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.analytic_item ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.account ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.series ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.text_reading ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.quarantine ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.house_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.config_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE sgmp.audit ENABLE ROW LEVEL SECURITY;

GRANT SELECT ON sgmp.readings, sgmp.slots, sgmp.hours, sgmp.devices, sgmp.config_versions, sgmp.permission, sgmp.role, sgmp.role_permission,
    sgmp.roles, sgmp.accounts, sgmp.audit_entries, sgmp.ingest_state, sgmp.installation, sgmp.device_setting
TO {accounts};

GRANT SELECT ON sgmp.house TO {accounts};
GRANT INSERT (name, description, time_zone), UPDATE (name, description, time_zone, revision, deleted_at)
    ON sgmp.house TO {accounts};
CREATE POLICY reads ON sgmp.house FOR SELECT TO {accounts} USING ({house_visible});
CREATE POLICY adds ON sgmp.house FOR INSERT TO {accounts}
    WITH CHECK ((SELECT sgmp.may('manage_houses')) AND (SELECT sgmp.sees_every_house()));
CREATE POLICY changes ON sgmp.house FOR UPDATE TO {accounts}
    USING ((SELECT sgmp.may('manage_houses')) AND {house_visible});

GRANT SELECT (device_id, house_id, name, type, description, revision, created_at, deleted_at),
    INSERT (house_id, name, type, description, config),
    UPDATE (type, description, config, revision, deleted_at)
    ON sgmp.device TO {accounts};
CREATE POLICY reads ON sgmp.device FOR SELECT TO {accounts} USING ({contents_visible});
CREATE POLICY adds ON sgmp.device FOR INSERT TO {accounts}
    WITH CHECK ((SELECT sgmp.may('manage_devices')) AND {house_visible});
CREATE POLICY changes ON sgmp.device FOR UPDATE TO {accounts}
    USING ((SELECT sgmp.may('manage_devices')) AND {house_visible});

GRANT SELECT, DELETE ON sgmp.analytic_item TO {accounts};
GRANT INSERT (house_id, name, description, formula, aggregated, unit),
    UPDATE (description, formula, aggregated, unit, revision)
    ON sgmp.analytic_item TO {accounts};
CREATE POLICY reads ON sgmp.analytic_item FOR SELECT TO {accounts} USING ({contents_visible});
CREATE POLICY manages ON sgmp.analytic_item TO {accounts}
    USING ((SELECT sgmp.may('manage_analytics')) AND {house_visible});

GRANT SELECT, UPDATE (unit) ON sgmp.series TO {accounts};
CREATE POLICY reads ON sgmp.series FOR SELECT TO {accounts} USING ({contents_visible});
CREATE POLICY changes ON sgmp.series FOR UPDATE TO {accounts}
    USING ((SELECT sgmp.may('manage_devices')) AND {house_visible});

GRANT SELECT ON sgmp.text_reading, sgmp.event, sgmp.quarantine, sgmp.house_state TO {accounts};
CREATE POLICY reads ON sgmp.text_reading FOR SELECT TO {accounts} USING ({series_visible});
CREATE POLICY reads ON sgmp.event FOR SELECT TO {accounts} USING ({contents_visible});
CREATE POLICY reads ON sgmp.house_state FOR SELECT TO {accounts} USING ({contents_visible});
CREATE POLICY reads ON sgmp.quarantine FOR SELECT TO {accounts} USING (
    (SELECT sgmp.may('view_devices'))
    AND {house_visible});
CREATE POLICY adds ON sgmp.event FOR INSERT TO {ingest} WITH CHECK (true);

ALTER TABLE sgmp.quarantine_usage ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON sgmp.quarantine_usage TO {accounts};
CREATE POLICY reads ON sgmp.quarantine_usage FOR SELECT TO {accounts} USING (
    (SELECT sgmp.may('view_devices'))
    AND {house_visible});

-- What was sent to an edge holds its devices' secrets.
GRANT SELECT (house_id, version, sha256, created_at, published_at), INSERT (house_id, version, sha256, devices)
    ON sgmp.config_version TO {accounts};
CREATE POLICY reads ON sgmp.config_version FOR SELECT TO {accounts} USING ({contents_visible});
CREATE POLICY adds ON sgmp.config_version FOR INSERT TO {accounts}
    WITH CHECK ((SELECT sgmp.may('manage_houses')) AND (SELECT sgmp.may('view_secrets')) AND {house_visible});

ALTER TABLE sgmp.aggregation ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE ON sgmp.aggregation TO {accounts};
CREATE POLICY reads ON sgmp.aggregation FOR SELECT TO {accounts} USING ({contents_visible});
CREATE POLICY manages ON sgmp.aggregation TO {accounts}
    USING ((SELECT sgmp.may('manage_analytics')) AND {house_visible});
