-- Content within strings: annotated by default, checked where a contract asks
-- for it.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE SCHEMA content;
\o /dev/null
SELECT mesh_outbox.create_domain('content', owner => current_user, description => 'tests');
SELECT mesh_outbox.create_product('content.letters', purpose => 'tests');
\o
CREATE FUNCTION content.schema(asserted boolean, field text DEFAULT 'a') RETURNS json LANGUAGE sql AS $$
    SELECT json_build_object(
        'type', 'object', 'required', json_build_array('id'), 'x-assert-content', asserted,
        'properties', json_build_object(
            'id', json_build_object('type', 'integer'),
            'scan', json_build_object(
                'type', 'string', 'contentEncoding', 'base64', 'contentMediaType', 'application/json',
                'contentSchema', json_build_object('required', json_build_array(field),
                                                   'properties', json_build_object(field, json_build_object('type', 'integer'))))))
$$;

-- The schema says so, so it is the same wherever the schema goes.
SELECT is_valid FROM mesh_outbox.is_valid('{"contentEncoding": "base64"}', '"?"');
SELECT is_valid FROM mesh_outbox.is_valid('{"contentEncoding": "base64", "x-assert-content": true}', '"?"');
SELECT schema_pointer, message, hint FROM mesh_outbox.check_schema('{"x-assert-content": "yes"}');
SELECT schema_pointer, message, hint FROM mesh_outbox.check_schema('{"x-assert-content": true, "properties": {
    "a": {"x-assert-content": true}, "b": {"contentEncoding": "quoted-printable"}}}', contract => true);

\o /dev/null
SELECT mesh_outbox.propose_contract('content.letters', 'Scanned', key => '/id', description => 'a letter was scanned', schema => content.schema(true));
SELECT mesh_outbox.activate_contract('content.letters', 'Scanned', '1.0.0');
SELECT mesh_outbox.create_outbox('content.outbox', product => 'content.letters');
\o
PREPARE scan(text) AS
    INSERT INTO content.outbox (event_type, payload) VALUES ('Scanned', jsonb_build_object('id', 1, 'scan', $1));
EXECUTE scan('not base64');
EXECUTE scan(encode('{"a"', 'base64'));
EXECUTE scan(encode('\xff', 'base64'));
EXECUTE scan(encode('{"a": "x"}', 'base64'));
EXECUTE scan(encode('{"a": 1}', 'base64'));
-- what is within is read as its schema is written, not closed
EXECUTE scan(encode('{"a": 1, "b": 2}', 'base64'));
SELECT instance_pointer, keyword, message FROM mesh_outbox.validate('content.letters', 'Scanned',
    jsonb_build_object('id', 1, 'scan', encode('{"b": 1}', 'base64')));
SELECT item, value FROM mesh_outbox.explain_event('content.outbox', 'Scanned', '{"id": 1, "scan": "!"}') WHERE item = 'violation';

-- Compatibility: the same content is the same, of other content nothing is proved.
CREATE VIEW content.findings AS
    SELECT asserted, field, f.breaks, f.message
    FROM (VALUES (true, 'a'), (true, 'b'), (false, 'a')) v (asserted, field),
         mesh_outbox.check_contract('content.letters', 'Scanned', key => '/id', description => 'a letter was scanned', schema => content.schema(asserted, field)) f
    WHERE f.rule = 'compatibility' ORDER BY 1 DESC, 2, 3;
SELECT * FROM content.findings;

-- It goes with the contract's document.
SELECT v -> 'schema' -> 'x-assert-content' AS asserted
FROM mesh_outbox.export_contracts('content') d,
     jsonb_path_query(d::jsonb, '$.products[*].contracts[*]') v;

\o /dev/null
SELECT mesh_outbox.drop_outbox('content.outbox', lose_events => true);
SELECT mesh_outbox.retire_contract('content.letters', 'Scanned', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.drop_product('content.letters');
SELECT mesh_outbox.drop_domain('content');
\o
DROP VIEW content.findings;
DROP FUNCTION content.schema(boolean, text);
DROP SCHEMA content;
