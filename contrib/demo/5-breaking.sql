-- A new user service: user_id becomes a uuid.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', version => '1.2.0',
    description => 'a customer has ordered, perhaps with a discount', key => '/order_id',
    schema => :'uuid_schema');

-- The same as a table, without asking for anything: whom would it break?
SELECT rule, path, breaks, counterexample ->> 'user_id' AS for_example
FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', version => '1.2.0', key => '/order_id',
    description => 'a customer has ordered, perhaps with a discount', schema => :'uuid_schema')
WHERE severity = 'error';

-- A new major is a stream of its own, so it asks for nobody's consent.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', version => '2.0.0',
    description => 'a customer has ordered, perhaps with a discount', key => '/order_id',
    schema => :'uuid_schema');

-- But the old one owes its consumers every event.  What they get of a new one
-- says a function, which is tried on the contracts before it is accepted.
CREATE FUNCTION sales.with_number(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
    RETURN payload || jsonb_build_object('user_id', 1 + ('x' || right(payload ->> 'user_id', 6))::bit(24)::int);
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.with_number');
CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '2.0.0');

-- The end of the old one is announced, ninety days ahead.
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT consumer, version, kind, (SELECT sunset_at::date - current_date FROM mesh_outbox.contracts c
                                 WHERE c.version = n.version) AS days_left
FROM mesh_outbox.notifications n WHERE kind = 'deprecation';

-- One INSERT, an event in each topic; and who still sends the old one may.
INSERT INTO sales.outbox (event_type, major_version, payload)
VALUES ('OrderPlaced', 2, '{"order_id": "B-2003", "user_id": "0b5e0c9a-5d0f-4c43-8c0e-0000000004d2", "status": "new", "total": 5}');
INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1009", "user_id": 15, "status": "new", "total": 8}');

-- It cannot be ended under anybody's feet.
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.1.0');

-- The consumers move on; and as a demo does not wait ninety days, with a reason:
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', major => 2,
    contact => 'invoices@example.org', needs => '{/order_id,/user_id,/total}');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', major => 2,
    contact => 'parcels@example.org', needs => '{/order_id}', reads => '{/status}');
SELECT mesh_outbox.unregister_consumer('billing', 'sales.orders', 'OrderPlaced', major => 1);
SELECT mesh_outbox.unregister_consumer('shipping', 'sales.orders', 'OrderPlaced', major => 1);
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.1.0', force_reason => 'all have moved');

-- The old stream has ended, and with it the conversion.
INSERT INTO sales.outbox (event_type, major_version, payload)
VALUES ('OrderPlaced', 1, '{"order_id": "A-1010", "user_id": 16, "status": "new", "total": 8}');
INSERT INTO sales.outbox (event_type, major_version, payload)
VALUES ('OrderPlaced', 2, '{"order_id": "B-2005", "user_id": "0b5e0c9a-5d0f-4c43-8c0e-0000000004d3", "status": "gift", "total": 6}');
