/* src/outbox/violations.sql: how often events break their contracts */

CREATE FUNCTION mesh_outbox.violation_counters(
    OUT contract_id bigint, OUT refused bigint, OUT quarantined bigint, OUT observed bigint,
    OUT last_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'mo_violations_show';
COMMENT ON FUNCTION mesh_outbox.violation_counters() IS
    'events in breach of this database''s contracts since the start of the server; see the view violations';

CREATE VIEW mesh_outbox.violations AS
    SELECT c.product, c.event_type, c.version, c.enforcement, v.refused, v.quarantined, v.observed,
           v.last_at, c.contract_id
    FROM mesh_outbox.violation_counters() v JOIN mesh_outbox.contracts c USING (contract_id);
COMMENT ON VIEW mesh_outbox.violations IS
    'how many events broke which contract since the start of the server, rolled back or not (up to 1024 contracts a server; none without preload)';
COMMENT ON COLUMN mesh_outbox.violations.refused IS 'under enforcement enforce: INSERTs that failed';
COMMENT ON COLUMN mesh_outbox.violations.quarantined IS 'under quarantine: events that went to the dead letters';
COMMENT ON COLUMN mesh_outbox.violations.observed IS 'under observe: events that were published all the same';
GRANT SELECT ON mesh_outbox.violations TO PUBLIC;
