-- A proposal is tried on the events that are stored, and compared with the
-- other event types of its topic.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT count(mesh_outbox.set_policy(name, 'suspended')) > 0 AS policies FROM mesh_outbox.policies;
CREATE ROLE regress_sales;
CREATE ROLE regress_other;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'placed',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "sum": {"type": "integer"},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
CREATE TABLE sales.parted (what text, body jsonb, created_at timestamptz DEFAULT now()) PARTITION BY RANGE (created_at);
CREATE TABLE sales.parted_old PARTITION OF sales.parted FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE sales.parted_new PARTITION OF sales.parted FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders', columns => '{"event_type": "what", "payload": "body"}');
SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', contact => 'invoices', needs => '{/id}', reads => '{/sum}');
INSERT INTO sales.outbox (event_type, payload)
SELECT 'OrderPlaced', jsonb_build_object('id', i, 'sum', i) FROM generate_series(1, 2000) i;
INSERT INTO sales.parted (what, body, created_at) VALUES ('OrderPlaced', '{"id": 1, "sum": -1}', '2019-01-01');
INSERT INTO sales.parted (what, body) VALUES ('OrderPlaced', '{"id": 2, "sum": -1}');
RESET client_min_messages;

-- The trial says how often, beside what is proved.
SELECT severity, rule, path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id',
    description => 'placed', compatibility => 'BACKWARD',
    schema => '{"type": "object", "properties": {"id": {"type": "integer", "maximum": 1990}, "sum": {"type": "integer", "minimum": 0},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}}}, "required": ["id"]}');
-- Which events, is for the owner.
SELECT outbox, path, rule FROM mesh_outbox.trial_failures('sales.orders', 'OrderPlaced',
    '{"type": "object", "properties": {"id": {"type": "integer", "maximum": 1999}, "sum": {"type": "integer", "minimum": 0}}}');
SELECT count(*) FROM mesh_outbox.trial_failures('sales.orders', 'OrderPlaced',
    '{"type": "object", "properties": {"id": {"type": "integer", "maximum": 1999}}}', open => true) f
JOIN sales.outbox o USING (event_id);
SET ROLE regress_other;
SELECT * FROM mesh_outbox.trial_failures('sales.orders', 'OrderPlaced', '{"properties": {"sum": {"const": 7}}}');
SELECT rule, message, hint FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'placed',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "sum": {"const": 7},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}}}, "required": ["id"]}')
WHERE rule = 'trial';

-- Events that passed only because the contract was observed: what would
-- refuse them is known before it does.  Names that are data are not shown.
SET ROLE regress_sales;
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'observe', 'roll-out');
INSERT INTO sales.outbox (event_type, payload) VALUES
    ('OrderPlaced', '{"id": 3, "sum": "7"}'), ('OrderPlaced', '{"id": 4, "tags": {"me@example.org": 5}}'),
    ('OrderPlaced', '{"id": 5, "you@example.org": true}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'with a note',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "sum": {"type": "integer"}, "note": {"type": "string"},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}}}, "required": ["id"]}');
SELECT version, severity, rule, path, breaks, message, hint FROM mesh_outbox.findings;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0', producers_ready => true);
-- From now on they are history.
SELECT path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'with a note',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "sum": {"type": "integer"}, "note": {"type": "string"},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}}}, "required": ["id"]}');

-- Not the payload alone is tried: all that would have an INSERT refused.  What
-- the producer gave beside the payload, he will give again.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/id', description => 'paid', topic => 'sales.paid',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '1.0.0');
INSERT INTO sales.outbox (event_type, payload, headers, event_time) VALUES
    ('OrderPaid', '{"id": 1, "at": "2020-01-01T00:00:00Z"}', '{"trace": "x"}', NULL),
    ('OrderPaid', '{"id": 2, "at": "yesterday"}', NULL, NULL),
    ('OrderPaid', '{"id": 3}', NULL, '2020-01-01'),
    ('OrderPaid', '{"id": 12}', '{"trace": "y"}', NULL);
SELECT path, breaks, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPaid', key => '/id', description => 'paid', topic => 'sales.paid',
    compatibility => 'NONE', event_time => '/at', max_lateness => '1 day', key_schema => '{"type": "string", "maxLength": 1}',
    headers => '{"type": "object", "properties": {"trace": {"type": "string"}}, "required": ["trace"]}',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id"]}') WHERE rule = 'trial';
-- What the contract itself takes less strictly is no failure, or another one.
SELECT path, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPaid', key => '/at', description => 'paid', topic => 'sales.paid',
    compatibility => 'NONE', headers => '{"type": "object", "properties": {"trace": {"type": "string"}}, "required": ["trace"]}',
    anomalies => '[{"path": "", "rule": "headers", "action": "observe"}, {"path": "/at", "rule": "key", "action": "quarantine"}]',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id"]}') WHERE rule = 'trial';
SELECT o.payload, f.path, f.rule FROM mesh_outbox.trial_failures('sales.orders', 'OrderPaid',
    '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}}', event_time => '/at', max_lateness => '1 day',
    headers => '{"type": "object", "properties": {"trace": {"type": "string"}}, "required": ["trace"]}', key_schema => '{"type": "string", "maxLength": 1}') f
JOIN sales.outbox o USING (event_id) ORDER BY o.payload ->> 'id', f.rule;

-- Events of a table that has seen another catalog's contracts count as well.
CREATE TABLE sales.restored (LIKE sales.outbox INCLUDING DEFAULTS, PRIMARY KEY (event_id));
INSERT INTO sales.restored (event_id, event_type, major_version, payload, event_time, contract_id, created_at)
VALUES ('0190b5a0-0000-7000-8000-000000000000', 'OrderPaid', 1, '{"id": 45}', '2020-01-01', 1234567, '2020-01-02');
SELECT mesh_outbox.attach_outbox('sales.restored', product => 'sales.orders');
SELECT path, rule FROM mesh_outbox.trial_failures('sales.orders', 'OrderPaid', '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}}',
    event_time => '/at', max_lateness => '1 hour') WHERE outbox = 'sales.restored'::regclass;
SELECT mesh_outbox.detach_outbox('sales.restored');

-- Once such a version is in force, dead letters are tried by the same rules:
-- as they would be inserted today, their age apart.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPaid', key => '/id', description => 'paid', topic => 'sales.paid',
    compatibility => 'NONE', event_time => '/at', max_lateness => '1 day', key_schema => '{"type": "string", "maxLength": 1}',
    headers => '{"type": "object", "properties": {"trace": {"type": "string"}}, "required": ["trace"]}', anomalies => '[{"path": "/at", "rule": "lateness", "action": "observe"}]',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPaid', '1.1.0', producers_ready => true);
RESET ROLE;
CREATE VIEW sales.obstacles AS
SELECT o.payload, mesh_outbox.retry_obstacle(jsonb_populate_record(NULL::mesh_outbox.control_event, to_jsonb(o)
           || jsonb_build_object('publisher_id', 1, 'contract_id', c.contract_id))) AS obstacle
FROM sales.outbox o, mesh_outbox.contracts c
WHERE o.event_type = 'OrderPaid' AND (c.event_type, c.in_force) = ('OrderPaid', true) ORDER BY o.payload ->> 'id';
SELECT * FROM sales.obstacles;
SET ROLE regress_sales;
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPaid', '1.1.0', 'observe', 'for now');
RESET ROLE;
SELECT * FROM sales.obstacles;
DROP VIEW sales.obstacles;
SET ROLE regress_sales;

-- How many, and how long.
SELECT mesh_outbox.set_change_rules('sales.orders', trial_events => 40);
SELECT message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'with a note', compatibility => 'NONE',
    schema => '{"type": "object", "properties": {"id": {"type": "string"}, "sum": true, "note": {"type": "string"},
                "tags": {"type": "object"}}, "required": ["id"]}', open => true) WHERE rule = 'trial' AND breaks = 'events stored under earlier versions';
SELECT mesh_outbox.set_change_rules('sales.orders', trial_time => '0');
SELECT count(*) FROM mesh_outbox.trial_failures('sales.orders', 'OrderPlaced', 'false');
SELECT mesh_outbox.set_change_rules('sales.orders', trial_time => '1 hour', trial_events => 0);
SELECT count(*) FROM mesh_outbox.trial_failures('sales.orders', 'OrderPlaced', 'false');

-- Another event type of the topic must not look the same.
SELECT severity, rule, breaks, message, counterexample, hint
FROM mesh_outbox.check_contract('sales.orders', 'OrderCancelled', key => '/id', description => 'cancelled',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.register_consumer('archive', 'sales.orders', NULL, contact => 'archive@example.org');
SELECT breaks FROM mesh_outbox.check_contract('sales.orders', 'OrderCancelled', key => '/id', description => 'cancelled',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT * FROM mesh_outbox.check_contract('sales.orders', 'OrderCancelled', key => '/id', description => 'cancelled',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "kind": {"const": "cancelled"}}, "required": ["id", "kind"]}');
SELECT * FROM mesh_outbox.check_contract('sales.orders', 'OrderCancelled', key => '/id', description => 'cancelled', topic => 'elsewhere',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');

-- Who had events read is on record.
RESET ROLE;
SELECT actor, action, new_values - 'version' AS what, count(*) FROM mesh_outbox.audit_log WHERE object = 'stored events' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
RESET ROLE;
SET client_min_messages = warning;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP OWNED BY regress_sales;
DROP ROLE regress_sales, regress_other;
