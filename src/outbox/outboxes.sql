/* src/outbox/outboxes.sql: creating, moving and dropping outboxes */

CREATE FUNCTION mesh_outbox.outbox_columns(OUT name text, OUT type regtype)
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        VALUES ('event_id', 'uuid'::regtype), ('event_type', 'text'), ('major_version', 'int'),
               ('key', 'text'), ('payload', 'jsonb'), ('event_time', 'timestamptz'),
               ('headers', 'jsonb'), ('correlation_id', 'text'), ('causation_id', 'text'),
               ('traceparent', 'text'), ('contract_id', 'bigint'), ('created_at', 'timestamptz');
    END;
COMMENT ON FUNCTION mesh_outbox.outbox_columns() IS 'the columns of an outbox';

CREATE FUNCTION mesh_outbox.find_outbox(relation regclass) RETURNS mesh_outbox.outbox
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found mesh_outbox.outbox;
BEGIN
    SELECT * INTO found FROM mesh_outbox.outbox o WHERE o.relation = find_outbox.relation;
    IF found.outbox_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('table %s is not an outbox', coalesce(relation::text, 'NULL')),
            HINT = 'See the view mesh_outbox.outboxes.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION mesh_outbox.find_outbox(regclass) IS 'the outbox of that table; error if it is none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.find_outbox(regclass) FROM PUBLIC;

-- NULL is the only publisher there is, if there is exactly one.
CREATE FUNCTION mesh_outbox.choose_publisher(publisher text) RETURNS mesh_outbox.publisher
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen mesh_outbox.publisher;
BEGIN
    IF publisher IS NOT NULL THEN
        RETURN mesh_outbox.find_publisher(publisher);
    END IF;
    SELECT * INTO chosen FROM mesh_outbox.publisher p
    WHERE (SELECT count(*) FROM mesh_outbox.publisher) = 1;
    IF chosen.publisher_id IS NULL THEN
        RAISE NOTICE USING
            MESSAGE = 'the outbox has no publisher yet',
            DETAIL = 'Its events are checked and kept, but not published, not even later.',
            HINT = 'Choose one of the view mesh_outbox.publishers with mesh_outbox.set_outbox_publisher().';
    END IF;
    RETURN chosen;
END
$$;
COMMENT ON FUNCTION mesh_outbox.choose_publisher(text) IS
    'the publisher of that name; NULL means the only one there is';
REVOKE EXECUTE ON FUNCTION mesh_outbox.choose_publisher(text) FROM PUBLIC;

-- The table and, of a partitioned one, all below it; parents first.
CREATE FUNCTION mesh_outbox.outbox_relations(relation regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT relation
        UNION ALL
        (SELECT t.relid FROM pg_partition_tree(relation) t WHERE t.level > 0 ORDER BY t.level, t.relid);
    END;
COMMENT ON FUNCTION mesh_outbox.outbox_relations(regclass) IS 'a table and its partitions, parents first';

-- ---------------------------------------------------------------------
-- Triggers and ownership
-- ---------------------------------------------------------------------

-- TRUNCATE triggers are not inherited by partitions, row triggers are.
CREATE FUNCTION mesh_outbox.guard_truncate(relation regclass, outbox_id int, publisher_id int) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER mesh_outbox_truncate BEFORE TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION mesh_outbox.check_event(%L, %L)',
                   relation, outbox_id, publisher_id);
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER mesh_outbox_truncate', relation);
END
$$;
COMMENT ON FUNCTION mesh_outbox.guard_truncate(regclass, int, int) IS 'has TRUNCATE of an outbox refused';
REVOKE EXECUTE ON FUNCTION mesh_outbox.guard_truncate(regclass, int, int) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.install_check(relation regclass, outbox_id int, publisher_id int, columns jsonb)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part regclass;
    arguments text := format('%L, %L', outbox_id, publisher_id);
BEGIN
    SELECT arguments || coalesce(string_agg(', ' || quote_literal(key || '=' || value), '' ORDER BY key), '')
    INTO arguments FROM jsonb_each_text(columns);
    EXECUTE format('CREATE TRIGGER mesh_outbox_check BEFORE INSERT OR UPDATE OR DELETE ON %s '
                   'FOR EACH ROW EXECUTE FUNCTION mesh_outbox.check_event(%s)', relation, arguments);
    FOR part IN SELECT mesh_outbox.outbox_relations(relation) LOOP
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER mesh_outbox_check', part);
        PERFORM mesh_outbox.guard_truncate(part, outbox_id, publisher_id);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.install_check(regclass, int, int, jsonb) IS
    'makes a table and its partitions an outbox; the triggers'' arguments say which, and for which publisher';
REVOKE EXECUTE ON FUNCTION mesh_outbox.install_check(regclass, int, int, jsonb) FROM PUBLIC;

-- Whatever a superuser has called them: two checks would name two publishers.
CREATE FUNCTION mesh_outbox.remove_check(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    installed record;
BEGIN
    -- those of partitions go with the one they were made from
    FOR installed IN
        SELECT t.tgname, t.tgrelid::regclass AS part FROM mesh_outbox.outbox_relations(relation) r
        JOIN pg_trigger t ON t.tgrelid = r
        WHERE t.tgfoid = 'mesh_outbox.check_event'::regproc AND t.tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', installed.tgname, installed.part);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.remove_check(regclass) IS 'makes an outbox an ordinary table again';
REVOKE EXECUTE ON FUNCTION mesh_outbox.remove_check(regclass) FROM PUBLIC;

-- Of what was granted before, SELECT and INSERT stay.
CREATE FUNCTION mesh_outbox.take_over(relation regclass, domain text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner regrole := mesh_outbox.domain_owner(domain);
    part regclass;
    held record;
    kept text[];
BEGIN
    FOR part IN SELECT mesh_outbox.outbox_relations(relation) LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO mesh_outbox_owner', part);
        FOR held IN
            SELECT a.grantee, array_agg(DISTINCT a.privilege_type) FILTER (WHERE a.whole_table) AS privileges
            FROM (SELECT e.grantee, e.privilege_type, true AS whole_table
                  FROM pg_class c, aclexplode(c.relacl) e WHERE c.oid = part
                  UNION ALL
                  SELECT e.grantee, e.privilege_type, false
                  FROM pg_attribute t, aclexplode(t.attacl) e WHERE t.attrelid = part) a
            WHERE a.grantee <> (SELECT c.relowner FROM pg_class c WHERE c.oid = part)
            GROUP BY a.grantee
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', part, mesh_outbox.grantee_name(held.grantee));
            kept := ARRAY(SELECT p FROM unnest(held.privileges) p WHERE p IN ('SELECT', 'INSERT') ORDER BY p);
            IF kept <> '{}' THEN
                EXECUTE format('GRANT %s ON %s TO %s', array_to_string(kept, ', '), part,
                               mesh_outbox.grantee_name(held.grantee));
            END IF;
        END LOOP;
        EXECUTE format('GRANT SELECT ON %s TO %s', part, owner);
    END LOOP;
    PERFORM mesh_outbox.grant_insert(relation, owner);
END
$$;
COMMENT ON FUNCTION mesh_outbox.take_over(regclass, text) IS
    'gives a table to mesh_outbox_owner and the domain''s role the right to read and insert, so that nobody can disable its check or rewrite an event';
REVOKE EXECUTE ON FUNCTION mesh_outbox.take_over(regclass, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.grantee_name(role oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN role = 0 THEN 'PUBLIC' ELSE role::regrole::text END;
COMMENT ON FUNCTION mesh_outbox.grantee_name(oid) IS 'a grantee as GRANT takes it';

-- With the sequences behind its columns' defaults, which nextval() asks for.
CREATE FUNCTION mesh_outbox.grant_insert(relation regclass, role regrole) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part regclass;
    sequence regclass;
BEGIN
    PERFORM mesh_outbox.hold_table(relation, 'ACCESS SHARE');
    FOR part IN SELECT mesh_outbox.outbox_relations(relation) LOOP
        EXECUTE format('GRANT INSERT ON %s TO %s', part, role);
        FOR sequence IN
            SELECT d.objid FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
            WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
              AND d.refobjid = part AND d.deptype = 'a'
        LOOP
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %s', sequence, role);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.grant_insert(regclass, regrole) IS 'lets a role insert events';
REVOKE EXECUTE ON FUNCTION mesh_outbox.grant_insert(regclass, regrole) FROM PUBLIC;

-- A role that was dropped leaves its grant behind.
CREATE FUNCTION mesh_outbox.apply_publish_grants(relation regclass, product text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mesh_outbox.grant_insert(relation, g.role)
    FROM mesh_outbox.publish_grant g JOIN pg_roles r ON r.oid = g.role
    WHERE g.product = apply_publish_grants.product;
END
$$;
COMMENT ON FUNCTION mesh_outbox.apply_publish_grants(regclass, text) IS
    'lets every role that may publish a product''s events insert into a table';
REVOKE EXECUTE ON FUNCTION mesh_outbox.apply_publish_grants(regclass, text) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Registration
-- ---------------------------------------------------------------------

-- An INSERT without a major means the newest that is in force today, and
-- goes on meaning it when a newer one is activated.
CREATE FUNCTION mesh_outbox.current_majors(product text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(jsonb_object_agg(m.event_type, m.major), '{}')
            FROM (SELECT c.event_type, max(c.major) AS major FROM mesh_outbox.contract c
                  WHERE c.product = current_majors.product AND c.status = 'active'
                  GROUP BY c.event_type) m);
COMMENT ON FUNCTION mesh_outbox.current_majors(text) IS 'event type → newest active major of a product';
REVOKE EXECUTE ON FUNCTION mesh_outbox.current_majors(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.register_outbox(
    relation regclass, product mesh_outbox.product, publisher mesh_outbox.publisher,
    columns jsonb, attached boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id int;
BEGIN
    INSERT INTO mesh_outbox.outbox (relation, product, publisher, columns, pinned, attached)
    VALUES (register_outbox.relation, (register_outbox.product).name, (register_outbox.publisher).name,
            register_outbox.columns, mesh_outbox.current_majors((register_outbox.product).name),
            register_outbox.attached)
    RETURNING outbox_id INTO new_id;
    PERFORM mesh_outbox.take_over(relation, product.domain);
    PERFORM mesh_outbox.apply_publish_grants(relation, product.name);
    PERFORM mesh_outbox.install_check(relation, new_id, coalesce(publisher.publisher_id, 0), columns);
    PERFORM mesh_outbox.install_conversion(o, v)
    FROM mesh_outbox.outbox o JOIN mesh_outbox.conversion v USING (product) WHERE o.outbox_id = new_id;
END
$$;
COMMENT ON FUNCTION mesh_outbox.register_outbox(regclass, mesh_outbox.product, mesh_outbox.publisher, jsonb, boolean) IS
    'makes a table that has all columns an outbox';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.register_outbox(regclass, mesh_outbox.product, mesh_outbox.publisher, jsonb, boolean) FROM PUBLIC;

-- The schema of a table's name as a user writes it, and the name in it.
CREATE FUNCTION mesh_outbox.split_table_name(name text, OUT schema_name text, OUT table_name text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[] := parse_ident(name);
    schema oid;
BEGIN
    IF cardinality(parts) IS DISTINCT FROM 2 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_name',
            MESSAGE = format('%s does not name a table in a schema', coalesce(quote_literal(name), 'NULL')),
            HINT = 'Write schema.table, for example sales.outbox; names with other characters than a-z, 0-9 and _ need double quotes.';
    END IF;
    SELECT n.oid INTO schema FROM pg_namespace n WHERE n.nspname = parts[1];
    IF FOUND THEN
        PERFORM mesh_outbox.hold_schema(schema);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = schema AND n.nspname = parts[1]) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_schema_name',
            MESSAGE = format('schema "%s" does not exist', parts[1]);
    END IF;
    IF NOT has_schema_privilege(mesh_outbox.caller()::oid, schema, 'CREATE') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied for schema %s', quote_ident(parts[1])),
            HINT = format('GRANT CREATE ON SCHEMA %s TO the role that creates the outbox.', quote_ident(parts[1]));
    END IF;
    schema_name := parts[1];
    table_name := parts[2];
END
$$;
COMMENT ON FUNCTION mesh_outbox.split_table_name(text) IS
    'schema, which keeps its name until the transaction ends, and name of a table to be created; error unless the caller may create one there';
REVOKE EXECUTE ON FUNCTION mesh_outbox.split_table_name(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.make_outbox(schema_name text, table_name text,
                                        product mesh_outbox.product, publisher mesh_outbox.publisher)
    RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
BEGIN
    EXECUTE format(
        'CREATE TABLE %I.%I ('
        'event_id uuid PRIMARY KEY, event_type text NOT NULL, major_version int, key text, '
        'payload jsonb NOT NULL, event_time timestamptz NOT NULL, headers jsonb, '
        'correlation_id text, causation_id text, traceparent text, '
        'contract_id bigint NOT NULL, created_at timestamptz NOT NULL)',
        schema_name, table_name);
    relation := format('%I.%I', schema_name, table_name)::regclass;
    EXECUTE format('COMMENT ON TABLE %s IS %L', relation,
                   format('outbox of data product %s: insert event_type and payload', product.name));
    PERFORM mesh_outbox.register_outbox(relation, product, publisher, '{}', false);
    RETURN relation;
END
$$;
COMMENT ON FUNCTION mesh_outbox.make_outbox(text, text, mesh_outbox.product, mesh_outbox.publisher) IS
    'creates a table that is an outbox';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.make_outbox(text, text, mesh_outbox.product, mesh_outbox.publisher) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.create_outbox(name text, product text, publisher text DEFAULT NULL) RETURNS regclass
    LANGUAGE mesh_outbox_plpgsql
    -- The table is made with our rights: not where the caller may not.
    SET search_path = pg_catalog, pg_temp SET default_tablespace = '' AS $$
DECLARE
    owning mesh_outbox.product := mesh_outbox.find_product(product);
    chosen mesh_outbox.publisher;
    target record;
BEGIN
    PERFORM mesh_outbox.require_domain(owning.domain, format('create an outbox for product "%s"', product));
    PERFORM mesh_outbox.lock_product(product);
    SELECT * INTO target FROM mesh_outbox.split_table_name(name);
    chosen := mesh_outbox.choose_publisher(publisher);
    RETURN mesh_outbox.make_outbox(target.schema_name, target.table_name, owning, chosen);
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_outbox(text, text, text) IS
    'creates a table, named schema.table, whose rows are events of a product; publisher NULL means the only one there is';

-- ---------------------------------------------------------------------
-- Changing and ending
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.set_outbox_publisher(outbox regclass, publisher text) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved mesh_outbox.outbox := mesh_outbox.find_outbox(outbox);
    chosen mesh_outbox.publisher;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(moved.product)).domain,
                                       format('move outbox %s to another publisher', outbox));
    PERFORM mesh_outbox.lock_product(moved.product);
    IF publisher IS NOT NULL THEN
        chosen := mesh_outbox.find_publisher(publisher);
    END IF;
    PERFORM mesh_outbox.hold_table(outbox, 'ACCESS EXCLUSIVE');
    PERFORM mesh_outbox.remove_check(outbox);
    PERFORM mesh_outbox.install_check(outbox, moved.outbox_id, coalesce(chosen.publisher_id, 0), moved.columns);
    UPDATE mesh_outbox.outbox o SET publisher = chosen.name WHERE o.outbox_id = moved.outbox_id;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_outbox_publisher(regclass, text) IS
    'which publisher takes the outbox''s events from the commit on; NULL: none, they are checked and kept only';

CREATE FUNCTION mesh_outbox.set_pinned_major(outbox regclass, event_type text, major int) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed mesh_outbox.outbox := mesh_outbox.find_outbox(outbox);
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(changed.product)).domain,
                                       format('change the pinned major of outbox %s', outbox));
    PERFORM mesh_outbox.lock_product(changed.product);
    IF NOT EXISTS (SELECT FROM mesh_outbox.contract c
                   WHERE c.product = changed.product AND c.event_type = set_pinned_major.event_type
                     AND c.major = set_pinned_major.major AND c.status IN ('active', 'deprecated')) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('event type "%s" of product "%s" has no contract of major version %s in force',
                             event_type, changed.product, coalesce(major::text, 'NULL'));
    END IF;
    UPDATE mesh_outbox.outbox o
    SET pinned = o.pinned || jsonb_build_object(set_pinned_major.event_type, set_pinned_major.major)
    WHERE o.outbox_id = changed.outbox_id;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_pinned_major(regclass, text, int) IS
    'which major version an INSERT into the outbox means that does not say';

CREATE FUNCTION mesh_outbox.detach_outbox(outbox regclass) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    detached mesh_outbox.outbox := mesh_outbox.find_outbox(outbox);
    domain text := (mesh_outbox.find_product(detached.product)).domain;
    owner regrole;
    part regclass;
BEGIN
    PERFORM mesh_outbox.require_domain(domain, format('detach outbox %s', outbox));
    PERFORM mesh_outbox.lock_product(detached.product);
    owner := mesh_outbox.domain_owner(domain);
    PERFORM mesh_outbox.hold_table(outbox, 'ACCESS EXCLUSIVE');
    PERFORM mesh_outbox.remove_check(outbox);
    PERFORM mesh_outbox.remove_conversions(outbox);
    FOR part IN SELECT mesh_outbox.outbox_relations(outbox) LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO %s', part, owner);
    END LOOP;
    DELETE FROM mesh_outbox.outbox o WHERE o.outbox_id = detached.outbox_id;
END
$$;
COMMENT ON FUNCTION mesh_outbox.detach_outbox(regclass) IS
    'makes an outbox an ordinary table of the domain''s role; what was committed before is still published';

CREATE FUNCTION mesh_outbox.drop_outbox(outbox regclass, lose_events boolean DEFAULT false) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped mesh_outbox.outbox := mesh_outbox.find_outbox(outbox);
    events bigint;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(dropped.product)).domain,
                                       format('drop outbox %s', outbox));
    PERFORM mesh_outbox.lock_product(dropped.product);
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = outbox) THEN
        DELETE FROM mesh_outbox.outbox o WHERE o.outbox_id = dropped.outbox_id;
        RETURN;
    END IF;
    PERFORM mesh_outbox.hold_table(outbox, 'ACCESS EXCLUSIVE');
    events := mesh_outbox.count_rows(outbox);
    IF events > 0 AND NOT lose_events THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('outbox %s holds %s events', outbox, events),
            DETAIL = CASE WHEN dropped.publisher IS NULL
                          THEN 'It has no publisher; they were never published.'
                          ELSE 'What is not published yet still will be, but nothing can be replayed from them afterwards.' END,
            HINT = format('mesh_outbox.detach_outbox(%L) keeps the table; lose_events => true drops it.', outbox);
    END IF;
    DELETE FROM mesh_outbox.outbox o WHERE o.outbox_id = dropped.outbox_id;
    EXECUTE format('DROP TABLE %s', outbox);
END
$$;
COMMENT ON FUNCTION mesh_outbox.drop_outbox(regclass, boolean) IS
    'drops an outbox and its table; refused while it holds events, unless lose_events. One whose table is gone is forgotten';

CREATE FUNCTION mesh_outbox.drop_outbox_partition(partition regclass, lose_events boolean DEFAULT false)
    RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent mesh_outbox.outbox := mesh_outbox.find_outbox(coalesce(pg_partition_root(partition), partition));
    events bigint;
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(parent.product)).domain,
                                       format('drop a partition of outbox %s', parent.relation));
    IF partition = parent.relation THEN
        RAISE EXCEPTION USING
            ERRCODE = 'wrong_object_type',
            MESSAGE = format('outbox %s is not a partition', partition),
            HINT = 'Use mesh_outbox.drop_outbox().';
    END IF;
    PERFORM mesh_outbox.hold_table(partition, 'ACCESS EXCLUSIVE');
    events := mesh_outbox.count_rows(partition);
    IF events > 0 AND NOT lose_events THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('partition %s of outbox %s holds %s events', partition, parent.relation, events),
            DETAIL = CASE WHEN parent.publisher IS NULL
                          THEN 'The outbox has no publisher; they were never published.'
                          ELSE 'What is not published yet still will be, but nothing can be replayed from them afterwards.' END,
            HINT = 'lose_events => true drops it.';
    END IF;
    EXECUTE format('DROP TABLE %s', partition);
END
$$;
COMMENT ON FUNCTION mesh_outbox.drop_outbox_partition(regclass, boolean) IS
    'drops a partition of an outbox; refused while it holds events, unless lose_events';

-- For DROP EXTENSION, which must not wait for the counting of a large table.
CREATE FUNCTION mesh_outbox.outbox_contents() RETURNS text
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
    events bigint;
    lines text[] := '{}';
BEGIN
    IF NOT mesh_outbox.may_see_all() THEN
        RETURN NULL;
    END IF;
    FOR relation IN SELECT o.relation FROM mesh_outbox.outbox o JOIN pg_class c ON c.oid = o.relation
                    ORDER BY o.relation::text COLLATE "C" LOOP
        events := mesh_outbox.count_rows(relation, 10001);
        lines := lines || format('outbox %s holds %s', relation,
                                 CASE WHEN events > 10000 THEN 'more than 10000 events'
                                      WHEN events = 1 THEN '1 event' ELSE events || ' events' END);
    END LOOP;
    RETURN nullif(array_to_string(lines, E'\n'), '');
END
$$;
COMMENT ON FUNCTION mesh_outbox.outbox_contents() IS
    'a line per outbox with how many events it holds, counted up to 10000; NULL when there is none. For administrators and pg_monitor';

-- ---------------------------------------------------------------------
-- View
-- ---------------------------------------------------------------------

CREATE VIEW mesh_outbox.outboxes AS
    SELECT o.relation AS outbox, o.product, p.domain, o.publisher, o.columns, o.pinned,
           o.attached, NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = o.relation) AS missing,
           o.created_at, o.outbox_id
    FROM mesh_outbox.outbox o JOIN mesh_outbox.product p ON p.name = o.product;
COMMENT ON VIEW mesh_outbox.outboxes IS 'tables whose rows are events';
COMMENT ON COLUMN mesh_outbox.outboxes.publisher IS 'who publishes the events; NULL: nobody, they are checked and kept';
COMMENT ON COLUMN mesh_outbox.outboxes.columns IS 'our column name → the table''s, where they differ';
COMMENT ON COLUMN mesh_outbox.outboxes.pinned IS 'event type → the major version of an INSERT that does not say';
COMMENT ON COLUMN mesh_outbox.outboxes.attached IS 'whether the table existed before it became an outbox';
COMMENT ON COLUMN mesh_outbox.outboxes.missing IS 'whether the table was dropped while mesh_outbox.protect_outboxes was off; drop_outbox() forgets it';

GRANT SELECT ON mesh_outbox.outboxes TO PUBLIC;
