/* src/mesh/dictionary.sql: where the words of the dictionary are found, and their history */

CREATE TABLE mesh_outbox.term_version (
    term       text REFERENCES mesh_outbox.term ON DELETE CASCADE,
    version    int,
    schema     jsonb NOT NULL,
    changed_by name NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (term, version)
);
COMMENT ON TABLE mesh_outbox.term_version IS 'what terms meant when: every schema a term has had';

-- A type made from a term: CREATE DOMAIN with the schema as its CHECK.
CREATE TABLE mesh_outbox.term_type (
    type    regtype PRIMARY KEY,
    term    text NOT NULL REFERENCES mesh_outbox.term ON DELETE CASCADE,
    version int NOT NULL
);
COMMENT ON TABLE mesh_outbox.term_type IS 'SQL domains that were made from terms';

CREATE TABLE mesh_outbox.term_column (
    relation    regclass,
    column_name name,
    term        text NOT NULL REFERENCES mesh_outbox.term ON DELETE CASCADE,
    PRIMARY KEY (relation, column_name)
);
COMMENT ON TABLE mesh_outbox.term_column IS 'columns of tables that hold what a term means';

SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.term_version', '');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.term_type', '');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.term_column', '');

-- Not a trigger: that would fire when a dump is restored.
CREATE FUNCTION mesh_outbox.keep_term_version(term text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        INSERT INTO mesh_outbox.term_version (term, version, schema, changed_by)
        SELECT t.name, t.version, t.schema, mesh_outbox.caller_name()
        FROM mesh_outbox.term t WHERE t.name = keep_term_version.term
        ON CONFLICT DO NOTHING;
    END;
COMMENT ON FUNCTION mesh_outbox.keep_term_version(text) IS 'remembers what a term means now';
REVOKE EXECUTE ON FUNCTION mesh_outbox.keep_term_version(text) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Types
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.base_type_of(schema jsonb) RETURNS regtype
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE schema ->> 'type'
        WHEN 'string' THEN CASE schema ->> 'format' WHEN 'uuid' THEN 'uuid'::regtype WHEN 'date' THEN 'date'::regtype
                                                    WHEN 'date-time' THEN 'timestamptz'::regtype ELSE 'text'::regtype END
        WHEN 'integer' THEN CASE WHEN (schema ->> 'minimum')::numeric >= -9223372036854775808
                                      AND (schema ->> 'maximum')::numeric <= 9223372036854775807
                                 THEN 'bigint'::regtype ELSE 'numeric'::regtype END
        WHEN 'number' THEN 'numeric'::regtype
        WHEN 'boolean' THEN 'boolean'::regtype
        ELSE 'jsonb'::regtype END;
COMMENT ON FUNCTION mesh_outbox.base_type_of(jsonb) IS 'the built-in type whose values can be what a schema describes';

CREATE FUNCTION mesh_outbox.create_term_type(term text, name text) RETURNS regtype
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    meant mesh_outbox.term := mesh_outbox.find_term(term);
    target record;
    full_name text;
    held regtype;
    present pg_type;
BEGIN
    SELECT * INTO target FROM mesh_outbox.split_table_name(name);
    full_name := format('%I.%I', target.schema_name, target.table_name);
    -- What is altered by this name, with our rights, is what was looked at:
    -- its owner could have another type, with code of his, take the name.
    LOOP
        held := to_regtype(full_name);
        PERFORM mesh_outbox.hold_type(held);
        EXIT WHEN to_regtype(full_name) IS NOT DISTINCT FROM held;
    END LOOP;
    SELECT t.* INTO present FROM pg_type t WHERE t.oid = held;
    IF present.oid IS NULL THEN
        EXECUTE format('CREATE DOMAIN %s AS %s', full_name, mesh_outbox.base_type_of(meant.schema));
        EXECUTE format('ALTER DOMAIN %s OWNER TO %s', full_name, mesh_outbox.caller());
    ELSIF NOT pg_has_role(mesh_outbox.caller()::oid, present.typowner, 'USAGE')
          OR NOT EXISTS (SELECT FROM mesh_outbox.term_type y WHERE y.type = present.oid AND y.term = meant.name) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('type %s exists and was not made from term "%s", or is not yours', full_name, term);
    ELSIF present.typbasetype <> mesh_outbox.base_type_of(meant.schema)::oid THEN
        RAISE EXCEPTION USING
            ERRCODE = 'datatype_mismatch',
            MESSAGE = format('type %s is made from %s, which term "%s" is not any more', full_name,
                             format_type(present.typbasetype, NULL), term);
    ELSE
        EXECUTE format('ALTER DOMAIN %s DROP CONSTRAINT IF EXISTS term', full_name);
    END IF;
    EXECUTE format('ALTER DOMAIN %s ADD CONSTRAINT term CHECK (mesh_outbox.is_valid(%L, to_jsonb(VALUE)))',
                   full_name, meant.schema);
    EXECUTE format('COMMENT ON DOMAIN %s IS %L', full_name,
                   format('term %s, version %s: %s', meant.name, meant.version, meant.description));
    INSERT INTO mesh_outbox.term_type (type, term, version) VALUES (full_name::regtype, meant.name, meant.version)
    ON CONFLICT ON CONSTRAINT term_type_pkey DO UPDATE SET version = excluded.version;
    RETURN full_name::regtype;
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_term_type(text, text) IS
    'makes a type (a SQL domain, named schema.type) of which every value is what a term means, so that tables are checked by the same words as events; again after a change of the term: takes the new schema';

-- ---------------------------------------------------------------------
-- Columns
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.require_column(relation regclass, column_name name) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_column',
            MESSAGE = format('column "%s" of table %s does not exist', column_name, relation);
    END IF;
    IF NOT mesh_outbox.is_admin(mesh_outbox.caller())
       AND NOT pg_has_role(mesh_outbox.caller()::oid, (SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'USAGE') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('must be owner of table %s', relation);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_column(regclass, name) IS 'error unless the caller owns a table that has the column';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_column(regclass, name) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.map_term(term text, relation regclass, column_name name) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.find_term(term);
    PERFORM mesh_outbox.require_column(relation, column_name);
    INSERT INTO mesh_outbox.term_column (relation, column_name, term)
    VALUES (map_term.relation, map_term.column_name, map_term.term)
    ON CONFLICT ON CONSTRAINT term_column_pkey DO UPDATE SET term = excluded.term;
END
$$;
COMMENT ON FUNCTION mesh_outbox.map_term(text, regclass, name) IS
    'says that a column holds what a term means; for the table''s owner. Columns of a type of create_term_type() need not be mapped';

CREATE FUNCTION mesh_outbox.unmap_term(relation regclass, column_name name) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_column(relation, column_name);
    DELETE FROM mesh_outbox.term_column c
    WHERE (c.relation, c.column_name) = (unmap_term.relation, unmap_term.column_name);
END
$$;
COMMENT ON FUNCTION mesh_outbox.unmap_term(regclass, name) IS 'takes back what map_term() said';

-- ---------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------

CREATE VIEW mesh_outbox.term_versions AS
    SELECT v.term, v.version, v.schema, v.changed_by, v.changed_at FROM mesh_outbox.term_version v;
COMMENT ON VIEW mesh_outbox.term_versions IS 'every schema that a term has had';

CREATE VIEW mesh_outbox.term_columns AS
    SELECT c.term, c.relation, c.column_name, 'mapping' AS via
    FROM mesh_outbox.term_column c
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.relation AND a.attname = c.column_name AND NOT a.attisdropped
    UNION ALL
    SELECT y.term, a.attrelid::regclass, a.attname, 'type'
    FROM mesh_outbox.term_type y JOIN pg_catalog.pg_attribute a ON a.atttypid = y.type
    JOIN pg_catalog.pg_class r ON r.oid = a.attrelid AND r.relkind IN ('r', 'p', 'f', 'm')
    WHERE a.attnum > 0 AND NOT a.attisdropped;
COMMENT ON VIEW mesh_outbox.term_columns IS 'columns of tables that hold what a term means, by their type or because somebody said so';
GRANT SELECT ON mesh_outbox.term_versions, mesh_outbox.term_columns TO PUBLIC;

CREATE VIEW mesh_outbox.term_places AS
    SELECT t.name AS term, t.domain, c.product, c.event_type, c.version, d.pointer AS path,
           CASE WHEN 'term:' || t.name IN (d.subschema ->> '$id', d.subschema ->> '$ref', d.subschema #>> '{items,$ref}') THEN 'reference'
                ELSE 'name' END AS via,
           c.topic, o.outbox::text AS outbox, NULL::text AS source_column
    FROM mesh_outbox.terms t
    CROSS JOIN mesh_outbox.contracts c
    CROSS JOIN LATERAL mesh_outbox.declared_properties(c.resolved_schema) d
    LEFT JOIN mesh_outbox.outboxes o ON o.product = c.product
    WHERE c.in_force
      AND ('term:' || t.name IN (d.subschema ->> '$id', d.subschema ->> '$ref', d.subschema #>> '{items,$ref}')
           OR mesh_outbox.folded_name(regexp_replace(d.pointer, '^.*/', ''))
              IN (SELECT mesh_outbox.folded_name(n) FROM unnest(t.synonyms || t.name) n))
    UNION ALL
    SELECT t.name, t.domain, NULL, NULL, NULL, NULL, s.via, NULL, NULL, s.relation || '.' || quote_ident(s.column_name)
    FROM mesh_outbox.terms t JOIN mesh_outbox.term_columns s ON s.term = t.name;
COMMENT ON VIEW mesh_outbox.term_places IS
    'where the words of the dictionary are: fields of event types in force with their topic and outbox, and columns of tables; by term, or by field, topic or column';
COMMENT ON COLUMN mesh_outbox.term_places.via IS
    'reference: the schema refers to the term; name: only its name or a synonym is the same; type, mapping: a column';
GRANT SELECT ON mesh_outbox.term_places TO PUBLIC;

CREATE FUNCTION mesh_outbox.impact(product text, event_type text DEFAULT NULL, field text DEFAULT NULL)
    RETURNS TABLE (kind text, name text, contact text, detail text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM mesh_outbox.find_product(product);
    RETURN QUERY
    SELECT 'consumer', s.name, s.contact,
           concat_ws(' ', coalesce(s.event_type, 'every event type'), 'v' || s.major,
                     CASE WHEN field IS NULL THEN nullif(array_to_string(s.fields, ', '), '')
                          WHEN s.event_type IS NULL THEN 'and so ' || field ELSE field END)
    FROM mesh_outbox.consumer s
    WHERE s.product = impact.product AND coalesce(s.event_type, impact.event_type, '') IN (coalesce(impact.event_type, s.event_type, ''))
      AND (field IS NULL OR s.event_type IS NULL OR field = ANY (s.fields))
    UNION ALL
    SELECT 'derived product', l.product, mesh_outbox.duty_holder(l.product, 'accountable'),
           CASE l.distance WHEN 1 THEN 'made from it' ELSE format('made from it in %s steps', l.distance) END
    FROM mesh_outbox.lineage(product) l WHERE l.direction = 'output'
    UNION ALL
    SELECT DISTINCT 'term', p.term, 'domain ' || p.domain, concat_ws(' ', p.event_type, p.path, 'by ' || p.via)
    FROM mesh_outbox.term_places p
    WHERE p.product = impact.product AND p.event_type = coalesce(impact.event_type, p.event_type)
      AND p.path = coalesce(field, p.path)
    UNION ALL
    SELECT 'outbox', o.relation::text, NULL, coalesce('published by ' || o.publisher, 'not published')
    FROM mesh_outbox.outbox o WHERE o.product = impact.product
    UNION ALL
    SELECT 'co-owner', c.domain, NULL, 'approves every contract' FROM mesh_outbox.co_owner c WHERE c.product = impact.product
    ORDER BY 1, 2, 4;
END
$$;
COMMENT ON FUNCTION mesh_outbox.impact(text, text, text) IS
    'whom a change of a product, an event type or one field (JSON Pointer) concerns: consumers, products made from it, owners of terms, outboxes, co-owners';
