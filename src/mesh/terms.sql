/* src/mesh/terms.sql: the dictionary, words that mean the same everywhere */

CREATE TABLE mesh_outbox.term (
    name        text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,127}$'),
    domain      text NOT NULL REFERENCES mesh_outbox.domain,
    version     int NOT NULL DEFAULT 1,
    schema      jsonb NOT NULL,
    description text NOT NULL,
    examples    jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(examples) = 'array'),
    synonyms    text[] NOT NULL DEFAULT '{}',
    -- binds properties of its name and synonyms, referred to or not
    reserved    boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deprecated')),
    -- why it is deprecated, and what to use instead
    advice      text
);
COMMENT ON TABLE mesh_outbox.term IS
    'the shared dictionary; contracts refer to a term with {"$ref": "term:name"}';

CREATE TABLE mesh_outbox.term_exception (
    term       text NOT NULL REFERENCES mesh_outbox.term ON DELETE CASCADE,
    product    text NOT NULL REFERENCES mesh_outbox.product ON DELETE CASCADE,
    reason     text NOT NULL,
    until      date NOT NULL,
    granted_by name NOT NULL,
    PRIMARY KEY (term, product)
);
COMMENT ON TABLE mesh_outbox.term_exception IS 'products that may use a reserved term''s name otherwise, until a day';

SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.term', '');
SELECT pg_catalog.pg_extension_config_dump('mesh_outbox.term_exception', '');

CREATE FUNCTION mesh_outbox.find_term(term text) RETURNS mesh_outbox.term
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found mesh_outbox.term;
BEGIN
    SELECT * INTO found FROM mesh_outbox.term t WHERE t.name = term;
    IF found.name IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('term "%s" does not exist', term),
            HINT = 'See the view mesh_outbox.terms; mesh_outbox.create_term() creates one.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION mesh_outbox.find_term(text) IS 'the term of that name; error if there is none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.find_term(text) FROM PUBLIC;

-- customerId, customer_id and CUSTOMER-ID are one name.
CREATE FUNCTION mesh_outbox.folded_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN lower(translate(name, '_-', ''));
COMMENT ON FUNCTION mesh_outbox.folded_name(text) IS 'a name without regard to case, underscores and hyphens';

-- Keeps the terms that schemas refer to, directly or through others, as they
-- are until the commit: what a schema refers to is bundled into it.
CREATE FUNCTION mesh_outbox.hold_terms(resolved jsonb[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    terms CONSTANT text[] := ARRAY(
        SELECT DISTINCT substr(k, 6)
        FROM unnest(resolved) r, jsonb_object_keys(coalesce(r -> '$defs', '{}') || coalesce(r -> 'definitions', '{}')) k
        WHERE starts_with(k, 'term:') ORDER BY 1);
    held text[];
BEGIN
    PERFORM FROM mesh_outbox.term t WHERE t.name = ANY (terms) ORDER BY t.name FOR SHARE;
    -- one may have been dropped while this waited
    held := ARRAY(SELECT t.name FROM mesh_outbox.term t WHERE t.name = ANY (terms));
    PERFORM mesh_outbox.find_term(n) FROM unnest(terms) n WHERE n <> ALL (held);
END
$$;
COMMENT ON FUNCTION mesh_outbox.hold_terms(jsonb[]) IS
    'keeps the terms that are bundled into schemas from being changed or dropped until commit';
REVOKE EXECUTE ON FUNCTION mesh_outbox.hold_terms(jsonb[]) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.bundles_term(schema jsonb, term text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce(schema -> '$defs' ? ('term:' || term), false) OR coalesce(schema -> 'definitions' ? ('term:' || term), false);
COMMENT ON FUNCTION mesh_outbox.bundles_term(jsonb, text) IS 'does a resolved schema refer to a term, directly or through other terms?';

-- As it was before resolve_schema(), for it to take the terms as they are now.
CREATE FUNCTION mesh_outbox.without_terms(resolved jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN jsonb_typeof(resolved) <> 'object' THEN resolved ELSE (
        SELECT resolved || coalesce(jsonb_object_agg(d.keyword, d.kept), '{}')
        FROM (SELECT k.keyword, (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(resolved -> k.keyword) e
                                 WHERE NOT starts_with(e.key, 'term:')) AS kept
              FROM (VALUES ('$defs'), ('definitions')) k (keyword) WHERE resolved ? k.keyword) d) END;
COMMENT ON FUNCTION mesh_outbox.without_terms(jsonb) IS 'a resolved schema without the terms that are bundled into it';
REVOKE EXECUTE ON FUNCTION mesh_outbox.without_terms(jsonb) FROM PUBLIC;

-- An example that the term's own schema refuses would mislead.
CREATE FUNCTION mesh_outbox.check_term_examples(term text, resolved jsonb, examples jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong jsonb;
BEGIN
    IF jsonb_typeof(examples) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'examples must be a JSON array';
    END IF;
    SELECT e INTO wrong FROM jsonb_array_elements(examples) e
    WHERE NOT mesh_outbox.is_valid(resolved, e) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('example %s of term "%s" is not valid', wrong, term),
            DETAIL = (SELECT v.message FROM mesh_outbox.schema_violations(resolved, wrong) v LIMIT 1);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_term_examples(text, jsonb, jsonb) IS 'error if an example of a term breaks its schema';
REVOKE EXECUTE ON FUNCTION mesh_outbox.check_term_examples(text, jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.store_term_schema(term text, schema json, examples jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    resolved jsonb := mesh_outbox.resolve_schema(schema);
BEGIN
    PERFORM mesh_outbox.check_term_examples(term, resolved, examples);
    PERFORM mesh_outbox.hold_terms(ARRAY[resolved]);
    INSERT INTO mesh_outbox.schema_document (uri, schema, registered_by)
    VALUES ('term:' || term, schema::jsonb, mesh_outbox.caller())
    ON CONFLICT ON CONSTRAINT schema_document_pkey DO UPDATE
    SET schema = excluded.schema, registered_by = excluded.registered_by, registered_at = now();
    RETURN resolved;
END
$$;
COMMENT ON FUNCTION mesh_outbox.store_term_schema(text, json, jsonb) IS
    'makes a term''s schema known to references; error if an example breaks it';
REVOKE EXECUTE ON FUNCTION mesh_outbox.store_term_schema(text, json, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.require_free_words(words text[], altered text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken record;
BEGIN
    SELECT t.name, t.domain, w.word INTO taken
    FROM mesh_outbox.term t, unnest(t.synonyms || t.name) known (word), unnest(words) w (word)
    WHERE mesh_outbox.folded_name(known.word) = mesh_outbox.folded_name(w.word) AND t.name IS DISTINCT FROM altered
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('term "%s" exists already', taken.word),
            DETAIL = format('term "%s" of domain "%s" has that name or synonym.', taken.name, taken.domain),
            HINT = 'Refer to it, or agree with its owner.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_free_words(text[], text) IS
    'error if a term, other than the one that is altered, has one of the words as its name or synonym';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_free_words(text[], text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.create_term(
    name text, schema json, domain text, description text, examples jsonb DEFAULT '[]',
    synonyms text[] DEFAULT '{}', reserved boolean DEFAULT false) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_owner_or_steward(domain, format('create term "%s"', name));
    IF reserved THEN
        PERFORM mesh_outbox.require_steward(domain, 'reserve a term');
    END IF;
    PERFORM mesh_outbox.require_text('description', description);
    IF name IS NULL OR name !~ '^[a-z][a-z0-9_]{0,127}$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_name',
            MESSAGE = format('invalid term "%s"', name),
            DETAIL = 'A term starts with a lower-case letter; up to 127 lower-case letters, digits and _ follow.';
    END IF;
    PERFORM mesh_outbox.require_free_words(create_term.synonyms || create_term.name);
    INSERT INTO mesh_outbox.term (name, domain, schema, description, examples, synonyms, reserved)
    VALUES (create_term.name, create_term.domain,
            mesh_outbox.store_term_schema(create_term.name, create_term.schema, create_term.examples),
            create_term.description, create_term.examples, create_term.synonyms, create_term.reserved);
    PERFORM mesh_outbox.keep_term_version(name);
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_term(text, json, text, text, jsonb, text[], boolean) IS
    'adds a word to the shared dictionary, owned by a domain; reserved (steward and administrators): every property of that name or a synonym must lie within its schema';

CREATE FUNCTION mesh_outbox.term_users(term text)
    RETURNS TABLE (product text, event_type text, version text, status text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.product, c.event_type, c.version, c.status FROM mesh_outbox.contracts c
        WHERE c.status <> 'retired'
          AND EXISTS (SELECT FROM unnest(ARRAY[c.resolved_schema, c.key_schema, c.headers]) s
                      WHERE mesh_outbox.bundles_term(s, term))
        ORDER BY c.contract_id;
    END;
COMMENT ON FUNCTION mesh_outbox.term_users(text) IS
    'contract versions whose payload, key or headers refer to a term, directly or through other terms';

CREATE FUNCTION mesh_outbox.reserve_term(term text, reserved boolean DEFAULT true) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_steward((mesh_outbox.find_term(term)).domain, 'reserve a term');
    UPDATE mesh_outbox.term t SET reserved = reserve_term.reserved WHERE t.name = term;
END
$$;
COMMENT ON FUNCTION mesh_outbox.reserve_term(text, boolean) IS
    'whether a term also binds properties that have its name without referring to it; for the domain''s steward and administrators';

CREATE FUNCTION mesh_outbox.terms_made_of(term text) RETURNS SETOF mesh_outbox.term
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT t.* FROM mesh_outbox.term t
        WHERE t.name <> terms_made_of.term
          AND mesh_outbox.bundles_term(t.schema, terms_made_of.term)
        ORDER BY t.name;
    END;
COMMENT ON FUNCTION mesh_outbox.terms_made_of(text) IS 'other terms that refer to a term, directly or through others';
REVOKE EXECUTE ON FUNCTION mesh_outbox.terms_made_of(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.renew_terms(term text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made mesh_outbox.term;
BEGIN
    FOR made IN SELECT * FROM mesh_outbox.terms_made_of(term) LOOP
        made.schema := mesh_outbox.resolve_schema((SELECT d.schema::json FROM mesh_outbox.schema_document d
                                                   WHERE d.uri = 'term:' || made.name));
        PERFORM mesh_outbox.check_term_examples(made.name, made.schema, made.examples);
        UPDATE mesh_outbox.term t SET schema = made.schema, version = t.version + 1 WHERE t.name = made.name;
        PERFORM mesh_outbox.keep_term_version(made.name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.renew_terms(text) IS 'gives the terms that are made of a changed one its new text';
REVOKE EXECUTE ON FUNCTION mesh_outbox.renew_terms(text) FROM PUBLIC;

-- The contracts that refer to it keep the text they were proposed with; for
-- each in force a new minor version is proposed that has the new text.
CREATE FUNCTION mesh_outbox.alter_term(
    term text, schema json DEFAULT NULL, description text DEFAULT NULL,
    examples jsonb DEFAULT NULL, synonyms text[] DEFAULT NULL)
    RETURNS TABLE (product text, event_type text, proposed text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    changed mesh_outbox.term := mesh_outbox.find_term(term);
    old mesh_outbox.contract;
    draft mesh_outbox.contract;
    faults text;
BEGIN
    PERFORM mesh_outbox.require_owner_or_steward(changed.domain, format('alter term "%s"', term));
    PERFORM mesh_outbox.require_free_words(alter_term.synonyms, changed.name);
    -- products before terms, as a proposal locks them
    PERFORM mesh_outbox.lock_product(p.product)
    FROM (SELECT DISTINCT u.product FROM mesh_outbox.term_users(alter_term.term) u
          WHERE alter_term.schema IS NOT NULL ORDER BY 1) p;
    UPDATE mesh_outbox.term t
    SET schema = CASE WHEN alter_term.schema IS NULL THEN t.schema
                      ELSE mesh_outbox.store_term_schema(t.name, alter_term.schema,
                                                         coalesce(alter_term.examples, t.examples)) END,
        version = t.version + CASE WHEN alter_term.schema IS NULL THEN 0 ELSE 1 END,
        description = coalesce(alter_term.description, t.description),
        examples = coalesce(alter_term.examples, t.examples),
        synonyms = coalesce(alter_term.synonyms, t.synonyms)
    WHERE t.name = alter_term.term;
    IF alter_term.schema IS NULL THEN
        RETURN;
    END IF;
    PERFORM mesh_outbox.keep_term_version(term);
    PERFORM mesh_outbox.renew_terms(term);
    FOR old IN
        SELECT c.* FROM mesh_outbox.contract c JOIN mesh_outbox.contracts v USING (contract_id)
        JOIN mesh_outbox.term_users(alter_term.term) u
            ON (u.product, u.event_type, u.version) = (v.product, v.event_type, v.version)
        WHERE v.in_force ORDER BY c.product, c.contract_id
    LOOP
        PERFORM mesh_outbox.lock_product(old.product);
        SELECT * INTO draft FROM mesh_outbox.draft_contract(
            old.product, old.event_type, old.schema::json, old.key_pointer,
            format('%s.%s.0', old.major, (SELECT max(c.minor) + 1 FROM mesh_outbox.contract c
                                          WHERE c.product = old.product AND c.event_type = old.event_type
                                            AND c.major = old.major)),
            old.event_time_pointer, old.description, old.compatibility, old.enforcement, old.open, old.topic,
            old.max_lateness, mesh_outbox.without_terms(old.headers_schema)::json,
            mesh_outbox.without_terms(old.key_schema)::json, old.anomalies);
        draft.rollout := old.rollout;
        draft.notice_until := mesh_outbox.present() + nullif((mesh_outbox.change_rules_of(old.product)).notice, '0');
        faults := mesh_outbox.record_proposal(draft);
        IF faults IS NOT NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'check_violation',
                MESSAGE = format('the change of term "%s" is refused', alter_term.term),
                DETAIL = format('Contract %s %s of product "%s":', old.event_type,
                                mesh_outbox.version_text(old), old.product) || E'\n' || faults,
                HINT = 'A word with another meaning needs another name.';
        END IF;
        RETURN QUERY SELECT old.product, old.event_type, mesh_outbox.version_text(draft);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.alter_term(text, json, text, jsonb, text[]) IS
    'changes a term; a new schema becomes part of the terms that are made of it, proposes new versions of the contracts in force that refer to it, and is refused if one of them would break somebody; NULL leaves as it is';

CREATE FUNCTION mesh_outbox.drop_term(term text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped mesh_outbox.term := mesh_outbox.find_term(term);
    users text;
BEGIN
    PERFORM mesh_outbox.require_owner_or_steward(dropped.domain, format('drop term "%s"', term));
    -- waits for proposals that refer to it, and sees them
    PERFORM FROM mesh_outbox.term t WHERE t.name = drop_term.term FOR UPDATE;
    SELECT string_agg(format('%s %s %s', u.product, u.event_type, u.version), ', ') INTO users
    FROM mesh_outbox.term_users(term) u;
    IF users IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop term "%s" because contracts refer to it', term),
            DETAIL = format('Contracts: %s.', users);
    END IF;
    SELECT string_agg(format('%s of domain %s', m.name, m.domain), ', ') INTO users FROM mesh_outbox.terms_made_of(term) m;
    IF users IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop term "%s" because terms refer to it', term),
            DETAIL = format('Terms: %s.', users);
    END IF;
    SELECT string_agg(y.type::text, ', ' ORDER BY y.type::text) INTO users
    FROM mesh_outbox.term_type y JOIN pg_type t ON t.oid = y.type WHERE y.term = drop_term.term;
    IF users IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop term "%s" because types were made from it', term),
            DETAIL = format('Types: %s.', users),
            HINT = 'Drop them first, with DROP DOMAIN.';
    END IF;
    DELETE FROM mesh_outbox.term t WHERE t.name = drop_term.term;
    DELETE FROM mesh_outbox.schema_document d WHERE d.uri = 'term:' || drop_term.term;
END
$$;
COMMENT ON FUNCTION mesh_outbox.drop_term(text) IS 'drops a term that no contract and no term refers to and no type was made from';

CREATE FUNCTION mesh_outbox.deprecate_term(term text, advice text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.require_owner_or_steward((mesh_outbox.find_term(term)).domain, format('deprecate term "%s"', term));
    IF advice IS NOT NULL THEN
        PERFORM mesh_outbox.require_text('advice', advice);
    END IF;
    UPDATE mesh_outbox.term t
    SET status = CASE WHEN deprecate_term.advice IS NULL THEN 'active' ELSE 'deprecated' END, advice = deprecate_term.advice
    WHERE t.name = term;
END
$$;
COMMENT ON FUNCTION mesh_outbox.deprecate_term(text, text) IS
    'says that a term is not to be used any more, why, and what instead: proposals that refer to it are warned; advice NULL takes it back';

CREATE FUNCTION mesh_outbox.grant_term_exception(term text, product text, reason text, until date) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reserved mesh_outbox.term := mesh_outbox.find_term(term);
BEGIN
    PERFORM mesh_outbox.require_owner_or_steward(reserved.domain, format('grant an exception from term "%s"', term));
    PERFORM mesh_outbox.find_product(product);
    PERFORM mesh_outbox.require_text('reason', reason);
    IF until IS NULL OR until < current_date THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'an exception ends on a day to come';
    END IF;
    INSERT INTO mesh_outbox.term_exception (term, product, reason, until, granted_by)
    SELECT grant_term_exception.term, grant_term_exception.product, grant_term_exception.reason,
           grant_term_exception.until, r.rolname
    FROM pg_roles r WHERE r.oid = mesh_outbox.caller()
    ON CONFLICT ON CONSTRAINT term_exception_pkey DO UPDATE
    SET reason = excluded.reason, until = excluded.until, granted_by = excluded.granted_by;
END
$$;
COMMENT ON FUNCTION mesh_outbox.grant_term_exception(text, text, text, date) IS
    'lets a product use a reserved term''s name with another schema until a day; for the term''s owner';

CREATE FUNCTION mesh_outbox.term_findings(contract mesh_outbox.contract)
    RETURNS TABLE (severity text, rule text, path text, breaks text, message text, counterexample jsonb, hint text)
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'error', 'term', p.pointer, format('the meaning of "%s", owned by domain %s', t.name, t.domain),
               format('the property is not proved to lie within the term: %s', coalesce(s.message, s.reason)),
               s.counterexample,
               format('Use {"$ref": "term:%s"}, another name, or ask %s for an exception.', t.name, t.domain)
        FROM mesh_outbox.declared_properties((contract).resolved_schema) p
        JOIN mesh_outbox.term t
            ON t.reserved AND mesh_outbox.folded_name(regexp_replace(p.pointer, '^.*/', ''))
               IN (SELECT mesh_outbox.folded_name(n) FROM unnest(t.synonyms || t.name) n)
        CROSS JOIN LATERAL mesh_outbox.is_subschema(
            mesh_outbox.beside_schema((contract).resolved_schema,
                                      mesh_outbox.schema_at((contract).resolved_schema, p.subschema, p.places, p.always)), t.schema) s
        WHERE s.verdict <> 'proved'
          AND NOT EXISTS (SELECT FROM mesh_outbox.term_exception e
                          WHERE e.term = t.name AND e.product = (contract).product AND e.until >= current_date)
        UNION ALL
        SELECT 'warning', 'term', NULL::text, 'readers who move to its successor',
               format('term "%s" is deprecated: %s', t.name, t.advice), NULL::jsonb, 'See the view mesh_outbox.terms.'
        FROM mesh_outbox.term t
        WHERE t.status = 'deprecated'
          AND EXISTS (SELECT FROM unnest(ARRAY[(contract).resolved_schema, (contract).key_schema, (contract).headers_schema]) s
                      WHERE mesh_outbox.bundles_term(s, t.name))
        UNION ALL
        SELECT DISTINCT 'warning', 'event_name', NULL::text, format('readers who know it from %s', c.product),
               format('domain "%s" has an event type of the same name', r.domain), NULL::jsonb,
               'The same name for two facts misleads; agree on names.'
        FROM mesh_outbox.contract c JOIN mesh_outbox.product r ON r.name = c.product
        WHERE lower(c.event_type) = lower((contract).event_type) AND c.status IN ('active', 'deprecated')
          AND r.domain <> split_part((contract).product, '.', 1);
    END;
COMMENT ON FUNCTION mesh_outbox.term_findings(mesh_outbox.contract) IS
    'where a contract uses a word of the dictionary with another meaning';
REVOKE EXECUTE ON FUNCTION mesh_outbox.term_findings(mesh_outbox.contract) FROM PUBLIC;

CREATE VIEW mesh_outbox.terms AS
    SELECT t.name, t.domain, t.version, t.schema, t.description, t.examples, t.synonyms, t.reserved, t.created_at,
           t.status, t.advice
    FROM mesh_outbox.term t;
COMMENT ON VIEW mesh_outbox.terms IS 'the shared dictionary';
COMMENT ON COLUMN mesh_outbox.terms.reserved IS 'whether properties of that name must lie within its schema, referring to it or not';
COMMENT ON COLUMN mesh_outbox.terms.advice IS 'of a deprecated term: why, and what to use instead';
CREATE VIEW mesh_outbox.term_exceptions AS
    SELECT e.term, e.product, e.reason, e.until, e.granted_by FROM mesh_outbox.term_exception e;
COMMENT ON VIEW mesh_outbox.term_exceptions IS 'products that may use a reserved term''s name otherwise, until a day';
GRANT SELECT ON mesh_outbox.terms, mesh_outbox.term_exceptions TO PUBLIC;
