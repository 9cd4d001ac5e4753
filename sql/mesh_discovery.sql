-- Finding what there is, who would notice a change, and what waits for me.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_nobody;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
\o /dev/null
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SELECT mesh_outbox.create_term('customer_id', '{"type": "string", "format": "uuid", "description": "who bought"}',
                               domain => 'crm', description => 'identifies a customer', synonyms => '{client_id}');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them', partitions => 3);
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"order_id": {"type": "integer"}, "customer_id": {"$ref": "term:customer_id"},
                "gift": {"type": "boolean", "description": "wrapped as a present"}}, "required": ["order_id", "customer_id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SET ROLE regress_crm;
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'crm@example.org', needs => '{/customer_id}');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'somebody bought',
    schema => '{"type": "object", "properties": {"order_id": {"type": "integer"}, "customer_id": {"$ref": "term:customer_id"},
                "gift": {"type": "boolean", "description": "wrapped as a present"}, "discount_code": {"type": "string"}},
                "required": ["order_id", "customer_id"]}');
\o
-- Everybody may look.
SET ROLE regress_nobody;
SELECT kind, name, owner FROM mesh_outbox.search_catalog('customers');
SELECT kind, name FROM mesh_outbox.search_catalog('order');
SELECT kind, name FROM mesh_outbox.search_catalog('present') ORDER BY name;
SELECT kind, name FROM mesh_outbox.search_catalog('client_id');
SELECT kind, name FROM mesh_outbox.search_catalog('nonsense');
SELECT kind, name FROM mesh_outbox.search_catalog('quote''s "and" \ : & | ! (');
SELECT * FROM mesh_outbox.describe_product('sales.orders');
SELECT * FROM mesh_outbox.describe_product('sales.returns');
SELECT * FROM mesh_outbox.who_uses('/customer_id');
SELECT * FROM mesh_outbox.who_uses('Gift');
SELECT version, level, change FROM mesh_outbox.release_notes('sales.orders', 'OrderPlaced');

-- Release notes tell of everything that a version says, and of what is
-- promised for the product as a whole.
SET ROLE regress_sales;
\o /dev/null
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/id', description => 'somebody paid', topic => 'sales.paid',
    max_lateness => '1 hour', anomalies => '[{"path": "/sum", "rule": "maximum", "action": "observe"}, {"path": "/sum", "rule": "minimum", "action": "observe"}]',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "sum": {"type": "integer", "minimum": 0, "maximum": 9}, "email": {"type": "string", "x-privacy": "personal"}},
                "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '1.0.0');
SELECT mesh_outbox.alter_product('sales.orders', retention => '30 days', quality => '{"events_per_day": 10, "null_rate": {"/sum": 0.05}}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', version => '2.0.0', key => '/sum', description => 'the bank says that somebody paid',
    event_time => '/at', max_lateness => '2 days', key_schema => '{"type": "string", "maxLength": 3}', open => true, compatibility => 'BACKWARD',
    headers => '{"type": "object", "properties": {"trace": {"type": "string"}}, "required": ["trace"]}',
    anomalies => '[{"path": "/sum", "rule": "maximum", "action": "quarantine"}]',
    schema => '{"type": "object", "properties": {"id": {"type": "integer", "x-privacy": "internal"}, "sum": {"type": "integer", "minimum": 0, "maximum": 9},
                "email": {"type": "string"}, "at": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '2.0.0');
CREATE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN payload - 'at'::text;
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPaid', 2, 1, 'sales.as_v1');
SELECT mesh_outbox.set_review('sales.orders', 'OrderPaid', due => '2099-01-01');
SELECT mesh_outbox.alter_product('sales.orders', retention => '7 days', quality => '{"null_rate": {"/sum": 0.01}}');
SELECT mesh_outbox.drop_conversion('sales.orders', 'OrderPaid', 2, 1);
\o
SET ROLE regress_nobody;
SELECT version, level, change FROM mesh_outbox.release_notes('sales.orders', 'OrderPaid');

-- What waits for whom.
SELECT what, version FROM mesh_outbox.todo();
SET ROLE regress_crm;
SELECT what, product, event_type, version, consumer, how FROM mesh_outbox.todo();
SELECT mesh_outbox.object('crm', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'not now');
SELECT what FROM mesh_outbox.todo();
SET ROLE regress_sales;
SELECT what, version, consumer, how FROM mesh_outbox.todo() ORDER BY what;

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_sales, regress_crm, regress_nobody;
