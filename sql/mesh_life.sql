-- How contract versions come and go: who is asked, how long that takes, and
-- the way back.  Time passes as a superuser sets the clock.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT count(mesh_outbox.set_policy(name, 'suspended')) > 0 AS policies FROM mesh_outbox.policies;
RESET client_min_messages;
SET datestyle = 'ISO';
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
CREATE ROLE regress_sales;
CREATE ROLE regress_shipping;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SELECT mesh_outbox.create_domain('shipping', owner => 'regress_shipping', description => 'parcels');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"}},
                "required": ["order_id", "user_id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SELECT mesh_outbox.register_consumer('reports', 'sales.orders', NULL, contact => 'no login here');
SET ROLE regress_shipping;
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id}');

-- ---------------------------------------------------------------------
-- The rules
-- ---------------------------------------------------------------------

SELECT mesh_outbox.set_change_rules('sales.orders', notice => '0');
SET ROLE regress_sales;
SELECT * FROM mesh_outbox.change_rules \gx
SELECT mesh_outbox.set_change_rules('sales.orders', notice => '3 days', breaking_notice => '30 days');
SELECT mesh_outbox.set_change_rules('sales.orders', sunset_notice => '1 day');
SELECT mesh_outbox.set_change_rules('sales.orders', idle_time => '-1 day');
SELECT mesh_outbox.set_change_rules('sales.none', notice => '0');
SELECT notice, breaking_notice, sunset_notice FROM mesh_outbox.change_rules;
-- The clock is a superuser's.
SET mesh_outbox.clock = '2099-01-01';

-- ---------------------------------------------------------------------
-- Notice and verification
-- ---------------------------------------------------------------------

RESET ROLE;
SET mesh_outbox.clock = '2030-01-01 12:00';
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'with a note',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "note": {"type": "string"}}, "required": ["order_id", "user_id"]}');
SELECT consumer, version, kind, notice_until FROM mesh_outbox.notifications ORDER BY consumer;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT consumer, contract_version, status, verdict, verified, obstacle FROM mesh_outbox.can_activate('sales.orders', 'OrderPlaced');
-- One that comes now is told as well, and may be in the way at once.
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'another thing',
    version => '1.9.0', compatibility => 'BACKWARD', notice => '0',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "integer"},
                "note": {"type": "string"}}, "required": ["order_id"]}');
SELECT mesh_outbox.register_consumer('archive', 'sales.orders', 'OrderPlaced', contact => 'x', needs => '{/user_id}');
SELECT consumer, contract_version, verdict, path, change, obstacle FROM mesh_outbox.can_activate('sales.orders', 'OrderPlaced', '1.9.0');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.9.0');
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderPlaced', '1.9.0');
SELECT mesh_outbox.unregister_consumer('archive', 'sales.orders', 'OrderPlaced');
-- A consumer insists on its own tests; silence is no longer consent.
SET ROLE regress_shipping;
SELECT mesh_outbox.set_verification('shipping', 'sales.orders', 'OrderPlaced', true);
SELECT mesh_outbox.set_verification('shipping', 'sales.orders', 'OrderPlaced', true, major => 7);
SELECT mesh_outbox.record_verification('reports', 'sales.orders', 'OrderPlaced', '1.1.0', true);
SELECT mesh_outbox.record_verification('shipping', 'sales.orders', 'OrderPlaced', '1.1.0', false, url => 'https://ci.example.org/7');
RESET ROLE;
SET mesh_outbox.clock = '2030-01-04 12:01';
SET ROLE regress_sales;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT consumer, contract_version, verdict, verified, obstacle FROM mesh_outbox.can_activate('sales.orders', 'OrderPlaced', '1.1.0');
SET ROLE regress_shipping;
SELECT mesh_outbox.record_verification('shipping', 'sales.orders', 'OrderPlaced', '1.1.0', true, url => 'https://ci.example.org/8');
-- The product may ask it of all.
SET ROLE regress_sales;
SELECT mesh_outbox.set_change_rules('sales.orders', verification => true);
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT mesh_outbox.record_verification('reports', 'sales.orders', 'OrderPlaced', '1.1.0', true);
SELECT mesh_outbox.record_verification('nobody', 'sales.orders', 'OrderPlaced', '1.1.0', true);
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT consumer, version, passed, url, recorded_by FROM mesh_outbox.verifications ORDER BY consumer;
SELECT mesh_outbox.set_change_rules('sales.orders', verification => false, notice => '0');
SET ROLE regress_shipping;
SELECT mesh_outbox.set_verification('shipping', 'sales.orders', 'OrderPlaced', false);
SET ROLE regress_sales;

-- ---------------------------------------------------------------------
-- The way back
-- ---------------------------------------------------------------------

INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "a", "user_id": 1, "note": "x"}');
SET ROLE regress_shipping;
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id}', reads => '{/note}');
SET ROLE regress_sales;
SELECT mesh_outbox.revert_contract('sales.orders', 'OrderPlaced', '1.0.0', reason => 'note is slow');
SELECT mesh_outbox.revert_contract('sales.orders', 'OrderPlaced', '1.1.0', reason => '');
SELECT mesh_outbox.revert_contract('sales.orders', 'OrderPlaced', '1.1.0', reason => 'note is slow');
SELECT mesh_outbox.revert_contract('sales.orders', 'OrderPlaced', '1.0.0', reason => 'once more');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "b", "user_id": 1, "note": "x"}');
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "b", "user_id": 1}');
SELECT version, status, in_force, end_reason FROM mesh_outbox.contracts ORDER BY contract_id;
SELECT consumer, version, kind FROM mesh_outbox.notifications WHERE kind <> 'proposal' ORDER BY consumer;
SET ROLE regress_shipping;
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id}');

-- ---------------------------------------------------------------------
-- Scene one: user_id becomes a uuid.  Under the same major that is refused;
-- as a new one it breaks nobody, and the old one gets a sunset.
-- ---------------------------------------------------------------------

SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org',
    needs => '{/order_id,/user_id}');
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'user_id is a uuid',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "string", "format": "uuid"}},
                "required": ["order_id", "user_id"]}');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'user_id is a uuid',
    version => '2.0.0',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "user_id": {"type": "string", "format": "uuid"}},
                "required": ["order_id", "user_id"]}');
SELECT consumer, relies_on_major, contract_version, status, verdict, path, change, counterexample, obstacle
FROM mesh_outbox.can_activate('sales.orders', 'OrderPlaced');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');

SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0', sunset => '2030-02-01');
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT status, deprecated_at, sunset_at FROM mesh_outbox.contracts WHERE version = '1.0.0';
SELECT mesh_outbox.postpone_sunset('sales.orders', 'OrderPlaced', '1.0.0', '2030-04-01', reason => 'we are done');
SELECT mesh_outbox.postpone_sunset('sales.orders', 'OrderPlaced', '1.0.0', '2030-05-01', reason => 'shipping asked');
SELECT mesh_outbox.postpone_sunset('sales.orders', 'OrderPlaced', '2.0.0', '2030-05-01', reason => 'x');
SELECT consumer, version, kind FROM mesh_outbox.notifications WHERE kind IN ('deprecation', 'postponement') ORDER BY consumer, kind;

-- The end asks for consent: who objects keeps it from being retired.
SET ROLE regress_shipping;
SELECT mesh_outbox.object('shipping', 'sales.orders', 'OrderPlaced', '1.0.0', reason => 'not in the Christmas season');
SET ROLE regress_sales;
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT what, consumer, how FROM mesh_outbox.todo() WHERE what = 'settle an objection';
SELECT mesh_outbox.override_objection('shipping', 'sales.orders', 'OrderPlaced', '1.0.0', reason => 'the service is gone');
SELECT consumer, kind, objection, override_reason FROM mesh_outbox.notifications WHERE kind = 'deprecation' ORDER BY consumer;
SET ROLE regress_shipping;
SELECT mesh_outbox.acknowledge('shipping', 'sales.orders', 'OrderPlaced', '1.0.0');
SET ROLE regress_sales;

-- Nothing ends while somebody needs it, and the sunset alone ends nothing.
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT * FROM mesh_outbox.reach_sunsets();
RESET ROLE;
SET mesh_outbox.clock = '2030-05-01 00:00';
SET ROLE regress_shipping;
SELECT * FROM mesh_outbox.reach_sunsets();
SET ROLE regress_sales;
SELECT * FROM mesh_outbox.reach_sunsets();
SELECT consumer, version, kind FROM mesh_outbox.notifications WHERE kind = 'sunset' ORDER BY consumer;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"order_id": "c", "user_id": 1}');
SET ROLE regress_shipping;
SELECT mesh_outbox.unregister_consumer('shipping', 'sales.orders', 'OrderPlaced');
SET ROLE regress_sales;
SELECT mesh_outbox.unregister_consumer('reports', 'sales.orders', NULL);
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0');
-- Nobody inserts any more (here: what was inserted is old enough at once).
SELECT mesh_outbox.set_change_rules('sales.orders', idle_time => '0');
SELECT outcome FROM mesh_outbox.reach_sunsets();
SELECT mesh_outbox.set_change_rules('sales.orders', retire_at_sunset => true);
SELECT * FROM mesh_outbox.reach_sunsets();
SELECT * FROM mesh_outbox.reach_sunsets();
SELECT version, status, in_force, end_reason FROM mesh_outbox.contracts ORDER BY contract_id;
INSERT INTO sales.outbox (event_type, major_version, payload) VALUES ('OrderPlaced', 1, '{"order_id": "d", "user_id": 1}');

-- By force, with a reason that stays.
SELECT mesh_outbox.set_change_rules('sales.orders', idle_time => '1 day');
INSERT INTO sales.outbox (event_type, major_version, payload)
VALUES ('OrderPlaced', 2, '{"order_id": "d", "user_id": "3b241101-e2bb-4255-8caf-4136c566a962"}');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '2.0.0');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '2.0.0', force_reason => ' ');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '2.0.0', force_reason => 'the court says so');
SELECT version, status, end_reason FROM mesh_outbox.contracts WHERE version = '2.0.0';

RESET ROLE;
RESET mesh_outbox.clock;
SELECT mesh_outbox.drop_outbox('sales.outbox', lose_events => true);
SELECT mesh_outbox.drop_product('sales.orders');
DROP EXTENSION mesh_outbox;
DROP SCHEMA sales;
DROP ROLE regress_sales, regress_shipping;
