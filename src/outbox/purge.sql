/* src/outbox/purge.sql: retention of events in their outboxes */

-- Stays out of dumps: it tells what happened in this database.
CREATE TABLE mesh_outbox.purge (
    outbox_id int REFERENCES mesh_outbox.outbox ON DELETE CASCADE,
    day       date,
    -- empty: the product's retention
    purged_by name,
    events    bigint NOT NULL,
    last_at   timestamptz NOT NULL,
    PRIMARY KEY (outbox_id, day, purged_by)
);
COMMENT ON TABLE mesh_outbox.purge IS 'how many events were deleted from outboxes on which day, and by whom';

-- Transactions before this one are dealt with by the outbox's publisher; NULL
-- when it has none.  Why catalog_xmin says so: src/outbox/rows.c.
CREATE FUNCTION mesh_outbox.purge_horizon(outbox mesh_outbox.outbox) RETURNS xid
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    horizon xid;
BEGIN
    IF outbox.publisher IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT s.catalog_xmin INTO horizon
    FROM mesh_outbox.publisher p
    JOIN mesh_outbox.progress g USING (publisher_id)
    JOIN pg_replication_slots s ON s.slot_name = g.slot_name
        AND s.datoid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
    WHERE p.name = outbox.publisher;
    IF horizon IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot tell which events of outbox %s are published', outbox.relation),
            DETAIL = format('Publisher "%s" has no replication slot.', outbox.publisher),
            HINT = 'The view mesh_outbox.publishers shows its state.';
    END IF;
    RETURN horizon;
END
$$;
COMMENT ON FUNCTION mesh_outbox.purge_horizon(mesh_outbox.outbox) IS
    'the transaction before which all events of an outbox are dealt with; NULL if nobody publishes them';
REVOKE EXECUTE ON FUNCTION mesh_outbox.purge_horizon(mesh_outbox.outbox) FROM PUBLIC;

-- An event whose dead letter nobody has dealt with stays: it may be retried.
CREATE FUNCTION mesh_outbox.purge_outbox(
    outbox mesh_outbox.outbox, before timestamptz, ids_before uuid, max_rows int, purged_by name) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    horizon CONSTANT xid := mesh_outbox.purge_horizon(outbox);
    spared CONSTANT uuid[] := ARRAY(SELECT d.event_id FROM mesh_outbox.dead_letter d WHERE d.outbox_id = (outbox).outbox_id);
    relation regclass;
    deleted bigint := 0;
BEGIN
    FOR relation IN
        SELECT r FROM mesh_outbox.outbox_relations((outbox).relation) r
        JOIN pg_class c ON c.oid = r WHERE c.relkind = 'r'
    LOOP
        EXIT WHEN deleted >= max_rows;
        deleted := deleted + mesh_outbox.delete_events(
            relation, coalesce(outbox.columns ->> 'event_id', 'event_id')::name,
            coalesce(outbox.columns ->> 'created_at', 'created_at')::name,
            before, ids_before, horizon, spared, (max_rows - deleted)::int);
    END LOOP;
    IF deleted > 0 THEN
        INSERT INTO mesh_outbox.purge AS p (outbox_id, day, purged_by, events, last_at)
        VALUES (outbox.outbox_id, current_date, purge_outbox.purged_by, deleted, clock_timestamp())
        ON CONFLICT ON CONSTRAINT purge_pkey
        DO UPDATE SET events = p.events + excluded.events, last_at = excluded.last_at;
    END IF;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION mesh_outbox.purge_outbox(mesh_outbox.outbox, timestamptz, uuid, int, name) IS
    'deletes and records events of an outbox that were inserted before a time, have ids below one unless it is NULL, are dealt with and are no dead letters';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.purge_outbox(mesh_outbox.outbox, timestamptz, uuid, int, name) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.purge_events(outbox regclass, keep interval, batch_size int DEFAULT 10000)
    RETURNS bigint
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    purged mesh_outbox.outbox := mesh_outbox.find_outbox(outbox);
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(purged.product)).domain,
                                       format('purge outbox %s', outbox));
    IF keep IS NULL OR keep < interval '0' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'keep must be an interval that is not negative',
            HINT = 'For example interval ''30 days''.';
    END IF;
    IF batch_size IS NULL OR batch_size < 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'batch_size must be a positive number of events';
    END IF;
    RETURN mesh_outbox.purge_outbox(purged, clock_timestamp() - keep, NULL, batch_size, mesh_outbox.caller_name());
END
$$;
COMMENT ON FUNCTION mesh_outbox.purge_events(regclass, interval, int) IS
    'deletes events that were inserted longer ago than keep and are dealt with by the publisher and by whoever deals with dead letters, batch_size at most; returns how many. Call it again while it returns batch_size. Where the product has a retention, its publisher does so by itself';

-- By the real time, whatever mesh_outbox.clock says.  A publisher waits while
-- its scribe is here, so nothing waits long for a lock; what fails is left for
-- the next time.
CREATE FUNCTION mesh_outbox.purge_expired(publisher_id int, max_rows int) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '100ms' AS $$
DECLARE
    expiring record;
    purged bigint := 0;
BEGIN
    FOR expiring IN
        SELECT o AS outbox, p.retention
        FROM mesh_outbox.outbox o
        JOIN mesh_outbox.product p ON p.name = o.product
        JOIN mesh_outbox.publisher u ON u.name = o.publisher
        JOIN pg_class c ON c.oid = o.relation
        WHERE u.publisher_id = purge_expired.publisher_id AND p.retention IS NOT NULL
          AND EXISTS (SELECT FROM mesh_outbox.progress g WHERE g.publisher_id = u.publisher_id)
        ORDER BY o.outbox_id
    LOOP
        EXIT WHEN purged >= max_rows;
        BEGIN
            purged := purged + mesh_outbox.purge_outbox(
                expiring.outbox, clock_timestamp() - expiring.retention,
                mesh_outbox.event_id_at(clock_timestamp() - expiring.retention), (max_rows - purged)::int, '');
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING USING
                MESSAGE = format('could not purge outbox %s of events that are older than its product''s retention',
                                 ((expiring.outbox).relation)::regclass),
                DETAIL = SQLERRM;
        END;
    END LOOP;
    RETURN purged;
END
$$;
COMMENT ON FUNCTION mesh_outbox.purge_expired(int, int) IS
    'deletes events of a publisher''s outboxes whose product''s retention is over, so many at most; returns how many. A running publisher has it done every minute';
REVOKE EXECUTE ON FUNCTION mesh_outbox.purge_expired(int, int) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.watch_purges()
    RETURNS TABLE (outbox regclass, product text, day date, purged_by name, events bigint, last_at timestamptz)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT o.relation, o.product, p.day, nullif(p.purged_by, ''), p.events, p.last_at
    FROM mesh_outbox.purge p JOIN mesh_outbox.outbox o USING (outbox_id)
    WHERE mesh_outbox.may_see_all() OR o.outbox_id IN (SELECT mesh_outbox.owned_outboxes())
    ORDER BY o.relation::text, p.day, p.purged_by;
END
$$;
COMMENT ON FUNCTION mesh_outbox.watch_purges() IS 'what the view purges shows';

CREATE VIEW mesh_outbox.purges AS
    SELECT * FROM mesh_outbox.watch_purges();
COMMENT ON VIEW mesh_outbox.purges IS
    'how many events left an outbox on which day; for administrators, pg_monitor and the owners of the outbox';
COMMENT ON COLUMN mesh_outbox.purges.purged_by IS 'who called purge_events(); NULL: nobody, the product''s retention was over';
GRANT SELECT ON mesh_outbox.purges TO PUBLIC;
