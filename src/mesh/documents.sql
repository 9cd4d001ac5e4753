/* src/mesh/documents.sql: a domain as one document, that can live in a repository */

-- Everything here runs with the rights of its caller: it reads the views that
-- all may read, and changes things by calling the functions that check.

-- jsonb_strip_nulls() would reach into schemas, where null is a value.
CREATE FUNCTION mesh_outbox.without_nulls(object jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(object) e
            WHERE jsonb_typeof(e.value) <> 'null');
COMMENT ON FUNCTION mesh_outbox.without_nulls(jsonb) IS 'an object without its members that are null';

CREATE FUNCTION mesh_outbox.duties_document(kind text, name text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('duty', r.duty, 'party', r.party) ORDER BY r.duty, r.party), '[]')
            FROM mesh_outbox.responsibilities r
            WHERE (r.kind, r.name) = (duties_document.kind, duties_document.name));
COMMENT ON FUNCTION mesh_outbox.duties_document(text, text) IS 'part of export_contracts(): who answers for an object';

CREATE FUNCTION mesh_outbox.versions_document(product text, bundled boolean) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(jsonb_agg(mesh_outbox.without_nulls(jsonb_build_object(
                'event_type', c.event_type, 'version', c.version, 'status', c.status, 'description', c.description,
                'schema', c.schema, 'key', c.key, 'event_time', c.event_time, 'max_lateness', c.max_lateness, 'headers', c.headers,
                'key_schema', c.key_schema, 'anomalies', c.anomalies,
                'compatibility', c.compatibility,
                'enforcement', c.enforcement, 'percent_of_keys', nullif(c.rollout, 100), 'open', c.open, 'topic', c.topic,
                'resolved_schema', CASE WHEN bundled THEN c.resolved_schema END))
                ORDER BY c.event_type COLLATE "C", string_to_array(c.version, '.')::int[]), '[]')
            FROM mesh_outbox.contracts c
            WHERE c.product = versions_document.product AND c.status <> 'retired');
COMMENT ON FUNCTION mesh_outbox.versions_document(text, boolean) IS 'part of export_contracts(): contract versions that are not retired';

CREATE FUNCTION mesh_outbox.product_document(product text, bundled boolean) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT mesh_outbox.without_nulls(to_jsonb(p) - ARRAY['domain', 'owner', 'created_at', 'status'])
                   || jsonb_build_object(
                       'inputs', (SELECT coalesce(jsonb_agg(i.input ORDER BY i.input COLLATE "C"), '[]')
                                  FROM mesh_outbox.product_inputs i WHERE i.product = p.name),
                       'co_owners', (SELECT coalesce(jsonb_agg(o.domain ORDER BY o.domain COLLATE "C"), '[]')
                                     FROM mesh_outbox.co_owners o WHERE o.product = p.name),
                       'change_rules', (SELECT to_jsonb(r) - 'product' FROM mesh_outbox.change_rules r WHERE r.product = p.name),
                       'reviews', (SELECT coalesce(jsonb_object_agg(r.event_type, r.due), '{}')
                                   FROM mesh_outbox.reviews r WHERE r.product = p.name),
                       'duties', mesh_outbox.duties_document('product', p.name),
                       'contracts', mesh_outbox.versions_document(p.name, bundled))
            FROM mesh_outbox.products p WHERE p.name = product);
COMMENT ON FUNCTION mesh_outbox.product_document(text, boolean) IS 'part of export_contracts(): a product';

CREATE FUNCTION mesh_outbox.export_contracts(domain text, bundled boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
    SET datestyle = 'ISO' AS $$
DECLARE
    document jsonb;
BEGIN
    SELECT jsonb_build_object(
        'mesh_outbox', 1,
        'domain', mesh_outbox.without_nulls(jsonb_build_object(
            'name', d.name, 'owner', coalesce(r.rolname, ''), 'description', d.description,
            'steward', (SELECT s.rolname FROM pg_roles s WHERE s.oid = d.steward),
            'duties', mesh_outbox.duties_document('domain', d.name))),
        'terms', (SELECT coalesce(jsonb_agg(mesh_outbox.without_nulls(jsonb_build_object(
                      'name', t.name, 'schema', t.schema, 'description', t.description, 'examples', t.examples,
                      'synonyms', t.synonyms, 'reserved', t.reserved, 'advice', t.advice,
                      'duties', mesh_outbox.duties_document('term', t.name))) ORDER BY t.created_at, t.name), '[]')
                  FROM mesh_outbox.terms t WHERE t.domain = d.name),
        'products', (SELECT coalesce(jsonb_agg(mesh_outbox.product_document(p.name, bundled) ORDER BY p.name COLLATE "C"), '[]')
                     FROM mesh_outbox.products p WHERE p.domain = d.name))
    INTO document
    FROM mesh_outbox.domains d LEFT JOIN pg_roles r ON r.oid = d.owner WHERE d.name = export_contracts.domain;
    IF document IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('domain "%s" does not exist', domain),
            HINT = 'See the view mesh_outbox.domains.';
    END IF;
    RETURN document;
END
$$;
COMMENT ON FUNCTION mesh_outbox.export_contracts(text, boolean) IS
    'a domain with its terms, products and contract versions that are not retired, as a document for import_contracts(); jsonb_pretty() makes it fit for a repository. bundled: with the schemas of all references, for import_external() in another database';

-- ---------------------------------------------------------------------
-- The plan
-- ---------------------------------------------------------------------

-- Arguments in the order given; null ones are left to their defaults.
CREATE FUNCTION mesh_outbox.call_text(function text, arguments json) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN format('SELECT mesh_outbox.%I(%s)', function, (
        SELECT string_agg(format('%I => %L', a.key,
                   CASE WHEN a.key IN ('synonyms', 'inputs', 'domains')
                        THEN ARRAY(SELECT json_array_elements_text(a.value))::text
                        ELSE a.value #>> '{}' END), ', ' ORDER BY a.ordinality)
        FROM json_each(arguments) WITH ORDINALITY a WHERE json_typeof(a.value) <> 'null'));
COMMENT ON FUNCTION mesh_outbox.call_text(text, json) IS 'the SQL that calls one of our functions';

-- Members of "wanted" that "present" has otherwise, or not at all.
CREATE FUNCTION mesh_outbox.changed_members(wanted jsonb, present jsonb, names text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(jsonb_object_agg(w.key, w.value), '{}') FROM jsonb_each(wanted) w
            WHERE w.key = ANY (names) AND w.value IS DISTINCT FROM present -> w.key);
COMMENT ON FUNCTION mesh_outbox.changed_members(jsonb, jsonb, text[]) IS 'what differs between two objects';

CREATE FUNCTION mesh_outbox.element_named(elements jsonb, name text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT e FROM jsonb_array_elements(elements) e WHERE e ->> 'name' = name LIMIT 1);
COMMENT ON FUNCTION mesh_outbox.element_named(jsonb, text) IS 'the object of that name in an array';

CREATE FUNCTION mesh_outbox.plan_duties(kind text, wanted jsonb, present jsonb)
    RETURNS TABLE (action text, object text, statement text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'assign', format('%s %s', kind, wanted ->> 'name'),
               mesh_outbox.call_text('assign_duty', json_build_object('duty', d -> 'duty', 'party', d -> 'party', kind, wanted -> 'name'))
        FROM jsonb_array_elements(coalesce(wanted -> 'duties', '[]')) d
        WHERE NOT coalesce(present -> 'duties', '[]') @> jsonb_build_array(d);
    END;
COMMENT ON FUNCTION mesh_outbox.plan_duties(text, jsonb, jsonb) IS 'part of plan_import(): duties';

CREATE FUNCTION mesh_outbox.plan_term(domain text, wanted jsonb, present jsonb)
    RETURNS TABLE (action text, object text, statement text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    changed jsonb := mesh_outbox.changed_members(wanted, present, ARRAY['schema', 'description', 'examples', 'synonyms']);
BEGIN
    IF present IS NULL THEN
        RETURN QUERY SELECT 'create', 'term ' || (wanted ->> 'name'), mesh_outbox.call_text('create_term', json_build_object(
            'name', wanted -> 'name', 'schema', wanted -> 'schema', 'domain', domain, 'description', wanted -> 'description',
            'examples', wanted -> 'examples', 'synonyms', wanted -> 'synonyms', 'reserved', wanted -> 'reserved'));
    ELSE
        IF changed <> '{}' THEN
            RETURN QUERY SELECT 'alter', 'term ' || (wanted ->> 'name'), mesh_outbox.call_text('alter_term', json_build_object(
                'term', wanted -> 'name', 'schema', changed -> 'schema', 'description', changed -> 'description',
                'examples', changed -> 'examples', 'synonyms', changed -> 'synonyms'));
        END IF;
        IF wanted -> 'reserved' <> present -> 'reserved' THEN
            RETURN QUERY SELECT 'alter', 'term ' || (wanted ->> 'name'), mesh_outbox.call_text('reserve_term',
                json_build_object('term', wanted -> 'name', 'reserved', wanted -> 'reserved'));
        END IF;
    END IF;
    IF wanted -> 'advice' IS DISTINCT FROM present -> 'advice' AND wanted ? 'advice' THEN
        RETURN QUERY SELECT 'deprecate', 'term ' || (wanted ->> 'name'), mesh_outbox.call_text('deprecate_term',
            json_build_object('term', wanted -> 'name', 'advice', wanted -> 'advice'));
    END IF;
    RETURN QUERY SELECT * FROM mesh_outbox.plan_duties('term', wanted, present);
END
$$;
COMMENT ON FUNCTION mesh_outbox.plan_term(text, jsonb, jsonb) IS 'part of plan_import(): a term';

CREATE FUNCTION mesh_outbox.plan_product(wanted jsonb, present jsonb)
    RETURNS TABLE (action text, object text, statement text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wire CONSTANT text[] := ARRAY['purpose', 'replication', 'topic_config', 'content_mode', 'header_set'];
    promises CONSTANT text[] := ARRAY['latency', 'availability', 'freshness', 'retention', 'residency', 'classification',
                                      'quality', 'access'];
    label CONSTANT text := 'product ' || (wanted ->> 'name');
    changed jsonb := mesh_outbox.changed_members(
        wanted, coalesce(present, '{"quality": {}, "access": "open"}'),
        CASE WHEN present IS NULL THEN promises ELSE wire || promises END);
BEGIN
    IF present IS NULL THEN
        RETURN QUERY SELECT 'create', label, mesh_outbox.call_text('create_product', json_build_object(
            'name', wanted -> 'name', 'purpose', wanted -> 'purpose', 'topic', wanted -> 'topic',
            'partitions', wanted -> 'partitions', 'replication', wanted -> 'replication',
            'topic_config', wanted -> 'topic_config', 'content_mode', wanted -> 'content_mode',
            'header_set', wanted -> 'header_set'));
    ELSIF mesh_outbox.changed_members(wanted, present, ARRAY['topic', 'partitions']) <> '{}' THEN
        RETURN QUERY SELECT 'conflict', label, '-- the topic and its partitions cannot be changed';
    END IF;
    IF changed <> '{}' THEN
        RETURN QUERY SELECT 'alter', label, mesh_outbox.call_text('alter_product', (
            jsonb_build_object('name', wanted -> 'name') || changed)::json);
    END IF;
    RETURN QUERY SELECT * FROM mesh_outbox.plan_duties('product', wanted, present);
    changed := mesh_outbox.changed_members(wanted -> 'change_rules', present -> 'change_rules',
                                           ARRAY(SELECT jsonb_object_keys(wanted -> 'change_rules')));
    IF changed <> '{}' THEN
        RETURN QUERY SELECT 'alter', label, mesh_outbox.call_text('set_change_rules', (
            jsonb_build_object('product', wanted -> 'name') || changed)::json);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.plan_product(jsonb, jsonb) IS 'part of plan_import(): a product by itself';

-- After all products are there.
CREATE FUNCTION mesh_outbox.plan_relations(wanted jsonb, present jsonb)
    RETURNS TABLE (action text, object text, statement text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'alter', 'product ' || (wanted ->> 'name'),
               mesh_outbox.call_text(r.function, json_build_object('product', wanted -> 'name', r.argument, wanted -> r.member))
        FROM (VALUES ('inputs', 'set_inputs', 'inputs'), ('co_owners', 'set_co_owners', 'domains')) r (member, function, argument)
        WHERE wanted ? r.member AND wanted -> r.member <> coalesce(present -> r.member, '[]');
    END;
COMMENT ON FUNCTION mesh_outbox.plan_relations(jsonb, jsonb) IS 'part of plan_import(): inputs and co-owners of a product';

CREATE FUNCTION mesh_outbox.plan_version(product text, wanted jsonb)
    RETURNS TABLE (action text, object text, statement text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    label CONSTANT text := format('contract %s %s %s', product, wanted ->> 'event_type', wanted ->> 'version');
    present jsonb;
    named CONSTANT json := json_build_object('product', product, 'event_type', wanted -> 'event_type', 'version', wanted -> 'version');
    changed jsonb;
BEGIN
    SELECT to_jsonb(c) INTO present FROM mesh_outbox.contracts c
    WHERE (c.product, c.event_type, c.version) = (plan_version.product, wanted ->> 'event_type', wanted ->> 'version');
    IF present IS NULL THEN
        RETURN QUERY SELECT 'propose', label, mesh_outbox.call_text('propose_contract', json_build_object(
            'product', product, 'event_type', wanted -> 'event_type', 'schema', wanted -> 'schema', 'key', wanted -> 'key',
            'version', wanted -> 'version', 'event_time', wanted -> 'event_time', 'description', wanted -> 'description',
            'compatibility', wanted -> 'compatibility', 'enforcement', wanted -> 'enforcement', 'open', wanted -> 'open',
            'topic', wanted -> 'topic', 'max_lateness', wanted -> 'max_lateness', 'headers', wanted -> 'headers',
            'key_schema', wanted -> 'key_schema', 'anomalies', wanted -> 'anomalies'));
    ELSE
        changed := mesh_outbox.changed_members(wanted, present,
            ARRAY['schema', 'key', 'event_time', 'max_lateness', 'headers', 'key_schema', 'anomalies', 'description',
                  'compatibility', 'open', 'topic']);
        IF changed <> '{}' THEN
            RETURN QUERY SELECT 'conflict', label, format('-- %s cannot be changed: give it a higher version',
                (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(changed) k));
        END IF;
        IF present ->> 'status' = 'retired' THEN
            RETURN QUERY SELECT 'keep', label, '-- it is retired here';
            RETURN;
        END IF;
    END IF;
    IF wanted -> 'enforcement' IS DISTINCT FROM coalesce(present -> 'enforcement', wanted -> 'enforcement')
       OR coalesce((wanted ->> 'percent_of_keys')::int, 100) <> coalesce((present ->> 'rollout')::int, 100) THEN
        RETURN QUERY SELECT 'alter', label, mesh_outbox.call_text('set_enforcement', json_build_object(
            'product', product, 'event_type', wanted -> 'event_type', 'version', wanted -> 'version',
            'enforcement', coalesce(wanted -> 'enforcement', present -> 'enforcement', '"enforce"'),
            'reason', 'as the imported document says', 'percent_of_keys', wanted -> 'percent_of_keys'));
    END IF;
    IF wanted ->> 'status' IN ('active', 'deprecated') AND coalesce(present ->> 'status', 'proposed') = 'proposed' THEN
        RETURN QUERY SELECT 'activate', label, mesh_outbox.call_text('activate_contract', named);
    END IF;
    IF wanted ->> 'status' = 'deprecated' AND coalesce(present ->> 'status', '') <> 'deprecated' THEN
        RETURN QUERY SELECT 'deprecate', label, mesh_outbox.call_text('deprecate_contract', named);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.plan_version(text, jsonb) IS 'part of plan_import(): a contract version';

CREATE FUNCTION mesh_outbox.document_domain(document jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF document -> 'mesh_outbox' IS DISTINCT FROM '1' OR jsonb_typeof(document -> 'domain') IS DISTINCT FROM 'object'
       OR document #>> '{domain,name}' IS NULL
       OR jsonb_typeof(coalesce(document -> 'terms', '[]')) <> 'array'
       OR jsonb_typeof(coalesce(document -> 'products', '[]')) <> 'array' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'this is no document of a domain',
            HINT = 'mesh_outbox.export_contracts() shows what one looks like.';
    END IF;
    RETURN document #>> '{domain,name}';
END
$$;
COMMENT ON FUNCTION mesh_outbox.document_domain(jsonb) IS 'the domain that a document describes; error if it describes none';

CREATE FUNCTION mesh_outbox.plan_import(document jsonb)
    RETURNS TABLE (step bigint, action text, object text, statement text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
    SET datestyle = 'ISO'
    SET jit = off AS $$
#variable_conflict use_column
DECLARE
    domain text := mesh_outbox.document_domain(document);
    wanted jsonb := document -> 'domain';
    present jsonb := '{}';
BEGIN
    IF EXISTS (SELECT FROM mesh_outbox.domains d WHERE d.name = domain) THEN
        present := mesh_outbox.export_contracts(domain);
    END IF;
    RETURN QUERY
    WITH product AS (
        SELECT p.value AS wanted, mesh_outbox.element_named(present -> 'products', p.value ->> 'name') AS present, p.ordinality
        FROM jsonb_array_elements(document -> 'products') WITH ORDINALITY p
    ), plan AS (
        SELECT 1 AS part, 0::bigint AS n, 0::bigint AS m, 'create' AS action, 'domain ' || domain AS object,
               mesh_outbox.call_text('create_domain', json_build_object(
                   'name', domain, 'owner', wanted -> 'owner', 'description', wanted -> 'description',
                   'steward', wanted -> 'steward')) AS statement
        WHERE present = '{}'
        UNION ALL
        SELECT 1, 0, 0, 'alter', 'domain ' || domain,
               mesh_outbox.call_text('alter_domain', json_build_object('name', domain, 'description', wanted -> 'description'))
        WHERE present <> '{}' AND wanted -> 'description' <> present #> '{domain,description}'
        UNION ALL
        SELECT 1, 0, 1, 'alter', 'domain ' || domain,
               mesh_outbox.call_text('alter_domain', json_build_object('name', domain, 'steward', wanted -> 'steward'))
        WHERE present <> '{}' AND wanted -> 'steward' IS DISTINCT FROM present #> '{domain,steward}' AND wanted ? 'steward'
        UNION ALL
        SELECT 1, 1, 0, d.* FROM mesh_outbox.plan_duties('domain', wanted, present -> 'domain') d
        UNION ALL
        SELECT 2, t.ordinality, p.ordinality, p.action, p.object, p.statement
        FROM jsonb_array_elements(document -> 'terms') WITH ORDINALITY t,
             mesh_outbox.plan_term(domain, t.value, mesh_outbox.element_named(present -> 'terms', t.value ->> 'name'))
                 WITH ORDINALITY p
        UNION ALL
        SELECT 3, r.ordinality, p.ordinality, p.action, p.object, p.statement
        FROM product r, mesh_outbox.plan_product(r.wanted, r.present) WITH ORDINALITY p
        UNION ALL
        SELECT 4, r.ordinality, 0, p.* FROM product r, mesh_outbox.plan_relations(r.wanted, r.present) p
        UNION ALL
        SELECT 5, r.ordinality * 1000000 + v.ordinality, p.ordinality, p.action, p.object, p.statement
        FROM product r, jsonb_array_elements(r.wanted -> 'contracts') WITH ORDINALITY v,
             mesh_outbox.plan_version(r.wanted ->> 'name', v.value) WITH ORDINALITY p
        UNION ALL
        SELECT 6, r.ordinality, 0, 'alter', format('event type %s %s', r.wanted ->> 'name', d.key),
               mesh_outbox.call_text('set_review', json_build_object('product', r.wanted -> 'name', 'event_type', d.key, 'due', d.value))
        FROM product r, jsonb_each(r.wanted -> 'reviews') d
        WHERE d.value IS DISTINCT FROM r.present #> ARRAY['reviews', d.key] AND (d.value #>> '{}')::date > current_date
        UNION ALL
        SELECT 7, 0, 0, 'keep', 'product ' || (h ->> 'name'), '-- it is not in the document'
        FROM jsonb_array_elements(present -> 'products') h
        WHERE mesh_outbox.element_named(document -> 'products', h ->> 'name') IS NULL
        UNION ALL
        SELECT 7, 1, 0, 'keep', 'term ' || (h ->> 'name'), '-- it is not in the document'
        FROM jsonb_array_elements(present -> 'terms') h
        WHERE mesh_outbox.element_named(document -> 'terms', h ->> 'name') IS NULL
    )
    SELECT row_number() OVER (ORDER BY p.part, p.n, p.m, p.object COLLATE "C", p.statement COLLATE "C"),
           p.action, p.object, p.statement FROM plan p ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mesh_outbox.plan_import(jsonb) IS
    'what import_contracts() would do with a document: one row per step with its SQL; conflict: what the document says cannot be had; keep: what is here and not in the document stays. No row: all is as the document says';

CREATE FUNCTION mesh_outbox.import_contracts(document jsonb)
    RETURNS TABLE (step bigint, action text, object text, outcome text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
    SET datestyle = 'ISO' AS $$
#variable_conflict use_column
DECLARE
    plan record;
    conflicts text;
BEGIN
    SELECT string_agg(format('%s: %s', p.object, substr(p.statement, 4)), E'\n' ORDER BY p.step) INTO conflicts
    FROM mesh_outbox.plan_import(document) p WHERE p.action = 'conflict';
    IF conflicts IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the document contradicts what is here',
            DETAIL = conflicts,
            HINT = 'mesh_outbox.plan_import() shows all steps.';
    END IF;
    FOR plan IN SELECT * FROM mesh_outbox.plan_import(document) p ORDER BY p.step LOOP
        outcome := 'done';
        IF plan.action = 'keep' THEN
            outcome := substr(plan.statement, 4);
        ELSIF plan.action IN ('activate', 'deprecate') THEN
            -- what has to wait for notice or for INSERTs in flight does not undo the rest
            BEGIN
                EXECUTE plan.statement;
            EXCEPTION WHEN object_not_in_prerequisite_state OR lock_not_available THEN
                outcome := 'waits: ' || SQLERRM;
            END;
        ELSE
            EXECUTE plan.statement;
        END IF;
        step := plan.step;
        action := plan.action;
        object := plan.object;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.import_contracts(jsonb) IS
    'makes a domain what a document of export_contracts() says, in one transaction and with the caller''s rights; nothing is dropped. What must wait (notice, consent) says so: import again later. Importing twice changes nothing';
