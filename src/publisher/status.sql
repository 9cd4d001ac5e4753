/* src/publisher/status.sql: what runs, how far it is, and waiting for it */

-- Shared memory as it is.  Numbers count from the start of the server.
CREATE FUNCTION mesh_outbox.publisher_slots(
    OUT publisher_id int, OUT state text, OUT since timestamptz,
    OUT error text, OUT hint text, OUT error_at timestamptz,
    OUT publisher_pid int, OUT scribe_pid int, OUT brokers text,
    OUT ready boolean,
    OUT slot_lsn pg_lsn, OUT decoded_lsn pg_lsn, OUT marker_lsn pg_lsn,
    OUT progress_lsn pg_lsn, OUT dealt_lsn pg_lsn,
    OUT last_commit_time timestamptz, OUT caught_up_at timestamptz, OUT last_publish_time timestamptz,
    OUT transactions bigint, OUT events bigint, OUT bytes bigint,
    OUT kafka_transactions bigint, OUT dead_letters bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'mesh_outbox_publisher_slots';
COMMENT ON FUNCTION mesh_outbox.publisher_slots() IS
    'shared memory of this database''s publishers; see the view publishers';
REVOKE EXECUTE ON FUNCTION mesh_outbox.publisher_slots() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.is_preloaded() RETURNS boolean
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'mesh_outbox_is_preloaded';
COMMENT ON FUNCTION mesh_outbox.is_preloaded() IS
    'is mesh_outbox in shared_preload_libraries, so that publishers can run?';

-- One row per publisher of this database, whether it runs or not.
CREATE FUNCTION mesh_outbox.publisher_status(
    OUT publisher_id int, OUT name text, OUT state text, OUT since timestamptz,
    OUT error text, OUT hint text, OUT error_at timestamptz,
    OUT publisher_pid int, OUT scribe_pid int, OUT brokers text,
    OUT slot_lsn pg_lsn, OUT decoded_lsn pg_lsn, OUT marker_lsn pg_lsn,
    OUT progress_lsn pg_lsn, OUT dealt_lsn pg_lsn,
    OUT retained_wal_bytes bigint, OUT lag_bytes bigint,
    OUT last_commit_time timestamptz, OUT caught_up_at timestamptz, OUT last_publish_time timestamptz,
    OUT transactions bigint, OUT events bigint, OUT bytes bigint,
    OUT kafka_transactions bigint, OUT dead_letters bigint)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH here AS (
        SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                    ELSE pg_current_wal_insert_lsn() END AS lsn)
    SELECT p.publisher_id, p.name,
           coalesce(s.state, CASE WHEN p.paused THEN 'paused' ELSE 'stopped' END),
           s.since,
           CASE WHEN NOT mesh_outbox.is_preloaded() THEN 'mesh_outbox is not loaded at server start'
                WHEN pg_is_in_recovery() THEN 'publishers do not run during recovery'
                ELSE s.error END,
           CASE WHEN NOT mesh_outbox.is_preloaded()
                THEN 'Add mesh_outbox to shared_preload_libraries and restart the server.'
                WHEN pg_is_in_recovery() THEN 'Look at the primary server.'
                ELSE s.hint END,
           s.error_at, s.publisher_pid, s.scribe_pid,
           coalesce(s.brokers, p.brokers),
           coalesce(r.confirmed_flush_lsn, s.slot_lsn),
           s.decoded_lsn, s.marker_lsn,
           coalesce(s.progress_lsn, g.lsn),
           coalesce(s.dealt_lsn, r.confirmed_flush_lsn),
           pg_wal_lsn_diff(here.lsn, r.restart_lsn)::bigint,
           pg_wal_lsn_diff(here.lsn, greatest(s.dealt_lsn, r.confirmed_flush_lsn))::bigint,
           s.last_commit_time, s.caught_up_at, s.last_publish_time,
           s.transactions, s.events, s.bytes, s.kafka_transactions, s.dead_letters
    FROM mesh_outbox.publisher AS p
    CROSS JOIN here
    LEFT JOIN mesh_outbox.publisher_slots() AS s USING (publisher_id)
    LEFT JOIN mesh_outbox.progress AS g USING (publisher_id)
    LEFT JOIN pg_database AS d ON d.datname = current_database()
    LEFT JOIN pg_replication_slots AS r
        ON r.database = d.datname
        AND r.slot_name = format('mesh_outbox_%s_%s', d.oid, p.publisher_id)
    ORDER BY p.publisher_id
$$;
COMMENT ON FUNCTION mesh_outbox.publisher_status() IS
    'this database''s publishers: state, last error, positions, and counters since server start';
REVOKE EXECUTE ON FUNCTION mesh_outbox.publisher_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mesh_outbox.publisher_status() TO pg_monitor, mesh_outbox_admin;

-- For the functions that create, alter, resume and drop publishers.
CREATE FUNCTION mesh_outbox.publisher_changed() RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mesh_outbox_publisher_changed';
COMMENT ON FUNCTION mesh_outbox.publisher_changed() IS
    'when this transaction commits, the launcher looks at this database''s publishers again';
REVOKE EXECUTE ON FUNCTION mesh_outbox.publisher_changed() FROM PUBLIC;

-- A dump that is restored changes the table without these functions.  The
-- scribe clears resume_from: nothing that anybody should start again for.
CREATE FUNCTION mesh_outbox.note_publisher_change() RETURNS trigger
LANGUAGE C
AS 'MODULE_PATHNAME', 'mesh_outbox_note_publisher_change';
COMMENT ON FUNCTION mesh_outbox.note_publisher_change() IS
    'trigger function: does what publisher_changed() does';
REVOKE EXECUTE ON FUNCTION mesh_outbox.note_publisher_change() FROM PUBLIC;

CREATE TRIGGER mesh_outbox_note_change
    AFTER INSERT OR DELETE OR TRUNCATE
    OR UPDATE OF name, brokers, options, paused, system_identifier, database_oid
    ON mesh_outbox.publisher
    FOR EACH STATEMENT EXECUTE FUNCTION mesh_outbox.note_publisher_change();
ALTER TABLE mesh_outbox.publisher ENABLE ALWAYS TRIGGER mesh_outbox_note_change;

CREATE FUNCTION mesh_outbox.wait_published(
    lsn pg_lsn DEFAULT NULL, timeout interval DEFAULT '30 s', publisher text DEFAULT NULL)
RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'mesh_outbox_wait_published';
COMMENT ON FUNCTION mesh_outbox.wait_published(pg_lsn, interval, text) IS
    'waits until everything committed before the LSN (default: before the call) is published or a dead letter, by one publisher or all; false when the timeout came first';

CREATE FUNCTION mesh_outbox.wait_ready(publisher text, timeout interval DEFAULT '30 s')
RETURNS boolean
LANGUAGE C VOLATILE PARALLEL UNSAFE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'mesh_outbox_wait_ready';
COMMENT ON FUNCTION mesh_outbox.wait_ready(text, interval) IS
    'waits until whatever commits will be published: the publisher''s replication slot exists and no decision is due; false when the timeout came first';
