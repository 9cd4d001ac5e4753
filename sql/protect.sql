-- An outbox does not vanish unseen: whoever drops it, or takes its check off,
-- by other means than mesh_outbox's functions is told what it is.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE regress_sales;
CREATE ROLE regress_dba SUPERUSER;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
CREATE SCHEMA elsewhere AUTHORIZATION regress_sales;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'a customer placed an order', schema => '{
    "type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SET client_min_messages = warning;
SELECT mesh_outbox.create_outbox('sales."the Outbox"', product => 'sales.orders');
CREATE TABLE sales.parted (event_type text, payload jsonb, created_at timestamptz) PARTITION BY RANGE (created_at);
CREATE TABLE sales.parted_old PARTITION OF sales.parted FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE elsewhere.parted_new PARTITION OF sales.parted DEFAULT;
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders');
RESET client_min_messages;
CREATE TABLE sales.ordinary ();

-- The owner of the schema owns neither table, and could drop both.
DROP TABLE sales."the Outbox";
DROP TABLE sales.ordinary, sales."the Outbox" CASCADE;
DROP TABLE sales.parted;
DROP TABLE sales.parted_old;
DROP SCHEMA sales;
DROP SCHEMA sales CASCADE;
-- a partition that lies elsewhere
DROP SCHEMA elsewhere CASCADE;
SET client_min_messages = error;
DROP OWNED BY regress_sales CASCADE;
RESET client_min_messages;
BEGIN;
SAVEPOINT s;
DROP SCHEMA sales CASCADE;
ROLLBACK TO s;
DO $$ BEGIN EXECUTE 'DROP TABLE sales."the Outbox"'; END $$;
ROLLBACK;
DO $$
BEGIN
    EXECUTE 'DROP TABLE sales."the Outbox"';
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE NOTICE 'caught %', sqlstate;
END
$$;
-- It cannot be turned off by him.
SET mesh_outbox.protect_outboxes = off;

-- A migration tool that runs as a superuser meets the same.
RESET ROLE;
SET ROLE regress_dba;
DROP TABLE sales."the Outbox";
DROP SCHEMA sales CASCADE;
DROP OWNED BY mesh_outbox_owner;
DROP TRIGGER mesh_outbox_check ON sales."the Outbox";
DROP TRIGGER mesh_outbox_truncate ON sales."the Outbox";
DROP TRIGGER mesh_outbox_truncate ON sales.parted_old;
ALTER TABLE sales."the Outbox" DISABLE TRIGGER mesh_outbox_check;
ALTER TABLE sales."the Outbox" DISABLE TRIGGER ALL;
ALTER TABLE sales."the Outbox" DISABLE TRIGGER USER;
-- a replica's session would pass by this one
ALTER TABLE sales."the Outbox" ENABLE TRIGGER mesh_outbox_check;
ALTER TABLE sales."the Outbox" ENABLE REPLICA TRIGGER mesh_outbox_check;
ALTER TABLE sales.parted DISABLE TRIGGER mesh_outbox_check;
ALTER TABLE sales.parted_old DISABLE TRIGGER ALL;
ALTER TRIGGER mesh_outbox_check ON sales."the Outbox" RENAME TO other;
CREATE FUNCTION elsewhere.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE OR REPLACE TRIGGER mesh_outbox_check BEFORE INSERT ON sales."the Outbox" FOR EACH ROW EXECUTE FUNCTION elsewhere.mine();
DROP FUNCTION elsewhere.mine();
-- What leaves it an outbox passes.
ALTER TABLE sales."the Outbox" ENABLE ALWAYS TRIGGER mesh_outbox_check;
ALTER TABLE sales."the Outbox" REPLICA IDENTITY FULL;
ALTER TABLE sales."the Outbox" RENAME TO renamed;
ALTER TABLE sales.renamed SET SCHEMA elsewhere;
ALTER SCHEMA elsewhere RENAME TO moved;
CREATE TABLE sales.parted_more PARTITION OF sales.parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
DROP TABLE sales.parted_more;
CREATE TABLE sales.parted_later (LIKE sales.parted);
ALTER TABLE sales.parted ATTACH PARTITION sales.parted_later FOR VALUES FROM ('2030-01-01') TO (MAXVALUE);
\set VERBOSITY terse
INSERT INTO sales.parted_later (event_type, payload, created_at) VALUES ('OrderPlaced', '{"id": "x"}', '2030-01-01');
INSERT INTO moved.renamed (event_type, payload) VALUES ('OrderPlaced', '{"id": "x"}');
\set VERBOSITY default
INSERT INTO moved.renamed (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
SELECT outbox, missing FROM mesh_outbox.outboxes ORDER BY outbox_id;
-- A partition may leave, rows and all; then it is a table like others.
ALTER TABLE sales.parted DETACH PARTITION sales.parted_old;
DROP TABLE sales.parted_old;
-- Without harm to what is no outbox, whatever it is called.
CREATE FUNCTION sales.check_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER mesh_outbox_check BEFORE INSERT ON sales.ordinary FOR EACH ROW EXECUTE FUNCTION sales.check_event();
ALTER TABLE sales.ordinary DISABLE TRIGGER ALL;
DROP TRIGGER mesh_outbox_check ON sales.ordinary;

-- mesh_outbox's own functions need no permission but theirs.
RESET ROLE;
SET ROLE regress_sales;
SELECT mesh_outbox.set_outbox_publisher('moved.renamed', NULL);
SELECT mesh_outbox.drop_outbox('moved.renamed', lose_events => true);
SELECT mesh_outbox.create_outbox_partition('sales.parted', 'sales.parted_2022', '2022-01-01', '2023-01-01');
INSERT INTO sales.parted (event_type, payload, created_at) VALUES ('OrderPlaced', '{"id": 2}', '2022-06-01');
SELECT mesh_outbox.drop_outbox_partition('sales.parted');
SELECT mesh_outbox.drop_outbox_partition('sales.ordinary');
SELECT mesh_outbox.drop_outbox_partition('sales.parted_2022');
SELECT mesh_outbox.drop_outbox_partition('sales.parted_2022', lose_events => true);
SET client_min_messages = warning;
SELECT mesh_outbox.detach_outbox('sales.parted');
RESET client_min_messages;
DROP TABLE sales.parted;
SELECT count(*) FROM mesh_outbox.outboxes;

-- A superuser who knows what he does says so.
SET client_min_messages = warning;
SELECT mesh_outbox.create_outbox('sales.lost', product => 'sales.orders');
RESET client_min_messages;
RESET ROLE;
BEGIN;
SET LOCAL mesh_outbox.protect_outboxes = off;
DROP SCHEMA sales CASCADE;
SELECT missing FROM mesh_outbox.outboxes;
SELECT mesh_outbox.drop_outbox(outbox) FROM mesh_outbox.outboxes;
SELECT count(*) FROM mesh_outbox.outboxes;
ROLLBACK;
DROP TABLE sales.lost;

-- The extension goes when it is told to, and leaves the table.
DROP EXTENSION mesh_outbox CASCADE;
DROP TABLE sales.lost;
DROP SCHEMA sales CASCADE;
DROP SCHEMA moved CASCADE;
DROP ROLE regress_sales, regress_dba;
