/* src/mesh/policies.sql: governance rules that are SQL functions */

-- The function is kept by name: pg_upgrade does not keep function OIDs.
CREATE TABLE mesh_outbox.policy (
    name        text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    schema_name name NOT NULL,
    function    name NOT NULL,
    -- NULL: all; else a domain's name or a product's
    scope       text,
    owner       regrole NOT NULL,
    description text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    version     int NOT NULL DEFAULT 1
);
COMMENT ON TABLE mesh_outbox.policy IS
    'governance rules: functions from a proposed contract (jsonb) to violations (severity, path, message)';

-- Beside the definition, so that dumps carry it for the shipped policies too.
CREATE TABLE mesh_outbox.policy_state (
    policy text PRIMARY KEY REFERENCES mesh_outbox.policy ON DELETE CASCADE,
    state  text NOT NULL CHECK (state IN ('trial', 'active', 'suspended'))
);
COMMENT ON TABLE mesh_outbox.policy_state IS 'policies that are no longer, or not only, in trial';

CREATE FUNCTION mesh_outbox.state_of_policy(policy text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT s.state FROM mesh_outbox.policy_state s WHERE s.policy = state_of_policy.policy), 'trial');
COMMENT ON FUNCTION mesh_outbox.state_of_policy(text) IS 'trial (the default), active or suspended';
REVOKE EXECUTE ON FUNCTION mesh_outbox.state_of_policy(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.run_policy(owner oid, query text, contract jsonb) RETURNS jsonb
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'mesh_outbox_run_policy';
COMMENT ON FUNCTION mesh_outbox.run_policy(oid, text, jsonb) IS
    'runs a policy as its owner, read-only, for 2 s at most';
REVOKE EXECUTE ON FUNCTION mesh_outbox.run_policy(oid, text, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.policy_violations(policy mesh_outbox.policy, contract mesh_outbox.contract)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE plpgsql ROWS 1
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    -- the shipped ones run as nobody in particular
    runs_as oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = 'mesh_outbox_owner');
    found jsonb;
BEGIN
    IF policy.schema_name <> 'mesh_outbox' THEN
        runs_as := policy.owner;
        -- By name: what is there now may be somebody else's.
        IF NOT EXISTS (SELECT FROM pg_proc f
                       WHERE f.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = policy.schema_name)
                         AND f.proname = policy.function AND f.pronargs = 1
                         AND f.proargtypes[0] = 'jsonb'::regtype AND f.proowner = policy.owner) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'undefined_function',
                MESSAGE = format('function %I.%I(jsonb) of %s does not exist any more',
                                 policy.schema_name, policy.function, policy.owner);
        END IF;
    END IF;
    found := mesh_outbox.run_policy(runs_as,
        format('SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(v)), ''[]'') FROM %I.%I($1) v',
               policy.schema_name, policy.function),
        to_jsonb(contract));
    RETURN QUERY SELECT coalesce(v ->> 'severity', 'error'), v ->> 'path', v ->> 'message'
                 FROM jsonb_array_elements(found) v;
EXCEPTION
    WHEN OTHERS THEN
        RETURN QUERY SELECT 'failed', NULL::text, format('policy "%s" failed: %s', policy.name, SQLERRM);
END
$$;
COMMENT ON FUNCTION mesh_outbox.policy_violations(mesh_outbox.policy, mesh_outbox.contract) IS
    'what a policy says about a contract; its own failure is a row of severity failed';
REVOKE EXECUTE ON FUNCTION mesh_outbox.policy_violations(mesh_outbox.policy, mesh_outbox.contract) FROM PUBLIC;

-- In trial a policy only reports, and is suspended when it fails (record_proposal);
-- an active one that fails refuses, or it could be switched off by breaking it.
CREATE FUNCTION mesh_outbox.policy_findings(contract mesh_outbox.contract)
    RETURNS TABLE (severity text, rule text, path text, breaks text, message text, counterexample jsonb, hint text)
    LANGUAGE sql ROWS 5
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT CASE WHEN mesh_outbox.state_of_policy(p.name) = 'active' AND v.severity IN ('error', 'failed') THEN 'error' ELSE 'warning' END,
               'policy ' || p.name, v.path, NULL::text, v.message, NULL::jsonb,
               CASE v.severity WHEN 'failed' THEN format('Its steward suspends it with mesh_outbox.set_policy(%L, ''suspended'').', p.name)
                               ELSE p.description END
        FROM mesh_outbox.policy p CROSS JOIN LATERAL mesh_outbox.policy_violations(p, policy_findings.contract) v
        WHERE mesh_outbox.state_of_policy(p.name) <> 'suspended'
          AND coalesce(p.scope, (policy_findings.contract).product)
              IN ((policy_findings.contract).product, split_part((policy_findings.contract).product, '.', 1))
        ORDER BY p.name, v.path, v.message;
    END;
COMMENT ON FUNCTION mesh_outbox.policy_findings(mesh_outbox.contract) IS 'what the policies in scope say about a contract';
REVOKE EXECUTE ON FUNCTION mesh_outbox.policy_findings(mesh_outbox.contract) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.create_policy(name text, function text, description text, scope text DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[] := parse_ident(function);
    procedure pg_proc;
BEGIN
    PERFORM mesh_outbox.require_steward(split_part(scope, '.', 1), 'create a policy');
    PERFORM mesh_outbox.require_text('description', description);
    SELECT p.* INTO procedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = parts[1] AND p.proname = parts[2] AND p.proargtypes = ARRAY['jsonb'::regtype::oid]::oidvector;
    IF procedure.oid IS NULL OR cardinality(parts) <> 2 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_function',
            MESSAGE = format('function %s(jsonb) does not exist', function),
            HINT = 'A policy is named schema.function; it takes the contract as jsonb and returns a table (severity text, path text, message text).';
    END IF;
    IF procedure.provolatile = 'v' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_object_definition',
            MESSAGE = format('function %s(jsonb) is volatile', function),
            DETAIL = 'A policy says the same about the same contract: it is STABLE or IMMUTABLE.';
    END IF;
    IF NOT mesh_outbox.is_admin(mesh_outbox.caller())
       AND NOT pg_has_role(mesh_outbox.caller()::oid, procedure.proowner, 'USAGE') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('must be owner of function %s(jsonb)', function),
            DETAIL = 'A policy runs as the owner of its function.';
    END IF;
    IF scope IS NOT NULL AND NOT EXISTS (SELECT FROM mesh_outbox.domain d WHERE d.name = scope) THEN
        PERFORM mesh_outbox.find_product(scope);
    END IF;
    IF EXISTS (SELECT FROM mesh_outbox.policy p WHERE p.name = create_policy.name) THEN
        PERFORM mesh_outbox.require_policy(name, 'change a policy');
    END IF;
    INSERT INTO mesh_outbox.policy (name, schema_name, function, scope, owner, description)
    VALUES (create_policy.name, parts[1], parts[2], create_policy.scope, procedure.proowner, create_policy.description)
    ON CONFLICT ON CONSTRAINT policy_pkey DO UPDATE
    SET schema_name = excluded.schema_name, function = excluded.function, scope = excluded.scope, owner = excluded.owner,
        description = excluded.description, created_at = excluded.created_at, version = policy.version + 1
    WHERE policy.schema_name <> 'mesh_outbox';
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('policy "%s" is one of mesh_outbox''s own', name),
            HINT = 'Suspend it with mesh_outbox.set_policy(), and give yours another name.';
    END IF;
    DELETE FROM mesh_outbox.policy_state s WHERE s.policy = create_policy.name;
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_policy(text, text, text, text) IS
    'makes a function (schema.function, contract jsonb → severity, path, message) a policy, in trial, or the next version of one that there is, in trial again; for all, a domain or a product; for administrators, and the steward of that domain with a function of his own';

CREATE FUNCTION mesh_outbox.require_policy(name text, action text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    policy mesh_outbox.policy;
BEGIN
    SELECT * INTO policy FROM mesh_outbox.policy p WHERE p.name = require_policy.name;
    PERFORM mesh_outbox.require_steward(split_part(policy.scope, '.', 1), action);
    IF policy.name IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('policy "%s" does not exist', name),
            HINT = 'See the view mesh_outbox.policies.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_policy(text, text) IS
    'error unless there is such a policy and the caller may decide about it: the steward of its scope, an administrator';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_policy(text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.set_policy(name text, state text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_policy(name, 'change a policy');
    IF state IS NULL OR state NOT IN ('trial', 'active', 'suspended') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid state "%s" of a policy', state),
            DETAIL = 'Allowed is trial (reports only), active (refuses) or suspended.';
    END IF;
    INSERT INTO mesh_outbox.policy_state (policy, state) VALUES (set_policy.name, set_policy.state)
    ON CONFLICT ON CONSTRAINT policy_state_pkey DO UPDATE SET state = excluded.state;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_policy(text, text) IS
    'puts a policy in trial (reports only), into force (active), or out of it (suspended); for administrators and the steward of its scope';

CREATE FUNCTION mesh_outbox.drop_policy(name text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_policy(name, 'drop a policy');
    DELETE FROM mesh_outbox.policy p WHERE p.name = drop_policy.name AND p.schema_name <> 'mesh_outbox';
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('policy "%s" does not exist, or is one of mesh_outbox''s own', name),
            HINT = 'Those are suspended with mesh_outbox.set_policy().';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.drop_policy(text) IS 'drops a policy that is not one of mesh_outbox''s own; for administrators and the steward of its scope';

CREATE FUNCTION mesh_outbox.policy_impact(policy text)
    RETURNS TABLE (product text, event_type text, version text, severity text, path text, message text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM mesh_outbox.require_policy(policy, 'measure a policy''s impact');
    RETURN QUERY
    SELECT c.product, c.event_type, mesh_outbox.version_text(c), v.severity, v.path, v.message
    FROM mesh_outbox.policy p, mesh_outbox.contract c, LATERAL mesh_outbox.policy_violations(p, c) v
    WHERE p.name = policy AND c.status IN ('proposed', 'active', 'deprecated')
      AND coalesce(p.scope, c.product) IN (c.product, split_part(c.product, '.', 1))
    ORDER BY c.product, c.event_type, c.contract_id, v.path, v.message;
END
$$;
COMMENT ON FUNCTION mesh_outbox.policy_impact(text) IS
    'what a policy says about the contracts of today; for administrators and the steward of its scope';

-- ---------------------------------------------------------------------
-- Shipped policies
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.policy_money_is_exact(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'error', p.pointer, 'an amount of money is a JSON number with fractions, which readers take for a float; use a string or integer minor units'
        FROM mesh_outbox.declared_properties(contract -> 'resolved_schema') p
        WHERE p.subschema -> 'x-money' = 'true' AND p.subschema -> 'type' @> '"number"';
    END;
COMMENT ON FUNCTION mesh_outbox.policy_money_is_exact(jsonb) IS
    'money (marked x-money) is never a floating-point number: 0.1 + 0.2 is not 0.3 to most readers';

CREATE FUNCTION mesh_outbox.policy_described(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', p.pointer, 'the property has no description'
        FROM mesh_outbox.declared_properties(contract -> 'resolved_schema') p
        WHERE jsonb_typeof(p.subschema) = 'object' AND NOT p.subschema ?| ARRAY['description', '$ref'];
    END;
COMMENT ON FUNCTION mesh_outbox.policy_described(jsonb) IS
    'every property is described: readers in other domains do not know what the team knows';

CREATE FUNCTION mesh_outbox.policy_bounded(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', p.pointer,
               CASE WHEN p.subschema -> 'type' @> '"array"' THEN 'the array has no maxItems' ELSE 'the string has no maxLength' END
        FROM mesh_outbox.declared_properties(contract -> 'resolved_schema') p
        WHERE p.subschema -> 'type' @> '"array"' AND NOT p.subschema ? 'maxItems'
           OR p.subschema -> 'type' @> '"string"' AND NOT p.subschema ?| ARRAY['maxLength', 'enum', 'const', 'format', 'pattern'];
    END;
COMMENT ON FUNCTION mesh_outbox.policy_bounded(jsonb) IS
    'strings and arrays have limits: readers allocate for what they are sent';

CREATE FUNCTION mesh_outbox.policy_times_have_zones(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', p.pointer, 'a point in time is a string of format date-time, which has a time zone'
        FROM mesh_outbox.declared_properties(contract -> 'resolved_schema') p
        WHERE p.pointer ~ '_(at|time)$' AND jsonb_typeof(p.subschema) = 'object'
          AND NOT p.subschema ? '$ref' AND p.subschema ->> 'format' IS DISTINCT FROM 'date-time';
    END;
COMMENT ON FUNCTION mesh_outbox.policy_times_have_zones(jsonb) IS
    'times (named …_at or …_time) have a zone: readers are elsewhere';

CREATE FUNCTION mesh_outbox.is_personal_name(name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN mesh_outbox.folded_name(name)
           ~ '^(e?mail(address)?|phone(number)?|mobile|firstname|lastname|fullname|birthdate|dateofbirth|iban|ssn|passport(number)?|ipaddress)$';
COMMENT ON FUNCTION mesh_outbox.is_personal_name(text) IS 'whether a property of that name is probably about a person';

CREATE FUNCTION mesh_outbox.policy_personal_data_classified(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'error', p.pointer, 'it looks like personal data and has no x-privacy'
        FROM mesh_outbox.declared_properties(contract -> 'resolved_schema') p
        WHERE mesh_outbox.is_personal_name(regexp_replace(p.pointer, '^.*/', ''))
          AND NOT coalesce(p.subschema ? 'x-privacy', false);
    END;
COMMENT ON FUNCTION mesh_outbox.policy_personal_data_classified(jsonb) IS
    'personal data is classified (x-privacy), so that it can be masked and found: the law asks for it';

CREATE FUNCTION mesh_outbox.policy_names(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', NULL::text, format('the event type "%s" is not in PascalCase', contract ->> 'event_type')
        WHERE contract ->> 'event_type' !~ '^([A-Z][a-z0-9]*)+$'
        UNION ALL
        SELECT 'warning', p.pointer, 'the property is not in snake_case'
        FROM mesh_outbox.declared_properties(contract -> 'resolved_schema') p
        WHERE regexp_replace(p.pointer, '^.*/', '') !~ '^[a-z][a-z0-9]*(_[a-z0-9]+)*$'
        UNION ALL
        SELECT 'warning', NULL, format('the topic "%s" does not begin with the name of its product', contract ->> 'topic')
        WHERE NOT starts_with(contract ->> 'topic', contract ->> 'product');
    END;
COMMENT ON FUNCTION mesh_outbox.policy_names(jsonb) IS
    'event types in PascalCase, properties in snake_case, topics after their products: one style is found by all';

CREATE FUNCTION mesh_outbox.policy_identifiers_are_terms(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', p.pointer, 'an identifier is no term of the dictionary'
        FROM mesh_outbox.declared_properties(contract -> 'resolved_schema') p
        WHERE p.pointer ~ '(_id|Id)$' AND p.pointer <> contract ->> 'key_pointer'
          AND coalesce(p.subschema ->> '$id', '') NOT LIKE 'term:%';
    END;
COMMENT ON FUNCTION mesh_outbox.policy_identifiers_are_terms(jsonb) IS
    'identifiers (named …_id, but for the event''s own key) are terms: what joins the events of two domains must mean the same in both';

-- Of a few alternatives only: there are as many pairs as their square.
CREATE FUNCTION mesh_outbox.policy_deterministic(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH choice AS (
            SELECT p.pointer, p.place, r.schema,
                   r.schema #> mesh_outbox.pointer_steps(p.place) -> 'oneOf' AS branches
            FROM (SELECT contract -> 'resolved_schema' AS schema) r,
                 LATERAL (SELECT d.pointer, u.place FROM mesh_outbox.declared_properties(r.schema) d, unnest(d.places) u (place)
                          UNION ALL SELECT '', '') p),
        branch AS (
            SELECT c.pointer, c.place, b.n,
                   mesh_outbox.beside_schema(c.schema, mesh_outbox.schema_at(
                       c.schema, b.branch, ARRAY[c.place || '/oneOf/' || b.n - 1], true)) AS schema
            FROM choice c, jsonb_array_elements(c.branches) WITH ORDINALITY b (branch, n)
            WHERE jsonb_typeof(c.branches) = 'array' AND jsonb_array_length(c.branches) <= 8)
        SELECT 'warning', a.pointer,
               format('alternatives %s and %s of "oneOf" overlap, so that a value can be neither: %s', a.n, b.n, o.example)
        FROM branch a JOIN branch b USING (pointer, place),
             mesh_outbox.schemas_overlap(a.schema, b.schema) o
        WHERE a.n < b.n AND o.verdict = 'proved';
    END;
COMMENT ON FUNCTION mesh_outbox.policy_deterministic(jsonb) IS
    'the alternatives of oneOf exclude each other: a reader that takes the first that fits must not be wrong';

-- In trial until somebody decides.
INSERT INTO mesh_outbox.policy (name, schema_name, function, owner, description)
SELECT substr(p.proname, 8), 'mesh_outbox', p.proname, 'mesh_outbox_admin'::regrole, obj_description(p.oid, 'pg_proc')
FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'mesh_outbox'::regnamespace AND p.proargtypes = ARRAY['jsonb'::regtype::oid]::oidvector
  AND p.proname LIKE 'policy\_%';
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.policy', 'WHERE schema_name <> ''mesh_outbox''');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.policy_state', '');

CREATE VIEW mesh_outbox.policies AS
    SELECT p.name, p.version, coalesce(s.state, 'trial') AS state, p.scope, format('%I.%I', p.schema_name, p.function) AS function, p.owner,
           p.description, p.created_at
    FROM mesh_outbox.policy p LEFT JOIN mesh_outbox.policy_state s ON s.policy = p.name;
COMMENT ON VIEW mesh_outbox.policies IS 'governance rules that proposals are checked against';
COMMENT ON COLUMN mesh_outbox.policies.scope IS 'a domain or product; NULL: all';
COMMENT ON COLUMN mesh_outbox.policies.state IS 'trial: reports only; active: refuses; suspended: not asked';
GRANT SELECT ON mesh_outbox.policies TO PUBLIC;
