/* src/mesh/discovery.sql: what a product is, and what changed in it */

CREATE FUNCTION mesh_outbox.describe_product(product text)
    RETURNS TABLE (section text, name text, detail text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM mesh_outbox.find_product(product);
    RETURN QUERY
    SELECT 'product', p.name, p.purpose FROM mesh_outbox.products p WHERE p.name = product
    UNION ALL
    SELECT 'owner', p.owner::text, 'domain ' || p.domain FROM mesh_outbox.products p WHERE p.name = product
    UNION ALL
    SELECT 'steward', d.steward::text, 'of domain ' || d.name
    FROM mesh_outbox.domains d JOIN mesh_outbox.products p ON p.domain = d.name WHERE p.name = product AND d.steward IS NOT NULL
    UNION ALL
    SELECT 'status', p.status, concat_ws('; ', 'classified ' || p.classification, 'stays in ' || p.residency,
                                         CASE p.access WHEN 'on request' THEN 'access on request' END)
    FROM mesh_outbox.products p WHERE p.name = product
    UNION ALL
    SELECT 'promise', v.name, v.detail
    FROM mesh_outbox.products p,
         LATERAL (VALUES ('latency', p.latency::text), ('availability', p.availability || ' %'), ('freshness', p.freshness::text),
                         ('retention', p.retention::text), ('quality', nullif(p.quality, '{}')::text)) v (name, detail)
    WHERE p.name = product AND v.detail IS NOT NULL
    UNION ALL
    SELECT r.duty, r.party, CASE r.kind WHEN 'domain' THEN 'of domain ' || r.name END
    FROM mesh_outbox.responsibilities r JOIN mesh_outbox.products p ON p.name = product
    WHERE r.kind = 'product' AND r.name = product OR r.kind = 'domain' AND r.name = p.domain
    UNION ALL
    SELECT 'co-owner', c.domain, 'approves every contract' FROM mesh_outbox.co_owners c WHERE c.product = describe_product.product
    UNION ALL
    SELECT l.direction, l.product, 'domain ' || l.domain FROM mesh_outbox.lineage(product) l WHERE l.distance = 1
    UNION ALL
    SELECT 'topic', c.topic, format('%s partitions, %s', c.partitions, string_agg(DISTINCT c.ce_type, ', ' ORDER BY c.ce_type))
    FROM mesh_outbox.contracts c WHERE c.product = describe_product.product AND c.in_force
    GROUP BY c.topic, c.partitions;
    RETURN QUERY
    SELECT 'event type', format('%s %s', c.event_type, c.version),
           format('%s, %s; key %s%s', c.status, c.enforcement, c.key, '; ' || c.description)
    FROM mesh_outbox.contracts c
    WHERE c.product = describe_product.product AND (c.in_force OR c.status = 'proposed')
    ORDER BY c.event_type, c.contract_id;
    RETURN QUERY
    SELECT v.section, format('%s %s', c.event_type, c.version), v.detail
    FROM mesh_outbox.contracts c,
         LATERAL (VALUES ('key schema', c.key_schema::text), ('headers', c.headers::text),
                         ('event time', c.event_time || coalesce(', at most ' || c.max_lateness || ' late', '')),
                         ('anomalies', c.anomalies::text)) v (section, detail)
    WHERE c.product = describe_product.product AND c.in_force AND v.detail IS NOT NULL
    ORDER BY c.event_type, c.contract_id, v.section;
    RETURN QUERY
    SELECT 'field', format('%s %s %s', c.event_type, c.version, d.pointer),
           concat_ws('; ', substring(d.subschema ->> '$id' FROM '^term:.*'), d.subschema ->> 'type', d.subschema ->> 'format',
                     d.subschema ->> 'description',
                     'used by ' || (SELECT string_agg(s.consumer, ', ' ORDER BY s.consumer) FROM mesh_outbox.consumers s
                                    WHERE s.product = c.product AND s.event_type = c.event_type
                                      AND s.major = split_part(c.version, '.', 1)::int AND d.pointer = ANY (s.fields)))
    FROM mesh_outbox.contracts c, LATERAL mesh_outbox.declared_properties(c.resolved_schema) d
    WHERE c.product = describe_product.product AND c.in_force
    ORDER BY c.event_type, c.contract_id, d.pointer;
    RETURN QUERY
    SELECT 'consumer', s.consumer, concat_ws('; ', coalesce(s.event_type, 'all event types') || ' v' || s.major, s.contact)
    FROM mesh_outbox.consumers s WHERE s.product = describe_product.product ORDER BY s.consumer, s.event_type;
    RETURN QUERY
    SELECT 'outbox', o.outbox::text, coalesce('published by ' || o.publisher, 'not published')
    FROM mesh_outbox.outboxes o WHERE o.product = describe_product.product ORDER BY 2;
END
$$;
COMMENT ON FUNCTION mesh_outbox.describe_product(text) IS
    'a product on one page: owner, topics, event types, fields and who uses them, consumers, outboxes';

-- ---------------------------------------------------------------------
-- Release notes
-- ---------------------------------------------------------------------

-- Levels as contract_changes() gives them: what proposal_findings() refuses
-- within a major is major here.
CREATE FUNCTION mesh_outbox.setting_changes(older mesh_outbox.contract, newer mesh_outbox.contract)
    RETURNS TABLE (path text, level text, change text)
    LANGUAGE sql STABLE ROWS 5
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT v.path, v.level, v.change
        FROM (VALUES
            ((older).topic <> (newer).topic, NULL::text, 'major',
             format('events now go to topic %s (before: %s)', (newer).topic, (older).topic)),
            ((older).content_mode <> (newer).content_mode, NULL, 'major',
             format('messages are now %s (before: %s)', (newer).content_mode, (older).content_mode)),
            ((older).header_set <> (newer).header_set, NULL,
             CASE WHEN (newer).header_set = 'minimal' OR (older).header_set = 'full' THEN 'major' ELSE 'minor' END,
             format('events now have the %s headers (before: %s)', (newer).header_set, (older).header_set)),
            ((older).key_pointer <> (newer).key_pointer, (newer).key_pointer, 'major',
             format('the key is now %s (before: %s)', (newer).key_pointer, (older).key_pointer)),
            ((older).event_time_pointer IS DISTINCT FROM (newer).event_time_pointer, (newer).event_time_pointer, 'minor',
             format('the event time is now %s (before: %s)', coalesce((newer).event_time_pointer, 'no part of the payload'),
                    coalesce((older).event_time_pointer, 'no part of the payload'))),
            ((older).max_lateness IS DISTINCT FROM (newer).max_lateness, (newer).event_time_pointer,
             CASE WHEN (older).max_lateness IS NOT NULL AND coalesce((newer).max_lateness > (older).max_lateness, true)
                  THEN 'major' ELSE 'minor' END,
             format('events may now come %s (before: %s)', coalesce('up to ' || (newer).max_lateness || ' late', 'as late as they like'),
                    coalesce('up to ' || (older).max_lateness, 'as late as they liked'))),
            ((older).open <> (newer).open, NULL, 'minor',
             CASE WHEN (newer).open THEN 'properties that the schema does not declare are now accepted'
                  ELSE 'properties that the schema does not declare are now refused' END),
            ((older).compatibility <> (newer).compatibility, NULL, 'patch',
             format('from now on versions are compatible as %s says (before: %s)', (newer).compatibility, (older).compatibility)),
            ((older).description <> (newer).description, NULL, 'patch', 'what it means: ' || (newer).description)
            ) v (wanting, path, level, change)
        WHERE v.wanting;
    END;
COMMENT ON FUNCTION mesh_outbox.setting_changes(mesh_outbox.contract, mesh_outbox.contract) IS
    'what differs between two contract versions beside their schemas and anomalies, in words';
REVOKE EXECUTE ON FUNCTION mesh_outbox.setting_changes(mesh_outbox.contract, mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.anomaly_changes(older jsonb, newer jsonb)
    RETURNS TABLE (path text, level text, change text)
    LANGUAGE sql IMMUTABLE ROWS 2
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT a.anomaly ->> 'path', 'minor',
               format('events that break %s at %s are now %s', coalesce('"' || (a.anomaly ->> 'rule') || '"', 'any rule'),
                      coalesce(nullif(a.anomaly ->> 'path', ''), 'the root'),
                      CASE WHEN NOT a.present THEN 'treated as those that break other rules'
                           WHEN a.anomaly ->> 'action' = 'observe' THEN 'published all the same'
                           WHEN a.anomaly ->> 'action' = 'quarantine' THEN 'kept from the topic, as dead letters'
                           ELSE 'refused' END)
        FROM (SELECT n AS anomaly, true AS present FROM jsonb_array_elements(newer) n
              WHERE NOT coalesce(older, '[]') @> jsonb_build_array(n)
              UNION ALL
              SELECT o, false FROM jsonb_array_elements(older) o
              WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(newer) n WHERE n - 'action' = o - 'action')) a;
    END;
COMMENT ON FUNCTION mesh_outbox.anomaly_changes(jsonb, jsonb) IS
    'what differs between the anomalies of two contract versions, in words';
REVOKE EXECUTE ON FUNCTION mesh_outbox.anomaly_changes(jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.version_changes(older mesh_outbox.contract, newer mesh_outbox.contract)
    RETURNS TABLE (path text, level text, change text)
    LANGUAGE sql STABLE ROWS 10
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.path, c.level, c.change
        FROM (SELECT 1 AS part, d.path, d.level, d.change
              FROM mesh_outbox.contract_changes((older).resolved_schema, (newer).resolved_schema, (older).open, (newer).open) d
              UNION ALL
              SELECT 2, (newer).key_pointer, k.level, replace(k.change, 'the document', 'the key')
              FROM mesh_outbox.contract_changes(coalesce((older).key_schema, '{"type": "string"}'),
                                                coalesce((newer).key_schema, '{"type": "string"}')) k
              UNION ALL
              SELECT 3, h.path, h.level, 'headers: ' || replace(h.change, 'the document', 'they')
              FROM mesh_outbox.contract_changes(coalesce((older).headers_schema, '{"type": "object"}'),
                                                coalesce((newer).headers_schema, '{"type": "object"}'), true, true) h
              UNION ALL
              SELECT 4, t.path, t.level, t.change FROM mesh_outbox.setting_changes(older, newer) t
              UNION ALL
              SELECT 5, a.path, a.level, a.change
              FROM mesh_outbox.anomaly_changes((older).anomalies, (newer).anomalies) a) c
        ORDER BY c.part, c.path, c.change;
    END;
COMMENT ON FUNCTION mesh_outbox.version_changes(mesh_outbox.contract, mesh_outbox.contract) IS
    'what differs between two contract versions, in words: payload, key, headers, event time, anomalies, topic, description';
REVOKE EXECUTE ON FUNCTION mesh_outbox.version_changes(mesh_outbox.contract, mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.quality_changes(older jsonb, newer jsonb) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE ROWS 2
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE WHEN q.field IS NULL
                    THEN format('least number of events a day: %s (before: %s)', coalesce(q.new #>> '{}', 'not promised'),
                                coalesce(q.old #>> '{}', 'not promised'))
                    ELSE format('highest share of events without %s: %s (before: %s)', q.field,
                                coalesce(trim_scale(100 * q.new::numeric) || ' %', 'not promised'),
                                coalesce(trim_scale(100 * q.old::numeric) || ' %', 'not promised')) END
        FROM (SELECT NULL::text AS field, older -> 'events_per_day' AS old, newer -> 'events_per_day' AS new
              UNION ALL
              SELECT f.field, older #> ARRAY['null_rate', f.field], newer #> ARRAY['null_rate', f.field]
              FROM (SELECT jsonb_object_keys(older -> 'null_rate') UNION SELECT jsonb_object_keys(newer -> 'null_rate')) f (field)) q
        WHERE q.old IS DISTINCT FROM q.new
        ORDER BY q.field NULLS FIRST;
    END;
COMMENT ON FUNCTION mesh_outbox.quality_changes(jsonb, jsonb) IS
    'what differs between the quality thresholds of a product before and after, in words';
REVOKE EXECUTE ON FUNCTION mesh_outbox.quality_changes(jsonb, jsonb) FROM PUBLIC;

-- What a record of the audit says to those who read an event type.
CREATE FUNCTION mesh_outbox.promise_changes(link mesh_outbox.audit) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT format('the product''s %s: %s (before: %s)', o.key, coalesce((link).new_values ->> o.key, 'not promised'),
                      coalesce(o.value, 'not promised'))
        FROM jsonb_each_text((link).old_values) o
        WHERE (link).object = 'product' AND (link).action = 'update'
          AND o.key IN ('latency', 'availability', 'freshness', 'retention', 'residency', 'classification', 'access')
        UNION ALL
        SELECT 'the product''s ' || q
        FROM mesh_outbox.quality_changes((link).old_values -> 'quality', (link).new_values -> 'quality') q
        WHERE (link).object = 'product' AND (link).action = 'update' AND (link).old_values ? 'quality'
        UNION ALL
        SELECT format('the product is %s', (link).new_values ->> 'status')
        WHERE (link).object = 'product' AND (link).action = 'update'
          AND (link).new_values ->> 'status' IN ('deprecated', 'retired')
        UNION ALL
        SELECT CASE WHEN (link).action = 'delete'
                    THEN format('events of major %s are no longer published in major %s as well',
                                (link).old_values ->> 'from_major', (link).old_values ->> 'to_major')
                    ELSE format('events of major %s are published in major %s as well, as function %s makes them',
                                (link).new_values ->> 'from_major', (link).new_values ->> 'to_major',
                                concat_ws('.', (link).new_values ->> 'schema_name', (link).new_values ->> 'function')) END
        WHERE (link).object = 'conversion'
        UNION ALL
        SELECT 'its contract is to be looked at again by ' || ((link).new_values ->> 'due')
        WHERE (link).object = 'review' AND (link).new_values ? 'due';
    END;
COMMENT ON FUNCTION mesh_outbox.promise_changes(mesh_outbox.audit) IS
    'what a change of a product''s promises, of a conversion or of a review says, in words';
REVOKE EXECUTE ON FUNCTION mesh_outbox.promise_changes(mesh_outbox.audit) FROM PUBLIC;

-- What is promised for the product as a whole is in no version; it is told
-- with the version that was the newest in force then.
CREATE FUNCTION mesh_outbox.release_notes(product text, event_type text)
    RETURNS TABLE (version text, activated_at timestamptz, level text, change text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH version AS (
        SELECT c, ARRAY[c.major, c.minor, c.patch] AS numbers, c.activated_at
        FROM mesh_outbox.contract c
        WHERE c.product = release_notes.product AND c.event_type = release_notes.event_type
          AND c.status <> 'draft' AND (c.status <> 'retired' OR c.activated_at IS NOT NULL)
    ), note AS (
        SELECT v.numbers, v.c, v.activated_at AS at, d.level, d.change, 0 AS audit_no, d.ordinality
        FROM version v
        CROSS JOIN LATERAL (SELECT e.c FROM version e WHERE e.activated_at IS NOT NULL AND e.numbers < v.numbers
                            ORDER BY e.numbers DESC LIMIT 1) p
        CROSS JOIN LATERAL mesh_outbox.version_changes(p.c, v.c) WITH ORDINALITY d
        UNION ALL
        SELECT v.numbers, v.c, a.at, 'promise', d.change, a.audit_no, d.ordinality
        FROM mesh_outbox.audit a
        CROSS JOIN LATERAL (SELECT e.* FROM version e WHERE e.activated_at <= a.at
                            ORDER BY e.activated_at DESC, e.numbers DESC LIMIT 1) v
        CROSS JOIN LATERAL mesh_outbox.promise_changes(a) WITH ORDINALITY d (change, ordinality)
        WHERE a.object IN ('product', 'conversion', 'review')
          AND release_notes.product = coalesce(a.new_values, a.old_values) ->> CASE a.object WHEN 'product' THEN 'name' ELSE 'product' END
          AND (a.object = 'product' OR release_notes.event_type = coalesce(a.new_values, a.old_values) ->> 'event_type')
    )
    SELECT mesh_outbox.version_text(n.c), n.at, n.level, n.change
    FROM note n ORDER BY n.numbers DESC, n.audit_no, n.ordinality;
END
$$;
COMMENT ON FUNCTION mesh_outbox.release_notes(text, text) IS
    'what changed from version to version of an event type, in words, newest first: payload, key, headers, event time, anomalies (level major, minor or patch); and since when, as far as the audit record reaches, the product''s promises, conversions and the next review are others (level promise)';
