/* src/mesh/infer.sql: a first contract from what is there */

-- What every value of a type becomes when it is turned to JSON.
CREATE FUNCTION mesh_outbox.schema_of_type(type regtype, modifier int) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_type;
BEGIN
    SELECT * INTO class FROM pg_type t WHERE t.oid = type;
    IF class.typtype = 'd' THEN
        RETURN mesh_outbox.schema_of_type(class.typbasetype::regtype, class.typtypmod);
    ELSIF class.typtype = 'e' THEN
        RETURN jsonb_build_object('enum', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                                           FROM pg_enum e WHERE e.enumtypid = type));
    ELSIF class.typcategory = 'A' AND class.typelem <> 0 THEN
        -- NULL elements are possible in every array
        RETURN jsonb_build_object('type', 'array', 'items', jsonb_build_object('anyOf', jsonb_build_array(
            mesh_outbox.schema_of_type(class.typelem::regtype, modifier), '{"type": "null"}'::jsonb)));
    END IF;
    RETURN CASE type
        WHEN 'boolean'::regtype THEN '{"type": "boolean"}'
        WHEN 'smallint'::regtype THEN '{"type": "integer", "minimum": -32768, "maximum": 32767}'
        WHEN 'integer'::regtype THEN '{"type": "integer", "minimum": -2147483648, "maximum": 2147483647}'
        WHEN 'bigint'::regtype THEN '{"type": "integer", "minimum": -9223372036854775808, "maximum": 9223372036854775807}'
        WHEN 'numeric'::regtype THEN '{"type": "number"}'
        WHEN 'uuid'::regtype THEN '{"type": "string", "format": "uuid"}'
        WHEN 'date'::regtype THEN '{"type": "string", "format": "date"}'
        WHEN 'timestamptz'::regtype THEN '{"type": "string", "format": "date-time"}'
        WHEN 'real'::regtype THEN '{"type": "number"}'
        WHEN 'double precision'::regtype THEN '{"type": "number"}'
        WHEN 'json'::regtype THEN '{}'
        WHEN 'jsonb'::regtype THEN '{}'
        WHEN 'varchar'::regtype THEN '{"type": "string"}'::jsonb
            || CASE WHEN modifier > 4 THEN jsonb_build_object('maxLength', modifier - 4) ELSE '{}' END
        ELSE '{"type": "string"}' END::jsonb;
END
$$;
COMMENT ON FUNCTION mesh_outbox.schema_of_type(regtype, int) IS 'schema of a column''s values as JSON';

CREATE FUNCTION mesh_outbox.infer_contract(source regclass) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('type', 'object',
                   'properties', jsonb_object_agg(a.attname,
                       CASE WHEN a.attnotnull THEN t.schema
                            WHEN t.schema ? 'type' THEN t.schema || jsonb_build_object('type', jsonb_build_array(t.schema -> 'type', 'null'))
                            WHEN t.schema ? 'enum' THEN t.schema || jsonb_build_object('enum', t.schema -> 'enum' || 'null')
                            ELSE t.schema END
                       || CASE WHEN col_description(source, a.attnum) IS NULL THEN '{}'
                               ELSE jsonb_build_object('description', col_description(source, a.attnum)) END),
                   'required', coalesce(jsonb_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attnotnull), '[]'))
        FROM pg_attribute a
        CROSS JOIN LATERAL (SELECT mesh_outbox.schema_of_type(a.atttypid::regtype, a.atttypmod) AS schema) t
        WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped);
END
$$;
COMMENT ON FUNCTION mesh_outbox.infer_contract(regclass) IS
    'a first schema for events that are a table''s rows (to_jsonb): from column types, NOT NULL and comments; for propose_contract, after a look at it';
