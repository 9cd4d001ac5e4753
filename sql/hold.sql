-- What our functions do to tables that others have shaped, and with whose
-- rights.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE ROLE hold_team;
CREATE SCHEMA hold AUTHORIZATION hold_team;
\o /dev/null
SELECT mesh_outbox.create_domain('hold', owner => 'hold_team', description => 'tests');
SET ROLE hold_team;
SELECT mesh_outbox.create_product('hold.orders', purpose => 'tests');
SELECT mesh_outbox.propose_contract('hold.orders', 'OrderPlaced', key => '/id', description => 'a customer placed an order', schema => '{
    "type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}');
SELECT mesh_outbox.activate_contract('hold.orders', 'OrderPlaced', '1.0.0');
CREATE TABLE hold.outbox (event_type text, payload jsonb, note text);
SELECT mesh_outbox.attach_outbox('hold.outbox', product => 'hold.orders');
INSERT INTO hold.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
\o

-- Whoever reads the outbox runs this.  Nobody can have it so but a superuser:
-- it stands for the code that a domain's role slips in nevertheless, by
-- renaming schemas while a function is at work, say.
RESET ROLE;
CREATE TABLE hold.diary (entry text);
GRANT INSERT ON hold.diary TO hold_team;
CREATE FUNCTION hold.slip_in() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'slipped in as %', current_user;
    BEGIN
        INSERT INTO hold.diary VALUES ('x');
    EXCEPTION WHEN read_only_sql_transaction THEN
        RAISE WARNING 'and cannot write';
    END;
    BEGIN
        SET LOCAL ROLE hold_team;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE WARNING 'nor become another';
    END;
    RETURN true;
END
$$;
CREATE POLICY slip_in ON hold.outbox USING (hold.slip_in());
ALTER TABLE hold.outbox ENABLE ROW LEVEL SECURITY;
SELECT problem, remedy FROM mesh_outbox.doctor() WHERE object = 'outbox hold.outbox' AND problem ~ 'policy';

SET ROLE hold_team;
SELECT path, rule FROM mesh_outbox.trial_failures('hold.orders', 'OrderPlaced', '{"type": "object", "properties": {"id": {"type": "string"}}}');
RESET ROLE;
\set VERBOSITY terse
-- for an administrator, too
SELECT path, rule FROM mesh_outbox.trial_failures('hold.orders', 'OrderPlaced', '{"type": "object", "properties": {"id": {"type": "string"}}}');
SELECT mesh_outbox.alter_product('hold.orders', quality => '{"events_per_day": 0.1}');
SELECT promise, kept FROM mesh_outbox.measure_product('hold.orders');
SELECT domain FROM mesh_outbox.maturity() WHERE domain = 'hold';
SELECT mesh_outbox.retire_contract('hold.orders', 'OrderPlaced', '1.0.0');
SELECT * FROM mesh_outbox.newest_payloads('hold.orders', 'OrderPlaced', 1, 1);
-- these run nothing at all
SELECT mesh_outbox.outbox_contents();
SELECT mesh_outbox.purge_events('hold.outbox', keep => '1 hour');
SELECT mesh_outbox.drop_outbox('hold.outbox');

-- What expects to see rows deleted is not passed over.
CREATE TRIGGER archive AFTER DELETE ON hold.outbox FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
\set VERBOSITY default
SELECT mesh_outbox.purge_events('hold.outbox', keep => '0');
DROP TRIGGER archive ON hold.outbox;
SELECT mesh_outbox.purge_events('hold.outbox', keep => '0');

-- A role that cannot read its outbox is told so.
REVOKE SELECT ON hold.outbox FROM hold_team;
SELECT problem, remedy FROM mesh_outbox.doctor() WHERE object = 'outbox hold.outbox' AND problem ~ 'cannot read';
SELECT mesh_outbox.measure_product('hold.orders');

\o /dev/null
SELECT mesh_outbox.drop_outbox('hold.outbox');
SELECT mesh_outbox.retire_contract('hold.orders', 'OrderPlaced', '1.0.0', force_reason => 'test');
SELECT mesh_outbox.drop_product('hold.orders');
SELECT mesh_outbox.drop_domain('hold');
\o
DROP TABLE hold.diary;
DROP FUNCTION hold.slip_in();
DROP SCHEMA hold;
DROP ROLE hold_team;
