/* src/publisher/dead_letters.sql: what people do about dead letters */

CREATE FUNCTION mesh_outbox.require_letter(letter mesh_outbox.dead_letter, action text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT mesh_outbox.is_admin(mesh_outbox.caller())
       AND letter.outbox_id NOT IN (SELECT mesh_outbox.owned_outboxes()) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied to %s dead letter %s', action, letter.dead_letter_id),
            DETAIL = 'It is for administrators and the owners of the outbox.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_letter(mesh_outbox.dead_letter, text) IS
    'error unless a dead letter is the caller''s to deal with';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_letter(mesh_outbox.dead_letter, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.read_dead_letters(letters bigint[])
    RETURNS TABLE (dead_letter_id bigint, event_id uuid, event_type text, key text, payload text, headers text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    letter mesh_outbox.dead_letter;
    shown bigint[] := '{}';
BEGIN
    FOR letter IN SELECT * FROM mesh_outbox.dead_letter d WHERE d.dead_letter_id = ANY (letters) ORDER BY d.dead_letter_id LOOP
        PERFORM mesh_outbox.require_letter(letter, 'read');
        shown := shown || letter.dead_letter_id;
        -- The letter holds what was to be produced: in structured mode the whole CloudEvent.
        IF EXISTS (SELECT FROM mesh_outbox.contract c
                   WHERE c.contract_id = letter.contract_id AND c.content_mode = 'structured') THEN
            letter.payload := letter.payload::jsonb -> 'data';
        END IF;
        RETURN QUERY SELECT letter.dead_letter_id, letter.event_id, letter.event_type, letter.key, letter.payload, letter.headers;
    END LOOP;
    -- last, for others wait for the audit record
    IF shown <> '{}' THEN
        PERFORM mesh_outbox.add_audit('read', 'stored events', NULL, jsonb_build_object(
            'products', (SELECT jsonb_agg(DISTINCT o.product) FROM mesh_outbox.outbox o JOIN mesh_outbox.dead_letter d USING (outbox_id)
                         WHERE d.dead_letter_id = ANY (shown)),
            'dead_letters', shown, 'by', 'read_dead_letters'));
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.read_dead_letters(bigint[]) IS
    'what is in dead letters, as it was in the outbox; for administrators and the owners of the outbox, and recorded in the audit log';

CREATE FUNCTION mesh_outbox.take_dead_letters(letters bigint[], action text) RETURNS SETOF mesh_outbox.dead_letter
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    letter mesh_outbox.dead_letter;
BEGIN
    FOR letter IN
        DELETE FROM mesh_outbox.dead_letter d WHERE d.dead_letter_id = ANY (letters) RETURNING d.*
    LOOP
        PERFORM mesh_outbox.require_letter(letter, action);
        -- Until then recovery would publish the event if it did not find the letter.
        IF NOT EXISTS (SELECT FROM mesh_outbox.progress g
                       WHERE g.publisher_id = letter.publisher_id AND g.lsn > letter.commit_lsn)
           AND NOT EXISTS (SELECT FROM mesh_outbox.batch b
                           WHERE b.publisher_id = letter.publisher_id AND b.last_lsn > letter.commit_lsn) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('the publisher has not left dead letter %s behind yet', letter.dead_letter_id),
                HINT = 'Try again when other events have been published, or after a while.';
        END IF;
        RETURN NEXT letter;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.take_dead_letters(bigint[], text) IS
    'removes dead letters that the caller may deal with and that no publisher relies on any more';
REVOKE EXECUTE ON FUNCTION mesh_outbox.take_dead_letters(bigint[], text) FROM PUBLIC;

-- The event as its outbox has it; NULL when it is not there any more.
CREATE FUNCTION mesh_outbox.event_of(letter mesh_outbox.dead_letter, outbox mesh_outbox.outbox)
    RETURNS mesh_outbox.control_event
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text;
    event mesh_outbox.control_event;
    major int;
    found bigint;
BEGIN
    SELECT string_agg(quote_ident(coalesce(outbox.columns ->> c, c)), ', ' ORDER BY n) INTO columns
    FROM unnest('{event_id,event_type,major_version,key,payload,event_time,headers,correlation_id,causation_id,traceparent,created_at}'::text[])
         WITH ORDINALITY u (c, n);
    SELECT e.event_id, e.event_type, e.major, e.key, e.payload, e.event_time, e.headers, e.correlation_id, e.causation_id,
           e.traceparent, e.created_at, e.found
    INTO event.event_id, event.event_type, major, event.key, event.payload, event.event_time, event.headers,
         event.correlation_id, event.causation_id, event.traceparent, event.created_at, found
    FROM mesh_outbox.read_as(
        mesh_outbox.reader_of(outbox),
        format('SELECT %s, count(*) OVER () FROM %s WHERE %I = $1', columns, outbox.relation, coalesce(outbox.columns ->> 'event_id', 'event_id')),
        letter.event_id)
        AS e (event_id uuid, event_type text, major int, key text, payload jsonb, event_time timestamptz, headers jsonb,
              correlation_id text, causation_id text, traceparent text, created_at timestamptz, found bigint);
    -- in a partitioned outbox nothing keeps ids apart
    IF found > 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'cardinality_violation',
            MESSAGE = format('cannot retry dead letter %s: outbox %s has %s events with its id', letter.dead_letter_id, outbox.relation, found),
            HINT = 'Insert it again with an id of its own, and give it up with mesh_outbox.discard_dead_letters().';
    END IF;
    event.outbox_id := outbox.outbox_id;
    -- What is committed while a decision is due may be given up by it, and
    -- unlike an INSERT this can wait.
    event.publisher_id := (SELECT p.publisher_id FROM mesh_outbox.publisher p
                           JOIN mesh_outbox.progress g USING (publisher_id)
                           JOIN pg_replication_slots s USING (slot_name)
                           WHERE p.name = outbox.publisher AND g.system_identifier = mesh_outbox.this_system()
                             AND g.database_oid = mesh_outbox.this_database()
                             AND g.attention IS NULL AND s.wal_status <> 'lost');
    event.contract_id := (mesh_outbox.contract_in_force(outbox.product, event.event_type, major)).contract_id;
    -- it may have had none where an earlier version looked for it
    event.key := coalesce(event.key, mesh_outbox.contract_key(event.contract_id, event.payload));
    RETURN event;
END
$$;
COMMENT ON FUNCTION mesh_outbox.event_of(mesh_outbox.dead_letter, mesh_outbox.outbox) IS
    'the event of a dead letter as it would be published now: under the contract version in force, by the outbox''s publisher';
REVOKE EXECUTE ON FUNCTION mesh_outbox.event_of(mesh_outbox.dead_letter, mesh_outbox.outbox) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.retry_obstacle(event mesh_outbox.control_event) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    violation record;
BEGIN
    IF event.event_id IS NULL THEN
        RETURN 'its event is not in the outbox any more';
    ELSIF event.publisher_id IS NULL THEN
        RETURN 'the outbox has no publisher that is ready: see the view publishers';
    ELSIF event.contract_id IS NULL THEN
        RETURN format('no contract of event type "%s" and its major version is in force', event.event_type);
    END IF;
    SELECT c.* INTO contract FROM mesh_outbox.contract c WHERE c.contract_id = event.contract_id;
    SELECT v.* INTO violation
    FROM mesh_outbox.event_violations(contract, event.payload, event.headers, event.key, event.event_time,
                                      event.created_at, as_enforced => true) v
    WHERE v.enforcement IN ('quarantine', 'enforce') LIMIT 1;
    IF FOUND THEN
        RETURN format('it breaks the contract version in force, %s, at %s: %s', mesh_outbox.version_text(contract),
                      mesh_outbox.violation_place(violation.instance_pointer, violation.keyword), violation.message);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mesh_outbox.retry_obstacle(mesh_outbox.control_event) IS
    'why an event cannot be published now; NULL when it can';
REVOKE EXECUTE ON FUNCTION mesh_outbox.retry_obstacle(mesh_outbox.control_event) FROM PUBLIC;

-- Nothing was converted when it was inserted: see install_conversion().
CREATE FUNCTION mesh_outbox.older_forms(event mesh_outbox.control_event) RETURNS SETOF mesh_outbox.control_event
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    conversion mesh_outbox.conversion;
    older mesh_outbox.contract;
    form mesh_outbox.control_event;
BEGIN
    FOR conversion IN
        SELECT v.* FROM mesh_outbox.conversion v
        JOIN mesh_outbox.contract c ON (c.product, c.event_type, c.major) = (v.product, v.event_type, v.from_major)
        WHERE c.contract_id = event.contract_id ORDER BY v.conversion_id
    LOOP
        older := mesh_outbox.contract_in_force(conversion.product, conversion.event_type, conversion.to_major);
        CONTINUE WHEN older.contract_id IS NULL;
        form := event;
        form.event_id := gen_random_uuid();
        form.causation_id := event.event_id;
        form.contract_id := older.contract_id;
        form.payload := mesh_outbox.convert_payload(conversion.schema_name, conversion.function, event.payload);
        form.key := mesh_outbox.contract_key(older.contract_id, form.payload);
        RETURN NEXT form;
        RETURN QUERY SELECT * FROM mesh_outbox.older_forms(form);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.older_forms(mesh_outbox.control_event) IS
    'what the conversions in use make of an event that was in quarantine, with it as their cause, and of that in turn';
REVOKE EXECUTE ON FUNCTION mesh_outbox.older_forms(mesh_outbox.control_event) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.retry_dead_letters(letters bigint[]) RETURNS bigint
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    letter mesh_outbox.dead_letter;
    outbox mesh_outbox.outbox;
    event mesh_outbox.control_event;
    older mesh_outbox.control_event[];
    obstacle text;
    retried bigint := 0;
BEGIN
    FOR letter IN
        SELECT * FROM mesh_outbox.take_dead_letters(letters, 'retry') d ORDER BY d.dead_letter_id
    LOOP
        SELECT o.* INTO outbox FROM mesh_outbox.outbox o JOIN pg_class c ON c.oid = o.relation
        WHERE o.outbox_id = letter.outbox_id;
        IF NOT FOUND THEN
            obstacle := 'its outbox is gone';
        ELSE
            event := mesh_outbox.event_of(letter, outbox);
            obstacle := mesh_outbox.retry_obstacle(event);
        END IF;
        older := '{}';
        IF obstacle IS NULL AND letter.reason = 'quarantined' THEN
            older := ARRAY(SELECT f FROM mesh_outbox.older_forms(event) f);
            SELECT 'in its older form, ' || o INTO obstacle
            FROM unnest(older) f, mesh_outbox.retry_obstacle(f) o WHERE o IS NOT NULL LIMIT 1;
        END IF;
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('cannot retry dead letter %s: %s', letter.dead_letter_id, obstacle),
                HINT = 'Mend that first, or give it up with mesh_outbox.discard_dead_letters().';
        END IF;
        INSERT INTO mesh_outbox.control_event SELECT event.*;
        INSERT INTO mesh_outbox.control_event SELECT * FROM unnest(older);
        DELETE FROM mesh_outbox.control_event;
        PERFORM mesh_outbox.wake_publisher(event.publisher_id);
        PERFORM mesh_outbox.record_decision(letter.publisher_id, 'retry',
                                            format('dead letter %s, event %s', letter.dead_letter_id, letter.event_id));
        retried := retried + 1;
    END LOOP;
    RETURN retried;
END
$$;
COMMENT ON FUNCTION mesh_outbox.retry_dead_letters(bigint[]) IS
    'has the events of dead letters published after all, once what was wrong is mended: in the order of their ids, behind what is committed before, under the contract version in force; where they were in quarantine, also in the majors that conversions serve; all or none. Returns how many; for administrators and the owners of the outbox';

CREATE FUNCTION mesh_outbox.discard_dead_letters(letters bigint[], reason text) RETURNS bigint
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    letter mesh_outbox.dead_letter;
    discarded bigint := 0;
BEGIN
    PERFORM mesh_outbox.require_text('reason', reason);
    FOR letter IN SELECT * FROM mesh_outbox.take_dead_letters(letters, 'discard') LOOP
        PERFORM mesh_outbox.record_decision(letter.publisher_id, 'discard',
                                            format('dead letter %s, event %s: %s', letter.dead_letter_id, letter.event_id, reason));
        discarded := discarded + 1;
    END LOOP;
    RETURN discarded;
END
$$;
COMMENT ON FUNCTION mesh_outbox.discard_dead_letters(bigint[], text) IS
    'gives up dead letters: their events are never published; the reason is recorded. Returns how many; for administrators and the owners of the outbox';
