SET ROLE shop_app;

-- The event commits or rolls back with the rest of the transaction.
BEGIN;
INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1001", "user_id": 7, "status": "new",  "total": 49.90}'),
       ('OrderPlaced', '{"order_id": "A-1002", "user_id": 8, "status": "gift", "total": 12}');
COMMIT;

BEGIN;
INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1003", "user_id": 9, "status": "new", "total": 7.5}');
ROLLBACK;

INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1001", "user_id": 7, "status": "gift", "total": 49.90}');
