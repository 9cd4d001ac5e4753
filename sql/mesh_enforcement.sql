-- A contract is put into force in steps: watched, for some of the keys, for
-- all; and there are ways back.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', event_time => '/at', description => 'placed',
    enforcement => 'observe', schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"},
    "lines": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "integer", "minimum": 1}}}}}, "required": ["lines"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
RESET client_min_messages;

-- Watched: everything passes, and is counted by place and rule, once per
-- event.  What a document is made of does not show.
INSERT INTO sales.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"id": 1, "at": "2026-01-01T00:00:00Z", "lines": [{"qty": 0}, {"qty": -1}, {"qty": 1}]}'),
    ('OrderPlaced', '{"id": 1, "at": "2026-01-01T00:00:00Z", "lines": [{"qty": 0}], "me@example.org": 1}'),
    ('OrderPlaced', '{"at": "yesterday", "id": "seven"}'),
    ('OrderPlaced', '{"at": "2026-01-01T00:00:00Z", "lines": []}'),
    ('OrderPlaced', '{"id": 1, "at": "2026-01-01T00:00:00Z", "lines": []}');
SELECT event_type, version, path, rule, events, place FROM mesh_outbox.violated_rules ORDER BY place, rule;
SELECT refused, quarantined, observed FROM mesh_outbox.violations;

-- Is it safe to go on?
SELECT condition, holds FROM mesh_outbox.is_enforce_safe('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'observe', 'the producer is mended');
SELECT condition, holds FROM mesh_outbox.is_enforce_safe('sales.orders', 'OrderPlaced', '1.0.0', calm_time => '0');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1, "at": "2026-01-01T00:00:00Z", "lines": []}');
SELECT condition, holds FROM mesh_outbox.is_enforce_safe('sales.orders', 'OrderPlaced', '1.0.0', calm_time => '0');

-- For some of the keys, always the same ones.
SELECT mesh_outbox.key_bucket('1'), mesh_outbox.key_bucket('2'), mesh_outbox.key_bucket('Łódź'), mesh_outbox.key_bucket('');
SELECT width_bucket(mesh_outbox.key_bucket(i::text), 0, 100, 4) AS quarter, count(*) BETWEEN 2400 AND 2600 AS even
FROM generate_series(1, 10000) i GROUP BY 1 ORDER BY 1;
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'enforce', 'roll-out', percent_of_keys => 101);
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'enforce', 'roll-out', percent_of_keys => 25);
SELECT enforcement, rollout, enforcement_reason FROM mesh_outbox.contracts;
CREATE FUNCTION sales.try(id int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sales.outbox (event_type, payload)
    VALUES ('OrderPlaced', jsonb_build_object('id', try.id, 'at', '2026-01-01T00:00:00Z', 'lines', 'none'));
    RETURN true;
EXCEPTION WHEN check_violation THEN RETURN false;
END
$$;
SELECT i AS key, mesh_outbox.key_bucket(i::text) AS bucket, sales.try(i) AS passed FROM generate_series(1, 12) i ORDER BY 2;
SELECT count(*) FILTER (WHERE sales.try(i) <> (mesh_outbox.key_bucket(i::text) >= 25)) AS wrong FROM generate_series(1, 1000) i;
-- Good events pass whatever their key is; one without a key is in the first share.
INSERT INTO sales.outbox (event_type, payload)
SELECT 'OrderPlaced', jsonb_build_object('id', i, 'at', '2026-01-01T00:00:00Z', 'lines', '[]'::jsonb) FROM generate_series(1, 12) i;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"at": "2026-01-01T00:00:00Z", "lines": []}');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'enforce', 'roll-out', percent_of_keys => 0);
SELECT count(*) FILTER (WHERE sales.try(i)) AS passed FROM generate_series(1, 100) i;
-- Quarantine for some: the others are published.
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'quarantine', 'roll-out', percent_of_keys => 50);
WITH event AS (
    INSERT INTO sales.outbox (event_type, payload)
    SELECT 'OrderPlaced', jsonb_build_object('id', i, 'at', '2026-01-01T00:00:00Z') FROM generate_series(1, 100) i
    RETURNING contract_id < 0 AS quarantined, mesh_outbox.key_bucket(key) < 50 AS in_share)
SELECT quarantined, in_share, count(*) FROM event GROUP BY 1, 2 ORDER BY 1, 2;
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'enforce', 'roll-out');
SELECT sales.try(1), sales.try(2);

-- The ways back are an administrator's.
SELECT mesh_outbox.cap_enforcement('observe', 'the shop is down');
SELECT mesh_outbox.observe_only('the shop is down');
SET ROLE regress_admin;
SELECT mesh_outbox.cap_enforcement('strict', 'the shop is down');
SELECT mesh_outbox.cap_enforcement('observe', '');
SELECT mesh_outbox.cap_enforcement('observe', 'the shop is down');
SELECT enforcement, reason, set_by FROM mesh_outbox.enforcement_caps;
SET ROLE regress_sales;
SELECT sales.try(1), sales.try(2);
SELECT enforcement FROM mesh_outbox.contracts;
SET ROLE regress_admin;
SELECT mesh_outbox.cap_enforcement('off', 'worse than that');
SELECT mesh_outbox.cap_enforcement('enforce', 'the shop is up');
SELECT count(*) FROM mesh_outbox.enforcement_caps;
SET ROLE regress_sales;
SELECT sales.try(1), sales.try(2);
SET ROLE regress_admin;
SELECT mesh_outbox.observe_only('a bad release', product => 'sales.none');
SELECT mesh_outbox.observe_only('a bad release', product => 'sales.orders');
SELECT mesh_outbox.observe_only('a bad release');
SET ROLE regress_sales;
SELECT sales.try(1), sales.try(2);
SELECT enforcement, rollout, enforcement_reason FROM mesh_outbox.contracts;
RESET ROLE;
SELECT action, object, new_values ->> 'enforcement' AS enforcement, new_values ->> 'reason' AS reason
FROM mesh_outbox.audit_log WHERE object = 'enforcement_cap' ORDER BY audit_no;

-- An event that had no key has the one that a later version finds, if it is
-- tried again.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/at', event_time => '/at', description => 'placed',
    version => '1.1.0', enforcement => 'observe', override_reason => 'orders have no id', schema => (
        SELECT schema FROM mesh_outbox.contracts WHERE version = '1.0.0')::json);
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0', producers_ready => true);
SELECT DISTINCT e.key AS stored, t.key AS tried_again
FROM sales.outbox e, mesh_outbox.outbox o,
     mesh_outbox.event_of(jsonb_populate_record(NULL::mesh_outbox.dead_letter, jsonb_build_object('event_id', e.event_id)), o) t
WHERE e.key IS NULL ORDER BY 2;
-- Two events of one id, as a partitioned outbox may have, are not mistaken for
-- each other.
CREATE TABLE sales.parted (event_type text, payload jsonb, created_at timestamptz DEFAULT now()) PARTITION BY RANGE (created_at);
CREATE TABLE sales.parted_1 PARTITION OF sales.parted DEFAULT;
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders');
INSERT INTO sales.parted (event_id, event_type, payload) VALUES
    ('00000000-0000-7000-8000-000000000001', 'OrderPlaced', '{"at": "2026-01-01T00:00:00Z", "lines": []}'),
    ('00000000-0000-7000-8000-000000000001', 'OrderPlaced', '{"at": "2026-01-02T00:00:00Z", "lines": []}');
SELECT mesh_outbox.event_of(jsonb_populate_record(NULL::mesh_outbox.dead_letter,
    '{"dead_letter_id": 7, "event_id": "00000000-0000-7000-8000-000000000001"}'), o)
FROM mesh_outbox.outbox o WHERE o.relation = 'sales.parted'::regclass;

SET client_min_messages = warning;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP OWNED BY regress_sales;
DROP ROLE regress_sales, regress_admin;
