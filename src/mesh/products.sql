/* src/mesh/products.sql: domains and data products, who owns what */

-- ---------------------------------------------------------------------
-- Look-ups
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.find_product(product text) RETURNS mesh_outbox.product
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found mesh_outbox.product;
BEGIN
    SELECT * INTO found FROM mesh_outbox.product p WHERE p.name = product;
    IF found.name IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('product "%s" does not exist', product),
            HINT = 'See the view mesh_outbox.products; mesh_outbox.create_product() creates one.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION mesh_outbox.find_product(text) IS 'the product of that name; error if there is none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.find_product(text) FROM PUBLIC;

-- What changes a product's contracts or outboxes holds this until its commit,
-- so that no check is made against something that is being changed.  The row
-- is written, not only locked, so that a transaction whose snapshot is older
-- than such a change fails instead of deciding by what it sees.
CREATE FUNCTION mesh_outbox.lock_product(product text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mesh_outbox.product p SET purpose = p.purpose WHERE p.name = product;
    IF NOT FOUND THEN
        PERFORM mesh_outbox.find_product(product);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.lock_product(text) IS 'one change of a product at a time';
REVOKE EXECUTE ON FUNCTION mesh_outbox.lock_product(text) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Domains
-- ---------------------------------------------------------------------

-- Owner and steward are granted what they have anyway, so that the server
-- refuses to drop a role that a domain depends on.
CREATE FUNCTION mesh_outbox.hold_role(held regrole, released regrole) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF held IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON mesh_outbox.domains TO %s', held);
    END IF;
    IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = released)
       AND NOT EXISTS (SELECT FROM mesh_outbox.domain d WHERE released IN (d.owner, d.steward)) THEN
        EXECUTE format('REVOKE SELECT ON mesh_outbox.domains FROM %s', released);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.hold_role(regrole, regrole) IS
    'ties the roles that own or look after domains to the database, so that they cannot be dropped';
REVOKE EXECUTE ON FUNCTION mesh_outbox.hold_role(regrole, regrole) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.create_domain(name text, owner text, description text, steward text DEFAULT NULL) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owning_role regrole;
    steward_role regrole;
BEGIN
    PERFORM mesh_outbox.require_admin('create a domain');
    owning_role := mesh_outbox.role_named(owner);
    steward_role := CASE WHEN steward IS NOT NULL THEN mesh_outbox.role_named(steward) END;
    PERFORM mesh_outbox.require_text('description', description);
    IF name IS NULL OR name !~ '^[a-z][a-z0-9_-]{0,62}$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_name',
            MESSAGE = format('invalid domain name "%s"', name),
            DETAIL = 'A domain''s name starts with a lower-case letter; up to 62 lower-case letters, digits, _ and - follow.';
    END IF;
    INSERT INTO mesh_outbox.domain (name, owner, description, steward)
    VALUES (create_domain.name, owning_role, create_domain.description, steward_role)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('domain "%s" already exists', name),
            HINT = 'mesh_outbox.alter_domain() changes its owner and description.';
    END IF;
    PERFORM mesh_outbox.hold_role(owning_role, NULL);
    PERFORM mesh_outbox.hold_role(steward_role, NULL);
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_domain(text, text, text, text) IS
    'creates a business area whose owning role manages its products, contracts and outboxes; a steward''s role, where there is one, sees to its terms, policies and reviews, answers for it as a consumer and puts contracts under observation, but changes no contract; for administrators';

CREATE FUNCTION mesh_outbox.alter_domain(name text, owner text DEFAULT NULL, description text DEFAULT NULL,
                                         steward text DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_owner regrole := (SELECT d.owner FROM mesh_outbox.domain d WHERE d.name = alter_domain.name);
    new_owner regrole;
    old_steward regrole := (SELECT d.steward FROM mesh_outbox.domain d WHERE d.name = alter_domain.name);
    new_steward regrole;
    outbox mesh_outbox.outbox;
    part regclass;
BEGIN
    PERFORM mesh_outbox.require_domain(name, format('alter domain "%s"', name));
    IF description IS NOT NULL THEN
        PERFORM mesh_outbox.require_text('description', description);
        UPDATE mesh_outbox.domain d SET description = alter_domain.description
        WHERE d.name = alter_domain.name;
    END IF;
    IF owner IS NOT NULL THEN
        PERFORM mesh_outbox.require_admin('give a domain to another role');
        new_owner := mesh_outbox.role_named(owner);
        UPDATE mesh_outbox.domain d SET owner = new_owner WHERE d.name = alter_domain.name;
        FOR outbox IN
            SELECT o.* FROM mesh_outbox.outbox o JOIN mesh_outbox.product p ON p.name = o.product
            JOIN pg_class c ON c.oid = o.relation
            WHERE p.domain = alter_domain.name
        LOOP
            PERFORM mesh_outbox.hold_table(outbox.relation, 'ACCESS SHARE');
            FOR part IN SELECT mesh_outbox.outbox_relations(outbox.relation) LOOP
                IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = old_owner) THEN
                    EXECUTE format('REVOKE ALL ON %s FROM %s', part, old_owner);
                END IF;
                EXECUTE format('GRANT SELECT ON %s TO %s', part, new_owner);
            END LOOP;
            PERFORM mesh_outbox.grant_insert(outbox.relation, new_owner);
            PERFORM mesh_outbox.apply_publish_grants(outbox.relation, outbox.product);
        END LOOP;
        PERFORM mesh_outbox.hold_role(new_owner, old_owner);
    END IF;
    IF steward IS NOT NULL THEN
        PERFORM mesh_outbox.require_admin('appoint a domain''s steward');
        new_steward := CASE WHEN steward <> '' THEN mesh_outbox.role_named(steward) END;
        UPDATE mesh_outbox.domain d SET steward = new_steward WHERE d.name = alter_domain.name;
        PERFORM mesh_outbox.hold_role(new_steward, old_steward);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.alter_domain(text, text, text, text) IS
    'changes a domain''s description, or (administrators) gives it and its outboxes to another role, or appoints another steward (empty: none); NULL leaves as it is';

CREATE FUNCTION mesh_outbox.drop_domain(name text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old mesh_outbox.domain := (SELECT d FROM mesh_outbox.domain d WHERE d.name = drop_domain.name);
    products text := (SELECT string_agg(p.name, ', ' ORDER BY p.name)
                      FROM mesh_outbox.product p WHERE p.domain = drop_domain.name);
    terms text := (SELECT string_agg(t.name, ', ' ORDER BY t.name)
                   FROM mesh_outbox.term t WHERE t.domain = drop_domain.name);
    co_owned text := (SELECT string_agg(c.product, ', ' ORDER BY c.product)
                      FROM mesh_outbox.co_owner c WHERE c.domain = drop_domain.name);
    consumed text := (SELECT string_agg(DISTINCT c.product, ', ' ORDER BY c.product)
                      FROM mesh_outbox.consumer c WHERE c.name = drop_domain.name);
BEGIN
    PERFORM mesh_outbox.require_admin('drop a domain');
    PERFORM mesh_outbox.require_domain(name, 'drop a domain');
    IF products IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop domain "%s" because it has products', name),
            DETAIL = format('Products: %s.', products),
            HINT = 'Drop them first, with mesh_outbox.drop_product().';
    END IF;
    IF terms IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop domain "%s" because it owns terms', name),
            DETAIL = format('Terms: %s.', terms),
            HINT = 'Drop them first, with mesh_outbox.drop_term().';
    END IF;
    IF co_owned IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop domain "%s" because it co-owns products', name),
            DETAIL = format('Products: %s.', co_owned),
            HINT = 'Take it from their co-owners first, with mesh_outbox.set_co_owners().';
    END IF;
    IF consumed IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop domain "%s" because it consumes products', name),
            DETAIL = format('Products: %s.', consumed),
            HINT = 'Unregister it first, with mesh_outbox.unregister_consumer().';
    END IF;
    -- or a later domain of that name would inherit them
    DELETE FROM mesh_outbox.consume_grant g WHERE g.consumer = drop_domain.name;
    DELETE FROM mesh_outbox.access_request r WHERE r."right" = 'consume' AND r.grantee = drop_domain.name;
    DELETE FROM mesh_outbox.domain d WHERE d.name = drop_domain.name;
    PERFORM mesh_outbox.hold_role(NULL, old.owner);
    PERFORM mesh_outbox.hold_role(NULL, old.steward);
END
$$;
COMMENT ON FUNCTION mesh_outbox.drop_domain(text) IS
    'drops a domain that owns no products or terms, co-owns and consumes none; for administrators';

-- ---------------------------------------------------------------------
-- Products
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.check_wire(topic text, partitions int, replication int,
                                       topic_config jsonb, content_mode text, header_set text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    faulty text;
BEGIN
    IF topic !~ '^[A-Za-z0-9._-]{1,249}$' OR topic IN ('.', '..') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid topic "%s"', topic),
            DETAIL = 'A topic is 1 to 249 characters of A-Z, a-z, 0-9, ".", "_" and "-", and not "." or "..".';
    END IF;
    IF partitions NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid number of partitions %s', partitions),
            DETAIL = 'Allowed is 1 to 100000.';
    END IF;
    IF replication NOT BETWEEN 1 AND 32767 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid replication factor %s', replication),
            DETAIL = 'Allowed is 1 to 32767, or NULL for the broker''s default.';
    END IF;
    IF content_mode NOT IN ('binary', 'structured') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid content mode "%s"', content_mode),
            DETAIL = 'Allowed is binary (CloudEvents headers, the payload as value) or structured (one JSON document).';
    END IF;
    IF header_set NOT IN ('minimal', 'standard', 'full') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid header set "%s"', header_set),
            DETAIL = 'Allowed is minimal, standard or full.';
    END IF;
    IF jsonb_typeof(topic_config) <> 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'topic_config must be a JSON object',
            HINT = 'For example {"cleanup.policy": "compact"}.';
    END IF;
    SELECT key INTO faulty FROM jsonb_each(topic_config)
    WHERE jsonb_typeof(value) NOT IN ('string', 'number', 'boolean') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('topic setting "%s" must be a string, a number or a boolean', faulty);
    END IF;
    -- The publisher sends nothing larger than its smallest topic takes.
    IF topic_config ->> 'max.message.bytes' ~ '^ *[0-9]+ *$' AND (topic_config ->> 'max.message.bytes')::numeric < 16384 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('topic setting "max.message.bytes" is %s, which is too small', topic_config ->> 'max.message.bytes'),
            DETAIL = 'Less than 16384 would slow down every product of the publisher.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_wire(text, int, int, jsonb, text, text) IS
    'error if a topic and its settings cannot be right';

CREATE FUNCTION mesh_outbox.check_promises(latency interval, availability numeric, freshness interval,
                                           retention interval, classification text, quality jsonb, access text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    faulty text;
BEGIN
    IF least(latency, freshness, retention) <= interval '0' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'latency, freshness and retention must be longer than nothing';
    END IF;
    IF NOT availability BETWEEN 0.000001 AND 100 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid availability %s', availability),
            DETAIL = 'It is a percentage above 0 and up to 100, for example 99.9.';
    END IF;
    IF classification NOT IN ('public', 'internal', 'confidential', 'restricted') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid classification "%s"', classification),
            DETAIL = 'Allowed is public, internal, confidential or restricted.';
    END IF;
    IF access NOT IN ('open', 'on request') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid access "%s"', access),
            DETAIL = 'Allowed is open (consumers register as they like) or on request (they need mesh_outbox.grant_consume).';
    END IF;
    SELECT q.key INTO faulty FROM jsonb_each(quality) q
    WHERE NOT CASE q.key
        WHEN 'events_per_day' THEN jsonb_typeof(q.value) = 'number'
        WHEN 'null_rate' THEN jsonb_typeof(q.value) = 'object'
             AND NOT jsonb_path_exists(q.value, '$.* ? (@.type() != "number" || @ < 0 || @ > 1)')
        ELSE false END
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid quality threshold "%s"', faulty),
            DETAIL = 'Allowed is events_per_day (the least number) and null_rate (JSON Pointer → the highest share, 0 to 1, of events where it is absent or null).';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_promises(interval, numeric, interval, interval, text, jsonb, text) IS
    'error if what a product promises cannot be right';

-- A topic is one domain's, as its product is: nobody else's events get between
-- its events, and nobody else says how many partitions it has.  So are the
-- names that its later majors will have.
CREATE FUNCTION mesh_outbox.check_topic(topic text, domain text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    other text;
BEGIN
    IF mesh_outbox.is_admin(mesh_outbox.caller()::oid) THEN
        RETURN;
    END IF;
    SELECT 'product ' || p.name INTO other FROM mesh_outbox.product p
    WHERE p.topic IN (check_topic.topic, regexp_replace(check_topic.topic, '[.]v[0-9]+$', ''))
      AND p.domain <> check_topic.domain LIMIT 1;
    IF NOT FOUND THEN
        SELECT 'product ' || p.name INTO other
        FROM mesh_outbox.contract c JOIN mesh_outbox.product p ON p.name = c.product
        WHERE c.topic = check_topic.topic AND p.domain <> check_topic.domain LIMIT 1;
    END IF;
    IF check_topic.topic LIKE 'mesh\_outbox%' THEN
        other := 'the extension';
    END IF;
    IF other IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('topic "%s" belongs to %s', check_topic.topic, other),
            DETAIL = 'A topic belongs to one domain.',
            HINT = 'Choose another topic, or ask an administrator of the mesh.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_topic(text, text) IS
    'error if a topic is another domain''s or the extension''s; administrators may mix them';
REVOKE EXECUTE ON FUNCTION mesh_outbox.check_topic(text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.create_product(
    name text, purpose text, topic text DEFAULT NULL, partitions int DEFAULT 1,
    replication int DEFAULT NULL, topic_config jsonb DEFAULT '{}',
    content_mode text DEFAULT 'binary', header_set text DEFAULT 'standard') RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name IS NULL OR name !~ '^[a-z][a-z0-9_-]*\.[a-z][a-z0-9_.-]*$' OR length(name) > 200 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_name',
            MESSAGE = format('invalid product name "%s"', name),
            DETAIL = 'A product''s name is its domain, a dot, and lower-case letters, digits, ".", "_" and "-", 200 characters at most.',
            HINT = 'For example sales.orders.';
    END IF;
    PERFORM mesh_outbox.require_domain(split_part(name, '.', 1), format('create product "%s"', name));
    PERFORM mesh_outbox.require_text('purpose', purpose);
    PERFORM mesh_outbox.check_wire(coalesce(topic, name), partitions, replication,
                                   topic_config, content_mode, header_set);
    PERFORM mesh_outbox.check_topic(coalesce(topic, name), split_part(name, '.', 1));
    INSERT INTO mesh_outbox.product
        (name, domain, purpose, topic, partitions, replication, topic_config, content_mode, header_set)
    VALUES (create_product.name, split_part(create_product.name, '.', 1), create_product.purpose,
            coalesce(create_product.topic, create_product.name), create_product.partitions,
            create_product.replication, create_product.topic_config,
            create_product.content_mode, create_product.header_set)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('product "%s" already exists', name),
            HINT = 'mesh_outbox.alter_product() changes it.';
    END IF;
    INSERT INTO mesh_outbox.change_rule (product) VALUES (create_product.name);
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_product(text, text, text, int, int, jsonb, text, text) IS
    'creates a data product: one Kafka topic (default: the product''s name) with what its events look like on the wire; the domain is the part before the first dot';

CREATE FUNCTION mesh_outbox.alter_product(
    name text, purpose text DEFAULT NULL, replication int DEFAULT NULL,
    topic_config jsonb DEFAULT NULL, content_mode text DEFAULT NULL, header_set text DEFAULT NULL,
    latency interval DEFAULT NULL, availability numeric DEFAULT NULL, freshness interval DEFAULT NULL,
    retention interval DEFAULT NULL, residency text DEFAULT NULL, classification text DEFAULT NULL,
    quality jsonb DEFAULT NULL, access text DEFAULT NULL)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    product mesh_outbox.product := mesh_outbox.find_product(name);
BEGIN
    PERFORM mesh_outbox.require_domain(product.domain, format('alter product "%s"', name));
    PERFORM mesh_outbox.lock_product(name);
    IF purpose IS NOT NULL THEN
        PERFORM mesh_outbox.require_text('purpose', purpose);
    END IF;
    PERFORM mesh_outbox.check_wire(product.topic, product.partitions, replication,
                                   topic_config, content_mode, header_set);
    PERFORM mesh_outbox.check_promises(latency, availability, freshness, retention, classification, quality, access);
    UPDATE mesh_outbox.product p
    SET purpose = coalesce(alter_product.purpose, p.purpose),
        replication = coalesce(alter_product.replication, p.replication),
        topic_config = coalesce(alter_product.topic_config, p.topic_config),
        content_mode = coalesce(alter_product.content_mode, p.content_mode),
        header_set = coalesce(alter_product.header_set, p.header_set),
        latency = coalesce(alter_product.latency, p.latency),
        availability = coalesce(alter_product.availability, p.availability),
        freshness = coalesce(alter_product.freshness, p.freshness),
        retention = coalesce(alter_product.retention, p.retention),
        residency = coalesce(alter_product.residency, p.residency),
        classification = coalesce(alter_product.classification, p.classification),
        quality = coalesce(alter_product.quality, p.quality),
        access = coalesce(alter_product.access, p.access)
    WHERE p.name = alter_product.name;
END
$$;
COMMENT ON FUNCTION mesh_outbox.alter_product(text, text, int, jsonb, text, text, interval, numeric, interval, interval, text, text, jsonb, text) IS
    'changes a product and what its owner promises: latency, availability (percent), freshness, retention (how long events are kept: older ones leave its outboxes by themselves once they are published, none where it was never set), residency, classification (public, internal, confidential or restricted), quality ({"null_rate": {"/field": 0.01}, "events_per_day": 100}), access (open or on request). Contracts that exist keep what they say about the wire, later proposals get the new; NULL leaves as it is';

CREATE FUNCTION mesh_outbox.drop_product(name text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    product mesh_outbox.product := mesh_outbox.find_product(name);
    outboxes text;
    in_force text;
    derived text;
    consumers text;
BEGIN
    PERFORM mesh_outbox.require_domain(product.domain, format('drop product "%s"', name));
    PERFORM mesh_outbox.lock_product(name);
    SELECT string_agg(o.relation::text, ', ' ORDER BY o.relation::text) INTO outboxes
    FROM mesh_outbox.outbox o WHERE o.product = drop_product.name;
    SELECT string_agg(c.event_type || ' ' || mesh_outbox.version_text(c), ', '
                      ORDER BY c.event_type, c.major, c.minor, c.patch) INTO in_force
    FROM mesh_outbox.contract c
    WHERE c.product = drop_product.name AND c.status IN ('active', 'deprecated');
    IF outboxes IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop product "%s" because it has outboxes', name),
            DETAIL = format('Outboxes: %s.', outboxes),
            HINT = 'Drop or detach them first, with mesh_outbox.drop_outbox() or mesh_outbox.detach_outbox().';
    END IF;
    IF in_force IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop product "%s" because contracts are in force', name),
            DETAIL = format('Contracts: %s.', in_force),
            HINT = 'Retire them first, with mesh_outbox.retire_contract().';
    END IF;
    SELECT string_agg(i.product, ', ' ORDER BY i.product) INTO derived
    FROM mesh_outbox.product_input i WHERE i.input = drop_product.name;
    IF derived IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop product "%s" because products are made from it', name),
            DETAIL = format('Products: %s.', derived),
            HINT = 'Their owners take it from their inputs with mesh_outbox.set_inputs().';
    END IF;
    SELECT string_agg(DISTINCT c.name, ', ' ORDER BY c.name) INTO consumers
    FROM mesh_outbox.consumer c WHERE c.product = drop_product.name;
    IF consumers IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop product "%s" because it has consumers', name),
            DETAIL = format('Consumers: %s.', consumers),
            HINT = 'Agree with them, then mesh_outbox.unregister_consumer().';
    END IF;
    PERFORM mesh_outbox.take_publish(g.product, g.role) FROM mesh_outbox.publish_grant g WHERE g.product = drop_product.name;
    DELETE FROM mesh_outbox.contract c WHERE c.product = drop_product.name;
    DELETE FROM mesh_outbox.product p WHERE p.name = drop_product.name;
END
$$;
COMMENT ON FUNCTION mesh_outbox.drop_product(text) IS
    'drops a product that has no outbox, no contract in force, no consumers and no products made from it, with its retired contracts';

-- ---------------------------------------------------------------------
-- Views: the catalog is there to be read, by everybody
-- ---------------------------------------------------------------------

CREATE VIEW mesh_outbox.domains AS
    SELECT d.name, d.owner, d.description, d.created_at, d.steward, d.location
    FROM mesh_outbox.domain d;
COMMENT ON VIEW mesh_outbox.domains IS 'business areas and the roles that own them';
COMMENT ON COLUMN mesh_outbox.domains.steward IS 'role that sees to the domain''s rules; NULL: the administrators alone';
COMMENT ON COLUMN mesh_outbox.domains.location IS 'the database that a domain is managed in, known here by import_external(); NULL: this one';

CREATE VIEW mesh_outbox.products AS
    SELECT p.name, p.domain, d.owner, p.purpose, p.topic, p.partitions, p.replication,
           p.topic_config, p.content_mode, p.header_set, p.created_at,
           p.status, p.latency, p.availability, p.freshness, p.retention, p.residency,
           p.classification, p.quality, p.access
    FROM mesh_outbox.product p JOIN mesh_outbox.domain d ON d.name = p.domain;
COMMENT ON VIEW mesh_outbox.products IS 'what domains offer to others, one Kafka topic each';
COMMENT ON COLUMN mesh_outbox.products.replication IS 'replication factor of a topic we create; NULL is the broker''s default';
COMMENT ON COLUMN mesh_outbox.products.status IS 'draft until its first contract is active; deprecated and retired with set_product_status()';
COMMENT ON COLUMN mesh_outbox.products.latency IS 'promised: commit to Kafka';
COMMENT ON COLUMN mesh_outbox.products.availability IS 'promised, percent';
COMMENT ON COLUMN mesh_outbox.products.freshness IS 'promised: event time to Kafka';
COMMENT ON COLUMN mesh_outbox.products.retention IS 'promised: how long events can be read';
COMMENT ON COLUMN mesh_outbox.products.quality IS
    'promised: events_per_day (the least), null_rate (JSON Pointer → highest share of events without it)';
COMMENT ON COLUMN mesh_outbox.products.access IS 'open: consumers register as they like; on request: grant_consume() first';

GRANT SELECT ON mesh_outbox.domains, mesh_outbox.products TO PUBLIC;
