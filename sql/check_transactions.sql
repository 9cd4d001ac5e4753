-- The check in every kind of transaction; enforcement; readiness.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE SCHEMA check_transactions;
\o /dev/null
SELECT mesh_outbox.create_domain('check', owner => current_user, description => 'tests of the check');
SELECT mesh_outbox.create_product('check.orders', purpose => 'what customers order');
SELECT mesh_outbox.create_outbox('check_transactions.outbox', product => 'check.orders');
\o

-- A migration tool wraps everything in one transaction: the contract is in
-- force for the statements that follow, and gone after a rollback.
BEGIN;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1}');
ROLLBACK;
BEGIN;
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPlaced', key => '/order_id', description => 'a customer placed an order', schema => '{
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "integer"}, "gift": {"type": "boolean"}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.0.0');
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1}') RETURNING key;
ROLLBACK;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1}');
-- The same in a savepoint.
BEGIN;
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPlaced', key => '/order_id', description => 'a customer placed an order', schema => '{
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "integer"}, "gift": {"type": "boolean"}}}');
SAVEPOINT activated;
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.0.0');
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1}') RETURNING key;
ROLLBACK TO activated;
SAVEPOINT refused;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1}');
ROLLBACK TO refused;
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.0.0');
COMMIT;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 2}') RETURNING key;

BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 3}') RETURNING key;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{}');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 4}') RETURNING key;
-- The check's own look-ups leave no predicate locks.
SELECT relation::regclass FROM pg_locks WHERE mode = 'SIReadLock' AND relation::regclass::text LIKE 'mesh_outbox.%';
COMMIT;
BEGIN READ ONLY;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 4}');
ROLLBACK;

BEGIN;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 5}');
SAVEPOINT a;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 6}');
ROLLBACK TO a;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 7}');
PREPARE TRANSACTION 'check_transactions';
BEGIN;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 8}');
PREPARE TRANSACTION 'check_transactions_lost';
ROLLBACK PREPARED 'check_transactions_lost';
COMMIT PREPARED 'check_transactions';
SELECT key FROM check_transactions.outbox ORDER BY key;

-- Enforcement: what happens to an event that breaks its contract.
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "x"}');
-- quarantine: it is kept, and goes to the dead letters instead of the topic.
UPDATE mesh_outbox.contract SET enforcement = 'quarantine' WHERE product = 'check.orders';
INSERT INTO check_transactions.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": 9}'), ('OrderPlaced', '{"order_id": "x"}'), ('OrderPlaced', '{}')
RETURNING payload, key, sign(contract_id) AS sign;
-- observe: it passes.
UPDATE mesh_outbox.contract SET enforcement = 'observe' WHERE product = 'check.orders';
INSERT INTO check_transactions.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "x"}'), ('OrderPlaced', '{}')
RETURNING payload, key, sign(contract_id) AS sign;
-- off: it passes, and nobody looks.
UPDATE mesh_outbox.contract SET enforcement = 'off' WHERE product = 'check.orders';
INSERT INTO check_transactions.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "x"}'), ('OrderPlaced', '{}')
RETURNING payload, key, sign(contract_id) AS sign;
-- What is wrong with the row, not with the payload, is always refused.
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlced', '{"order_id": 1}');
INSERT INTO check_transactions.outbox (event_type, payload, key) VALUES ('OrderPlaced', '{"order_id": 1}', '2');
INSERT INTO check_transactions.outbox (event_type, payload, headers) VALUES ('OrderPlaced', '{"order_id": 1}', '[]');
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', NULL);
-- How many there were, in breach of their contract.
SELECT product, event_type, version, refused, quarantined, observed, last_at > now() - interval '1 hour' AS recently
FROM mesh_outbox.violations WHERE product = 'check.orders';
UPDATE mesh_outbox.contract SET enforcement = 'enforce' WHERE product = 'check.orders';

-- A newer minor version is in force from its activation on.
\o /dev/null
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPlaced', key => '/order_id', description => 'a customer placed an order', schema => '{
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "integer"}, "gift": {"type": "boolean"},
                   "discount_code": {"type": "string"}}}');
\o
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1, "discount_code": "X"}');
-- (Some stored events passed while nothing was enforced.)
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.1.0', producers_ready => true);
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1, "discount_code": "X"}')
RETURNING (SELECT version FROM mesh_outbox.contracts c WHERE c.contract_id = outbox.contract_id);

-- Readiness: an event that is inserted before the publisher's slot exists
-- would never be published, so it is refused.
-- (A publisher of another server, so that none is started here.)
INSERT INTO mesh_outbox.publisher (publisher_id, name, brokers, system_identifier, database_oid, paused)
VALUES (1000000, 'check', 'nowhere:9092', 1, 1, true);
\o /dev/null
SELECT mesh_outbox.set_outbox_publisher('check_transactions.outbox', 'check');
\o
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 30}');
INSERT INTO mesh_outbox.progress (publisher_id, system_identifier, database_oid, slot_name, ready_lsn, lsn,
    marker_lsn, marker_xid, marker_time)
SELECT 1000000, system_identifier, d.oid, 'x', '0/1', '0/1', '0/1', 0, 0
FROM pg_control_system(), pg_database d WHERE datname = current_database();
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 31}') RETURNING key;
-- Of another server: a copy whose publisher has not been taken over.
UPDATE mesh_outbox.progress SET system_identifier = 1 WHERE publisher_id = 1000000;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 32}');
DELETE FROM mesh_outbox.progress WHERE publisher_id = 1000000;
INSERT INTO check_transactions.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 33}');

\o /dev/null
SELECT mesh_outbox.drop_outbox('check_transactions.outbox', lose_events => true);
DELETE FROM mesh_outbox.publisher WHERE publisher_id = 1000000;
SELECT mesh_outbox.retire_contract('check.orders', 'OrderPlaced', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.retire_contract('check.orders', 'OrderPlaced', '1.1.0', force_reason => 'test');
SELECT mesh_outbox.drop_product('check.orders');
SELECT mesh_outbox.drop_domain('check');
\o
DROP SCHEMA check_transactions;
