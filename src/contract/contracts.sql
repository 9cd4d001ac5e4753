/* src/contract/contracts.sql: contracts and their life */

-- ---------------------------------------------------------------------
-- Look-ups that say what is missing
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.version_numbers(version text) RETURNS int[]
    LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF version !~ '^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid contract version "%s"', version),
            DETAIL = 'A version is major.minor.patch, three whole numbers without leading zeros.',
            HINT = 'For example 1.0.0.';
    END IF;
    RETURN string_to_array(version, '.')::int[];
END
$$;
COMMENT ON FUNCTION mesh_outbox.version_numbers(text) IS 'major, minor and patch of a version';

CREATE FUNCTION mesh_outbox.version_text(contract mesh_outbox.contract) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (contract).major || '.' || (contract).minor || '.' || (contract).patch;
COMMENT ON FUNCTION mesh_outbox.version_text(mesh_outbox.contract) IS 'a contract''s version as major.minor.patch';

CREATE FUNCTION mesh_outbox.find_contract(product text, event_type text, version text)
    RETURNS mesh_outbox.contract
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers int[] := mesh_outbox.version_numbers(version);
    found mesh_outbox.contract;
    known text;
BEGIN
    PERFORM mesh_outbox.find_product(product);
    SELECT * INTO found FROM mesh_outbox.contract c
    WHERE c.product = find_contract.product AND c.event_type = find_contract.event_type
      AND c.major = numbers[1] AND c.minor = numbers[2] AND c.patch = numbers[3];
    IF found.contract_id IS NULL THEN
        SELECT string_agg(mesh_outbox.version_text(c), ', ' ORDER BY c.major, c.minor, c.patch)
        INTO known
        FROM mesh_outbox.contract c
        WHERE c.product = find_contract.product AND c.event_type = find_contract.event_type;
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('event type "%s" of product "%s" has no contract version %s',
                             event_type, product, coalesce(version, 'NULL')),
            DETAIL = CASE WHEN known IS NULL THEN 'It has no version at all.'
                          ELSE format('It has %s.', known) END,
            HINT = 'See the view mesh_outbox.contracts.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION mesh_outbox.find_contract(text, text, text) IS
    'the contract version of that name; error if there is none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.find_contract(text, text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.require_text(argument text, value text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(btrim(value), '') = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s must not be empty', argument);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_text(text, text) IS 'error if an argument that people need is empty';

-- ---------------------------------------------------------------------
-- Contracts
-- ---------------------------------------------------------------------

-- What an event was accepted under stays what it was: publishers look
-- contracts up by the id stamped on the event, today or at a later re-decode.
CREATE FUNCTION mesh_outbox.keep_contract() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.status NOT IN ('draft', 'proposed')
           AND EXISTS (SELECT FROM mesh_outbox.outbox o WHERE o.product = OLD.product) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('cannot delete contract %s %s of product "%s"', OLD.event_type,
                                 mesh_outbox.version_text(OLD), OLD.product),
                DETAIL = 'Events may have been accepted under it.';
        END IF;
        RETURN OLD;
    END IF;
    SELECT string_agg(n.key, ', ' ORDER BY n.key) INTO changed
    FROM jsonb_each(to_jsonb(NEW)) n JOIN jsonb_each(to_jsonb(OLD)) o USING (key)
    WHERE n.value <> o.value
      AND n.key NOT IN ('status', 'enforcement', 'rollout', 'enforcement_reason', 'enforced_at', 'notice_ended',
                        'activated_at', 'deprecated_at', 'sunset_at', 'sunset_reached', 'retired_at', 'end_reason');
    IF changed IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot change %s of a contract version', changed),
            DETAIL = 'Contract versions are immutable but for their status and enforcement.',
            HINT = 'Propose a new version.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION mesh_outbox.keep_contract() IS 'keeps contract versions as they were proposed';
REVOKE EXECUTE ON FUNCTION mesh_outbox.keep_contract() FROM PUBLIC;

CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON mesh_outbox.contract
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.keep_contract();

CREATE FUNCTION mesh_outbox.check_pointer(argument text, pointer text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pointer !~ '^(/([^~/]|~[01])*)+$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid JSON Pointer "%s" for %s', pointer, argument),
            DETAIL = 'A JSON Pointer is a sequence of "/" and a property''s name, in which "~" is written "~0" and "/" is written "~1".',
            HINT = 'For example /order_id.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_pointer(text, text) IS 'error if a text is no JSON Pointer below the root';

-- A first version is 1.0.0; after that the next minor of the newest major.
CREATE FUNCTION mesh_outbox.next_version(product text, event_type text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT c.major || '.' || c.minor + 1 || '.0'
                     FROM mesh_outbox.contract c
                     WHERE c.product = next_version.product AND c.event_type = next_version.event_type
                     ORDER BY c.major DESC, c.minor DESC LIMIT 1), '1.0.0');
COMMENT ON FUNCTION mesh_outbox.next_version(text, text) IS
    'the version a proposal gets that does not name one';
REVOKE EXECUTE ON FUNCTION mesh_outbox.next_version(text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.check_anomalies(anomalies jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    faulty jsonb;
BEGIN
    IF jsonb_typeof(anomalies) <> 'array' THEN
        faulty := anomalies;
    ELSE
        SELECT a INTO faulty FROM jsonb_array_elements(anomalies) a
        WHERE (jsonb_typeof(a) = 'object'
               AND jsonb_typeof(a -> 'path') = 'string' AND a ->> 'path' ~ '^(/([^~/]|~[01])*)*$'
               AND coalesce(jsonb_typeof(a -> 'rule'), 'string') = 'string'
               AND a -> 'action' <@ '["reject", "quarantine", "observe"]'
               AND a - '{path,rule,action}'::text[] = '{}') IS NOT TRUE
        LIMIT 1;
    END IF;
    IF faulty IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid anomaly %s', faulty),
            DETAIL = 'An anomaly has a path (a JSON Pointer, * for any step), an action (reject, quarantine or observe) and perhaps a rule (a keyword, or unknown property, key, key_schema, event_time, lateness, headers).',
            HINT = 'For example [{"path": "/total", "rule": "maximum", "action": "observe"}].';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_anomalies(jsonb) IS 'error if a contract''s anomalies cannot be right';

-- A schema that describes itself need not be described twice.
CREATE FUNCTION mesh_outbox.contract_description(product text, event_type text, description text, schema json)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF description ~ '\S' THEN
        RETURN description;
    ELSIF schema::jsonb ->> 'description' ~ '\S' THEN
        RETURN schema::jsonb ->> 'description';
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'null_value_not_allowed',
        MESSAGE = format('the contract of event type "%s" of product "%s" has no description', event_type, product),
        DETAIL = 'A schema says what an event looks like, not what happened in the business.',
        HINT = format('mesh_outbox.propose_contract(%L, %L, …, description => ''what happened, in a sentence''), or "description" at the root of the schema.',
                      product, event_type);
END
$$;
COMMENT ON FUNCTION mesh_outbox.contract_description(text, text, text, json) IS
    'what a contract is about: as given, else as the schema''s root says; error if neither does';
REVOKE EXECUTE ON FUNCTION mesh_outbox.contract_description(text, text, text, json) FROM PUBLIC;

-- The version as it would be recorded: arguments checked, defaults filled in.
CREATE FUNCTION mesh_outbox.draft_contract(
    product text, event_type text, schema json, key text, version text, event_time text,
    description text, compatibility text, enforcement text, open boolean, topic text,
    max_lateness interval DEFAULT NULL, headers json DEFAULT NULL, key_schema json DEFAULT NULL,
    anomalies jsonb DEFAULT NULL)
    RETURNS mesh_outbox.contract
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owning mesh_outbox.product := mesh_outbox.find_product(product);
    draft mesh_outbox.contract;
    numbers int[];
BEGIN
    IF event_type IS NULL OR event_type !~ '^[A-Za-z][A-Za-z0-9_]{0,127}$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_name',
            MESSAGE = format('invalid event type "%s"', event_type),
            DETAIL = 'An event type starts with a letter; up to 127 letters, digits and "_" follow.',
            HINT = 'Name the fact that happened, for example OrderPlaced.';
    END IF;
    IF compatibility NOT IN ('NONE', 'BACKWARD', 'FORWARD', 'FULL', 'BACKWARD_TRANSITIVE',
                             'FORWARD_TRANSITIVE', 'FULL_TRANSITIVE') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid compatibility mode "%s"', compatibility),
            DETAIL = 'Allowed is NONE, BACKWARD, FORWARD, FULL, BACKWARD_TRANSITIVE, FORWARD_TRANSITIVE or FULL_TRANSITIVE.';
    END IF;
    PERFORM mesh_outbox.check_enforcement(enforcement);
    PERFORM mesh_outbox.require_text('key', key);
    PERFORM mesh_outbox.check_pointer('key', key);
    PERFORM mesh_outbox.check_pointer('event_time', event_time);
    IF max_lateness < interval '0' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'max_lateness must not be negative';
    END IF;
    IF schema IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'schema must not be NULL';
    END IF;
    draft.resolved_schema := mesh_outbox.resolve_schema(schema);
    draft.description := mesh_outbox.contract_description(product, event_type, description, schema);
    version := coalesce(version, mesh_outbox.next_version(product, event_type));
    numbers := mesh_outbox.version_numbers(version);
    IF EXISTS (SELECT FROM mesh_outbox.contract c
               WHERE c.product = draft_contract.product AND c.event_type = draft_contract.event_type
                 AND (c.major, c.minor, c.patch) = (numbers[1], numbers[2], numbers[3])) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('event type "%s" of product "%s" already has a contract version %s',
                             event_type, product, version),
            HINT = 'Leave version out to get the next minor version, or name a higher one.';
    END IF;
    draft.product := owning.name;
    draft.event_type := event_type;
    draft.major := numbers[1];
    draft.minor := numbers[2];
    draft.patch := numbers[3];
    draft.status := 'proposed';
    draft.enforcement := enforcement;
    draft.compatibility := compatibility;
    draft.open := open;
    draft.schema := schema::jsonb;
    draft.key_pointer := key;
    draft.event_time_pointer := event_time;
    draft.max_lateness := max_lateness;
    IF headers IS NOT NULL THEN
        draft.headers_schema := mesh_outbox.resolve_schema(headers);
    END IF;
    IF key_schema IS NOT NULL THEN
        draft.key_schema := mesh_outbox.resolve_schema(key_schema);
    END IF;
    PERFORM mesh_outbox.check_anomalies(anomalies);
    draft.anomalies := nullif(anomalies, '[]');
    -- a major is a stream of its own
    draft.topic := coalesce(topic, owning.topic || CASE WHEN numbers[1] > 1 THEN '.v' || numbers[1] ELSE '' END);
    draft.partitions := owning.partitions;
    draft.replication := owning.replication;
    draft.topic_config := owning.topic_config;
    draft.content_mode := owning.content_mode;
    draft.header_set := owning.header_set;
    PERFORM mesh_outbox.check_wire(draft.topic, owning.partitions, owning.replication,
                                   owning.topic_config, owning.content_mode, owning.header_set);
    IF topic IS NOT NULL THEN
        PERFORM mesh_outbox.check_topic(topic, owning.domain);
    END IF;
    draft.ce_type := format('%s.%s.v%s', owning.name, event_type, numbers[1]);
    draft.ce_source := 'urn:mesh-outbox:' || owning.name;
    draft.ce_dataschema := format('urn:mesh-outbox:%s:%s:%s', owning.name, event_type, version);
    draft.created_at := now();
    draft.rollout := 100;
    draft.enforced_at := now();
    draft.notice_ended := false;
    draft.sunset_reached := false;
    RETURN draft;
END
$$;
COMMENT ON FUNCTION mesh_outbox.draft_contract(text, text, json, text, text, text, text, text, text, boolean, text, interval, json, json, jsonb) IS
    'a contract version as it would be recorded; error if an argument cannot be right';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.draft_contract(text, text, json, text, text, text, text, text, text, boolean, text, interval, json, json, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.check_contract(
    product text, event_type text, schema json, key text, version text DEFAULT NULL,
    event_time text DEFAULT NULL, description text DEFAULT NULL,
    compatibility text DEFAULT 'FULL_TRANSITIVE', enforcement text DEFAULT 'enforce',
    open boolean DEFAULT false, topic text DEFAULT NULL, max_lateness interval DEFAULT NULL,
    headers json DEFAULT NULL, key_schema json DEFAULT NULL, anomalies jsonb DEFAULT NULL)
    RETURNS TABLE (severity text, rule text, path text, breaks text, message text, counterexample jsonb, hint text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT f.* FROM mesh_outbox.proposal_findings(mesh_outbox.draft_contract(
        product, event_type, schema, key, version, event_time, description, compatibility,
        enforcement, open, topic, max_lateness, headers, key_schema, anomalies)) f;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_contract(text, text, json, text, text, text, text, text, text, boolean, text, interval, json, json, jsonb) IS
    'what a proposal would be told, without making it: one row per finding, with whom it breaks and a counterexample; stored events are tried for the product''s owner only';

CREATE FUNCTION mesh_outbox.propose_contract(
    product text, event_type text, schema json, key text, version text DEFAULT NULL,
    event_time text DEFAULT NULL, description text DEFAULT NULL,
    compatibility text DEFAULT 'FULL_TRANSITIVE', enforcement text DEFAULT 'enforce',
    open boolean DEFAULT false, topic text DEFAULT NULL,
    override_reason text DEFAULT NULL, notice interval DEFAULT NULL, max_lateness interval DEFAULT NULL,
    headers json DEFAULT NULL, key_schema json DEFAULT NULL, anomalies jsonb DEFAULT NULL) RETURNS text
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    draft mesh_outbox.contract;
    rules mesh_outbox.change_rule := mesh_outbox.change_rules_of(product);
    faults text;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain,
                                       format('propose a contract for product "%s"', product));
    PERFORM mesh_outbox.lock_product(product);
    draft := mesh_outbox.draft_contract(product, event_type, schema, key, version, event_time, description,
                                        compatibility, enforcement, open, topic, max_lateness, headers, key_schema, anomalies);
    draft.override_reason := override_reason;
    draft.notice_until := mesh_outbox.present()
                          + coalesce(notice, CASE WHEN override_reason IS NOT NULL THEN rules.breaking_notice
                                                  ELSE nullif(rules.notice, '0') END);
    faults := mesh_outbox.record_proposal(draft);
    IF faults IS NOT NULL AND override_reason IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('contract %s %s of product "%s" is refused', event_type,
                             mesh_outbox.version_text(draft), product),
            DETAIL = faults,
            HINT = 'mesh_outbox.check_contract() shows all findings and what would be allowed; a breaking change needs a new major version.';
    ELSIF faults IS NOT NULL THEN
        PERFORM mesh_outbox.require_text('override_reason', override_reason);
        IF notice < rules.breaking_notice THEN
            PERFORM mesh_outbox.require_admin(format('give less than %s notice of a breaking change',
                                                     rules.breaking_notice));
        END IF;
    END IF;
    RETURN mesh_outbox.version_text(draft);
END
$$;
COMMENT ON FUNCTION mesh_outbox.propose_contract(text, text, json, text, text, text, text, text, text, boolean, text, text, interval, interval, json, json, jsonb) IS
    'checks and records a contract version that is not yet in force, and tells its consumers; returns its version (default: 1.0.0, then the next minor). description says what happened in the business, and is required, here or as "description" at the root of the schema. key and event_time are JSON Pointers into the payload; max_lateness is how long before its insertion an event may have happened; headers is a JSON Schema of the row''s headers, beside which others may be there, key_schema one of the key as a text. anomalies says which broken rules do not refuse an event: [{"path": "/lines/*/qty", "rule": "minimum", "action": "observe"}], named as in violated_rules, action observe, quarantine or reject, the first that fits decides, no rule means any. Refused when it breaks somebody, unless override_reason says why it must be; then consumers have the product''s notice of a breaking change (14 days), or what notice says';

CREATE FUNCTION mesh_outbox.check_enforcement(enforcement text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF enforcement IS NULL OR enforcement NOT IN ('off', 'observe', 'quarantine', 'enforce') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid enforcement "%s"', enforcement),
            DETAIL = 'Allowed is off, observe (count, let pass), quarantine (accept, do not publish) or enforce (refuse).';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_enforcement(text) IS 'error if a text names no kind of enforcement';

CREATE FUNCTION mesh_outbox.withdraw_proposal(product text, event_type text, version text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain, 'withdraw a proposal');
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    IF contract.status NOT IN ('draft', 'proposed') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('contract %s %s of product "%s" is %s, not proposed',
                             event_type, version, product, contract.status),
            HINT = 'A contract that was in force is ended with mesh_outbox.retire_contract().';
    END IF;
    DELETE FROM mesh_outbox.contract c WHERE c.contract_id = contract.contract_id;
END
$$;
COMMENT ON FUNCTION mesh_outbox.withdraw_proposal(text, text, text) IS
    'takes back a contract version that was never in force';

-- ---------------------------------------------------------------------
-- Activation
-- ---------------------------------------------------------------------

-- Keeps INSERTs out for the moment of a cut-over: waits for those in flight,
-- 100 ms at most.  SHARE ROW EXCLUSIVE, because two holders of SHARE would
-- deadlock when they insert; in OID order, each parent before its leaves, as
-- everybody who takes several.
CREATE FUNCTION mesh_outbox.lock_outboxes(product text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '100ms' AS $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT o.relation FROM mesh_outbox.outbox o JOIN pg_class c ON c.oid = o.relation
        WHERE o.product = lock_outboxes.product ORDER BY c.oid
    LOOP
        PERFORM mesh_outbox.hold_table(relation, 'SHARE ROW EXCLUSIVE');
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.lock_outboxes(text) IS
    'locks a product''s outboxes against INSERT until commit; error 55P03 if that takes longer than 100 ms';
REVOKE EXECUTE ON FUNCTION mesh_outbox.lock_outboxes(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.cut_over_blockers(product text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (
        SELECT string_agg(DISTINCT coalesce('process ' || l.pid, 'prepared transaction ' || quote_literal(x.gid),
                                            'a prepared transaction'), ', ')
        FROM pg_locks l
        -- a prepared transaction has no process, but holds the lock on its xid
        LEFT JOIN pg_locks t
            ON l.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid'
               AND t.virtualtransaction = l.virtualtransaction
               AND t.transactionid IN (SELECT p.transaction FROM pg_prepared_xacts p)
        LEFT JOIN pg_prepared_xacts x ON x.transaction = t.transactionid
        WHERE l.locktype = 'relation' AND l.granted
          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND l.pid IS DISTINCT FROM pg_backend_pid()
          AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
          AND l.relation IN (SELECT t.relid FROM mesh_outbox.outbox o, pg_partition_tree(o.relation) t
                             WHERE o.product = cut_over_blockers.product
                             UNION SELECT o.relation FROM mesh_outbox.outbox o
                             WHERE o.product = cut_over_blockers.product));
COMMENT ON FUNCTION mesh_outbox.cut_over_blockers(text) IS
    'who holds what keeps a cut-over waiting: process ids, and prepared transactions by their gid';
REVOKE EXECUTE ON FUNCTION mesh_outbox.cut_over_blockers(text) FROM PUBLIC;

-- Returns NULL when the version is in force, else who was in the way.
CREATE FUNCTION mesh_outbox.try_activate(product text, event_type text, version text, producers_ready boolean)
    RETURNS text
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
    obstacle record;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain, 'activate a contract');
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    IF contract.status <> 'proposed' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('contract %s %s of product "%s" is %s, not proposed',
                             event_type, version, product, contract.status);
    END IF;
    IF EXISTS (SELECT FROM mesh_outbox.contract c
               WHERE c.product = contract.product AND c.event_type = contract.event_type
                 AND c.major = contract.major AND c.activated_at IS NOT NULL
                 AND (c.minor, c.patch) > (contract.minor, contract.patch)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('contract %s %s of product "%s" was overtaken by a higher version',
                             event_type, version, product),
            HINT = 'Propose it again under a higher version.';
    END IF;
    SELECT * INTO obstacle FROM mesh_outbox.activation_obstacle(contract, producers_ready);
    IF obstacle.message IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot activate contract %s %s of product "%s": %s', event_type, version, product,
                             obstacle.message),
            DETAIL = coalesce(obstacle.detail, ''),
            HINT = coalesce(obstacle.hint, 'See the view mesh_outbox.notifications.');
    END IF;
    -- The first version of a major changes the meaning of no INSERT in flight.
    IF EXISTS (SELECT FROM mesh_outbox.contract c
               WHERE c.product = contract.product AND c.event_type = contract.event_type
                 AND c.major = contract.major AND c.activated_at IS NOT NULL) THEN
        BEGIN
            PERFORM mesh_outbox.lock_outboxes(product);
        EXCEPTION WHEN lock_not_available THEN
            RETURN coalesce(mesh_outbox.cut_over_blockers(product), 'a transaction that has just ended');
        END;
    END IF;
    UPDATE mesh_outbox.contract c SET status = 'active', activated_at = now()
    WHERE c.contract_id = contract.contract_id;
    -- Nobody can activate a lower proposal of the major any more.
    UPDATE mesh_outbox.contract c
    SET status = 'retired', retired_at = mesh_outbox.present(), end_reason = 'superseded by ' || version
    WHERE c.product = contract.product AND c.event_type = contract.event_type AND c.major = contract.major
      AND c.status IN ('draft', 'proposed') AND (c.minor, c.patch) < (contract.minor, contract.patch);
    -- An INSERT that names no major keeps meaning the one it has always meant.
    UPDATE mesh_outbox.outbox o SET pinned = o.pinned || jsonb_build_object(contract.event_type, contract.major)
    WHERE o.product = contract.product AND NOT o.pinned ? contract.event_type;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mesh_outbox.try_activate(text, text, text, boolean) IS
    'puts a proposed contract version into force, or tells within 100 ms per outbox who is in the way';

CREATE FUNCTION mesh_outbox.activate_contract(product text, event_type text, version text,
                                              producers_ready boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    blockers text := mesh_outbox.try_activate(product, event_type, version, producers_ready);
BEGIN
    IF blockers IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'lock_not_available',
            MESSAGE = format('cannot activate contract %s %s of product "%s" now', event_type, version, product),
            DETAIL = format('The outboxes are in use by %s.', blockers),
            HINT = format('CALL mesh_outbox.cut_over(%L, %L, %L) outside a transaction tries until it finds a gap.',
                          product, event_type, version);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.activate_contract(text, text, text, boolean) IS
    'puts a proposed contract version into force at commit; a later version of a major tries once and fails (55P03) while others insert, see cut_over';

-- Releases everything and backs off between tries, so that INSERTs queue
-- behind it for 100 ms per outbox at most.  Runs with the caller's rights.
CREATE PROCEDURE mesh_outbox.cut_over(product text, event_type text, version text,
                                      timeout interval DEFAULT '1 minute', producers_ready boolean DEFAULT false)
    LANGUAGE plpgsql AS $$
DECLARE
    give_up CONSTANT timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) timeout;
    pause float8 := 0.05;
    blockers text;
    told text;
BEGIN
    LOOP
        blockers := mesh_outbox.try_activate(product, event_type, version, producers_ready);
        EXIT WHEN blockers IS NULL;
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) give_up THEN
            RAISE EXCEPTION USING
                ERRCODE = 'lock_not_available',
                MESSAGE = pg_catalog.format('could not activate contract %s %s of product "%s" within %s',
                                            event_type, version, product, timeout),
                DETAIL = pg_catalog.format('The outboxes are in use by %s.', blockers),
                HINT = 'End these transactions, or call again with a longer timeout.';
        END IF;
        IF blockers IS DISTINCT FROM told THEN
            RAISE NOTICE USING MESSAGE = pg_catalog.format('waiting for %s', blockers);
            told := blockers;
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(pause OPERATOR(pg_catalog.*)
                                    (0.5 OPERATOR(pg_catalog.+) pg_catalog.random()));
        pause := LEAST(pause OPERATOR(pg_catalog.*) 2, 2);
    END LOOP;
    COMMIT;
END
$$;
COMMENT ON PROCEDURE mesh_outbox.cut_over(text, text, text, interval, boolean) IS
    'puts a later contract version into force: tries with growing pauses until no INSERT is in flight, and tells who is in the way';

-- ---------------------------------------------------------------------
-- Views: the catalog is there to be read, by everybody
-- ---------------------------------------------------------------------

CREATE VIEW mesh_outbox.contracts AS
    SELECT c.product, c.event_type, mesh_outbox.version_text(c) AS version, c.status,
           c.status IN ('active', 'deprecated')
           AND NOT EXISTS (SELECT FROM mesh_outbox.contract h
                           WHERE h.product = c.product AND h.event_type = c.event_type
                             AND h.major = c.major AND h.status IN ('active', 'deprecated')
                             AND (h.minor, h.patch) > (c.minor, c.patch)) AS in_force,
           c.enforcement, c.rollout, c.enforcement_reason, c.enforced_at, c.compatibility, c.open, c.description,
           c.key_pointer AS key, c.event_time_pointer AS event_time, c.max_lateness, c.key_schema,
           c.headers_schema AS headers, c.anomalies, c.schema, c.resolved_schema,
           c.topic, c.partitions, c.ce_type, c.ce_source, c.ce_dataschema,
           c.created_at, c.activated_at, c.deprecated_at, c.sunset_at, c.retired_at, c.end_reason, c.contract_id
    FROM mesh_outbox.contract c;
COMMENT ON VIEW mesh_outbox.contracts IS 'contract versions of event types';
COMMENT ON COLUMN mesh_outbox.contracts.in_force IS
    'whether INSERTs of this major are checked against this version: the highest that is active or deprecated';
COMMENT ON COLUMN mesh_outbox.contracts.rollout IS 'per cent of the keys that the enforcement is applied to; events of the others are observed';
COMMENT ON COLUMN mesh_outbox.contracts.enforced_at IS 'when the enforcement was last set';
COMMENT ON COLUMN mesh_outbox.contracts.description IS 'what happened in the business';
COMMENT ON COLUMN mesh_outbox.contracts.key IS 'JSON Pointer to the payload''s value that becomes the Kafka key';
COMMENT ON COLUMN mesh_outbox.contracts.event_time IS 'JSON Pointer to the payload''s event time; NULL when it has none';
COMMENT ON COLUMN mesh_outbox.contracts.sunset_at IS 'announced end of a deprecated version; it stays in force until it is retired';
COMMENT ON COLUMN mesh_outbox.contracts.end_reason IS 'why the sunset was postponed, or the version retired by force, reverted or superseded';
COMMENT ON COLUMN mesh_outbox.contracts.max_lateness IS 'how long before its insertion an event may have happened; NULL: any time';
COMMENT ON COLUMN mesh_outbox.contracts.key_schema IS 'JSON Schema of the key as a text; NULL: any';
COMMENT ON COLUMN mesh_outbox.contracts.anomalies IS 'what does not refuse an event, though it breaks the contract: path, rule (NULL: any) and action; NULL: nothing';
COMMENT ON COLUMN mesh_outbox.contracts.headers IS 'JSON Schema of the row''s headers; NULL: any';
COMMENT ON COLUMN mesh_outbox.contracts.resolved_schema IS 'the schema with its references bundled, as INSERTs are checked against it';
COMMENT ON COLUMN mesh_outbox.contracts.open IS 'whether properties that the schema does not declare are accepted';

GRANT SELECT ON mesh_outbox.contracts TO PUBLIC;
