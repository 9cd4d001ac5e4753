-- The steward of a domain: sees to its rules, and changes no contract.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_sales_steward;
CREATE ROLE regress_crm;
CREATE ROLE regress_crm_steward;
CREATE SCHEMA rules;
GRANT ALL ON SCHEMA rules TO regress_sales_steward;
\o /dev/null
SELECT count(mesh_outbox.set_policy(name, 'suspended')) FROM mesh_outbox.policies;
\o
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice', steward => 'regress_sales_steward');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SELECT mesh_outbox.alter_domain('crm', steward => 'regress_crm_steward');
SELECT name, owner, steward FROM mesh_outbox.domains ORDER BY name;
-- Who looks after a domain cannot be dropped unnoticed.
DROP ROLE regress_crm_steward;
SET ROLE regress_sales;
SELECT mesh_outbox.alter_domain('sales', steward => 'regress_sales');
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');

-- The dictionary.
SET ROLE regress_sales_steward;
SELECT mesh_outbox.create_term('order_id', '{"type": "string", "maxLength": 20}', domain => 'sales', description => 'as printed on the invoice', reserved => true);
SELECT mesh_outbox.create_term('customer_id', '{"type": "string"}', domain => 'crm', description => 'x');

-- A policy of his own for the domain; one for all is an administrator's.
CREATE FUNCTION rules.no_total(contract jsonb) RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql IMMUTABLE AS $$SELECT 'error', '/total', 'say amount' WHERE contract #> '{schema,properties}' ? 'total'$$;
SELECT mesh_outbox.create_policy('no_total', 'rules.no_total', description => 'one word for one thing');
SELECT mesh_outbox.create_policy('no_total', 'rules.no_total', description => 'one word for one thing', scope => 'crm');
SELECT mesh_outbox.create_policy('no_total', 'rules.no_total', description => 'one word for one thing', scope => 'sales');
SELECT mesh_outbox.set_policy('no_total', 'active');
SELECT mesh_outbox.set_policy('described', 'active');
-- It would run as whoever owns it, so it must be his.
RESET ROLE;
CREATE FUNCTION rules.powerful(contract jsonb) RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql IMMUTABLE AS $$SELECT 'error', NULL, NULL$$;
SET ROLE regress_sales_steward;
SELECT mesh_outbox.create_policy('powerful', 'rules.powerful', description => 'x', scope => 'sales');

-- It binds the owner, who cannot lift it.
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"order_id": {"$ref": "term:order_id"}, "total": {"type": "integer"}}, "required": ["order_id"]}');
SELECT mesh_outbox.set_policy('no_total', 'suspended');
SET ROLE regress_sales_steward;
SELECT mesh_outbox.set_policy('no_total', 'suspended');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"order_id": {"$ref": "term:order_id"}, "total": {"type": "integer"}}, "required": ["order_id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');

-- Contracts are not the steward's to change; in need he has them observed.
SET ROLE regress_sales_steward;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', schema => '{}');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'off', reason => 'x');
SELECT mesh_outbox.observe_only('producers are down', product => 'sales.orders');
SELECT mesh_outbox.observe_only('all of them');
SELECT event_type, enforcement, enforcement_reason FROM mesh_outbox.contracts;
SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => current_date + 100);

-- As a consumer the domain speaks by its owner or its steward.
SET ROLE regress_crm;
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'crm@example.org', needs => '{/order_id}');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'somebody bought, and says why',
    schema => '{"type": "object", "properties": {"order_id": {"$ref": "term:order_id"}, "total": {"type": "integer"}, "why": {"type": "string"}}, "required": ["order_id"]}');
SET ROLE regress_crm_steward;
SELECT what, product, version, consumer FROM mesh_outbox.todo();
SELECT mesh_outbox.object('crm', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'why is personal');
SELECT mesh_outbox.override_objection('crm', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'x');
SET ROLE regress_sales_steward;
SELECT mesh_outbox.override_objection('crm', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'x');
SELECT DISTINCT object FROM mesh_outbox.doctor();
SELECT name, detail FROM mesh_outbox.describe_product('sales.orders') WHERE section = 'steward';

-- The document tells of him.
RESET ROLE;
SELECT mesh_outbox.export_contracts('sales') #>> '{domain,steward}' AS steward;
SELECT action, statement FROM mesh_outbox.plan_import('{"mesh_outbox": 1, "domain": {"name": "sales", "description": "from cart to invoice", "steward": "regress_crm"}, "products": []}')
WHERE action = 'alter';
SELECT mesh_outbox.alter_domain('crm', steward => '');
DROP ROLE regress_crm_steward;

DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA rules CASCADE;
DROP ROLE regress_sales, regress_sales_steward, regress_crm;
