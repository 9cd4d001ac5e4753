-- Rights: every function that changes something, tried by every kind of
-- role; and attempts to become more than one is.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_owner;
CREATE ROLE regress_member IN ROLE regress_owner;
CREATE ROLE regress_steward;
CREATE ROLE regress_other;
CREATE ROLE regress_producer;
CREATE ROLE regress_consumer;
CREATE ROLE regress_nobody;
CREATE SCHEMA sales AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA sales TO PUBLIC;
-- so that not even a table or schema of one's own helps
GRANT ALL ON SCHEMA sales TO regress_admin;
CREATE SCHEMA attack AUTHORIZATION regress_other;
GRANT USAGE ON SCHEMA attack TO PUBLIC;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_owner', description => 'sales', steward => 'regress_steward');
SELECT mesh_outbox.create_domain('other', owner => 'regress_other', description => 'other');
SELECT mesh_outbox.create_domain('reading', owner => 'regress_consumer', description => 'a consumer, and no more');
SELECT mesh_outbox.create_domain('empty', owner => 'regress_owner', description => 'empty');
SELECT mesh_outbox.create_publisher('main', brokers => 'localhost:1', paused => true);
SELECT mesh_outbox.create_publisher('unused', brokers => 'localhost:1', paused => true);
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.create_product('other.mine', purpose => 'theirs');
SELECT mesh_outbox.create_term('word', '{"type": "string"}', domain => 'sales', description => 'x');
SELECT mesh_outbox.create_product('sales.empty', purpose => 'nothing yet');
SELECT mesh_outbox.assign_duty('informed', 'x', product => 'sales.orders');
SELECT mesh_outbox.grant_consume('sales.orders', 'other');
SELECT mesh_outbox.request_access('sales.orders', reason => 'x', consumer => 'empty');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id',
    description => 'a customer placed an order', schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.register_consumer('other', 'sales.orders', NULL, contact => 'x');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id',
    description => 'a customer placed an order', schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.register_consumer('reading', 'sales.orders', 'OrderPlaced', contact => 'y');
SELECT mesh_outbox.object('other', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'none');
SELECT mesh_outbox.override_objection('other', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'none');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders', publisher => 'main');
SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL);
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_producer');
INSERT INTO mesh_outbox.dead_letter (publisher_id, branch, commit_lsn, ordinal, xid, commit_time, outbox_id, reason, detail)
SELECT p.publisher_id, '', '0/1', 0, '1', now(), o.outbox_id, 'x', 'x'
FROM mesh_outbox.publisher p, mesh_outbox.outbox o WHERE p.name = 'main' AND o.relation = 'sales.outbox'::regclass;
SET ROLE regress_owner;
CREATE TABLE sales.plain (event_type text, payload jsonb);
CREATE TABLE sales.parted (event_type text, payload jsonb, created_at timestamptz) PARTITION BY RANGE (created_at);
CREATE TABLE sales.parted_old PARTITION OF sales.parted FOR VALUES FROM ('2010-01-01') TO ('2011-01-01');
SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders', publisher => 'main');
RESET ROLE;
-- a policy of the domain alone; the steward's function
CREATE SCHEMA rules AUTHORIZATION regress_steward;
CREATE FUNCTION rules.none(contract jsonb) RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql IMMUTABLE AS 'SELECT ''error'', NULL, NULL WHERE false';
ALTER FUNCTION rules.none OWNER TO regress_steward;
SELECT mesh_outbox.create_policy('of_sales', 'rules.none', description => 'x', scope => 'sales');

-- ---------------------------------------------------------------------
-- The matrix.  A new function without a row here fails the test.
-- ---------------------------------------------------------------------

CREATE TABLE attempt (no serial, function name, statement text);
INSERT INTO attempt (function, statement) VALUES
    ('create_domain', $$mesh_outbox.create_domain('new', owner => 'regress_other', description => 'x')$$),
    ('alter_domain', $$mesh_outbox.alter_domain('sales', description => 'x')$$),
    ('alter_domain', $$mesh_outbox.alter_domain('sales', owner => 'regress_other')$$),
    ('alter_domain', $$mesh_outbox.alter_domain('sales', steward => 'regress_other')$$),
    ('drop_domain', $$mesh_outbox.drop_domain('empty')$$),
    ('create_product', $$mesh_outbox.create_product('sales.new', purpose => 'x')$$),
    ('alter_product', $$mesh_outbox.alter_product('sales.orders', purpose => 'x')$$),
    ('drop_product', $$mesh_outbox.drop_product('sales.empty')$$),
    ('assign_duty', $$mesh_outbox.assign_duty('accountable', 'x', product => 'sales.orders')$$),
    ('release_duty', $$mesh_outbox.release_duty('informed', 'x', product => 'sales.orders')$$),
    ('hand_over', $$mesh_outbox.hand_over('x', 'y', reason => 'x')$$),
    ('set_co_owners', $$mesh_outbox.set_co_owners('sales.empty', '{other}')$$),
    ('approve_contract', $$mesh_outbox.approve_contract('sales.orders', 'OrderPlaced', '1.1.0', 'other')$$),
    ('set_inputs', $$mesh_outbox.set_inputs('sales.empty', '{other.mine}')$$),
    ('set_product_status', $$mesh_outbox.set_product_status('sales.empty', 'retired')$$),
    ('set_review', $$mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => current_date + 1)$$),
    ('register_schema', $$mesh_outbox.register_schema('https://example.org/s', '{}')$$),
    ('unregister_schema', $$mesh_outbox.unregister_schema('https://example.org/none')$$),
    ('propose_contract', $$mesh_outbox.propose_contract('sales.orders', 'New', key => '/id',
        description => 'something new happened', schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}')$$),
    ('register_consumer', $$mesh_outbox.register_consumer('other', 'sales.orders', 'OrderPlaced', contact => 'x')$$),
    ('register_consumer', $$mesh_outbox.register_consumer('no login', 'sales.orders', NULL, contact => 'x')$$),
    ('register_consumer', $$mesh_outbox.register_consumer('sales', 'other.mine', NULL, contact => 'x')$$),
    ('register_consumer', $$mesh_outbox.register_consumer('reading', 'sales.orders', 'OrderPlaced', contact => 'x', needs => '{/id}')$$),
    ('unregister_consumer', $$mesh_outbox.unregister_consumer('other', 'sales.orders', NULL)$$),
    ('acknowledge', $$mesh_outbox.acknowledge('other', 'sales.orders', 'OrderPlaced', '1.1.0')$$),
    ('object', $$mesh_outbox.object('reading', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'x')$$),
    ('object', $$mesh_outbox.object('other', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'x')$$),
    ('override_objection', $$mesh_outbox.override_objection('other', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'x')$$),
    ('create_term', $$mesh_outbox.create_term('new', '{"type": "string"}', domain => 'sales', description => 'x')$$),
    ('create_term', $$mesh_outbox.create_term('new', '{"type": "string"}', domain => 'sales', description => 'x', reserved => true)$$),
    ('alter_term', $$mesh_outbox.alter_term('word', description => 'x')$$),
    ('create_term_type', $$mesh_outbox.create_term_type('word', 'sales.word')$$),
    ('map_term', $$mesh_outbox.map_term('word', 'sales.plain', 'event_type')$$),
    ('unmap_term', $$mesh_outbox.unmap_term('sales.plain', 'event_type')$$),
    ('deprecate_term', $$mesh_outbox.deprecate_term('word', advice => 'x')$$),
    ('reserve_term', $$mesh_outbox.reserve_term('word')$$),
    ('grant_term_exception', $$mesh_outbox.grant_term_exception('word', 'other.mine', reason => 'x', until => current_date + 1)$$),
    ('drop_term', $$mesh_outbox.drop_term('word')$$),
    ('create_policy', $$mesh_outbox.create_policy('new', 'attack.none', description => 'x')$$),
    ('create_policy', $$mesh_outbox.create_policy('new', 'attack.none', description => 'x', scope => 'sales')$$),
    ('set_policy', $$mesh_outbox.set_policy('described', 'active')$$),
    ('set_policy', $$mesh_outbox.set_policy('of_sales', 'suspended')$$),
    ('drop_policy', $$mesh_outbox.drop_policy('none')$$),
    ('drop_policy', $$mesh_outbox.drop_policy('of_sales')$$),
    ('policy_impact', $$mesh_outbox.policy_impact('described')$$),
    ('policy_impact', $$mesh_outbox.policy_impact('of_sales')$$),
    ('enable_governance_topic', $$mesh_outbox.enable_governance_topic()$$),
    ('trial_failures', $$mesh_outbox.trial_failures('sales.orders', 'OrderPlaced', '{}')$$),
    ('withdraw_proposal', $$mesh_outbox.withdraw_proposal('sales.orders', 'OrderPlaced', '1.1.0')$$),
    ('try_activate', $$mesh_outbox.try_activate('sales.orders', 'OrderPlaced', '1.1.0', false)$$),
    ('activate_contract', $$mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0')$$),
    ('revert_contract', $$mesh_outbox.revert_contract('sales.orders', 'OrderPlaced', '1.0.0', reason => 'x')$$),
    ('set_change_rules', $$mesh_outbox.set_change_rules('sales.orders', notice => '1 day')$$),
    ('set_change_rules', $$mesh_outbox.set_change_rules('sales.orders', sunset_notice => '1 day')$$),
    ('reach_sunsets', $$mesh_outbox.reach_sunsets()$$),
    ('record_verification', $$mesh_outbox.record_verification('other', 'sales.orders', 'OrderPlaced', '1.0.0', true)$$),
    ('set_verification', $$mesh_outbox.set_verification('other', 'sales.orders', NULL, true)$$),
    ('deprecate_contract', $$mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0')$$),
    ('deprecate_contract', $$mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0', sunset => now())$$),
    ('postpone_sunset', $$mesh_outbox.postpone_sunset('sales.orders', 'OrderPlaced', '1.0.0', sunset => 'infinity', reason => 'x')$$),
    ('retire_contract', $$mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0', force_reason => 'x')$$),
    ('set_enforcement', $$mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'observe', 'x')$$),
    ('register_conversion', $$mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.convert')$$),
    ('convert_for', $$mesh_outbox.convert_for('sales.outbox', 1, '{}')$$),
    ('drop_conversion', $$mesh_outbox.drop_conversion('sales.orders', 'OrderPlaced', 2, 1)$$),
    ('observe_only', $$mesh_outbox.observe_only('x', product => 'sales.orders')$$),
    ('observe_only', $$mesh_outbox.observe_only('x')$$),
    ('cap_enforcement', $$mesh_outbox.cap_enforcement('observe', 'x')$$),
    ('is_enforce_safe', $$mesh_outbox.is_enforce_safe('sales.orders', 'OrderPlaced', '1.0.0')$$),
    ('create_outbox', $$mesh_outbox.create_outbox('sales.second', product => 'sales.orders')$$),
    ('attach_outbox', $$mesh_outbox.attach_outbox('sales.plain', product => 'sales.orders')$$),
    ('create_outbox_partition', $$mesh_outbox.create_outbox_partition('sales.parted', 'sales.p1', '2020-01-01', '2021-01-01')$$),
    ('set_outbox_publisher', $$mesh_outbox.set_outbox_publisher('sales.outbox', 'main')$$),
    ('set_pinned_major', $$mesh_outbox.set_pinned_major('sales.outbox', 'OrderPlaced', 1)$$),
    ('detach_outbox', $$mesh_outbox.detach_outbox('sales.outbox')$$),
    ('drop_outbox_partition', $$mesh_outbox.drop_outbox_partition('sales.parted_old')$$),
    ('drop_outbox', $$mesh_outbox.drop_outbox('sales.outbox')$$),
    ('purge_events', $$mesh_outbox.purge_events('sales.parted', '1 day')$$),
    ('grant_publish', $$mesh_outbox.grant_publish('sales.orders', 'regress_other')$$),
    ('revoke_publish', $$mesh_outbox.revoke_publish('sales.orders', 'regress_producer')$$),
    ('grant_consume', $$mesh_outbox.grant_consume('sales.orders', 'other')$$),
    ('revoke_consume', $$mesh_outbox.revoke_consume('sales.orders', 'other')$$),
    ('request_access', $$mesh_outbox.request_access('sales.orders', reason => 'x', consumer => 'other')$$),
    ('request_access', $$mesh_outbox.request_access('sales.orders', reason => 'x')$$),
    ('approve_access', $$mesh_outbox.approve_access(1)$$),
    ('decline_access', $$mesh_outbox.decline_access(1, reason => 'x')$$),
    ('expire_access', $$mesh_outbox.expire_access()$$),
    ('run_due', $$mesh_outbox.run_due()$$),
    ('import_contracts', $$mesh_outbox.import_contracts('{"mesh_outbox": 1, "domain": {"name": "sales", "description": "y"}}')$$),
    ('import_external', $$mesh_outbox.import_external('{"mesh_outbox": 1, "domain": {"name": "far", "description": "y"}}', 'x')$$),
    ('create_publisher', $$mesh_outbox.create_publisher('new', brokers => 'localhost:1', paused => true)$$),
    ('alter_publisher', $$mesh_outbox.alter_publisher('main', brokers => 'localhost:2')$$),
    ('drop_publisher', $$mesh_outbox.drop_publisher('unused')$$),
    ('read_dead_letters', $$mesh_outbox.read_dead_letters('{1}')$$),
    ('retry_dead_letters', $$mesh_outbox.retry_dead_letters('{1}')$$),
    ('discard_dead_letters', $$mesh_outbox.discard_dead_letters('{1}', reason => 'x')$$),
    ('pause_publisher', $$mesh_outbox.pause_publisher('main', reason => 'x')$$),
    ('resume_publisher', $$mesh_outbox.resume_publisher('main')$$);

SELECT p.oid::regprocedure AS function_without_a_row
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'mesh_outbox'::regnamespace AND p.provolatile = 'v'
  AND p.prorettype <> 'trigger'::regtype AND p.prokind = 'f'
  AND has_function_privilege('regress_nobody', p.oid, 'EXECUTE')
  AND p.proname NOT IN (SELECT function FROM attempt)
  AND p.proname NOT IN ('watch_publishers', 'wait_published', 'wait_ready', 'violation_counters', 'violated_places', 'watch_refusals', 'doctor', 'maturity')  -- they change nothing
ORDER BY p.proname;

-- ok, denied, or the condition that came first; each try is rolled back.
CREATE FUNCTION outcome(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE 'SELECT ' || statement;
    RAISE EXCEPTION USING ERRCODE = 'ZZ001';
EXCEPTION
    WHEN SQLSTATE 'ZZ001' THEN RETURN 'ok';
    WHEN insufficient_privilege THEN RETURN '-';
    WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
\pset footer off
SELECT a.function,
       outcome(session_user, statement) AS superuser, outcome('regress_admin', statement) AS admin,
       outcome('regress_steward', statement) AS steward,
       outcome('regress_owner', statement) AS owner, outcome('regress_member', statement) AS member,
       outcome('regress_other', statement) AS other, outcome('regress_producer', statement) AS producer,
       outcome('regress_consumer', statement) AS consumer, outcome('regress_nobody', statement) AS nobody
FROM attempt a ORDER BY a.no;
\pset footer on

-- Every function that acts with other rights than its caller's has its
-- search_path pinned, and nothing of ours is writable or readable directly
-- but registered schemas, which every session may have to load.
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'mesh_outbox'::regnamespace
  AND (p.prosecdef OR l.lanname = 'mesh_outbox_plpgsql')
  AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);
SELECT c.oid::regclass FROM pg_class c
WHERE c.relnamespace = 'mesh_outbox'::regnamespace AND c.relkind IN ('r', 'S', 'v')
  AND (has_table_privilege('regress_nobody', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       OR c.relkind = 'r' AND has_table_privilege('regress_nobody', c.oid, 'SELECT'));
SELECT count(*) AS without_comment FROM pg_proc p
WHERE p.pronamespace = 'mesh_outbox'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass AS without_comment FROM pg_class c
WHERE c.relnamespace = 'mesh_outbox'::regnamespace AND c.relkind IN ('r', 'v')
  AND obj_description(c.oid, 'pg_class') IS NULL;

-- ---------------------------------------------------------------------
-- Attempts
-- ---------------------------------------------------------------------

-- A SECURITY DEFINER function of mine, called by an administrator: it is I
-- who ask.
SET ROLE regress_other;
CREATE FUNCTION attack.innocent() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM mesh_outbox.create_domain('taken', owner => 'regress_other', description => 'x');
    RETURN 'done';
END
$$;
CREATE FUNCTION attack.who() RETURNS regrole LANGUAGE sql SECURITY DEFINER AS 'SELECT mesh_outbox.caller()';
SET ROLE regress_admin;
SELECT attack.innocent();
SELECT attack.who();

-- The trigger of a foreign key's cascade.
CREATE TABLE sales.parent (id int PRIMARY KEY);
GRANT REFERENCES, SELECT ON sales.parent TO regress_other;
INSERT INTO sales.parent VALUES (1);
SET ROLE regress_other;
CREATE TABLE attack.child (id int REFERENCES sales.parent ON DELETE CASCADE);
INSERT INTO attack.child VALUES (1);
CREATE FUNCTION attack.cascaded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mesh_outbox.create_domain('taken', owner => 'regress_other', description => 'x');
    RETURN OLD;
END
$$;
CREATE TRIGGER cascaded BEFORE DELETE ON attack.child FOR EACH ROW EXECUTE FUNCTION attack.cascaded();
SET ROLE regress_admin;
DELETE FROM sales.parent;

-- Objects of mine that shadow what the functions use.
SET ROLE regress_other;
CREATE TEMP TABLE pg_roles (oid oid, rolname name);
INSERT INTO pg_temp.pg_roles SELECT oid, rolname FROM pg_catalog.pg_roles;
CREATE FUNCTION attack.pg_has_role(oid, name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION attack.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT ''ALTER ROLE regress_other SUPERUSER''';
CREATE FUNCTION attack.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR attack.= (LEFTARG = text, RIGHTARG = text, FUNCTION = attack.always);
SET search_path = attack, pg_temp, mesh_outbox, pg_catalog;
SELECT mesh_outbox.create_domain('taken', owner => 'regress_other', description => 'x');
SELECT mesh_outbox.create_product('sales.taken', purpose => 'x');
SELECT mesh_outbox.drop_outbox('sales.outbox');
SELECT mesh_outbox.create_product('other.more', purpose => 'x');
RESET search_path;
SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'regress_other';
DROP TABLE pg_temp.pg_roles;

-- My own function in the language, my own trigger with the check function,
-- an outbox's row behind its back.
CREATE FUNCTION attack.mine() RETURNS void LANGUAGE mesh_outbox_plpgsql AS 'BEGIN END';
CREATE TABLE attack.fake (event_type text, payload jsonb);
CREATE TRIGGER mesh_outbox_check BEFORE INSERT ON attack.fake FOR EACH ROW EXECUTE FUNCTION mesh_outbox.check_event('1', '1');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
SELECT * FROM sales.outbox;
SELECT mesh_outbox.require_domain('sales', 'x');
SELECT mesh_outbox.take_over('attack.fake', 'other');
SELECT mesh_outbox.register_outbox('attack.fake', NULL, NULL, '{}', false);

-- An outbox of mine for a product of theirs, or of theirs for mine.
SELECT mesh_outbox.attach_outbox('attack.fake', product => 'sales.orders');
SELECT mesh_outbox.attach_outbox('sales.plain', product => 'other.mine');

-- A producer inserts, and that is all.
SET ROLE regress_producer;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
SELECT * FROM sales.outbox;
UPDATE sales.outbox SET payload = '{}';

RESET ROLE;
DROP EXTENSION mesh_outbox CASCADE;
DROP FUNCTION outcome;
DROP TABLE attempt;
DROP SCHEMA sales, attack, rules CASCADE;
DROP ROLE regress_admin, regress_member, regress_owner, regress_steward, regress_consumer, regress_other, regress_producer, regress_nobody;
