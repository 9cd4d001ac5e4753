-- Teams say what they rely on, so that no change breaks it unseen.
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced',
    contact => 'invoices@example.org', needs => '{/order_id,/user_id,/total}');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced',
    contact => 'parcels@example.org', needs => '{/order_id}', reads => '{/status}');

-- What changes in the mesh is told in a topic, too.
SELECT mesh_outbox.enable_governance_topic();

-- Marketing wants a discount code in every order that has one.  It is checked
-- against both consumers, and breaks nobody.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', version => '1.1.0',
    description => 'a customer has ordered, perhaps with a discount', key => '/order_id',
    schema => '{
        "type": "object",
        "properties": {
            "order_id":      {"type": "string", "minLength": 1},
            "user_id":       {"type": "integer", "minimum": 1},
            "status":        {"enum": ["new", "gift"]},
            "total":         {"type": "number", "minimum": 0},
            "discount_code": {"type": "string", "maxLength": 20}
        },
        "required": ["order_id", "user_id", "status", "total"]
    }');

-- It is not in force yet, but its consumers have been told, and may object.
SELECT version, status, in_force FROM mesh_outbox.contracts WHERE event_type = 'OrderPlaced';
SELECT consumer, version, kind, contact FROM mesh_outbox.notifications;
SELECT mesh_outbox.acknowledge('billing', 'sales.orders', 'OrderPlaced', '1.1.0');

-- In force from this commit on, between two events.
CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '1.1.0');
INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1001", "user_id": 7, "status": "new", "total": 39.90, "discount_code": "SPRING"}');
