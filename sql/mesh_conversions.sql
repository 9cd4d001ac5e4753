-- Scene one to its end: user_id becomes a uuid.  Under the same major that is
-- refused; as a new major it goes through notice, consumers of the old one
-- keep getting every event through a conversion, and its retirement ends that.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT count(mesh_outbox.set_policy(name, 'suspended')) > 0 AS policies FROM mesh_outbox.policies;
CREATE ROLE regress_sales;
CREATE ROLE regress_producer;
CREATE ROLE regress_other;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
GRANT USAGE ON SCHEMA sales TO regress_producer, regress_other;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer", "minimum": 0}},
                "required": ["order_id", "user_id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
CREATE TABLE sales.parted (what text, body jsonb, created_at timestamptz DEFAULT now()) PARTITION BY RANGE (created_at);
CREATE TABLE sales.parted_1 PARTITION OF sales.parted DEFAULT;
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders', columns => '{"event_type": "what", "payload": "body"}');
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_producer');
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', contact => 'invoices@example.org',
    needs => '{/user_id}');
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id}');
RESET client_min_messages;

-- Refused, with the consumers and fields it breaks and a counterexample.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "string", "format": "uuid"}},
                "required": ["order_id", "user_id"]}');
SELECT consumer, verdict, path, change FROM mesh_outbox.can_activate('sales.orders', 'OrderPlaced');

-- As a new major it is proposed, and the conversion is registered beside it.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    version => '2.0.0', schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "string", "format": "uuid"}},
                "required": ["order_id", "user_id"]}');
CREATE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
    RETURN payload || jsonb_build_object('user_id', payload ->> 'user_id');
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.as_v1');
CREATE OR REPLACE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql STABLE
    RETURN payload || jsonb_build_object('user_id', ('x' || right(payload ->> 'user_id', 7))::bit(28)::int);
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.as_v1');
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.none');
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 1, 2, 'sales.as_v1');
RESET ROLE;
CREATE FUNCTION sales.superusers(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN payload;
SET ROLE regress_sales;
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.superusers');
ALTER FUNCTION sales.as_v1(jsonb) IMMUTABLE;
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 1, 2, 'sales.as_v1');
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.as_v1');
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.as_v1');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT consumer, version, kind FROM mesh_outbox.notifications ORDER BY consumer;
SELECT product, event_type, from_major, to_major, function, in_use, registered_by FROM mesh_outbox.conversions;

-- A producer knows nothing of it: its one INSERT is two events, the older
-- caused by the newer.  Producers that have not moved yet send the old alone.
SET ROLE regress_producer;
INSERT INTO sales.outbox (event_type, major_version, payload, headers, correlation_id) VALUES
    ('OrderPlaced', 2, '{"order_id": "a", "user_id": "3b241101-e2bb-4255-8caf-4136c5000007"}', '{"tenant": "x"}', 'c-1');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "b", "user_id": 8}');
INSERT INTO sales.parted (what, major_version, body) VALUES
    ('OrderPlaced', 2, '{"order_id": "c", "user_id": "3b241101-e2bb-4255-8caf-4136c5000009"}');
RESET ROLE;
SELECT n.major_version, n.key, n.payload, n.headers, n.correlation_id, c.topic, o.key AS caused_by,
       n.event_time = o.event_time AS same_time
FROM sales.outbox n JOIN mesh_outbox.contracts c USING (contract_id) LEFT JOIN sales.outbox o ON o.event_id::text = n.causation_id
ORDER BY n.key, n.major_version DESC;
SELECT major_version, key, body, causation_id IS NOT NULL AS caused FROM sales.parted ORDER BY 2, 1 DESC;

-- What would keep an event from the old consumers keeps it out: neither a
-- function that fails nor one that says nothing loses it for them.
SET ROLE regress_sales;
CREATE OR REPLACE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN NULL::jsonb;
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "d", "user_id": "3b241101-e2bb-4255-8caf-4136c5000007"}');
CREATE OR REPLACE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN '{"order_id": "d", "user_id": -1}'::jsonb;
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "d", "user_id": "3b241101-e2bb-4255-8caf-4136c5000007"}');
-- It runs as its owner, who can do nothing with the producer's rights.
CREATE OR REPLACE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE NOTICE 'as %', current_user;
    RETURN payload || jsonb_build_object('user_id', ('x' || right(payload ->> 'user_id', 7))::bit(28)::int);
END $$;
SET ROLE regress_producer;
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "d", "user_id": "3b241101-e2bb-4255-8caf-4136c500000a"}');
SET ROLE regress_sales;
CREATE OR REPLACE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    EXECUTE 'CREATE TABLE sales.mine ()';
    RETURN payload;
END $$;
SET ROLE regress_producer;
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "e", "user_id": "3b241101-e2bb-4255-8caf-4136c500000b"}');
SET ROLE regress_sales;
CREATE OR REPLACE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
    RETURN payload || jsonb_build_object('user_id', ('x' || right(payload ->> 'user_id', 7))::bit(28)::int);

-- Nor does a table's own code run with other rights than the producer's.
SET ROLE regress_sales;
CREATE FUNCTION sales.who() RETURNS text LANGUAGE sql RETURN current_user;
CREATE TABLE sales.own (event_type text, payload jsonb, inserted_by text DEFAULT sales.who());
RESET ROLE;
SET client_min_messages = warning;
SET ROLE regress_sales;
SELECT mesh_outbox.attach_outbox('sales.own', product => 'sales.orders');
RESET client_min_messages;
SET ROLE regress_producer;
INSERT INTO sales.own (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "e", "user_id": "3b241101-e2bb-4255-8caf-4136c500000b"}');
RESET ROLE;
SELECT major_version, key, inserted_by FROM sales.own ORDER BY 1;
-- The function runs for those who may insert.
SET ROLE regress_sales;
SELECT mesh_outbox.convert_for('sales.own', 1, '{"user_id": "0000007"}');
SET ROLE regress_other;
SELECT mesh_outbox.convert_for('sales.own', 1, '{"user_id": "0000007"}');

-- What a table's own columns ask for, the older form has from its cause.
RESET ROLE;
SET client_min_messages = warning;
SET ROLE regress_sales;
CREATE TABLE sales.tenants (tenant int, region text NOT NULL, nr int GENERATED ALWAYS AS IDENTITY, dedup text UNIQUE,
    event_type text, payload jsonb);
SELECT mesh_outbox.attach_outbox('sales.tenants', product => 'sales.orders');
CREATE TABLE sales.by_tenant (tenant int, event_type text, payload jsonb) PARTITION BY LIST (tenant);
CREATE TABLE sales.by_tenant_7 PARTITION OF sales.by_tenant FOR VALUES IN (7);
SELECT mesh_outbox.attach_outbox('sales.by_tenant', product => 'sales.orders');
RESET client_min_messages;
INSERT INTO sales.tenants (tenant, region, dedup, event_type, major_version, payload) VALUES
    (7, 'north', 'x', 'OrderPlaced', 2, '{"order_id": "h", "user_id": "3b241101-e2bb-4255-8caf-4136c500000e"}');
SELECT tenant, region, nr, dedup, major_version, payload FROM sales.tenants ORDER BY major_version;
INSERT INTO sales.by_tenant (tenant, event_type, major_version, payload) VALUES
    (7, 'OrderPlaced', 2, '{"order_id": "h", "user_id": "3b241101-e2bb-4255-8caf-4136c500000e"}');
SELECT tableoid::regclass, tenant, major_version, payload FROM sales.by_tenant ORDER BY major_version;
-- So they do when the table was altered since.
RESET ROLE;
ALTER TABLE sales.tenants RENAME region TO area;
ALTER TABLE sales.tenants ADD shard int NOT NULL DEFAULT 0;
ALTER TABLE sales.tenants ALTER shard DROP DEFAULT;
SET ROLE regress_sales;
INSERT INTO sales.tenants (tenant, area, shard, event_type, major_version, payload) VALUES
    (7, 'south', 3, 'OrderPlaced', 2, '{"order_id": "i", "user_id": "3b241101-e2bb-4255-8caf-4136c500000e"}');
SELECT tenant, area, shard, major_version, payload FROM sales.tenants WHERE area = 'south' ORDER BY major_version;

-- Outboxes that come later convert as well; a detached one is a table again.
RESET ROLE;
SET client_min_messages = warning;
SET ROLE regress_sales;
SELECT mesh_outbox.create_outbox('sales.second', product => 'sales.orders');
INSERT INTO sales.second (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "f", "user_id": "3b241101-e2bb-4255-8caf-4136c500000c"}');
SELECT major_version, payload FROM sales.second ORDER BY 1;
SELECT mesh_outbox.detach_outbox('sales.second');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.second'::regclass;
RESET client_min_messages;

-- What does not convert any more is found; what converts is not to be dropped.
RESET ROLE;
SELECT object, problem FROM mesh_outbox.doctor() WHERE problem LIKE '%trigger%';
ALTER TABLE sales.outbox DISABLE TRIGGER mesh_outbox_convert_1;
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'conversion%';
ALTER TABLE sales.outbox ENABLE TRIGGER mesh_outbox_convert_1;
ALTER FUNCTION sales.as_v1(jsonb) STABLE;
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object LIKE 'conversion%';
SET ROLE regress_sales;
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "g", "user_id": "3b241101-e2bb-4255-8caf-4136c500000d"}');
ALTER FUNCTION sales.as_v1(jsonb) IMMUTABLE;
SELECT count(*) FROM mesh_outbox.doctor() WHERE object LIKE 'conversion%';

-- What a conversion makes is converted in turn, and nobody gets it twice.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    version => '3.0.0', schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user": {"type": "string", "format": "uuid"}},
                "required": ["order_id", "user"]}');
CREATE FUNCTION sales.as_v2(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
    RETURN payload - 'user' || jsonb_build_object('user_id', payload -> 'user');
CREATE FUNCTION sales.v3_as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN sales.as_v1(sales.as_v2(payload));
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 3, 2, 'sales.as_v2');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '3.0.0');
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 3, 1, 'sales.v3_as_v1');
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES
    ('OrderPlaced', 3, '{"order_id": "i", "user": "3b241101-e2bb-4255-8caf-4136c500000f"}');
SELECT major_version, payload FROM sales.outbox WHERE key = 'i' ORDER BY 1;
BEGIN;
SELECT mesh_outbox.drop_conversion('sales.orders', 'OrderPlaced', 3, 2);
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 3, 1, 'sales.v3_as_v1');
SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 3, 2, 'sales.as_v2');
ROLLBACK;
SELECT mesh_outbox.drop_conversion('sales.orders', 'OrderPlaced', 3, 2);

-- While somebody needs it, it stays; the old major's retirement ends it.
SELECT mesh_outbox.drop_conversion('sales.orders', 'OrderPlaced', 2, 1);
\set VERBOSITY terse
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
\set VERBOSITY default
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0', force_reason => 'all have moved');
SELECT from_major, to_major, in_use FROM mesh_outbox.conversions;
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES
    ('OrderPlaced', 2, '{"order_id": "g", "user_id": "3b241101-e2bb-4255-8caf-4136c500000d"}');
SELECT major_version FROM sales.outbox WHERE key = 'g';
SELECT mesh_outbox.drop_conversion('sales.orders', 'OrderPlaced', 2, 1);
SELECT mesh_outbox.drop_conversion('sales.orders', 'OrderPlaced', 2, 1);
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.outbox'::regclass AND tgname LIKE 'mesh_outbox_convert%';

RESET ROLE;
SET client_min_messages = warning;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP OWNED BY regress_sales, regress_producer;
DROP ROLE regress_sales, regress_producer, regress_other;
