-- How late an event may come.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
\o /dev/null
SELECT count(mesh_outbox.set_policy(name, 'suspended')) FROM mesh_outbox.policies;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', event_time => '/at', description => 'somebody bought',
    max_lateness => '1 day', schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id", "at"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/id', description => 'somebody paid', max_lateness => '1 hour',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
\o
SELECT event_type, event_time, max_lateness FROM mesh_outbox.contracts ORDER BY contract_id;

-- The time in the payload counts, or the one that the row gives.
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', jsonb_build_object('id', 1, 'at', now() - interval '23 hours'));
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 2, "at": "2026-01-02T03:04:05Z"}');
INSERT INTO sales.outbox (event_type, payload, event_time) VALUES ('OrderPlaced', '{"id": 3, "at": "2026-01-02T03:04:05Z"}', now());
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPaid', '{"id": 1}');
INSERT INTO sales.outbox (event_type, payload, event_time) VALUES ('OrderPaid', '{"id": 2}', '2026-01-02 03:04:05');
INSERT INTO sales.outbox (event_type, payload, event_time) VALUES ('OrderPaid', '{"id": 3}', now() + interval '1 hour');
SELECT event_type, key FROM sales.outbox ORDER BY event_type, key;
SELECT event_type, reason, events FROM mesh_outbox.refusals ORDER BY event_type;

-- Observed, a late event passes and is counted.
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPaid', '1.0.0', 'observe', reason => 'a backlog');
INSERT INTO sales.outbox (event_type, payload, event_time) VALUES ('OrderPaid', '{"id": 4}', '2026-01-02 03:04:05');
SELECT event_type, refused, observed FROM mesh_outbox.violations ORDER BY event_type;

-- Consumers who stop waiting after a day would miss what comes later.
SELECT severity, rule, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', event_time => '/at',
    description => 'somebody bought', max_lateness => '2 days',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id", "at"]}');
SELECT severity, rule, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', event_time => '/at',
    description => 'somebody bought',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id", "at"]}');
-- Earlier is fine for them; who sent later is told.
SELECT severity, rule, path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', event_time => '/at',
    description => 'somebody bought', max_lateness => '12 hours',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id", "at"]}');
SELECT mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', max_lateness => '-1 day', schema => '{}');

-- A lateness beyond all time is none; times are those that readers can read.
\o /dev/null
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderKept', key => '/id', event_time => '/at', description => 'somebody keeps it',
    max_lateness => '10000 years', schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderKept', '1.0.0');
\o
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderKept', '{"id": 1, "at": "0001-01-01T00:00:00Z"}') RETURNING event_time;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderKept', '{"id": 1, "at": "0001-01-01T00:00:00+01:00"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderKept', '{"id": 1, "at": "9999-12-31T23:59:59-01:00"}');
INSERT INTO sales.outbox (event_type, payload, event_time) VALUES ('OrderKept', '{"id": 1}', '10000-01-01');
INSERT INTO sales.outbox (event_type, payload, event_time) VALUES ('OrderKept', '{"id": 1}', '9999-12-31 23:59:59');
INSERT INTO sales.outbox (event_type, payload, event_time) VALUES ('OrderKept', '{"id": 1}', '4000-01-01 BC');
CREATE TABLE sales.parted (event_type text, payload jsonb, created_at timestamptz) PARTITION BY RANGE (created_at);
CREATE TABLE sales.parted_1 PARTITION OF sales.parted DEFAULT;
\o /dev/null
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders');
\o
INSERT INTO sales.parted (event_type, payload, event_time, created_at) VALUES ('OrderKept', '{"id": 1}', now(), 'infinity');
INSERT INTO sales.parted (event_type, payload, event_time, created_at) VALUES ('OrderKept', '{"id": 1}', now(), '12026-01-01');

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_sales;
