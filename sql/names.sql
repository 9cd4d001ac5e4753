-- Names with spaces, quotes, capitals and other alphabets, everywhere one
-- can be given.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE "Regress ""Owner"" x'); DROP TABLE t; --";
CREATE ROLE "regress Łódź";
CREATE SCHEMA "Sales Schema" AUTHORIZATION "Regress ""Owner"" x'); DROP TABLE t; --";
SELECT mesh_outbox.create_domain('sales', owner => 'Regress "Owner" x''); DROP TABLE t; --', description => 'it''s "sales" \ ✓');
SELECT name, owner, description FROM mesh_outbox.domains;
SET ROLE "Regress ""Owner"" x'); DROP TABLE t; --";
SELECT mesh_outbox.create_product('sales.orders', purpose => 'it''s "orders" \n');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/a ''key'' "with" ünicode', description => 'a customer placed an order', schema => '{
    "type": "object", "properties": {"a ''key'' \"with\" ünicode": {"type": "string"}},
    "required": ["a ''key'' \"with\" ünicode"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');

SELECT mesh_outbox.create_outbox('"Sales Schema"."The Outbox''s ""name"" Łódź"', product => 'sales.orders');
SELECT mesh_outbox.grant_publish('sales.orders', 'regress Łódź');
INSERT INTO "Sales Schema"."The Outbox's ""name"" Łódź" (event_type, payload)
VALUES ('OrderPlaced', '{"a ''key'' \"with\" ünicode": "✓"}');
SELECT event_type, key FROM "Sales Schema"."The Outbox's ""name"" Łódź";
SELECT outbox, product FROM mesh_outbox.outboxes;
SELECT (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a WHERE a::text NOT LIKE 'mesh_outbox_owner=%') AS granted
FROM pg_class WHERE oid = '"Sales Schema"."The Outbox''s ""name"" Łódź"'::regclass;
SELECT mesh_outbox.drop_outbox('"Sales Schema"."The Outbox''s ""name"" Łódź"');
SELECT mesh_outbox.set_outbox_publisher('"Sales Schema"."The Outbox''s ""name"" Łódź"', NULL);
SELECT mesh_outbox.drop_outbox('"Sales Schema"."The Outbox''s ""name"" Łódź"', lose_events => true);

CREATE TABLE "Sales Schema"."T'1" ("Event ""Type""" text, "pay=load, ''x" jsonb, "back\slash" text)
    PARTITION BY LIST ("back\slash");
CREATE TABLE "Sales Schema"."T'1 rest" PARTITION OF "Sales Schema"."T'1" DEFAULT;
SELECT mesh_outbox.attach_outbox('"Sales Schema"."T''1"', product => 'sales.orders',
    columns => '{"event_type": "Event \"Type\"", "payload": "pay=load, ''''x", "key": "back\\slash"}');
SELECT tgrelid::regclass, encode(tgargs, 'escape') AS arguments FROM pg_trigger
WHERE tgname = 'mesh_outbox_check' ORDER BY tgrelid::regclass::text;
INSERT INTO "Sales Schema"."T'1" ("Event ""Type""", "pay=load, ''x", "back\slash")
VALUES ('OrderPlaced', '{"a ''key'' \"with\" ünicode": "✓"}', '✓');
SELECT "Event ""Type""", "back\slash" FROM "Sales Schema"."T'1 rest";
SELECT mesh_outbox.detach_outbox('"Sales Schema"."T''1"');
DROP TABLE "Sales Schema"."T'1";

RESET ROLE;
SELECT mesh_outbox.alter_domain('sales', owner => 'regress Łódź');
SELECT name, owner FROM mesh_outbox.domains;
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.drop_product('sales.orders');
SELECT mesh_outbox.drop_domain('sales');
DROP EXTENSION mesh_outbox;
DROP SCHEMA "Sales Schema";
DROP ROLE "Regress ""Owner"" x'); DROP TABLE t; --", "regress Łódź";
