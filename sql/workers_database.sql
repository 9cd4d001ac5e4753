-- Commands that need a database to themselves, while its publisher runs.
\set VERBOSITY terse
SELECT current_database() AS home \gset
CREATE DATABASE workers_one TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
\c workers_one
CREATE EXTENSION mesh_outbox;
SELECT mesh_outbox.create_publisher('main', brokers => 'embedded');
SELECT mesh_outbox.wait_ready('main', '5 min');
SELECT mesh_outbox.wait_published(timeout => '5 min');
SELECT name, state, error, publisher_pid IS NOT NULL AS publisher, scribe_pid IS NOT NULL AS scribe
FROM mesh_outbox.publisher_status();

-- Renamed: it goes on by itself.
\c :home
ALTER DATABASE workers_one RENAME TO workers_two;
\c workers_two
SELECT mesh_outbox.wait_published(timeout => '5 min');

-- A rename that is taken back.
\c :home
BEGIN;
ALTER DATABASE workers_two RENAME TO workers_one;
ROLLBACK;
\c workers_two
SELECT mesh_outbox.wait_published(timeout => '5 min');

-- Copied: the copy does not publish.
\c :home
CREATE DATABASE workers_copy TEMPLATE workers_two;
\c workers_copy
DO $$
BEGIN
    FOR i IN 1..30000 LOOP
        EXIT WHEN EXISTS (SELECT FROM mesh_outbox.publisher_slots() WHERE state = 'paused');
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
SELECT name, state, error FROM mesh_outbox.publisher_status();
SELECT count(*) FROM pg_replication_slots WHERE database = current_database();
\c workers_two
SELECT mesh_outbox.wait_published(timeout => '5 min');

-- A command that fails: it comes back.
\c :home
ALTER DATABASE workers_two RENAME TO workers_copy;
\c workers_two
SELECT mesh_outbox.wait_published(timeout => '5 min');

-- Somebody who may not do it does not stop it.
DO $$
BEGIN
    FOR i IN 1..30000 LOOP
        EXIT WHEN EXISTS (SELECT FROM mesh_outbox.publisher_slots() WHERE state = 'streaming');
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
SELECT publisher_pid FROM mesh_outbox.publisher_status() \gset
\c :home
CREATE ROLE workers_stranger;
SET ROLE workers_stranger;
DROP DATABASE workers_two;
RESET ROLE;
DROP ROLE workers_stranger;
\c workers_two
SELECT publisher_pid = :publisher_pid AS undisturbed FROM mesh_outbox.publisher_status();

-- The extension goes: so do workers and replication slot.
DROP EXTENSION mesh_outbox;
DO $$
BEGIN
    FOR i IN 1..30000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pg_replication_slots WHERE database = current_database());
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
SELECT count(*) FROM pg_replication_slots WHERE database = current_database();

-- The database goes, with its replication slot.
CREATE EXTENSION mesh_outbox;
SELECT mesh_outbox.create_publisher('again', brokers => 'embedded');
SELECT mesh_outbox.wait_ready('again', '5 min');
SELECT count(*) FROM pg_replication_slots WHERE database = current_database();
\c :home
DROP DATABASE workers_two;
DROP DATABASE workers_copy;
SELECT count(*) FROM pg_replication_slots;
