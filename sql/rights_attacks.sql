-- Attacks of a domain's owner who may create what he likes in a schema of his
-- own, and of a producer: on others' payloads, and on rights he does not have.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_sales;
CREATE ROLE regress_other;
CREATE ROLE regress_app;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
CREATE SCHEMA attack AUTHORIZATION regress_other;
GRANT USAGE ON SCHEMA sales, attack TO PUBLIC;
\o /dev/null
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SELECT mesh_outbox.create_domain('other', owner => 'regress_other', description => 'other');
SELECT mesh_outbox.create_publisher('main', brokers => 'localhost:1', paused => true);
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'ordered',
    schema => '{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders', publisher => 'main');
SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL);
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_app');
INSERT INTO sales.outbox (event_id, event_type, payload)
VALUES ('00000000-0000-7000-8000-000000000001', 'OrderPlaced', '{"id": "secret"}');
RESET ROLE;
INSERT INTO mesh_outbox.dead_letter (publisher_id, branch, commit_lsn, ordinal, xid, commit_time, outbox_id, reason, detail, key, payload)
SELECT p.publisher_id, '', '0/1', n, '1', now(), o.outbox_id, 'too_large', 'secret', 'secret', 'secret'
FROM mesh_outbox.publisher p, mesh_outbox.outbox o, generate_series(1, 300) n;
ANALYZE mesh_outbox.dead_letter, sales.outbox;
\o

-- ---------------------------------------------------------------------
-- Prepared statements: whose rights count is decided when they run
-- ---------------------------------------------------------------------

SET plan_cache_mode = force_generic_plan;
SET ROLE regress_admin;
PREPARE letters AS SELECT count(*) FROM mesh_outbox.dead_letters;
PREPARE log AS SELECT count(*) > 0 AS recorded FROM mesh_outbox.audit_log;
PREPARE shown AS SELECT count(*) FROM mesh_outbox.publishers;
PREPARE new_domain AS SELECT mesh_outbox.create_domain('taken', owner => 'regress_other', description => 'x');
EXECUTE letters;
EXECUTE log;
EXECUTE shown;
SET ROLE regress_other;
EXECUTE letters;
EXECUTE log;
EXECUTE shown;
EXECUTE new_domain;
-- ... also inside of our functions, whose plans stay in the session
SELECT count(*) FROM mesh_outbox.doctor() WHERE object = 'outbox sales.outbox';
SET ROLE regress_admin;
SELECT count(*) FROM mesh_outbox.doctor() WHERE object = 'outbox sales.outbox' AND problem ~ 'dead letters';
SET ROLE regress_other;
SELECT count(*) FROM mesh_outbox.doctor() WHERE object = 'outbox sales.outbox';
-- ... and inside of a function of mine with my rights, planned for me, run by an administrator
CREATE FUNCTION attack.letters() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    RETURN (SELECT count(*) FROM mesh_outbox.dead_letters);
END
$$;
SELECT attack.letters();
SET ROLE regress_admin;
SELECT attack.letters();

-- A right that is withdrawn is withdrawn from what was prepared with it.
SET ROLE regress_app;
PREPARE place AS INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": "x"}');
EXECUTE place;
RESET ROLE;
SELECT mesh_outbox.revoke_publish('sales.orders', 'regress_app');
SET ROLE regress_app;
EXECUTE place;
RESET ROLE;
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_app');
GRANT regress_sales TO regress_other;
SET ROLE regress_other;
PREPARE purpose AS SELECT mesh_outbox.alter_product('sales.orders', purpose => 'taken');
EXECUTE purpose;
EXECUTE letters;
RESET ROLE;
REVOKE regress_sales FROM regress_other;
SET ROLE regress_other;
EXECUTE purpose;
EXECUTE letters;
RESET plan_cache_mode;
DEALLOCATE ALL;

-- What is in a letter is read by a function, which says who has read it.
SELECT * FROM mesh_outbox.read_dead_letters('{1}');
SET ROLE regress_sales;
SELECT dead_letter_id, key, payload FROM mesh_outbox.read_dead_letters('{2,1,999999}');
SET ROLE regress_admin;
SELECT dead_letter_id, key, payload FROM mesh_outbox.read_dead_letters('{1}');
SELECT count(*) FROM mesh_outbox.read_dead_letters('{999999}');
SELECT actor, action, object, new_values FROM mesh_outbox.audit_log WHERE action = 'read' ORDER BY audit_no;
SET ROLE regress_other;

-- ---------------------------------------------------------------------
-- Casts
-- ---------------------------------------------------------------------

-- Between types that are none of mine there are none of mine.
CREATE FUNCTION attack.as_role(text) RETURNS regrole LANGUAGE sql AS 'SELECT current_user::regrole';
CREATE CAST (text AS regrole) WITH FUNCTION attack.as_role(text) AS IMPLICIT;
CREATE FUNCTION attack.as_json(mesh_outbox.outbox) RETURNS json LANGUAGE sql AS 'SELECT ''{}''::json';
CREATE CAST (mesh_outbox.outbox AS json) WITH FUNCTION attack.as_json(mesh_outbox.outbox);
-- To mine: nothing takes them, so nothing changes.
CREATE TYPE attack.pair AS (name text, value text);
CREATE FUNCTION attack.as_pair(mesh_outbox.product) RETURNS attack.pair LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'cast as %', current_user;
    RETURN NULL;
END
$$;
CREATE CAST (mesh_outbox.product AS attack.pair) WITH FUNCTION attack.as_pair(mesh_outbox.product) AS IMPLICIT;
CREATE CAST (text AS attack.pair) WITH INOUT AS IMPLICIT;
CREATE CAST (jsonb AS attack.pair) WITH INOUT AS IMPLICIT;
SELECT mesh_outbox.create_product('other.mine', purpose => 'mine');
SELECT what, product FROM mesh_outbox.todo();
-- From mine to json: to_jsonb() runs it.  A column of an outbox and the type
-- of a term could bring it where our rights are.
CREATE TYPE attack.mood AS ENUM ('good');
CREATE FUNCTION attack.as_json(attack.mood) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'cast as %', current_user;
    RETURN '"good"';
END
$$;
CREATE CAST (attack.mood AS json) WITH FUNCTION attack.as_json(attack.mood);
SELECT to_json('good'::attack.mood);
\o /dev/null
SELECT mesh_outbox.propose_contract('other.mine', 'MineMade', key => '/id', description => 'made',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('other.mine', 'MineMade', '1.0.0');
CREATE TABLE attack.outbox (event_type text, payload jsonb, mood attack.mood DEFAULT 'good');
SELECT mesh_outbox.attach_outbox('attack.outbox', product => 'other.mine');
SELECT mesh_outbox.set_outbox_publisher('attack.outbox', NULL);
SELECT mesh_outbox.alter_product('other.mine', quality => '{"events_per_day": 1}');
INSERT INTO attack.outbox (event_type, payload) VALUES ('MineMade', '{"id": 1}');
SELECT mesh_outbox.create_term('mood', '{"type": "string"}', domain => 'other', description => 'x');
CREATE DOMAIN attack.feeling AS attack.mood;
RESET ROLE;
\o
SELECT path FROM mesh_outbox.trial_failures('other.mine', 'MineMade', '{"type": "object", "properties": {"id": {"type": "string"}}}');
SELECT mesh_outbox.create_term_type('mood', 'attack.feeling');
SELECT promise FROM mesh_outbox.measure_product('other.mine');
SELECT mesh_outbox.purge_events('attack.outbox', keep => '0');
SELECT mesh_outbox.drop_outbox('attack.outbox');

-- ---------------------------------------------------------------------
-- Functions and operators that see rows before a view's condition does
-- ---------------------------------------------------------------------

SET ROLE regress_other;
CREATE FUNCTION attack.leak(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE WARNING 'leaked %', $1;
    RETURN true;
END
$$;
CREATE OPERATOR attack.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = attack.leak, RESTRICT = scalarltsel);
CREATE OPERATOR attack.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = attack.leak, RESTRICT = eqsel);
SELECT count(*) FROM mesh_outbox.dead_letters WHERE attack.leak(reason, '');
SELECT count(*) FROM mesh_outbox.dead_letters WHERE detail OPERATOR(attack.<<<) 'x';
SELECT count(*) FROM mesh_outbox.dead_letters WHERE detail OPERATOR(attack.===) 'x';
SELECT count(*) FROM mesh_outbox.audit_log WHERE attack.leak(actor, '');
SELECT count(*) FROM mesh_outbox.publisher_events WHERE attack.leak(detail, '');
SELECT count(*) FROM mesh_outbox.access_requests WHERE attack.leak(reason, '');
SELECT count(*) FROM mesh_outbox.refusals WHERE attack.leak(event_type, '');
-- The planner's estimates tell nothing either, nor do the statistics.
CREATE FUNCTION attack.estimate(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) SELECT FROM mesh_outbox.dead_letters WHERE ' || condition INTO plan;
    RETURN plan #>> '{0,Plan,Plan Rows}';
END
$$;
SELECT attack.estimate($$detail = 'secret'$$) = attack.estimate($$detail = 'nothing'$$) AS detail,
       attack.estimate($$event_type = 'OrderPlaced'$$) = attack.estimate($$event_type = 'nothing'$$) AS event_type;
SELECT count(*) FROM pg_stats WHERE schemaname IN ('mesh_outbox', 'sales');
SELECT count(*) FROM pg_stats_ext_exprs WHERE schemaname IN ('mesh_outbox', 'sales');
RESET ROLE;
SELECT attname FROM pg_stats
WHERE (schemaname, tablename) = ('mesh_outbox', 'dead_letter') AND attname IN ('event_id', 'event_type', 'key', 'payload', 'headers', 'detail');

-- ---------------------------------------------------------------------
-- Errors: to whom may only insert, they show what he gave
-- ---------------------------------------------------------------------

SET ROLE regress_app;
INSERT INTO sales.outbox (event_id, event_type, payload)
VALUES ('00000000-0000-7000-8000-000000000001', 'OrderPlaced', '{"id": "mine"}');
INSERT INTO sales.outbox (event_id, event_type, payload)
VALUES ('00000000-0000-7000-8000-000000000001', 'OrderPlaced', '{"id": "mine"}') ON CONFLICT DO NOTHING RETURNING payload;
INSERT INTO sales.outbox AS o (event_id, event_type, payload)
VALUES ('00000000-0000-7000-8000-000000000001', 'OrderPlaced', '{"id": "mine"}')
ON CONFLICT (event_id) DO UPDATE SET payload = (o.payload ->> 'id')::int::text::jsonb;
MERGE INTO sales.outbox o USING (VALUES ('secret')) v (id) ON o.payload ->> 'id' = v.id
WHEN NOT MATCHED THEN INSERT (event_type, payload) VALUES ('OrderPlaced', '{"id": "mine"}');
SELECT query_to_xml('SELECT payload FROM sales.outbox', true, false, '');
COPY sales.outbox (payload) TO STDOUT;
SELECT mesh_outbox.infer_contract('sales.outbox');

-- ---------------------------------------------------------------------
-- What an administrator will run
-- ---------------------------------------------------------------------

-- doctor() and todo() show SQL; words of mine in it end no comment.
SET ROLE regress_other;
SELECT mesh_outbox.register_consumer('other', 'sales.orders', 'OrderPlaced', max_lag => '1 s',
    contact => E'me\nALTER ROLE regress_other SUPERUSER; --');
RESET ROLE;
SELECT remedy FROM mesh_outbox.doctor() WHERE remedy ~ 'SUPERUSER';
SELECT remedy FROM mesh_outbox.doctor() WHERE remedy ~ '[[:cntrl:]]';

-- What another domain's people said about their dead letters is theirs.
INSERT INTO mesh_outbox.publisher_event (publisher_id, actor, action, detail)
SELECT p.publisher_id, 'regress_sales', 'discard', 'secret' FROM mesh_outbox.publisher p;
SELECT mesh_outbox.create_outbox('attack.second', product => 'other.mine', publisher => 'main');
SET ROLE regress_other;
SELECT actor, action, detail FROM mesh_outbox.publisher_events WHERE action = 'discard';
SET ROLE regress_admin;
SELECT actor, action, detail FROM mesh_outbox.publisher_events WHERE action = 'discard';

-- ---------------------------------------------------------------------
-- Topics
-- ---------------------------------------------------------------------

SET ROLE regress_other;
SELECT mesh_outbox.create_product('other.evil', purpose => 'x', topic => 'sales.orders');
SELECT mesh_outbox.create_product('other.evil', purpose => 'x', topic => 'sales.orders.v2');
SELECT mesh_outbox.create_product('other.evil', purpose => 'x', topic => 'mesh_outbox.markers');

RESET ROLE;
SELECT rolname FROM pg_roles WHERE rolsuper AND rolname ~ '^regress_';
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales, attack CASCADE;
DROP ROLE regress_admin, regress_sales, regress_other, regress_app;
