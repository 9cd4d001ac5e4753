-- Inserting events: what a domain team writes, and what the check adds.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE SCHEMA check_events;
CREATE ROLE check_events_team;
GRANT CREATE, USAGE ON SCHEMA check_events TO check_events_team;
SELECT mesh_outbox.create_domain('check', owner => 'check_events_team',
    description => 'tests of the check');

SET ROLE check_events_team;
SELECT mesh_outbox.create_product('check.orders', purpose => 'what customers order');
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPlaced', key => '/order_id',
    event_time => '/placed_at', description => 'a customer placed an order', schema => '{
        "type": "object",
        "required": ["order_id", "placed_at"],
        "properties": {"order_id": {"type": ["integer", "number", "string", "boolean"]},
                       "placed_at": {"type": "string"},
                       "note": {"type": "string"}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPaid', key => '/order/id', description => 'a customer paid for an order', schema => '{
        "type": "object",
        "required": ["order"],
        "properties": {"order": {"type": "object", "required": ["id"],
                                 "properties": {"id": {"type": "integer"}}}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPaid', '1.0.0');
SELECT mesh_outbox.create_outbox('check_events.outbox', product => 'check.orders');

-- An event needs a type and a payload; the rest is filled in.
INSERT INTO check_events.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"order_id": 17, "placed_at": "2026-03-01T09:30:00Z"}');
SELECT event_type, major_version, o.key, payload, o.event_time AT TIME ZONE 'UTC' AS event_time,
       c.event_type || ' ' || c.version AS contract,
       o.created_at BETWEEN now() AND clock_timestamp() AS created_now
FROM check_events.outbox o JOIN mesh_outbox.contracts c USING (contract_id, event_type);

-- event_id is a UUID of version 7; the ids of a session ascend.
INSERT INTO check_events.outbox (event_type, payload)
SELECT 'OrderPaid', jsonb_build_object('order', jsonb_build_object('id', n))
FROM generate_series(1, 1000) n;
SELECT count(*), count(DISTINCT event_id),
       bool_and(substr(event_id::text, 15, 1) = '7') AS version_7,
       bool_and(substr(event_id::text, 20, 1) IN ('8', '9', 'a', 'b')) AS variant
FROM check_events.outbox;
SELECT bool_and(event_id > previous) AS ascending
FROM (SELECT event_id, lag(event_id) OVER (ORDER BY key::int) AS previous
      FROM check_events.outbox WHERE event_type = 'OrderPaid') o;
-- Its first 48 bits are the time in milliseconds.
SELECT bool_and(abs(('x' || translate(substr(event_id::text, 1, 13), '-', ''))::bit(48)::bigint
                    - extract(epoch FROM created_at) * 1000) < 1000) AS timely
FROM check_events.outbox;

-- An event_id of one's own is kept.
INSERT INTO check_events.outbox (event_id, event_type, payload)
VALUES ('a2b8c8f2-5d0a-4c5e-9c1b-0f4a5f0d9f11', 'OrderPaid', '{"order": {"id": 5000}}')
RETURNING event_id, key;
-- The same event again is a duplicate, which can be ignored.
INSERT INTO check_events.outbox (event_id, event_type, payload)
VALUES ('a2b8c8f2-5d0a-4c5e-9c1b-0f4a5f0d9f11', 'OrderPaid', '{"order": {"id": 5000}}');
INSERT INTO check_events.outbox (event_id, event_type, payload)
VALUES ('a2b8c8f2-5d0a-4c5e-9c1b-0f4a5f0d9f11', 'OrderPaid', '{"order": {"id": 5000}}')
ON CONFLICT DO NOTHING;

-- The key is taken from the payload.  Equal values are equal keys, however
-- they are written.  One that is given as well must be the same.
INSERT INTO check_events.outbox (event_type, key, payload)
SELECT 'OrderPlaced', given, jsonb_build_object('order_id', id, 'placed_at', '2026-03-01T09:30:00Z')
FROM (VALUES ('"A-17"'::jsonb, NULL), ('17', NULL), ('17.0', NULL), ('1.70e1', '17'),
             ('-0.50', NULL), ('true', NULL), ('""', NULL), ('"A-17"', 'A-17')) v(id, given)
RETURNING payload -> 'order_id' AS order_id, key;

-- The event time: what the row says, else what the payload says where the
-- contract names a place for it, else now.
INSERT INTO check_events.outbox (event_type, event_time, payload)
SELECT 'OrderPlaced', given::timestamptz, jsonb_build_object('order_id', 1, 'placed_at', placed)
FROM (VALUES ('2026-03-01T09:30:00Z', NULL),
             ('2026-03-01t09:30:00.123456789z', NULL),
             ('2026-03-01T09:30:00.5+05:30', NULL),
             ('2024-02-29T23:59:60-08:00', NULL),
             ('2026-03-01T09:30:00Z', '2020-01-01 12:00+00')) v(placed, given)
RETURNING payload ->> 'placed_at' AS placed_at, event_time AT TIME ZONE 'UTC' AS event_time;
INSERT INTO check_events.outbox (event_type, payload) VALUES ('OrderPaid', '{"order": {"id": 1}}')
RETURNING event_time = created_at AS now;

-- Headers, correlation, causation and trace context pass as they are.
INSERT INTO check_events.outbox (event_type, payload, headers, correlation_id, causation_id, traceparent)
VALUES ('OrderPaid', '{"order": {"id": 2}}', '{"tenant": "acme", "origin": "web"}', 'c-1', 'e-1',
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
       ('OrderPaid', '{"order": {"id": 3}}', '{}', NULL, NULL, NULL)
RETURNING headers, correlation_id, causation_id, traceparent;

-- What the check stamps cannot be forged.
INSERT INTO check_events.outbox (event_type, payload, contract_id, created_at)
VALUES ('OrderPaid', '{"order": {"id": 4}}', -1, '1999-01-01')
RETURNING contract_id > 0 AS contract_id, created_at > now() - interval '1 hour' AS created_at;

-- COPY, INSERT ... SELECT and prepared statements are checked like any other.
COPY check_events.outbox (event_type, payload) FROM stdin;
OrderPaid	{"order": {"id": 100}}
OrderPaid	{"order": {"id": 101}}
\.
PREPARE paid(int) AS INSERT INTO check_events.outbox (event_type, payload)
    VALUES ('OrderPaid', jsonb_build_object('order', jsonb_build_object('id', $1))) RETURNING key;
EXECUTE paid(102);
EXECUTE paid(103);
WITH events AS (
    INSERT INTO check_events.outbox (event_type, payload)
    VALUES ('OrderPaid', '{"order": {"id": 104}}'), ('OrderPaid', '{"order": {"id": 105}}')
    RETURNING key)
SELECT array_agg(key) FROM events;
SELECT key FROM check_events.outbox WHERE key IN ('100', '101', '102', '103', '104', '105') ORDER BY key;

-- Large payloads, compressed and out of line, are checked as well.
INSERT INTO check_events.outbox (event_type, payload)
SELECT 'OrderPlaced', jsonb_build_object('order_id', 'large', 'placed_at', '2026-03-01T09:30:00Z',
    'note', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 5000) n))
RETURNING key, length(payload ->> 'note');
CREATE TEMP TABLE stored AS SELECT payload FROM check_events.outbox WHERE key = 'large';
INSERT INTO check_events.outbox (event_type, payload) SELECT 'OrderPlaced', payload FROM stored
RETURNING key, length(payload ->> 'note');
DROP TABLE stored;

RESET ROLE;
SELECT mesh_outbox.drop_outbox('check_events.outbox', lose_events => true);
DROP SCHEMA check_events;
SELECT mesh_outbox.retire_contract('check.orders', 'OrderPlaced', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.retire_contract('check.orders', 'OrderPaid', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.drop_product('check.orders');
SELECT mesh_outbox.drop_domain('check');
DROP ROLE check_events_team;
