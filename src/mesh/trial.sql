/* src/mesh/trial.sql: a proposal against events that exist, and against the topic's other event types */

-- ---------------------------------------------------------------------
-- Stored events
-- ---------------------------------------------------------------------

-- Reads a table from its end in steps of a few pages, for newer events lie
-- further back, whatever its indexes are, and a step takes no time to speak
-- of, so that both limits are kept.  A row with "tried" per step, a row with
-- "event_id" per violation: of the contract (schema_no 0), or of one of the
-- schemas, which are of the payload.
--
-- An event time that is neither the payload's nor that of the insertion was
-- given by the producer, who will give it again.  The contract that an event was
-- accepted under may be gone: the table may have been another database's.
CREATE FUNCTION mesh_outbox.try_table(
    relation regclass, outbox mesh_outbox.outbox, contract mesh_outbox.contract, schemas jsonb[],
    max_events bigint, until timestamptz,
    OUT tried bigint, OUT event_id uuid, OUT contract_id bigint, OUT schema_no int, OUT path text, OUT rule text,
    OUT enforcement text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    step CONSTANT bigint := 32;
    reader CONSTANT oid := mesh_outbox.reader_of(outbox);
    query CONSTANT text := format(
        'SELECT %s FROM ONLY %s WHERE ctid >= $1 AND ctid < $2 AND %I = $3 AND %I = $4 LIMIT $5',
        (SELECT string_agg(quote_ident(coalesce(outbox.columns ->> c, c)), ', ' ORDER BY n)
         FROM unnest('{event_id,contract_id,payload,headers,event_time,created_at}'::text[]) WITH ORDINALITY u (c, n)),
        relation, coalesce(outbox.columns ->> 'event_type', 'event_type'),
        coalesce(outbox.columns ->> 'major_version', 'major_version'));
    page bigint := pg_relation_size(relation) / current_setting('block_size')::bigint;
    left_over bigint := max_events;
BEGIN
    WHILE page > 0 AND left_over > 0 AND clock_timestamp() < until LOOP
        FOR tried, event_id, contract_id, schema_no, path, rule, enforcement IN
            WITH event AS MATERIALIZED (
                SELECT e.* FROM mesh_outbox.read_as(
                    reader, query, format('(%s,0)', greatest(page - step, 0))::tid, format('(%s,0)', page)::tid,
                    contract.event_type, contract.major, left_over)
                    AS e (event_id uuid, contract_id bigint, payload jsonb, headers jsonb, event_time timestamptz,
                          created_at timestamptz))
            SELECT count(*), NULL::uuid, NULL::bigint, NULL::int, NULL::text, NULL::text, NULL::text FROM event
            UNION ALL
            SELECT NULL, e.event_id, e.contract_id, 0, v.instance_pointer, v.keyword, v.enforcement
            FROM event e,
                 LATERAL mesh_outbox.event_violations(
                     contract, e.payload, e.headers, NULL,
                     CASE WHEN e.event_time <> e.created_at
                               AND e.event_time IS DISTINCT FROM (
                                   SELECT mesh_outbox.contract_event_time(c.contract_id, e.payload)
                                   FROM mesh_outbox.contract c WHERE c.contract_id = abs(e.contract_id))
                          THEN e.event_time END, e.created_at, as_enforced => false) v
            UNION ALL
            SELECT NULL, e.event_id, e.contract_id, s.no::int, v.instance_pointer, v.keyword, 'enforce'
            FROM event e, unnest(schemas) WITH ORDINALITY s (schema, no),
                 LATERAL mesh_outbox.schema_violations(s.schema, e.payload) v
        LOOP
            left_over := left_over - coalesce(tried, 0);
            RETURN NEXT;
        END LOOP;
        page := page - step;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.try_table(regclass, mesh_outbox.outbox, mesh_outbox.contract, jsonb[], bigint, timestamptz) IS
    'tries a contract, and schemas of the payload, on the newest events of its major in one table';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.try_table(regclass, mesh_outbox.outbox, mesh_outbox.contract, jsonb[], bigint, timestamptz) FROM PUBLIC;

-- Outboxes share both limits; what one leaves over, the next may use.
CREATE FUNCTION mesh_outbox.try_stored_events(
    contract mesh_outbox.contract, schemas jsonb[],
    OUT outbox regclass, OUT tried bigint, OUT event_id uuid, OUT contract_id bigint, OUT schema_no int,
    OUT path text, OUT rule text, OUT enforcement text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE ROWS 100
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules mesh_outbox.change_rule := mesh_outbox.change_rules_of(contract.product);
    until CONSTANT timestamptz := clock_timestamp() + rules.trial_time;
    left_over bigint := rules.trial_events;
    part record;
BEGIN
    -- a draft has no id yet
    contract.contract_id := coalesce(contract.contract_id, 0);
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
        FOR tried, event_id, contract_id, schema_no, path, rule, enforcement IN
            SELECT t.tried, t.event_id, t.contract_id, t.schema_no, t.path, t.rule, t.enforcement
            FROM mesh_outbox.try_table(part.relation, part.outbox, contract, schemas,
                                       (left_over + part.to_go - 1) / part.to_go,
                                       clock_timestamp() + (until - clock_timestamp()) / part.to_go) t
        LOOP
            left_over := left_over - coalesce(tried, 0);
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.try_stored_events(mesh_outbox.contract, jsonb[]) IS
    'tries a contract, and schemas of the payload, on the newest stored events of its major, as many and as long as the product''s rules say';
REVOKE EXECUTE ON FUNCTION mesh_outbox.try_stored_events(mesh_outbox.contract, jsonb[]) FROM PUBLIC;

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
    names text[] := '{}';
    schemas jsonb[] := '{}';
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
    END LOOP;
    RETURN QUERY
    WITH trial AS MATERIALIZED (SELECT * FROM mesh_outbox.try_stored_events(contract, schemas)),
         total AS (SELECT sum(t.tried) AS events FROM trial t),
         broken AS (
             SELECT t.schema_no, t.rule, t.enforcement,
                    CASE WHEN t.rule IN ('key', 'key_schema', 'event_time', 'lateness', 'headers') THEN t.path
                         ELSE mesh_outbox.declared_place(coalesce(schemas[t.schema_no], contract.resolved_schema), t.path)
                    END AS path,
                    CASE WHEN t.schema_no > 0 THEN names[t.schema_no]
                         WHEN bool_or(abs(t.contract_id) = current_id) THEN 'running producers'
                         ELSE 'events stored under earlier versions' END AS breaks,
                    count(DISTINCT t.event_id) AS events
             FROM trial t WHERE t.enforcement IN ('quarantine', 'enforce')
             GROUP BY 1, 2, 3, 4, t.schema_no > 0 OR abs(t.contract_id) = current_id)
    SELECT 'warning', 'trial', b.path, b.breaks,
           format('%s of the newest %s stored events (%s %%) would %s%s', b.events, t.events,
                  trim_scale(round(100.0 * b.events / t.events, 2)),
                  CASE b.enforcement WHEN 'quarantine' THEN 'be put into quarantine' ELSE 'fail' END,
                  coalesce(': ' || b.rule, ': unknown property')),
           NULL::jsonb, 'mesh_outbox.trial_failures() tells the product''s owner which.'
    FROM broken b, total t
    ORDER BY b.schema_no, b.path, b.rule, b.breaks, b.enforcement;
END
$$;
COMMENT ON FUNCTION mesh_outbox.trial_findings(mesh_outbox.contract) IS
    'how many of the newest stored events a contract version or a consumer''s expectation would refuse, by place and rule';
REVOKE EXECUTE ON FUNCTION mesh_outbox.trial_findings(mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.trial_failures(
    product text, event_type text, schema json, major int DEFAULT NULL, open boolean DEFAULT false,
    key text DEFAULT NULL, event_time text DEFAULT NULL, max_lateness interval DEFAULT NULL,
    headers json DEFAULT NULL, key_schema json DEFAULT NULL, anomalies jsonb DEFAULT NULL)
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
    PERFORM mesh_outbox.check_pointer('key', key);
    PERFORM mesh_outbox.check_pointer('event_time', event_time);
    PERFORM mesh_outbox.check_anomalies(anomalies);
    contract.resolved_schema := mesh_outbox.resolve_schema(schema);
    contract.open := open;
    contract.key_pointer := coalesce(key, contract.key_pointer);
    contract.event_time_pointer := coalesce(event_time, contract.event_time_pointer);
    contract.max_lateness := coalesce(max_lateness, contract.max_lateness);
    IF headers IS NOT NULL THEN
        contract.headers_schema := mesh_outbox.resolve_schema(headers);
    END IF;
    IF key_schema IS NOT NULL THEN
        contract.key_schema := mesh_outbox.resolve_schema(key_schema);
    END IF;
    contract.anomalies := coalesce(anomalies, contract.anomalies);
    RETURN QUERY
    SELECT t.outbox, t.event_id, t.path, coalesce(t.rule, 'unknown property')
    FROM mesh_outbox.try_stored_events(contract, '{}') t
    WHERE t.enforcement IN ('quarantine', 'enforce')
    ORDER BY t.outbox::text, t.event_id, t.path, t.rule;
    -- last, for others wait for the audit record
    PERFORM mesh_outbox.add_audit('read', 'stored events', NULL, jsonb_build_object(
        'product', contract.product, 'event_type', contract.event_type, 'major', contract.major, 'by', 'trial_failures'));
END
$$;
COMMENT ON FUNCTION mesh_outbox.trial_failures(text, text, json, int, boolean, text, text, interval, json, json, jsonb) IS
    'which of the newest stored events of a major (NULL: the newest in force) a contract with that schema would refuse or put into quarantine, and where; what else it says is as in propose_contract, NULL: as in the version in force. For the product''s owner, and recorded in the audit log. As many and as long as set_change_rules() says';

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
