-- Domains and products: who owns what, and what may not be taken away.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_sales_member IN ROLE regress_sales;
CREATE ROLE regress_nobody;

-- An administrator creates domains.
SET ROLE regress_admin;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SELECT name, owner, description FROM mesh_outbox.domains ORDER BY name;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_crm', description => 'again');
SELECT mesh_outbox.create_domain('Sales', owner => 'regress_sales', description => 'a name in capitals');
SELECT mesh_outbox.create_domain(NULL, owner => 'regress_sales', description => 'no name');
SELECT mesh_outbox.create_domain('ops', owner => 'Regress_Ops', description => 'no such role');
SELECT mesh_outbox.create_domain('ops', owner => 'regress_sales', description => ' ');

-- Nobody else does, not even an owner.
SET ROLE regress_sales;
SELECT mesh_outbox.create_domain('more', owner => 'regress_sales', description => 'more for us');
SELECT mesh_outbox.drop_domain('crm');

-- Members of the owning role manage its products.
SET ROLE regress_sales_member;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as they are placed', partitions => 6,
                                  topic_config => '{"retention.ms": 604800000}');
SELECT mesh_outbox.create_product('sales.invoices', purpose => 'what we charge', topic => 'invoices');
SELECT name, domain, owner, topic, partitions, replication, topic_config, content_mode, header_set
FROM mesh_outbox.products ORDER BY name;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'once more');
SELECT mesh_outbox.create_product('crm.customers', purpose => 'not ours');
SELECT mesh_outbox.create_product('logistics.parcels', purpose => 'nobody''s');
SELECT mesh_outbox.create_product('orders', purpose => 'without a domain');

-- What cannot be right on the wire is refused here, not by the broker.
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', topic => 'a b');
-- A topic is one domain's, and some are the extension's.
RESET ROLE;
SET ROLE regress_crm;
SELECT mesh_outbox.create_product('crm.spy', purpose => 'x', topic => 'invoices');
SELECT mesh_outbox.create_product('crm.spy', purpose => 'x', topic => 'mesh_outbox.markers');
RESET ROLE;
SET ROLE regress_sales_member;
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', partitions => 0);
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', replication => 0);
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', content_mode => 'avro');
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', header_set => 'all');
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', topic_config => '[]');
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', topic_config => '{"a": {"b": 1}}');
SELECT mesh_outbox.create_product('sales.x', purpose => 'x', topic_config => '{"max.message.bytes": 1000}');

-- A changed product.
SELECT mesh_outbox.alter_product('sales.invoices', purpose => 'what we charge, and for what', replication => 3);
SELECT name, purpose, replication FROM mesh_outbox.products WHERE name = 'sales.invoices';
SELECT mesh_outbox.alter_product('sales.invoices', header_set => 'none');
SELECT mesh_outbox.alter_product('sales.returns', purpose => 'no such product');
SET ROLE regress_crm;
SELECT mesh_outbox.alter_product('sales.invoices', purpose => 'not yours to say');

-- Everybody reads the catalog, nobody its tables.
SET ROLE regress_nobody;
SELECT name FROM mesh_outbox.products ORDER BY name;
SELECT * FROM mesh_outbox.product;
INSERT INTO mesh_outbox.domain VALUES ('x', 'regress_nobody', 'x');

-- What is depended on cannot be dropped.
SET ROLE regress_admin;
SELECT mesh_outbox.drop_domain('sales');
SELECT mesh_outbox.drop_domain('finance');
RESET ROLE;
DROP ROLE regress_sales;

-- A domain changes hands, and then the role may go.
SET ROLE regress_sales;
SELECT mesh_outbox.alter_domain('sales', description => 'from cart to cash');
SELECT mesh_outbox.alter_domain('sales', owner => 'regress_crm');
SET ROLE regress_admin;
SELECT mesh_outbox.alter_domain('sales', owner => 'regress_crm');
SELECT name, owner, description FROM mesh_outbox.domains ORDER BY name;
RESET ROLE;
DROP ROLE regress_sales_member, regress_sales;

-- A renamed role still owns its domains.
ALTER ROLE regress_crm RENAME TO regress_customers;
SELECT name, owner FROM mesh_outbox.domains ORDER BY name;

SET ROLE regress_customers;
SELECT mesh_outbox.drop_product('sales.orders');
SELECT mesh_outbox.drop_product('sales.invoices');
SELECT mesh_outbox.drop_product('sales.invoices');
SET ROLE regress_admin;
SELECT mesh_outbox.drop_domain('sales');
SELECT mesh_outbox.drop_domain('crm');
SELECT count(*) FROM mesh_outbox.domains;
RESET ROLE;
DROP ROLE regress_admin, regress_customers, regress_nobody;
DROP EXTENSION mesh_outbox;
