-- How well promises and rules are kept, by product and by domain; and what
-- waits at the end of a version.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET intervalstyle = 'postgres';
SET timezone = 'UTC'; -- a day has 24 hours, always
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_nobody;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
\o /dev/null
SELECT count(mesh_outbox.set_policy(name, 'suspended')) FROM mesh_outbox.policies WHERE name <> 'bounded';
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought something',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "coupon": {"type": ["string", "null"]}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/id', description => 'somebody paid for it', enforcement => 'observe',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
CREATE TABLE sales.parted (event_type text, body jsonb, inserted timestamptz) PARTITION BY RANGE (inserted);
CREATE TABLE sales.p1 PARTITION OF sales.parted DEFAULT;
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders', columns => '{"payload": "body", "created_at": "inserted"}');
\o
INSERT INTO sales.outbox (event_type, payload, event_time)
SELECT 'OrderPlaced', jsonb_build_object('id', i, 'coupon', CASE WHEN i % 3 = 0 THEN 'x' END), now() - interval '1 hour'
FROM generate_series(1, 6) i;
INSERT INTO sales.parted (event_type, body, inserted) VALUES ('OrderPlaced', '{"id": 7}', now()), ('OrderPaid', '{"id": 1}', now()),
    ('OrderPaid', '{"id": "one"}', now()), ('OrderPaid', '{"id": 3}', now() - interval '30 days');

-- What is promised is what is measured.
SELECT * FROM mesh_outbox.measure_product('sales.orders');
SELECT mesh_outbox.alter_product('sales.orders', latency => '5 s', freshness => '1 min', retention => '30 days',
    quality => '{"events_per_day": 10, "null_rate": {"/coupon": 0.5, "/id": 0}}');
SELECT promise, promised, kept, CASE WHEN promise NOT IN ('latency', 'freshness') THEN found END AS found
FROM mesh_outbox.measure_product('sales.orders');
SELECT promise, promised, found, kept FROM mesh_outbox.measure_product('sales.orders', '12 hours') WHERE promise = 'events per day';
-- With a publisher's ledger, delays are known too.
RESET ROLE;
SELECT mesh_outbox.create_publisher('main', brokers => 'localhost:1', paused => true);
SELECT mesh_outbox.set_outbox_publisher('sales.outbox', 'main');
INSERT INTO mesh_outbox.batch
SELECT publisher_id, 1, 'x', '0/1', '0/1', '1', '1', 1, 1, 1, 1, '{}', now() - interval '3 s', now() - interval '3 s', now()
FROM mesh_outbox.publisher;
SET ROLE regress_sales;
SELECT promise, found < '00:00:04' AS short, kept FROM mesh_outbox.measure_product('sales.orders') WHERE promise = 'latency';
SELECT promise, kept FROM mesh_outbox.measure_product('sales.orders') WHERE promise = 'freshness';
-- Two outages that overlap, three hours of a day between them: a committed event
-- waited longer than the product promises.
SELECT mesh_outbox.alter_product('sales.orders', availability => 90);
SELECT promised, found, kept FROM mesh_outbox.measure_product('sales.orders') WHERE promise = 'availability';
RESET ROLE;
INSERT INTO mesh_outbox.batch
SELECT publisher_id, n, 'x', '0/1', '0/1', '1', '1', 1, 1, 1, 1, '{}', t.began - interval '5 s', t.began, t.ended
FROM mesh_outbox.publisher,
     (VALUES (2, now() - interval '5 hours', now() - interval '3 hours'),
             (3, now() - interval '4 hours', now() - interval '2 hours')) t (n, began, ended);
SET ROLE regress_sales;
SELECT promised, found, kept FROM mesh_outbox.measure_product('sales.orders') WHERE promise = 'availability';
-- A third one, of two hours, has not ended: an event waits for a publisher that
-- is paused.
RESET ROLE;
\o /dev/null
SELECT mesh_outbox.set_outbox_publisher('sales.parted', 'main');
\o
INSERT INTO mesh_outbox.progress (publisher_id, system_identifier, database_oid, slot_name, ready_lsn, lsn, marker_lsn, marker_xid, marker_time)
SELECT p.publisher_id, p.system_identifier, p.database_oid, 'none', '0/1', '0/1', '0/1', 1,
       extract(epoch FROM now() - interval '3 hours' - timestamptz '2000-01-01 00:00+00') * 1000000
FROM mesh_outbox.publisher p;
SET ROLE regress_sales;
SELECT promised, found, kept FROM mesh_outbox.measure_product('sales.orders') WHERE promise = 'availability';
INSERT INTO sales.parted (event_type, body, inserted) VALUES ('OrderPaid', '{"id": 4}', now() - interval '2 hours');
SELECT promised, round(found::numeric, 1) AS found, kept FROM mesh_outbox.measure_product('sales.orders') WHERE promise = 'availability';
RESET ROLE;
DELETE FROM mesh_outbox.progress;
SET ROLE regress_sales;

-- What consumers need, and what is promised, set and found.
SELECT mesh_outbox.alter_product('sales.orders', topic_config => '{"retention.ms": 3600000}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderSent', key => '/id', description => 'it has left the house', topic => 'sales.sent',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "sent": {"const": true}}, "required": ["id", "sent"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderSent', '1.0.0');
SELECT mesh_outbox.register_consumer('archive', 'sales.orders', 'OrderSent', contact => 'archive@example.org', min_retention => '60 days');
SELECT mesh_outbox.register_consumer('screens', 'sales.orders', 'OrderSent', contact => 'screens@example.org', max_lag => '1 s');
SELECT object, problem, remedy FROM mesh_outbox.doctor() WHERE problem ~ 'archive|screens|promises 30 days' AND problem !~ 'took';
SELECT object, regexp_replace(problem, 'up to \S+', 'up to …') AS problem FROM mesh_outbox.doctor() WHERE problem ~ 'took';
SELECT mesh_outbox.unregister_consumer('archive', 'sales.orders', 'OrderSent'),
       mesh_outbox.unregister_consumer('screens', 'sales.orders', 'OrderSent'),
       mesh_outbox.retire_contract('sales.orders', 'OrderSent', '1.0.0', force_reason => 'enough');
SELECT * FROM mesh_outbox.measure_product('sales.orders', '0 s');
SET ROLE regress_crm;
SELECT * FROM mesh_outbox.measure_product('sales.orders');

-- Domains side by side.  Events are counted for those who may read them.
SELECT domain, products, contracts_in_force, events, enforced_share FROM mesh_outbox.maturity();
SET ROLE regress_sales;
SELECT domain, products, unowned, unpromised, contracts_in_force, contracts_enforced, events, enforced_share, violations > 0 AS violations,
       dead_letters, policy_findings, objections, open_objections, overdue_reviews, overdue_sunsets
FROM mesh_outbox.maturity() \gx
SELECT domain, events FROM mesh_outbox.maturity('60 days');

-- A version ends: its owner and its consumers are told what waits for them.
SET ROLE regress_crm;
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'crm@example.org', needs => '{/id}');
SET ROLE regress_sales;
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0', sunset => '2099-01-01');
SET ROLE regress_crm;
SET datestyle = ISO;
SELECT what, product, event_type, version, consumer, how FROM mesh_outbox.todo();
RESET ROLE;
SET mesh_outbox.clock = '2099-02-01';
SET ROLE regress_sales;
SELECT what, event_type, version, how FROM mesh_outbox.todo();
SELECT overdue_sunsets FROM mesh_outbox.maturity() WHERE domain = 'sales';
SELECT problem, remedy FROM mesh_outbox.doctor() WHERE problem LIKE '%sunset%';
RESET ROLE;
RESET mesh_outbox.clock;

-- A cap on enforcement is meant for an emergency, and not forgotten.
SELECT mesh_outbox.cap_enforcement('observe', reason => 'the flood');
SELECT severity, object, regexp_replace(problem, '\d+-\d+-\d+', 'DAY') AS problem, remedy FROM mesh_outbox.doctor() WHERE object = 'enforcement';

DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_sales, regress_crm, regress_nobody;
