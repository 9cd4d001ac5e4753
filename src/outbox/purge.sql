/* src/outbox/purge.sql: retention of events in their outboxes */

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

CREATE FUNCTION mesh_outbox.purge_events(outbox regclass, keep interval, batch_size int DEFAULT 10000)
    RETURNS bigint
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    purged mesh_outbox.outbox := mesh_outbox.find_outbox(outbox);
    horizon xid;
    relation regclass;
    deleted bigint := 0;
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
    horizon := mesh_outbox.purge_horizon(purged);
    FOR relation IN
        SELECT r FROM mesh_outbox.outbox_relations(outbox) r
        JOIN pg_class c ON c.oid = r WHERE c.relkind = 'r'
    LOOP
        EXIT WHEN deleted >= batch_size;
        deleted := deleted + mesh_outbox.delete_events(
            relation, coalesce(purged.columns ->> 'created_at', 'created_at')::name,
            clock_timestamp() - keep, horizon, (batch_size - deleted)::int);
    END LOOP;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION mesh_outbox.purge_events(regclass, interval, int) IS
    'deletes events that were inserted longer ago than keep and are dealt with by the publisher, batch_size at most; returns how many. Call it again while it returns batch_size';
