SET ROLE shop_app;

-- Events that break the contract stop here, in the producer's own transaction.
INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1004", "status": "new", "total": -5}');

INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1005", "total": 5}');

INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "A-1006", "status": "new", "total": 5, "tottal": 6}');

INSERT INTO sales.outbox (event_type, payload)
VALUES ('OrderLost', '{"order_id": "A-1007"}');

-- And what has been said stays said, for superusers too.
RESET ROLE;
DELETE FROM sales.outbox;
