-- How a consumer says what it relies on: also by an example, and also what is
-- not there yet.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_shipping;
\o /dev/null
SELECT count(mesh_outbox.set_policy(name, 'suspended')) FROM mesh_outbox.policies;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SELECT mesh_outbox.create_domain('shipping', owner => 'regress_shipping', description => 'parcels');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "tags": {"type": "array", "items": {"type": "string"}}, "note": {"type": "string"}},
                "required": ["order_id", "user_id", "address", "tags"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
\o
RESET client_min_messages;

-- An example: all that is in it is needed, of the same type.
SET ROLE regress_shipping;
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    example => '{"order_id": "A-1", "address": {"city": "Ulm"}, "tags": ["x"]}');
SELECT fields, expectation FROM mesh_outbox.consumers;
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    example => '{"order_id": 1}');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    example => '{"order_id": "A-1", "note": "ring twice"}');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'x', example => '{"order_id": "A"}', needs => '{/note}');

-- What is not declared is a wish: it stays pending, with what is nearest to it.
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id,/adress/city,/weight}');
SELECT fields, pending, expectation FROM mesh_outbox.consumers;
SELECT what, consumer FROM mesh_outbox.todo();
SET ROLE regress_sales;
SELECT what, consumer, how FROM mesh_outbox.todo();

-- A version that declares it, and the consumer may rely on it.
SET client_min_messages = warning;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]},
                "tags": {"type": "array", "items": {"type": "string"}}, "note": {"type": "string"}, "weight": {"type": "number"}},
                "required": ["order_id", "user_id", "address", "tags"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SET ROLE regress_shipping;
SELECT what, consumer, how FROM mesh_outbox.todo();
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id,/address/city}', reads => '{/weight}');
SELECT fields, pending FROM mesh_outbox.consumers;
SELECT what, consumer FROM mesh_outbox.todo();

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP ROLE regress_sales, regress_shipping;
