-- Run by mesh.sh.  What was there before is loaded into the tables directly,
-- without its audit record, as a restored dump has it.
\pset footer off
\o /dev/null
SET synchronous_commit = off;
CREATE ROLE bench_owner;
SELECT mesh_outbox.create_domain('d' || i, owner => 'bench_owner', description => 'domain number ' || i) FROM generate_series(1, 50) i;
SELECT mesh_outbox.create_term('customer_id', '{"type": "string", "format": "uuid"}', domain => 'd1', description => 'who');

ALTER TABLE mesh_outbox.product DISABLE TRIGGER audit;
ALTER TABLE mesh_outbox.contract DISABLE TRIGGER audit;
ALTER TABLE mesh_outbox.contract DISABLE TRIGGER index_change;
ALTER TABLE mesh_outbox.consumer DISABLE TRIGGER audit;
INSERT INTO mesh_outbox.product (name, domain, purpose, topic, partitions, content_mode, header_set, status)
SELECT format('d%s.p%s', 1 + i % 50, i), 'd' || 1 + i % 50,
       format('facts about %s number %s', (ARRAY['orders', 'parcels', 'invoices', 'customers', 'payments', 'returns', 'stock'])[1 + i % 7], i),
       format('d%s.p%s', 1 + i % 50, i), 6, 'binary', 'standard', 'active'
FROM generate_series(1, 1000) i;
INSERT INTO mesh_outbox.change_rule (product) SELECT name FROM mesh_outbox.product ON CONFLICT DO NOTHING;

-- Five event types each, in two versions, of 15 properties and one term.
CREATE FUNCTION pg_temp.schema_of(version int) RETURNS json LANGUAGE sql AS $$
    SELECT json_build_object('type', 'object', 'required', '["id", "customer_id", "placed_at", "currency"]'::json, 'properties',
        ('{"id": {"type": "string", "maxLength": 20, "description": "as printed"},
           "customer_id": {"$ref": "term:customer_id"},
           "placed_at": {"type": "string", "format": "date-time", "description": "when"},
           "currency": {"enum": ["EUR", "USD", "GBP"], "description": "ISO 4217"},
           "total": {"type": "string", "pattern": "^[0-9]+[.][0-9]{2}$", "maxLength": 20, "description": "amount"},
           "paid": {"type": "boolean", "description": "whether"},
           "note": {"type": "string", "maxLength": 500, "description": "what else"},
           "tags": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 20}, "description": "words"},
           "address": {"type": "object", "description": "where", "required": ["city"], "properties": {
               "city": {"type": "string", "maxLength": 80, "description": "town"},
               "zip": {"type": "string", "maxLength": 12, "description": "code"}}},
           "lines": {"type": "array", "maxItems": 100, "description": "what", "items": {"type": "object", "required": ["sku", "qty"], "properties": {
               "sku": {"type": "string", "maxLength": 20}, "qty": {"type": "integer", "minimum": 1, "maximum": 999}}}}}'::jsonb
         || (SELECT jsonb_object_agg('extra_' || v, '{"type": "string", "maxLength": 10, "description": "more"}'::jsonb)
             FROM generate_series(0, version) v))) $$;
CREATE TABLE pg_temp.template AS
SELECT v, (mesh_outbox.draft_contract('d2.p1', 'T' || v, pg_temp.schema_of(v), '/id', '1.' || v || '.0', NULL, 'something happened',
                                      'FULL_TRANSITIVE', 'enforce', false, NULL)).*
FROM generate_series(0, 1) v;
INSERT INTO mesh_outbox.contract
SELECT c.* FROM mesh_outbox.product p, generate_series(1, 5) e, pg_temp.template t,
     LATERAL jsonb_populate_record(NULL::mesh_outbox.contract, to_jsonb(t) - 'v' || jsonb_build_object(
         'contract_id', nextval('mesh_outbox.contract_contract_id_seq'), 'product', p.name,
         'event_type', format('Happened%s_%s', split_part(p.name, '.', 2), e),
         'status', 'active', 'activated_at', now(), 'topic', p.topic || '.' || e, 'ce_type', format('%s.Happened%s_%s.v1', p.name, split_part(p.name, '.', 2), e),
         'description', format('fact %s about %s', e, p.purpose))) c;

-- 20 consumers of an event type, 10 of the one that is proposed for.
INSERT INTO mesh_outbox.consumer (name, product, event_type, major, expectation, fields, contact, registered_by)
SELECT format('consumer %s', n), c.product, c.event_type, 1, x.expectation, '{/id,/customer_id,/total}', 'x@example.org', 'x'
FROM (SELECT DISTINCT product, event_type FROM mesh_outbox.contract) c,
     (SELECT mesh_outbox.field_expectation(k, ARRAY['/id', '/customer_id'], ARRAY['/total']) AS expectation
      FROM mesh_outbox.contract k LIMIT 1 OFFSET 0) x, generate_series(1, 20) n
WHERE n <= 10 OR (c.product, c.event_type) <> ('d2.p1', 'Happenedp1_1');
ALTER TABLE mesh_outbox.product ENABLE TRIGGER audit;
ALTER TABLE mesh_outbox.contract ENABLE TRIGGER audit;
ALTER TABLE mesh_outbox.contract ENABLE TRIGGER index_change;
SELECT mesh_outbox.index_event_type(c.product, c.event_type)
FROM (SELECT DISTINCT product, event_type FROM mesh_outbox.contract) c;
ALTER TABLE mesh_outbox.consumer ENABLE TRIGGER audit;
VACUUM ANALYZE;

-- ns that this process has been on a processor
CREATE FUNCTION pg_temp.processor_time() RETURNS numeric LANGUAGE sql
    AS $$SELECT split_part(pg_read_file('/proc/self/schedstat', 0, 64), ' ', 1)::numeric$$;
CREATE FUNCTION pg_temp.time_calls(statement text, calls int, OUT first_call numeric, OUT median numeric, OUT fastest numeric,
                                   OUT slowest numeric, OUT processor numeric)
    LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    used numeric;
    times numeric[];
    processor_times numeric[];
BEGIN
    FOR i IN 0 .. calls LOOP
        BEGIN
            used := pg_temp.processor_time();
            began := clock_timestamp();
            EXECUTE statement;
            times[i] := extract(epoch FROM clock_timestamp() - began) * 1000;
            processor_times[i] := (pg_temp.processor_time() - used) / 1e6;
            RAISE EXCEPTION USING ERRCODE = 'ZZ001';
        EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
        END;
    END LOOP;
    first_call := round(times[0], 1);
    SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY t)::numeric, 1), round(min(t), 1), round(max(t), 1)
    INTO median, fastest, slowest FROM unnest(times[1:]) t;
    processor := (SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY t)::numeric, 1) FROM unnest(processor_times[1:]) t);
END
$$;
\o
SELECT (SELECT count(*) FROM mesh_outbox.product) AS products, (SELECT count(*) FROM mesh_outbox.contract) AS contracts,
       (SELECT count(*) FROM mesh_outbox.consumer) AS consumers,
       (SELECT count(*) FROM mesh_outbox.consumer WHERE (product, event_type) = ('d2.p1', 'Happenedp1_1')) AS concerned;
SELECT s.what, s.target, t.*
FROM (VALUES
    (1, 'propose_contract', '50', format($$SELECT mesh_outbox.propose_contract('d2.p1', 'Happenedp1_1', key => '/id', description => 'x', topic => 'd2.p1.1', schema => %L)$$,
                                         pg_temp.schema_of(2))),
    (2, 'search_catalog, rare word', '20', $$SELECT * FROM mesh_outbox.search_catalog('p77')$$),
    (3, 'search_catalog, 700 matches', '20', $$SELECT * FROM mesh_outbox.search_catalog('invoices')$$),
    (4, 'search_catalog, all event types', '20', $$SELECT * FROM mesh_outbox.search_catalog('customer')$$),
    (5, 'describe_product', '20', $$SELECT * FROM mesh_outbox.describe_product('d2.p1')$$),
    (6, 'who_uses a field of all', '', $$SELECT count(*) FROM mesh_outbox.who_uses('/total')$$),
    (7, 'todo', '', $$SELECT * FROM mesh_outbox.todo()$$),
    (8, 'doctor', '', $$SELECT * FROM mesh_outbox.doctor()$$),
    (9, 'run_due', '', $$SELECT * FROM mesh_outbox.run_due()$$)) s (no, what, target, statement),
    LATERAL pg_temp.time_calls(s.statement, CASE WHEN s.no > 5 THEN 5 ELSE :calls END) t
ORDER BY s.no;
