/* src/outbox/enforcement.sql: how strictly contracts are applied, and whether more would be safe */

CREATE FUNCTION mesh_outbox.key_bucket(key text) RETURNS int
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mo_key_bucket_sql';
COMMENT ON FUNCTION mesh_outbox.key_bucket(text) IS
    'place of a key in a roll-out, 0 to 99: a contract rolled out to n per cent of the keys is applied where it is below n';

CREATE FUNCTION mesh_outbox.set_enforcement(
    product text, event_type text, version text, enforcement text, reason text, percent_of_keys int DEFAULT 100)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain,
                                       'change the enforcement of a contract');
    PERFORM mesh_outbox.check_enforcement(enforcement);
    PERFORM mesh_outbox.require_text('reason', reason);
    IF percent_of_keys IS NULL OR percent_of_keys NOT BETWEEN 0 AND 100 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid percentage %s', coalesce(percent_of_keys::text, 'NULL')),
            DETAIL = 'Allowed is 0 to 100.';
    END IF;
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    UPDATE mesh_outbox.contract c
    SET enforcement = set_enforcement.enforcement, enforcement_reason = set_enforcement.reason,
        rollout = percent_of_keys, enforced_at = now()
    WHERE c.contract_id = contract.contract_id;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_enforcement(text, text, text, text, text, int) IS
    'how strictly a contract version is applied from the commit on: off, observe, quarantine or enforce; with percent_of_keys to the events of some keys only (key_bucket() says which), while the others are observed';

-- ---------------------------------------------------------------------
-- The administrator's ways back
-- ---------------------------------------------------------------------

-- Takes no product's lock: a proposal that is being checked for minutes does
-- not keep it waiting.
CREATE FUNCTION mesh_outbox.observe_only(reason text, product text DEFAULT NULL) RETURNS bigint
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM mesh_outbox.require_steward(
        CASE WHEN product IS NOT NULL THEN (mesh_outbox.find_product(product)).domain END, 'put contracts under observation');
    PERFORM mesh_outbox.require_text('reason', reason);
    UPDATE mesh_outbox.contract c
    SET enforcement = 'observe', enforcement_reason = reason, rollout = 100, enforced_at = now()
    WHERE c.product = coalesce(observe_only.product, c.product)
      AND c.status IN ('active', 'deprecated') AND c.enforcement IN ('quarantine', 'enforce');
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION mesh_outbox.observe_only(text, text) IS
    'sets all contract versions in use of a product (NULL: of all) back to observe at once, and returns how many; for administrators, and for one product the steward of its domain';

CREATE FUNCTION mesh_outbox.cap_enforcement(enforcement text, reason text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_admin('cap the enforcement of all contracts');
    PERFORM mesh_outbox.check_enforcement(enforcement);
    PERFORM mesh_outbox.require_text('reason', reason);
    INSERT INTO mesh_outbox.enforcement_cap (enforcement, reason, set_by)
    SELECT cap_enforcement.enforcement, cap_enforcement.reason, r.rolname
    FROM pg_roles r WHERE r.oid = mesh_outbox.caller()
    ON CONFLICT ON CONSTRAINT enforcement_cap_pkey DO UPDATE
    SET enforcement = excluded.enforcement, reason = excluded.reason, set_by = excluded.set_by, set_at = now();
END
$$;
COMMENT ON FUNCTION mesh_outbox.cap_enforcement(text, text) IS
    'for emergencies: from the commit on no contract of the database is enforced beyond off, observe or quarantine, whatever it says; enforce takes the cap away. For administrators';

CREATE VIEW mesh_outbox.enforcement_caps AS
    SELECT c.enforcement, c.reason, c.set_by, c.set_at FROM mesh_outbox.enforcement_cap c
    WHERE c.enforcement <> 'enforce';
COMMENT ON VIEW mesh_outbox.enforcement_caps IS
    'beyond what no contract of the database is enforced, set with cap_enforcement(); no row: no cap';
GRANT SELECT ON mesh_outbox.enforcement_caps TO PUBLIC;

-- ---------------------------------------------------------------------
-- What would be refused
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.violated_places(
    OUT contract_id bigint, OUT place text, OUT rule text, OUT events bigint,
    OUT first_at timestamptz, OUT last_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'mo_violated_show';
COMMENT ON FUNCTION mesh_outbox.violated_places() IS
    'rules of this database''s contracts that events broke which passed all the same; see the view violated_rules';

-- The keyword ends the place; what is between says which values it is about.
CREATE FUNCTION mesh_outbox.path_of_place(place text, rule text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    steps text[] := string_to_array(substr(place, 2), '/');
    path text := '';
    i int := 1;
BEGIN
    IF rule IN ('key', 'key_schema', 'event_time', 'lateness') THEN
        RETURN place;
    END IF;
    WHILE i <= cardinality(steps) LOOP
        IF steps[i] = 'properties' THEN
            path := path || coalesce('/' || steps[i + 1], '');
            i := i + 2;
        ELSIF i < cardinality(steps)
              AND steps[i] IN ('items', 'contains', 'additionalProperties', 'unevaluatedProperties',
                               'prefixItems', 'patternProperties') THEN
            path := path || '/*';
            i := i + CASE WHEN steps[i] IN ('prefixItems', 'patternProperties') THEN 2 ELSE 1 END;
        ELSIF steps[i] IN ('allOf', 'anyOf', 'oneOf', '$defs', 'definitions', 'dependentSchemas') THEN
            i := i + 2;
        ELSE
            i := i + 1;
        END IF;
    END LOOP;
    RETURN path;
END
$$;
COMMENT ON FUNCTION mesh_outbox.path_of_place(text, text) IS
    'the values of a document, * for any, that a keyword at a place of the schema is about; below a shared definition, as seen from there';

CREATE VIEW mesh_outbox.violated_rules AS
    SELECT c.product, c.event_type, c.version, c.enforcement, mesh_outbox.path_of_place(v.place, v.rule) AS path,
           v.rule, v.events, v.first_at, v.last_at, v.place, c.contract_id
    FROM mesh_outbox.violated_places() v JOIN mesh_outbox.contracts c USING (contract_id);
COMMENT ON VIEW mesh_outbox.violated_rules IS
    'what events that were observed or quarantined broke, by place and rule, since the start of the server (the 1024 latest rules; none without preload)';
COMMENT ON COLUMN mesh_outbox.violated_rules.path IS 'JSON Pointer to the values it is about, * for any';
COMMENT ON COLUMN mesh_outbox.violated_rules.place IS 'JSON Pointer to the keyword in the schema';
GRANT SELECT ON mesh_outbox.violated_rules TO PUBLIC;

CREATE FUNCTION mesh_outbox.is_enforce_safe(
    product text, event_type text, version text, calm_time interval DEFAULT NULL)
    RETURNS TABLE (condition text, holds boolean, detail text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    calm interval;
    last_at timestamptz;
    inserted text;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain,
                                       'ask whether a contract can be enforced');
    contract := mesh_outbox.find_contract(product, event_type, version);
    calm := coalesce(calm_time, (mesh_outbox.change_rules_of(product)).calm_time);
    SELECT v.last_at INTO last_at FROM mesh_outbox.violation_counters() v
    WHERE v.contract_id = contract.contract_id;
    inserted := mesh_outbox.recent_inserts(contract, contract.enforced_at);
    RETURN QUERY
    WITH conditions (condition, holds, detail) AS (
        VALUES
            (format('it has been watched for %s', calm),
             contract.enforcement <> 'off' AND mesh_outbox.is_in_force(contract)
             AND greatest(contract.enforced_at, contract.activated_at) <= now() - calm,
             format('%s since %s', contract.enforcement, greatest(contract.enforced_at, contract.activated_at))),
            (format('violations have been counted for %s', calm),
             mesh_outbox.is_preloaded() AND pg_postmaster_start_time() <= now() - calm,
             CASE WHEN mesh_outbox.is_preloaded()
                  THEN format('since the start of the server at %s', pg_postmaster_start_time())
                  ELSE 'mesh_outbox is not preloaded' END),
            ('events were inserted meanwhile', inserted IS NOT NULL, coalesce('into ' || inserted, 'into no outbox')),
            (format('none was in breach for %s', calm), last_at IS NULL OR last_at <= now() - calm,
             coalesce('the last one at ' || last_at, 'never')))
    SELECT * FROM conditions c
    UNION ALL
    SELECT 'enforce is safe', bool_and(c.holds), NULL FROM conditions c;
END
$$;
COMMENT ON FUNCTION mesh_outbox.is_enforce_safe(text, text, text, interval) IS
    'whether a contract version can be enforced without refusing what producers send now, condition by condition, the verdict last: no event may have been in breach for calm_time (NULL: as set_change_rules() says)';
