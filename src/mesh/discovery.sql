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
           concat_ws('; ', coalesce(d.subschema ->> 'type', d.subschema ->> '$ref'), d.subschema ->> 'format',
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

CREATE FUNCTION mesh_outbox.release_notes(product text, event_type text)
    RETURNS TABLE (version text, activated_at timestamptz, level text, change text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.version, c.activated_at, d.level, d.change
        FROM mesh_outbox.contracts c
        CROSS JOIN LATERAL (
            SELECT e.resolved_schema FROM mesh_outbox.contracts e
            WHERE e.product = c.product AND e.event_type = c.event_type AND e.activated_at IS NOT NULL
              AND string_to_array(e.version, '.')::int[] < string_to_array(c.version, '.')::int[]
            ORDER BY string_to_array(e.version, '.')::int[] DESC LIMIT 1) p
        CROSS JOIN LATERAL mesh_outbox.contract_changes(p.resolved_schema, c.resolved_schema) d
        WHERE c.product = release_notes.product AND c.event_type = release_notes.event_type
          AND c.status <> 'draft' AND (c.status <> 'retired' OR c.activated_at IS NOT NULL)
        ORDER BY string_to_array(c.version, '.')::int[] DESC, d.path;
    END;
COMMENT ON FUNCTION mesh_outbox.release_notes(text, text) IS
    'what changed from version to version of an event type, in words, newest first';
