SET ROLE shop_app;

-- Events that break the contract stop here, in the producer's own transaction.
INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1004", "user_id": 10, "status": "new", "total": -5}');

INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1005", "user_id": 11, "total": 5}');

INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1006", "user_id": 12, "status": "new", "total": 5, "tottal": 6}');

INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderLost', '{"order_id": "A-1007", "user_id": 13}');

-- And what has been said stays said, for superusers too.
RESET ROLE;
DELETE FROM sales.outbox;
