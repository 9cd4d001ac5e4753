-- How contracts change in practice, and whom that breaks.
--
-- Every line of the table is one evolution of a contract, with what is to be
-- expected in three letters, + for proved and - for refuted:
--
--   first   FORWARD: may consumers running today meet the new events?
--   second  BACKWARD: may consumers of the new version replay old events?
--   third   may producers go on sending what they send?
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;

-- A contract of these properties; names in "must" are required.
CREATE FUNCTION pg_temp.c(properties jsonb, must text[] DEFAULT '{}', more jsonb DEFAULT '{}')
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('type', 'object', 'properties', properties)
         || CASE WHEN must = '{}' THEN '{}' ELSE jsonb_build_object('required', must) END || more
$$;
CREATE TEMP TABLE evolution (
    nr     int GENERATED ALWAYS AS IDENTITY,
    title  text,
    expect text,
    old    jsonb,
    new    jsonb
);

-- The two scenes everything began with
INSERT INTO evolution (title, expect, old, new) VALUES
('user_id from integer to uuid', '---',
 pg_temp.c('{"user_id": {"type": "integer"}}', '{user_id}'),
 pg_temp.c('{"user_id": {"type": "string", "format": "uuid"}}', '{user_id}')),
('optional discount_code added', '+++',
 pg_temp.c('{"order_id": {"type": "string"}}', '{order_id}'),
 pg_temp.c('{"order_id": {"type": "string"}, "discount_code": {"type": "string"}}', '{order_id}'));

-- Properties come, go and change their obligation
INSERT INTO evolution (title, expect, old, new) VALUES
('optional property removed', '++-',
 pg_temp.c('{"a": {"type": "string"}, "note": {"type": "string"}}'),
 pg_temp.c('{"a": {"type": "string"}}')),
('required property added', '+--',
 pg_temp.c('{"a": {"type": "string"}}'),
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "integer"}}', '{b}')),
('required property removed', '-+-',
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "integer"}}', '{b}'),
 pg_temp.c('{"a": {"type": "string"}}')),
('optional becomes required', '+--',
 pg_temp.c('{"a": {"type": "string"}}'),
 pg_temp.c('{"a": {"type": "string"}}', '{a}')),
('required becomes optional', '-++',
 pg_temp.c('{"a": {"type": "string"}}', '{a}'),
 pg_temp.c('{"a": {"type": "string"}}')),
('optional property renamed', '++-',
 pg_temp.c('{"zip": {"type": "string", "maxLength": 10}}'),
 pg_temp.c('{"postcode": {"type": "string", "maxLength": 10}}')),
('required property renamed', '---',
 pg_temp.c('{"zip": {"type": "string", "maxLength": 10}}', '{zip}'),
 pg_temp.c('{"postcode": {"type": "string", "maxLength": 10}}', '{postcode}')),
('another of the properties required', '---',
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "string"}}', '{a}'),
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "string"}}', '{b}'));

-- Numbers
INSERT INTO evolution (title, expect, old, new) VALUES
('integer to number', '-++',
 pg_temp.c('{"amount": {"type": "integer"}}'), pg_temp.c('{"amount": {"type": "number"}}')),
('number to integer', '+--',
 pg_temp.c('{"amount": {"type": "number"}}'), pg_temp.c('{"amount": {"type": "integer"}}')),
('exclusiveMinimum 0 of integers spelled minimum 1', '+++',
 pg_temp.c('{"qty": {"type": "integer", "exclusiveMinimum": 0}}'),
 pg_temp.c('{"qty": {"type": "integer", "minimum": 1}}')),
('minimum added', '+--',
 pg_temp.c('{"qty": {"type": "integer"}}'), pg_temp.c('{"qty": {"type": "integer", "minimum": 1}}')),
('minimum lowered', '-++',
 pg_temp.c('{"qty": {"type": "integer", "minimum": 1}}'), pg_temp.c('{"qty": {"type": "integer", "minimum": 0}}')),
('maximum raised', '-++',
 pg_temp.c('{"qty": {"type": "integer", "maximum": 99}}'), pg_temp.c('{"qty": {"type": "integer", "maximum": 999}}')),
('maximum raised beyond double precision', '-++',
 pg_temp.c('{"n": {"type": "integer", "maximum": 9007199254740992}}'),
 pg_temp.c('{"n": {"type": "integer", "maximum": 9007199254740993}}')),
('amounts limited to cents', '+--',
 pg_temp.c('{"amount": {"type": "number"}}'), pg_temp.c('{"amount": {"type": "number", "multipleOf": 0.01}}')),
('cents refined to tenths of a cent', '-++',
 pg_temp.c('{"amount": {"type": "number", "multipleOf": 0.01}}'),
 pg_temp.c('{"amount": {"type": "number", "multipleOf": 0.001}}'));

-- Strings
INSERT INTO evolution (title, expect, old, new) VALUES
('maxLength added', '+--',
 pg_temp.c('{"name": {"type": "string"}}'), pg_temp.c('{"name": {"type": "string", "maxLength": 40}}')),
('maxLength raised', '-++',
 pg_temp.c('{"name": {"type": "string", "maxLength": 4}}'), pg_temp.c('{"name": {"type": "string", "maxLength": 5}}')),
('minLength dropped', '-++',
 pg_temp.c('{"name": {"type": "string", "minLength": 1}}'), pg_temp.c('{"name": {"type": "string"}}')),
('pattern added', '+--',
 pg_temp.c('{"sku": {"type": "string"}}'), pg_temp.c('{"sku": {"type": "string", "pattern": "^[A-Z]{3}$"}}')),
('pattern widened', '-++',
 pg_temp.c('{"sku": {"type": "string", "pattern": "^[A-Z]{3}$"}}'),
 pg_temp.c('{"sku": {"type": "string", "pattern": "^[A-Z]{2,4}$"}}')),
('pattern spelled otherwise', '+++',
 pg_temp.c('{"sku": {"type": "string", "pattern": "^[0-9]+$"}}'),
 pg_temp.c('{"sku": {"type": "string", "pattern": "^\\d\\d*$"}}')),
('format added', '+--',
 pg_temp.c('{"id": {"type": "string"}}'), pg_temp.c('{"id": {"type": "string", "format": "uuid"}}')),
('format dropped', '-++',
 pg_temp.c('{"id": {"type": "string", "format": "uuid"}}'), pg_temp.c('{"id": {"type": "string"}}')),
('format from date to date-time', '---',
 pg_temp.c('{"day": {"type": "string", "format": "date"}}'),
 pg_temp.c('{"day": {"type": "string", "format": "date-time"}}')),
('format uuid spelled as a pattern', '+++',
 pg_temp.c('{"id": {"type": "string", "format": "uuid"}}'),
 pg_temp.c('{"id": {"type": "string", "pattern": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"}}'));

-- Lists of values
INSERT INTO evolution (title, expect, old, new) VALUES
('value added to an enum', '-++',
 pg_temp.c('{"status": {"enum": ["new", "paid"]}}'), pg_temp.c('{"status": {"enum": ["new", "paid", "sent"]}}')),
('value removed from an enum', '+--',
 pg_temp.c('{"status": {"enum": ["new", "paid"]}}'), pg_temp.c('{"status": {"enum": ["new"]}}')),
('value added to an x-extensible-enum', '+++',
 pg_temp.c('{"status": {"type": "string", "x-extensible-enum": ["new", "paid"]}}'),
 pg_temp.c('{"status": {"type": "string", "x-extensible-enum": ["new", "paid", "sent"]}}')),
('value removed from an x-extensible-enum', '++-',
 pg_temp.c('{"status": {"type": "string", "x-extensible-enum": ["new", "paid"]}}'),
 pg_temp.c('{"status": {"type": "string", "x-extensible-enum": ["new"]}}')),
('enum becomes x-extensible-enum', '+++',
 pg_temp.c('{"status": {"enum": ["new", "paid"]}}'),
 pg_temp.c('{"status": {"type": "string", "x-extensible-enum": ["new", "paid"]}}')),
('x-extensible-enum becomes a longer enum', '+++',
 pg_temp.c('{"status": {"type": "string", "x-extensible-enum": ["new", "paid"]}}'),
 pg_temp.c('{"status": {"enum": ["new", "paid", "sent"]}}')),
('const widened to an enum', '-++',
 pg_temp.c('{"v": {"const": 1}}'), pg_temp.c('{"v": {"enum": [1, 2]}}')),
('const spelled as an enum', '+++',
 pg_temp.c('{"v": {"const": 1}}'), pg_temp.c('{"v": {"enum": [1.0]}}')),
('null allowed', '-++',
 pg_temp.c('{"note": {"type": "string"}}'), pg_temp.c('{"note": {"type": ["string", "null"]}}')),
('null forbidden', '+--',
 pg_temp.c('{"note": {"type": ["string", "null"]}}'), pg_temp.c('{"note": {"type": "string"}}')),
('a second type allowed', '-++',
 pg_temp.c('{"id": {"type": "string"}}'), pg_temp.c('{"id": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}'));

-- Nested objects
INSERT INTO evolution (title, expect, old, new) VALUES
('nested optional property added', '+++',
 pg_temp.c('{"customer": {"type": "object", "properties": {"id": {"type": "integer"}}}}'),
 pg_temp.c('{"customer": {"type": "object", "properties": {"id": {"type": "integer"}, "vip": {"type": "boolean"}}}}')),
('nested required property added', '+--',
 pg_temp.c('{"customer": {"type": "object", "properties": {"id": {"type": "integer"}}}}'),
 pg_temp.c('{"customer": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}}')),
('two nested types changed', '---',
 pg_temp.c('{"customer": {"type": "object", "properties": {"id": {"type": "integer"}, "vip": {"type": "boolean"}}}}'),
 pg_temp.c('{"customer": {"type": "object", "properties": {"id": {"type": "string"}, "vip": {"type": "string"}}}}')),
('free-form metadata gets declared names', '+--',
 pg_temp.c('{"metadata": {"type": "object"}}'),
 pg_temp.c('{"metadata": {"type": "object", "properties": {"source": {"type": "string"}}}}')),
('properties moved into allOf', '+++',
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "integer"}}', '{a}'),
 '{"type": "object", "allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "integer"}}}]}'),
('schema moved to $defs', '+++',
 pg_temp.c('{"total": {"type": "number", "minimum": 0}}'),
 pg_temp.c('{"total": {"$ref": "#/$defs/money"}}', '{}', '{"$defs": {"money": {"type": "number", "minimum": 0}}}'));

-- Arrays
INSERT INTO evolution (title, expect, old, new) VALUES
('items from integer to number', '-++',
 pg_temp.c('{"xs": {"type": "array", "items": {"type": "integer"}}}'),
 pg_temp.c('{"xs": {"type": "array", "items": {"type": "number"}}}')),
('items get an optional property', '+++',
 pg_temp.c('{"lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}}}'),
 pg_temp.c('{"lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "qty": {"type": "integer"}}}}}')),
('minItems added', '+--',
 pg_temp.c('{"xs": {"type": "array"}}'), pg_temp.c('{"xs": {"type": "array", "minItems": 1}}')),
('maxItems raised', '-++',
 pg_temp.c('{"xs": {"type": "array", "maxItems": 2}}'), pg_temp.c('{"xs": {"type": "array", "maxItems": 3}}')),
('uniqueItems added', '+--',
 pg_temp.c('{"xs": {"type": "array"}}'), pg_temp.c('{"xs": {"type": "array", "uniqueItems": true}}')),
('contains added', '+--',
 pg_temp.c('{"xs": {"type": "array"}}'), pg_temp.c('{"xs": {"type": "array", "contains": {"const": "main"}}}')),
('tuple gets another place', '-++',
 pg_temp.c('{"at": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "items": false}}'),
 pg_temp.c('{"at": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}, {"type": "number"}], "items": false}}'));

-- Alternatives with a discriminator
INSERT INTO evolution (title, expect, old, new) VALUES
('variant added', '-++',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}, "last4": {"type": "string"}}, "required": ["kind"]}]}',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}, "last4": {"type": "string"}}, "required": ["kind"]},
                               {"properties": {"kind": {"const": "iban"}, "iban": {"type": "string"}}, "required": ["kind"]}]}'),
('variant removed', '+--',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}, "last4": {"type": "string"}}, "required": ["kind"]},
                               {"properties": {"kind": {"const": "iban"}, "iban": {"type": "string"}}, "required": ["kind"]}]}',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}, "last4": {"type": "string"}}, "required": ["kind"]}]}'),
('variant gets an optional property', '+++',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}}, "required": ["kind"]},
                               {"properties": {"kind": {"const": "iban"}}, "required": ["kind"]}]}',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}, "brand": {"type": "string"}}, "required": ["kind"]},
                               {"properties": {"kind": {"const": "iban"}}, "required": ["kind"]}]}'),
('variant closed under oneOf gets an optional property', '-++',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}}, "required": ["kind"], "additionalProperties": false},
                               {"properties": {"kind": {"const": "iban"}}, "required": ["kind"], "additionalProperties": false}]}',
 '{"type": "object", "oneOf": [{"properties": {"kind": {"const": "card"}, "brand": {"type": "string"}}, "required": ["kind"], "additionalProperties": false},
                               {"properties": {"kind": {"const": "iban"}}, "required": ["kind"], "additionalProperties": false}]}'),
('variants that overlap cancel each other out', '+--',
 '{"type": "object", "oneOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]}',
 '{"type": "object", "oneOf": [{"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"properties": {"a": {"type": "integer"}, "c": {}}, "required": ["a"], "minProperties": 2}]}');

-- Recursion
INSERT INTO evolution (title, expect, old, new) VALUES
('tree nodes get an optional property', '+++',
 '{"$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value"]}}, "$ref": "#/$defs/node"}',
 '{"$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"}, "label": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value"]}}, "$ref": "#/$defs/node"}'),
('values in a tree from integer to number', '-++',
 '{"$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value"]}}, "$ref": "#/$defs/node"}',
 '{"$defs": {"node": {"type": "object", "properties": {"value": {"type": "number"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value"]}}, "$ref": "#/$defs/node"}'),
('a list, its definition renamed', '+++',
 '{"$defs": {"l": {"type": "object", "properties": {"next": {"$ref": "#/$defs/l"}}}}, "$ref": "#/$defs/l"}',
 '{"$defs": {"list": {"type": "object", "properties": {"next": {"$ref": "#/$defs/list"}}}}, "$ref": "#/$defs/list"}');

-- Closed and open by the author's own words
INSERT INTO evolution (title, expect, old, new) VALUES
('additionalProperties: false in the old version, property added', '+++',
 pg_temp.c('{"a": {"type": "string"}}', '{}', '{"additionalProperties": false}'),
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "string"}}')),
('additionalProperties: false in the new version', '+++',
 pg_temp.c('{"a": {"type": "string"}}'),
 pg_temp.c('{"a": {"type": "string"}}', '{}', '{"additionalProperties": false}')),
('additionalProperties: false in both, property added', '+++',
 pg_temp.c('{"a": {"type": "string"}}', '{}', '{"additionalProperties": false}'),
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "string"}}', '{}', '{"additionalProperties": false}')),
('unevaluatedProperties: false in both, property added in an allOf', '+++',
 '{"type": "object", "allOf": [{"properties": {"a": {"type": "string"}}}], "unevaluatedProperties": false}',
 '{"type": "object", "allOf": [{"properties": {"a": {"type": "string"}, "b": {"type": "string"}}}], "unevaluatedProperties": false}'),
('explicitly open no longer', '++-',
 pg_temp.c('{"a": {"type": "string"}}', '{}', '{"additionalProperties": true}'),
 pg_temp.c('{"a": {"type": "string"}}')),
('other properties were strings, are no longer allowed', '++-',
 pg_temp.c('{"a": {"type": "string"}}', '{}', '{"additionalProperties": {"type": "string"}}'),
 pg_temp.c('{"a": {"type": "string"}}')),
('labels by pattern change their type', '---',
 '{"type": "object", "patternProperties": {"^s_": {"type": "string"}}}',
 '{"type": "object", "patternProperties": {"^s_": {"type": "integer"}}}'),
('names limited to what they are anyway', '+++',
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "string"}}'),
 pg_temp.c('{"a": {"type": "string"}, "b": {"type": "string"}}', '{}', '{"propertyNames": {"maxLength": 3}}'));

-- Conditions
INSERT INTO evolution (title, expect, old, new) VALUES
('minProperties added', '+--',
 pg_temp.c('{"a": {"type": "string"}}'), pg_temp.c('{"a": {"type": "string"}}', '{}', '{"minProperties": 1}')),
('dependentRequired added', '+--',
 pg_temp.c('{"card": {"type": "string"}, "address": {"type": "string"}}'),
 pg_temp.c('{"card": {"type": "string"}, "address": {"type": "string"}}', '{}', '{"dependentRequired": {"card": ["address"]}}')),
('dependentRequired spelled with if', '+++',
 pg_temp.c('{"card": {"type": "string"}, "address": {"type": "string"}}', '{}', '{"dependentRequired": {"card": ["address"]}}'),
 pg_temp.c('{"card": {"type": "string"}, "address": {"type": "string"}}', '{}', '{"if": {"required": ["card"]}, "then": {"required": ["address"]}}')),
('if and then added', '+--',
 pg_temp.c('{"country": {"type": "string"}, "zip": {"type": "string"}}'),
 pg_temp.c('{"country": {"type": "string"}, "zip": {"type": "string"}}', '{}',
           '{"if": {"properties": {"country": {"const": "DE"}}, "required": ["country"]}, "then": {"required": ["zip"]}}'));

-- Words only
INSERT INTO evolution (title, expect, old, new) VALUES
('description reworded', '+++',
 pg_temp.c('{"a": {"type": "string", "description": "first"}}'),
 pg_temp.c('{"a": {"type": "string", "description": "second"}}')),
('default added', '+++',
 pg_temp.c('{"a": {"type": "string"}}'), pg_temp.c('{"a": {"type": "string", "default": "x"}}'));

-- What is found
SELECT count(*) >= 60 AS enough FROM evolution;
SELECT nr, title, direction, verdict, change, message, counterexample
FROM evolution, LATERAL mesh_outbox.check_compatibility(old, new, 'FULL')
ORDER BY nr, array_position('{FORWARD,BACKWARD,PRODUCERS}', direction), path, message;

-- No verdict other than expected
SELECT nr, title, expect, found
FROM evolution,
     LATERAL (SELECT string_agg(CASE WHEN bad THEN '-' ELSE '+' END, ''
                                ORDER BY array_position('{FORWARD,BACKWARD,PRODUCERS}', direction)) AS found
              FROM (SELECT direction, bool_or(verdict <> 'proved') AS bad
                    FROM mesh_outbox.check_compatibility(old, new, 'FULL')
                    GROUP BY direction) AS d) AS f
WHERE expect IS DISTINCT FROM found;

-- The changelog and the version number that the change asks for
SELECT nr, level, change, mesh_outbox.suggested_version(old, new, '1.4.2') AS version
FROM evolution LEFT JOIN LATERAL mesh_outbox.contract_changes(old, new) ON true
ORDER BY nr, change;

-- The least change that would be allowed, for the first of them
SELECT direction, breaks, allowed FROM evolution, LATERAL mesh_outbox.check_compatibility(old, new)
WHERE nr = 1;

-- Modes ask for different directions; producers are always looked at
SELECT mode, string_agg(direction, ' ' ORDER BY direction) AS directions
FROM unnest('{NONE,BACKWARD,FORWARD,FULL,FULL_TRANSITIVE}'::text[]) AS mode,
     LATERAL mesh_outbox.check_compatibility('{"type": "object"}', '{"type": "object"}', mode)
GROUP BY mode ORDER BY mode;
SELECT mesh_outbox.check_compatibility('{}', '{}', 'SIDEWAYS');

-- Transitive modes look at all earlier versions: a name that was removed may
-- not come back with another meaning
SELECT mode, direction, version, verdict, change, counterexample
FROM unnest('{FULL,FULL_TRANSITIVE}'::text[]) AS mode,
     LATERAL mesh_outbox.check_compatibility_versions(
         ARRAY[pg_temp.c('{"a": {"type": "string"}}'),
               pg_temp.c('{"a": {"type": "string"}, "ref": {"type": "integer"}}')],
         pg_temp.c('{"a": {"type": "string"}, "ref": {"type": "string"}}'), mode)
ORDER BY mode, version, array_position('{FORWARD,BACKWARD,PRODUCERS}', direction);

-- A contract whose producers may add properties
SELECT direction, verdict, change, counterexample
FROM mesh_outbox.check_compatibility(pg_temp.c('{"a": {"type": "string"}}'),
                                     pg_temp.c('{"a": {"type": "string"}, "b": {"type": "string"}}'),
                                     'FULL', open => true)
ORDER BY array_position('{FORWARD,BACKWARD,PRODUCERS}', direction);
