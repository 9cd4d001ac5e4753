/* src/outbox/validate.sql: trying a payload, or a whole event, without inserting it */

CREATE FUNCTION mesh_outbox.contract_violations(
    contract_id bigint, payload jsonb,
    OUT instance_pointer text, OUT schema_pointer text, OUT keyword text,
    OUT message text, OUT found text, OUT hint text) RETURNS SETOF record
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'mo_validate_payload';
COMMENT ON FUNCTION mesh_outbox.contract_violations(bigint, jsonb) IS
    'all ways in which a payload breaks a contract version, given by its id; none when it is valid';

CREATE FUNCTION mesh_outbox.event_violations(
    contract mesh_outbox.contract, payload jsonb, headers jsonb, key text, event_time timestamptz,
    inserted_at timestamptz, as_enforced boolean,
    OUT instance_pointer text, OUT schema_pointer text, OUT keyword text,
    OUT message text, OUT found text, OUT hint text, OUT enforcement text) RETURNS SETOF record
    LANGUAGE c STABLE ROWS 1 AS 'MODULE_PATHNAME', 'mo_validate_event';
COMMENT ON FUNCTION mesh_outbox.event_violations(mesh_outbox.contract, jsonb, jsonb, text, timestamptz, timestamptz, boolean) IS
    'all ways in which an event, inserted then, breaks a contract version, which need not be recorded: payload, headers, key (NULL: not given), event time (NULL: not given) and lateness; and how strictly the contract''s anomalies take each, with as_enforced also its enforcement, roll-out and the cap';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.event_violations(mesh_outbox.contract, jsonb, jsonb, text, timestamptz, timestamptz, boolean) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.violation_place(instance_pointer text, keyword text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce(nullif(instance_pointer, ''),
                    CASE WHEN keyword = 'headers' THEN 'its headers'
                         WHEN keyword IN ('lateness', 'event_time') THEN 'its event time'
                         ELSE 'the whole document' END);
COMMENT ON FUNCTION mesh_outbox.violation_place(text, text) IS 'where event_violations() found something, for people';
REVOKE EXECUTE ON FUNCTION mesh_outbox.violation_place(text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.contract_event_time(contract_id bigint, payload jsonb) RETURNS timestamptz
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'mo_validate_event_time';
COMMENT ON FUNCTION mesh_outbox.contract_event_time(bigint, jsonb) IS
    'the event time that a payload says under a contract version, given by its id; NULL when it says none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.contract_event_time(bigint, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.contract_key(contract_id bigint, payload jsonb) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'mo_validate_key';
COMMENT ON FUNCTION mesh_outbox.contract_key(bigint, jsonb) IS
    'the key that an event with a payload has under a contract version, given by its id; NULL when it has none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.contract_key(bigint, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.validate(
    product text, event_type text, payload jsonb, version text DEFAULT NULL,
    OUT instance_pointer text, OUT schema_pointer text, OUT keyword text,
    OUT message text, OUT found text, OUT hint text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint := (
        SELECT c.contract_id FROM mesh_outbox.contracts c
        WHERE c.product = validate.product AND c.event_type = validate.event_type
          AND CASE WHEN validate.version IS NULL THEN c.in_force ELSE c.version = validate.version END
        ORDER BY split_part(c.version, '.', 1)::int DESC LIMIT 1);
BEGIN
    IF id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = CASE WHEN version IS NULL
                THEN format('event type "%s" of product "%s" has no contract in force', event_type, product)
                ELSE format('event type "%s" of product "%s" has no contract version %s', event_type, product, version) END,
            HINT = 'See the view mesh_outbox.contracts.';
    END IF;
    RETURN QUERY SELECT * FROM mesh_outbox.contract_violations(id, payload);
END
$$;
COMMENT ON FUNCTION mesh_outbox.validate(text, text, jsonb, text) IS
    'all ways in which a payload breaks a contract; none when the check would take it. version NULL means the highest in force';
