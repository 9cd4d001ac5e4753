-- The life of a contract: draft, proposed, active, deprecated, retired.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE regress_sales;
CREATE ROLE regress_other;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders', partitions => 6, replication => 3);

SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id',
    event_time => '/placed_at', description => 'a customer placed an order', schema => '{
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "placed_at": {"type": "string", "format": "date-time"}},
    "required": ["order_id", "placed_at"]}');
SELECT event_type, version, status, in_force, enforcement, compatibility, key, event_time, topic, partitions,
       ce_type, ce_source, ce_dataschema
FROM mesh_outbox.contracts \gx

-- What a proposal must say, and how.
SELECT mesh_outbox.propose_contract('sales.returns', 'R', key => '/id', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'order placed', key => '/id', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => 'order_id', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => NULL, schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/a', event_time => '/b~2', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/a', schema => NULL);
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', version => '1.1', description => 'a customer placed an order', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', version => '01.1.0', description => 'a customer placed an order', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', compatibility => 'SOME', description => 'a customer placed an order', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', enforcement => 'warn', description => 'a customer placed an order', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', version => '1.0.0',
    description => 'a customer placed an order', schema => '{"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}');

-- What happened in the business is said in every contract, there or in its schema.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/order_id', schema => '{"type": "object"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/order_id', description => E' \t\n',
    schema => '{"type": "object", "description": ""}');
SELECT * FROM mesh_outbox.check_contract('sales.orders', 'OrderPaid', key => '/order_id', schema => 'true');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/order_id', schema => '{
    "description": "a customer paid", "type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/order_id', description => 'the bank confirmed', schema => '{
    "description": "a customer paid", "type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}');
SELECT version, description FROM mesh_outbox.contracts WHERE event_type = 'OrderPaid' ORDER BY contract_id;
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderPaid', version) FROM mesh_outbox.contracts WHERE event_type = 'OrderPaid';

-- Nobody else proposes, activates or retires for us.
SET ROLE regress_other;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', schema => '{"type": "object"}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'off', 'because');

-- The first activation works inside a transaction, as migration tools need it.
SET ROLE regress_sales;
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
BEGIN;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
COMMIT;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderGone', '1.0.0');

-- Later ones are numbered for us; the highest that is active is in force.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', event_time => '/placed_at', description => 'a customer placed an order', schema => '{
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "placed_at": {"type": "string", "format": "date-time"},
                   "discount_code": {"type": "string"}},
    "required": ["order_id", "placed_at"]}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', event_time => '/placed_at', description => 'a customer placed an order', schema => '{
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "placed_at": {"type": "string", "format": "date-time"},
                   "discount_code": {"type": "string"}, "note": {"type": "string"}},
    "required": ["order_id", "placed_at"]}');
CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '1.2.0');
SELECT version, status, in_force FROM mesh_outbox.contracts ORDER BY contract_id;
-- The proposal below it is superseded.
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT end_reason FROM mesh_outbox.contracts WHERE version = '1.1.0';
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderPlaced', '1.2.0');

-- A new major is a stream of its own.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', version => '2.0.0', description => 'a customer placed an order', schema => '{
    "type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT version, status, in_force, topic, ce_type FROM mesh_outbox.contracts ORDER BY contract_id;

-- Deprecated is still in force; retired takes the versions below with it.
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.2.0');
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.2.0');
SELECT version, status, in_force FROM mesh_outbox.contracts ORDER BY contract_id;
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.2.0', force_reason => 'nobody came');
SELECT version, status, in_force FROM mesh_outbox.contracts ORDER BY contract_id;

-- Enforcement changes with a reason.
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '2.0.0', 'observe', 'roll-out');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '2.0.0', 'enforce', '');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '2.0.0', 'strict', 'roll-out');
SELECT version, enforcement FROM mesh_outbox.contracts WHERE in_force;

-- Not even a superuser changes what was promised.
RESET ROLE;
UPDATE mesh_outbox.contract SET topic = 'elsewhere', key_pointer = '/b';
UPDATE mesh_outbox.contract SET event_time_pointer = '/at' WHERE event_time_pointer IS NULL;

-- The product's new settings are for later proposals.
SET ROLE regress_sales;
SELECT mesh_outbox.alter_product('sales.orders', content_mode => 'structured', topic_config => '{"cleanup.policy": "compact"}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', version => '3.0.0', topic => 'orders.v3', description => 'a customer placed an order', schema => '{
    "type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}, "required": ["id"]}');
RESET ROLE;
SELECT major, minor, topic, content_mode, topic_config FROM mesh_outbox.contract ORDER BY contract_id;

SELECT mesh_outbox.drop_product('sales.orders');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT mesh_outbox.drop_product('sales.orders');
SELECT count(*) FROM mesh_outbox.contracts;
SELECT mesh_outbox.drop_domain('sales');
DROP ROLE regress_sales, regress_other;
DROP EXTENSION mesh_outbox;
