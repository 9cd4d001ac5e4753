-- Any shape of table can be an outbox: partitioned, with other columns, with
-- columns in another order or dropped.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE SCHEMA check_tables;
\o /dev/null
SELECT mesh_outbox.create_domain('check', owner => current_user, description => 'tests of the check');
SELECT mesh_outbox.create_product('check.orders', purpose => 'what customers order');
SELECT mesh_outbox.propose_contract('check.orders', 'OrderPlaced', key => '/order_id', description => 'a customer placed an order', schema => '{
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "integer"}}}');
SELECT mesh_outbox.activate_contract('check.orders', 'OrderPlaced', '1.0.0');
\o

-- Partitioned by time.  The check runs in the partition the row is routed to,
-- so a stamp must not move it: created_at stays what it was routed by.
CREATE TABLE check_tables.parted (
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_type text NOT NULL, payload jsonb NOT NULL, event_id uuid)
PARTITION BY RANGE (created_at);
CREATE TABLE check_tables.parted_old PARTITION OF check_tables.parted
    FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
-- Columns in another order, and a dropped one.
CREATE TABLE check_tables.parted_new (
    payload jsonb NOT NULL, gone int, event_id uuid, event_type text NOT NULL, created_at timestamptz NOT NULL);
ALTER TABLE check_tables.parted_new DROP COLUMN gone;
ALTER TABLE check_tables.parted ATTACH PARTITION check_tables.parted_new FOR VALUES FROM ('2021-01-01') TO ('2999-01-01');
\o /dev/null
SELECT mesh_outbox.attach_outbox('check_tables.parted', product => 'check.orders');
\o
INSERT INTO check_tables.parted (event_type, payload) VALUES ('OrderPlaced', '{"order_id": 1}');
INSERT INTO check_tables.parted (event_type, payload, created_at)
VALUES ('OrderPlaced', '{"order_id": 2}', '2020-06-01 12:00+00');
INSERT INTO check_tables.parted (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "x"}');
-- An INSERT into a leaf is checked as well.
INSERT INTO check_tables.parted_new (event_type, payload, created_at)
VALUES ('OrderPlaced', '{"order_id": 3}', '2026-01-01 12:00+00');
INSERT INTO check_tables.parted_new (event_type, payload) VALUES ('OrderPlaced', '{}');
COPY check_tables.parted (event_type, payload) FROM stdin;
OrderPlaced	{"order_id": 4}
\.
SELECT tableoid::regclass AS partition, key, major_version, event_id IS NOT NULL AS event_id,
       contract_id IS NOT NULL AS contract_id
FROM check_tables.parted ORDER BY key;
UPDATE check_tables.parted SET payload = '{}';
UPDATE check_tables.parted_new SET payload = '{}';
DELETE FROM check_tables.parted_old;
TRUNCATE check_tables.parted;
TRUNCATE check_tables.parted_new;
-- A partition that joins later is an outbox from its first row on.
CREATE TABLE check_tables.parted_far PARTITION OF check_tables.parted
    FOR VALUES FROM ('2999-01-01') TO (MAXVALUE);
INSERT INTO check_tables.parted_far (event_type, payload, created_at)
VALUES ('OrderPlaced', '{"order_id": "x"}', '2999-06-01');
-- One that leaves is a table again.
ALTER TABLE check_tables.parted DETACH PARTITION check_tables.parted_old;
DELETE FROM check_tables.parted_old;

-- Columns with other names, and columns of the team's own.
CREATE TABLE check_tables.other (
    body jsonb NOT NULL, kind text NOT NULL, id uuid PRIMARY KEY,
    tenant text NOT NULL DEFAULT 'acme',
    order_number int GENERATED ALWAYS AS ((body ->> 'order_id')::int) STORED,
    serial bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz);
\o /dev/null
SELECT mesh_outbox.attach_outbox('check_tables.other', product => 'check.orders',
    columns => '{"payload": "body", "event_type": "kind", "event_id": "id", "event_time": "at"}');
\o
INSERT INTO check_tables.other (kind, body) VALUES ('OrderPlaced', '{"order_id": 17}'), ('OrderPlaced', '{"order_id": 18}');
SELECT kind, body, id IS NOT NULL AS id, tenant, order_number, serial, at IS NOT NULL AS at, key, major_version
FROM check_tables.other ORDER BY serial;
INSERT INTO check_tables.other (body) VALUES ('{"order_id": 17}');
INSERT INTO check_tables.other (kind) VALUES ('OrderPlaced');
INSERT INTO check_tables.other (kind, body, key) VALUES ('OrderPlaced', '{"order_id": 17}', 'x');

-- The table may change while it is an outbox: the check follows.
ALTER TABLE check_tables.other ADD COLUMN remark text DEFAULT 'none';
ALTER TABLE check_tables.other DROP COLUMN tenant;
ALTER TABLE check_tables.other RENAME TO renamed;
INSERT INTO check_tables.renamed (kind, body) VALUES ('OrderPlaced', '{"order_id": 19}')
RETURNING kind, order_number, remark, key;
VACUUM FULL check_tables.renamed;
INSERT INTO check_tables.renamed (kind, body) VALUES ('OrderPlaced', '{"order_id": 20}') RETURNING key;
-- But not so far that it lacks a column.
BEGIN;
ALTER TABLE check_tables.renamed RENAME COLUMN body TO content;
INSERT INTO check_tables.renamed (kind, content) VALUES ('OrderPlaced', '{"order_id": 21}');
ROLLBACK;
BEGIN;
ALTER TABLE check_tables.renamed RENAME COLUMN correlation_id TO correlation;
INSERT INTO check_tables.renamed (kind, body, correlation) VALUES ('OrderPlaced', '{"order_id": 21}', 'x');
ROLLBACK;
BEGIN;
ALTER TABLE check_tables.renamed ALTER COLUMN key TYPE int USING key::int;
INSERT INTO check_tables.renamed (kind, body) VALUES ('OrderPlaced', '{"order_id": 21}');
ROLLBACK;
INSERT INTO check_tables.renamed (kind, body) VALUES ('OrderPlaced', '{"order_id": 21}') RETURNING key;

-- Two outboxes in one statement.
\o /dev/null
SELECT mesh_outbox.create_outbox('check_tables.second', product => 'check.orders');
\o
WITH first AS (
    INSERT INTO check_tables.renamed (kind, body) SELECT 'OrderPlaced', jsonb_build_object('order_id', n)
    FROM generate_series(100, 102) n RETURNING kind, body)
INSERT INTO check_tables.second (event_type, payload) SELECT kind, body FROM first RETURNING event_type, key;

\o /dev/null
SELECT mesh_outbox.drop_outbox(o, lose_events => true)
FROM unnest('{check_tables.parted, check_tables.renamed, check_tables.second}'::regclass[]) o;
SELECT mesh_outbox.retire_contract('check.orders', 'OrderPlaced', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.drop_product('check.orders');
SELECT mesh_outbox.drop_domain('check');
\o
DROP TABLE check_tables.parted_old;
DROP SCHEMA check_tables;
