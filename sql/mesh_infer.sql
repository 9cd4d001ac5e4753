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
COMMENT ON TABLE "Order Lines" IS 'what customers order';
SELECT jsonb_pretty(mesh_outbox.infer_contract('"Order Lines"'));
INSERT INTO "Order Lines" VALUES
    ('0190b5a0-0000-7000-8000-000000000000', 9223372036854775807, 'x', '{small,NULL}', 'large', 1.50, '2026-01-01 00:00+01', '2026-01-01', '[1]', true),
    ('0190b5a0-0000-7000-8000-000000000001', -1, NULL, NULL, NULL, 0, '2026-01-01 00:00:00.123456+00', NULL, NULL, NULL);
SELECT v.instance_pointer, v.message FROM "Order Lines" l,
    mesh_outbox.schema_violations(mesh_outbox.infer_contract('"Order Lines"'), to_jsonb(l)) v;
SELECT * FROM mesh_outbox.check_schema(mesh_outbox.infer_contract('"Order Lines"')::json, contract => true);

-- What CHECK constraints say, of a column or of its domain; what the rows hold.
CREATE DOMAIN percentage AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE checked (id bigint PRIMARY KEY, status text NOT NULL CHECK (status IN ('new', 'it''s paid')), qty int CHECK (qty > 0 AND qty <= 99),
    code text CHECK (length(code) = 2 OR code IS NULL), short text CHECK (char_length(short) <= 8), discount percentage,
    price numeric CHECK (price >= 0.5), email text, note text, either int CHECK (either < 5 OR either > 7), doc jsonb,
    CHECK (qty < id));
INSERT INTO checked VALUES
    (1000, 'new', 1, 'de', 'x', 5, 1, 'a@example.org', repeat('x', 100), 1, '{"a": 1, "tags": ["x", "y"], "seen_at": "2026-01-01T00:00:00Z"}'),
    (1001, 'it''s paid', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"a": 2.5, "tags": []}');
SELECT p.key, p.value - 'description' AS schema FROM jsonb_each(mesh_outbox.infer_contract('checked') -> 'properties') p;
SELECT count(*) AS refused FROM checked c, mesh_outbox.schema_violations(mesh_outbox.infer_contract('checked'), to_jsonb(c)) v;

-- From events instead of a table.
SELECT jsonb_pretty(mesh_outbox.infer_contract(samples => '[
    {"id": "3b241101-e2bb-4255-8caf-4136c566a962", "total": 5, "email": "a@example.org", "lines": [{"sku": "a", "qty": 1}, {"sku": "b"}]},
    {"id": "3b241101-e2bb-4255-8caf-4136c566a963", "total": 7.5, "lines": [], "coupon": null}]'));
SELECT mesh_outbox.infer_contract(samples => '{}');
SELECT mesh_outbox.infer_contract();

-- What is proposed passes the policies.
SELECT mesh_outbox.create_domain('sales', owner => current_user::text, description => 'sales');
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.assign_duty('accountable', 'sales@example.org', domain => 'sales');
SELECT mesh_outbox.alter_product('sales.orders', latency => '5 s', retention => '30 days');
SELECT s.source, f.rule, f.path, f.message
FROM (VALUES ('table', mesh_outbox.infer_contract('checked')),
             ('samples', mesh_outbox.infer_contract(samples => '[{"id": 1, "email": "x", "lines": [{"sku": "a"}]}, {"id": 2}]'))) s (source, inferred),
     LATERAL mesh_outbox.check_contract('sales.orders', 'OrderChanged', key => '/id',
                                        schema => s.inferred::json) f;
DROP TABLE checked;
DROP DOMAIN percentage;
DROP TABLE "Order Lines";
DROP DOMAIN amount;
DROP TYPE size;
DROP EXTENSION mesh_outbox CASCADE;
