-- Verdicts about schemas as they are written: proved, refuted, undecided.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE FUNCTION pg_temp.sub(a jsonb, b jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT verdict || coalesce(' by ' || counterexample::text, '') || coalesce(' at ' || nullif(path, '') , '')
         || coalesce(': ' || message, '')
  FROM mesh_outbox.is_subschema(a, b)
$$;

-- A refutation names the place, the keyword and a document
SELECT verdict, counterexample, path, keyword, message
FROM mesh_outbox.is_subschema(
    '{"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "integer"}}}}}}',
    '{"properties": {"lines": {"items": {"properties": {"qty": {"minimum": 1}}}}}}');

-- What registries with rules get wrong, in both directions
SELECT pg_temp.sub('{"required": ["foo"]}', '{"required": ["bar"]}');
SELECT pg_temp.sub('{"const": 1}', '{"enum": [1, 2]}');
SELECT pg_temp.sub('{"oneOf": [{"type": "integer"}, {"type": "string"}]}',
                   '{"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "number"}]}');
SELECT pg_temp.sub('{"minimum": 9007199254740992}', '{"minimum": 9007199254740993}');
SELECT pg_temp.sub('{"exclusiveMinimum": 0}', '{"minimum": 0}');

-- Numbers are exact, of any size
SELECT pg_temp.sub('{"type": "number", "multipleOf": 0.3}', '{"multipleOf": 0.1}');
SELECT pg_temp.sub('{"type": "number", "multipleOf": 0.1}', '{"multipleOf": 0.3}');
SELECT pg_temp.sub('{"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 4}', '{"const": 3.0}');
SELECT pg_temp.sub('{"type": "integer", "minimum": 100000000000000000000000000000000000000000000000001}',
                   '{"minimum": 100000000000000000000000000000000000000000000000002}');
SELECT pg_temp.sub('{"type": "number", "minimum": 0, "maximum": 1, "not": {"enum": [0, 1, 0.5]}}', '{"multipleOf": 0.5}');

-- Patterns are compared as languages
SELECT pg_temp.sub('{"type": "string", "pattern": "^(ab)+$"}', '{"pattern": "^(ab|abab)*$", "minLength": 2}');
SELECT pg_temp.sub('{"type": "string", "pattern": "^[a-f]{2,3}$"}', '{"pattern": "^[a-e]"}');
SELECT pg_temp.sub('{"type": "string", "pattern": "\\bcat\\b"}', '{"pattern": "cat"}');
SELECT pg_temp.sub('{"type": "string", "pattern": "cat"}', '{"pattern": "\\bcat\\b"}');
SELECT pg_temp.sub('{"type": "string", "format": "ipv4"}', '{"maxLength": 15, "pattern": "^[0-9.]*$"}');
SELECT pg_temp.sub('{"type": "string", "maxLength": 1}', '{"pattern": "^.?$"}');

-- What no automaton decides stays undecided, unless an example does
SELECT pg_temp.sub('{"type": "string", "maxLength": 3}', '{"pattern": "^(?=.*[0-9]).{8,}$"}');
SELECT verdict, reason, undecided_by
FROM mesh_outbox.is_subschema('{"type": "string", "pattern": "^(?=a)abc$"}', '{"pattern": "^abc"}');
SELECT verdict, reason, undecided_by
FROM mesh_outbox.is_subschema('{"type": "string", "format": "hostname"}', '{"format": "idn-hostname"}');
SELECT verdict FROM mesh_outbox.is_subschema('{"type": "string", "format": "uri"}', '{"format": "iri-reference"}');
-- annotating formats say nothing
SELECT verdict FROM mesh_outbox.is_subschema('{"type": "string"}', '{"format": "uuid"}', assert_formats => false);

-- Arrays count
SELECT pg_temp.sub('{"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": true, "minItems": 2}', '{"contains": {"const": 1}}');
SELECT pg_temp.sub('{"type": "array", "contains": {"type": "integer"}, "maxContains": 1, "minItems": 2}', '{"contains": {"not": {"type": "integer"}}}');
SELECT pg_temp.sub('{"type": "array", "prefixItems": [{"const": 1}, {"const": 1}], "minItems": 2}', '{"uniqueItems": true}');

-- Names and how many there are
SELECT pg_temp.sub('{"type": "object", "propertyNames": {"pattern": "^[ab]$"}}', '{"maxProperties": 2}');
SELECT pg_temp.sub('{"type": "object", "propertyNames": {"pattern": "^[ab]$"}, "minProperties": 2}', '{"required": ["a", "b"]}');
SELECT pg_temp.sub('{"type": "object", "patternProperties": {"^a": {"type": "integer"}, "b$": {"type": "string"}}}',
                   '{"not": {"required": ["ab"]}}');

-- Unevaluated properties follow the branches that hold
SELECT pg_temp.sub('{"type": "object", "anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}], "unevaluatedProperties": false}',
                   '{"maxProperties": 2}');
SELECT pg_temp.sub('{"type": "object", "anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}], "unevaluatedProperties": false}',
                   '{"maxProperties": 1}');

-- References: recursive, to registered schemas, to the meta-schema
SELECT pg_temp.sub('{"$defs": {"t": {"type": "object", "properties": {"l": {"$ref": "#/$defs/t"}, "v": {"type": "integer"}}, "required": ["v"]}}, "$ref": "#/$defs/t"}',
                   '{"$defs": {"t": {"type": "object", "properties": {"l": {"$ref": "#/$defs/t"}, "v": {"type": "number"}}}}, "$ref": "#/$defs/t"}');
SELECT pg_temp.sub('{"$ref": "https://json-schema.org/draft/2020-12/schema"}', '{"type": ["object", "boolean"]}');
SELECT pg_temp.sub('{"$ref": "https://json-schema.org/draft/2020-12/schema"}', '{"properties": {"minLength": {"minimum": 1}}}');
SELECT pg_temp.sub('{"$ref": "nowhere"}', '{}');

-- Draft-07
SELECT pg_temp.sub('{"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}], "additionalItems": false, "type": "array"}',
                   '{"prefixItems": [{"type": "number"}], "maxItems": 1}');

-- Is there a document at all?
SELECT verdict, example FROM mesh_outbox.is_satisfiable('{"type": "object", "required": ["a", "b"], "maxProperties": 1}');
SELECT verdict, example FROM mesh_outbox.is_satisfiable('{"$defs": {"l": {"type": "object", "properties": {"next": {"$ref": "#/$defs/l"}}, "required": ["next"]}}, "$ref": "#/$defs/l"}');
SELECT verdict, example FROM mesh_outbox.is_satisfiable('{"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^[A-Z]{2}[0-9]$"}}}');

-- Two event types on one topic: can a document be taken for either?
SELECT verdict, example FROM mesh_outbox.schemas_overlap(
    '{"type": "object", "properties": {"kind": {"const": "placed"}}, "required": ["kind"]}',
    '{"type": "object", "properties": {"kind": {"const": "paid"}}, "required": ["kind"]}');
SELECT verdict, example FROM mesh_outbox.schemas_overlap(
    '{"type": "object", "required": ["order_id"]}', '{"type": "object", "required": ["invoice_id"]}');

-- What a consumer relies on
SELECT verdict, counterexample, message FROM mesh_outbox.satisfies_expectation(
    '{"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}, "note": {}}, "required": ["id"]}',
    '{"type": "object", "properties": {"id": {"type": "string", "minLength": 36}}, "required": ["id"]}');
SELECT verdict, counterexample, message FROM mesh_outbox.satisfies_expectation(
    '{"type": "object", "properties": {"id": {"type": "string"}}}',
    '{"type": "object", "properties": {"id": {"type": "string"}, "region": {"type": "string"}}, "required": ["id"]}');

-- Below oneOf a reader's schema stays closed, and a finding says so
SELECT verdict, reason FROM mesh_outbox.check_compatibility(
    '{"oneOf": [{"type": "object", "properties": {"a": {}}, "additionalProperties": false}]}',
    '{"oneOf": [{"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": false}]}', 'FORWARD')
WHERE direction = 'FORWARD';

-- Limits end a comparison undecided, never with a wrong verdict
SET mesh_outbox.compare_timeout = '50ms';
CREATE FUNCTION pg_temp.branches(n int) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('type', 'object', 'unevaluatedProperties', false, 'anyOf',
           jsonb_agg(jsonb_build_object('required', jsonb_build_array('p' || i),
                     'properties', jsonb_build_object('p' || i, '{"type": "integer"}'::jsonb))))
  FROM generate_series(1, n) AS i
$$;
SELECT verdict, reason FROM mesh_outbox.is_subschema(pg_temp.branches(16), pg_temp.branches(17));
-- and can be cancelled where they have none
SET mesh_outbox.compare_timeout = 0;
SET statement_timeout = '100ms';
SELECT verdict FROM mesh_outbox.is_subschema(pg_temp.branches(16), pg_temp.branches(17));
RESET statement_timeout;
SET mesh_outbox.compare_memory = '1MB';
SELECT verdict, reason FROM mesh_outbox.is_subschema(pg_temp.branches(16), pg_temp.branches(17));
RESET mesh_outbox.compare_memory;
RESET mesh_outbox.compare_timeout;
SELECT verdict, reason FROM mesh_outbox.is_subschema('{"type": "string", "pattern": "^(a|b)*a(a|b){18}$"}', '{"pattern": "^(a|b)*b(a|b){18}$"}');
SELECT verdict, reason FROM mesh_outbox.is_subschema('{"type": "array", "minItems": 100000}', '{"minItems": 100001}');

-- Examples: the same seed gives the same documents
CREATE TEMP TABLE contract AS SELECT '{
  "type": "object",
  "properties": {
    "order_id": {"type": "string", "format": "uuid"},
    "placed_at": {"type": "string", "format": "date-time"},
    "status": {"enum": ["new", "paid", "sent"]},
    "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
    "lines": {"type": "array", "minItems": 1, "items": {"type": "object", "properties": {"qty": {"type": "integer", "minimum": 1}}, "required": ["qty"]}}
  },
  "required": ["order_id", "status", "lines"]
}'::jsonb AS schema;
SELECT example FROM contract, mesh_outbox.generate_examples(schema, 2, seed => 7);
SELECT count(*) AS made, count(DISTINCT example) AS different,
       count(*) FILTER (WHERE NOT EXISTS (SELECT FROM mesh_outbox.schema_violations(schema, example, closed => true))) AS valid
FROM contract, mesh_outbox.generate_examples(schema, 500);
-- documents that miss by one keyword
SELECT DISTINCT path, keyword, message FROM contract, mesh_outbox.generate_examples(schema, 60, invalid => true)
ORDER BY path, keyword, message;
-- a schema that cannot be followed is solved
SELECT example FROM mesh_outbox.generate_examples(
    '{"type": "integer", "not": {"multipleOf": 2}, "allOf": [{"minimum": 10}, {"maximum": 20}, {"not": {"multipleOf": 3}}]}', 10)
ORDER BY example;
SELECT count(*) FROM mesh_outbox.generate_examples('{"type": "integer", "minimum": 2, "maximum": 1}', 3);
SELECT mesh_outbox.generate_examples('{}', -1);
