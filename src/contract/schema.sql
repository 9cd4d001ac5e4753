/* src/contract/schema.sql: the JSON Schema engine as plain functions */

-- ---------------------------------------------------------------------
-- Schemas that others may refer to
-- ---------------------------------------------------------------------

CREATE TABLE mesh_outbox.schema_document (
    uri           text PRIMARY KEY,
    schema        jsonb NOT NULL,
    registered_by regrole NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mesh_outbox.schema_document IS
    'schemas that references lead to by URI; nothing is ever fetched from the network';
GRANT SELECT ON mesh_outbox.schema_document TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.schema_document', '');

CREATE FUNCTION mesh_outbox.find_schema(uri text) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT d.schema FROM mesh_outbox.schema_document d WHERE d.uri = find_schema.uri);
COMMENT ON FUNCTION mesh_outbox.find_schema(text) IS
    'the schema that a reference to the URI leads to; NULL if there is none';

CREATE FUNCTION mesh_outbox.register_schema(uri text, schema json) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_admin('register a schema');
    IF uri IS NULL OR uri !~ '^[A-Za-z][A-Za-z0-9+.-]*:[^#]+$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" cannot name a schema', uri),
            DETAIL = 'A schema is registered under an absolute URI without a fragment.';
    END IF;
    IF json_typeof(schema) NOT IN ('object', 'boolean') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a schema must be an object, true or false, not %s', json_typeof(schema));
    END IF;
    INSERT INTO mesh_outbox.schema_document (uri, schema, registered_by)
    VALUES (uri, schema::jsonb, mesh_outbox.caller())
    ON CONFLICT ON CONSTRAINT schema_document_pkey DO UPDATE
    SET schema = excluded.schema, registered_by = excluded.registered_by, registered_at = now();
END
$$;
COMMENT ON FUNCTION mesh_outbox.register_schema(text, json) IS
    'makes a schema known under an absolute URI, for references to it; replaces an earlier one. Contracts in force keep the text they were proposed with';

CREATE FUNCTION mesh_outbox.unregister_schema(uri text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_admin('unregister a schema');
    DELETE FROM mesh_outbox.schema_document d WHERE d.uri = unregister_schema.uri;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('no schema is registered as "%s"', uri);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.unregister_schema(text) IS
    'forgets a registered schema; contracts in force keep the text they were proposed with';

-- ---------------------------------------------------------------------
-- Validation
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.is_valid(schema jsonb, instance jsonb, formats boolean DEFAULT true)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mo_sql_is_valid';
COMMENT ON FUNCTION mesh_outbox.is_valid(jsonb, jsonb, boolean) IS
    'whether the instance is valid under the JSON Schema (2020-12 or draft-07); for CHECK constraints and queries, so it refuses references outside the schema. formats => false lets "format" only annotate. schema_violations() says why not';

CREATE FUNCTION mesh_outbox.schema_violations(
    schema jsonb, instance jsonb, formats boolean DEFAULT true,
    content boolean DEFAULT false, closed boolean DEFAULT false,
    OUT instance_pointer text, OUT schema_pointer text, OUT keyword text,
    OUT message text, OUT found text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100 ROWS 5
    AS 'MODULE_PATHNAME', 'mo_sql_schema_violations';
COMMENT ON FUNCTION mesh_outbox.schema_violations(jsonb, jsonb, boolean, boolean, boolean) IS
    'all ways in which the instance breaks the JSON Schema, with the place in both; no row if it is valid. Of a failed anyOf or oneOf the closest alternative comes first. content => true asserts contentEncoding and contentMediaType; closed => true refuses undeclared properties as a contract does';

CREATE FUNCTION mesh_outbox.check_schema(
    schema json, contract boolean DEFAULT false,
    OUT schema_pointer text, OUT keyword text, OUT message text, OUT hint text)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 ROWS 5
    AS 'MODULE_PATHNAME', 'mo_sql_check_schema';
COMMENT ON FUNCTION mesh_outbox.check_schema(json, boolean) IS
    'all faults of a JSON Schema with their places; no row if it can be used. contract => true also lists what a contract refuses because it would be ignored in silence';

CREATE FUNCTION mesh_outbox.schema_annotations(schema jsonb, keyword text, OUT path text, OUT value jsonb)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT COST 1000 ROWS 20
    AS 'MODULE_PATHNAME', 'mo_sql_schema_annotations';
COMMENT ON FUNCTION mesh_outbox.schema_annotations(jsonb, text) IS
    'where a keyword such as x-privacy annotates: JSON Pointers into instances, with * for any element or unnamed property, and the keyword''s value';

CREATE FUNCTION mesh_outbox.declared_properties(
    schema jsonb, OUT pointer text, OUT subschema jsonb, OUT places text[], OUT always boolean)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 20
    AS 'MODULE_PATHNAME', 'mo_sql_declared_properties';
COMMENT ON FUNCTION mesh_outbox.declared_properties(jsonb) IS
    'the properties that a resolved schema declares: JSON Pointers into events, what is said of each with what that refers to, and where in the schema: all these places hold if always, else one or the other; none where only a condition names it. A schema that refers to itself is gone round once';

CREATE FUNCTION mesh_outbox.pointer_steps(pointer text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN ARRAY(SELECT replace(replace(s.step, '~1', '/'), '~0', '~')
                 FROM string_to_table(substr(pointer, 2), '/') WITH ORDINALITY s (step, n) ORDER BY s.n);
COMMENT ON FUNCTION mesh_outbox.pointer_steps(text) IS
    'the names and indexes that a JSON Pointer (RFC 6901) consists of, without their escapes';

-- By reference, so that what is there means what it means in its own document;
-- text that refers to nothing can stand for itself.
CREATE FUNCTION mesh_outbox.schema_at(schema jsonb, subschema jsonb, places text[], always boolean) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE
            WHEN count(*) = 0 THEN '{}'
            WHEN count(*) = 1 AND subschema::text !~ '"(\$ref|\$dynamicRef|allOf)"' THEN subschema
            ELSE jsonb_build_object(CASE WHEN always THEN 'allOf' ELSE 'anyOf' END,
                                    jsonb_agg(jsonb_build_object('$ref', r.uri || r.fragment) ORDER BY p.o)) END
        FROM unnest(places) WITH ORDINALITY p (place, o), LATERAL (
            -- a place in another document is named with its URI
            SELECT CASE WHEN p.place ~ '^(/|$)' THEN coalesce(schema ->> '$id', 'contract') || '#' ELSE '' END AS uri,
                   coalesce(string_agg(CASE WHEN c ~ '[A-Za-z0-9/~$_.:#-]' THEN c
                                            ELSE regexp_replace(encode(convert_to(c, 'UTF8'), 'hex'), '(..)', '%\1', 'g') END,
                                       '' ORDER BY n), '') AS fragment
            FROM regexp_split_to_table(p.place, '') WITH ORDINALITY u (c, n)) r;
    END;
COMMENT ON FUNCTION mesh_outbox.schema_at(jsonb, jsonb, text[], boolean) IS
    'what a schema says of a declared property, for beside_schema()';

CREATE FUNCTION mesh_outbox.beside_schema(schema jsonb, part jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN jsonb_typeof(part) <> 'object' THEN part ELSE
        jsonb_strip_nulls(jsonb_build_object('$schema', schema -> '$schema')) || part
        || CASE WHEN part::text !~ '"\$ref"' THEN '{}' ELSE
               jsonb_build_object(CASE WHEN schema ->> '$schema' LIKE '%draft-07%' THEN 'definitions' ELSE '$defs' END,
                                  jsonb_build_object('contract', '{"$id": "contract"}' || (schema - '$schema'))) END END;
COMMENT ON FUNCTION mesh_outbox.beside_schema(jsonb, jsonb) IS
    'parts of a schema as one of its own, of the same dialect, with the whole as a definition where they refer to it';

-- ---------------------------------------------------------------------
-- Contracts
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.referenced_schemas(schema jsonb, OUT uri text, OUT document jsonb)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT COST 1000 ROWS 5
    AS 'MODULE_PATHNAME', 'mo_sql_referenced_schemas';
COMMENT ON FUNCTION mesh_outbox.referenced_schemas(jsonb) IS
    'the registered schemas that a schema refers to, directly or through others';

CREATE FUNCTION mesh_outbox.resolve_schema(schema json) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault record;
    faults text;
    resolved jsonb;
    definitions text;
    bundled jsonb;
BEGIN
    SELECT f.message, f.hint, nullif(f.schema_pointer, '') AS place INTO fault
    FROM mesh_outbox.check_schema(schema, true) f LIMIT 1;
    IF FOUND THEN
        SELECT string_agg(concat_ws(': ', nullif(f.schema_pointer, ''), f.message), E'\n') INTO faults
        FROM mesh_outbox.check_schema(schema, true) f;
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'the schema cannot be a contract''s: ' || concat_ws(': ', fault.place, fault.message),
            DETAIL = faults,
            HINT = coalesce(fault.hint, 'mesh_outbox.check_schema(…, contract => true) lists all faults.');
    END IF;
    resolved := schema::jsonb;
    IF jsonb_typeof(resolved) <> 'object' THEN
        RETURN resolved;
    END IF;
    -- A document brings its own base URI along, so it can stand in $defs.
    definitions := CASE WHEN resolved ->> '$schema' LIKE '%draft-07%' THEN 'definitions' ELSE '$defs' END;
    SELECT jsonb_object_agg(r.uri, CASE jsonb_typeof(r.document)
                                       WHEN 'object' THEN jsonb_build_object('$id', r.uri) || r.document
                                       ELSE jsonb_build_object('$id', r.uri, 'allOf', jsonb_build_array(r.document))
                                   END)
    INTO bundled FROM mesh_outbox.referenced_schemas(resolved) r;
    IF bundled IS NOT NULL THEN
        resolved := resolved || jsonb_build_object(definitions,
                                    coalesce(resolved -> definitions, '{}') || bundled);
    END IF;
    RETURN resolved;
END
$$;
COMMENT ON FUNCTION mesh_outbox.resolve_schema(json) IS
    'a schema with the schemas it refers to bundled into it; error if it cannot be a contract''s';
REVOKE EXECUTE ON FUNCTION mesh_outbox.resolve_schema(json) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.name_distance(a text, b text) RETURNS int
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mo_name_distance';
COMMENT ON FUNCTION mesh_outbox.name_distance(text, text) IS
    'how many letters must be inserted, deleted or changed to make one name of another';
