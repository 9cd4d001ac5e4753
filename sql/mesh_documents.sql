-- A domain as a document that lives in a repository: export, plan, import.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
\o /dev/null
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SET ROLE regress_sales;
SELECT mesh_outbox.assign_duty('accountable', 'Ada', domain => 'sales');
SELECT mesh_outbox.create_term('order_id', '{"type": "integer", "minimum": 1}', domain => 'sales', description => 'number of an order',
                               examples => '[4711]', synonyms => '{order_no,"order, number"}');
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them', partitions => 3,
                                  topic_config => '{"retention.ms": 604800000}');
SELECT mesh_outbox.alter_product('sales.orders', latency => '5 s', availability => 99.9, quality => '{"events_per_day": 10}');
SELECT mesh_outbox.create_product('sales.revenue', purpose => 'it''s what the orders bring in');
SELECT mesh_outbox.set_inputs('sales.revenue', '{sales.orders}');
SELECT mesh_outbox.set_change_rules('sales.orders', notice => '1 day');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought something',
    schema => '{"type": "object", "properties": {"id": {"$ref": "term:order_id"}, "gift": {"const": null}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought something',
    schema => '{"type": "object", "properties": {"id": {"$ref": "term:order_id"}, "gift": {"const": null}, "note": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => '2099-01-01');
\o

-- The document.
SELECT jsonb_pretty(mesh_outbox.export_contracts('sales'));
SELECT mesh_outbox.export_contracts('logistics');
RESET ROLE;
CREATE TABLE repository (document jsonb);
INSERT INTO repository SELECT mesh_outbox.export_contracts('sales');
GRANT SELECT ON repository TO PUBLIC;

-- Nothing is in it that nobody could understand.
SELECT mesh_outbox.import_contracts(jsonb_set(document, '{products,0,contracts,1}',
    (document #> '{products,0,contracts,1}') - 'description'::text || '{"version": "1.2.0"}')) FROM repository;

-- Here everything is as it says.
SELECT * FROM repository, mesh_outbox.plan_import(document);
SELECT * FROM mesh_outbox.plan_import('{"some": "thing"}');
SELECT * FROM mesh_outbox.import_contracts('[]');

-- In an empty database nothing is: the plan, the import, and the same
-- document comes out again.
DROP EXTENSION mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT p.step, p.action, p.object, p.statement FROM repository, mesh_outbox.plan_import(document) p;
SET ROLE regress_sales;
SELECT i.* FROM repository, mesh_outbox.import_contracts(document) i;
RESET ROLE;
SELECT i.* FROM repository, mesh_outbox.import_contracts(document) i;
SELECT document = mesh_outbox.export_contracts('sales') AS the_same FROM repository;
SELECT i.* FROM repository, mesh_outbox.import_contracts(document) i;

-- A change in the repository: purpose, enforcement, a term, a new version
-- that is to be active.  A consumer has to be told first.
SELECT mesh_outbox.register_consumer('a partner', 'sales.orders', 'OrderPlaced', contact => 'partner@example.com', needs => '{/id}');
SELECT mesh_outbox.acknowledge('a partner', 'sales.orders', 'OrderPlaced', '1.1.0');
UPDATE repository SET document = jsonb_set(document, '{products,0,purpose}', '"orders, all of them"');
UPDATE repository SET document = jsonb_set(document, '{products,0,contracts,0,enforcement}', '"observe"');
UPDATE repository SET document = jsonb_set(document, '{products,0,contracts,1,status}', '"active"');
UPDATE repository SET document = jsonb_set(document, '{terms,0,description}', '"number that an order is known by"');
UPDATE repository SET document = jsonb_set(document, '{terms,0,advice}', '"use order_ref"');
UPDATE repository SET document = jsonb_set(document, '{domain,duties}', '[{"duty": "accountable", "party": "Eve"}]');
UPDATE repository SET document = jsonb_set(document, '{products,0,contracts,2}', document #> '{products,0,contracts,1}' || '{
    "version": "1.2.0", "status": "active", "schema": {"type": "object", "required": ["id"], "properties": {
        "id": {"$ref": "term:order_id"}, "gift": {"const": null}, "note": {"type": "string"}, "coupon": {"type": "string"}}}}');
SET ROLE regress_sales;
SELECT action, object, statement FROM repository, mesh_outbox.plan_import(document);
SELECT i.* FROM repository, mesh_outbox.import_contracts(document) i;
SELECT event_type, version, status, enforcement FROM mesh_outbox.contracts ORDER BY contract_id;
SELECT action, object, regexp_replace(outcome, '\d+-.*', 'DAY') AS outcome FROM repository, mesh_outbox.import_contracts(document) i;
SELECT mesh_outbox.acknowledge('a partner', 'sales.orders', 'OrderPlaced', '1.2.0');
SELECT i.* FROM repository, mesh_outbox.import_contracts(document) i;
SELECT i.* FROM repository, mesh_outbox.import_contracts(document) i;

-- What is only here stays; what was changed in place is refused; a foreign
-- document is a matter of rights.
SELECT mesh_outbox.create_product('sales.carts', purpose => 'left behind');
SELECT action, object, statement FROM repository, mesh_outbox.plan_import(document) WHERE action = 'keep';
SELECT * FROM repository, mesh_outbox.import_contracts(jsonb_set(jsonb_set(document, '{products,0,contracts,0,key}', '"/gift"'),
                                                                 '{products,0,partitions}', '6'));
SELECT * FROM repository, mesh_outbox.import_contracts(jsonb_set(
    jsonb_set(document, '{products,0,contracts,2,schema,properties,id}', '{"type": "string"}'), '{products,0,contracts,2,version}', '"1.3.0"'));
SET ROLE regress_crm;
SELECT * FROM repository, mesh_outbox.import_contracts(jsonb_set(document, '{domain,description}', '"ours now"'));

-- Another database: there the domain is known from its document, and
-- somebody relies on it.
SET ROLE regress_sales;
SELECT mesh_outbox.drop_product('sales.carts');
RESET ROLE;
TRUNCATE repository;
INSERT INTO repository SELECT mesh_outbox.export_contracts('sales', bundled => true);
SELECT * FROM repository, mesh_outbox.import_external(document, location => 'db7/shop');
DROP EXTENSION mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SET ROLE regress_crm;
SELECT * FROM repository, mesh_outbox.import_external(document, location => 'db7/shop');
RESET ROLE;
SELECT i.* FROM repository, mesh_outbox.import_external(document, location => 'db7/shop') i;
SELECT i.* FROM repository, mesh_outbox.import_external(document, location => 'db7/shop') i;
SELECT name, owner, location FROM mesh_outbox.domains ORDER BY name;
SELECT product, event_type, version, status, in_force FROM mesh_outbox.contracts ORDER BY contract_id;
SET ROLE regress_crm;
SELECT mesh_outbox.create_product('crm.greetings', purpose => 'what we say to who buys');
SELECT mesh_outbox.set_inputs('crm.greetings', '{sales.orders}');
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'crm@example.org', needs => '{/id}', reads => '{/note}');
RESET ROLE;
SELECT mesh_outbox.register_consumer('a partner', 'sales.orders', 'OrderPlaced', contact => 'partner@example.com', needs => '{/id}');
CREATE SCHEMA regress_here;
SELECT mesh_outbox.create_outbox('regress_here.outbox', product => 'sales.orders');

-- The next document: 1.0.0 is gone, and 1.3.0 dropped what crm reads.
UPDATE repository SET document = jsonb_set(document, '{products,0,contracts}', (document #> '{products,0,contracts}') - 0);
UPDATE repository SET document = jsonb_set(document, '{products,0,contracts,2}', document #> '{products,0,contracts,1}' || '{
    "version": "1.3.0", "status": "active", "resolved_schema": {"type": "object", "required": ["id"], "properties": {
        "id": {"type": "integer", "minimum": 1}, "gift": {"const": null}}}}');
SELECT i.* FROM repository, mesh_outbox.import_external(document, location => 'db7/shop') i;
SET ROLE regress_crm;
SELECT consumer, version, kind FROM mesh_outbox.notifications ORDER BY consumer;
SELECT rule, path, breaks, message FROM mesh_outbox.findings WHERE rule = 'consumer';
SELECT product, event_type, version, status, in_force FROM mesh_outbox.contracts ORDER BY contract_id;

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA regress_here;
DROP TABLE repository;
DROP ROLE regress_sales, regress_crm;
