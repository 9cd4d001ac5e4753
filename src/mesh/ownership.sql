/* src/mesh/ownership.sql: who answers for what, and what is made from what */

CREATE TABLE mesh_outbox.duty (
    -- of exactly one of these
    domain  text REFERENCES mesh_outbox.domain ON DELETE CASCADE,
    product text REFERENCES mesh_outbox.product ON DELETE CASCADE,
    term    text REFERENCES mesh_outbox.term ON DELETE CASCADE,
    duty    text NOT NULL CHECK (duty IN ('accountable', 'responsible', 'consulted', 'informed', 'steward', 'escalation')),
    -- a person, team or role, as people reach it
    party   text NOT NULL CHECK (party <> ''),
    since   timestamptz NOT NULL DEFAULT now(),
    note    text,
    CHECK (num_nonnulls(domain, product, term) = 1),
    UNIQUE NULLS NOT DISTINCT (domain, product, term, duty, party)
);
COMMENT ON TABLE mesh_outbox.duty IS 'the responsibility matrix: who is accountable, responsible, … for a domain, product or term';
CREATE UNIQUE INDEX duty_one_accountable ON mesh_outbox.duty (domain, product, term) NULLS NOT DISTINCT
    WHERE duty = 'accountable';

CREATE TABLE mesh_outbox.co_owner (
    product text REFERENCES mesh_outbox.product ON DELETE CASCADE,
    domain  text REFERENCES mesh_outbox.domain,
    PRIMARY KEY (product, domain)
);
COMMENT ON TABLE mesh_outbox.co_owner IS 'domains without whose approval no contract of a product comes into force';

CREATE TABLE mesh_outbox.approval (
    contract_id bigint REFERENCES mesh_outbox.contract ON DELETE CASCADE,
    domain      text REFERENCES mesh_outbox.domain ON DELETE CASCADE,
    approved_by name NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (contract_id, domain)
);
COMMENT ON TABLE mesh_outbox.approval IS 'approvals of proposals by co-owning domains';

CREATE TABLE mesh_outbox.product_input (
    product text REFERENCES mesh_outbox.product ON DELETE CASCADE,
    input   text REFERENCES mesh_outbox.product,
    PRIMARY KEY (product, input)
);
COMMENT ON TABLE mesh_outbox.product_input IS 'products that a product is made from';

CREATE TABLE mesh_outbox.review (
    product     text REFERENCES mesh_outbox.product ON DELETE CASCADE,
    event_type  text,
    due         date NOT NULL,
    -- whether that the day has come has been told
    reminded    boolean NOT NULL DEFAULT false,
    reviewed_by name,
    reviewed_at timestamptz,
    note        text,
    PRIMARY KEY (product, event_type)
);
COMMENT ON TABLE mesh_outbox.review IS 'when an event type''s contract is to be looked at again, and what was said the last time';

SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.duty', '');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.co_owner', '');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.approval', '');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.product_input', '');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.review', '');

CREATE FUNCTION mesh_outbox.caller_name() RETURNS name
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT r.rolname FROM pg_roles r WHERE r.oid = mesh_outbox.caller());
COMMENT ON FUNCTION mesh_outbox.caller_name() IS 'name of the role for which a function of mesh_outbox acts';

-- ---------------------------------------------------------------------
-- Duties
-- ---------------------------------------------------------------------

-- The domain whose owner may say who has a duty.
CREATE FUNCTION mesh_outbox.require_duty_object(domain text, product text, term text, duty text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF num_nonnulls(domain, product, term) <> 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a duty is of one domain, one product or one term',
            HINT = 'For example product => ''sales.orders''.';
    END IF;
    IF duty IS NULL OR duty NOT IN ('accountable', 'responsible', 'consulted', 'informed', 'steward', 'escalation') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid duty "%s"', duty),
            DETAIL = 'Allowed is accountable, responsible, consulted, informed, steward or escalation.';
    END IF;
    PERFORM mesh_outbox.require_domain(
        CASE WHEN product IS NOT NULL THEN (mesh_outbox.find_product(product)).domain
             WHEN term IS NOT NULL THEN (mesh_outbox.find_term(term)).domain
             ELSE domain END,
        format('change who is %s', duty));
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_duty_object(text, text, text, text) IS
    'error unless the caller may say who has a duty';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_duty_object(text, text, text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.assign_duty(duty text, party text, product text DEFAULT NULL,
                                        domain text DEFAULT NULL, term text DEFAULT NULL, note text DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_duty_object(domain, product, term, duty);
    PERFORM mesh_outbox.require_text('party', party);
    -- one at a time, so that all know whom to ask
    IF duty = 'accountable' THEN
        DELETE FROM mesh_outbox.duty d
        WHERE (d.domain, d.product, d.term) IS NOT DISTINCT FROM (assign_duty.domain, assign_duty.product, assign_duty.term)
          AND d.duty = 'accountable' AND d.party <> assign_duty.party;
    END IF;
    INSERT INTO mesh_outbox.duty (domain, product, term, duty, party, note)
    VALUES (assign_duty.domain, assign_duty.product, assign_duty.term, assign_duty.duty, assign_duty.party, assign_duty.note)
    ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION mesh_outbox.assign_duty(text, text, text, text, text, text) IS
    'makes a person, team or role (any text by which people reach it) accountable (one at a time), responsible, consulted, informed, steward or escalation contact of a product, domain or term';

CREATE FUNCTION mesh_outbox.release_duty(duty text, party text, product text DEFAULT NULL,
                                         domain text DEFAULT NULL, term text DEFAULT NULL) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_duty_object(domain, product, term, duty);
    DELETE FROM mesh_outbox.duty d
    WHERE (d.domain, d.product, d.term) IS NOT DISTINCT FROM (release_duty.domain, release_duty.product, release_duty.term)
      AND (d.duty, d.party) = (release_duty.duty, release_duty.party);
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('%s is not %s there', party, duty),
            HINT = 'See the view mesh_outbox.responsibilities.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.release_duty(text, text, text, text, text) IS 'takes back what assign_duty gave';

CREATE FUNCTION mesh_outbox.hand_over(from_party text, to_party text, reason text)
    RETURNS TABLE (kind text, name text, duty text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    held mesh_outbox.duty;
BEGIN
    PERFORM mesh_outbox.require_text('to_party', to_party);
    PERFORM mesh_outbox.require_text('reason', reason);
    IF NOT EXISTS (SELECT FROM mesh_outbox.duty d WHERE d.party = from_party) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('%s has no duty', coalesce(from_party, 'NULL')),
            HINT = 'See the view mesh_outbox.responsibilities.';
    END IF;
    FOR held IN SELECT d.* FROM mesh_outbox.duty d WHERE d.party = from_party
                ORDER BY d.domain, d.product, d.term, d.duty LOOP
        PERFORM mesh_outbox.assign_duty(held.duty, to_party, held.product, held.domain, held.term,
                                        format('handed over by %s: %s', from_party, reason));
        DELETE FROM mesh_outbox.duty d WHERE d = held AND d.party <> to_party;
        RETURN QUERY SELECT CASE WHEN held.domain IS NOT NULL THEN 'domain' WHEN held.product IS NOT NULL THEN 'product'
                                 ELSE 'term' END, coalesce(held.domain, held.product, held.term), held.duty;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.hand_over(text, text, text) IS
    'gives all duties of somebody who leaves to somebody else, and says which; all or none: the caller must own all the objects';

-- The product's own, else its domain's; in the end the owning role answers.
CREATE FUNCTION mesh_outbox.duty_holder(product text, duty text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce(
        (SELECT string_agg(d.party, ', ' ORDER BY d.party) FROM mesh_outbox.duty d
         WHERE d.product = duty_holder.product AND d.duty = duty_holder.duty),
        (SELECT string_agg(d.party, ', ' ORDER BY d.party)
         FROM mesh_outbox.duty d JOIN mesh_outbox.product p ON p.domain = d.domain
         WHERE p.name = duty_holder.product AND d.duty = duty_holder.duty),
        CASE WHEN duty_holder.duty = 'accountable' THEN
            (SELECT r.rolname::text FROM mesh_outbox.product p JOIN mesh_outbox.domain m ON m.name = p.domain
             JOIN pg_roles r ON r.oid = m.owner WHERE p.name = duty_holder.product) END);
COMMENT ON FUNCTION mesh_outbox.duty_holder(text, text) IS
    'who has a duty for a product: its own, else its domain''s; accountable in the end is the domain''s owning role';
REVOKE EXECUTE ON FUNCTION mesh_outbox.duty_holder(text, text) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Co-owners
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.set_co_owners(product text, domains text[]) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owning text := (mesh_outbox.find_product(product)).domain;
    unknown text := (SELECT min(n) FROM unnest(domains) n
                     WHERE NOT EXISTS (SELECT FROM mesh_outbox.domain d WHERE d.name = n));
    released text;
BEGIN
    PERFORM mesh_outbox.require_domain(owning, format('change the co-owners of product "%s"', product));
    IF unknown IS NOT NULL OR owning = ANY (domains) THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE WHEN unknown IS NULL THEN 'invalid_parameter_value' ELSE 'undefined_object' END,
            MESSAGE = CASE WHEN unknown IS NULL THEN format('domain "%s" owns the product already', owning)
                           ELSE format('domain "%s" does not exist', unknown) END;
    END IF;
    PERFORM mesh_outbox.lock_product(product);
    -- or a missing approval could be had by removing who would give it
    FOR released IN SELECT c.domain FROM mesh_outbox.co_owner c
                    WHERE c.product = set_co_owners.product AND c.domain <> ALL (domains) LOOP
        PERFORM mesh_outbox.require_domain(released, format('take domain "%s" from the co-owners', released));
    END LOOP;
    DELETE FROM mesh_outbox.co_owner c WHERE c.product = set_co_owners.product AND c.domain <> ALL (domains);
    INSERT INTO mesh_outbox.co_owner SELECT set_co_owners.product, n FROM unnest(domains) n ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_co_owners(text, text[]) IS
    'domains without whose approval no contract of a product comes into force; only who speaks for a domain can take it away';

CREATE FUNCTION mesh_outbox.approve_contract(product text, event_type text, version text, domain text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    contract mesh_outbox.contract;
BEGIN
    PERFORM mesh_outbox.require_domain(domain, format('approve for domain "%s"', domain));
    PERFORM mesh_outbox.lock_product(product);
    contract := mesh_outbox.find_contract(product, event_type, version);
    IF NOT EXISTS (SELECT FROM mesh_outbox.co_owner c
                   WHERE (c.product, c.domain) = (approve_contract.product, approve_contract.domain)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('domain "%s" does not co-own product "%s"', domain, product);
    ELSIF contract.status <> 'proposed' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('contract %s %s of product "%s" is %s, not proposed', event_type, version, product, contract.status);
    END IF;
    INSERT INTO mesh_outbox.approval (contract_id, domain, approved_by)
    VALUES (contract.contract_id, approve_contract.domain, mesh_outbox.caller_name())
    ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION mesh_outbox.approve_contract(text, text, text, text) IS
    'a co-owning domain agrees to a proposal, which may come into force when all do';

-- ---------------------------------------------------------------------
-- Inputs, status, review
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.set_inputs(product text, inputs text[]) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain,
                                       format('change the inputs of product "%s"', product));
    PERFORM mesh_outbox.lock_product(product);
    PERFORM mesh_outbox.find_product(i) FROM unnest(inputs) i;
    IF EXISTS (SELECT FROM mesh_outbox.lineage(product) l WHERE l.direction = 'output' AND l.product = ANY (inputs))
       OR product = ANY (inputs) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('product "%s" cannot be made from itself', product),
            DETAIL = format('Its inputs would lead back to it: %s.', array_to_string(inputs, ', '));
    END IF;
    DELETE FROM mesh_outbox.product_input p WHERE p.product = set_inputs.product AND p.input <> ALL (inputs);
    INSERT INTO mesh_outbox.product_input SELECT set_inputs.product, i FROM unnest(inputs) i ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_inputs(text, text[]) IS
    'says which products a product is made from, its own domain''s or others''; see lineage()';

CREATE FUNCTION mesh_outbox.set_product_status(product text, status text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed mesh_outbox.product := mesh_outbox.find_product(product);
    in_force text;
BEGIN
    PERFORM mesh_outbox.require_domain(changed.domain, format('change the status of product "%s"', product));
    PERFORM mesh_outbox.lock_product(product);
    IF status IS NULL OR status NOT IN ('active', 'deprecated', 'retired') OR changed.status = 'draft' AND status <> 'retired' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('product "%s" cannot go from %s to "%s"', product, changed.status, status),
            DETAIL = 'A draft becomes active with its first contract; an active product can be deprecated, any be retired or, from there, active again.';
    END IF;
    SELECT string_agg(format('%s %s', c.event_type, mesh_outbox.version_text(c)), ', ' ORDER BY c.contract_id) INTO in_force
    FROM mesh_outbox.contract c WHERE c.product = changed.name AND c.status IN ('proposed', 'active', 'deprecated');
    IF status = 'retired' AND in_force IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot retire product "%s" because contracts are proposed or in force', product),
            DETAIL = format('Contracts: %s.', in_force),
            HINT = 'Retire or withdraw them first, with mesh_outbox.retire_contract() or mesh_outbox.withdraw_proposal().';
    END IF;
    UPDATE mesh_outbox.product p SET status = set_product_status.status WHERE p.name = changed.name;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_product_status(text, text) IS
    'deprecates a product (consumers see it; nothing stops), retires one that has no contract in force or proposed, or makes it active again';

CREATE FUNCTION mesh_outbox.set_review(product text, event_type text, due date, note text DEFAULT NULL) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_owner_or_steward((mesh_outbox.find_product(product)).domain, 'review a contract');
    IF NOT EXISTS (SELECT FROM mesh_outbox.contract c
                   WHERE (c.product, c.event_type) = (set_review.product, set_review.event_type)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('product "%s" has no event type "%s"', product, event_type),
            HINT = 'See the view mesh_outbox.contracts.';
    ELSIF due IS NULL OR due <= mesh_outbox.present()::date THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'the next review is on a day to come';
    END IF;
    INSERT INTO mesh_outbox.review (product, event_type, due)
    VALUES (set_review.product, set_review.event_type, set_review.due)
    ON CONFLICT ON CONSTRAINT review_pkey DO UPDATE
    SET due = excluded.due, reminded = false, note = coalesce(set_review.note, review.note),
        reviewed_by = CASE WHEN set_review.note IS NULL THEN review.reviewed_by ELSE mesh_outbox.caller_name() END,
        reviewed_at = CASE WHEN set_review.note IS NULL THEN review.reviewed_at ELSE mesh_outbox.present() END;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_review(text, text, date, text) IS
    'when an event type''s contract is to be looked at again; note: it has just been, with this outcome';

-- ---------------------------------------------------------------------
-- What must hold before a contract comes into force
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.check_owned() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    status text := (SELECT p.status FROM mesh_outbox.product p WHERE p.name = NEW.product);
    missing text;
BEGIN
    IF status = 'retired' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('product "%s" is retired', NEW.product),
            HINT = 'mesh_outbox.set_product_status() makes it active again.';
    END IF;
    IF NEW.status <> 'active' THEN
        RETURN NEW;
    END IF;
    IF mesh_outbox.duty_holder(NEW.product, 'accountable') IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot activate a contract of product "%s": nobody is accountable for it', NEW.product),
            DETAIL = 'The role that owned its domain does not exist any more.',
            HINT = format('SELECT mesh_outbox.assign_duty(''accountable'', ''…'', product => %L), or give the domain to another role.', NEW.product);
    END IF;
    SELECT string_agg(c.domain, ', ' ORDER BY c.domain) INTO missing
    FROM mesh_outbox.co_owner c
    WHERE c.product = NEW.product
      AND NOT EXISTS (SELECT FROM mesh_outbox.approval a WHERE (a.contract_id, a.domain) = (NEW.contract_id, c.domain));
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot activate contract %s %s of product "%s": its co-owners have not all approved',
                             NEW.event_type, mesh_outbox.version_text(NEW), NEW.product),
            DETAIL = format('Missing: %s.', missing),
            HINT = 'They approve with mesh_outbox.approve_contract().';
    END IF;
    UPDATE mesh_outbox.product p SET status = 'active' WHERE p.name = NEW.product AND p.status = 'draft';
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_owned() IS
    'no contract comes into force without an accountable owner, against its co-owners, or for a retired product';
REVOKE EXECUTE ON FUNCTION mesh_outbox.check_owned() FROM PUBLIC;
CREATE TRIGGER check_owned BEFORE UPDATE OF status ON mesh_outbox.contract
    FOR EACH ROW WHEN (NEW.status = 'active' AND OLD.status <> 'active') EXECUTE FUNCTION mesh_outbox.check_owned();
CREATE TRIGGER check_proposed BEFORE INSERT ON mesh_outbox.contract
    FOR EACH ROW WHEN (NEW.status = 'proposed') EXECUTE FUNCTION mesh_outbox.check_owned();

-- ---------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------

CREATE VIEW mesh_outbox.responsibilities AS
    SELECT CASE WHEN d.domain IS NOT NULL THEN 'domain' WHEN d.product IS NOT NULL THEN 'product' ELSE 'term' END AS kind,
           coalesce(d.domain, d.product, d.term) AS name, d.duty, d.party, d.since, d.note
    FROM mesh_outbox.duty d;
COMMENT ON VIEW mesh_outbox.responsibilities IS
    'who is accountable, responsible, consulted, informed, steward or escalation contact of what';

CREATE VIEW mesh_outbox.product_inputs AS
    SELECT i.product, i.input FROM mesh_outbox.product_input i;
COMMENT ON VIEW mesh_outbox.product_inputs IS 'which products a product is made from';

CREATE VIEW mesh_outbox.co_owners AS
    SELECT c.product, c.domain FROM mesh_outbox.co_owner c;
COMMENT ON VIEW mesh_outbox.co_owners IS 'domains without whose approval no contract of a product comes into force';

CREATE VIEW mesh_outbox.approvals AS
    SELECT c.product, c.event_type, mesh_outbox.version_text(c) AS version, c.status, o.domain, a.approved_by, a.approved_at
    FROM mesh_outbox.contract c
    JOIN mesh_outbox.co_owner o ON o.product = c.product
    LEFT JOIN mesh_outbox.approval a ON (a.contract_id, a.domain) = (c.contract_id, o.domain)
    WHERE c.status = 'proposed' OR a.domain IS NOT NULL;
COMMENT ON VIEW mesh_outbox.approvals IS 'which co-owning domains approved which contract versions; approved_at NULL: not yet';

CREATE VIEW mesh_outbox.reviews AS
    SELECT r.product, r.event_type, r.due, r.reviewed_by, r.reviewed_at, r.note
    FROM mesh_outbox.review r;
COMMENT ON VIEW mesh_outbox.reviews IS 'when contracts are to be looked at again, and what was said the last time';

GRANT SELECT ON mesh_outbox.responsibilities, mesh_outbox.product_inputs, mesh_outbox.co_owners,
    mesh_outbox.approvals, mesh_outbox.reviews TO PUBLIC;

CREATE FUNCTION mesh_outbox.lineage(product text)
    RETURNS TABLE (direction text, distance int, product text, domain text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH RECURSIVE up (name, distance) AS (
            SELECT i.input, 1 FROM mesh_outbox.product_inputs i WHERE i.product = lineage.product
            UNION
            SELECT i.input, u.distance + 1 FROM up u JOIN mesh_outbox.product_inputs i ON i.product = u.name
            WHERE u.distance < 100
        ), down (name, distance) AS (
            SELECT i.product, 1 FROM mesh_outbox.product_inputs i WHERE i.input = lineage.product
            UNION
            SELECT i.product, d.distance + 1 FROM down d JOIN mesh_outbox.product_inputs i ON i.input = d.name
            WHERE d.distance < 100)
        SELECT l.direction, min(l.distance), p.name, p.domain
        FROM (SELECT 'input' AS direction, u.* FROM up u UNION ALL SELECT 'output', d.* FROM down d) l
        JOIN mesh_outbox.products p ON p.name = l.name
        GROUP BY l.direction, p.name, p.domain
        ORDER BY 1, 2, 3;
    END;
COMMENT ON FUNCTION mesh_outbox.lineage(text) IS
    'products that a product is made from, directly (1) or through others, and those made from it';

-- ---------------------------------------------------------------------
-- Policies
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.policy_owned(contract jsonb)
    RETURNS TABLE (severity text, path text, message text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'error', NULL::text, m.message
        FROM mesh_outbox.products p,
             LATERAL (VALUES
                 (NOT EXISTS (SELECT FROM mesh_outbox.responsibilities r
                              WHERE r.duty = 'accountable'
                                AND (r.kind, r.name) IN (('product', p.name), ('domain', p.domain))),
                  'nobody is named as accountable for the product'),
                 (p.latency IS NULL AND p.availability IS NULL AND p.freshness IS NULL, 'the product promises no latency, availability or freshness'),
                 (p.retention IS NULL, 'the product does not say how long its events are kept')) m (wanting, message)
        WHERE p.name = contract ->> 'product' AND m.wanting;
    END;
COMMENT ON FUNCTION mesh_outbox.policy_owned(jsonb) IS
    'a product has an accountable owner, a promise and a retention: readers build on it and must know whom to ask';
