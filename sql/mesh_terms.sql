-- The dictionary: customer_id exists once.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT count(mesh_outbox.set_policy(name, 'suspended')) AS policies FROM mesh_outbox.policies;
RESET client_min_messages;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_crm;
CREATE ROLE regress_sales;
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'customers');
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');

-- A domain owns a word; its examples are checked; a name is taken once.
SET ROLE regress_crm;
SELECT mesh_outbox.create_term('customer_id', '{"type": "string", "format": "uuid"}', domain => 'crm',
    description => 'who bought', examples => '["0190b5a0-0000-7000-8000-000000000000"]', synonyms => '{client_id}');
SELECT mesh_outbox.create_term('Customer', '{"type": "string"}', domain => 'crm', description => 'capitals');
SELECT mesh_outbox.create_term('segment', '{"enum": ["a", "b"]}', domain => 'crm', description => 'group', examples => '["c"]');
SELECT mesh_outbox.create_term('other', '{"type": "strin"}', domain => 'crm', description => 'typo');
SET ROLE regress_sales;
SELECT mesh_outbox.create_term('clientid', '{"type": "integer"}', domain => 'sales', description => 'ours');
SELECT mesh_outbox.create_term('customer_name', '{"type": "string"}', domain => 'crm', description => 'not ours');
SELECT mesh_outbox.alter_term('customer_id', description => 'x');
SELECT mesh_outbox.drop_term('customer_id');
SELECT mesh_outbox.reserve_term('customer_id');

-- A contract refers to it, and keeps the text it was proposed with.
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'ordered',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "customer_id": {"$ref": "term:customer_id"}},
                "required": ["id", "customer_id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT resolved_schema -> '$defs' AS bundled FROM mesh_outbox.contracts;
SELECT keyword, message FROM mesh_outbox.validate('sales.orders', 'OrderPlaced', '{"id": 1, "customer_id": "x"}');
SELECT * FROM mesh_outbox.term_users('customer_id');

-- A change of the word proposes new versions of what uses it; one that breaks
-- them is refused.
SET ROLE regress_crm;
SELECT * FROM mesh_outbox.alter_term('customer_id', schema => '{"type": "string", "format": "uuid", "description": "who bought"}');
SELECT * FROM mesh_outbox.alter_term('customer_id', schema => '{"type": "integer"}', examples => '[1]');
SELECT name, version, schema FROM mesh_outbox.terms;
SELECT event_type, version, status FROM mesh_outbox.contracts ORDER BY version;
SELECT mesh_outbox.drop_term('customer_id');

-- A word may be made of others, and is one in a key or a header as well.
SELECT mesh_outbox.create_term('country', '{"enum": ["de", "fr"]}', domain => 'crm', description => 'where somebody lives');
SELECT mesh_outbox.create_term('address', '{"type": "object", "properties": {"country": {"$ref": "term:country"}}}', domain => 'crm',
    description => 'where a letter goes', examples => '[{"country": "fr"}]');
SELECT mesh_outbox.create_term('shop', '{"type": "string", "maxLength": 5}', domain => 'crm', description => 'which shop');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderMoved', key => '/id', description => 'moved', topic => 'sales.moved',
    key_schema => '{"$ref": "term:shop"}',
    headers => '{"type": "object", "properties": {"shop": {"$ref": "term:shop"}}, "required": ["shop"]}',
    schema => '{"type": "object", "properties": {"id": {"type": "string"}, "to": {"$ref": "term:address"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderMoved', '1.0.0');
SET ROLE regress_crm;
SELECT t.term, u.event_type, u.version FROM (VALUES ('country'), ('address'), ('shop')) t (term), mesh_outbox.term_users(t.term) u;
SELECT mesh_outbox.drop_term('shop');
SELECT mesh_outbox.create_term('letter', '{"type": "object", "properties": {"to": {"$ref": "term:address"}}}', domain => 'crm', description => 'what is sent');
SELECT * FROM mesh_outbox.alter_term('country', schema => '{"enum": ["de"]}');
SELECT * FROM mesh_outbox.alter_term('country', schema => '{"enum": ["de", "fr"], "description": "ISO 3166"}');
SELECT * FROM mesh_outbox.alter_term('shop', schema => '{"type": "string", "maxLength": 5, "description": "as on its door"}');
SELECT name, version FROM mesh_outbox.terms WHERE name IN ('country', 'address', 'letter', 'shop') ORDER BY name;
SELECT version, resolved_schema #>> '{$defs,term:country,description}' AS country, key_schema #>> '{$defs,term:shop,description}' AS key,
       headers #>> '{$defs,term:shop,description}' AS header
FROM mesh_outbox.contracts WHERE event_type = 'OrderMoved' ORDER BY contract_id;
SET ROLE regress_sales;
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderMoved', v) FROM unnest('{1.1.0,1.2.0}'::text[]) v;
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderMoved', '1.0.0');
SET ROLE regress_crm;
SELECT mesh_outbox.drop_term('country');
SELECT mesh_outbox.drop_term(t) FROM unnest('{letter,address,country,shop}'::text[]) t;

-- Reserved: it binds by name, whoever refers to it or not.
SET ROLE regress_sales;
SELECT severity, rule, path, breaks, message, hint FROM mesh_outbox.check_contract('sales.orders', 'OrderLost', key => '/id', description => 'lost',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "clientId": {"type": "integer"}}, "required": ["id"]}');
SET ROLE regress_admin;
SELECT mesh_outbox.reserve_term('customer_id');
SET ROLE regress_sales;
SELECT severity, rule, path, breaks, message, hint FROM mesh_outbox.check_contract('sales.orders', 'OrderLost', key => '/id', description => 'lost',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "clientId": {"type": "integer"}}, "required": ["id"]}');
SELECT count(*) AS narrower_is_fine FROM mesh_outbox.check_contract('sales.orders', 'OrderLost', key => '/id', description => 'lost',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "CUSTOMER_ID": {"type": "string", "format": "uuid", "pattern": "^0"}}, "required": ["id"]}');
SELECT mesh_outbox.grant_term_exception('customer_id', 'sales.orders', reason => 'the old shop counts', until => current_date + 1);
SET ROLE regress_crm;
SELECT mesh_outbox.grant_term_exception('customer_id', 'sales.orders', reason => 'the old shop counts', until => '2000-01-01');
SELECT mesh_outbox.grant_term_exception('customer_id', 'sales.orders', reason => 'the old shop counts', until => current_date + 1);
SELECT term, product, reason, granted_by FROM mesh_outbox.term_exceptions;
SELECT count(*) AS excepted FROM mesh_outbox.check_contract('sales.orders', 'OrderLost', key => '/id', description => 'lost',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "clientId": {"type": "integer"}}, "required": ["id"]}');

-- The same event name in two domains.
SELECT mesh_outbox.create_product('crm.orders', purpose => 'another view');
SELECT severity, rule, breaks, message FROM mesh_outbox.check_contract('crm.orders', 'orderPlaced', key => '/id', description => 'x',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');

RESET ROLE;
SELECT mesh_outbox.drop_domain('crm');
SELECT mesh_outbox.drop_product('crm.orders');
SELECT mesh_outbox.drop_domain('crm');
DROP EXTENSION mesh_outbox;
DROP ROLE regress_admin, regress_crm, regress_sales;
