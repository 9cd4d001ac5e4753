-- A contract beyond its payload's schema: what the key is like, and which
-- broken rules do not refuse an event.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
\o /dev/null
SELECT count(mesh_outbox.set_policy(name, 'suspended')) FROM mesh_outbox.policies;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');
\o

-- ---------------------------------------------------------------------
-- The key
-- ---------------------------------------------------------------------

-- It has a schema of its own, as the text that consumers find.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"id": {"type": ["integer", "string"]}}, "required": ["id"]}',
    key_schema => '{"type": "string", "pattern": "^[0-9]+$", "maxLength": 6}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SELECT key, key_schema FROM mesh_outbox.contracts;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}'), ('OrderPlaced', '{"id": "002"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": -3}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": "1234567"}');
SELECT key FROM sales.outbox ORDER BY key;
SELECT instance_pointer, keyword, message, found FROM mesh_outbox.validate('sales.orders', 'OrderPlaced', '{"id": "A-12345"}');
SELECT event_type, reason, events FROM mesh_outbox.refusals;

-- A key of another kind is a change like one of the payload.
SELECT severity, path, breaks, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id',
    description => 'somebody bought', schema => '{"type": "object", "properties": {"id": {"type": ["integer", "string"]}}, "required": ["id"]}')
WHERE rule = 'key_schema';
SELECT severity, path, breaks, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id',
    description => 'somebody bought', schema => '{"type": "object", "properties": {"id": {"type": ["integer", "string"]}}, "required": ["id"]}',
    key_schema => '{"type": "string", "pattern": "^[0-9]+$", "maxLength": 4}')
WHERE rule = 'key_schema';
SELECT severity, path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderCancelled', key => '/id',
    description => 'somebody changed his mind', schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}',
    key_schema => '{"type": "integer"}') WHERE rule = 'key_schema';

-- ---------------------------------------------------------------------
-- Anomalies
-- ---------------------------------------------------------------------

SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPriced', key => '/id', description => 'x',
    schema => '{}', anomalies => '[{"path": "total", "action": "observe"}]');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPriced', key => '/id', description => 'x',
    schema => '{}', anomalies => '[{"path": "/total", "action": "ignore"}]');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPriced', key => '/id', description => 'x',
    schema => '{}', anomalies => '{"path": "/total", "action": "observe"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPriced', key => '/id', description => 'priced', event_time => '/at',
    max_lateness => '1 day',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}, "total": {"type": "number", "maximum": 1000},
                "lines": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "integer", "minimum": 1}}}}},
                "required": ["id", "total"]}',
    anomalies => '[{"path": "/total", "rule": "maximum", "action": "observe"},
                   {"path": "/lines/*/qty", "action": "quarantine"},
                   {"path": "/note", "rule": "unknown property", "action": "observe"},
                   {"path": "/at", "rule": "lateness", "action": "quarantine"}]');
SELECT rule, path, breaks, message FROM mesh_outbox.findings WHERE rule = 'anomaly';
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPriced', '1.0.0');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 1, "total": 10, "at": "2999-01-01T00:00:00Z"}');
-- Let pass and counted; taken and not published; late.
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 2, "total": 5000, "note": "!", "at": "2999-01-01T00:00:00Z"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 3, "total": 10, "lines": [{"qty": 1}, {"qty": 0}], "at": "2999-01-01T00:00:00Z"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 4, "total": 10, "at": "2001-01-01T00:00:00Z"}');
-- The strictest of what is broken decides, and is what is told.
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 5, "total": 5000, "lines": [{"qty": 0}], "at": "2999-01-01T00:00:00Z"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"total": 5000, "id": "six", "at": "2999-01-01T00:00:00Z"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 7, "total": "much", "at": "2999-01-01T00:00:00Z"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 8, "total": 10, "remark": "!", "at": "2999-01-01T00:00:00Z"}');
-- Nothing is hidden behind many that are tolerated.
INSERT INTO sales.outbox (event_type, payload)
SELECT 'OrderPriced', jsonb_build_object('id', 9, 'total', 10, 'at', '2999-01-01T00:00:00Z',
                                         'lines', (SELECT jsonb_agg('{"qty": 0}'::jsonb) FROM generate_series(1, 1000)));
SELECT o.key, o.contract_id < 0 AS quarantined FROM sales.outbox o WHERE event_type = 'OrderPriced' ORDER BY 1;
SELECT refused, quarantined, observed FROM mesh_outbox.violations WHERE event_type = 'OrderPriced';
SELECT path, rule, events FROM mesh_outbox.violated_rules WHERE event_type = 'OrderPriced' ORDER BY 1, 2;
SELECT instance_pointer, keyword, hint FROM mesh_outbox.validate('sales.orders', 'OrderPriced',
    '{"id": 2, "total": 5000, "note": "!", "lines": [{"qty": 0}], "at": "2999-01-01T00:00:00Z", "none": 1}');
-- It only ever loosens: what is observed as a whole is observed.
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPriced', '1.0.0', 'observe', reason => 'old clients');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPriced', '{"id": 10, "total": 10, "lines": [{"qty": 0}], "at": "2999-01-01T00:00:00Z"}');
SELECT o.contract_id < 0 AS quarantined FROM sales.outbox o WHERE key = '10';

-- All of it is on the product's page and travels with the document.
SELECT section, name, detail FROM mesh_outbox.describe_product('sales.orders') WHERE section IN ('key schema', 'event time', 'anomalies');
SELECT c ->> 'event_type' AS event_type, c -> 'key_schema' AS key_schema, jsonb_array_length(c -> 'anomalies') AS anomalies
FROM jsonb_array_elements(mesh_outbox.export_contracts('sales') #> '{products,0,contracts}') c ORDER BY 1;
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPriced', '1.0.0', 'enforce', reason => 'bit by bit', percent_of_keys => 30);
SELECT count(*) AS steps FROM mesh_outbox.plan_import(mesh_outbox.export_contracts('sales'));
-- So does the roll-out.
SELECT action, object, statement FROM mesh_outbox.plan_import(
    jsonb_set(mesh_outbox.export_contracts('sales'), '{products,0,contracts,1,percent_of_keys}', '40'));

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_sales;
