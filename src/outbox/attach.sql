/* src/outbox/attach.sql: making outboxes of tables that exist, and partitions for them */

-- Code in a rule, policy or index would run, or run as mesh_outbox_owner, on
-- every team's events; code in a check, a generated column or a partition key
-- is run by whoever plans a query on the table, and statistics are gathered as
-- mesh_outbox_owner.  NULL when there is none.
CREATE FUNCTION mesh_outbox.code_in_table(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    code text;
BEGIN
    SELECT format('it has the policy %I', p.polname) INTO code
    FROM pg_policy p WHERE p.polrelid = relation ORDER BY 1 LIMIT 1;
    IF FOUND THEN RETURN code; END IF;
    SELECT format('it has the rule %I', r.rulename) INTO code
    FROM pg_rewrite r WHERE r.ev_class = relation ORDER BY 1 LIMIT 1;
    IF FOUND THEN RETURN code; END IF;
    SELECT format('its index %s has an expression or a condition', i.indexrelid::regclass) INTO code
    FROM pg_index i WHERE i.indrelid = relation AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
    ORDER BY 1 LIMIT 1;
    IF FOUND THEN RETURN code; END IF;
    SELECT format('its statistics object %I has an expression', s.stxname) INTO code
    FROM pg_statistic_ext s WHERE s.stxrelid = relation AND s.stxexprs IS NOT NULL ORDER BY 1 LIMIT 1;
    IF FOUND THEN RETURN code; END IF;
    IF EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = relation AND p.partexprs IS NOT NULL) THEN
        RETURN 'its partition key has an expression';
    END IF;
    -- What is built in leaves no dependency.
    SELECT format('its constraint %I uses what is not built in', c.conname) INTO code
    FROM pg_constraint c JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
    WHERE c.conrelid = relation AND c.contype = 'c' AND d.refclassid <> 'pg_class'::regclass
    ORDER BY 1 LIMIT 1;
    IF FOUND THEN RETURN code; END IF;
    SELECT format('its generated column %I uses what is not built in', a.attname) INTO code
    FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    WHERE f.adrelid = relation AND a.attgenerated <> '' AND d.refclassid <> 'pg_class'::regclass
    ORDER BY 1 LIMIT 1;
    IF FOUND THEN RETURN code; END IF;
    -- Domains over such types, arrays of them and types made of them, too.
    WITH RECURSIVE reached(attname, type, oid) AS (
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
        UNION
        SELECT r.attname, r.type, x FROM reached r JOIN pg_type t ON t.oid = r.oid,
               LATERAL (SELECT unnest(ARRAY[t.typbasetype, t.typelem])
                        UNION ALL
                        SELECT a.atttypid FROM pg_attribute a
                        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p (x)
        WHERE x <> 0)
    SELECT format('its column %I has the type %s, whose functions would run for statistics', r.attname, r.type) INTO code
    FROM reached r JOIN pg_type t ON t.oid = r.oid
    WHERE t.typtype IN ('r', 'm') AND t.typnamespace <> 'pg_catalog'::regnamespace
    ORDER BY 1 LIMIT 1;
    RETURN code;
END
$$;
COMMENT ON FUNCTION mesh_outbox.code_in_table(regclass) IS
    'whose code a table''s definition runs where nobody expects it; NULL when it runs none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.code_in_table(regclass) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.attach_obstacle(relation regclass) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class;
    obstacle text;
BEGIN
    SELECT * INTO class FROM pg_class c WHERE c.oid = relation;
    IF class.relkind NOT IN ('r', 'p') THEN
        RETURN 'it is not a table';
    ELSIF class.relpersistence <> 'p' THEN
        RETURN 'it is temporary or unlogged, so its rows never reach the write-ahead log';
    ELSIF class.relrowsecurity OR class.relforcerowsecurity THEN
        RETURN 'it has row-level security';
    ELSIF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                  WHERE (i.inhrelid = relation OR i.inhparent = relation) AND NOT c.relispartition) THEN
        RETURN 'it is part of an inheritance tree';
    END IF;
    obstacle := mesh_outbox.code_in_table(relation);
    IF obstacle IS NOT NULL THEN RETURN obstacle; END IF;
    SELECT format('it has the trigger %I', t.tgname) INTO obstacle
    FROM pg_trigger t WHERE t.tgrelid = relation AND NOT t.tgisinternal ORDER BY 1 LIMIT 1;
    IF FOUND THEN RETURN obstacle; END IF;
    SELECT format('the foreign key %I of table %s refers to it', c.conname, c.conrelid::regclass) INTO obstacle
    FROM pg_constraint c WHERE c.confrelid = relation AND c.contype = 'f' ORDER BY 1 LIMIT 1;
    RETURN obstacle;
END
$$;
COMMENT ON FUNCTION mesh_outbox.attach_obstacle(regclass) IS
    'why a table cannot become an outbox; NULL when it can';
REVOKE EXECUTE ON FUNCTION mesh_outbox.attach_obstacle(regclass) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.check_attachable(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part regclass;
    obstacle text;
    owner regrole;
    parent regclass;
BEGIN
    SELECT c.relowner INTO owner FROM pg_class c WHERE c.oid = relation;
    IF NOT pg_has_role(mesh_outbox.caller()::oid, owner::oid, 'USAGE') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('must be owner of table %s', relation),
            DETAIL = 'An outbox is taken over by the role mesh_outbox_owner; only the table''s owner can agree to that.';
    END IF;
    SELECT i.inhparent INTO parent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhrelid = relation AND c.relispartition;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'wrong_object_type',
            MESSAGE = format('cannot attach partition %s alone', relation),
            HINT = format('Attach the partitioned table it belongs to, %s.', parent);
    END IF;
    IF EXISTS (SELECT FROM mesh_outbox.outbox o WHERE o.relation = check_attachable.relation) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('table %s is an outbox already', relation);
    END IF;
    FOR part IN SELECT mesh_outbox.outbox_relations(relation) LOOP
        obstacle := mesh_outbox.attach_obstacle(part);
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'wrong_object_type',
                MESSAGE = format('table %s cannot be an outbox: %s', part, obstacle),
                DETAIL = 'An outbox is an ordinary or partitioned table without triggers, rules, policies, inheritance, or code in its indexes, checks, generated columns and partition key.',
                HINT = 'Remove it, or create a table of its own with mesh_outbox.create_outbox().';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_attachable(regclass) IS
    'error unless the caller owns the table and nothing in it runs code';
REVOKE EXECUTE ON FUNCTION mesh_outbox.check_attachable(regclass) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.check_mapping(columns jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    faulty text;
BEGIN
    IF jsonb_typeof(columns) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'columns must be a JSON object from our column names to the table''s',
            HINT = 'For example {"payload": "body"}.';
    END IF;
    SELECT key INTO faulty FROM jsonb_each(columns)
    WHERE key NOT IN (SELECT c.name FROM mesh_outbox.outbox_columns() c)
       OR jsonb_typeof(value) <> 'string' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid column mapping for "%s"', faulty),
            DETAIL = format('Allowed on the left are %s; on the right a column''s name.',
                            (SELECT string_agg(c.name, ', ') FROM mesh_outbox.outbox_columns() c));
    END IF;
    SELECT min(theirs) INTO faulty
    FROM (SELECT coalesce(columns ->> c.name, c.name) AS theirs FROM mesh_outbox.outbox_columns() c) m
    GROUP BY theirs HAVING count(*) > 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('column "%s" stands for two columns of an outbox', faulty),
            HINT = 'Map the other one to a column of its own; it is added if it does not exist.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.check_mapping(jsonb) IS 'error if a column mapping cannot be right';
REVOKE EXECUTE ON FUNCTION mesh_outbox.check_mapping(jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.complete_columns(relation regclass, columns jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ours record;
    theirs pg_attribute;
    partitioned CONSTANT boolean := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = relation);
BEGIN
    FOR ours IN
        SELECT c.name, c.type, coalesce(columns ->> c.name, c.name) AS column_name
        FROM mesh_outbox.outbox_columns() c
    LOOP
        SELECT * INTO theirs FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attname = ours.column_name AND a.attnum > 0 AND NOT a.attisdropped;
        IF FOUND AND (theirs.atttypid <> ours.type OR theirs.attgenerated <> '') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'datatype_mismatch',
                MESSAGE = format('column "%s" of table %s is %s%s, but %s must be a plain column of type %s',
                                 ours.column_name, relation, format_type(theirs.atttypid, theirs.atttypmod),
                                 CASE WHEN theirs.attgenerated <> '' THEN ' and generated' ELSE '' END,
                                 ours.name, ours.type),
                HINT = format('Change its type, or map %s to another column: columns => ''{"%s": "…"}''; it is added if it does not exist.',
                              ours.name, ours.name);
        ELSIF NOT FOUND AND columns ? ours.name AND ours.name IN ('event_type', 'payload') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'undefined_column',
                MESSAGE = format('column "%s" of table %s does not exist', ours.column_name, relation);
        ELSIF NOT FOUND THEN
            EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', relation, ours.column_name, ours.type);
        END IF;
    END LOOP;
    -- Retention and retries look events up by their ids.  A partitioned table's
    -- unique keys must contain its partition key, so there it is an index only.
    IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = relation AND (partitioned OR i.indisunique AND i.indnkeyatts = 1)
                     AND a.attname = coalesce(columns ->> 'event_id', 'event_id')) THEN
        EXECUTE format('CREATE %s INDEX ON %s (%I)', CASE WHEN NOT partitioned THEN 'UNIQUE' END, relation,
                       coalesce(columns ->> 'event_id', 'event_id'));
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.complete_columns(regclass, jsonb) IS
    'adds the columns that a table lacks, and an index on event_id, unique where it can be; error where a column has another type';
REVOKE EXECUTE ON FUNCTION mesh_outbox.complete_columns(regclass, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.attach_outbox(
    outbox regclass, product text, publisher text DEFAULT NULL, columns jsonb DEFAULT '{}') RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp SET default_tablespace = '' AS $$
DECLARE
    owning mesh_outbox.product := mesh_outbox.find_product(product);
    mapping jsonb;
BEGIN
    PERFORM mesh_outbox.require_domain(owning.domain, format('attach an outbox to product "%s"', product));
    PERFORM mesh_outbox.lock_product(product);
    PERFORM mesh_outbox.check_mapping(columns);
    -- before the lock, so that only those who may can have others wait ...
    PERFORM mesh_outbox.check_attachable(outbox);
    PERFORM mesh_outbox.hold_table(outbox, 'ACCESS EXCLUSIVE');
    -- ... and again under it
    PERFORM mesh_outbox.check_attachable(outbox);
    PERFORM mesh_outbox.complete_columns(outbox, columns);
    SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO mapping
    FROM jsonb_each_text(columns) WHERE key <> value;
    PERFORM mesh_outbox.register_outbox(outbox, owning, mesh_outbox.choose_publisher(publisher), mapping, true);
END
$$;
COMMENT ON FUNCTION mesh_outbox.attach_outbox(regclass, text, text, jsonb) IS
    'makes an existing table an outbox: columns it lacks are added, columns => {"payload": "body"} says where names differ; rows that are in it already are not published';

CREATE FUNCTION mesh_outbox.create_outbox_partition(outbox regclass, name text, from_value text, to_value text)
    RETURNS regclass
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp SET default_tablespace = '' AS $$
DECLARE
    parent mesh_outbox.outbox := mesh_outbox.find_outbox(outbox);
    domain text := (mesh_outbox.find_product(parent.product)).domain;
    target record;
    part regclass;
BEGIN
    PERFORM mesh_outbox.require_domain(domain, format('create a partition of outbox %s', outbox));
    SELECT * INTO target FROM mesh_outbox.split_table_name(name);
    -- The bounds are cast by the key's type, with our rights: built-in ones only.
    IF NOT EXISTS (SELECT FROM pg_partitioned_table p
                   JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
                   JOIN pg_type t ON t.oid = a.atttypid
                   WHERE p.partrelid = outbox AND p.partstrat = 'r' AND p.partnatts = 1
                     AND t.typtype = 'b' AND t.typnamespace = 'pg_catalog'::regnamespace) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'wrong_object_type',
            MESSAGE = format('outbox %s is not partitioned by range of one column of a built-in type', outbox),
            HINT = 'A superuser can create other partitions.';
    END IF;
    PERFORM mesh_outbox.hold_table(outbox, 'ACCESS SHARE');
    EXECUTE format('CREATE TABLE %I.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
                   target.schema_name, target.table_name, outbox, from_value, to_value);
    part := format('%I.%I', target.schema_name, target.table_name)::regclass;
    PERFORM mesh_outbox.take_over(part, domain);
    PERFORM mesh_outbox.apply_publish_grants(part, parent.product);
    PERFORM mesh_outbox.guard_truncate(part, parent.outbox_id,
                                       coalesce((SELECT p.publisher_id FROM mesh_outbox.publisher p
                                                 WHERE p.name = parent.publisher), 0));
    RETURN part;
END
$$;
COMMENT ON FUNCTION mesh_outbox.create_outbox_partition(regclass, text, text, text) IS
    'adds a partition, named schema.table, to an outbox that is partitioned by range: from (inclusive) to (exclusive)';
