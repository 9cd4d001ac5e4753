-- What a violation says: the place in both documents, the keyword, and words.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
\pset null '(null)'
CREATE TEMP TABLE order_schema AS SELECT '{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["order_id", "placed_at", "lines"],
  "properties": {
    "order_id": {"type": "string", "format": "uuid"},
    "placed_at": {"type": "string", "format": "date-time"},
    "currency": {"enum": ["EUR", "USD"]},
    "version": {"const": 2},
    "code": {"type": "string", "pattern": "^[A-Z]{2}$", "minLength": 2, "maxLength": 2},
    "rate": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.05},
    "tags": {"type": "array", "uniqueItems": true, "maxItems": 3, "contains": {"const": "a"}},
    "pair": {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false},
    "email": {"type": "string", "minLength": 50, "x-privacy": "personal"},
    "lines": {"type": "array", "minItems": 1, "items": {
      "type": "object", "required": ["qty"],
      "properties": {"qty": {"type": "integer", "minimum": 1}, "a/b~c": {"type": "null"}}}}
  },
  "dependentRequired": {"code": ["currency"]},
  "additionalProperties": false
}'::jsonb AS schema;

SELECT v.* FROM order_schema, mesh_outbox.schema_violations(schema,
  '{"order_id": "0191d2c4-7c1e-7b3a-9f1e-00000000000", "placed_at": "2026-02-30T10:00:00Z",
    "currency": "EURO", "version": 3, "rate": 1.01, "tags": ["b", "c", "b", "d"],
    "pair": [1, "x", true], "email": "a@b.example", "curency": 1,
    "lines": [{"qty": 0}, {"qty": 1.5}, {"qty": "2"}, {"a/b~c": 1}, null]}') v;

SELECT v.* FROM order_schema, mesh_outbox.schema_violations(schema, '{"code": "x", "lines": []}') v;
SELECT v.* FROM order_schema, mesh_outbox.schema_violations(schema, '[1, 2, 3, 4, 5]') v;
-- no row: valid
SELECT v.* FROM order_schema, mesh_outbox.schema_violations(schema,
  '{"order_id": "0191d2c4-7c1e-7b3a-9f1e-000000000001", "placed_at": "2026-02-28T10:00:00Z", "lines": [{"qty": 1.0}]}') v;

-- the closest alternative comes first
SELECT instance_pointer, schema_pointer, message FROM mesh_outbox.schema_violations('{"oneOf": [
  {"properties": {"kind": {"const": "card"}, "number": {"type": "string"}}, "required": ["kind", "number"]},
  {"properties": {"kind": {"const": "cash"}, "amount": {"type": "number"}}, "required": ["kind", "amount"]},
  {"type": "string"}]}', '{"kind": "cash", "amount": "12"}');
SELECT message, hint FROM mesh_outbox.schema_violations('{"oneOf": [{"type": "integer"}, {"minimum": 2}]}', '3');
SELECT message FROM mesh_outbox.schema_violations('{"not": {"type": "integer"}}', '3');
SELECT instance_pointer, schema_pointer, message FROM mesh_outbox.schema_violations(
  '{"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}', '{"a": 1}');
SELECT instance_pointer, schema_pointer, message FROM mesh_outbox.schema_violations(
  '{"allOf": [{"properties": {"a": true}}], "properties": {"b": true}, "unevaluatedProperties": false}', '{"a": 1, "b": 2, "c": 3}');
SELECT instance_pointer, schema_pointer, message FROM mesh_outbox.schema_violations(
  '{"propertyNames": {"maxLength": 3}, "minProperties": 3, "patternProperties": {"^x": {"type": "integer"}}}', '{"abcd": 1, "x": "y"}');

-- long values are shortened, in whole characters
SELECT found FROM mesh_outbox.schema_violations('{"maxLength": 3}', to_jsonb(repeat('é', 100)));
SELECT found FROM mesh_outbox.schema_violations('{"type": "string"}', '[1,2,3,4,5,6]');
SELECT found FROM mesh_outbox.schema_violations('{"type": "string"}', '{"a":1,"b":2,"c":3,"d":4,"e":5}');

-- classified values are not shown, whichever schema says that they are
SELECT instance_pointer, message, found FROM mesh_outbox.schema_violations(
  '{"$defs": {"mail": {"type": "string", "format": "email", "x-privacy": "personal"}},
    "properties": {"a": {"minLength": 9, "$ref": "#/$defs/mail"}, "b": {"items": {"type": "integer"}, "x-privacy": "secret"},
                   "c": {"not": {}, "properties": {"d": {"x-privacy": "personal"}}}, "open": {"maxLength": 1}},
    "maxProperties": 0, "enum": [1]}', '{"a": "secret", "b": ["s"], "c": {"d": "s"}, "open": "shown"}');

-- a client that lacks the sign gets the message all the same
SET client_encoding = 'LATIN1';
SELECT message FROM mesh_outbox.schema_violations('{"minimum": 2}', '1');
RESET client_encoding;

-- annotations per path of the instance
SELECT * FROM mesh_outbox.schema_annotations(
  '{"$defs": {"mail": {"x-privacy": "personal"}}, "properties": {"a": {"$ref": "#/$defs/mail"}, "a/b": {"x-privacy": "secret"},
    "l": {"items": {"properties": {"m": {"$ref": "#/$defs/mail"}, "again": {"$ref": "#"}}}}},
    "oneOf": [{"properties": {"card": {"x-privacy": {"transform": "mask"}}}}, true], "additionalProperties": {"x-privacy": "other"}}', 'x-privacy');

-- exact numbers
SELECT mesh_outbox.is_valid('{"type": "integer"}', '1.0') AS one,
       mesh_outbox.is_valid('{"type": "integer"}', '1.5') AS half,
       mesh_outbox.is_valid('{"multipleOf": 0.01}', '4.35') AS cents,
       mesh_outbox.is_valid('{"multipleOf": 0.01}', '4.355') AS not_cents,
       mesh_outbox.is_valid('{"maximum": 9007199254740992}', '9007199254740993') AS above,
       mesh_outbox.is_valid('{"const": 1e400}', ('1' || repeat('0', 400))::jsonb) AS long,
       mesh_outbox.is_valid('{"const": 1e400}', ('1' || repeat('0', 399) || '1')::jsonb) AS longer,
       mesh_outbox.is_valid('{"multipleOf": 7}', '7e400') AS seven,
       mesh_outbox.is_valid('{"multipleOf": 1.23456789012345678901}', '2.46913578024691357802') AS many_digits,
       mesh_outbox.is_valid('{"multipleOf": 3e-5}', '0.00009') AS tiny;

-- lengths are in characters, whatever they take
SELECT mesh_outbox.is_valid('{"minLength": 2, "maxLength": 2}', '"😀é"') AS two,
       mesh_outbox.is_valid('{"minLength": 3}', '"😀é"') AS three;

-- formats annotate when asked; content asserts when asked
SELECT mesh_outbox.is_valid('{"format": "date"}', '"x"') AS asserts,
       mesh_outbox.is_valid('{"format": "date"}', '"x"', formats => false) AS annotates;
SELECT message FROM mesh_outbox.schema_violations('{"contentEncoding": "base64", "contentMediaType": "application/json", "contentSchema": {"required": ["a"]}}', '"eyJiIjoxfQ=="', content => true);
SELECT message FROM mesh_outbox.schema_violations('{"contentEncoding": "base64"}', '"e"', content => true);
SELECT message FROM mesh_outbox.schema_violations('{"contentMediaType": "application/json"}', '"{"', content => true);

-- in a CHECK constraint, with a schema from a column, and in parallel plans
CREATE TEMP TABLE checked (payload jsonb CHECK (mesh_outbox.is_valid('{"type": "object", "required": ["a"]}', payload)));
INSERT INTO checked VALUES ('{"a": 1}');
INSERT INTO checked VALUES ('{"b": 1}');
CREATE TEMP TABLE several (schema jsonb, instance jsonb);
INSERT INTO several SELECT jsonb_build_object('maximum', i % 20), to_jsonb(10) FROM generate_series(1, 100) i;
SELECT count(*) FROM several WHERE mesh_outbox.is_valid(schema, instance);
SELECT p.proname, p.provolatile, p.proparallel, p.proisstrict FROM pg_proc p
WHERE p.pronamespace = 'mesh_outbox'::regnamespace AND p.proname IN ('is_valid', 'schema_violations', 'check_schema') ORDER BY 1;
DROP EXTENSION mesh_outbox CASCADE;
