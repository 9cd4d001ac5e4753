-- What a schema declares, however it says so: through terms, references of any
-- spelling, branches, another dialect, and itself.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
\o /dev/null
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.create_term('street', '{"type": "string", "maxLength": 80}', 'sales', 'street and number');
SELECT mesh_outbox.create_term('address', '{"type": "object", "required": ["street"],
    "properties": {"street": {"$ref": "term:street"}, "country": {"$ref": "#/$defs/code"}}, "$defs": {"code": {"type": "string", "pattern": "^[A-Z]{2}$"}}}',
    'sales', 'where somebody lives');
\o
RESET client_min_messages;
CREATE FUNCTION pg_temp.act(event_type text, schema json) RETURNS text LANGUAGE plpgsql AS $$
DECLARE version text := mesh_outbox.propose_contract('sales.orders', event_type, schema, '/id', description => 'it happened');
BEGIN
    PERFORM mesh_outbox.activate_contract('sales.orders', event_type, version);
    RETURN version;
END $$;

-- Once each, with what is said of it, by whom, and whether always.
SELECT pointer, subschema, places, always FROM mesh_outbox.declared_properties('{
    "properties": {"a": {"$ref": "#/$defs/x~1y%20z"}, "b": {"$ref": "#anchor"}, "self": {"$ref": "#"}},
    "allOf": [{"properties": {"a": {"title": "A"}}}],
    "oneOf": [{"properties": {"kind": {"const": 1}}}, {"properties": {"kind": {"const": 2}}}],
    "if": {"properties": {"asked": {"const": true}}}, "dependentSchemas": {"a": {"properties": {"with_a": {}}}},
    "not": {"properties": {"never": {}}},
    "$defs": {"x/y z": {"type": "string", "x-money": true}, "b": {"$anchor": "anchor", "properties": {"c": {"type": "null"}}}}}')
WHERE pointer !~ '^/self';
-- It is gone round once, and what refers to all of itself ends.
SELECT string_agg(pointer, ' ') FROM mesh_outbox.declared_properties('{"properties": {"id": {}, "child": {"$ref": "#"}}}');
SELECT count(*) FROM mesh_outbox.declared_properties((
    SELECT jsonb_build_object('$ref', '#/$defs/d1', '$defs', jsonb_object_agg('d' || i, jsonb_build_object('properties', p.properties)))
    FROM generate_series(1, 8) i,
         (SELECT jsonb_object_agg('p' || j, jsonb_build_object('$ref', '#/$defs/d' || j)) AS properties FROM generate_series(1, 8) j) p));

-- A consumer of what a term declares, at any depth.
SELECT pg_temp.act('Moved', '{"type": "object", "required": ["id", "to"],
    "properties": {"id": {"type": "string"}, "to": {"$ref": "term:address"}, "former": {"allOf": [{"$ref": "term:address"}]}}}');
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'Moved', contact => 'crm@example.org',
    needs => '{/to/street}', reads => '{/former/country}');
SELECT fields, pending FROM mesh_outbox.consumers WHERE event_type = 'Moved';
SELECT verdict, path, message, counterexample FROM mesh_outbox.consumers s, mesh_outbox.satisfies_expectation('{"type": "object", "required": ["to"],
    "properties": {"to": {"type": "object", "required": ["street"], "properties": {"street": {"type": "string"}}},
                   "former": {"type": "object", "properties": {"country": {"type": "string"}}}}}', s.expectation) WHERE event_type = 'Moved';
SELECT path, via FROM mesh_outbox.term_places WHERE term = 'street' ORDER BY path;
SELECT detail FROM mesh_outbox.describe_product('sales.orders') WHERE section = 'field';

-- Of a draft-07 contract, with definitions and items by position.
SELECT pg_temp.act('Paid', '{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id", "by"],
    "properties": {"id": {"type": "string"}, "by": {"$ref": "#/definitions/who"}, "parts": {"type": "array", "items": [{"type": "string"}]}},
    "definitions": {"who": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}');
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'Paid', contact => 'crm@example.org', needs => '{/by/name}', reads => '{/by,/parts}');
SELECT verdict, path, message FROM mesh_outbox.consumers s, mesh_outbox.satisfies_expectation('{"type": "object", "required": ["by"],
    "properties": {"by": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
                   "parts": {"type": "array", "items": {"type": "integer"}}}}', s.expectation) WHERE event_type = 'Paid';

-- References to other properties, and names of all kinds.
SELECT pg_temp.act('Odd', '{"type": "object", "required": ["id", "bill 100%"], "properties": {"id": {"type": "string"},
    "bill 100%": {"type": "object", "properties": {"é\"~/": {"type": "integer"}}},
    "ship": {"$ref": "#/properties/bill%20100%25"}, "both": {"oneOf": [{"$ref": "#/properties/ship"}, {"type": "null"}]}}}');
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'Odd', contact => 'crm@example.org', reads => '{"/ship/é\"~0~1",/both,/bill 100%}');
SELECT fields, pending FROM mesh_outbox.consumers WHERE event_type = 'Odd';
SELECT verdict, path, message FROM mesh_outbox.consumers s, mesh_outbox.satisfies_expectation(
    '{"properties": {"ship": {"properties": {"é\"~/": {"type": "string"}}}}}', s.expectation) WHERE event_type = 'Odd';

-- In branches: one or the other holds, and no more is relied on.
SELECT pg_temp.act('Either', '{"type": "object", "required": ["id", "kind"], "properties": {"id": {"type": "string"}},
    "oneOf": [{"properties": {"kind": {"const": "a"}, "value": {"type": "string"}}},
              {"properties": {"kind": {"const": "b"}, "value": {"type": "integer"}}}]}');
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'Either', contact => 'crm@example.org', needs => '{/kind}', reads => '{/value}');
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'Either', contact => 'crm@example.org', needs => '{/kind,/value}');
SELECT breaks, path, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'Either', '{"type": "object", "required": ["id", "kind"],
    "properties": {"id": {"type": "string"}, "kind": {"enum": ["a", "b", "c"]}, "value": {"type": ["string", "integer"]}}}', '/id',
    description => 'it happened') WHERE rule = 'consumer';

-- Nothing but wishes.
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'Paid', contact => 'crm@example.org', needs => '{/weight}');
SELECT fields, pending, expectation FROM mesh_outbox.consumers WHERE event_type = 'Paid';

-- Policies see what a term says, and what a draft-07 contract refers to.
\o /dev/null
SELECT mesh_outbox.create_term('customer_id', '{"type": "string", "format": "uuid"}', 'sales', 'who buys');
SELECT mesh_outbox.create_term('email', '{"type": "string", "format": "email", "x-privacy": "personal"}', 'sales', 'where to write to');
SELECT mesh_outbox.create_term('amount', '{"type": "number", "x-money": true}', 'sales', 'what it costs');
\o
SELECT rule, path, message FROM mesh_outbox.check_contract('sales.orders', 'Bought', '{"$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "customer_id": {"$ref": "term:customer_id"}, "seller_id": {"type": "string"},
    "email": {"$ref": "term:email"}, "total": {"$ref": "term:amount"}, "kind": {"oneOf": [{"$ref": "#/definitions/a"}, {"$ref": "#/definitions/b"}]}},
    "definitions": {"a": {"type": "integer"}, "b": {"type": "number"}}}', '/id', description => 'it happened')
WHERE rule LIKE 'policy%' AND rule NOT IN ('policy bounded', 'policy described', 'policy owned');
-- So does a reserved term's check.
RESET ROLE;
SELECT mesh_outbox.reserve_term('street');
SET ROLE regress_sales;
SELECT rule, path, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'Sent', '{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
    "required": ["id"], "properties": {"id": {"type": "string"}, "street": {"$ref": "#/definitions/name"}, "other": {"$ref": "#/definitions/short"}},
    "definitions": {"name": {"type": "string"}, "short": {"properties": {"street": {"$ref": "#/definitions/x"}}}, "x": {"type": "string", "maxLength": 8}}}',
    '/id', description => 'it happened') WHERE rule = 'term';

-- However long the names, and however many.
SET client_min_messages = warning;
SELECT pg_temp.act('Long', format('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "%s": {}}}',
    (SELECT string_agg(md5(i::text), '-') FROM generate_series(1, 200) i))::json);
SELECT pg_temp.act('Wide', (SELECT json_build_object('type', 'object', 'required', '["id"]'::json, 'properties',
    json_object_agg(CASE i WHEN 1 THEN 'id' ELSE md5(i::text) || md5(i::text) END, '{"type": "string"}'::json)) FROM generate_series(1, 9000) i));
SELECT pg_temp.act('Tree', '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "root": {"$ref": "#/$defs/node"}},
    "$defs": {"node": {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}, "b": {"$ref": "#/$defs/node"}, "c": {"$ref": "#/$defs/node"},
                                                        "d": {"$ref": "#/$defs/node"}, "e": {"type": "string"}}}}}');

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP FUNCTION pg_temp.act(text, json);
DROP ROLE regress_sales;
