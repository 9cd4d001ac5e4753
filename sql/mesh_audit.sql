-- The audit record: who changed what for whom, and that nobody can unsay it
-- unseen.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
RESET client_min_messages;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_sales;
SET ROLE regress_admin;
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.alter_product('sales.orders', purpose => 'orders as they are placed');
SELECT mesh_outbox.alter_product('sales.orders', purpose => 'orders as they are placed');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'ordered',
    schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'observe', reason => 'roll-out');
BEGIN;
SELECT mesh_outbox.drop_domain('never committed');
ROLLBACK;

-- For administrators; a change is told with its key, what was and what is.
SELECT * FROM mesh_outbox.audit_log;
SELECT * FROM mesh_outbox.verify_audit();
SELECT * FROM mesh_outbox.audit;
SET ROLE regress_admin;
SELECT audit_no, actor, action, object, old_values - '{activated_at,enforced_at}'::text[] AS old,
       CASE WHEN action = 'insert' THEN jsonb_build_object('name', new_values -> 'name')
            ELSE new_values - '{activated_at,enforced_at,contract_id,minor,patch}'::text[] END AS new
FROM mesh_outbox.audit_log ORDER BY audit_no;
SELECT count(*) AS problems FROM mesh_outbox.verify_audit();

-- Not even the superuser changes it in passing ...
RESET ROLE;
UPDATE mesh_outbox.audit SET actor = 'nobody';
DELETE FROM mesh_outbox.audit;
TRUNCATE mesh_outbox.audit;
-- ... and when he takes the guard off, it shows.
ALTER TABLE mesh_outbox.audit DISABLE TRIGGER keep;
BEGIN;
UPDATE mesh_outbox.audit SET actor = 'nobody' WHERE audit_no = 2;
SELECT * FROM mesh_outbox.verify_audit();
ROLLBACK;
BEGIN;
UPDATE mesh_outbox.audit a SET actor = 'nobody', hash = mesh_outbox.audit_hash(r) FROM (
    SELECT a.audit_no, 'x' FROM mesh_outbox.audit a WHERE audit_no = 2) x,
    LATERAL (SELECT (jsonb_populate_record(b, '{"actor": "nobody"}')).* FROM mesh_outbox.audit b WHERE b.audit_no = 2) r
WHERE a.audit_no = 2;
SELECT * FROM mesh_outbox.verify_audit();
ROLLBACK;
BEGIN;
DELETE FROM mesh_outbox.audit WHERE audit_no = 3;
SELECT * FROM mesh_outbox.verify_audit();
ROLLBACK;
BEGIN;
DELETE FROM mesh_outbox.audit WHERE audit_no >= 4;
SELECT problem FROM mesh_outbox.verify_audit();
ROLLBACK;
BEGIN;
UPDATE mesh_outbox.audit SET audit_no = 100 - audit_no WHERE audit_no IN (2, 3);
UPDATE mesh_outbox.audit SET audit_no = 5 - (100 - audit_no) WHERE audit_no > 90;
SELECT * FROM mesh_outbox.verify_audit();
ROLLBACK;
SELECT count(*) AS problems FROM mesh_outbox.verify_audit();
DROP EXTENSION mesh_outbox;
DROP ROLE regress_admin, regress_sales;
