-- Status and waiting, where nothing needs to run.
CREATE EXTENSION mesh_outbox;
SELECT mesh_outbox.is_preloaded();

-- Waits until a query answers as wanted, five minutes at most.
CREATE FUNCTION workers_until(query text, wanted text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    deadline timestamptz := clock_timestamp() + interval '5 min';
BEGIN
    LOOP
        EXECUTE query INTO answer;
        EXIT WHEN answer IS NOT DISTINCT FROM wanted OR clock_timestamp() > deadline;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN answer;
END
$$;

-- No publisher: waiting would be for nothing.
SELECT mesh_outbox.wait_published();
SELECT mesh_outbox.wait_ready('main');
SELECT mesh_outbox.wait_published(timeout => NULL);
SELECT mesh_outbox.wait_ready(NULL);
SELECT count(*) FROM mesh_outbox.publisher_status();

-- A paused one is known and does not start.
SELECT mesh_outbox.create_publisher('main', brokers => 'embedded', paused => true);
SELECT workers_until($$SELECT state FROM mesh_outbox.publisher_slots()$$, 'paused');
SELECT name, state, error, publisher_pid, scribe_pid, brokers, slot_lsn, dealt_lsn,
       retained_wal_bytes, transactions, events
FROM mesh_outbox.publisher_status();
SELECT mesh_outbox.wait_ready('main', timeout => '10 ms');
SELECT mesh_outbox.wait_published(timeout => '10 ms');
SELECT mesh_outbox.wait_published('0/1', timeout => '10 ms', publisher => 'main');
SELECT mesh_outbox.wait_published(publisher => 'other');

-- One that came with a dump or a copied data directory.
UPDATE mesh_outbox.publisher SET system_identifier = 1;
SELECT workers_until($$SELECT error FROM mesh_outbox.publisher_slots()$$,
                     'it was created on another server or in another database');
SELECT state, hint FROM mesh_outbox.publisher_status();

-- The change counts when it is committed.
BEGIN;
DELETE FROM mesh_outbox.publisher;
SELECT count(*) FROM mesh_outbox.publisher_slots();
ROLLBACK;
SELECT count(*) FROM mesh_outbox.publisher_slots();
DELETE FROM mesh_outbox.publisher;
SELECT workers_until('SELECT count(*) FROM mesh_outbox.publisher_slots()', '0');

BEGIN;
SELECT mesh_outbox.publisher_changed();
PREPARE TRANSACTION 'workers';

-- Who may look.
CREATE ROLE workers_nobody;
CREATE ROLE workers_monitor IN ROLE pg_monitor;
SET ROLE workers_nobody;
SELECT * FROM mesh_outbox.publisher_status();
SELECT * FROM mesh_outbox.publisher_slots();
SELECT mesh_outbox.publisher_changed();
SET ROLE workers_monitor;
SELECT count(*) FROM mesh_outbox.publisher_status();
RESET ROLE;
DROP ROLE workers_nobody, workers_monitor;

DROP FUNCTION workers_until(text, text);
DROP EXTENSION mesh_outbox;
