/* src/mesh/infer.sql: a first contract from what is there: a table, its rows, sample events */

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

-- Room for more than was seen: twice as much, rounded up to a power of two.
CREATE FUNCTION mesh_outbox.limit_above(seen bigint, at_least bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN greatest(at_least, (2 ^ ceil(log(2, greatest(2 * coalesce(seen, 0), 1))))::bigint);
COMMENT ON FUNCTION mesh_outbox.limit_above(bigint, bigint) IS 'a limit that what was seen keeps, and some more';

-- What a CHECK says of one value, as far as it is a comparison with numbers, a
-- list of values or a length; other conditions are left to the reader.
CREATE FUNCTION mesh_outbox.schema_of_check(definition text, name text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (
        WITH named AS (
            SELECT '\(?' || regexp_replace(name, '([^[:alnum:]_])', '\\\1', 'g') || '\)?(?:::[a-z ]+(?:\([0-9,]+\))?)?' AS value
            WHERE definition !~ '\m(OR|NOT|CASE)\M'),
        bound AS (
            SELECT m[1] IS NOT NULL AS of_length, m[2] AS operator, m[3]::numeric AS number
            FROM named, regexp_matches(definition,
                '(?:^|[ (])((?:char_|character_)?length\()?' || value || '\)? (>=|<=|>|<) \(?''?(-?[0-9]+(?:\.[0-9]+)?)''?', 'g') m),
        listed AS (
            SELECT m[1] AS items
            FROM named, regexp_matches(definition,
                '(?:^|[ (])' || value || ' = ANY \(\(?ARRAY\[((?:''(?:[^'']|'''')*''(?:::[a-z ]+)?(?:, )?)+)\]') m)
        SELECT coalesce((SELECT jsonb_object_agg(
                             CASE WHEN b.of_length THEN CASE left(b.operator, 1) WHEN '>' THEN 'minLength' ELSE 'maxLength' END
                                  ELSE CASE b.operator WHEN '>=' THEN 'minimum' WHEN '<=' THEN 'maximum'
                                                       WHEN '>' THEN 'exclusiveMinimum' ELSE 'exclusiveMaximum' END END,
                             b.number + CASE WHEN b.of_length THEN CASE b.operator WHEN '>' THEN 1 WHEN '<' THEN -1 ELSE 0 END
                                             ELSE 0 END)
                         FROM bound b), '{}')
               || coalesce((SELECT jsonb_build_object('enum', jsonb_agg(replace(i[1], '''''', '''')))
                            FROM listed l, regexp_matches(l.items, '''((?:[^'']|'''')*)''', 'g') i
                            HAVING count(*) > 0), '{}'));
COMMENT ON FUNCTION mesh_outbox.schema_of_check(text, text) IS 'what the definition of a CHECK constraint says of a column, or of VALUE in a domain''s';

CREATE FUNCTION mesh_outbox.checks_of_column(relation regclass, attribute smallint) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (
        WITH RECURSIVE type (oid) AS (
            SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum = attribute
            UNION ALL
            SELECT t.typbasetype FROM type JOIN pg_type t ON t.oid = type.oid WHERE t.typtype = 'd'),
        said AS (
            SELECT mesh_outbox.schema_of_check(pg_get_constraintdef(c.oid), quote_ident(a.attname)) AS schema
            FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = attribute
            WHERE c.conrelid = relation AND c.contype = 'c' AND c.convalidated AND c.conkey = ARRAY[attribute]
            UNION ALL
            SELECT mesh_outbox.schema_of_check(pg_get_constraintdef(c.oid), 'VALUE')
            FROM pg_constraint c JOIN type ON c.contypid = type.oid WHERE c.contype = 'c' AND c.convalidated)
        SELECT coalesce(jsonb_object_agg(k.key, k.value), '{}') FROM said, jsonb_each(said.schema) k);
COMMENT ON FUNCTION mesh_outbox.checks_of_column(regclass, smallint) IS 'what CHECK constraints of a column and its domains say';

-- What the shipped policies ask for, beside what the values are: a limit, a
-- description, a mark.
CREATE FUNCTION mesh_outbox.dressed_schema(schema jsonb, name text, seen_length bigint, seen_items bigint, description text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN schema
           || CASE WHEN schema -> 'type' @> '"string"' AND NOT schema ?| ARRAY['maxLength', 'enum', 'const', 'format', 'pattern']
                   THEN jsonb_build_object('maxLength', mesh_outbox.limit_above(seen_length, 64)) ELSE '{}' END
           || CASE WHEN schema -> 'type' @> '"array"' AND NOT schema ? 'maxItems'
                   THEN jsonb_build_object('maxItems', mesh_outbox.limit_above(seen_items, 64)) ELSE '{}' END
           || CASE WHEN mesh_outbox.is_personal_name(name) THEN '{"x-privacy": "personal"}'::jsonb ELSE '{}' END
           || jsonb_build_object('description', description);
COMMENT ON FUNCTION mesh_outbox.dressed_schema(jsonb, text, bigint, bigint, text) IS 'a property''s schema as the shipped policies want it';

-- Keywords of one type say nothing of values of another, so they stand side by side.
CREATE FUNCTION mesh_outbox.schema_of_samples(samples jsonb[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole CONSTANT boolean := NOT EXISTS (SELECT FROM unnest(samples) s
                                          WHERE jsonb_typeof(s) = 'number' AND (s #>> '{}')::numeric <> trunc((s #>> '{}')::numeric));
    types CONSTANT text[] := ARRAY(
        SELECT DISTINCT CASE jsonb_typeof(s) WHEN 'number' THEN CASE WHEN whole THEN 'integer' ELSE 'number' END
                                             ELSE jsonb_typeof(s) END
        FROM unnest(samples) s ORDER BY 1);
    texts CONSTANT text[] := ARRAY(SELECT s #>> '{}' FROM unnest(samples) s WHERE jsonb_typeof(s) = 'string');
    objects CONSTANT jsonb[] := ARRAY(SELECT s FROM unnest(samples) s WHERE jsonb_typeof(s) = 'object');
    schema jsonb := CASE cardinality(types) WHEN 0 THEN '{}' WHEN 1 THEN jsonb_build_object('type', types[1])
                                            ELSE jsonb_build_object('type', to_jsonb(types)) END;
BEGIN
    IF 'string' = ANY (types) THEN
        schema := schema || coalesce((
            SELECT jsonb_build_object('format', f.format)
            FROM (VALUES (1, 'uuid', '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'),
                         (2, 'date-time', '^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$'),
                         (3, 'date', '^\d{4}-\d\d-\d\d$')) f (no, format, pattern)
            WHERE NOT EXISTS (SELECT FROM unnest(texts) t WHERE t !~ f.pattern) ORDER BY f.no LIMIT 1), '{}');
    END IF;
    IF 'object' = ANY (types) THEN
        schema := schema || (
            SELECT jsonb_build_object(
                'properties', coalesce(jsonb_object_agg(p.name, mesh_outbox.dressed_schema(
                    mesh_outbox.schema_of_samples(p.seen), p.name, p.length, p.items,
                    format('in %s of %s samples', cardinality(p.seen), cardinality(objects)))), '{}'),
                'required', coalesce(jsonb_agg(p.name ORDER BY p.name) FILTER (WHERE cardinality(p.seen) = cardinality(objects)), '[]'))
            FROM (SELECT e.key AS name, array_agg(e.value) AS seen,
                         max(length(e.value #>> '{}')) FILTER (WHERE jsonb_typeof(e.value) = 'string') AS length,
                         max(CASE WHEN jsonb_typeof(e.value) = 'array' THEN jsonb_array_length(e.value) END) AS items
                  FROM unnest(objects) o, jsonb_each(o) e GROUP BY e.key) p);
    END IF;
    IF 'array' = ANY (types) THEN
        schema := schema || jsonb_build_object('items', mesh_outbox.schema_of_samples(
            ARRAY(SELECT e FROM unnest(samples) a,
                         jsonb_array_elements(CASE WHEN jsonb_typeof(a) = 'array' THEN a ELSE '[]' END) e)));
    END IF;
    RETURN schema;
END
$$;
COMMENT ON FUNCTION mesh_outbox.schema_of_samples(jsonb[]) IS 'schema that some values keep: their types, formats, properties and limits';

CREATE FUNCTION mesh_outbox.infer_contract(source regclass DEFAULT NULL, samples jsonb DEFAULT NULL, max_rows int DEFAULT 1000)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen jsonb[];
BEGIN
    IF (source IS NULL) = (samples IS NULL) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a table or samples are needed, and not both';
    ELSIF jsonb_typeof(samples) <> 'array' OR samples = '[]' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'samples must be an array of events';
    ELSIF samples IS NOT NULL THEN
        RETURN mesh_outbox.schema_of_samples(ARRAY(SELECT e FROM jsonb_array_elements(samples) e))
               || jsonb_build_object('description', format('inferred from %s samples', jsonb_array_length(samples)));
    END IF;
    EXECUTE format('SELECT coalesce(array_agg(to_jsonb(t)), ''{}'') FROM (SELECT * FROM %s LIMIT $1) t', source)
    INTO seen USING max_rows;
    RETURN (
        SELECT jsonb_build_object('type', 'object',
                   'description', coalesce(obj_description(source, 'pg_class'), format('inferred from table %s', source)),
                   'properties', jsonb_object_agg(a.attname, mesh_outbox.dressed_schema(
                       CASE WHEN a.attnotnull THEN t.schema
                            ELSE t.schema
                                 || CASE WHEN jsonb_typeof(t.schema -> 'type') = 'string'
                                         THEN jsonb_build_object('type', jsonb_build_array(t.schema -> 'type', 'null')) ELSE '{}' END
                                 || CASE WHEN t.schema ? 'enum'
                                         THEN jsonb_build_object('enum', t.schema -> 'enum' || 'null') ELSE '{}' END END,
                       a.attname, o.length, o.items,
                       coalesce(col_description(source, a.attnum), format('column %s of %s', a.attname, source)))),
                   'required', coalesce(jsonb_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attnotnull), '[]'))
        FROM pg_attribute a
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(s -> a.attname) FILTER (WHERE s -> a.attname <> 'null'), '{}') AS seen,
                   max(length(s ->> a.attname)) AS length,
                   max(CASE WHEN jsonb_typeof(s -> a.attname) = 'array' THEN jsonb_array_length(s -> a.attname) END) AS items
            FROM unnest(seen) s) o
        CROSS JOIN LATERAL (
            -- of a document only what was seen is known
            SELECT CASE WHEN a.atttypid IN ('json'::regtype, 'jsonb'::regtype) THEN mesh_outbox.schema_of_samples(o.seen)
                        ELSE mesh_outbox.schema_of_type(a.atttypid::regtype, a.atttypmod) END
                   || mesh_outbox.checks_of_column(source, a.attnum) AS schema) t
        WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped);
END
$$;
COMMENT ON FUNCTION mesh_outbox.infer_contract(regclass, jsonb, int) IS
    'a first schema for events that are a table''s rows (to_jsonb), from column types, domains, NOT NULL, CHECK, comments and what max_rows rows hold; or for events like the samples, a JSON array of them. For propose_contract, after a look at it: say in "description" what happened in the business; limits leave room for twice what was seen, and personal data is marked by its name';
