-- What an INSERT would do, without doing it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE ROLE schema_explain_team;
CREATE SCHEMA schema_explain AUTHORIZATION schema_explain_team;
SELECT mesh_outbox.create_domain('explain', owner => 'schema_explain_team', description => 'tests of explain_event');
SET ROLE schema_explain_team;
SELECT mesh_outbox.create_product('explain.orders', purpose => 'what customers order', partitions => 6);
SELECT mesh_outbox.propose_contract('explain.orders', 'OrderPlaced', key => '/order/a~1b', description => 'a customer placed an order', schema => '{
    "type": "object", "required": ["order"],
    "properties": {"order": {"type": "object", "required": ["a/b"], "properties": {"a/b": {"type": "string"}}},
                   "qty": {"type": "integer", "minimum": 1}}}');
SELECT mesh_outbox.activate_contract('explain.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('schema_explain.outbox', product => 'explain.orders');
SELECT * FROM mesh_outbox.explain_event('schema_explain.outbox', 'OrderPlaced', '{"order": {"a/b": "k1"}, "qty": 1}');
SELECT * FROM mesh_outbox.explain_event('schema_explain.outbox', 'OrderPlaced', '{"order": {"a/b": "k1"}, "qty": 0, "quantity": 2}', 1)
WHERE item = 'violation';
SELECT * FROM mesh_outbox.explain_event('schema_explain.outbox', 'OrderPlaced', '{}', 2);
SELECT * FROM mesh_outbox.explain_event('schema_explain.outbox', 'OrderPayed', '{}');
SELECT * FROM mesh_outbox.explain_event('pg_class', 'OrderPlaced', '{}');
-- The row is more than its payload.
SELECT mesh_outbox.propose_contract('explain.orders', 'OrderPaid', key => '/id', description => 'a customer paid for an order', max_lateness => '1 day',
    topic => 'explain.paid', headers => '{"type": "object", "properties": {"trace": {"type": "string"}}, "required": ["trace"]}',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('explain.orders', 'OrderPaid', '1.0.0');
SELECT value FROM mesh_outbox.explain_event('schema_explain.outbox', 'OrderPaid', '{"id": 1}', event_time => now() - interval '2 days')
WHERE item = 'violation';
SELECT count(*) FROM mesh_outbox.explain_event('schema_explain.outbox', 'OrderPaid', '{"id": 1}', headers => '{"trace": "x"}')
WHERE item = 'violation';
SELECT count(*) FROM schema_explain.outbox;
SELECT e.value FROM unnest('{"{\"trace\": \"x\", \"CE_id\": \"1\"}","{\"trace\": 1}","{\"trace\": \"x\", \"\": \"\"}","[]"}'::jsonb[]) h,
     mesh_outbox.explain_event('schema_explain.outbox', 'OrderPaid', '{"id": 1}', headers => h) e
WHERE e.item = 'violation';
SELECT value FROM mesh_outbox.explain_event('schema_explain.outbox', 'OrderPaid', '{"id": 1}', headers => '{"trace": "x"}', event_time => 'infinity')
WHERE item = 'violation';
-- The key is the row's, so that it leads to the row's partition.
SELECT mesh_outbox.propose_contract('explain.orders', 'Weighed', key => '/grams', description => 'a parcel was weighed',
    schema => '{"type": "object", "properties": {"grams": {"type": ["number", "object", "boolean"]}}}');
SELECT mesh_outbox.activate_contract('explain.orders', 'Weighed', '1.0.0');
SELECT p AS payload, e.item, e.value
FROM unnest('{"{\"grams\": 1.50}","{\"grams\": true}","{\"grams\": {}}","{}"}'::jsonb[]) p,
     mesh_outbox.explain_event('schema_explain.outbox', 'Weighed', p) e WHERE e.item IN ('key', 'partition', 'violation');
-- What a product says from now on is not what its contracts say; headers of the row go with it.
SELECT mesh_outbox.alter_product('explain.orders', content_mode => 'structured');
SELECT item, value FROM mesh_outbox.explain_event('schema_explain.outbox', 'Weighed', '{"grams": 1}', headers => '{"tenant": "acme"}')
WHERE item IN ('header content-type', 'header ce_type', 'header tenant');
SELECT mesh_outbox.alter_product('explain.orders', content_mode => 'binary');
-- The violations of the version that refuses, not of the newest.
SELECT mesh_outbox.propose_contract('explain.orders', 'Weighed', version => '2.0.0', key => '/id', description => 'a parcel was weighed',
    schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "grams": {"type": "number"}}}');
SELECT mesh_outbox.activate_contract('explain.orders', 'Weighed', '2.0.0');
INSERT INTO schema_explain.outbox (event_type, payload) VALUES ('Weighed', '{"id": "x", "grams": 1}');
SELECT instance_pointer, message FROM mesh_outbox.validate('explain.orders', 'Weighed', '{"id": "x", "grams": 1}');
SELECT instance_pointer, message FROM mesh_outbox.validate('explain.orders', 'Weighed', '{"id": "x", "grams": 1}', '1.0.0');
BEGIN;
SELECT mesh_outbox.set_outbox_publisher('schema_explain.outbox', NULL);
INSERT INTO schema_explain.outbox (event_type, payload) VALUES ('Weighed', '{"grams": 1.50}') RETURNING key, mesh_outbox.key_partition(key, 6);
ROLLBACK;
-- as Kafka's Java clients: values of its own test of murmur2, modulo
SELECT k, mesh_outbox.key_partition(k, 1000000) FROM unnest('{21,foobar,a-little-bit-long-string}'::text[]) k;
SELECT mesh_outbox.key_partition('a', 0);
RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA schema_explain CASCADE;
DROP OWNED BY schema_explain_team CASCADE;
DROP ROLE schema_explain_team;
