-- What the check refuses, and what it says: the errors of a domain team.
SET client_min_messages = warning;
-- Where in our own functions an error arises is no business of these tests.
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE SCHEMA check_refused;
CREATE ROLE check_refused_team;
GRANT CREATE, USAGE ON SCHEMA check_refused TO check_refused_team;
\o /dev/null
SELECT mesh_outbox.create_domain('check', owner => 'check_refused_team', description => 'tests of the check');
SET ROLE check_refused_team;
SELECT mesh_outbox.create_product('check.orders', purpose => 'what customers order');
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPlaced', key => '/order_id', description => 'a customer placed an order', schema => '{
    "type": "object",
    "required": ["order_id", "lines"],
    "properties": {
        "order_id": {"type": ["integer", "string", "null", "array", "object"]},
        "currency": {"enum": ["EUR", "USD"]},
        "lines": {"type": "array", "minItems": 1, "items": {
            "type": "object",
            "required": ["sku", "qty"],
            "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
                           "qty": {"type": "integer", "minimum": 1}}}}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.propose_contract('check.orders', 'OrderShipped', key => '/order_id',
    event_time => '/shipped_at', description => 'an order left the warehouse', schema => '{
    "type": "object",
    "properties": {"order_id": {"type": "integer"}, "shipped_at": {"type": ["string", "integer"]}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderShipped', '1.0.0');
SELECT mesh_outbox.create_outbox('check_refused.outbox', product => 'check.orders');
\o

-- The payload breaks the contract: which event, which contract, where, what
-- was found and what is allowed.
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 1, "lines": [{"sku": "AB-1", "qty": 2}, {"sku": "AB-2", "qty": 0}]}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 1, "lines": []}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 1}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 1, "currency": "DEM", "lines": [{"sku": "AB-1", "qty": 2}]}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 1, "lines": [{"sku": "ab1", "qty": 2}]}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 1, "lines": [{"sku": "AB-1", "qty": "two"}]}');
-- A contract is closed: a property that it does not declare is a slip.
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 1, "curency": "EUR", "lines": [{"sku": "AB-1", "qty": 2}]}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', '[]');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', '17');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', 'null');

-- All that is wrong with a payload, without inserting it.
SELECT instance_pointer, schema_pointer, keyword, message, found FROM mesh_outbox.validate('check.orders', 'OrderPlaced',
    '{"currency": "DEM", "lines": [{"sku": "AB-1", "qty": 0}, {"sku": 1}], "extra": true}');
SELECT * FROM mesh_outbox.validate('check.orders', 'OrderPlaced',
    '{"order_id": 1, "lines": [{"sku": "AB-1", "qty": 1}]}');
SELECT instance_pointer, keyword, message, hint FROM mesh_outbox.validate('check.orders', 'OrderShipped',
    '{"shipped_at": "now"}', version => '1.0.0');
SELECT * FROM mesh_outbox.validate('check.orders', 'OrderShipped', '{}', version => '1.0.1');
SELECT * FROM mesh_outbox.validate('check.orders', 'OrderPlacd', '{}');

-- Programs find the outbox, the column and the violated rule in the error.
\set VERBOSITY sqlstate
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1, "lines": []}');
\set VERBOSITY default
DO $$
DECLARE
    schema_name text; table_name text; column_name text; rule text;
BEGIN
    INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1, "lines": []}');
EXCEPTION WHEN check_violation THEN
    GET STACKED DIAGNOSTICS schema_name = SCHEMA_NAME, table_name = TABLE_NAME,
        column_name = COLUMN_NAME, rule = CONSTRAINT_NAME;
    RAISE WARNING '%.%.%: %', schema_name, table_name, column_name, rule;
END
$$;

-- No payload, no event type.
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', NULL);
INSERT INTO check_refused.outbox (payload) VALUES ('{}');

-- An event type that nobody declared.
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlacd', '{}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('orderplaced', '{}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('CustomerMoved', '{}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('', '{}');
INSERT INTO check_refused.outbox (event_type, payload) VALUES (repeat('x', 1000), '{}');

-- A contract that is proposed is not in force yet; one that is retired is no
-- longer.
\o /dev/null
SELECT mesh_outbox.propose_contract('check.orders', 'OrderReturned', key => '/order_id', description => 'a customer sent an order back', schema => '{
    "type": "object", "properties": {"order_id": {"type": "integer"}}}');
\o
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderReturned', '{"order_id": 1}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderReturned', '1.0.0');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderReturned', '{"order_id": 1}');
SELECT mesh_outbox.retire_contract('check.orders', 'OrderReturned', '1.0.0', force_reason => 'test');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderReturned', '{"order_id": 1}');

-- Major versions: a row names one, or means the one that was in force first.
\o /dev/null
SELECT mesh_outbox.propose_contract('check.orders', 'OrderShipped', version => '2.0.0', key => '/id', description => 'an order left the warehouse', schema => '{
    "type": "object", "properties": {"id": {"type": "string"}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderShipped', '2.0.0');
\o
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderShipped', '{"id": "a"}');
INSERT INTO check_refused.outbox (event_type, major_version, payload) VALUES ('OrderShipped', 2, '{"id": "a"}')
RETURNING major_version, key;
INSERT INTO check_refused.outbox (event_type, major_version, payload) VALUES ('OrderShipped', 3, '{"id": "a"}');
INSERT INTO check_refused.outbox (event_type, major_version, payload) VALUES ('OrderShipped', -1, '{"id": "a"}');
SELECT mesh_outbox.retire_contract('check.orders', 'OrderShipped', '1.0.0', force_reason => 'test');
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderShipped', '{"id": "a"}');
\o /dev/null
SELECT mesh_outbox.propose_contract('check.orders', 'OrderShipped', version => '2.1.0', compatibility => 'NONE', key => '/order_id',
    event_time => '/shipped_at', description => 'an order left the warehouse', schema => '{
    "type": "object",
    "properties": {"order_id": {"type": "integer"}, "shipped_at": {"type": ["string", "integer"]}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderShipped', '2.1.0', producers_ready => true);
\o

-- The key: it must be there, be a scalar, and be what the row says if the row
-- says anything.
INSERT INTO check_refused.outbox (event_type, major_version, payload)
VALUES ('OrderShipped', 2, '{"shipped_at": "2026-03-01T09:30:00Z"}');
INSERT INTO check_refused.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": null, "lines": [{"sku": "AB-1", "qty": 2}]}');
INSERT INTO check_refused.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": [17], "lines": [{"sku": "AB-1", "qty": 2}]}');
INSERT INTO check_refused.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": {"no": 17}, "lines": [{"sku": "AB-1", "qty": 2}]}');
INSERT INTO check_refused.outbox (event_type, key, payload)
VALUES ('OrderPlaced', '18', '{"order_id": 17, "lines": [{"sku": "AB-1", "qty": 2}]}');

-- Values that the contract classifies are not shown, whatever is wrong.
\o /dev/null
SELECT mesh_outbox.propose_contract('check.orders', 'CustomerMoved', key => '/email', event_time => '/at', description => 'a customer has a new address', schema => '{
    "type": "object", "required": ["email"], "properties": {
        "email": {"type": ["string", "object"], "maxLength": 20, "x-privacy": "personal"},
        "at": {"type": "string"}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'CustomerMoved', '1.0.0');
\o
INSERT INTO check_refused.outbox (event_type, payload)
VALUES ('CustomerMoved', '{"email": "jane.doe@longer-than-allowed.example.com", "at": "2026-03-01T09:30:00Z"}');
INSERT INTO check_refused.outbox (event_type, key, payload)
VALUES ('CustomerMoved', 'joe@example.com', '{"email": "jane@example.com", "at": "2026-03-01T09:30:00Z"}');
INSERT INTO check_refused.outbox (event_type, payload)
VALUES ('CustomerMoved', '{"email": "jane@example.com", "at": "in March"}');

-- The event time.
INSERT INTO check_refused.outbox (event_type, event_time, payload)
VALUES ('OrderPlaced', 'infinity', '{"order_id": 17, "lines": [{"sku": "AB-1", "qty": 2}]}');
INSERT INTO check_refused.outbox (event_type, major_version, payload)
VALUES ('OrderShipped', 2, '{"order_id": 17}');
INSERT INTO check_refused.outbox (event_type, major_version, payload)
VALUES ('OrderShipped', 2, '{"order_id": 17, "shipped_at": 1772357400}');
INSERT INTO check_refused.outbox (event_type, major_version, payload)
SELECT 'OrderShipped', 2, jsonb_build_object('order_id', 17, 'shipped_at', 'yesterday');
DO $$
DECLARE
    wrong text;
BEGIN
    FOREACH wrong IN ARRAY ARRAY['', '2026-03-01', '2026-03-01 09:30:00Z', '2026-03-01T09:30Z',
        '2026-03-01T09:30:00', '2026-02-29T09:30:00Z', '2026-13-01T09:30:00Z', '2026-03-01T24:00:00Z',
        '2026-03-01T09:60:00Z', '2026-03-01T09:30:61Z', '2026-03-01T09:30:00.Z', '2026-03-01T09:30:00+5:00',
        '2026-03-01T09:30:00+24:00', '2026-03-01T09:30:00Z ', '0000-03-01T09:30:00Z', '99999-03-01T09:30:00Z']
    LOOP
        BEGIN
            INSERT INTO check_refused.outbox (event_type, major_version, payload)
            VALUES ('OrderShipped', 2, jsonb_build_object('order_id', 17, 'shipped_at', wrong));
            RAISE WARNING 'accepted: "%"', wrong;
        EXCEPTION WHEN check_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- Headers: an object of strings, whose names the publisher does not use.
PREPARE with_headers(jsonb) AS
    INSERT INTO check_refused.outbox (event_type, headers, payload)
    VALUES ('OrderPlaced', $1, '{"order_id": 17, "lines": [{"sku": "AB-1", "qty": 2}]}');
EXECUTE with_headers('"tenant"');
EXECUTE with_headers('["tenant"]');
EXECUTE with_headers('{"tenant": 1}');
EXECUTE with_headers('{"tenant": {"id": "acme"}}');
EXECUTE with_headers('{"": "acme"}');
EXECUTE with_headers('{"ce_id": "1"}');
EXECUTE with_headers('{"CE_Type": "1"}');
EXECUTE with_headers('{"Content-Type": "text/plain"}');
EXECUTE with_headers('{"mesh_outbox_part": "1"}');
INSERT INTO check_refused.outbox (event_type, payload, headers)
SELECT 'OrderPlaced', '{"order_id": 17, "lines": [{"sku": "AB-1", "qty": 2}]}',
       (SELECT jsonb_object_agg('h' || n, '') FROM generate_series(1, 33) n);
-- SQL's NULL means no headers, JSON's null means nothing.
EXECUTE with_headers('null');

-- What has happened cannot be changed.
UPDATE check_refused.outbox SET payload = '{}';
DELETE FROM check_refused.outbox;
TRUNCATE check_refused.outbox;
-- Not by its owner either, nor by a superuser.
RESET ROLE;
UPDATE check_refused.outbox SET payload = '{}';
DELETE FROM check_refused.outbox;
TRUNCATE check_refused.outbox;
INSERT INTO check_refused.outbox (event_id, event_type, payload)
SELECT event_id, 'OrderPlaced', '{"order_id": 1, "lines": [{"sku": "AB-1", "qty": 2}]}' FROM check_refused.outbox
ON CONFLICT (event_id) DO UPDATE SET payload = '{}';
SET session_replication_role = replica;
DELETE FROM check_refused.outbox;
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', '{}');
RESET session_replication_role;
SET ROLE check_refused_team;

-- A refused event takes its transaction with it, or its savepoint.
BEGIN;
INSERT INTO check_refused.outbox (event_type, payload)
VALUES ('OrderPlaced', '{"order_id": "kept", "lines": [{"sku": "AB-1", "qty": 2}]}');
SAVEPOINT a;
INSERT INTO check_refused.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "lost"}');
ROLLBACK TO a;
COMMIT;
-- One bad event of many refuses all.
INSERT INTO check_refused.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": "good", "lines": [{"sku": "AB-1", "qty": 2}]}'),
    ('OrderPlaced', '{"order_id": "bad"}');
COPY check_refused.outbox (event_type, payload) FROM stdin;
OrderPlaced	{"order_id": "good", "lines": [{"sku": "AB-1", "qty": 2}]}
OrderPlaced	{"order_id": "bad"}
\.
SELECT event_type, key FROM check_refused.outbox ORDER BY event_type, key;

-- An event that no text could hold would stop its publisher for ever.
INSERT INTO check_refused.outbox (event_type, payload)
SELECT 'OrderPlaced', jsonb_build_object('order_id', 'huge', 'lines',
           jsonb_agg(jsonb_build_object('sku', 'AB-1', 'qty', '1e131071'::numeric)))
FROM generate_series(1, 600);
INSERT INTO check_refused.outbox (event_type, payload, correlation_id)
SELECT 'OrderPlaced', '{"order_id": "huge", "lines": [{"sku": "AB-1", "qty": 2}]}', repeat('x', 68000000);

-- Only the functions that make outboxes may use the trigger.
CREATE TABLE check_refused.forged (LIKE check_refused.outbox);
CREATE TRIGGER forged BEFORE INSERT ON check_refused.forged
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.check_event('1', '0');
RESET ROLE;
-- And it knows its table.
CREATE TRIGGER forged BEFORE INSERT ON check_refused.forged
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.check_event('2147483647', '0');
INSERT INTO check_refused.forged (event_type, payload) VALUES ('OrderPlaced', '{}');
DROP TABLE check_refused.forged;

\o /dev/null
SELECT mesh_outbox.drop_outbox('check_refused.outbox', lose_events => true);
SELECT mesh_outbox.retire_contract('check.orders', 'OrderPlaced', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.retire_contract('check.orders', 'OrderShipped', '2.0.0', force_reason => 'test');
SELECT mesh_outbox.retire_contract('check.orders', 'OrderShipped', '2.1.0', force_reason => 'test');
SELECT mesh_outbox.retire_contract('check.orders', 'CustomerMoved', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.drop_product('check.orders');
SELECT mesh_outbox.drop_domain('check');
\o
DROP SCHEMA check_refused;
DROP ROLE check_refused_team;
