-- Headers that a contract asks for.
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
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}',
    headers => '{"type": "object", "properties": {"tenant": {"enum": ["a", "b"]}, "region": {"type": "string"}}, "required": ["tenant"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
\o
SELECT event_type, headers FROM mesh_outbox.contracts;
INSERT INTO sales.outbox (event_type, payload, headers) VALUES ('OrderPlaced', '{"id": 1}', '{"tenant": "a"}');
INSERT INTO sales.outbox (event_type, payload, headers) VALUES ('OrderPlaced', '{"id": 2}', '{"tenant": "b", "trace": "xyz"}');
INSERT INTO sales.outbox (event_type, payload, headers) VALUES ('OrderPlaced', '{"id": 3}', '{"tenant": "c"}');
INSERT INTO sales.outbox (event_type, payload, headers) VALUES ('OrderPlaced', '{"id": 4}', '{"region": "eu"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 5}');
SELECT key, headers FROM sales.outbox ORDER BY key;
SELECT event_type, reason, events FROM mesh_outbox.refusals;

-- Observed, it passes and is counted.
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'observe', reason => 'old clients');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 6}');
SELECT refused, observed FROM mesh_outbox.violations;

-- What is promised stays promised; what is asked for anew, producers learn first.
SELECT severity, breaks, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}') WHERE rule = 'headers';
SELECT severity, breaks, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}',
    headers => '{"type": "object", "properties": {"tenant": {"enum": ["a", "b"]}, "region": {"type": "string"}}, "required": ["tenant", "region"]}')
WHERE rule = 'headers';
SELECT count(*) AS as_before FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}',
    headers => '{"type": "object", "properties": {"tenant": {"enum": ["a", "b"]}, "region": {"type": "string"}}, "required": ["tenant"]}')
WHERE rule = 'headers';

-- It travels with the document.
SELECT mesh_outbox.export_contracts('sales') #> '{products,0,contracts,0,headers,required}' AS headers;
SELECT count(*) AS steps FROM mesh_outbox.plan_import(mesh_outbox.export_contracts('sales'));

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_sales;
