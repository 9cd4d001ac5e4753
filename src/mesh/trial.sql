/* src/mesh/trial.sql: a proposal against events that exist, and against the topic's other event types */

-- ---------------------------------------------------------------------
-- Stored events
-- ---------------------------------------------------------------------

-- Reads a table from its end in steps of a few pages, for newer events lie
-- further back, whatever its indexes are, and a step takes no time to speak
-- of, so that both limits are kept.  A row with "tried" per step, a row with
-- "event_id" per violation.
CREATE FUNCTION mesh_outbox.try_table(
    relation regclass, outbox mesh_outbox.outbox, contract mesh_outbox.contract, schemas jsonb[], closed boolean[],
    max_events bigint, until timestamptz,
    OUT tried bigint, OUT event_id uuid, OUT contract_id bigint, OUT schema_no int, OUT path text, OUT rule text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    step CONSTANT bigint := 32;
    reader CONSTANT oid := mesh_outbox.reader_of(outbox);
    query CONSTANT text := format(
        'SELECT %I, %I, %I FROM ONLY %s WHERE ctid >= $1 AND ctid < $2 AND %I = $3 AND %I = $4 LIMIT $5',
        coalesce(outbox.columns ->> 'event_id', 'event_id'), coalesce(outbox.columns ->> 'contract_id', 'contract_id'),
        coalesce(outbox.columns ->> 'payload', 'payload'), relation,
        coalesce(outbox.columns ->> 'event_type', 'event_type'),
        coalesce(outbox.columns ->> 'major_version', 'major_version'));
    page bigint := pg_relation_size(relation) / current_setting('block_size')::bigint;
    left_over bigint := max_events;
BEGIN
    WHILE page > 0 AND left_over > 0 AND clock_timestamp() < until LOOP
        FOR tried, event_id, contract_id, schema_no, path, rule IN
            WITH event AS MATERIALIZED (
                SELECT e.* FROM mesh_outbox.read_as(
                    reader, query, format('(%s,0)', greatest(page - step, 0))::tid, format('(%s,0)', page)::tid,
                    contract.event_type, contract.major, left_over)
                    AS e (event_id uuid, contract_id bigint, payload jsonb))
            SELECT count(*), NULL::uuid, NULL::bigint, NULL::int, NULL::text, NULL::text FROM event
            UNION ALL
            SELECT NULL, e.event_id, e.contract_id, s.no::int, v.instance_pointer, v.keyword
            FROM event e, unnest(schemas, closed) WITH ORDINALITY s (schema, closed, no),
                 LATERAL mesh_outbox.schema_violations(s.schema, e.payload, closed => s.closed) v
        LOOP
            left_over := left_over - coalesce(tried, 0);
            RETURN NEXT;
        END LOOP;
        page := page - step;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.try_table(regclass, mesh_outbox.outbox, mesh_outbox.contract, jsonb[], boolean[], bigint, timestamptz) IS
    'tries schemas on the newest events of a contract''s major in one table';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.try_table(regclass, mesh_outbox.outbox, mesh_outbox.contract, jsonb[], boolean[], bigint, timestamptz) FROM PUBLIC;

-- Outboxes share both limits; what one leaves over, the next may use.
CREATE FUNCTION mesh_outbox.try_stored_events(
    contract mesh_outbox.contract, schemas jsonb[], closed boolean[],
    OUT outbox regclass, OUT tried bigint, OUT event_id uuid, OUT contract_id bigint, OUT schema_no int,
    OUT path text, OUT rule text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules mesh_outbox.change_rule := mesh_outbox.change_rules_of(contract.product);
    until CONSTANT timestamptz := clock_timestamp() + rules.trial_time;
    left_over bigint := rules.trial_events;
    part record;
BEGIN
    FOR part IN
        SELECT o AS outbox, r AS relation,
               count(*) OVER () - row_number() OVER (ORDER BY r DESC) + 1 AS to_go
        FROM mesh_outbox.outbox o JOIN pg_class c ON c.oid = o.relation,
             mesh_outbox.outbox_relations(o.relation) r JOIN pg_class l ON l.oid = r AND l.relkind = 'r'
        WHERE o.product = contract.product
          AND pg_relation_size(r) > 0
        ORDER BY r DESC
    LOOP
        outbox := (part.outbox).relation;
        FOR tried, event_id, contract_id, schema_no, path, rule IN
            SELECT t.tried, t.event_id, t.contract_id, t.schema_no, t.path, t.rule
            FROM mesh_outbox.try_table(part.relation, part.outbox, contract, schemas, closed,
                                       (left_over + part.to_go - 1) / part.to_go,
                                       clock_timestamp() + (until - clock_timestamp()) / part.to_go) t
        LOOP
            left_over := left_over - coalesce(tried, 0);
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.try_stored_events(mesh_outbox.contract, jsonb[], boolean[]) IS
    'tries schemas on the newest stored events of a contract''s major, as many and as long as the product''s rules say';
REVOKE EXECUTE ON FUNCTION mesh_outbox.try_stored_events(mesh_outbox.contract, jsonb[], boolean[]) FROM PUBLIC;

-- The nearest declared property above a place in a document.  The place
-- itself may be named by data, which is nobody's but the owner's.
CREATE FUNCTION mesh_outbox.declared_place(schema jsonb, path text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT d.pointer FROM mesh_outbox.declared_properties(schema) d
                     WHERE path = d.pointer OR starts_with(path, d.pointer || '/')
                     ORDER BY length(d.pointer) DESC LIMIT 1), '');
COMMENT ON FUNCTION mesh_outbox.declared_place(jsonb, text) IS
    'JSON Pointer to the declared property in which a place of a document lies; empty: in none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.declared_place(jsonb, text) FROM PUBLIC;

-- How many events break something is told to everybody who reads findings,
-- which events only to the owner (trial_failures).
CREATE FUNCTION mesh_outbox.trial_findings(contract mesh_outbox.contract)
    RETURNS TABLE (severity text, rule text, path text, breaks text, message text, counterexample jsonb, hint text)
    LANGUAGE plpgsql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    current_id bigint := (mesh_outbox.contract_in_force(contract.product, contract.event_type, contract.major)).contract_id;
    names text[] := ARRAY[NULL::text];
    schemas jsonb[] := ARRAY[contract.resolved_schema];
    closed boolean[] := ARRAY[NOT contract.open];
    consumer mesh_outbox.consumer;
BEGIN
    IF NOT EXISTS (SELECT FROM mesh_outbox.outbox o WHERE o.product = contract.product) THEN
        RETURN;
    ELSIF NOT mesh_outbox.manages(split_part(contract.product, '.', 1)) THEN
        -- else anybody could find out by trying what others' events say
        RETURN QUERY SELECT 'warning', 'trial', NULL::text, NULL::text, 'not tried on stored events', NULL::jsonb,
                            'Only the owner of the product may.';
        RETURN;
    END IF;
    FOR consumer IN
        SELECT c.* FROM mesh_outbox.consumers_of(contract) c WHERE c.expectation IS NOT NULL
    LOOP
        names := names || format('%s (%s)', consumer.name, consumer.contact);
        schemas := schemas || consumer.expectation;
        closed := closed || false;
    END LOOP;
    RETURN QUERY
    WITH trial AS MATERIALIZED (SELECT * FROM mesh_outbox.try_stored_events(contract, schemas, closed)),
         total AS (SELECT sum(t.tried) AS events FROM trial t),
         broken AS (
             SELECT t.schema_no, t.rule, mesh_outbox.declared_place(schemas[t.schema_no], t.path) AS path,
                    CASE WHEN t.schema_no > 1 THEN names[t.schema_no]
                         WHEN bool_or(abs(t.contract_id) = current_id) THEN 'running producers'
                         ELSE 'events stored under earlier versions' END AS breaks,
                    count(DISTINCT t.event_id) AS events
             FROM trial t WHERE t.event_id IS NOT NULL GROUP BY 1, 2, 3, t.schema_no > 1 OR abs(t.contract_id) = current_id)
    SELECT 'warning', 'trial', b.path, b.breaks,
           format('%s of the newest %s stored events (%s %%) would fail%s', b.events, t.events,
                  trim_scale(round(100.0 * b.events / t.events, 2)), coalesce(': ' || b.rule, ': unknown property')),
           NULL::jsonb, 'mesh_outbox.trial_failures() tells the product''s owner which.'
    FROM broken b, total t
    ORDER BY b.schema_no, b.path, b.rule, b.breaks;
END
$$;
COMMENT ON FUNCTION mesh_outbox.trial_findings(mesh_outbox.contract) IS
    'how many of the newest stored events a contract version or a consumer''s expectation would refuse, by place and rule';
REVOKE EXECUTE ON FUNCTION mesh_outbox.trial_findings(mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.trial_failures(
    product text, event_type text, schema json, major int DEFAULT NULL, open boolean DEFAULT false)
    RETURNS TABLE (outbox regclass, event_id uuid, path text, rule text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    contract mesh_outbox.contract;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(trial_failures.product)).domain,
                                       format('try a schema on events of product "%s"', trial_failures.product));
    contract := mesh_outbox.contract_in_force(trial_failures.product, trial_failures.event_type, trial_failures.major);
    RETURN QUERY
    SELECT t.outbox, t.event_id, t.path, coalesce(t.rule, 'unknown property')
    FROM mesh_outbox.try_stored_events(contract, ARRAY[mesh_outbox.resolve_schema(schema)], ARRAY[NOT trial_failures.open]) t
    WHERE t.event_id IS NOT NULL
    ORDER BY t.outbox::text, t.event_id, t.path, t.rule;
    -- last, for others wait for the audit record
    PERFORM mesh_outbox.add_audit('read', 'stored events', NULL, jsonb_build_object(
        'product', contract.product, 'event_type', contract.event_type, 'major', contract.major, 'by', 'trial_failures'));
END
$$;
COMMENT ON FUNCTION mesh_outbox.trial_failures(text, text, json, int, boolean) IS
    'which of the newest stored events of a major (NULL: the newest in force) a schema would refuse, and where; for the product''s owner, and recorded in the audit log. As many and as long as set_change_rules() says';

-- ---------------------------------------------------------------------
-- Other event types of the topic
-- ---------------------------------------------------------------------

-- What is undeclared is refused at the root at least; a contract of draft-07
-- has no word for it and is taken as it is.
CREATE FUNCTION mesh_outbox.closed_at_root(contract mesh_outbox.contract) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN (contract).open OR jsonb_typeof((contract).resolved_schema) <> 'object'
                     OR coalesce((contract).resolved_schema ->> '$schema', '') LIKE '%draft-07%'
                THEN (contract).resolved_schema
                ELSE '{"unevaluatedProperties": false}' || (contract).resolved_schema END;
COMMENT ON FUNCTION mesh_outbox.closed_at_root(mesh_outbox.contract) IS 'a contract''s schema without undeclared properties';
REVOKE EXECUTE ON FUNCTION mesh_outbox.closed_at_root(mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.overlap_findings(contract mesh_outbox.contract)
    RETURNS TABLE (severity text, rule text, path text, breaks text, message text, counterexample jsonb, hint text)
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', 'overlap', NULL::text,
               coalesce((SELECT string_agg(DISTINCT format('%s (%s)', s.name, s.contact), ', ')
                         FROM mesh_outbox.consumer s
                         WHERE s.product = c.product AND s.event_type IS NULL AND NOT s.filters_by_type),
                        'readers that do not look at ce_type'),
               format('a payload can be of this type and of %s %s on the same topic', c.event_type,
                      mesh_outbox.version_text(c)),
               o.example, 'Give one of them a property that the other refuses, such as a constant, or a topic of its own.'
        FROM mesh_outbox.contract c
        CROSS JOIN LATERAL mesh_outbox.schemas_overlap(mesh_outbox.closed_at_root(contract), mesh_outbox.closed_at_root(c)) o
        WHERE c.topic = (contract).topic AND c.status IN ('active', 'deprecated')
          AND (c.product, c.event_type) <> ((contract).product, (contract).event_type)
          AND (c.minor, c.patch) = (SELECT h.minor, h.patch FROM mesh_outbox.contract h
                                    WHERE h.product = c.product AND h.event_type = c.event_type AND h.major = c.major
                                      AND h.status IN ('active', 'deprecated')
                                    ORDER BY h.minor DESC, h.patch DESC LIMIT 1)
          AND o.verdict = 'proved'
          AND NOT EXISTS (SELECT FROM mesh_outbox.schema_violations(c.resolved_schema, o.example, closed => NOT c.open))
          AND NOT EXISTS (SELECT FROM mesh_outbox.schema_violations((contract).resolved_schema, o.example,
                                                                    closed => NOT (contract).open))
        ORDER BY c.product, c.event_type, c.major;
    END;
COMMENT ON FUNCTION mesh_outbox.overlap_findings(mesh_outbox.contract) IS
    'event types of the same topic that a reader cannot tell from this one by their payload';
REVOKE EXECUTE ON FUNCTION mesh_outbox.overlap_findings(mesh_outbox.contract) FROM PUBLIC;
