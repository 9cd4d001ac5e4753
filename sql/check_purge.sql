-- Retention: events leave an outbox when they are old enough and dealt with.
SET client_min_messages = warning;
-- Where in our own functions an error arises is no business of these tests.
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE SCHEMA check_purge;
CREATE ROLE check_purge_team;
CREATE ROLE check_purge_stranger;
GRANT CREATE, USAGE ON SCHEMA check_purge TO check_purge_team;
GRANT USAGE ON SCHEMA check_purge TO check_purge_stranger, mesh_outbox_owner;
\o /dev/null
SELECT mesh_outbox.create_domain('check', owner => 'check_purge_team', description => 'tests of the check');
SELECT mesh_outbox.create_product('check.orders', purpose => 'what customers order');
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPlaced', key => '/order_id', description => 'a customer placed an order', schema => '{
    "type": "object", "required": ["order_id"], "properties": {"order_id": {"type": "integer"}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.0.0');
SET ROLE check_purge_team;
SELECT mesh_outbox.create_outbox('check_purge.outbox', product => 'check.orders');
\o
PREPARE place(int, int) AS
    INSERT INTO check_purge.outbox (event_type, payload)
    SELECT 'OrderPlaced', jsonb_build_object('order_id', n) FROM generate_series($1, $2) n;

-- Without a publisher age alone decides.
EXECUTE place(1, 5);
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '1 hour');
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0', batch_size => 2);
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0', batch_size => 2);
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0', batch_size => 2);
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0', batch_size => 2);
SELECT count(*) FROM check_purge.outbox;

-- With one, only what its replication slot has left behind for good.  (The
-- publisher is another server's, so that none is started here; its slot is
-- one of test_decoding.)
RESET ROLE;
INSERT INTO mesh_outbox.publisher (publisher_id, name, brokers, system_identifier, database_oid, paused)
VALUES (1000001, 'check', 'nowhere:9092', 1, 1, true);
\o /dev/null
SELECT mesh_outbox.set_outbox_publisher('check_purge.outbox', 'check');
\o
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0');
SELECT slot_name FROM pg_create_logical_replication_slot('check_purge', 'test_decoding');
INSERT INTO mesh_outbox.progress (publisher_id, system_identifier, database_oid, slot_name, ready_lsn, lsn,
    marker_lsn, marker_xid, marker_time)
SELECT 1000001, system_identifier, d.oid, 'check_purge', '0/1', '0/1', '0/1', 0, 0
FROM pg_control_system(), pg_database d WHERE datname = current_database();
SET ROLE check_purge_team;
EXECUTE place(1, 3);
EXECUTE place(4, 6);
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0');
-- Not even when they are frozen, which looks old.
RESET ROLE;
VACUUM FREEZE check_purge.outbox;
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0');
-- The slot passes them, and a record of what is running then.
CREATE PROCEDURE check_purge.pass() LANGUAGE plpgsql AS $$
DECLARE
    horizon xid := pg_current_xact_id()::xid;
BEGIN
    COMMIT;
    -- The slot's horizon moves once it is confirmed past such a record.
    FOR i IN 1 .. 100 LOOP
        CHECKPOINT;
        PERFORM pg_replication_slot_advance('check_purge', pg_current_wal_lsn());
        EXIT WHEN (SELECT age(catalog_xmin) <= age(horizon) FROM pg_replication_slots
                   WHERE slot_name = 'check_purge');
        COMMIT;
    END LOOP;
END
$$;
CALL check_purge.pass();
SET ROLE check_purge_team;
EXECUTE place(7, 7);
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0');
SELECT key FROM check_purge.outbox;

-- An event whose dead letter waits for somebody stays; what went is told.
RESET ROLE;
CALL check_purge.pass();
INSERT INTO mesh_outbox.dead_letter (publisher_id, branch, commit_lsn, ordinal, xid, commit_time, outbox_id, event_id, reason, detail)
SELECT 1000001, '', '0/1', 0, '1', now(), o.outbox_id, e.event_id, 'x', 'x'
FROM mesh_outbox.outbox o, check_purge.outbox e WHERE o.relation = 'check_purge.outbox'::regclass;
SET ROLE check_purge_team;
EXECUTE place(8, 8);
RESET ROLE;
CALL check_purge.pass();
SET ROLE check_purge_team;
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0');
SELECT key FROM check_purge.outbox;
SELECT outbox, product, purged_by, sum(events) FROM mesh_outbox.purges GROUP BY outbox, product, purged_by;
SET ROLE check_purge_stranger;
SELECT count(*) FROM mesh_outbox.purges;

-- A publisher's scribe does it where the product says how long events are kept.
RESET ROLE;
EXECUTE place(9, 12);
CALL check_purge.pass();
SELECT mesh_outbox.purge_expired(1000001, 10);
SELECT mesh_outbox.alter_product('check.orders', retention => '1 hour');
SELECT mesh_outbox.purge_expired(1000001, 10);
SELECT mesh_outbox.alter_product('check.orders', retention => '1 microsecond');
SELECT mesh_outbox.purge_expired(1000001, 3);
SELECT mesh_outbox.purge_expired(1000001, 3);
SELECT mesh_outbox.purge_expired(1000001, 3);
SELECT key FROM check_purge.outbox;
SELECT purged_by, sum(events) FROM mesh_outbox.purges GROUP BY purged_by ORDER BY purged_by;
SELECT mesh_outbox.purge_expired(1000002, 3);
-- Where it cannot, it says so and goes on.
ALTER TABLE check_purge.outbox REPLICA IDENTITY NOTHING;
CREATE PUBLICATION check_purge FOR TABLE check_purge.outbox;
SELECT mesh_outbox.purge_expired(1000001, 3);
DROP PUBLICATION check_purge;
ALTER TABLE check_purge.outbox REPLICA IDENTITY DEFAULT;
SET ROLE check_purge_team;

-- Nobody else deletes, not even while a purge is under way in the session.
DELETE FROM check_purge.outbox;
RESET ROLE;
DELETE FROM check_purge.outbox;
SET ROLE mesh_outbox_owner;
DELETE FROM check_purge.outbox;
RESET ROLE;
BEGIN;
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0');
DELETE FROM check_purge.outbox;
ROLLBACK;

-- Who may: the domain.
SET ROLE check_purge_stranger;
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0');
SELECT mesh_outbox.delete_events('check_purge.outbox', 'event_id', 'created_at', now(), NULL, NULL, NULL, 10);
SELECT mesh_outbox.purge_expired(1000001, 10);
SET ROLE check_purge_team;
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '-1 hour');
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => NULL);
SELECT mesh_outbox.purge_events('check_purge.outbox', keep => '0', batch_size => 0);
SELECT mesh_outbox.purge_events('pg_class', keep => '0');
RESET ROLE;

-- A partitioned outbox with columns of other names.
CREATE TABLE check_purge.parted (inserted timestamptz NOT NULL DEFAULT clock_timestamp(), payload jsonb)
PARTITION BY RANGE (inserted);
CREATE TABLE check_purge.parted_1 PARTITION OF check_purge.parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE check_purge.parted_2 PARTITION OF check_purge.parted FOR VALUES FROM ('2021-01-01') TO ('2999-01-01');
\o /dev/null
SELECT mesh_outbox.attach_outbox('check_purge.parted', product => 'check.orders', columns => '{"created_at": "inserted"}');
SELECT mesh_outbox.set_outbox_publisher('check_purge.parted', NULL);
\o
INSERT INTO check_purge.parted (event_type, payload, inserted)
SELECT 'OrderPlaced', '{"order_id": 1}', t
FROM unnest('{2020-06-01, 2020-07-01, 2022-01-01, 2998-01-01}'::timestamptz[]) t;
SELECT mesh_outbox.purge_events('check_purge.parted', keep => '1 day', batch_size => 1);
SELECT mesh_outbox.purge_events('check_purge.parted', keep => '1 day');
SELECT extract(year FROM inserted) FROM check_purge.parted;
-- By itself, too, for an index on the ids leads to the old ones.
INSERT INTO check_purge.parted (event_type, payload, inserted) VALUES ('OrderPlaced', '{"order_id": 1}', '2022-01-01');
\o /dev/null
SELECT mesh_outbox.set_outbox_publisher('check_purge.parted', 'check');
\o
CALL check_purge.pass();
SELECT mesh_outbox.purge_expired(1000001, 10);
SELECT extract(year FROM inserted) FROM check_purge.parted;
DROP INDEX check_purge.parted_event_id_idx;
SELECT object, problem, remedy FROM mesh_outbox.doctor() WHERE problem LIKE 'no index%';
\o /dev/null
SELECT remedy FROM mesh_outbox.doctor() WHERE problem LIKE 'no index%' \gexec
\o
SELECT object, problem, remedy FROM mesh_outbox.doctor() WHERE problem LIKE 'no index%';

\o /dev/null
SELECT pg_drop_replication_slot('check_purge');
SELECT mesh_outbox.drop_outbox('check_purge.outbox', lose_events => true);
SELECT mesh_outbox.drop_outbox('check_purge.parted', lose_events => true);
DELETE FROM mesh_outbox.publisher WHERE publisher_id = 1000001;
SELECT mesh_outbox.retire_contract('check.orders', 'OrderPlaced', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.drop_product('check.orders');
SELECT mesh_outbox.drop_domain('check');
\o
DROP PROCEDURE check_purge.pass();
DROP SCHEMA check_purge;
DROP ROLE check_purge_team;
DROP ROLE check_purge_stranger;
