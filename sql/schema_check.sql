-- Faults of schemas, and what a contract refuses beyond the specification.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
\pset null '(null)'
SELECT * FROM mesh_outbox.check_schema('{"type": "objekt", "properties": {"a": {"minimum": "1", "pattern": "(", "title": 5}, "b": 7},
  "required": ["a", "a"], "allOf": [], "maxLength": -1, "multipleOf": 0, "enum": {}, "$comment": 1}');
SELECT * FROM mesh_outbox.check_schema('{"type": ["string", "string"], "uniqueItems": 1, "items": [true], "$anchor": "1x", "$ref": 3, "dependentRequired": {"a": [1]}}');
SELECT * FROM mesh_outbox.check_schema('[]');
SELECT * FROM mesh_outbox.check_schema('true');
SELECT * FROM mesh_outbox.check_schema('{"a": 1, "b": {"c": 1, "c": 2}, "a": 3, "l": [0, {"\u0064": 1, "d": 2}]}');
-- drafts
SELECT * FROM mesh_outbox.check_schema('{"$schema": "http://json-schema.org/draft-04/schema#"}');
SELECT * FROM mesh_outbox.check_schema('{"$schema": "https://json-schema.org/draft/2019-09/schema"}');
SELECT * FROM mesh_outbox.check_schema('{"$schema": "https://example.com/nobody-knows"}');
-- references
SELECT * FROM mesh_outbox.check_schema('{"$ref": "#/$defs/x"}');
SELECT * FROM mesh_outbox.check_schema('{"$ref": "#nowhere"}');
SELECT * FROM mesh_outbox.check_schema('{"$ref": "other.json"}');
SELECT * FROM mesh_outbox.check_schema('{"$ref": "https://example.com/other.json"}');
SELECT * FROM mesh_outbox.check_schema('{"$ref": "term:customer_id"}');
SELECT * FROM mesh_outbox.check_schema('{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#"}]}}}');
SELECT mesh_outbox.is_valid('{"$ref": "https://example.com/other.json"}', '1');

-- contracts
SELECT * FROM mesh_outbox.check_schema('{"propertis": {}, "requierd": [], "x-own": 1, "colour": 1, "nullable": true}', true);
SELECT * FROM mesh_outbox.check_schema('{"properties": {"a": {"dependencies": {}, "additionalItems": true, "definitions": {}, "format": "date_time"}, "b": {"format": "money"}, "c": {"items": [{}]}}}', true);
SELECT * FROM mesh_outbox.check_schema('{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"dependencies": {}, "items": [{}], "additionalItems": true}}, "definitions": {}, "$defs": {}}', true);
-- required names that nothing declares
SELECT * FROM mesh_outbox.check_schema('{"properties": {"a": true}, "required": ["a", "b"]}', true);
SELECT * FROM mesh_outbox.check_schema('{"properties": {"a": true}, "oneOf": [{"required": ["a"]}, {"required": ["z"]}]}', true);
SELECT * FROM mesh_outbox.check_schema('{"$ref": "#/$defs/base", "properties": {"a": true}, "$defs": {"base": {"required": ["a", "q"]}}}', true);
SELECT * FROM mesh_outbox.check_schema('{"required": ["a"], "patternProperties": {"^a$": true}}', true);
SELECT * FROM mesh_outbox.check_schema('{"not": {"required": ["a"]}, "properties": {"b": true}}', true);

-- registered schemas
SELECT mesh_outbox.register_schema('https://example.com/money.json', '{"type": "object", "properties": {"amount": {"$ref": "amount.json"}, "currency": {"enum": ["EUR"]}}}');
SELECT mesh_outbox.register_schema('https://example.com/amount.json', '{"type": "number", "multipleOf": 0.01}');
SELECT mesh_outbox.register_schema('money.json', '{}');
SELECT mesh_outbox.register_schema('https://example.com/list', '[]');
SELECT * FROM mesh_outbox.schema_violations('{"properties": {"total": {"$ref": "https://example.com/money.json"}}}', '{"total": {"amount": 1.001, "currency": "USD"}}');
SELECT uri FROM mesh_outbox.referenced_schemas('{"$ref": "https://example.com/money.json"}') ORDER BY uri;
SELECT jsonb_pretty(mesh_outbox.resolve_schema('{"properties": {"total": {"$ref": "https://example.com/money.json"}}, "required": ["total"]}'));
-- what was bundled needs no registry any more
SELECT mesh_outbox.unregister_schema('https://example.com/amount.json');
SELECT mesh_outbox.is_valid(r.schema, '{"total": {"amount": 1.001}}') AS bad, mesh_outbox.is_valid(r.schema, '{"total": {"amount": 1.01}}') AS good
FROM (SELECT '{"$defs": {"https://example.com/money.json": {"$id": "https://example.com/money.json", "properties": {"amount": {"$ref": "amount.json"}}}, "https://example.com/amount.json": {"$id": "https://example.com/amount.json", "multipleOf": 0.01}}, "properties": {"total": {"$ref": "https://example.com/money.json"}}}'::jsonb AS schema) r;
SELECT mesh_outbox.resolve_schema('{"properties": {"a": {"typ": "string"}}, "required": ["b"]}');
SELECT mesh_outbox.resolve_schema('{"properties": {"a": true}, "properties": {"b": true}}');
SELECT mesh_outbox.unregister_schema('https://example.com/amount.json');
SELECT mesh_outbox.unregister_schema('https://example.com/money.json');
DROP EXTENSION mesh_outbox CASCADE;
