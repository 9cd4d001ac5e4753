/* src/mesh/search.sql: what search_catalog() and who_uses() look things up in */

-- Made from the catalog by triggers, so it stays out of dumps: what is
-- restored makes it again.
CREATE TABLE mesh_outbox.search_entry (
    kind        text NOT NULL,
    name        text NOT NULL,
    -- what it is found again by when it changes: a domain, product, term or event type
    source      text NOT NULL,
    domain      text NOT NULL,
    description text,
    words       tsvector NOT NULL,
    PRIMARY KEY (kind, name)
);
COMMENT ON TABLE mesh_outbox.search_entry IS 'what can be found by words: domains, products, event types, terms';
CREATE INDEX search_entry_words ON mesh_outbox.search_entry USING gin (words);
CREATE INDEX search_entry_source ON mesh_outbox.search_entry (kind, source);

CREATE TABLE mesh_outbox.search_field (
    contract_id bigint NOT NULL REFERENCES mesh_outbox.contract ON DELETE CASCADE,
    pointer     text NOT NULL,
    -- the last step, without regard to case, underscores and hyphens
    folded      text NOT NULL,
    PRIMARY KEY (contract_id, pointer)
);
COMMENT ON TABLE mesh_outbox.search_field IS 'the properties that contracts in force or proposed declare';
CREATE INDEX search_field_folded ON mesh_outbox.search_field (folded);

-- OrderPlaced, order_placed and order.placed are found by "order".  A tsvector
-- holds a megabyte: of longer texts it has the beginning.
CREATE FUNCTION mesh_outbox.search_words(names text, description text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN setweight(to_tsvector('simple'::regconfig, regexp_replace(left(names, 100000), '([a-z0-9])([A-Z])', '\1 \2', 'g')
                                                      || ' ' || translate(left(names, 100000), '._-/', '    ')
                                                      || ' ' || left(names, 100000)), 'A')
           || setweight(to_tsvector('english'::regconfig, coalesce(left(description, 100000), '')), 'B');
COMMENT ON FUNCTION mesh_outbox.search_words(text, text) IS 'the words by which something is found';

CREATE FUNCTION mesh_outbox.parties_of(domain text, product text, term text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(string_agg(d.party, ' '), '') FROM mesh_outbox.duty d
            WHERE (d.domain, d.product, d.term) IS NOT DISTINCT FROM (parties_of.domain, parties_of.product, parties_of.term));
COMMENT ON FUNCTION mesh_outbox.parties_of(text, text, text) IS 'who has a duty for one domain, product or term';
REVOKE EXECUTE ON FUNCTION mesh_outbox.parties_of(text, text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.index_domain(domain text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        DELETE FROM mesh_outbox.search_entry e WHERE e.kind = 'domain' AND e.source = index_domain.domain;
        INSERT INTO mesh_outbox.search_entry
        SELECT 'domain', d.name, d.name, d.name, d.description,
               mesh_outbox.search_words(concat_ws(' ', d.name, mesh_outbox.parties_of(d.name, NULL, NULL)), d.description)
        FROM mesh_outbox.domain d WHERE d.name = index_domain.domain;
    END;
COMMENT ON FUNCTION mesh_outbox.index_domain(text) IS 'lets a domain be found';
REVOKE EXECUTE ON FUNCTION mesh_outbox.index_domain(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.index_product(product text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        DELETE FROM mesh_outbox.search_entry e WHERE e.kind = 'product' AND e.source = index_product.product;
        INSERT INTO mesh_outbox.search_entry
        SELECT 'product', p.name, p.name, p.domain, p.purpose,
               mesh_outbox.search_words(concat_ws(' ', p.name, p.topic, mesh_outbox.parties_of(NULL, p.name, NULL)), p.purpose)
        FROM mesh_outbox.product p WHERE p.name = index_product.product;
    END;
COMMENT ON FUNCTION mesh_outbox.index_product(text) IS 'lets a product be found';
REVOKE EXECUTE ON FUNCTION mesh_outbox.index_product(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.index_term(term text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        DELETE FROM mesh_outbox.search_entry e WHERE e.kind = 'term' AND e.source = index_term.term;
        INSERT INTO mesh_outbox.search_entry
        SELECT 'term', t.name, t.name, t.domain, t.description,
               mesh_outbox.search_words(concat_ws(' ', t.name, array_to_string(t.synonyms, ' '),
                                                  mesh_outbox.parties_of(NULL, NULL, t.name)), t.description)
        FROM mesh_outbox.term t WHERE t.name = index_term.term;
    END;
COMMENT ON FUNCTION mesh_outbox.index_term(text) IS 'lets a term be found';
REVOKE EXECUTE ON FUNCTION mesh_outbox.index_term(text) FROM PUBLIC;

-- All versions at once: which is in force depends on the others.
CREATE FUNCTION mesh_outbox.index_event_type(product text, event_type text) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        DELETE FROM mesh_outbox.search_entry e
        WHERE e.kind = 'event type' AND e.source = index_event_type.product || ' ' || index_event_type.event_type;
        DELETE FROM mesh_outbox.search_field f USING mesh_outbox.contract c
        WHERE c.contract_id = f.contract_id
          AND (c.product, c.event_type) = (index_event_type.product, index_event_type.event_type);
        INSERT INTO mesh_outbox.search_field
        SELECT c.contract_id, d.pointer, mesh_outbox.folded_name(regexp_replace(d.pointer, '^.*/', ''))
        FROM mesh_outbox.contracts c, LATERAL mesh_outbox.declared_properties(c.resolved_schema) d
        WHERE (c.product, c.event_type) = (index_event_type.product, index_event_type.event_type)
          AND (c.in_force OR c.status = 'proposed')
          -- what an index takes
          AND octet_length(d.pointer) <= 1200;
        INSERT INTO mesh_outbox.search_entry
        SELECT 'event type', c.product || ' ' || c.event_type || ' ' || c.version, c.product || ' ' || c.event_type,
               split_part(c.product, '.', 1), c.description,
               mesh_outbox.search_words(c.product || ' ' || c.event_type || ' ' || coalesce(
                   (SELECT string_agg(d.pointer || ' ' || coalesce(d.subschema ->> 'description', ''), ' ')
                    FROM mesh_outbox.declared_properties(c.resolved_schema) d), '')
                   || coalesce((SELECT ' ' || string_agg(array_to_string(t.synonyms, ' '), ' ') FROM mesh_outbox.term t
                                WHERE c.resolved_schema -> '$defs' ? ('term:' || t.name)), ''), c.description)
        FROM mesh_outbox.contracts c
        WHERE (c.product, c.event_type) = (index_event_type.product, index_event_type.event_type)
          AND (c.in_force OR c.status = 'proposed');
    END;
COMMENT ON FUNCTION mesh_outbox.index_event_type(text, text) IS 'lets an event type and its properties be found';
REVOKE EXECUTE ON FUNCTION mesh_outbox.index_event_type(text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.index_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'domain' THEN PERFORM mesh_outbox.index_domain(changed ->> 'name');
        WHEN 'product' THEN PERFORM mesh_outbox.index_product(changed ->> 'name');
        WHEN 'term' THEN PERFORM mesh_outbox.index_term(changed ->> 'name');
        WHEN 'contract' THEN PERFORM mesh_outbox.index_event_type(changed ->> 'product', changed ->> 'event_type');
        WHEN 'duty' THEN
            PERFORM mesh_outbox.index_domain(changed ->> 'domain');
            PERFORM mesh_outbox.index_product(changed ->> 'product');
            PERFORM mesh_outbox.index_term(changed ->> 'term');
    END CASE;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mesh_outbox.index_change() IS 'keeps what is searched in step with the catalog';
REVOKE EXECUTE ON FUNCTION mesh_outbox.index_change() FROM PUBLIC;

CREATE TRIGGER index_change AFTER INSERT OR DELETE OR UPDATE OF description ON mesh_outbox.domain
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.index_change();
CREATE TRIGGER index_change AFTER INSERT OR DELETE ON mesh_outbox.product
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.index_change();
-- lock_product() writes the row as it is
CREATE TRIGGER index_alteration AFTER UPDATE ON mesh_outbox.product
    FOR EACH ROW WHEN ((OLD.purpose, OLD.topic) IS DISTINCT FROM (NEW.purpose, NEW.topic))
    EXECUTE FUNCTION mesh_outbox.index_change();
CREATE TRIGGER index_change AFTER INSERT OR DELETE OR UPDATE ON mesh_outbox.term
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.index_change();
CREATE TRIGGER index_change AFTER INSERT OR DELETE OR UPDATE OF status ON mesh_outbox.contract
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.index_change();
CREATE TRIGGER index_change AFTER INSERT OR DELETE OR UPDATE ON mesh_outbox.duty
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.index_change();

CREATE FUNCTION mesh_outbox.search_catalog(text text, max_rows int DEFAULT 50)
    RETURNS TABLE (kind text, name text, description text, owner regrole, rank real)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off AS $$
#variable_conflict use_column
DECLARE
    asked CONSTANT tsquery := websearch_to_tsquery('simple', search_catalog.text) || websearch_to_tsquery('english', search_catalog.text);
BEGIN
    RETURN QUERY
    SELECT e.kind, e.name, e.description, d.owner, ts_rank(e.words, asked)
    FROM mesh_outbox.search_entry e JOIN mesh_outbox.domain d ON d.name = e.domain
    WHERE e.words @@ asked
    ORDER BY 5 DESC, e.kind COLLATE "C", e.name COLLATE "C" LIMIT max_rows;
END
$$;
COMMENT ON FUNCTION mesh_outbox.search_catalog(text, int) IS
    'full text search over domains, products, event types with their properties, terms, and who answers for them; best first';

CREATE FUNCTION mesh_outbox.who_uses(field text)
    RETURNS TABLE (product text, event_type text, version text, path text, consumer text, contact text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
    SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.product, c.event_type, c.version, f.pointer, s.name, s.contact
    FROM mesh_outbox.search_field f
    JOIN mesh_outbox.contracts c ON c.contract_id = f.contract_id AND c.in_force
    LEFT JOIN mesh_outbox.consumer s
        ON s.product = c.product AND s.event_type = c.event_type
           AND s.major = split_part(c.version, '.', 1)::int AND f.pointer = ANY (s.fields)
    WHERE f.folded = mesh_outbox.folded_name(regexp_replace(field, '^.*/', ''))
    ORDER BY c.product COLLATE "C", c.event_type COLLATE "C", c.contract_id, f.pointer COLLATE "C", s.name COLLATE "C";
END
$$;
COMMENT ON FUNCTION mesh_outbox.who_uses(text) IS
    'contracts in force that declare a property, by JSON Pointer or name, and the consumers that name it';
