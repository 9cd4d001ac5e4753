/* src/mesh/life.sql: how contract versions end, and the way back */

-- ---------------------------------------------------------------------
-- Deprecation and sunset
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.require_status(contract mesh_outbox.contract, VARIADIC allowed text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF contract.status <> ALL (allowed) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('contract %s %s of product "%s" is %s, %s', contract.event_type,
                             mesh_outbox.version_text(contract), contract.product, contract.status,
                             CASE cardinality(allowed) WHEN 1 THEN 'not ' ELSE 'neither ' END
                             || array_to_string(allowed, ' nor '));
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_status(mesh_outbox.contract, text[]) IS 'error unless a contract has one of these statuses';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_status(mesh_outbox.contract, text[]) FROM PUBLIC;

-- Consumers of a major are concerned only by the version in force.
CREATE FUNCTION mesh_outbox.is_in_force(contract mesh_outbox.contract) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (contract).contract_id = (mesh_outbox.contract_in_force(
        (contract).product, (contract).event_type, (contract).major)).contract_id;
COMMENT ON FUNCTION mesh_outbox.is_in_force(mesh_outbox.contract) IS
    'whether INSERTs of a contract''s major are checked against this version';
REVOKE EXECUTE ON FUNCTION mesh_outbox.is_in_force(mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.deprecate_contract(
    product text, event_type text, version text, sunset timestamptz DEFAULT NULL) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    earliest timestamptz := mesh_outbox.present() + (mesh_outbox.change_rules_of(product)).sunset_notice;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain, 'deprecate a contract');
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    PERFORM mesh_outbox.require_status(contract, 'active');
    IF sunset < earliest THEN
        PERFORM mesh_outbox.require_admin(format('end a contract in less than %s',
                                                 (mesh_outbox.change_rules_of(product)).sunset_notice));
    END IF;
    UPDATE mesh_outbox.contract c
    SET status = 'deprecated', deprecated_at = mesh_outbox.present(), sunset_at = coalesce(sunset, earliest)
    WHERE c.contract_id = contract.contract_id;
    IF mesh_outbox.is_in_force(contract) THEN
        PERFORM mesh_outbox.notify_consumers(contract, 'deprecation');
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.deprecate_contract(text, text, text, timestamptz) IS
    'announces the end of a contract version (default: after the product''s sunset_notice, 90 days) and tells its consumers; it stays in force until it is retired';

CREATE FUNCTION mesh_outbox.postpone_sunset(
    product text, event_type text, version text, sunset timestamptz, reason text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain, 'postpone a sunset');
    PERFORM mesh_outbox.require_text('reason', reason);
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    PERFORM mesh_outbox.require_status(contract, 'deprecated');
    IF sunset IS NULL OR sunset <= contract.sunset_at THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a sunset can only be postponed',
            DETAIL = format('It is announced for %s.', contract.sunset_at);
    END IF;
    UPDATE mesh_outbox.contract c
    SET sunset_at = sunset, sunset_reached = false, end_reason = reason
    WHERE c.contract_id = contract.contract_id;
    IF mesh_outbox.is_in_force(contract) THEN
        PERFORM mesh_outbox.notify_consumers(contract, 'postponement');
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.postpone_sunset(text, text, text, timestamptz, text) IS
    'moves the announced end of a deprecated contract version to a later time, and tells its consumers; it is never moved nearer';

-- ---------------------------------------------------------------------
-- Retirement
-- ---------------------------------------------------------------------

-- Outboxes that hold an event of a major that was inserted after a time.
CREATE FUNCTION mesh_outbox.recent_inserts(contract mesh_outbox.contract, since timestamptz) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outbox mesh_outbox.outbox;
    newest timestamptz;
    found_in text[] := '{}';
BEGIN
    FOR outbox IN
        SELECT o.* FROM mesh_outbox.outbox o JOIN pg_class c ON c.oid = o.relation
        WHERE o.product = contract.product ORDER BY o.relation::text
    LOOP
        SELECT e.newest INTO newest
        FROM mesh_outbox.read_as(
            mesh_outbox.reader_of(outbox),
            format('SELECT max(%1$I) FROM %2$s WHERE %3$I = $1 AND %4$I = $2 AND %1$I > $3',
                   coalesce(outbox.columns ->> 'created_at', 'created_at'), outbox.relation,
                   coalesce(outbox.columns ->> 'event_type', 'event_type'),
                   coalesce(outbox.columns ->> 'major_version', 'major_version')),
            contract.event_type, contract.major, since) AS e (newest timestamptz);
        IF newest IS NOT NULL THEN
            found_in := found_in || outbox.relation::text;
        END IF;
    END LOOP;
    RETURN nullif(array_to_string(found_in, ', '), '');
END
$$;
COMMENT ON FUNCTION mesh_outbox.recent_inserts(mesh_outbox.contract, timestamptz) IS
    'outboxes into which events of a contract''s major were inserted after a time; NULL: none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.recent_inserts(mesh_outbox.contract, timestamptz) FROM PUBLIC;

-- Only the end of a major takes something away from somebody.
CREATE FUNCTION mesh_outbox.retirement_obstacle(contract mesh_outbox.contract) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    idle_time interval := (mesh_outbox.change_rules_of(contract.product)).idle_time;
    consumers text;
    objections text;
    outboxes text;
BEGIN
    IF NOT mesh_outbox.is_in_force(contract) THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(format('%s: %s', c.name, n.objection), '; ' ORDER BY c.name) INTO objections
    FROM mesh_outbox.notification n JOIN mesh_outbox.consumer c USING (consumer_id)
    WHERE n.contract_id = contract.contract_id AND n.kind = 'deprecation'
      AND n.objection IS NOT NULL AND n.overridden_at IS NULL;
    SELECT string_agg(DISTINCT format('%s (%s)', c.name, c.contact), ', ' ORDER BY format('%s (%s)', c.name, c.contact))
    INTO consumers FROM mesh_outbox.consumers_of(contract) c;
    outboxes := mesh_outbox.recent_inserts(contract, now() - idle_time);
    RETURN nullif(concat_ws(' ',
        'Consumers rely on its major version: ' || consumers || '.',
        'They object to its end: ' || objections || '.',
        format('Events were inserted within %s into ', idle_time) || outboxes || '.',
        'Its sunset is announced for ' || CASE WHEN contract.sunset_at > mesh_outbox.present()
                                               THEN contract.sunset_at END || '.'), '');
END
$$;
COMMENT ON FUNCTION mesh_outbox.retirement_obstacle(mesh_outbox.contract) IS
    'who would lose what if a contract version were retired; NULL: nobody';
REVOKE EXECUTE ON FUNCTION mesh_outbox.retirement_obstacle(mesh_outbox.contract) FROM PUBLIC;

-- The versions below it go with it: were they left, the next lower one would
-- come back into force in silence.
CREATE FUNCTION mesh_outbox.end_contract(contract mesh_outbox.contract, reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF mesh_outbox.is_in_force(contract) THEN
        PERFORM mesh_outbox.notify_consumers(contract, 'retirement');
    END IF;
    UPDATE mesh_outbox.contract c
    SET status = 'retired', retired_at = mesh_outbox.present(), end_reason = coalesce(reason, c.end_reason)
    WHERE c.product = (end_contract.contract).product AND c.event_type = (end_contract.contract).event_type
      AND c.major = (end_contract.contract).major
      AND (c.minor, c.patch) <= ((end_contract.contract).minor, (end_contract.contract).patch)
      AND c.status IN ('active', 'deprecated');
END
$$;
COMMENT ON FUNCTION mesh_outbox.end_contract(mesh_outbox.contract, text) IS
    'retires a contract version and the lower ones of its major, and tells the consumers';
REVOKE EXECUTE ON FUNCTION mesh_outbox.end_contract(mesh_outbox.contract, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.retire_contract(
    product text, event_type text, version text, force_reason text DEFAULT NULL) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    obstacle text;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain, 'retire a contract');
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    PERFORM mesh_outbox.require_status(contract, 'active', 'deprecated');
    IF force_reason IS NOT NULL THEN
        PERFORM mesh_outbox.require_text('force_reason', force_reason);
    ELSE
        obstacle := mesh_outbox.retirement_obstacle(contract);
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_in_use',
                MESSAGE = format('contract %s %s of product "%s" is in use', event_type, version, product),
                DETAIL = obstacle,
                HINT = 'Deprecate it and wait until nobody needs it, or say with force_reason why it must end now.';
        END IF;
    END IF;
    PERFORM mesh_outbox.end_contract(contract, force_reason);
END
$$;
COMMENT ON FUNCTION mesh_outbox.retire_contract(text, text, text, text) IS
    'ends a contract version and the lower ones of its major; INSERTs that no other version of the major accepts are refused from the commit on. Refused while the major has consumers, recent events or a sunset to come, unless force_reason says why';

CREATE FUNCTION mesh_outbox.manages(domain text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN mesh_outbox.is_admin(mesh_outbox.caller())
        OR EXISTS (SELECT FROM mesh_outbox.domain d JOIN pg_roles r ON r.oid = d.owner
                   WHERE d.name = domain AND pg_has_role(mesh_outbox.caller()::oid, r.oid, 'USAGE'));
COMMENT ON FUNCTION mesh_outbox.manages(text) IS 'whether the caller has the rights of a domain''s owning role';
REVOKE EXECUTE ON FUNCTION mesh_outbox.manages(text) FROM PUBLIC;

-- Says what became of it; NULL when there is nothing to do any more.
CREATE FUNCTION mesh_outbox.reach_sunset(contract_id bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    obstacle text;
BEGIN
    SELECT * INTO contract FROM mesh_outbox.contract c WHERE c.contract_id = reach_sunset.contract_id;
    PERFORM mesh_outbox.lock_product(contract.product);
    -- it may have been postponed, or ended, while this waited
    SELECT * INTO contract FROM mesh_outbox.contract c
    WHERE c.contract_id = reach_sunset.contract_id AND c.status = 'deprecated'
      AND c.sunset_at <= mesh_outbox.present();
    IF contract.contract_id IS NULL THEN
        RETURN NULL;
    END IF;
    obstacle := mesh_outbox.retirement_obstacle(contract);
    IF obstacle IS NULL AND (mesh_outbox.change_rules_of(contract.product)).retire_at_sunset THEN
        PERFORM mesh_outbox.end_contract(contract, 'sunset');
        RETURN 'retired';
    END IF;
    obstacle := coalesce(obstacle, 'Nobody uses it: it can be retired.');
    IF NOT contract.sunset_reached THEN
        UPDATE mesh_outbox.contract c SET sunset_reached = true WHERE c.contract_id = contract.contract_id;
        IF mesh_outbox.is_in_force(contract) THEN
            PERFORM mesh_outbox.notify_consumers(contract, 'sunset');
        END IF;
        RAISE WARNING USING
            MESSAGE = format('the sunset of contract %s %s of product "%s" is reached', contract.event_type,
                             mesh_outbox.version_text(contract), contract.product),
            DETAIL = obstacle;
    END IF;
    RETURN obstacle;
END
$$;
COMMENT ON FUNCTION mesh_outbox.reach_sunset(bigint) IS
    'warns of a sunset that is reached and tells the consumers, once, or retires the version where that is chosen';
REVOKE EXECUTE ON FUNCTION mesh_outbox.reach_sunset(bigint) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.reach_sunsets()
    RETURNS TABLE (product text, event_type text, version text, sunset_at timestamptz, outcome text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.product, c.event_type, mesh_outbox.version_text(c), c.sunset_at, r.outcome
    FROM (SELECT e.contract_id, mesh_outbox.reach_sunset(e.contract_id) AS outcome
          FROM (SELECT c.contract_id FROM mesh_outbox.contract c JOIN mesh_outbox.product p ON p.name = c.product
                WHERE c.status = 'deprecated' AND c.sunset_at <= mesh_outbox.present()
                  AND mesh_outbox.manages(p.domain)
                ORDER BY c.product, c.contract_id) e) r
    JOIN mesh_outbox.contract c USING (contract_id)
    WHERE r.outcome IS NOT NULL
    ORDER BY c.product, c.contract_id;
END
$$;
COMMENT ON FUNCTION mesh_outbox.reach_sunsets() IS
    'the caller''s contract versions whose sunset is reached, and what became of each: warns and tells the consumers once, retires those that nobody uses where retire_at_sunset is set. A running publisher has it done by itself, see run_due()';

-- ---------------------------------------------------------------------
-- The way back
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.revert_contract(product text, event_type text, version text, reason text) RETURNS text
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    previous mesh_outbox.contract;
    losers text;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain, 'revert a contract');
    PERFORM mesh_outbox.require_text('reason', reason);
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    IF mesh_outbox.is_in_force(contract) IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('contract %s %s of product "%s" is not in force', event_type, version, product);
    END IF;
    SELECT * INTO previous FROM mesh_outbox.earlier_versions(contract) LIMIT 1;
    IF previous.contract_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('contract %s %s of product "%s" is the first of its major', event_type, version, product),
            HINT = 'mesh_outbox.retire_contract() ends a major.';
    END IF;
    -- as an activation does, but whoever is in the way does not stop it
    BEGIN
        PERFORM mesh_outbox.lock_outboxes(product);
    EXCEPTION WHEN lock_not_available THEN
        RAISE WARNING USING
            MESSAGE = format('the outboxes of product "%s" are in use by %s', product,
                             coalesce(mesh_outbox.cut_over_blockers(product), 'a transaction that has just ended')),
            DETAIL = 'What it has inserted under the version that is taken back may follow the control event.';
    END;
    PERFORM mesh_outbox.notify_consumers(contract, 'reversion');
    UPDATE mesh_outbox.contract c SET status = 'retired', retired_at = mesh_outbox.present(), end_reason = reason
    WHERE c.contract_id = contract.contract_id;
    SELECT string_agg(DISTINCT format('%s: %s', c.name, b.change), '; ' ORDER BY format('%s: %s', c.name, b.change))
    INTO losers
    FROM mesh_outbox.consumers_of(previous) c, LATERAL mesh_outbox.expectation_breaches(previous, c.expectation, c.fields) b;
    IF losers IS NOT NULL THEN
        RAISE WARNING USING
            MESSAGE = format('contract %s %s of product "%s" does not keep what consumers rely on', event_type,
                             mesh_outbox.version_text(previous), product),
            DETAIL = losers;
    END IF;
    RETURN mesh_outbox.version_text(previous);
END
$$;
COMMENT ON FUNCTION mesh_outbox.revert_contract(text, text, text, text) IS
    'takes the version in force back at once: from the commit on events are checked against the one before it, whose version is returned. INSERTs wait until then, those in flight are waited for 100 ms per outbox, and a warning names them if they go on. Consumers are told; a warning names those that rely on what is gone';
