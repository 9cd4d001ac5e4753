/* src/outbox/check.sql: the check trigger of outboxes */

-- A table with this trigger is an outbox, to the publisher too.  So who may
-- create the trigger may send events: only the functions that make outboxes,
-- which run as this role.
CREATE FUNCTION mesh_outbox.check_event()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'mo_check_event';
COMMENT ON FUNCTION mesh_outbox.check_event() IS
    'trigger of every outbox: refuses events that break their contract, stamps the others, and refuses UPDATE, DELETE and TRUNCATE; arguments: outbox id, publisher id, ours=theirs for renamed columns';
REVOKE EXECUTE ON FUNCTION mesh_outbox.check_event() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mesh_outbox.check_event() TO mesh_outbox_owner;

CREATE FUNCTION mesh_outbox.announce_change()
RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'mo_registry_announce_change';
COMMENT ON FUNCTION mesh_outbox.announce_change() IS
    'trigger of the tables that the check reads: tells every session to read them again';
REVOKE EXECUTE ON FUNCTION mesh_outbox.announce_change() FROM PUBLIC;

CREATE TRIGGER announce_change
    AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.contract
    FOR EACH STATEMENT EXECUTE FUNCTION mesh_outbox.announce_change();
CREATE TRIGGER announce_change
    AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.enforcement_cap
    FOR EACH STATEMENT EXECUTE FUNCTION mesh_outbox.announce_change();
CREATE TRIGGER announce_change
    AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION mesh_outbox.announce_change();

-- The scribe moves progress.lsn all the time, which is no news to the check:
-- it asks only whether the publisher's slot is there.
CREATE TRIGGER announce_change
    AFTER INSERT OR DELETE OR UPDATE OF publisher_id, system_identifier, database_oid
    ON mesh_outbox.progress
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.announce_change();

ALTER TABLE mesh_outbox.contract ENABLE ALWAYS TRIGGER announce_change;
ALTER TABLE mesh_outbox.enforcement_cap ENABLE ALWAYS TRIGGER announce_change;
ALTER TABLE mesh_outbox.outbox ENABLE ALWAYS TRIGGER announce_change;
ALTER TABLE mesh_outbox.progress ENABLE ALWAYS TRIGGER announce_change;
