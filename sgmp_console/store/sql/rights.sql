-- Rights. Whatever is not granted here is not allowed: not to accounts, not to ingest, not to PUBLIC.
--
-- An account has no right to a table that holds anything of a house: it reads and acts through functions. With a right it
-- could lock the table, measure conditions on the rows of others, or hold rows that others need.

REVOKE ALL ON SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest}, {watch};
REVOKE ALL ON ALL TABLES IN SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest}, {watch};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest}, {watch};
REVOKE ALL ON ALL ROUTINES IN SCHEMA sgmp FROM PUBLIC, {accounts}, {ingest}, {watch};

-- A function made later is closed until it is granted here. (IN SCHEMA could only add to what PUBLIC has by default.)
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;

-- What an earlier version granted on single columns.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT DISTINCT c.oid::regclass AS of_table, a.attname, r.rolname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid, aclexplode(a.attacl) g JOIN pg_roles r ON r.oid = g.grantee
        WHERE c.relnamespace = 'sgmp'::regnamespace AND a.attacl IS NOT NULL AND g.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL (%I) ON %s FROM %I', granted.attname, granted.of_table, granted.rolname);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA sgmp TO {accounts}, {ingest}, {watch};

-- Ingest --------------------------------------------------------------------------------------------------------------
GRANT INSERT ON sgmp.reading, sgmp.event TO {ingest};
GRANT EXECUTE ON FUNCTION
    sgmp.known_devices(), sgmp.series_ids(integer[], integer[], text[]), sgmp.ensure_partitions(date[]),
    sgmp.pack_week(), sgmp.drop_old_quarantine(interval),
    sgmp.set_aside(timestamptz[], integer[], text[], bytea[], text[], bytea[]),
    sgmp.message_to_replay(), sgmp.settle_replay(bigint, text),
    sgmp.store_texts(integer[], timestamptz[], text[]), sgmp.report_ingest(text, jsonb), sgmp.lock_events(integer[]),
    sgmp.add_to_slots(integer[], bigint[], bigint[], double precision[], double precision[], double precision[],
                      double precision[], double precision[], bigint[]),
    sgmp.recompute_slots(integer[], bigint[]), sgmp.recompute_between(integer[], bigint, bigint), sgmp.on_timescale(),
    sgmp.drop_old_readings(interval), sgmp.note_late(integer[], bigint, bigint), sgmp.recompute_late(),
    sgmp.closed_slots(integer[], bigint[]), sgmp.end_stale_sessions(),
    sgmp.note_unchecked(integer[], bigint[], bigint[])
TO {ingest};

-- The watch -----------------------------------------------------------------------------------------------------------
-- It is a member of the accounts, too, and reads houses as one that sees all.
GRANT SELECT, INSERT, UPDATE, DELETE ON sgmp.finding TO {watch};
GRANT SELECT ON sgmp.maintenance_window TO {watch};
GRANT SELECT, UPDATE ON sgmp.watch_state TO {watch};
GRANT SELECT, INSERT, UPDATE, DELETE ON sgmp.quality_day, sgmp.quality_run TO {watch};
GRANT SELECT, DELETE ON sgmp.unchecked TO {watch};
GRANT EXECUTE ON FUNCTION
    sgmp.take_turn(text, interval), sgmp.newest_of_devices(), sgmp.first_readings_after(integer[], text[], timestamptz[]),
    sgmp.warned_since(bigint), sgmp.warnings_of(integer[], text[], timestamptz), sgmp.initial_passwords(),
    sgmp.quarantined(), sgmp.undelivered(), sgmp.notification_candidates(),
    sgmp.houses_with_rules(), sgmp.series_of_fields(integer[], text[], text[]), 
    sgmp.events_of_houses(integer[], timestamptz, text[], boolean),
    sgmp.series_to_check(integer, timestamptz, integer), sgmp.quality_faults(),
    sgmp.enqueue_notifications(integer, bigint[], text[], integer, interval), sgmp.claim_notifications(integer), sgmp.settle_notification(bigint, text, interval)
TO {watch};

-- Accounts ------------------------------------------------------------------------------------------------------------
GRANT SELECT ON
    -- Of no house: what roles and device types are.
    sgmp.permission, sgmp.role, sgmp.role_permission, sgmp.installation, sgmp.device_setting,
    -- Views of functions.
    sgmp.houses, sgmp.house_states, sgmp.devices, sgmp.config_versions, sgmp.analytic_items, sgmp.registrations, sgmp.roles,
    sgmp.accounts, sgmp.audit_entries, sgmp.ingest_states
TO {accounts};

GRANT EXECUTE ON FUNCTION
    sgmp.is_owner(), sgmp.my_permissions(), sgmp.may(text), sgmp.sees_every_house(), sgmp.sees_contents(), sgmp.my_house(),
    sgmp.sees_house(integer), sgmp.me(), sgmp.note_sign_in(), sgmp.login_name(text), sgmp.lock_house(integer),
    sgmp.lock_houses(),
    sgmp.visible_houses(), sgmp.visible_house_states(), sgmp.create_house(text, text, text, boolean, double precision, double precision),
    sgmp.update_house(integer, integer, text, text, text, boolean, double precision, double precision),
    sgmp.delete_house(integer),
    sgmp.visible_devices(integer), sgmp.device_history(integer, integer), sgmp.house_of_device(integer), sgmp.device_counts(), sgmp.create_device(integer, text, text, text, jsonb),
    sgmp.update_device(integer, integer, text, text, jsonb, boolean), sgmp.delete_device(integer),
    sgmp.visible_config_versions(integer, integer), sgmp.config_version_list(integer),
    sgmp.add_config_version(integer, integer, text, jsonb), sgmp.note_published(integer, integer),
    sgmp.changed_secrets(integer, integer, integer),
    sgmp.announce_reveal(text, integer, integer), sgmp.reveal(bigint),
    sgmp.visible_analytic_items(), sgmp.create_analytic_item(integer, text, text, text, boolean, text),
    sgmp.update_analytic_item(integer, integer, text, text, boolean, text), sgmp.delete_analytic_item(integer),
    sgmp.visible_registrations(), sgmp.register_aggregation(integer, integer, text[], text[]), sgmp.populate(integer),
    sgmp.on_timescale(), sgmp.raw_kept_from(), sgmp.visible_ingest_states(),
    sgmp.fields_of(integer), sgmp.fields_now(integer), sgmp.set_unit(integer, text), sgmp.newest_readings(integer[]),
    sgmp.readings_between(integer[], timestamptz, timestamptz), sgmp.packed_readings(integer[], timestamptz, timestamptz),
    sgmp.packed_slots(integer[], timestamptz, timestamptz), sgmp.packed_hours(integer[], timestamptz, timestamptz),
    sgmp.texts_between(integer[], timestamptz, timestamptz), sgmp.days_with_readings(integer[], timestamptz, integer),
    sgmp.events_between(integer, timestamptz, timestamptz, text[], text[]), sgmp.event_types(integer), sgmp.edge_statuses(integer, text, timestamptz, integer),
    sgmp.state_changes(integer, timestamptz, timestamptz, integer),
    sgmp.newest_events(integer, timestamptz, timestamptz, bigint, text[], text[], text, integer),
    sgmp.create_role(text, text, text[]), sgmp.update_role(integer, integer, text, text, text[]), sgmp.delete_role(integer),
    sgmp.visible_roles(),
    sgmp.create_account(text, text, text, integer, text, boolean), sgmp.set_own_password(text),
    sgmp.reset_password(integer, text), sgmp.delete_account(integer), sgmp.visible_accounts(),
    sgmp.update_account(integer, integer, text, text, integer, boolean),
    sgmp.act_on_quarantine(text, bigint[]), sgmp.quarantine_usages(),
    sgmp.visible_quarantine(integer, bigint, integer), sgmp.house_standings(integer), sgmp.newest_of_houses(), sgmp.house_setups(text[]),
    sgmp.note_wiring(integer, integer, integer),
    sgmp.checked_days(integer, timestamptz, timestamptz), sgmp.quality_between(integer, timestamptz, timestamptz),
    sgmp.quality_of_houses(integer[], timestamptz),
    sgmp.visible_findings(integer, timestamptz, integer), sgmp.finding_counts(), sgmp.watch_age_ms(),
    sgmp.act_on_finding(bigint, text, text, timestamptz), sgmp.visible_recipients(),
    sgmp.add_recipient(text, text, text, integer, text), sgmp.remove_recipient(integer), sgmp.test_recipient(integer),
    sgmp.notification_state(bigint), sgmp.visible_windows(),
    sgmp.add_window(integer, text, timestamptz, timestamptz, integer[], time, time, text), sgmp.remove_window(integer),
    sgmp.visible_rules(),
    sgmp.create_rule(integer, text, text, boolean, double precision, double precision, integer, integer, time, time, text, text,
                     text, boolean),
    sgmp.update_rule(integer, integer, text, text, boolean, double precision, double precision, integer, integer, time, time,
                     text, text, text, boolean),
    sgmp.delete_rule(integer),
    sgmp.visible_notes(integer[], timestamptz, timestamptz, boolean),
    sgmp.add_note(integer, text, timestamptz, timestamptz, text, boolean),
    sgmp.change_note(integer, integer, text, timestamptz, timestamptz, text, boolean), sgmp.delete_note(integer),
    sgmp.visible_audit(), sgmp.shortened(jsonb), sgmp.audit_entry(bigint),
    sgmp.audit_page(text, text, text[], text[], integer, timestamptz, timestamptz, bigint, integer, boolean),
    sgmp.audit_external(text, text, text, integer, jsonb)
TO {accounts};
