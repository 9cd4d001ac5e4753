-- Who may publish and consume what, until when; asking for it; and that it
-- ends.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_sales;
CREATE ROLE regress_crm;
CREATE ROLE regress_app;
CREATE ROLE regress_legacy;
CREATE SCHEMA sales AUTHORIZATION regress_sales;
GRANT USAGE ON SCHEMA sales TO PUBLIC;
\o /dev/null
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'from cart to invoice');
SELECT mesh_outbox.create_domain('crm', owner => 'regress_crm', description => 'who our customers are');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders as customers place them');
SELECT mesh_outbox.alter_product('sales.orders', access => 'on request');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought something',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
\o

-- crm would like to read the orders, and an application to send some.
SET ROLE regress_crm;
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'crm@example.org');
SELECT mesh_outbox.request_access('sales.orders', reason => 'we greet who bought', consumer => 'crm');
SELECT mesh_outbox.request_access('sales.orders', reason => 'we insist', consumer => 'crm');
SELECT mesh_outbox.request_access('sales.orders', reason => 'for them', consumer => 'sales');
SELECT mesh_outbox.approve_access(1);
SET ROLE regress_app;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
SELECT mesh_outbox.request_access('sales.orders', reason => ' ');
SELECT mesh_outbox.request_access('sales.orders', reason => 'we are the checkout');
SELECT "right", grantee, reason, decision FROM mesh_outbox.access_requests;

-- The owner decides.
SET ROLE regress_sales;
SELECT what, product, consumer, how FROM mesh_outbox.todo();
SELECT mesh_outbox.approve_access(1, until => now() + interval '30 days', reason => 'a month to try');
SELECT mesh_outbox.decline_access(2, reason => ' ');
SELECT mesh_outbox.decline_access(2, reason => 'use the old door');
SELECT mesh_outbox.decline_access(2, reason => 'once more');
SELECT mesh_outbox.approve_access(99);
SELECT what FROM mesh_outbox.todo();
SET ROLE regress_app;
SELECT "right", grantee, decision, decided_by, decision_reason FROM mesh_outbox.access_requests;
SELECT mesh_outbox.request_access('sales.orders', reason => 'the old door is shut');
SET ROLE regress_sales;
SELECT mesh_outbox.approve_access(3, until => now() + interval '1 hour');
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_legacy', until => '2026-01-01 00:00+00');
SET ROLE regress_app;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
SET ROLE regress_crm;
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'crm@example.org');

-- A right that is used is seen, and recorded once a day; the owner needs none.
SET ROLE regress_sales;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 2}');
SELECT grantee, last_used_at BETWEEN now() - interval '1 min' AND clock_timestamp() AS used FROM mesh_outbox.access_rights WHERE "right" = 'publish';
SET ROLE regress_admin;
SELECT * FROM mesh_outbox.run_due();
SELECT * FROM mesh_outbox.run_due();
SELECT object, new_values - 'used_at' AS use FROM mesh_outbox.audit_log WHERE action = 'use';
RESET ROLE;
UPDATE mesh_outbox.publish_grant SET last_used_at = last_used_at - interval '25 hours';
SELECT * FROM mesh_outbox.run_due();
SELECT count(*) FROM mesh_outbox.audit_log WHERE action = 'use';

-- A consumer without a login here: who may grant it need not.
SET ROLE regress_sales;
SELECT mesh_outbox.register_consumer('a partner', 'sales.orders', 'OrderPlaced', contact => 'partner@example.com');
SELECT mesh_outbox.grant_consume('sales.orders', 'a partner');
SELECT mesh_outbox.set_co_owners('sales.orders', '{crm}');

-- Who has what; also what was granted past us.
RESET ROLE;
GRANT INSERT, SELECT ON sales.outbox TO regress_legacy;
SET ROLE regress_app;
SELECT product, "right", grantee, granted_by, until > now() AS until_later FROM mesh_outbox.access_rights;

-- Time passes.
RESET ROLE;
SELECT set_config('mesh_outbox.clock', (now() + interval '31 days')::text, false) IS NOT NULL AS later;
SELECT severity, object, problem, remedy FROM mesh_outbox.doctor() WHERE object ~ 'expired' OR problem ~ 'access';
SET ROLE regress_crm;
SELECT mesh_outbox.register_consumer('crm', 'sales.orders', 'OrderPlaced', contact => 'us@example.org');
SELECT mesh_outbox.expire_access();
SET ROLE regress_admin;
SELECT product, "right", grantee FROM mesh_outbox.expire_access();
SELECT product, "right", grantee FROM mesh_outbox.expire_access();
SET ROLE regress_app;
INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
RESET ROLE;
RESET mesh_outbox.clock;
SET ROLE regress_sales;
SELECT mesh_outbox.revoke_consume('sales.orders', 'a partner');
SELECT mesh_outbox.revoke_consume('sales.orders', 'a partner');
SELECT mesh_outbox.revoke_publish('sales.orders', 'regress_app');
SELECT product, "right", grantee FROM mesh_outbox.access_rights;

-- The domain's owner has the right by himself, whatever is granted and taken
-- beside it; and one who was granted it does not lose it with the domain.
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_sales');
SELECT mesh_outbox.revoke_publish('sales.orders', 'regress_sales');
SELECT has_table_privilege('sales.outbox', 'INSERT');
SELECT mesh_outbox.grant_publish('sales.orders', 'regress_sales');
RESET ROLE;
SELECT mesh_outbox.alter_domain('sales', owner => 'regress_crm');
SELECT r, has_table_privilege(r, 'sales.outbox', 'INSERT') AS inserts, has_table_privilege(r, 'sales.outbox', 'SELECT') AS reads
FROM unnest('{regress_crm,regress_sales}'::name[]) r;
SELECT mesh_outbox.revoke_publish('sales.orders', 'regress_sales');
SELECT has_table_privilege('regress_sales', 'sales.outbox', 'INSERT');
SELECT mesh_outbox.alter_domain('sales', owner => 'regress_sales');
SET ROLE regress_sales;

-- A role that was granted something cannot be dropped, outboxes or not.
SELECT mesh_outbox.create_product('sales.carts', purpose => 'what is not bought yet');
SELECT mesh_outbox.grant_publish('sales.carts', 'regress_app');
RESET ROLE;
DROP ROLE regress_app;
SELECT mesh_outbox.drop_product('sales.carts');
DROP ROLE regress_app;

DROP EXTENSION mesh_outbox CASCADE;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_admin, regress_sales, regress_crm, regress_legacy;
