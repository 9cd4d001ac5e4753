-- Publishers: who may create them, what they may be told, and that every
-- decision about one is recorded.  They are paused here, so that none runs.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_monitor IN ROLE pg_monitor;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');

SET ROLE regress_admin;
SELECT mesh_outbox.create_publisher('main', brokers => 'k1:9092,k2:9092', paused => true,
                                    options => '{"compression.type": "zstd"}');
SELECT name, state, paused, pause_reason, attention, brokers, options, slot_name FROM mesh_outbox.publishers;

-- What is refused.
SELECT mesh_outbox.create_publisher('main', brokers => 'k3:9092');
SELECT mesh_outbox.create_publisher('Main', brokers => 'k3:9092');
SELECT mesh_outbox.create_publisher('second', brokers => '');
SELECT mesh_outbox.create_publisher('second', brokers => NULL);
SELECT mesh_outbox.create_publisher('second', brokers => 'k3:9092', options => '["acks"]');
\set VERBOSITY terse
SELECT mesh_outbox.create_publisher('second', brokers => 'k3:9092', options => '{"acks": "0"}');
SELECT mesh_outbox.create_publisher('second', brokers => 'k3:9092', options => '{"plugin.library.paths": "/tmp/x.so"}');
SELECT mesh_outbox.create_publisher('second', brokers => 'k3:9092', options => '{"sasl.password": "secret"}');
-- A file of the server needs the right to read such files.
SELECT mesh_outbox.create_publisher('second', brokers => 'k3:9092', options => '{"sasl.password": {"file": "/etc/passwd"}}');
SELECT mesh_outbox.create_publisher('second', brokers => 'k3:9092', options => '{"ssl.ca.location": "/etc/passwd"}');
\set VERBOSITY default
SELECT mesh_outbox.alter_publisher('main', options => '{"linger.ms": 2}');
SELECT mesh_outbox.alter_publisher('main', brokers => 'k4:9092');
SELECT mesh_outbox.alter_publisher('other', brokers => 'k4:9092');
SELECT brokers, options FROM mesh_outbox.publishers;

-- Administrators decide, monitors watch, owners see how their own is.
SET ROLE regress_sales;
SELECT mesh_outbox.create_publisher('mine', brokers => 'k3:9092');
SELECT mesh_outbox.alter_publisher('main', brokers => 'k3:9092');
SELECT mesh_outbox.pause_publisher('main', reason => 'because');
SELECT mesh_outbox.resume_publisher('main');
SELECT mesh_outbox.drop_publisher('main');
SELECT name FROM mesh_outbox.publishers;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SELECT name, state, brokers, options FROM mesh_outbox.publishers;
SET ROLE regress_crm;
SELECT name FROM mesh_outbox.publishers;
SELECT * FROM mesh_outbox.publisher;
SELECT * FROM mesh_outbox.publisher_status();
SET ROLE regress_monitor;
SELECT name, brokers FROM mesh_outbox.publishers;

-- What the workers write is shown to those it concerns.
RESET ROLE;
INSERT INTO mesh_outbox.dead_letter (publisher_id, branch, commit_lsn, ordinal, xid, commit_time, outbox_id,
                                     event_type, payload, reason, detail)
SELECT p.publisher_id, 'b', '0/1', 1, '700', '2026-01-01', o.outbox_id, 'OrderPlaced', '{"secret": 1}', 'too_large', 'too large'
FROM mesh_outbox.publisher p, mesh_outbox.outbox o;
INSERT INTO mesh_outbox.batch
SELECT publisher_id, 1, 'i', '0/1', '0/2', '700', '701', 2, 3, 400, 1, '{"sales.orders": {"0": [0, 2, 3]}}',
       '2026-01-01', '2026-01-01', '2026-01-01' FROM mesh_outbox.publisher;
SET ROLE regress_sales;
SELECT publisher, outbox, reason FROM mesh_outbox.dead_letters;
SELECT * FROM mesh_outbox.read_dead_letters('{1}');
SELECT publisher, events, offsets FROM mesh_outbox.batches;
SET ROLE regress_crm;
SELECT publisher, outbox, reason FROM mesh_outbox.dead_letters;
SELECT * FROM mesh_outbox.read_dead_letters('{1}');
SELECT publisher, events, offsets FROM mesh_outbox.batches;
SET ROLE regress_monitor;
SELECT publisher, outbox, reason FROM mesh_outbox.dead_letters;
SELECT * FROM mesh_outbox.read_dead_letters('{1}');
SELECT publisher, events, offsets FROM mesh_outbox.batches;

-- When a position is in doubt, resuming takes a decision and a reason.
RESET ROLE;
INSERT INTO mesh_outbox.progress (publisher_id, system_identifier, database_oid, slot_name, ready_lsn, lsn,
                                  marker_lsn, marker_xid, marker_time,
                                  attention, attention_detail, attention_hint, attention_since)
SELECT publisher_id, system_identifier, database_oid, 'none', '0/1', '0/5', '0/5', 700, 0,
       'the slot is gone', 'Events between 0/5 and 0/9 are in doubt.', 'Compare the topics.', '2026-01-01'
FROM mesh_outbox.publisher;
SET ROLE regress_admin;
SELECT state, attention, attention_detail, attention_hint FROM mesh_outbox.publishers;
SELECT mesh_outbox.resume_publisher('main');
SELECT mesh_outbox.resume_publisher('main', start_from => 'yesterday', reason => 'x');
SELECT mesh_outbox.resume_publisher('main', start_from => 'ledger');
BEGIN;
SELECT mesh_outbox.resume_publisher('main', start_from => 'ledger', reason => 'topics compared');
SELECT paused, attention FROM mesh_outbox.publishers;
SELECT publisher, actor, action, detail, from_lsn FROM mesh_outbox.publisher_events ORDER BY at;
ROLLBACK;

-- One that came out of a dump is paused until somebody resumes it here.
RESET ROLE;
DELETE FROM mesh_outbox.progress;
UPDATE mesh_outbox.publisher SET paused = false, pause_reason = NULL, system_identifier = 1;
SELECT state, paused, pause_reason FROM mesh_outbox.publishers;
SELECT mesh_outbox.pause_publisher('main', reason => '');
SELECT mesh_outbox.pause_publisher('main', reason => 'maintenance of the cluster');
SELECT state, paused FROM mesh_outbox.publishers;

-- What is in doubt in another database is nothing to decide in its copy.
INSERT INTO mesh_outbox.progress (publisher_id, system_identifier, database_oid, slot_name, ready_lsn, lsn,
                                  marker_lsn, marker_xid, marker_time, attention, attention_since)
SELECT publisher_id, 1, database_oid, 'none', '0/1', '0/5', '0/5', 700, 0, 'the slot is gone', '2026-01-01'
FROM mesh_outbox.publisher;
BEGIN;
SELECT mesh_outbox.resume_publisher('main');
SELECT paused, attention FROM mesh_outbox.publishers;
ROLLBACK;
DELETE FROM mesh_outbox.progress;

-- Dropping.
SELECT mesh_outbox.drop_publisher('main');
SELECT mesh_outbox.drop_publisher('other');
SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL);
SELECT mesh_outbox.drop_publisher('main');
-- What nobody would publish any more has to be given up, with a reason.
DELETE FROM mesh_outbox.dead_letter;
INSERT INTO mesh_outbox.progress (publisher_id, system_identifier, database_oid, slot_name, ready_lsn, lsn,
                                  marker_lsn, marker_xid, marker_time)
SELECT publisher_id, mesh_outbox.this_system(), mesh_outbox.this_database(), 'none', '0/1', '0/5', '0/5', 700, 0
FROM mesh_outbox.publisher;
\set VERBOSITY terse
SELECT mesh_outbox.drop_publisher('main');
SELECT mesh_outbox.drop_publisher('main', lose_events => true);
SELECT mesh_outbox.drop_publisher('main', lose_events => true, reason => 'the cluster is gone');
\set VERBOSITY default
SELECT actor = current_user AS mine, action, old_values ->> 'name' AS name,
       regexp_replace(coalesce(new_values, old_values) ->> 'pause_reason', '[0-9A-F]+/[0-9A-F]+', 'LSN', 'g') AS reason
FROM mesh_outbox.audit_log WHERE object = 'publisher' ORDER BY audit_no DESC LIMIT 2;
SELECT count(*) FROM mesh_outbox.publishers;
SELECT mesh_outbox.drop_outbox('sales.outbox');
DROP EXTENSION mesh_outbox;
DROP SCHEMA sales;
DROP ROLE regress_admin, regress_monitor, regress_sales, regress_crm;
