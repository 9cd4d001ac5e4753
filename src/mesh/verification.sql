/* src/mesh/verification.sql: what consumers' own tests say, and who keeps a version waiting */

CREATE TABLE mesh_outbox.verification (
    contract_id bigint NOT NULL REFERENCES mesh_outbox.contract ON DELETE CASCADE,
    consumer_id int NOT NULL REFERENCES mesh_outbox.consumer ON DELETE CASCADE,
    passed      boolean NOT NULL,
    url         text,
    recorded_by name NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (contract_id, consumer_id)
);
COMMENT ON TABLE mesh_outbox.verification IS 'outcome of consumers'' own tests against contract versions';
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.verification', '');

-- A contract's consumers: of its event type, or of every one of the product.
CREATE FUNCTION mesh_outbox.consumers_of(contract mesh_outbox.contract) RETURNS SETOF mesh_outbox.consumer
    LANGUAGE sql STABLE ROWS 5
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.* FROM mesh_outbox.consumer c
        WHERE c.product = (contract).product AND c.major = (contract).major
          AND coalesce(c.event_type, (contract).event_type) = (contract).event_type
        ORDER BY c.name, c.event_type;
    END;
COMMENT ON FUNCTION mesh_outbox.consumers_of(mesh_outbox.contract) IS 'the registered consumers of a contract''s major';
REVOKE EXECUTE ON FUNCTION mesh_outbox.consumers_of(mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.verification_gaps(contract mesh_outbox.contract, OUT consumer text, OUT url text)
    RETURNS SETOF record
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.name, v.url
        FROM mesh_outbox.consumers_of(contract) c
        JOIN mesh_outbox.change_rule r ON r.product = c.product
        LEFT JOIN mesh_outbox.verification v
            ON v.consumer_id = c.consumer_id AND v.contract_id = (contract).contract_id
        WHERE (c.verifies OR r.verification) AND NOT coalesce(v.passed, false);
    END;
COMMENT ON FUNCTION mesh_outbox.verification_gaps(mesh_outbox.contract) IS
    'consumers whose tests must have passed before a version comes into force, and have not';
REVOKE EXECUTE ON FUNCTION mesh_outbox.verification_gaps(mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.record_verification(
    consumer text, product text, event_type text, version text, passed boolean, url text DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    concerned mesh_outbox.consumer;
BEGIN
    PERFORM mesh_outbox.require_consumer(consumer, product, format('answer for consumer "%s"', consumer));
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    IF passed IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'passed must not be NULL';
    END IF;
    SELECT * INTO concerned FROM mesh_outbox.consumers_of(contract) c
    WHERE c.name = record_verification.consumer ORDER BY c.event_type NULLS LAST LIMIT 1;
    IF concerned.consumer_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('consumer "%s" is not registered for major version %s of event type "%s" of product "%s"',
                             consumer, contract.major, event_type, product),
            HINT = 'See the view mesh_outbox.consumers.';
    END IF;
    INSERT INTO mesh_outbox.verification (contract_id, consumer_id, passed, url, recorded_by)
    SELECT contract.contract_id, concerned.consumer_id, record_verification.passed, record_verification.url, r.rolname
    FROM pg_roles r WHERE r.oid = mesh_outbox.caller()
    ON CONFLICT ON CONSTRAINT verification_pkey DO UPDATE
    SET passed = excluded.passed, url = excluded.url, recorded_by = excluded.recorded_by, recorded_at = now();
END
$$;
COMMENT ON FUNCTION mesh_outbox.record_verification(text, text, text, text, boolean, text) IS
    'records whether a consumer''s own tests pass against a contract version, and where to read about it; the last outcome counts';

CREATE FUNCTION mesh_outbox.set_verification(
    consumer text, product text, event_type text, needed boolean, major int DEFAULT NULL) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_consumer(consumer, product, format('answer for consumer "%s"', consumer));
    PERFORM mesh_outbox.lock_product(product);
    UPDATE mesh_outbox.consumer c SET verifies = needed
    WHERE c.name = set_verification.consumer AND c.product = set_verification.product
      AND c.event_type IS NOT DISTINCT FROM set_verification.event_type
      AND c.major = coalesce(set_verification.major, c.major);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('consumer "%s" of product "%s" is not registered', consumer, product),
            HINT = 'See the view mesh_outbox.consumers.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_verification(text, text, text, boolean, int) IS
    'whether no version comes into force before the consumer''s own tests have passed; major NULL: of all majors. set_change_rules() asks it of every consumer of a product';

-- ---------------------------------------------------------------------
-- Who keeps a version waiting
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.consumer_obstacle(contract mesh_outbox.contract, consumer mesh_outbox.consumer) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (
        SELECT CASE
            WHEN (contract).status <> 'proposed' THEN NULL
            WHEN n.objection IS NOT NULL AND n.overridden_at IS NULL THEN 'it objects: ' || n.objection
            WHEN n.created_at = now() THEN 'it has not been told yet'
            WHEN (contract).notice_until > mesh_outbox.present() AND n.acknowledged_at IS NULL
                 AND n.overridden_at IS NULL THEN 'it has not answered, and has notice'
            WHEN EXISTS (SELECT FROM mesh_outbox.expectation_breaches(contract, (consumer).expectation, (consumer).fields))
                 AND NOT EXISTS (SELECT FROM mesh_outbox.finding f
                                 WHERE f.contract_id = (contract).contract_id AND f.rule = 'consumer'
                                   AND f.breaks = format('%s (%s)', (consumer).name, (consumer).contact))
                THEN 'it relies on what the version takes away, and said so after the proposal'
            WHEN (consumer).name IN (SELECT g.consumer FROM mesh_outbox.verification_gaps(contract) g)
                THEN 'it has not verified it' END
        FROM (SELECT 1) one
        LEFT JOIN mesh_outbox.notification n
            ON n.contract_id = (contract).contract_id AND n.consumer_id = (consumer).consumer_id
               AND n.kind = 'proposal');
COMMENT ON FUNCTION mesh_outbox.consumer_obstacle(mesh_outbox.contract, mesh_outbox.consumer) IS
    'why a consumer keeps a proposal from coming into force; NULL when it does not';
REVOKE EXECUTE ON FUNCTION mesh_outbox.consumer_obstacle(mesh_outbox.contract, mesh_outbox.consumer) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.can_activate(product text, event_type text, version text DEFAULT NULL)
    RETURNS TABLE (consumer text, relies_on_major int, contract_version text, status text, verdict text, path text,
                   change text, counterexample jsonb, verified boolean, obstacle text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF can_activate.version IS NOT NULL THEN
        PERFORM mesh_outbox.find_contract(can_activate.product, can_activate.event_type, can_activate.version);
    ELSE
        PERFORM mesh_outbox.find_product(can_activate.product);
    END IF;
    RETURN QUERY
    SELECT s.name, s.major, mesh_outbox.version_text(c), c.status,
           CASE WHEN s.expectation IS NULL THEN 'no expectation' ELSE coalesce(b.verdict, 'proved') END,
           b.path, b.change, b.counterexample, v.passed,
           CASE WHEN s.major = c.major THEN mesh_outbox.consumer_obstacle(c, s) END
    FROM mesh_outbox.contract c
    JOIN mesh_outbox.consumer s
        ON s.product = c.product AND coalesce(s.event_type, c.event_type) = c.event_type
    LEFT JOIN LATERAL (SELECT * FROM mesh_outbox.expectation_breaches(c, s.expectation, s.fields)
                       ORDER BY verdict = 'refuted' DESC LIMIT 1) b ON true
    LEFT JOIN mesh_outbox.verification v ON v.contract_id = c.contract_id AND v.consumer_id = s.consumer_id
    WHERE c.product = can_activate.product AND c.event_type = can_activate.event_type
      AND CASE WHEN can_activate.version IS NULL THEN c.status IN ('proposed', 'active', 'deprecated')
               ELSE mesh_outbox.version_text(c) = can_activate.version END
    ORDER BY c.major, c.minor, c.patch, s.name, s.major, s.event_type;
END
$$;
COMMENT ON FUNCTION mesh_outbox.can_activate(text, text, text) IS
    'consumer × version (NULL: all that are proposed or in force, of every major): whether the version keeps what the consumer relies on, with the first breach and a counterexample, what the consumer''s tests say, and why it keeps the version waiting';

CREATE VIEW mesh_outbox.verifications AS
    SELECT s.name AS consumer, c.product, c.event_type, mesh_outbox.version_text(c) AS version, v.passed, v.url,
           v.recorded_by, v.recorded_at
    FROM mesh_outbox.verification v
    JOIN mesh_outbox.contract c USING (contract_id)
    JOIN mesh_outbox.consumer s USING (consumer_id);
COMMENT ON VIEW mesh_outbox.verifications IS 'outcome of consumers'' own tests against contract versions';
GRANT SELECT ON mesh_outbox.verifications TO PUBLIC;
