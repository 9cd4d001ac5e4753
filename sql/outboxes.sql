-- Outboxes: one call makes a table whose rows are events, and nobody can
-- take the check off it.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_app;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
GRANT USAGE ON SCHEMA sales TO regress_crm;
CREATE SCHEMA crm AUTHORIZATION regress_crm;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SELECT mesh_outbox.create_publisher('main', brokers => 'localhost:1', paused => true);

SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'a customer placed an order', schema => '{
    "type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');

-- The only publisher is the default.
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
\d sales.outbox
SELECT outbox, product, domain, publisher, columns, pinned, attached, missing FROM mesh_outbox.outboxes;

-- A publisher that has no slot yet could not see the event: no silent loss.
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL);
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
SELECT event_type, major_version, key, payload, contract_id FROM sales.outbox;

-- The table belongs to nobody who logs in.
SELECT relowner::regrole, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a WHERE a::text NOT LIKE 'mesh_outbox_owner=%') AS granted
FROM pg_class WHERE oid = 'sales.outbox'::regclass;
ALTER TABLE sales.outbox DISABLE TRIGGER ALL;
DROP TRIGGER mesh_outbox_check ON sales.outbox;
UPDATE sales.outbox SET payload = '{}';
DELETE FROM sales.outbox;
TRUNCATE sales.outbox;
SET session_replication_role = replica;
RESET ROLE;
UPDATE sales.outbox SET payload = '{}';
DELETE FROM sales.outbox;
TRUNCATE sales.outbox;
SET session_replication_role = replica;
\set VERBOSITY terse
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": "checked all the same"}');
\set VERBOSITY default
RESET session_replication_role;

-- What create_outbox refuses.
SET ROLE regress_sales;
SELECT mesh_outbox.create_outbox('outbox', product => 'sales.orders');
SELECT mesh_outbox.create_outbox('a.b.c', product => 'sales.orders');
SELECT mesh_outbox.create_outbox('nowhere.outbox', product => 'sales.orders');
SELECT mesh_outbox.create_outbox('crm.outbox', product => 'sales.orders');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SELECT mesh_outbox.create_outbox('sales.outbox2', product => 'sales.refunds');
SELECT mesh_outbox.create_outbox('sales.outbox2', product => 'sales.orders', publisher => 'second');
SET ROLE regress_crm;
SELECT mesh_outbox.create_outbox('crm.outbox', product => 'sales.orders');
SELECT mesh_outbox.set_outbox_publisher('sales.outbox', 'main');
SELECT mesh_outbox.set_pinned_major('sales.outbox', 'OrderPlaced', 1);
SELECT mesh_outbox.detach_outbox('sales.outbox');
SELECT mesh_outbox.drop_outbox('sales.outbox');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');

-- Everything about an outbox in one transaction with its first event.
SET ROLE regress_sales;
BEGIN;
SELECT mesh_outbox.create_product('sales.refunds', purpose => 'refunds');
SELECT mesh_outbox.propose_contract('sales.refunds', 'Refunded', key => '/id', description => 'a customer got money back', schema => '{
    "type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.create_outbox('sales.refunds', product => 'sales.refunds', publisher => 'main');
SELECT mesh_outbox.set_outbox_publisher('sales.refunds', NULL);
SELECT mesh_outbox.activate_contract('sales.refunds', 'Refunded', '1.0.0');
INSERT INTO sales.refunds (event_type, payload) VALUES ('Refunded', '{"id": 1}');
SELECT event_type, key, payload FROM sales.refunds;
ROLLBACK;
SELECT outbox FROM mesh_outbox.outboxes;

-- A new major leaves INSERTs that name none where they are, until told.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/uuid', version => '2.0.0', description => 'a customer placed an order', schema => '{
    "type": "object", "properties": {"uuid": {"type": "string"}}, "required": ["uuid"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 2}');
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES ('OrderPlaced', 2, '{"uuid": "x"}');
SELECT mesh_outbox.set_pinned_major('sales.outbox', 'OrderPlaced', 3);
SELECT mesh_outbox.set_pinned_major('sales.outbox', 'OrderPlaced', 2);
\set VERBOSITY terse
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 3}');
\set VERBOSITY default
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"uuid": "y"}');
SELECT event_type, major_version, key FROM sales.outbox ORDER BY created_at;

-- The domain's role lets an application insert, and nothing else.
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_app');
GRANT USAGE ON SCHEMA sales TO regress_app;
SET ROLE regress_app;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"uuid": "z"}');
SELECT count(*) FROM sales.outbox;
SET ROLE regress_sales;
SELECT mesh_outbox.revoke_publish('sales.orders', 'regress_app');
SET ROLE regress_app;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"uuid": "z"}');
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_app');

-- Events are not dropped in passing.
SET ROLE regress_sales;
SELECT mesh_outbox.drop_product('sales.orders');
SELECT mesh_outbox.drop_outbox('sales.outbox');
SELECT mesh_outbox.detach_outbox('sales.outbox');
SELECT count(*) FROM sales.outbox;
DELETE FROM sales.outbox WHERE key <> 'x';
SELECT mesh_outbox.drop_outbox('sales.outbox');
SELECT mesh_outbox.attach_outbox('sales.outbox', product => 'sales.orders');
SELECT mesh_outbox.drop_outbox('sales.outbox', lose_events => true);
SELECT outbox FROM mesh_outbox.outboxes;
SELECT to_regclass('sales.outbox');

-- A domain whose owner was dropped needs another before its outboxes change; a
-- registered table that is gone does not keep others from being granted.
RESET ROLE;
CREATE ROLE regress_gone;
SELECT mesh_outbox.create_domain('gone', owner => 'regress_gone', description => 'x');
SELECT mesh_outbox.create_product('gone.orders', purpose => 'x');
SELECT mesh_outbox.create_outbox('sales.gone', product => 'gone.orders');
DROP OWNED BY regress_gone;
DROP ROLE regress_gone;
SELECT mesh_outbox.create_outbox('sales.gone2', product => 'gone.orders');
SELECT mesh_outbox.detach_outbox('sales.gone');
SELECT mesh_outbox.alter_domain('gone', owner => 'regress_crm');
SELECT mesh_outbox.create_outbox('sales.gone2', product => 'gone.orders');
SET mesh_outbox.protect_outboxes = off;
DROP TABLE sales.gone;
RESET mesh_outbox.protect_outboxes;
SELECT mesh_outbox.grant_publish('gone.orders', 'regress_app');
SELECT has_table_privilege('regress_app', 'sales.gone2', 'INSERT');
SELECT mesh_outbox.drop_outbox(relation) FROM mesh_outbox.outbox WHERE product = 'gone.orders';
SET ROLE regress_sales;

-- DROP EXTENSION names the outboxes; with CASCADE it leaves the rows.
SELECT mesh_outbox.create_outbox('sales.last', product => 'sales.orders');
SELECT mesh_outbox.set_outbox_publisher('sales.last', NULL);
INSERT INTO sales.last (event_type, payload) VALUES ('OrderPlaced', '{"uuid": "w"}');
RESET ROLE;
DROP EXTENSION mesh_outbox;
DROP EXTENSION mesh_outbox CASCADE;
SELECT event_type, payload FROM sales.last;
\d sales.last
DROP SCHEMA sales, crm CASCADE;
DROP ROLE regress_sales, regress_crm, regress_app;
