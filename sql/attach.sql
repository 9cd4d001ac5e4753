-- A table that exists becomes an outbox, if nothing in it runs code.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_app;
CREATE ROLE regress_crm;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
GRANT USAGE ON SCHEMA sales TO regress_app, regress_crm;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'a customer placed an order', schema => '{
    "type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');

-- A table as others have it: names differ, columns are missing, one is its own.
CREATE TABLE sales.events (id bigserial PRIMARY KEY, kind text NOT NULL, body jsonb, tenant int NOT NULL DEFAULT 1);
INSERT INTO sales.events (kind, body) VALUES ('Old', '{"not": "an event of ours"}');
GRANT SELECT, INSERT, UPDATE, TRIGGER, TRUNCATE ON sales.events TO regress_app WITH GRANT OPTION;
GRANT UPDATE (tenant), REFERENCES (id) ON sales.events TO regress_crm;
SELECT mesh_outbox.attach_outbox('sales.events', product => 'sales.orders',
                                 columns => '{"event_type": "kind", "payload": "body", "key": "order key"}');
\d sales.events
SELECT outbox, columns, attached FROM mesh_outbox.outboxes;
SELECT relowner::regrole, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a WHERE a::text NOT LIKE 'mesh_outbox_owner=%') AS granted
FROM pg_class WHERE oid = 'sales.events'::regclass;
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'sales.events'::regclass AND attacl IS NOT NULL AND attacl <> '{}';
INSERT INTO sales.events (kind, body) VALUES ('OrderPlaced', '{"id": 7}');
\set VERBOSITY terse
INSERT INTO sales.events (kind, body) VALUES ('OrderPlaced', '{"id": "seven"}');
\set VERBOSITY default
SELECT id, kind, body, "order key", tenant, event_id IS NOT NULL AS stamped FROM sales.events ORDER BY id;
SELECT mesh_outbox.attach_outbox('sales.events', product => 'sales.orders');
RESET ROLE;
SELECT mesh_outbox.attach_outbox('sales.events', product => 'sales.orders');
SET ROLE regress_sales;

-- What may not be in it.
CREATE FUNCTION sales.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION sales.f(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE TABLE sales.t (event_type text, payload jsonb);
CREATE TRIGGER noted AFTER INSERT ON sales.t FOR EACH ROW EXECUTE FUNCTION sales.note();
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
DROP TRIGGER noted ON sales.t;
CREATE RULE "also do" AS ON INSERT TO sales.t DO ALSO NOTIFY x;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
DROP RULE "also do" ON sales.t;
CREATE INDEX t_expr ON sales.t (sales.f(event_type));
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
DROP INDEX sales.t_expr;
CREATE INDEX t_cond ON sales.t (event_type) WHERE sales.f(event_type) = 'a';
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
DROP INDEX sales.t_cond;
CREATE STATISTICS sales.t_stat ON sales.f(event_type), payload FROM sales.t;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
DROP STATISTICS sales.t_stat;
ALTER TABLE sales.t ENABLE ROW LEVEL SECURITY;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
ALTER TABLE sales.t DISABLE ROW LEVEL SECURITY;
CREATE POLICY p ON sales.t USING (true);
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
DROP POLICY p ON sales.t;
CREATE TABLE sales.child () INHERITS (sales.t);
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
SELECT mesh_outbox.attach_outbox('sales.child', product => 'sales.orders');
DROP TABLE sales.child;
ALTER TABLE sales.t ADD COLUMN id int UNIQUE;
CREATE TABLE sales.ref (id int REFERENCES sales.t (id));
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
DROP TABLE sales.ref;
CREATE TYPE sales.span AS RANGE (subtype = int);
ALTER TABLE sales.t ADD COLUMN span sales.span;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
ALTER TABLE sales.t DROP COLUMN span;
ALTER TABLE sales.t SET UNLOGGED;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
ALTER TABLE sales.t SET LOGGED;
CREATE VIEW sales.v AS SELECT * FROM sales.t;
SELECT mesh_outbox.attach_outbox('sales.v', product => 'sales.orders');
DROP VIEW sales.v;

-- Columns that cannot serve.
ALTER TABLE sales.t ADD COLUMN headers text;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
ALTER TABLE sales.t DROP COLUMN headers;
ALTER TABLE sales.t ADD COLUMN key text GENERATED ALWAYS AS (event_type) STORED;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders');
ALTER TABLE sales.t DROP COLUMN key;
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders', columns => '{"payload": "document"}');
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders', columns => '{"topic": "payload"}');
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders', columns => '{"payload": 1}');
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders', columns => '[]');
SELECT mesh_outbox.attach_outbox('sales.t', product => 'sales.orders', columns => '{"key": "event_type"}');
SELECT outbox FROM mesh_outbox.outboxes;
SELECT count(*) AS nothing_was_added FROM pg_attribute WHERE attrelid = 'sales.t'::regclass AND attnum > 0 AND NOT attisdropped;

-- Only the table's owner gives it away; only the domain's takes it.
SET ROLE regress_crm;
CREATE TEMP TABLE mine (event_type text, payload jsonb);
SELECT mesh_outbox.attach_outbox('mine', product => 'sales.orders');
RESET ROLE;
CREATE TABLE sales.roots (event_type text, payload jsonb);
SET ROLE regress_sales;
SELECT mesh_outbox.attach_outbox('sales.roots', product => 'sales.orders');
SELECT mesh_outbox.attach_outbox('pg_class', product => 'sales.orders');

-- A partitioned table is taken as a whole.
CREATE TABLE sales.parted (event_type text, payload jsonb, created_at timestamptz DEFAULT now()) PARTITION BY RANGE (created_at);
CREATE TABLE sales.parted_old PARTITION OF sales.parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE sales.parted_now PARTITION OF sales.parted FOR VALUES FROM ('2021-01-01') TO ('2100-01-01') PARTITION BY LIST (event_type);
CREATE TABLE "sales"."parted now's" PARTITION OF sales.parted_now DEFAULT;
SELECT mesh_outbox.attach_outbox('sales.parted_old', product => 'sales.orders');
CREATE TRIGGER noted AFTER INSERT ON sales.parted_old FOR EACH ROW EXECUTE FUNCTION sales.note();
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders');
DROP TRIGGER noted ON sales.parted_old;
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders');
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_app');
SELECT mesh_outbox.create_outbox_partition('sales.parted', 'sales.parted_next', '2100-01-01', '2101-01-01');
SELECT mesh_outbox.create_outbox_partition('sales.parted', 'sales.parted_never', 'x''); DROP TABLE t; --', '2101-01-01');
SELECT mesh_outbox.create_outbox_partition('sales.events', 'sales.events_1', 'a', 'b');
RESET ROLE;
SELECT tgrelid::regclass, tgname, tgenabled, encode(tgargs, 'escape') AS arguments
FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree('sales.parted')) ORDER BY tgrelid::regclass::text, tgname;
SELECT oid::regclass, relowner::regrole, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a WHERE a::text NOT LIKE 'mesh_outbox_owner=%') AS granted
FROM pg_class
WHERE oid IN (SELECT relid FROM pg_partition_tree('sales.parted')) ORDER BY oid::regclass::text;
SET ROLE regress_sales;
SELECT mesh_outbox.revoke_publish('sales.orders', 'regress_app');
INSERT INTO sales.parted (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
INSERT INTO sales."parted now's" (event_type, payload, created_at) VALUES ('OrderPlaced', '{"id": 2}', now());
\set VERBOSITY terse
INSERT INTO sales."parted now's" (event_type, payload, created_at) VALUES ('OrderPlaced', '{"id": "x"}', now());
INSERT INTO sales.parted (event_type, payload, created_at) VALUES ('OrderPlaced', '{"id": "x"}', '2020-05-05');
\set VERBOSITY default
SELECT tableoid::regclass, key FROM sales.parted ORDER BY key;
RESET ROLE;
TRUNCATE sales."parted now's";
SET ROLE regress_sales;
SELECT mesh_outbox.detach_outbox('sales.parted');
SELECT oid::regclass, relowner::regrole, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers FROM pg_class c
WHERE oid IN (SELECT relid FROM pg_partition_tree('sales.parted')) ORDER BY oid::regclass::text;

-- Code that would run when one of our functions plans a query on the table.
CREATE FUNCTION sales.always(text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
CREATE FUNCTION sales.tag(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN left($1, 1);
CREATE FUNCTION sales.span_diff(int, int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN $1 - $2;
CREATE TYPE sales.measured AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = sales.span_diff);
CREATE DOMAIN sales.measured_more AS sales.measured;
CREATE TABLE sales.checked (event_type text, payload jsonb, CHECK (sales.always(event_type)));
CREATE TABLE sales.built_in (event_type text, payload jsonb, CHECK (length(event_type) < 100));
CREATE TABLE sales.generated (event_type text, payload jsonb, g boolean GENERATED ALWAYS AS (sales.always(event_type)) STORED);
CREATE TABLE sales.cut (event_type text, payload jsonb) PARTITION BY LIST ((sales.tag(event_type)));
CREATE TABLE sales.spans (event_type text, payload jsonb, x sales.measured_more[]);
\set VERBOSITY terse
SELECT mesh_outbox.attach_outbox('sales.checked', product => 'sales.orders');
SELECT mesh_outbox.attach_outbox('sales.generated', product => 'sales.orders');
SELECT mesh_outbox.attach_outbox('sales.cut', product => 'sales.orders');
SELECT mesh_outbox.attach_outbox('sales.spans', product => 'sales.orders');
SELECT mesh_outbox.attach_outbox('sales.built_in', product => 'sales.orders');
SELECT mesh_outbox.detach_outbox('sales.built_in');
DROP TABLE sales.checked, sales.built_in, sales.generated, sales.cut, sales.spans;
DROP DOMAIN sales.measured_more;
DROP TYPE sales.measured;
DROP FUNCTION sales.span_diff(int, int), sales.tag(text), sales.always(text);
\set VERBOSITY default

SELECT mesh_outbox.detach_outbox('sales.events');
UPDATE sales.events SET tenant = 2;
\d sales.events
RESET ROLE;
DROP EXTENSION mesh_outbox;
DROP SCHEMA sales CASCADE;
DROP OWNED BY regress_crm;
DROP ROLE regress_sales, regress_crm, regress_app;
