-- Policies: SQL functions that say what is wrong with a proposal, in trial
-- until somebody decides, and with no more rights than their owner.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_sales;
CREATE ROLE regress_author;
CREATE SCHEMA rules AUTHORIZATION regress_author;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SELECT name, state, scope, function FROM mesh_outbox.policies ORDER BY name;

-- The shipped ones report.
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT severity, rule, path, message FROM mesh_outbox.check_contract('sales.orders', 'order_placed', key => '/id', description => 'x',
    schema => '{"type": "object", "properties": {"id": {"type": "integer", "description": "number of the order"},
        "total": {"type": "number", "x-money": true, "description": "with tax"},
        "eMail": {"type": "string", "description": "of the customer"},
        "placed_at": {"type": "integer", "description": "seconds"},
        "lines": {"type": "array", "description": "what", "items": {"type": "object"}}}, "required": ["id"]}');
SELECT mesh_outbox.assign_duty('accountable', 'sales@example.org', domain => 'sales');
SELECT mesh_outbox.alter_product('sales.orders', latency => '5 s', retention => '30 days');
SELECT count(*) AS all_is_well FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody placed an order',
    schema => '{"type": "object", "properties": {"id": {"type": "integer", "description": "number of the order"},
        "total": {"type": "string", "pattern": "^[0-9]+[.][0-9]{2}$", "x-money": true, "description": "with tax"},
        "email": {"type": "string", "maxLength": 200, "x-privacy": "personal", "description": "of the customer"},
        "placed_at": {"type": "string", "format": "date-time", "description": "when"}}, "required": ["id"]}');

-- Alternatives that overlap, an identifier that is no term, a topic of another name.
SELECT severity, rule, path, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPaid', key => '/order_id', topic => 'paid',
    description => 'somebody paid an order',
    schema => '{"type": "object", "properties": {"order_id": {"type": "integer", "description": "number of the order"},
        "customer_id": {"type": "integer", "description": "who"},
        "by": {"description": "means", "oneOf": [{"type": "integer", "maximum": 5}, {"type": "integer", "minimum": 5}, {"type": "string"}]}},
        "required": ["order_id"]}');

-- Active, one refuses.
SELECT mesh_outbox.set_policy('money_is_exact', 'active');
SET ROLE regress_admin;
SELECT mesh_outbox.set_policy('money_is_exact', 'strict');
SELECT mesh_outbox.set_policy('nothing', 'active');
SELECT mesh_outbox.set_policy('money_is_exact', 'active');
SELECT mesh_outbox.set_policy('described', 'suspended');
SELECT mesh_outbox.set_policy('names', 'suspended');
SELECT mesh_outbox.drop_policy('names');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody placed an order',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "total": {"type": "number", "x-money": true}}, "required": ["id"]}');

-- One's own: what it may see and do is what its owner may.
SET ROLE regress_author;
CREATE FUNCTION rules.has_total(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE sql AS $$SELECT 'error', '/total', 'an order has a total' WHERE NOT contract #> '{schema,properties}' ? 'total'$$;
CREATE FUNCTION rules.nosy(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE sql AS $$SELECT 'error', NULL, 'runs as ' || current_user$$;
CREATE FUNCTION rules.reads(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE plpgsql AS $$BEGIN RETURN QUERY SELECT 'error', '', rolpassword FROM pg_authid; END$$;
CREATE FUNCTION rules.writes(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE plpgsql AS $$BEGIN PERFORM rules.write(); END$$;
CREATE TABLE rules.t (i int);
CREATE FUNCTION rules.write() RETURNS void VOLATILE LANGUAGE sql AS 'INSERT INTO rules.t VALUES (1)';
CREATE FUNCTION rules.becomes(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('role', 'regress_admin', false); RETURN QUERY SELECT 'error', '', current_user::text; END$$;
CREATE FUNCTION rules.sets(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('work_mem', '1GB', false); END$$;
CREATE FUNCTION rules.sleeps(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(600); END$$;
CREATE FUNCTION rules.volatile(contract jsonb) RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql AS $$SELECT 'error', '', 'x'$$;
SELECT mesh_outbox.create_policy('has_total', 'rules.has_total', description => 'orders have totals');
SET ROLE regress_admin;
SELECT mesh_outbox.create_policy('has_total', 'rules.has_total', description => 'orders have totals', scope => 'sales.orders');
SELECT mesh_outbox.create_policy('elsewhere', 'rules.has_total', description => 'not here', scope => 'nowhere');
SELECT mesh_outbox.create_policy('none', 'rules.none', description => 'no such function');
SELECT mesh_outbox.create_policy('volatile', 'rules.volatile', description => 'volatile');
SELECT mesh_outbox.create_policy(n, 'rules.' || n, description => n)
FROM unnest('{nosy,reads,writes,becomes,sets}'::text[]) n;
SET ROLE regress_sales;
SELECT severity, rule, message FROM mesh_outbox.check_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody placed an order',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT current_user, current_setting('work_mem') <> '1GB' AS setting_kept;

-- An active policy that fails refuses; an administrator suspends it in one call.
SET ROLE regress_admin;
SELECT mesh_outbox.drop_policy(n) FROM unnest('{nosy,reads,writes,becomes,sets}'::text[]) n;
SELECT mesh_outbox.create_policy('sleeps', 'rules.sleeps', description => 'takes its time');
SELECT mesh_outbox.set_policy('sleeps', 'active');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody placed an order',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SET ROLE regress_admin;
SELECT mesh_outbox.set_policy('sleeps', 'suspended');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody placed an order',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT severity, rule, message FROM mesh_outbox.findings;

-- One in trial that fails is suspended by the next proposal.
SET ROLE regress_author;
CREATE FUNCTION rules.breaks(contract jsonb) RETURNS TABLE (severity text, path text, message text) STABLE
    LANGUAGE sql AS $$SELECT 'error', NULL, (1 / (length($1::text) - length($1::text)))::text$$;
SET ROLE regress_admin;
SELECT mesh_outbox.create_policy('breaks', 'rules.breaks', description => 'divides by nothing');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderSent', key => '/id', description => 'the parcel has left', topic => 'sales.orders',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "sent": {"const": true}}, "required": ["id"]}');
SELECT rule, message FROM mesh_outbox.findings WHERE rule = 'policy breaks';
SELECT name, state FROM mesh_outbox.policies WHERE name = 'breaks';

-- Another function, another version, and another trial.
SET ROLE regress_admin;
SELECT mesh_outbox.set_policy('has_total', 'active');
SELECT mesh_outbox.create_policy('has_total', 'rules.has_total', description => 'orders have totals, all of them', scope => 'sales');
SELECT mesh_outbox.create_policy('names', 'rules.has_total', description => 'mine');
SELECT name, version, state, scope, description FROM mesh_outbox.policies WHERE name = 'has_total';
SET ROLE regress_sales;

-- What it would refuse today.
SELECT * FROM mesh_outbox.policy_impact('has_total');
SET ROLE regress_admin;
SELECT * FROM mesh_outbox.policy_impact('has_total');

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
SET client_min_messages = warning;
DROP SCHEMA rules CASCADE;
DROP ROLE regress_admin, regress_sales, regress_author;
