-- Reading P of a contract: closed per location, after all applicators.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE FUNCTION pg_temp.undeclared(schema jsonb, instance jsonb) RETURNS text
LANGUAGE sql AS $$
  SELECT coalesce(string_agg(instance_pointer || ': ' || message, '; '), 'valid')
  FROM mesh_outbox.schema_violations(schema, instance, closed => true)
$$;

-- plain
SELECT pg_temp.undeclared('{"properties": {"a": {}}}', '{"a": 1, "b": 2}');
SELECT pg_temp.undeclared('{"properties": {"customer": {"properties": {"customer_id": {}}}}}', '{"customer": {"customer_id": 1, "custmer_id": 2}}');
-- nothing declared: free-form, at the root and below
SELECT pg_temp.undeclared('{"type": "object"}', '{"a": 1}');
SELECT pg_temp.undeclared('{"properties": {"metadata": {"type": "object"}}}', '{"metadata": {"any": {"thing": 1}}}');
-- explicitly open
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "additionalProperties": true}', '{"a": 1, "b": 2}');
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "additionalProperties": {"type": "string"}}', '{"a": 1, "b": 2}');
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "unevaluatedProperties": true}', '{"a": 1, "b": 2}');
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "patternProperties": {"^x_": {}}}', '{"a": 1, "x_b": 2, "c": 3}');
-- two cousins look at the same nested object
SELECT pg_temp.undeclared('{"allOf": [{"properties": {"a": {"properties": {"x": {}}}}}, {"properties": {"a": {"properties": {"y": {}}}}}]}', '{"a": {"x": 1, "y": 2}}');
SELECT pg_temp.undeclared('{"allOf": [{"properties": {"a": {"properties": {"x": {}}}}}, {"properties": {"a": {"properties": {"y": {}}}}}]}', '{"a": {"x": 1, "y": 2, "z": 3}, "b": 1}');
-- a name that is declared beside the applicator, and one by both
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "allOf": [{"properties": {"b": {}}}]}', '{"a": 1, "b": 2}');
-- "not" is never changed by closing
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "not": {"properties": {"b": {"const": 1}}, "required": ["b"]}}', '{"a": 1}');
SELECT pg_temp.undeclared('{"properties": {"a": {}, "b": {}}, "not": {"properties": {"b": {"const": 1}}, "required": ["b"]}}', '{"a": 1, "b": 1}');
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "not": {"properties": {"b": {"const": 1}}, "required": ["b"]}}', '{"a": 1, "b": 2}');
-- names only under "if" count as declared, whether it holds or not
SELECT pg_temp.undeclared('{"if": {"properties": {"kind": {"const": 1}}}, "then": {"properties": {"a": {}}}, "else": {"properties": {"b": {}}}}', '{"kind": 1, "a": 1}');
SELECT pg_temp.undeclared('{"if": {"properties": {"kind": {"const": 1}}}, "then": {"properties": {"a": {}}}, "else": {"properties": {"b": {}}}}', '{"kind": 2, "b": 1}');
SELECT pg_temp.undeclared('{"if": {"properties": {"kind": {"const": 1}}}, "then": {"properties": {"a": {}}}, "else": {"properties": {"b": {}}}}', '{"kind": 2, "a": 1}');
SELECT pg_temp.undeclared('{"properties": {"w": {}}, "if": {"properties": {"o": {"properties": {"deep": {"const": 1}}}}}}', '{"w": 1, "o": {"deep": 2}}');
-- oneOf: the branch that applies declares, the others do not
SELECT pg_temp.undeclared('{"oneOf": [{"properties": {"k": {"const": 1}, "a": {}}, "required": ["k"]}, {"properties": {"k": {"const": 2}, "b": {}}, "required": ["k"]}]}', '{"k": 1, "a": 1}');
SELECT pg_temp.undeclared('{"oneOf": [{"properties": {"k": {"const": 1}, "a": {}}, "required": ["k"]}, {"properties": {"k": {"const": 2}, "b": {}}, "required": ["k"]}]}', '{"k": 1, "b": 1}');
-- closing does not make a second branch of oneOf fail: it stays ambiguous
SELECT pg_temp.undeclared('{"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}', '{"a": 1}');
-- anyOf: every branch that holds declares
SELECT pg_temp.undeclared('{"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}, {"properties": {"c": {"type": "null"}}}]}', '{"a": 1, "b": 2, "c": 3}');
-- arrays: items are untouched, objects in them are locations like any other
SELECT pg_temp.undeclared('{"properties": {"l": {"prefixItems": [{"type": "integer"}]}}}', '{"l": [1, 2, {"x": 1}]}');
SELECT pg_temp.undeclared('{"properties": {"l": {"items": {"properties": {"x": {}}}}}}', '{"l": [{"x": 1}, {"x": 1, "y": 2}]}');
-- contains mentions names without closing what it looks at
SELECT pg_temp.undeclared('{"properties": {"l": {"contains": {"properties": {"x": {"const": 1}}, "required": ["x"]}}}}', '{"l": [{"x": 1, "y": 2}, {"z": 3}]}');
-- recursion through $ref
SELECT pg_temp.undeclared('{"properties": {"v": {}, "next": {"$ref": "#"}}}', '{"v": 1, "next": {"v": 2, "next": {"v": 3}}}');
SELECT pg_temp.undeclared('{"properties": {"v": {}, "next": {"$ref": "#"}}}', '{"v": 1, "next": {"v": 2, "next": {"w": 3}}}');
-- $ref with neighbours, dependentSchemas, draft-07
SELECT pg_temp.undeclared('{"$defs": {"base": {"properties": {"id": {}}}}, "$ref": "#/$defs/base", "properties": {"a": {}}}', '{"id": 1, "a": 2, "b": 3}');
SELECT pg_temp.undeclared('{"properties": {"a": {}}, "dependentSchemas": {"a": {"properties": {"b": {}}}}}', '{"a": 1, "b": 2}');
SELECT pg_temp.undeclared('{"$schema": "http://json-schema.org/draft-07/schema#", "allOf": [{"properties": {"a": {"properties": {"x": {}}}}}], "properties": {"b": {}}}', '{"a": {"x": 1, "q": 2}, "b": 2, "c": 3}');
-- a failed alternative is not reported as unknown names as well
SELECT pg_temp.undeclared('{"oneOf": [{"properties": {"k": {"const": 1}, "a": {"type": "integer"}}, "required": ["k"]}, {"properties": {"k": {"const": 2}}, "required": ["k"]}]}', '{"k": 1, "a": "x"}');
-- the extensible enum is closed for producers
SELECT pg_temp.undeclared('{"properties": {"s": {"x-extensible-enum": ["new", "paid"]}}}', '{"s": "payed"}');
SELECT mesh_outbox.is_valid('{"properties": {"s": {"x-extensible-enum": ["new", "paid"]}}}', '{"s": "payed"}');
DROP EXTENSION mesh_outbox CASCADE;
