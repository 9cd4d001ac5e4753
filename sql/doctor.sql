-- The doctor: what is wrong, and the SQL that mends it.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_app;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
GRANT USAGE ON SCHEMA sales TO regress_app;

-- Where nothing is, nothing is wrong.
SELECT * FROM mesh_outbox.doctor();

\o /dev/null
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
\o
-- A first outbox, of a product without contract, and nobody publishes.
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE severity <> 'notice';
\o /dev/null
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_app');
\o

-- Refused events leave no row and no log that the owner sees.
SET ROLE regress_app;
SET application_name = 'checkout 4.2';
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlacd', '{"id": 1}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlacd', '{"id": 2}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": "three"}');
INSERT INTO sales.outbox (event_type, payload, key) VALUES ('OrderPlaced', '{"id": 3}', 'x');
INSERT INTO sales.outbox (event_type, payload, headers) VALUES ('OrderPlaced', '{"id": 3}', '[]');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 4}');
RESET application_name;
SELECT count(*) FROM mesh_outbox.refusals;
SET ROLE regress_crm;
SELECT count(*) FROM mesh_outbox.refusals;
SELECT * FROM mesh_outbox.doctor();
SET ROLE regress_sales;
SELECT outbox, event_type, reason, role, application_name, events, last_at >= first_at AS ordered
FROM mesh_outbox.refusals ORDER BY event_type, reason;
SELECT object, problem, remedy FROM mesh_outbox.doctor() WHERE severity = 'warning';

-- A publisher that does not run, and one whose slot was dropped.
RESET ROLE;
SELECT mesh_outbox.create_publisher('main', brokers => 'localhost:1', paused => true);
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'publisher%';
INSERT INTO mesh_outbox.progress (publisher_id, system_identifier, database_oid, slot_name, ready_lsn, lsn,
                                  marker_lsn, marker_xid, marker_time, attention, attention_hint)
SELECT publisher_id, system_identifier, database_oid, 'mesh_outbox_0_1', '0/1', '0/1', '0/1', 1, 1,
       'the replication slot is gone', 'Resume from now.'
FROM mesh_outbox.publisher;
SELECT severity, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'publisher%';

-- A dead letter waits for a person.
INSERT INTO mesh_outbox.dead_letter (publisher_id, branch, commit_lsn, ordinal, xid, commit_time, outbox_id, reason, detail, created_at)
SELECT publisher_id, '', '0/1', 0, '1', now(), 1, 'too_large', 'x', '2026-01-01 00:00+00' FROM mesh_outbox.publisher;
SET timezone = 'UTC';
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE problem LIKE '%dead%';
DELETE FROM mesh_outbox.dead_letter;
DELETE FROM mesh_outbox.progress;

-- What a superuser can do to an outbox, and its mending.
SET mesh_outbox.protect_outboxes = off;
SELECT mesh_outbox.set_outbox_publisher('sales.outbox', 'main');
SET ROLE regress_sales;
CREATE TABLE sales.parted (event_type text, body jsonb, created_at timestamptz) PARTITION BY RANGE (created_at);
CREATE TABLE sales.p1 PARTITION OF sales.parted DEFAULT;
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders', columns => '{"payload": "body"}');
RESET ROLE;
SELECT count(*) FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND problem NOT LIKE '% lately %';
SET mesh_outbox.protect_outboxes = off;
ALTER TABLE sales.outbox DISABLE TRIGGER mesh_outbox_check;
ALTER TABLE sales.outbox ENABLE TRIGGER mesh_outbox_truncate;
DROP TRIGGER mesh_outbox_truncate ON sales.p1;
RESET mesh_outbox.protect_outboxes;
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND severity = 'error';
\o /dev/null
SELECT remedy FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND severity = 'error' \gexec
\o
SELECT object, problem FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND severity = 'error';
-- A check under another name would go on naming its publisher.
SET mesh_outbox.protect_outboxes = off;
ALTER TRIGGER mesh_outbox_check ON sales.parted RENAME TO an_old_check;
RESET mesh_outbox.protect_outboxes;
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND severity = 'error';
\o /dev/null
SELECT DISTINCT remedy FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND severity = 'error' \gexec
\o
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
WHERE tgrelid IN ('sales.parted'::regclass, 'sales.p1'::regclass) ORDER BY 1, 2;
SET mesh_outbox.protect_outboxes = off;
DROP TRIGGER mesh_outbox_check ON sales.parted;
RESET mesh_outbox.protect_outboxes;
CREATE TRIGGER mesh_outbox_check BEFORE INSERT OR UPDATE OR DELETE ON sales.parted
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.check_event('1', '1', 'payload=body');
ALTER TABLE sales.parted ENABLE ALWAYS TRIGGER mesh_outbox_check;
CREATE TABLE sales.copy (LIKE sales.outbox);
CREATE TRIGGER mesh_outbox_check BEFORE INSERT OR UPDATE OR DELETE ON sales.copy
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.check_event('1', '1');
ALTER TABLE sales.outbox OWNER TO regress_sales;
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE severity = 'error' AND object NOT LIKE 'publisher%';
\o /dev/null
SELECT remedy FROM mesh_outbox.doctor() WHERE severity = 'error' AND object NOT LIKE 'publisher%' \gexec
\o
SELECT object, problem FROM mesh_outbox.doctor() WHERE severity = 'error' AND object NOT LIKE 'publisher%';
CREATE PUBLICATION regress_deletes FOR TABLE sales.parted;
ALTER TABLE sales.outbox SET UNLOGGED;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{}');
ALTER TABLE sales.outbox ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION sales.meddle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER zz_meddle BEFORE INSERT ON sales.outbox FOR EACH ROW EXECUTE FUNCTION sales.meddle();
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND problem NOT LIKE '% lately %';
SELECT remedy FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND problem NOT LIKE '% lately %' \gexec
SELECT object, problem FROM mesh_outbox.doctor() WHERE object LIKE 'outbox%' AND problem NOT LIKE '% lately %';
DROP PUBLICATION regress_deletes;

-- What makes INSERTs fail, or vanish.
ALTER TABLE sales.outbox RENAME COLUMN headers TO header;
CREATE RULE vanish AS ON INSERT TO sales.outbox DO INSTEAD NOTHING;
SELECT severity, problem, remedy FROM mesh_outbox.doctor() WHERE object = 'outbox sales.outbox' AND problem NOT LIKE '% lately %';
DROP RULE vanish ON sales.outbox;
ALTER TABLE sales.outbox RENAME COLUMN header TO headers;

-- A partition that is elsewhere, and a table dropped behind our back.
SET mesh_outbox.protect_outboxes = off;
CREATE EXTENSION postgres_fdw;
DO $$BEGIN
    EXECUTE format('CREATE SERVER regress_there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, host %L, port %L)',
        current_database(), split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'));
END$$;
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_there;
CREATE FOREIGN TABLE sales.p2 PARTITION OF sales.parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') SERVER regress_there;
INSERT INTO sales.parted (event_type, body, created_at) VALUES ('OrderPlaced', '{}', '2020-05-05');
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object = 'outbox sales.p2' AND problem LIKE '%foreign%';
DROP FOREIGN TABLE sales.p2;
DROP EXTENSION postgres_fdw CASCADE;

DROP TABLE sales.parted;
RESET mesh_outbox.protect_outboxes;
SELECT severity, regexp_replace(object, '\d+', 'OID') AS object, problem, regexp_replace(remedy, '\d+', 'OID') AS remedy
FROM mesh_outbox.doctor() WHERE problem LIKE '%gone%';
\o /dev/null
SET ROLE regress_sales;
\set ECHO none
SELECT remedy FROM mesh_outbox.doctor() WHERE problem LIKE '%gone%' \gexec
\set ECHO all
RESET ROLE;
\o
SELECT count(*) FROM mesh_outbox.doctor() WHERE problem LIKE '%gone%';

DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_sales, regress_crm, regress_app;
