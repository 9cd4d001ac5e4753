-- What happens by the clock, without anybody's call where a publisher runs:
-- its scribe calls run_due() every minute.  Here the clock is set by hand.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT count(mesh_outbox.set_policy(name, 'suspended')) > 0 AS policies FROM mesh_outbox.policies;
SET datestyle = 'ISO';
SET timezone = 'UTC';
CREATE ROLE regress_sales;
CREATE ROLE regress_partner;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
GRANT USAGE ON SCHEMA sales TO regress_partner;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET mesh_outbox.clock = '2030-01-01 12:00';
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SELECT mesh_outbox.register_consumer('reports', 'sales.orders', 'OrderPlaced', contact => 'reports@example.org');
SELECT mesh_outbox.set_change_rules('sales.orders', notice => '3 days', idle_time => '0', retire_at_sunset => true);

-- A right with an end, a proposal with notice, a review, a sunset.
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_partner', until => '2030-01-02');
SELECT mesh_outbox.grant_consume('sales.orders', 'a partner', until => '2030-01-02');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'with a note',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => '2030-01-08');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'id is a text', version => '2.0.0',
    schema => '{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT * FROM mesh_outbox.run_due();

-- Nothing is due before its time.
RESET ROLE;
RESET client_min_messages;
SELECT * FROM mesh_outbox.run_due();

-- One after the other, each once.
SET mesh_outbox.clock = '2030-01-02 12:00';
SELECT object, problem, remedy FROM mesh_outbox.doctor() WHERE remedy ~ 'run_due';
SELECT * FROM mesh_outbox.run_due();
SET ROLE regress_partner;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
RESET ROLE;
SET mesh_outbox.clock = '2030-01-04 12:00';
SELECT * FROM mesh_outbox.run_due();
SET mesh_outbox.clock = '2030-01-08';
SELECT * FROM mesh_outbox.run_due();
SELECT * FROM mesh_outbox.run_due();
SELECT what, product, event_type, version FROM mesh_outbox.todo() WHERE what ~ 'review|proposal';

-- A sunset that is reached warns, and tells who still reads it; the version
-- ends when nobody does, because its product has chosen so.
SET mesh_outbox.clock = '2030-04-01 12:00';
SELECT * FROM mesh_outbox.run_due();
SELECT consumer, version, kind FROM mesh_outbox.notifications WHERE kind = 'sunset';
SELECT mesh_outbox.unregister_consumer('reports', 'sales.orders', 'OrderPlaced', major => 1);
SELECT * FROM mesh_outbox.run_due(retire => false);
SELECT * FROM mesh_outbox.run_due();
SELECT version, status, end_reason FROM mesh_outbox.contracts ORDER BY version;
SELECT object, problem FROM mesh_outbox.doctor() WHERE remedy ~ 'run_due';

RESET mesh_outbox.clock;
DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_sales, regress_partner;
