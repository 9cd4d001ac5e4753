/* src/publisher/publishers.sql: creating, pausing, resuming and watching publishers */

CREATE FUNCTION mesh_outbox.find_publisher(publisher text) RETURNS mesh_outbox.publisher
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found mesh_outbox.publisher;
BEGIN
    SELECT * INTO found FROM mesh_outbox.publisher p WHERE p.name = publisher;
    IF found.publisher_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('publisher "%s" does not exist', publisher),
            HINT = 'See the view mesh_outbox.publishers; an administrator creates one with mesh_outbox.create_publisher().';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION mesh_outbox.find_publisher(text) IS 'the publisher of that name; error if there is none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.find_publisher(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.this_database() RETURNS oid
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
COMMENT ON FUNCTION mesh_outbox.this_database() IS 'OID of the current database';

CREATE FUNCTION mesh_outbox.this_system() RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT s.system_identifier FROM pg_control_system() s);
COMMENT ON FUNCTION mesh_outbox.this_system() IS 'this cluster''s system identifier';

CREATE FUNCTION mesh_outbox.record_decision(publisher_id int, action text, detail text,
                                            from_lsn pg_lsn DEFAULT NULL, to_lsn pg_lsn DEFAULT NULL)
    RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        INSERT INTO mesh_outbox.publisher_event (publisher_id, actor, action, from_lsn, to_lsn, detail)
        SELECT publisher_id, r.rolname, action, from_lsn, to_lsn, detail
        FROM pg_roles r WHERE r.oid = mesh_outbox.caller();
    END;
COMMENT ON FUNCTION mesh_outbox.record_decision(int, text, text, pg_lsn, pg_lsn) IS
    'records what somebody decided about a publisher';
REVOKE EXECUTE ON FUNCTION mesh_outbox.record_decision(int, text, text, pg_lsn, pg_lsn) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.marker_group(publisher mesh_outbox.publisher) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN format('mesh_outbox-%s-%s-%s-%s', mesh_outbox.this_system(), mesh_outbox.this_database(),
                  (publisher).publisher_id, (publisher).identity);
COMMENT ON FUNCTION mesh_outbox.marker_group(mesh_outbox.publisher) IS
    'the consumer group that keeps a publisher''s position in Kafka; with -0 to -3 behind it, its transactional ids';
REVOKE EXECUTE ON FUNCTION mesh_outbox.marker_group(mesh_outbox.publisher) FROM PUBLIC;

-- Options that name files of the server need pg_read_server_files.
CREATE FUNCTION mesh_outbox.check_publisher(brokers text, options jsonb) RETURNS void
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'mesh_outbox_check_publisher';
COMMENT ON FUNCTION mesh_outbox.check_publisher(text, jsonb) IS
    'error if a publisher cannot be configured so, or the caller may not; does not connect';
REVOKE EXECUTE ON FUNCTION mesh_outbox.check_publisher(text, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.create_publisher(name text, brokers text, options jsonb DEFAULT '{}',
                                             paused boolean DEFAULT false) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id int;
    waiting text;
BEGIN
    PERFORM mesh_outbox.require_admin('create a publisher');
    IF name IS NULL OR name !~ '^[a-z][a-z0-9_]{0,30}$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_name',
            MESSAGE = format('invalid publisher name "%s"', name),
            DETAIL = 'A publisher''s name starts with a lower-case letter; up to 30 lower-case letters, digits and _ follow.';
    END IF;
    PERFORM mesh_outbox.check_publisher(brokers, options);
    INSERT INTO mesh_outbox.publisher
        (name, brokers, options, paused, pause_reason, system_identifier, database_oid)
    VALUES (create_publisher.name, create_publisher.brokers, create_publisher.options,
            create_publisher.paused, CASE WHEN create_publisher.paused THEN 'created paused' END,
            mesh_outbox.this_system(), mesh_outbox.this_database())
    ON CONFLICT DO NOTHING
    RETURNING publisher_id INTO new_id;
    IF new_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('publisher "%s" already exists', name),
            HINT = 'mesh_outbox.alter_publisher() changes it.';
    END IF;
    PERFORM mesh_outbox.record_decision(new_id, 'create', NULL);
    PERFORM mesh_outbox.publisher_changed();
    SELECT string_agg(o.relation::text, ', ' ORDER BY o.relation::text) INTO waiting
    FROM mesh_outbox.outbox o WHERE o.publisher IS NULL;
    IF waiting IS NOT NULL THEN
        RAISE NOTICE USING
            MESSAGE = format('outboxes without a publisher: %s', waiting),
            HINT = format('SELECT mesh_outbox.set_outbox_publisher(''…'', %L) has their events published from then on.', name);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_publisher(text, text, jsonb, boolean) IS
    'creates a publisher to a Kafka cluster: brokers as host:port,… or embedded; options are librdkafka properties, secrets as references to files; for administrators';

CREATE FUNCTION mesh_outbox.alter_publisher(name text, brokers text DEFAULT NULL, options jsonb DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    publisher mesh_outbox.publisher;
BEGIN
    PERFORM mesh_outbox.require_admin('alter a publisher');
    publisher := mesh_outbox.find_publisher(name);
    PERFORM mesh_outbox.check_publisher(coalesce(brokers, publisher.brokers),
                                        coalesce(options, publisher.options));
    UPDATE mesh_outbox.publisher p
    SET brokers = coalesce(alter_publisher.brokers, p.brokers),
        options = coalesce(alter_publisher.options, p.options)
    WHERE p.publisher_id = publisher.publisher_id;
    PERFORM mesh_outbox.record_decision(publisher.publisher_id, 'alter',
                concat_ws(', ', CASE WHEN brokers IS NOT NULL THEN 'brokers' END,
                                CASE WHEN options IS NOT NULL THEN 'options' END));
    PERFORM mesh_outbox.publisher_changed();
END
$$;
COMMENT ON FUNCTION mesh_outbox.alter_publisher(text, text, jsonb) IS
    'changes how a publisher reaches its Kafka cluster; it restarts with the new settings at once; NULL leaves as it is; for administrators';

-- A publisher that runs is some milliseconds behind whatever commits; one
-- that does not is not waited for.  Quiet, for the caller says it better.
CREATE FUNCTION mesh_outbox.publishes_all(publisher mesh_outbox.publisher) RETURNS boolean
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    SET client_min_messages = error
    RETURN NOT EXISTS (SELECT FROM mesh_outbox.progress g
                       WHERE g.publisher_id = (publisher).publisher_id
                         AND g.system_identifier = mesh_outbox.this_system()
                         AND g.database_oid = mesh_outbox.this_database())
           OR (mesh_outbox.is_preloaded()
               AND mesh_outbox.wait_published(
                       publisher => (publisher).name,
                       timeout => (SELECT CASE WHEN s.state IN ('starting', 'streaming')
                                               THEN interval '5 s' ELSE interval '0' END
                                   FROM mesh_outbox.publisher_status() s
                                   WHERE s.publisher_id = (publisher).publisher_id)));
COMMENT ON FUNCTION mesh_outbox.publishes_all(mesh_outbox.publisher) IS
    'whether a publisher has dealt with everything that is committed, or never had a slot; gives one that runs 5 s';
REVOKE EXECUTE ON FUNCTION mesh_outbox.publishes_all(mesh_outbox.publisher) FROM PUBLIC;

-- NULL when nothing would be.
CREATE FUNCTION mesh_outbox.lost_with(publisher mesh_outbox.publisher) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dead bigint := (SELECT count(*) FROM mesh_outbox.dead_letter d WHERE d.publisher_id = publisher.publisher_id);
    status record;
    unpublished text;
BEGIN
    IF NOT mesh_outbox.publishes_all(publisher) THEN
        SELECT s.dealt_lsn, s.progress_lsn, s.state, s.last_commit_time INTO status
        FROM mesh_outbox.publisher_status() s WHERE s.publisher_id = publisher.publisher_id;
        unpublished := format('events that were committed between LSN %s and %s (%s)',
                              coalesce(status.dealt_lsn, status.progress_lsn), pg_current_wal_insert_lsn(),
                              concat_ws(', ', 'state ' || status.state,
                                        'the last one published was committed at ' || status.last_commit_time));
    END IF;
    RETURN nullif(concat_ws('; ', unpublished,
                            CASE WHEN dead > 0 THEN format('dead letters (%s)', dead) END), '');
END
$$;
COMMENT ON FUNCTION mesh_outbox.lost_with(mesh_outbox.publisher) IS
    'what nobody would publish any more if a publisher were dropped now, in words';
REVOKE EXECUTE ON FUNCTION mesh_outbox.lost_with(mesh_outbox.publisher) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.drop_publisher(name text, lose_events boolean DEFAULT false, reason text DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    publisher mesh_outbox.publisher;
    outboxes text;
    lost text;
BEGIN
    PERFORM mesh_outbox.require_admin('drop a publisher');
    publisher := mesh_outbox.find_publisher(name);
    SELECT string_agg(o.relation::text, ', ' ORDER BY o.relation::text) INTO outboxes
    FROM mesh_outbox.outbox o WHERE o.publisher = publisher.name;
    IF outboxes IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop publisher "%s" because it has outboxes', name),
            DETAIL = format('Outboxes: %s.', outboxes),
            HINT = 'Give them to another publisher, or to none, with mesh_outbox.set_outbox_publisher().';
    END IF;
    -- Its outboxes went under a lock that lets no INSERT by, so from here on
    -- it can only catch up.
    lost := mesh_outbox.lost_with(publisher);
    IF lost IS NOT NULL AND NOT lose_events THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('publisher "%s" is not done', name),
            DETAIL = format('Nobody would publish: %s.', lost),
            HINT = concat_ws('; ',
                CASE WHEN publisher.paused THEN format('SELECT mesh_outbox.resume_publisher(%L) ends its pause', name) END,
                format('SELECT mesh_outbox.wait_published(publisher => %L) waits for its events', name),
                CASE WHEN lost LIKE '%dead letters%' THEN 'mesh_outbox.retry_dead_letters() and discard_dead_letters() settle dead letters' END,
                format('mesh_outbox.drop_publisher(%L, lose_events => true, reason => ''…'') gives up what is left.', name));
    END IF;
    IF lost IS NOT NULL THEN
        PERFORM mesh_outbox.require_text('reason', reason);
        -- what the audit record keeps of it
        UPDATE mesh_outbox.publisher p
        SET paused = true, pause_reason = format('dropped (%s); lost: %s', reason, lost)
        WHERE p.publisher_id = publisher.publisher_id;
    END IF;
    IF publisher.brokers <> 'embedded'
       AND EXISTS (SELECT FROM mesh_outbox.progress g WHERE g.publisher_id = publisher.publisher_id)
       AND NOT EXISTS (SELECT FROM mesh_outbox.publisher_status() s
                       WHERE s.publisher_id = publisher.publisher_id AND s.state = 'streaming') THEN
        RAISE NOTICE USING
            MESSAGE = format('Kafka keeps the last position of publisher "%s"', name),
            DETAIL = 'It expires by itself, and only a copy of this server reads it.',
            -- A clone's publisher is dropped because it is the other one's.
            HINT = format('Unless another server goes on with it: kafka-consumer-groups.sh --bootstrap-server %s --delete --group %s',
                          publisher.brokers, mesh_outbox.marker_group(publisher));
    END IF;
    DELETE FROM mesh_outbox.publisher p WHERE p.publisher_id = publisher.publisher_id;
    PERFORM mesh_outbox.publisher_changed();
END
$$;
COMMENT ON FUNCTION mesh_outbox.drop_publisher(text, boolean, text) IS
    'drops a publisher without outboxes, its replication slot, ledger and dead letters; refused while it has events to publish or dead letters, unless lose_events with a reason, which is recorded; for administrators';

CREATE FUNCTION mesh_outbox.pause_publisher(name text, reason text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    publisher mesh_outbox.publisher;
BEGIN
    PERFORM mesh_outbox.require_admin('pause a publisher');
    publisher := mesh_outbox.find_publisher(name);
    PERFORM mesh_outbox.require_text('reason', reason);
    UPDATE mesh_outbox.publisher p SET paused = true, pause_reason = pause_publisher.reason
    WHERE p.publisher_id = publisher.publisher_id;
    PERFORM mesh_outbox.record_decision(publisher.publisher_id, 'pause', reason);
    PERFORM mesh_outbox.publisher_changed();
END
$$;
COMMENT ON FUNCTION mesh_outbox.pause_publisher(text, text) IS
    'stops publishing; outboxes go on accepting events and the server keeps their WAL; for administrators';

CREATE FUNCTION mesh_outbox.resume_publisher(name text, start_from text DEFAULT NULL, reason text DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    publisher mesh_outbox.publisher;
    progress mesh_outbox.progress;
BEGIN
    PERFORM mesh_outbox.require_admin('resume a publisher');
    publisher := mesh_outbox.find_publisher(resume_publisher.name);
    PERFORM FROM mesh_outbox.publisher p WHERE p.publisher_id = publisher.publisher_id FOR UPDATE;
    -- A copied database has the original's, with what was in doubt there.
    SELECT * INTO progress FROM mesh_outbox.progress g
    WHERE g.publisher_id = publisher.publisher_id
      AND g.system_identifier = mesh_outbox.this_system() AND g.database_oid = mesh_outbox.this_database()
    FOR UPDATE;
    IF start_from NOT IN ('marker', 'ledger', 'now') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid position "%s" to resume from', start_from),
            DETAIL = 'Allowed is marker (what Kafka says was published), ledger (what PostgreSQL says) or now (give up what was not published yet).';
    END IF;
    IF progress.attention IS NOT NULL AND start_from IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('publisher "%s" needs a decision: %s', name, progress.attention),
            DETAIL = progress.attention_detail,
            HINT = coalesce(progress.attention_hint || E'\n', '')
                   || format('SELECT mesh_outbox.resume_publisher(%L, start_from => ''marker'' | ''ledger'' | ''now'', reason => ''…'').', name);
    END IF;
    IF start_from IS NOT NULL THEN
        PERFORM mesh_outbox.require_text('reason', reason);
        IF progress.attention IS NULL
           AND EXISTS (SELECT FROM mesh_outbox.publisher_status() s
                       WHERE s.publisher_id = publisher.publisher_id AND s.publisher_pid IS NOT NULL
                         AND s.state IN ('streaming', 'paused')) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('publisher "%s" needs no decision', name),
                DETAIL = 'It knows where it is, and publishes everything from there, once.',
                HINT = format('SELECT mesh_outbox.resume_publisher(%L) ends a pause.', name);
        END IF;
    END IF;
    UPDATE mesh_outbox.publisher p
    SET paused = false, pause_reason = NULL, resume_from = start_from,
        resume_lsn = CASE WHEN start_from IS NOT NULL THEN pg_current_wal_insert_lsn() END,
        system_identifier = mesh_outbox.this_system(), database_oid = mesh_outbox.this_database()
    WHERE p.publisher_id = publisher.publisher_id;
    UPDATE mesh_outbox.progress g
    SET attention = NULL, attention_detail = NULL, attention_hint = NULL, attention_since = NULL
    WHERE g.publisher_id = publisher.publisher_id AND g.attention IS NOT NULL;
    PERFORM mesh_outbox.record_decision(publisher.publisher_id,
                'resume' || coalesce(' from ' || start_from, ''),
                concat_ws('; was: ', reason, progress.attention), progress.lsn);
    PERFORM mesh_outbox.publisher_changed();
END
$$;
COMMENT ON FUNCTION mesh_outbox.resume_publisher(text, text, text) IS
    'goes on after a pause, in a restored database, or (from marker, ledger or now, with a reason) where a position was in doubt; recorded; for administrators';

-- ---------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.may_see_all() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN mesh_outbox.is_admin(mesh_outbox.caller())
           OR pg_has_role(mesh_outbox.caller()::oid, 'pg_monitor', 'USAGE');
COMMENT ON FUNCTION mesh_outbox.may_see_all() IS
    'whether the current user is an administrator of the mesh or in pg_monitor';

-- Rights that a view's filter asks for once, not once per row.
CREATE FUNCTION mesh_outbox.owned_outboxes() RETURNS SETOF int
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT o.outbox_id
    FROM mesh_outbox.outbox o
    JOIN mesh_outbox.product r ON r.name = o.product
    JOIN mesh_outbox.domain d ON d.name = r.domain
    JOIN pg_roles s ON s.oid = d.owner
    WHERE pg_has_role(mesh_outbox.caller()::oid, s.oid, 'USAGE');
END
$$;
COMMENT ON FUNCTION mesh_outbox.owned_outboxes() IS
    'ids of the outboxes whose domain the current user has the rights of';

-- Owners may know how a publisher of their outboxes is, but not how it
-- reaches Kafka.
CREATE FUNCTION mesh_outbox.visible_publishers() RETURNS SETOF int
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT p.publisher_id FROM mesh_outbox.publisher p
    WHERE mesh_outbox.may_see_all()
       OR p.name IN (SELECT o.publisher FROM mesh_outbox.outbox o
                     WHERE o.outbox_id IN (SELECT mesh_outbox.owned_outboxes()));
END
$$;
COMMENT ON FUNCTION mesh_outbox.visible_publishers() IS
    'ids of the publishers that the current user may watch: all for administrators and pg_monitor, for others those of their outboxes';

CREATE FUNCTION mesh_outbox.watch_publishers()
    RETURNS TABLE (
        name text, state text, since timestamptz, paused boolean, pause_reason text,
        attention text, attention_detail text, attention_hint text, attention_since timestamptz,
        last_error text, last_error_hint text, last_error_at timestamptz,
        lag_bytes bigint, lag interval, retained_wal_bytes bigint,
        transactions bigint, events bigint, bytes bigint, kafka_transactions bigint, dead_letters bigint,
        last_published_at timestamptz, slot_lsn pg_lsn, decoded_lsn pg_lsn, marker_lsn pg_lsn, progress_lsn pg_lsn,
        brokers text, options jsonb, publisher_pid int, scribe_pid int, slot_name name,
        publisher_id int, created_at timestamptz, marker_group text)
    LANGUAGE mesh_outbox_plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    everything boolean := mesh_outbox.may_see_all();
BEGIN
    RETURN QUERY
    SELECT p.name,
           CASE WHEN p.system_identifier <> mesh_outbox.this_system()
                     OR p.database_oid <> mesh_outbox.this_database() THEN 'paused'
                WHEN g.attention IS NOT NULL THEN 'needs attention'
                WHEN p.paused AND s.state = 'stopped' THEN 'paused'
                ELSE s.state END,
           s.since,
           p.paused OR p.system_identifier <> mesh_outbox.this_system()
                    OR p.database_oid <> mesh_outbox.this_database(),
           CASE WHEN p.system_identifier <> mesh_outbox.this_system()
                     OR p.database_oid <> mesh_outbox.this_database()
                THEN 'created in another server or database; resume_publisher() starts it here'
                ELSE p.pause_reason END,
           g.attention, g.attention_detail, g.attention_hint, g.attention_since,
           CASE WHEN everything THEN s.error END, CASE WHEN everything THEN s.hint END, s.error_at,
           s.lag_bytes,
           CASE WHEN s.lag_bytes > 0 THEN clock_timestamp() - greatest(s.last_commit_time, s.caught_up_at) END,
           s.retained_wal_bytes,
           s.transactions, s.events, s.bytes, s.kafka_transactions, s.dead_letters,
           s.last_publish_time, s.slot_lsn, s.decoded_lsn, s.marker_lsn, s.progress_lsn,
           CASE WHEN everything THEN s.brokers END, CASE WHEN everything THEN p.options END,
           s.publisher_pid, s.scribe_pid, g.slot_name,
           p.publisher_id, p.created_at, mesh_outbox.marker_group(p)
    FROM mesh_outbox.publisher p
    LEFT JOIN mesh_outbox.publisher_status() s ON s.publisher_id = p.publisher_id
    LEFT JOIN mesh_outbox.progress g ON g.publisher_id = p.publisher_id
         AND g.system_identifier = mesh_outbox.this_system() AND g.database_oid = mesh_outbox.this_database()
    WHERE p.publisher_id IN (SELECT mesh_outbox.visible_publishers())
    ORDER BY p.name;
END
$$;
COMMENT ON FUNCTION mesh_outbox.watch_publishers() IS 'what the view publishers shows';

CREATE VIEW mesh_outbox.publishers AS
    SELECT * FROM mesh_outbox.watch_publishers();
COMMENT ON VIEW mesh_outbox.publishers IS
    'publishers with their state; for administrators, pg_monitor, and owners of the outboxes they serve';
COMMENT ON COLUMN mesh_outbox.publishers.state IS
    'stopped, starting, streaming, waiting for …, paused, backing off, misconfigured or needs attention';
COMMENT ON COLUMN mesh_outbox.publishers.since IS 'since when it is in this state';
COMMENT ON COLUMN mesh_outbox.publishers.attention IS 'what a person must decide with resume_publisher(); NULL when all is well';
COMMENT ON COLUMN mesh_outbox.publishers.lag_bytes IS 'WAL that is not dealt with yet, in bytes; other traffic counts too';
COMMENT ON COLUMN mesh_outbox.publishers.lag IS 'for how long some WAL is not dealt with, at most: since all of it was, or since the commit of the last published transaction';
COMMENT ON COLUMN mesh_outbox.publishers.retained_wal_bytes IS 'WAL that the server keeps for this publisher, in bytes';
COMMENT ON COLUMN mesh_outbox.publishers.transactions IS 'PostgreSQL transactions published since the server started';
COMMENT ON COLUMN mesh_outbox.publishers.events IS 'events published since the server started';
COMMENT ON COLUMN mesh_outbox.publishers.bytes IS 'keys and values published since the server started';
COMMENT ON COLUMN mesh_outbox.publishers.dead_letters IS 'events that became dead letters since the server started';
COMMENT ON COLUMN mesh_outbox.publishers.slot_lsn IS 'how far the replication slot is confirmed';
COMMENT ON COLUMN mesh_outbox.publishers.marker_lsn IS 'commit LSN of the last transaction that Kafka has';
COMMENT ON COLUMN mesh_outbox.publishers.progress_lsn IS 'up to where PostgreSQL knows that everything is dealt with';
COMMENT ON COLUMN mesh_outbox.publishers.brokers IS 'for administrators and pg_monitor';
COMMENT ON COLUMN mesh_outbox.publishers.marker_group IS
    'the consumer group that keeps its position in Kafka; with -0 to -3 behind it, its transactional ids';
COMMENT ON COLUMN mesh_outbox.publishers.options IS 'for administrators and pg_monitor; secrets are references to files';

CREATE VIEW mesh_outbox.batches WITH (security_barrier) AS
    SELECT p.name AS publisher, b.batch_no, b.first_lsn, b.last_lsn, b.first_xid, b.last_xid,
           b.transactions, b.events, b.bytes, b.kafka_transactions, b.offsets,
           b.first_commit, b.last_commit, b.published_at, b.incarnation
    FROM mesh_outbox.batch b JOIN mesh_outbox.publisher p USING (publisher_id)
    WHERE b.publisher_id IN (SELECT mesh_outbox.visible_publishers());
COMMENT ON VIEW mesh_outbox.batches IS 'the ledger: what was published, and where it lies in Kafka';
COMMENT ON COLUMN mesh_outbox.batches.first_lsn IS 'commit LSN of the first PostgreSQL transaction of the batch';
COMMENT ON COLUMN mesh_outbox.batches.last_lsn IS 'commit LSN of the last PostgreSQL transaction of the batch';
COMMENT ON COLUMN mesh_outbox.batches.offsets IS '{"topic": {"partition": [first offset, last offset, events]}}';
COMMENT ON COLUMN mesh_outbox.batches.published_at IS 'when Kafka acknowledged the last Kafka transaction of the batch';

CREATE VIEW mesh_outbox.dead_letters WITH (security_barrier) AS
    SELECT d.dead_letter_id, p.name AS publisher, o.relation AS outbox, d.reason, d.detail,
           d.event_id, d.event_type, d.contract_id, d.topic,
           d.commit_lsn, d.ordinal, d.xid, d.commit_time, d.created_at
    FROM mesh_outbox.dead_letter d
    JOIN mesh_outbox.publisher p USING (publisher_id)
    LEFT JOIN mesh_outbox.outbox o USING (outbox_id)
    WHERE (SELECT mesh_outbox.is_admin(mesh_outbox.caller()))
       OR d.outbox_id IN (SELECT mesh_outbox.owned_outboxes());
COMMENT ON VIEW mesh_outbox.dead_letters IS
    'events that can never be published as they are; for administrators and the owners of the outbox. What is in them: read_dead_letters()';
COMMENT ON COLUMN mesh_outbox.dead_letters.reason IS 'a word for programs: too_large, no_contract, …';
COMMENT ON COLUMN mesh_outbox.dead_letters.detail IS 'a sentence for people';

CREATE VIEW mesh_outbox.publisher_events WITH (security_barrier) AS
    SELECT e.at, p.name AS publisher, e.actor, e.action,
           -- whose dead letter it was is not known any more
           CASE WHEN e.action NOT IN ('retry', 'discard') OR e.actor = mesh_outbox.caller_name()
                     OR (SELECT mesh_outbox.may_see_all()) THEN e.detail END AS detail,
           e.from_lsn, e.to_lsn
    FROM mesh_outbox.publisher_event e JOIN mesh_outbox.publisher p USING (publisher_id)
    WHERE e.publisher_id IN (SELECT mesh_outbox.visible_publishers());
COMMENT ON VIEW mesh_outbox.publisher_events IS
    'pauses, resumes, LSN ranges in doubt, and who decided what about them';
COMMENT ON COLUMN mesh_outbox.publisher_events.detail IS
    'of decisions about dead letters: for whoever took them, administrators and pg_monitor';

GRANT SELECT ON mesh_outbox.publishers, mesh_outbox.batches, mesh_outbox.dead_letters,
    mesh_outbox.publisher_events TO PUBLIC;
