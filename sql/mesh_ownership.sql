-- Who answers for what: duties, co-owners, promises, inputs, and the life of
-- a product.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_nobody;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
\o /dev/null
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SELECT mesh_outbox.create_term('customer_id', '{"type": "string"}', domain => 'crm', description => 'identifies a customer');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');
SELECT mesh_outbox.create_product('sales.revenue', purpose => 'what the orders bring in');
\o

-- What a product promises.
SELECT mesh_outbox.alter_product('sales.orders', latency => '5 s', availability => 99.9, freshness => '1 min',
    retention => '30 days', residency => 'EU', classification => 'confidential',
    quality => '{"events_per_day": 100, "null_rate": {"/coupon": 0.5}}');
SELECT name, status, latency, availability, freshness, retention, residency, classification, quality, access
FROM mesh_outbox.products ORDER BY name;
SELECT mesh_outbox.alter_product('sales.orders', latency => '0');
SELECT mesh_outbox.alter_product('sales.orders', availability => 101);
SELECT mesh_outbox.alter_product('sales.orders', classification => 'secret');
SELECT mesh_outbox.alter_product('sales.orders', quality => '{"null_rate": {"/coupon": 50}}');
SELECT mesh_outbox.alter_product('sales.orders', quality => '{"typos": 1}');
SELECT mesh_outbox.alter_product('sales.orders', access => 'closed');

-- Who answers for it.
SELECT mesh_outbox.assign_duty('accountable', 'Ada <ada@example.org>', domain => 'sales');
SELECT mesh_outbox.assign_duty('steward', 'data-team@example.org', domain => 'sales');
SELECT mesh_outbox.assign_duty('accountable', 'Ada <ada@example.org>', product => 'sales.orders');
SELECT mesh_outbox.assign_duty('accountable', 'Bob <bob@example.org>', product => 'sales.orders');
SELECT mesh_outbox.assign_duty('escalation', '+44 20 0000', product => 'sales.orders');
SELECT mesh_outbox.assign_duty('informed', 'Ada <ada@example.org>', product => 'sales.revenue');
SELECT mesh_outbox.assign_duty('informed', 'Ada <ada@example.org>', product => 'sales.revenue');
SELECT kind, name, duty, party FROM mesh_outbox.responsibilities ORDER BY kind, name, duty, party;
SELECT mesh_outbox.assign_duty('owner', 'Ada', product => 'sales.orders');
SELECT mesh_outbox.assign_duty('accountable', 'Ada', product => 'sales.orders', domain => 'sales');
SELECT mesh_outbox.assign_duty('accountable', ' ', product => 'sales.orders');
SELECT mesh_outbox.assign_duty('accountable', 'Ada', term => 'customer_id');
SELECT mesh_outbox.assign_duty('accountable', 'Ada', product => 'sales.returns');
SELECT mesh_outbox.release_duty('consulted', 'Ada', product => 'sales.orders');

-- Ada leaves.  It is all or nothing: she had a duty for a term of crm too.
SET ROLE regress_crm;
SELECT mesh_outbox.assign_duty('consulted', 'Ada <ada@example.org>', term => 'customer_id');
SET ROLE regress_sales;
SELECT * FROM mesh_outbox.hand_over('Ada <ada@example.org>', 'Eve <eve@example.org>', reason => 'moved on');
SET ROLE regress_admin;
SELECT * FROM mesh_outbox.hand_over('Ada <ada@example.org>', 'Eve <eve@example.org>', reason => 'moved on');
SELECT * FROM mesh_outbox.hand_over('Ada <ada@example.org>', 'Eve <eve@example.org>', reason => 'moved on');
SELECT kind, name, duty, party, note FROM mesh_outbox.responsibilities WHERE party LIKE 'Eve%' ORDER BY kind, name, duty;

-- Customers are crm's business too: nothing comes into force without them.
SET ROLE regress_sales;
SELECT mesh_outbox.set_co_owners('sales.orders', '{crm}');
SELECT mesh_outbox.set_co_owners('sales.orders', '{logistics}');
SELECT mesh_outbox.set_co_owners('sales.orders', '{sales}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought something',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.approve_contract('sales.orders', 'OrderPlaced', '1.0.0', 'crm');
SELECT mesh_outbox.approve_contract('sales.orders', 'OrderPlaced', '1.0.0', 'sales');
-- ... and it does not help to be rid of them.
SELECT mesh_outbox.set_co_owners('sales.orders', '{}');
SET ROLE regress_crm;
SELECT what, product, event_type, version, how FROM mesh_outbox.todo();
SELECT mesh_outbox.approve_contract('sales.orders', 'OrderPlaced', '1.0.0', 'crm');
SELECT product, event_type, version, domain, approved_by FROM mesh_outbox.approvals;
SET ROLE regress_sales;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT name, status FROM mesh_outbox.products ORDER BY name;

-- What is made from what.
SELECT mesh_outbox.set_inputs('sales.revenue', '{sales.orders}');
SELECT mesh_outbox.set_inputs('sales.orders', '{sales.revenue}');
SELECT mesh_outbox.set_inputs('sales.orders', '{sales.orders}');
SELECT mesh_outbox.set_inputs('sales.orders', '{sales.carts}');
SELECT mesh_outbox.set_inputs('sales.orders', '{}');
SET ROLE regress_nobody;
SELECT * FROM mesh_outbox.lineage('sales.orders');
SELECT * FROM mesh_outbox.lineage('sales.revenue');
SELECT * FROM mesh_outbox.describe_product('sales.orders');
SELECT mesh_outbox.set_inputs('sales.revenue', '{}');

-- A contract is looked at again.
SET ROLE regress_sales;
SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => current_date);
SELECT mesh_outbox.set_review('sales.orders', 'OrderShipped', due => current_date + 1);
SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => current_date + 90);
SELECT product, event_type, due > current_date AS to_come, reviewed_by, note FROM mesh_outbox.reviews;
RESET ROLE;
SELECT set_config('mesh_outbox.clock', (now() + interval '100 days')::text, false) IS NOT NULL AS later;
SET ROLE regress_sales;
SELECT what, product, event_type, how FROM mesh_outbox.todo();
SELECT regexp_replace(problem, '\d+.\d+.\d+', 'DAY') AS problem, remedy FROM mesh_outbox.doctor() WHERE problem LIKE '%review%';
RESET ROLE;
RESET mesh_outbox.clock;
SET ROLE regress_sales;
SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => current_date + 365, note => 'still what we mean');
SELECT product, event_type, due > current_date AS to_come, reviewed_by, note FROM mesh_outbox.reviews;

-- The doctor reminds of what nobody has done.
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'observe', reason => 'first steps');
RESET ROLE;
UPDATE mesh_outbox.product SET status = 'active', retention = NULL, latency = NULL WHERE name = 'sales.revenue';
SELECT mesh_outbox.create_product('crm.orders', purpose => 'orders as we see them');
SELECT mesh_outbox.propose_contract('crm.orders', 'orderPlaced', key => '/id', description => 'somebody ordered something',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('crm.orders', 'orderPlaced', '1.0.0');
SET ROLE regress_sales;
SELECT mesh_outbox.register_consumer('a dashboard', 'sales.orders', 'OrderPlaced', contact => 'x', min_retention => '90 days');
SELECT mesh_outbox.set_product_status('sales.orders', 'deprecated');
RESET ROLE;
SELECT set_config('mesh_outbox.clock', (now() + interval '40 days')::text, false) IS NOT NULL AS later;
SELECT severity, object, regexp_replace(problem, '\d+-\d+-\d+', 'DAY') AS problem, remedy FROM mesh_outbox.doctor();
RESET mesh_outbox.clock;

-- The policies that ask for all this are there to be switched on.
SELECT p.policy, i.product, i.message
FROM unnest(ARRAY['owned', 'names']) p (policy), mesh_outbox.policy_impact(p.policy) i;

-- The end of a product.
SET ROLE regress_sales;
SELECT mesh_outbox.set_product_status('sales.orders', 'retired');
SELECT mesh_outbox.set_product_status('sales.orders', 'draft');
SELECT mesh_outbox.drop_product('sales.orders');
SELECT mesh_outbox.unregister_consumer('a dashboard', 'sales.orders', 'OrderPlaced');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.set_product_status('sales.orders', 'retired');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought something',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.drop_product('sales.orders');
SELECT mesh_outbox.set_inputs('sales.revenue', '{}');
SET ROLE regress_admin;
SELECT mesh_outbox.drop_term('customer_id');
SELECT mesh_outbox.drop_product('crm.orders');
SELECT mesh_outbox.retire_contract('crm.orders', 'orderPlaced', '1.0.0');
SELECT mesh_outbox.drop_product('crm.orders');
SELECT mesh_outbox.drop_domain('crm');
SET ROLE regress_sales;
SELECT mesh_outbox.drop_product('sales.orders');
SET ROLE regress_admin;
SELECT mesh_outbox.drop_domain('crm');

-- All of it is on record.
SELECT count(*) > 0 AS recorded, count(*) FILTER (WHERE object = 'duty') > 0 AS duties FROM mesh_outbox.audit_log;
SELECT * FROM mesh_outbox.verify_audit();

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_admin, regress_sales, regress_crm, regress_nobody;
