-- Consumers say what they rely on, and a change that would break them is
-- refused by name; one that does not is announced before it is in force.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC'; -- a day has 24 hours, always
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT count(mesh_outbox.set_policy(name, 'suspended')) AS policies FROM mesh_outbox.policies;
RESET client_min_messages;
CREATE ROLE regress_sales;
CREATE ROLE regress_shipping;
CREATE ROLE regress_billing;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SELECT mesh_outbox.create_domain('shipping', owner => 'regress_shipping', description => 'parcels');
SELECT mesh_outbox.create_domain('billing', owner => 'regress_billing', description => 'invoices');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');

-- What may be registered, and by whom.
SET ROLE regress_shipping;
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id,/address/city}', reads => '{/note}');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'x', needs => '{/note}');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderGone', contact => 'x');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => '');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', NULL, contact => 'x', needs => '{/note}');
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', contact => 'x');
SELECT mesh_outbox.register_consumer('someone', 'sales.orders', 'OrderPlaced', contact => 'x');
SET ROLE regress_billing;
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', contact => 'invoices@example.org',
    expectation => '{"properties": {"user_id": {"type": "integer", "minimum": 1}}, "required": ["user_id"]}');
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', contact => 'invoices@example.org',
    expectation => '{"properties": {"user_id": {"type": "integer"}}, "required": ["user_id"]}');
SET ROLE regress_sales;
SELECT mesh_outbox.register_consumer('reports', 'sales.orders', NULL, contact => 'no login here', kafka_group => 'reports');
SELECT consumer, event_type, major, fields, expectation, contact, registered_by FROM mesh_outbox.consumers ORDER BY consumer;

-- Scene one: user_id becomes a uuid.
SELECT severity, rule, path, breaks, message, counterexample
FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "string", "format": "uuid"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "string", "format": "uuid"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');
-- As a new major it breaks nobody.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered', version => '2.0.0',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "string", "format": "uuid"}},
                "required": ["order_id", "user_id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT version, topic FROM mesh_outbox.contracts WHERE in_force ORDER BY version;

-- An optional field that a consumer reads if present cannot go in silence.
SELECT rule, path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/order_id', version => '1.1.0',
    description => 'a customer placed an order', schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]}},
                "required": ["order_id", "user_id", "address"]}');
-- One that nobody names may, once the producers stopped sending it.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'without zip', version => '1.1.0',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');
SELECT version, severity, rule, path, message FROM mesh_outbox.findings;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderPlaced', '1.1.0');

-- Scene two: an optional discount_code.  Its consumers are told first.
BEGIN;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'with a discount', version => '1.1.0',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}, "discount_code": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');
SAVEPOINT s;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
ROLLBACK TO s;
COMMIT;
SELECT consumer, version, status, contact, notice_until, acknowledged_at FROM mesh_outbox.notifications ORDER BY consumer;

-- Who objects blocks, until he withdraws or the owner says why not.
SET ROLE regress_shipping;
SELECT mesh_outbox.object('shipping', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'our parser is strict');
SELECT mesh_outbox.object('billing', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'in their name');
SELECT mesh_outbox.override_objection('shipping', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'mine to say?');
SET ROLE regress_sales;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SET ROLE regress_shipping;
SELECT mesh_outbox.acknowledge('shipping', 'sales.orders', 'OrderPlaced', '1.1.0');
SET ROLE regress_billing;
SELECT mesh_outbox.object('billing', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'holidays');
SET ROLE regress_sales;
SELECT mesh_outbox.override_objection('billing', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'nothing they read changes');
SELECT mesh_outbox.override_objection('shipping', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'x');
SELECT consumer, acknowledged_by, objection, objected_by, override_reason FROM mesh_outbox.notifications ORDER BY consumer;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT version FROM mesh_outbox.contracts WHERE in_force ORDER BY version;
SELECT mesh_outbox.acknowledge('reports', 'sales.orders', 'OrderPlaced', '1.1.0');

-- A breaking change under the same major takes a reason, and time.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'user_id as text', version => '1.2.0',
    override_reason => 'the old numbers run out tonight', notice => '1 hour',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": ["integer", "string"]},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}, "discount_code": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'user_id as text', version => '1.2.0',
    override_reason => 'the old numbers run out',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": ["integer", "string"]},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}, "discount_code": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');
SELECT version, rule, path, breaks FROM mesh_outbox.findings WHERE version = '1.2.0';
SELECT consumer, notice_until - created_at AS notice FROM mesh_outbox.notifications WHERE version = '1.2.0' ORDER BY consumer;
\set VERBOSITY terse
DO $$ BEGIN
    PERFORM mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.2.0');
EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE '%', split_part(SQLERRM, ' until', 1); END $$;
\set VERBOSITY default
-- All acknowledged: no need to wait.
SELECT mesh_outbox.acknowledge('reports', 'sales.orders', 'OrderPlaced', '1.2.0');
SET ROLE regress_shipping;
SELECT mesh_outbox.acknowledge('shipping', 'sales.orders', 'OrderPlaced', '1.2.0');
SET ROLE regress_billing;
SELECT mesh_outbox.acknowledge('billing', 'sales.orders', 'OrderPlaced', '1.2.0');
SET ROLE regress_sales;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.2.0');
SELECT version FROM mesh_outbox.contracts WHERE in_force ORDER BY version;

-- A changed key breaks order, whatever the schema says.
SELECT rule, path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/user_id', version => '1.3.0',
    description => 'a customer placed an order', schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": ["integer", "string"]},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "note": {"type": "string"}, "discount_code": {"type": "string"}},
                "required": ["order_id", "user_id", "address"]}');

-- What consumers rely on is not dropped.
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.2.0');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.2.0', force_reason => 'the shop closes');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT mesh_outbox.drop_product('sales.orders');
SELECT mesh_outbox.unregister_consumer('reports', 'sales.orders', NULL);
SELECT mesh_outbox.unregister_consumer('reports', 'sales.orders', NULL);
SELECT mesh_outbox.unregister_consumer('shipping', 'sales.orders', 'OrderPlaced');
RESET ROLE;
SELECT mesh_outbox.unregister_consumer('shipping', 'sales.orders', 'OrderPlaced');
SELECT mesh_outbox.unregister_consumer('billing', 'sales.orders', 'OrderPlaced');
SELECT mesh_outbox.drop_product('sales.orders');
DROP EXTENSION mesh_outbox;
DROP ROLE regress_sales, regress_shipping, regress_billing;
