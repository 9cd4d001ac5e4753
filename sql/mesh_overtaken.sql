-- A proposal is checked against what is in force when it comes into force, not
-- only when it was made; and what changes on the wire breaks consumers, too.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_sales;
\o /dev/null
SELECT count(mesh_outbox.set_policy(name, 'suspended')) FROM mesh_outbox.policies;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
\o
RESET client_min_messages;
CREATE FUNCTION pg_temp.propose(version text, discount text, required text DEFAULT '"id"', key text DEFAULT '/id') RETURNS text LANGUAGE sql
    RETURN mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', version => propose.version, key => key, description => 'a customer ordered',
        schema => format('{"type": "object", "required": [%s], "properties": {"id": {"type": "string"}, "no": {"type": "string"}%s}}',
                         required, ', "discount": ' || discount)::json);
SELECT pg_temp.propose('1.0.0', NULL);
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');

-- Each of them is compatible with 1.0.0; not with each other.
SELECT pg_temp.propose('1.1.0', '{"type": "string"}');
SELECT pg_temp.propose('1.2.0', '{"type": "integer"}');
SELECT pg_temp.propose('1.3.0', '{"type": "string", "maxLength": 9}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.2.0');
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderPlaced', '1.2.0');
SELECT pg_temp.propose('1.2.0', '{"type": "integer"}');

-- What it breaks by itself is an owner's decision, made when it was proposed.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', version => '1.4.0', key => '/no', description => 'a customer ordered',
    override_reason => 'nobody reads it', schema => '{"type": "object", "required": ["id", "no"], "properties": {"id": {"type": "string"}, "no": {"type": "string"}}}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.4.0');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.4.0', producers_ready => true);
SELECT version, status, in_force FROM mesh_outbox.contracts ORDER BY contract_id;

-- What a mode does not promise was promised to those who registered.
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', contact => 'invoices@example.org', needs => '{/id}');
SELECT severity, rule, breaks, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/no',
    description => 'a customer ordered', compatibility => 'NONE',
    schema => '{"type": "object", "required": ["no"], "properties": {"id": {"type": "string"}, "no": {"type": "string"}}}');
RESET ROLE;
SELECT old, array_agg(new) AS less FROM unnest('{NONE,BACKWARD,FORWARD_TRANSITIVE,FULL,FULL_TRANSITIVE}'::text[]) old,
    unnest('{NONE,BACKWARD,BACKWARD_TRANSITIVE,FORWARD,FORWARD_TRANSITIVE,FULL,FULL_TRANSITIVE}'::text[]) new
WHERE mesh_outbox.promises_less(new, old) GROUP BY old ORDER BY old;
SET ROLE regress_sales;

-- What was open may have been sent anything by any name.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderNoted', key => '/id', description => 'a customer remarked', open => true, topic => 'sales.notes',
    schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderNoted', '1.0.0');
SELECT severity, rule, path, breaks, message, counterexample FROM mesh_outbox.check_contract('sales.orders', 'OrderNoted', key => '/id', topic => 'sales.notes',
    description => 'a customer remarked', schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "stars": {"type": "integer"}}}');
SELECT direction, verdict, path FROM mesh_outbox.check_compatibility_versions(
    ARRAY['{"properties": {"a": {}}}', '{"properties": {"a": {}}}', '{"properties": {"a": {}}}']::jsonb[], '{"properties": {"a": {}, "b": {"type": "null"}}}',
    old_open => '{false,true}');
SELECT o.old_open, o.open, c.level, c.change FROM (VALUES (false, false), (false, true), (true, false), (true, true)) o (old_open, open),
    mesh_outbox.contract_changes('{"properties": {"a": {"type": "string"}}}', '{"properties": {"b": {"type": "null"}}}', o.old_open, o.open) c;

-- A change of a term is a change like others: consumers have their notice.
SELECT mesh_outbox.create_term('amount', '{"type": "integer"}', domain => 'sales', description => 'in cents');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/id', description => 'a customer paid',
    schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "total": {"$ref": "term:amount"}}}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '1.0.0');
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPaid', contact => 'invoices@example.org', needs => '{/id}');
SELECT mesh_outbox.set_change_rules('sales.orders', notice => '7 days');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPaid', '1.0.0', 'enforce', reason => 'a beginning', percent_of_keys => 5);
SELECT * FROM mesh_outbox.alter_term('amount', '{"type": "integer", "description": "without tax"}');
SELECT version, notice_until > now() + interval '6 days' AS has_notice FROM mesh_outbox.notifications WHERE consumer = 'billing';
SELECT version, enforcement, rollout FROM mesh_outbox.contracts WHERE event_type = 'OrderPaid' ORDER BY version;
SELECT mesh_outbox.acknowledge('billing', 'sales.orders', 'OrderPaid', '1.1.0');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '1.1.0');
SELECT mesh_outbox.set_change_rules('sales.orders', notice => '0');

-- The wire belongs to the contract.
SELECT mesh_outbox.alter_product('sales.orders', content_mode => 'structured');
SELECT rule, breaks, message, hint FROM mesh_outbox.check_contract('sales.orders', 'OrderPaid', key => '/id', description => 'a customer paid',
    schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "total": {"$ref": "term:amount"}}}');
SELECT mesh_outbox.alter_product('sales.orders', content_mode => 'binary', header_set => 'minimal');
SELECT rule, breaks, message, hint FROM mesh_outbox.check_contract('sales.orders', 'OrderPaid', key => '/id', description => 'a customer paid',
    schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "total": {"$ref": "term:amount"}}}');
SELECT rule FROM mesh_outbox.check_contract('sales.orders', 'OrderPaid', version => '2.0.0', key => '/id', description => 'a customer paid',
    schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "total": {"$ref": "term:amount"}}}');
SELECT mesh_outbox.alter_product('sales.orders', header_set => 'full');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/id', description => 'a customer paid',
    schema => '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "total": {"$ref": "term:amount"}}}');
SELECT level, change FROM mesh_outbox.release_notes('sales.orders', 'OrderPaid') WHERE version = '1.2.0';

-- What the time of an event is, and what is personal in it.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderSent', key => '/id', description => 'a parcel left', event_time => '/at', topic => 'sales.sent',
    schema => '{"type": "object", "required": ["id", "at"], "properties": {"id": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
                "to": {"type": "string", "x-privacy": "personal"}, "by": {"type": "string", "x-privacy": "personal"}, "gone": {"type": "string", "x-privacy": "personal"}}}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderSent', '1.0.0');
SELECT severity, rule, path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderSent', key => '/id', description => 'a parcel left', topic => 'sales.sent',
    schema => '{"type": "object", "required": ["id", "at"], "properties": {"id": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
                "to": {"type": "string"}, "by": {"$ref": "#/$defs/who"}}, "$defs": {"who": {"type": "string", "x-privacy": "personal"}}}');

-- What no event could ever keep is no contract.
CREATE FUNCTION pg_temp.refusals(schema json, key text DEFAULT '/id', event_time text DEFAULT NULL, headers json DEFAULT NULL, key_schema json DEFAULT NULL)
    RETURNS TABLE (severity text, rule text, path text, message text) LANGUAGE sql
    BEGIN ATOMIC
        SELECT f.severity, f.rule, f.path, f.message
        FROM mesh_outbox.check_contract('sales.orders', 'OrderKept', schema, key, event_time => event_time, headers => headers, key_schema => key_schema,
                                        description => 'kept', topic => 'sales.kept') f;
    END;
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}', '/order_id');
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": ["object", "null"]}}}');
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": "array", "items": {"type": "string"}}}}', '/id/0');
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "at": {"type": "integer"}}}', event_time => '/at');
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}',
    headers => '{"type": "object", "required": ["hops"], "properties": {"hops": {"type": "integer"}}}');
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}', headers => '{"type": "object", "required": ["CE_id"], "properties": {"CE_id": {}}}');
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}', key_schema => '{"$ref": "#/$defs/k", "$defs": {"k": {"type": "integer"}}}');
SELECT * FROM pg_temp.refusals('{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "at": {"type": "string"}}}', event_time => '/at',
    headers => '{"$ref": "#/$defs/h", "$defs": {"h": {"required": ["tenant"], "properties": {"tenant": {}}}}}', key_schema => '{"$ref": "#/$defs/k", "$defs": {"k": {"maxLength": 9}}}');

RESET ROLE;
SET client_min_messages = warning;
DROP EXTENSION mesh_outbox CASCADE;
DROP ROLE regress_sales;
