-- Notes on times of a house. Who sees what is in a house reads them; who looks after its devices or its analytic items writes
-- them. A time that is excluded changes what figures say, as an item does: that takes `manage_analytics`.

-- Those of some houses of which a part lies in a range.
CREATE FUNCTION sgmp.visible_notes(asked integer[], from_ts timestamptz, to_ts timestamptz, only_excluded boolean)
RETURNS SETOF sgmp.note
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF NOT sgmp.sees_contents() THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT n.* FROM sgmp.note n
        WHERE n.house_id = ANY (asked) AND n.to_at > from_ts AND n.from_at < to_ts AND (n.excluded OR NOT only_excluded)
          AND ((SELECT sgmp.sees_every_house()) OR n.house_id = (SELECT sgmp.my_house()))
        ORDER BY n.from_at, n.note_id;
END
$$;

CREATE FUNCTION sgmp.require_to_note(house integer, excludes boolean) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF sgmp.may('manage_devices') AND NOT excludes THEN
        PERFORM sgmp.require_in_house('manage_devices', house);
    ELSE
        PERFORM sgmp.require_in_house('manage_analytics', house);
    END IF;
END
$$;

CREATE FUNCTION sgmp.note_document(asked sgmp.note) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN jsonb_build_object('kind', (asked).kind, 'from', (asked).from_at, 'to', (asked).to_at, 'text', (asked).text,
                          'excluded', (asked).excluded);

CREATE FUNCTION sgmp.add_note(
    house integer, kind text, starts timestamptz, ends timestamptz, note_text text, excludes boolean
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    added sgmp.note;
BEGIN
    PERFORM sgmp.require_to_note(house, excludes);
    INSERT INTO sgmp.note (house_id, kind, from_at, to_at, text, excluded, who)
    VALUES (house, kind, starts, ends, note_text, excludes, sgmp.actor()) RETURNING * INTO added;
    PERFORM sgmp.write_audit('create', 'note', added.kind, added.note_id, house, NULL, sgmp.note_document(added));
    RETURN added.note_id;
END
$$;

-- The note that the account may change. Raises where there is none.
CREATE FUNCTION sgmp.note_to_change(asked integer) RETURNS sgmp.note
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.note;
BEGIN
    IF NOT sgmp.may('manage_devices') THEN
        PERFORM sgmp.require_permission('manage_analytics');
    END IF;
    SELECT n.* INTO about FROM sgmp.note n WHERE n.note_id = asked AND sgmp.sees_house(n.house_id);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'There is no such note. It may have been deleted.';
    END IF;
    PERFORM sgmp.require_to_note(about.house_id, about.excluded);
    RETURN about;
END
$$;

-- Returns the new revision; null if it is no longer `seen`.
CREATE FUNCTION sgmp.change_note(
    asked integer, seen integer, new_kind text, starts timestamptz, ends timestamptz, note_text text, excludes boolean
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before sgmp.note := sgmp.note_to_change(asked);
    changed sgmp.note;
BEGIN
    PERFORM sgmp.require_to_note(before.house_id, excludes);
    UPDATE sgmp.note n SET
        kind = new_kind, from_at = starts, to_at = ends, text = note_text, excluded = excludes, who = sgmp.actor(),
        at = clock_timestamp(), revision = n.revision + 1
    WHERE n.note_id = asked AND n.revision = seen
      AND n.excluded = before.excluded  -- else the right that was asked for may be the wrong one
    RETURNING * INTO changed;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM sgmp.write_audit('change', 'note', changed.kind, asked, changed.house_id, sgmp.note_document(before),
                             sgmp.note_document(changed));
    RETURN changed.revision;
END
$$;

-- Returns the house of the note, and when it began.
CREATE FUNCTION sgmp.delete_note(asked integer) RETURNS TABLE (house_id integer, from_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about sgmp.note := sgmp.note_to_change(asked);
    deleted sgmp.note;
BEGIN
    DELETE FROM sgmp.note n WHERE n.note_id = asked AND n.excluded = about.excluded RETURNING * INTO deleted;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SG001', MESSAGE = 'The note was changed or deleted by somebody else meanwhile.';
    END IF;
    PERFORM sgmp.write_audit('delete', 'note', deleted.kind, asked, deleted.house_id, sgmp.note_document(deleted), NULL);
    RETURN QUERY SELECT deleted.house_id, deleted.from_at;
END
$$;
