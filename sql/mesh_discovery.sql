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
