-- Where the words of the dictionary are: types, columns, event types, topics
-- and outboxes, from the word and to it; and whom a change concerns.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_nobody;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
CREATE SCHEMA crm AUTHORIZATION regress_crm;
GRANT USAGE ON SCHEMA crm, sales TO PUBLIC;
\o /dev/null
SELECT count(mesh_outbox.set_policy(name, 'suspended')) FROM mesh_outbox.policies;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SET ROLE regress_crm;
SELECT mesh_outbox.create_term('customer_id', '{"type": "string", "pattern": "^C[0-9]+$"}', domain => 'crm',
                               description => 'identifies a customer', synonyms => '{buyer}');
SELECT mesh_outbox.create_term('amount', '{"type": "integer", "minimum": 0, "maximum": 1000000}', domain => 'crm', description => 'cents');
\o

-- A word becomes a type: tables are checked by the same words as events.
SELECT mesh_outbox.create_term_type('customer_id', 'crm.customer_id');
SELECT mesh_outbox.create_term_type('amount', 'crm.amount');
CREATE TABLE crm.customer (id crm.customer_id PRIMARY KEY, credit crm.amount, legacy_no text);
INSERT INTO crm.customer VALUES ('C1', 100, '4711');
INSERT INTO crm.customer VALUES ('1', 100, '4712');
INSERT INTO crm.customer VALUES ('C2', -1, '4713');
SELECT t.typname, format_type(t.typbasetype, NULL) AS base, obj_description(t.oid, 'pg_type') AS description,
       pg_get_constraintdef(c.oid) AS definition
FROM pg_type t JOIN pg_constraint c ON c.contypid = t.oid WHERE t.typname = 'amount';
SELECT mesh_outbox.create_term_type('customer_id', 'crm.customer');
SELECT mesh_outbox.create_term_type('customer', 'crm.x');
SELECT mesh_outbox.create_term_type('customer_id', 'sales.customer_id');
SELECT mesh_outbox.map_term('customer_id', 'crm.customer', 'legacy_no');
SELECT mesh_outbox.map_term('customer_id', 'crm.customer', 'name');
SET ROLE regress_sales;
SELECT mesh_outbox.map_term('customer_id', 'crm.customer', 'legacy_no');
\o /dev/null
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');
SELECT mesh_outbox.create_product('sales.revenue', purpose => 'what they bring in');
SELECT mesh_outbox.set_inputs('sales.revenue', '{sales.orders}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought something',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "customer": {"$ref": "term:customer_id"}, "Buyer": {"type": "string"},
                "friends": {"type": "array", "items": {"$ref": "term:customer_id"}}}, "required": ["id", "customer"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SET ROLE regress_crm;
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'crm@example.org', needs => '{/customer}');
RESET ROLE;
SELECT mesh_outbox.register_consumer('an archive', 'sales.orders', NULL, contact => 'archive@example.org');
\o

-- From the word, and to it.
SET ROLE regress_nobody;
SELECT product, event_type, path, via, topic, outbox, source_column FROM mesh_outbox.term_places
WHERE term = 'customer_id' ORDER BY path, source_column;
SELECT term, via FROM mesh_outbox.term_places WHERE source_column = 'crm.customer.credit';
SELECT term, path FROM mesh_outbox.term_places WHERE topic = 'sales.orders' ORDER BY path;

-- Whom a change concerns.
SELECT * FROM mesh_outbox.impact('sales.orders');
SELECT * FROM mesh_outbox.impact('sales.orders', 'OrderPlaced', '/customer');
SELECT * FROM mesh_outbox.impact('sales.orders', 'OrderPlaced', '/id');
SELECT * FROM mesh_outbox.impact('sales.orders', 'OrderShipped') WHERE kind = 'consumer';
SELECT * FROM mesh_outbox.impact('sales.returns');

-- A word changes; the type follows when it is told to, if the rows allow it.
SET ROLE regress_crm;
SELECT * FROM mesh_outbox.alter_term('amount', schema => '{"type": "integer", "minimum": 200, "maximum": 1000000}');
SELECT term, version, schema, changed_by FROM mesh_outbox.term_versions ORDER BY term, version;
SELECT object, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'type%';
SELECT mesh_outbox.create_term_type('amount', 'crm.amount');
UPDATE crm.customer SET credit = 200;
SELECT mesh_outbox.create_term_type('amount', 'crm.amount');
INSERT INTO crm.customer VALUES ('C3', 100);
SELECT object, problem FROM mesh_outbox.doctor() WHERE object LIKE 'type%';
SELECT * FROM mesh_outbox.alter_term('amount', schema => '{"type": "string"}');
SELECT mesh_outbox.create_term_type('amount', 'crm.amount');

-- A synonym is one term's.
SELECT mesh_outbox.alter_term('amount', synonyms => '{Customer-ID}');
SELECT mesh_outbox.alter_term('customer_id', synonyms => '{buyer,CustomerId}');

-- A word has had its day: proposals that use it are warned.
SELECT mesh_outbox.deprecate_term('customer_id', advice => ' ');
SELECT mesh_outbox.deprecate_term('customer_id', advice => 'use party_id, which suppliers have too');
SELECT name, status, advice FROM mesh_outbox.terms ORDER BY name;
SELECT severity, rule, message FROM mesh_outbox.check_contract('sales.orders', 'OrderShipped', key => '/id', description => 'it left the house',
    schema => '{"type": "object", "properties": {"id": {"$ref": "term:customer_id"}}, "required": ["id"]}');
SELECT mesh_outbox.deprecate_term('customer_id', advice => NULL);
SELECT count(*) AS findings FROM mesh_outbox.check_contract('sales.orders', 'OrderShipped', key => '/id', description => 'it left the house',
    schema => '{"type": "object", "properties": {"id": {"$ref": "term:customer_id"}}, "required": ["id"]}');

-- A word that is in use is not dropped.
SELECT mesh_outbox.drop_term('amount');
DROP DOMAIN crm.amount CASCADE;
SELECT mesh_outbox.drop_term('amount');
SELECT mesh_outbox.drop_term('customer_id');
SELECT mesh_outbox.unmap_term('crm.customer', 'legacy_no');
SELECT source_column FROM mesh_outbox.term_places WHERE source_column IS NOT NULL;

-- Without the extension the rows stay, the checks go.
RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
INSERT INTO crm.customer (id) VALUES ('4');
SELECT id FROM crm.customer ORDER BY id;
DROP SCHEMA sales, crm CASCADE;
DROP ROLE regress_sales, regress_crm, regress_nobody;
