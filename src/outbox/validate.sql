/* src/outbox/validate.sql: trying a payload without inserting it */

CREATE FUNCTION mesh_outbox.contract_violations(
    contract_id bigint, payload jsonb,
    OUT instance_pointer text, OUT schema_pointer text, OUT keyword text,
    OUT message text, OUT found text, OUT hint text) RETURNS SETOF record
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'mo_validate_payload';
COMMENT ON FUNCTION mesh_outbox.contract_violations(bigint, jsonb) IS
    'all ways in which a payload breaks a contract version, given by its id; none when it is valid';

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
