-- A first contract from a table, and rows of the table as its events.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE TYPE size AS ENUM ('small', 'large');
CREATE DOMAIN amount AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE TABLE "Order Lines" (
    id uuid NOT NULL, n bigint NOT NULL, "it's" varchar(10), sizes size[], size size, total amount NOT NULL,
    placed_at timestamptz NOT NULL, day date, anything jsonb, gone int, ok boolean);
ALTER TABLE "Order Lines" DROP COLUMN gone;
COMMENT ON COLUMN "Order Lines".total IS 'with tax';
SELECT jsonb_pretty(mesh_outbox.infer_contract('"Order Lines"'));
INSERT INTO "Order Lines" VALUES
    ('0190b5a0-0000-7000-8000-000000000000', 9223372036854775807, 'x', '{small,NULL}', 'large', 1.50, '2026-01-01 00:00+01', '2026-01-01', '[1]', true),
    ('0190b5a0-0000-7000-8000-000000000001', -1, NULL, NULL, NULL, 0, '2026-01-01 00:00:00.123456+00', NULL, NULL, NULL);
SELECT v.instance_pointer, v.message FROM "Order Lines" l,
    mesh_outbox.schema_violations(mesh_outbox.infer_contract('"Order Lines"'), to_jsonb(l)) v;
SELECT * FROM mesh_outbox.check_schema(mesh_outbox.infer_contract('"Order Lines"')::json, contract => true);
DROP TABLE "Order Lines";
DROP DOMAIN amount;
DROP TYPE size;
DROP EXTENSION mesh_outbox;
