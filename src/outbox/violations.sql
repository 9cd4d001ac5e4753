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

CREATE FUNCTION mesh_outbox.refused_events(
    OUT relation regclass, OUT event_type text, OUT reason text, OUT role regrole, OUT application_name text,
    OUT events bigint, OUT first_at timestamptz, OUT last_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'mo_refusals_show';
COMMENT ON FUNCTION mesh_outbox.refused_events() IS
    'whose events this database''s outboxes refused lately; see the view refusals';
REVOKE EXECUTE ON FUNCTION mesh_outbox.refused_events() FROM PUBLIC;

-- The names in it come from clients: for those who may read the events.
CREATE FUNCTION mesh_outbox.watch_refusals()
    RETURNS TABLE (outbox regclass, product text, event_type text, reason text, role regrole, application_name text,
                   events bigint, first_at timestamptz, last_at timestamptz, outbox_id int)
    LANGUAGE mesh_outbox_plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    everything boolean := mesh_outbox.may_see_all();
BEGIN
    RETURN QUERY
    SELECT o.relation, o.product, r.event_type, r.reason, r.role, r.application_name,
           r.events, r.first_at, r.last_at, o.outbox_id
    FROM mesh_outbox.refused_events() r
    JOIN mesh_outbox.outbox o ON o.relation = coalesce(pg_partition_root(r.relation), r.relation)
    WHERE everything OR o.outbox_id IN (SELECT mesh_outbox.owned_outboxes());
END
$$;
COMMENT ON FUNCTION mesh_outbox.watch_refusals() IS 'what the view refusals shows';

CREATE VIEW mesh_outbox.refusals AS
    SELECT * FROM mesh_outbox.watch_refusals();
COMMENT ON VIEW mesh_outbox.refusals IS
    'whose events were refused lately, rolled back or not: the 128 latest kinds of the server, none without preload; for administrators, pg_monitor and the owners of the outbox';
COMMENT ON COLUMN mesh_outbox.refusals.reason IS
    'what is wrong: event_type (not in force, or not known), payload, key, key_schema, event_time, created_at, lateness or headers';
COMMENT ON COLUMN mesh_outbox.refusals.events IS 'how many, since the last hour without one of the kind';
GRANT SELECT ON mesh_outbox.refusals TO PUBLIC;
