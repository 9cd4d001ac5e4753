/* src/mesh/external.sql: domains that are managed in another database */

-- Their products can be inputs, found and consumed here as others can; what
-- they are is said there, and comes here as a document.

CREATE FUNCTION mesh_outbox.refuse_external() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := (SELECT d.location FROM mesh_outbox.domain d JOIN mesh_outbox.product p ON p.domain = d.name
                   WHERE p.name = NEW.product);
BEGIN
    IF place IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('product "%s" is managed elsewhere', NEW.product),
            DETAIL = format('Its domain lives in %s.', place),
            HINT = 'Its outboxes are there.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION mesh_outbox.refuse_external() IS 'keeps outboxes from products of domains that are managed elsewhere';
REVOKE EXECUTE ON FUNCTION mesh_outbox.refuse_external() FROM PUBLIC;
CREATE TRIGGER refuse_external BEFORE INSERT ON mesh_outbox.outbox
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.refuse_external();

CREATE FUNCTION mesh_outbox.import_external_term(domain text, term jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known mesh_outbox.term;
BEGIN
    SELECT * INTO known FROM mesh_outbox.term t WHERE t.name = term ->> 'name';
    IF known.name IS NULL THEN
        PERFORM mesh_outbox.create_term(term ->> 'name', (term -> 'schema')::json, domain, term ->> 'description',
                                        term -> 'examples', ARRAY(SELECT jsonb_array_elements_text(term -> 'synonyms')));
        RETURN 'new';
    ELSIF known.domain <> domain THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('term "%s" belongs to domain "%s" here', known.name, known.domain),
            HINT = 'One word has one owner: agree which.';
    ELSIF (SELECT d.schema FROM mesh_outbox.schema_document d WHERE d.uri = 'term:' || known.name) <> term -> 'schema'
          OR known.description <> term ->> 'description' THEN
        PERFORM mesh_outbox.alter_term(known.name, (term -> 'schema')::json, term ->> 'description');
        RETURN 'changed';
    END IF;
    RETURN 'as before';
END
$$;
COMMENT ON FUNCTION mesh_outbox.import_external_term(text, jsonb) IS 'part of import_external(): a term';
REVOKE EXECUTE ON FUNCTION mesh_outbox.import_external_term(text, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.import_external_product(product jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known jsonb := mesh_outbox.product_document(product ->> 'name', true);
    described CONSTANT text[] := ARRAY['purpose', 'topic', 'partitions', 'latency', 'availability', 'freshness', 'retention',
                                       'residency', 'classification', 'quality', 'access'];
BEGIN
    IF known IS NULL THEN
        PERFORM mesh_outbox.create_product(product ->> 'name', product ->> 'purpose', product ->> 'topic',
                                           (product ->> 'partitions')::int);
    ELSIF mesh_outbox.changed_members(product, known, described) = '{}' THEN
        RETURN 'as before';
    END IF;
    UPDATE mesh_outbox.product p
    SET purpose = product ->> 'purpose', topic = product ->> 'topic', partitions = (product ->> 'partitions')::int,
        latency = (product ->> 'latency')::interval, availability = (product ->> 'availability')::numeric,
        freshness = (product ->> 'freshness')::interval, retention = (product ->> 'retention')::interval,
        residency = product ->> 'residency', classification = product ->> 'classification',
        quality = coalesce(product -> 'quality', '{}'), access = coalesce(product ->> 'access', 'open'),
        status = 'active'
    WHERE p.name = product ->> 'name';
    RETURN CASE WHEN known IS NULL THEN 'new' ELSE 'changed' END;
END
$$;
COMMENT ON FUNCTION mesh_outbox.import_external_product(jsonb) IS 'part of import_external(): a product';
REVOKE EXECUTE ON FUNCTION mesh_outbox.import_external_product(jsonb) FROM PUBLIC;

-- There is nothing to refuse any more: it is in force there.  What it breaks
-- here is told.
CREATE FUNCTION mesh_outbox.import_external_version(product text, version jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers CONSTANT int[] := mesh_outbox.version_numbers(version ->> 'version');
    known mesh_outbox.contract;
    draft mesh_outbox.contract;
    faults text;
BEGIN
    SELECT * INTO known FROM mesh_outbox.contract c
    WHERE c.product = import_external_version.product AND c.event_type = version ->> 'event_type'
      AND (c.major, c.minor, c.patch) = (numbers[1], numbers[2], numbers[3]);
    IF known.contract_id IS NOT NULL THEN
        IF known.status = version ->> 'status' THEN
            RETURN 'as before';
        END IF;
        UPDATE mesh_outbox.contract c
        SET status = version ->> 'status', activated_at = coalesce(c.activated_at, now())
        WHERE c.contract_id = known.contract_id;
        RETURN 'now ' || (version ->> 'status');
    END IF;
    draft := mesh_outbox.draft_contract(
        product, version ->> 'event_type', coalesce(version -> 'resolved_schema', version -> 'schema')::json,
        version ->> 'key', version ->> 'version', version ->> 'event_time', version ->> 'description',
        version ->> 'compatibility', version ->> 'enforcement', (version ->> 'open')::boolean, version ->> 'topic',
        (version ->> 'max_lateness')::interval, (version -> 'headers')::json,
        (version -> 'key_schema')::json, version -> 'anomalies');
    draft.schema := draft.resolved_schema;
    draft.status := version ->> 'status';
    IF draft.status <> 'proposed' THEN
        draft.activated_at := now();
    END IF;
    faults := mesh_outbox.record_proposal(draft);
    RETURN concat_ws(E'\n', 'new', faults);
END
$$;
COMMENT ON FUNCTION mesh_outbox.import_external_version(text, jsonb) IS 'part of import_external(): a contract version';
REVOKE EXECUTE ON FUNCTION mesh_outbox.import_external_version(text, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.retire_external_versions(product jsonb) RETURNS SETOF text
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        UPDATE mesh_outbox.contract c
        SET status = 'retired', retired_at = now()
        WHERE c.product = retire_external_versions.product ->> 'name' AND c.status <> 'retired'
          AND NOT retire_external_versions.product -> 'contracts' @> jsonb_build_array(jsonb_build_object(
                  'event_type', c.event_type, 'version', mesh_outbox.version_text(c)))
        RETURNING c.event_type || ' ' || mesh_outbox.version_text(c);
    END;
COMMENT ON FUNCTION mesh_outbox.retire_external_versions(jsonb) IS
    'part of import_external(): versions that the document does not have any more';
REVOKE EXECUTE ON FUNCTION mesh_outbox.retire_external_versions(jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.import_external(document jsonb, location text)
    RETURNS TABLE (object text, outcome text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp
    SET intervalstyle = 'postgres'
    SET datestyle = 'ISO' AS $$
#variable_conflict use_column
DECLARE
    domain CONSTANT text := mesh_outbox.document_domain(document);
    known mesh_outbox.domain;
    item jsonb;
    version jsonb;
BEGIN
    PERFORM mesh_outbox.require_admin('import a domain from elsewhere');
    PERFORM mesh_outbox.require_text('location', location);
    SELECT * INTO known FROM mesh_outbox.domain d WHERE d.name = domain FOR UPDATE;
    IF known.name IS NULL THEN
        PERFORM mesh_outbox.create_domain(domain, 'mesh_outbox_admin', document #>> '{domain,description}');
    ELSIF known.location IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('domain "%s" is managed here', domain),
            HINT = 'mesh_outbox.import_contracts() is for documents of domains that are.';
    END IF;
    UPDATE mesh_outbox.domain d
    SET location = import_external.location, description = document #>> '{domain,description}' WHERE d.name = domain;
    FOR item IN SELECT t FROM jsonb_array_elements(document -> 'terms') t LOOP
        object := 'term ' || (item ->> 'name');
        outcome := mesh_outbox.import_external_term(domain, item);
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT p FROM jsonb_array_elements(document -> 'products') p LOOP
        IF split_part(item ->> 'name', '.', 1) <> domain THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('product "%s" is not of domain "%s"', item ->> 'name', domain);
        END IF;
        object := 'product ' || (item ->> 'name');
        outcome := mesh_outbox.import_external_product(item);
        RETURN NEXT;
        FOR version IN SELECT v FROM jsonb_array_elements(item -> 'contracts') v LOOP
            object := format('contract %s %s %s', item ->> 'name', version ->> 'event_type', version ->> 'version');
            outcome := mesh_outbox.import_external_version(item ->> 'name', version);
            RETURN NEXT;
        END LOOP;
        RETURN QUERY SELECT format('contract %s %s', item ->> 'name', v), 'now retired'
                     FROM mesh_outbox.retire_external_versions(item) v;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.import_external(jsonb, text) IS
    'makes a domain of another database (location) known here, from a document of export_contracts(…, bundled => true) there: it can be found, be an input, and have consumers here. Imported again, consumers whose needs a new version breaks are told; for administrators';
