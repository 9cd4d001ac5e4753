-- Who owns the business area, and who writes its events.
CREATE ROLE sales_team NOLOGIN;
CREATE ROLE shop_app LOGIN;

CREATE EXTENSION mesh_outbox;

-- Once per Kafka cluster: where events go.
SELECT mesh_outbox.create_publisher('main', brokers => :'brokers');

-- What the sales domain offers to others: one Kafka topic.
SELECT mesh_outbox.create_domain('sales', owner => 'sales_team',
    description => 'Everything between the cart and the invoice');
SELECT mesh_outbox.create_product('sales.orders',
    purpose => 'Facts about orders, for fulfilment and analytics', partitions => 3);

-- What an OrderPlaced promises, in force from here on.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', version => '1.0.0',
    description => 'a customer has ordered', key => '/order_id',
    schema => '{
        "type": "object",
        "properties": {
            "order_id": {"type": "string", "minLength": 1},
            "user_id":  {"type": "integer", "minimum": 1},
            "status":   {"enum": ["new", "gift"]},
            "total":    {"type": "number", "minimum": 0}
        },
        "required": ["order_id", "user_id", "status", "total"]
    }');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');

-- A table to insert events into.
CREATE SCHEMA sales;
GRANT USAGE ON SCHEMA sales TO sales_team, shop_app;
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SELECT mesh_outbox.grant_publish('sales.orders', 'shop_app');
