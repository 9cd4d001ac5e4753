/* src/mesh/doctor.sql: what keeps events from being published, and what mends it */

-- Each part returns one row per problem; domain says whose business it is
-- (NULL: the administrators').  doctor() shows everybody his own.

CREATE FUNCTION mesh_outbox.doctor_server()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'error', NULL, 'server', 'mesh_outbox is not loaded at server start: nothing is published',
               -- quoted one by one: $libdir/… is no word, and what is quoted as a whole is one name
               format('ALTER SYSTEM SET shared_preload_libraries = %s; -- and restart',
                      (SELECT string_agg(quote_literal(btrim(l.name, ' "')), ', ' ORDER BY l.n)
                       FROM unnest(string_to_array(nullif(current_setting('shared_preload_libraries'), ''), ',')
                                   || ARRAY['mesh_outbox']) WITH ORDINALITY l (name, n)))
        WHERE NOT mesh_outbox.is_preloaded()
        UNION ALL
        SELECT 'error', NULL, 'server', format('wal_level is %s: nothing can be decoded', current_setting('wal_level')),
               'ALTER SYSTEM SET wal_level = logical; -- and restart'
        WHERE current_setting('wal_level') <> 'logical'
        UNION ALL
        SELECT 'error', NULL, 'server', format('all %s replication slots are taken', current_setting('max_replication_slots')),
               format('ALTER SYSTEM SET max_replication_slots = %s; -- and restart',
                      current_setting('max_replication_slots')::int + 10)
        WHERE (SELECT count(*) FROM pg_replication_slots) >= current_setting('max_replication_slots')::int
          AND EXISTS (SELECT FROM mesh_outbox.publisher p
                      WHERE NOT EXISTS (SELECT FROM mesh_outbox.progress g WHERE g.publisher_id = p.publisher_id))
        UNION ALL
        SELECT 'warning', NULL, 'extension mesh_outbox',
               format('version %s is installed, the server has %s', e.extversion, a.default_version),
               'ALTER EXTENSION mesh_outbox UPDATE;'
        FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname
        WHERE e.extname = 'mesh_outbox' AND e.extversion <> a.default_version;
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_server() IS 'what is wrong with the server''s settings';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_server() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.doctor_publishers()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- They run on the primary server, and so do their slots.
    IF pg_is_in_recovery() THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH publishers AS MATERIALIZED (SELECT * FROM mesh_outbox.watch_publishers()),
         slots AS (
             SELECT p.name, r.slot_name AS found, r.wal_status, r.safe_wal_size
             FROM publishers p LEFT JOIN pg_replication_slots r ON r.slot_name = p.slot_name)
    SELECT CASE WHEN p.state LIKE 'waiting%' OR p.state IN ('starting', 'backing off', 'paused') THEN 'warning' ELSE 'error' END,
           NULL, format('publisher %s', p.name),
           concat_ws('; ', 'it is ' || CASE WHEN p.paused THEN 'paused' ELSE p.state END,
                     p.pause_reason, p.attention, p.attention_detail, p.last_error),
           CASE WHEN p.attention IS NOT NULL
                THEN format('SELECT mesh_outbox.resume_publisher(%L, start_from => ''…'', reason => ''…''); -- %s',
                            p.name, coalesce(p.attention_hint, 'marker, ledger or now'))
                WHEN p.paused THEN format('SELECT mesh_outbox.resume_publisher(%L);', p.name)
                ELSE '-- ' || coalesce(p.last_error_hint, 'the server''s log says more') END
    FROM publishers p
    WHERE p.state <> 'streaming' AND (p.paused OR mesh_outbox.is_preloaded())
    UNION ALL
    SELECT 'error', NULL, format('publisher %s', p.name),
           CASE WHEN s.found IS NULL THEN format('its replication slot %s is gone', p.slot_name)
                ELSE format('its replication slot %s has lost WAL that it needs', p.slot_name) END,
           format('SELECT mesh_outbox.resume_publisher(%L, start_from => ''now'', reason => ''…''); -- what was not published is lost to the stream',
                  p.name)
    FROM publishers p JOIN slots s USING (name)
    WHERE p.slot_name IS NOT NULL AND (s.found IS NULL OR s.wal_status = 'lost')
    UNION ALL
    SELECT 'warning', NULL, format('publisher %s', p.name),
           CASE WHEN s.wal_status = 'unreserved' THEN 'its replication slot is about to lose WAL that it needs'
                ELSE format('the server keeps %s of WAL for it', pg_size_pretty(p.retained_wal_bytes)) END,
           '-- see why it is behind: SELECT * FROM mesh_outbox.publishers; max_slot_wal_keep_size limits what is kept'
    FROM publishers p JOIN slots s USING (name)
    WHERE s.wal_status = 'unreserved'
       OR p.retained_wal_bytes > nullif(pg_size_bytes(current_setting('mesh_outbox.retained_wal_warning')), 0);
END
$$;
COMMENT ON FUNCTION mesh_outbox.doctor_publishers() IS
    'publishers that do not stream, whose slot is lost, or for which more WAL is kept than mesh_outbox.retained_wal_warning';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_publishers() FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Outboxes
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.doctor_triggers()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH outbox AS (
            SELECT o.outbox_id, o.relation, o.publisher, o.columns, r.domain, coalesce(p.publisher_id, 0) AS publisher_id
            FROM mesh_outbox.outbox o
            JOIN mesh_outbox.product r ON r.name = o.product
            JOIN pg_class c ON c.oid = o.relation
            LEFT JOIN mesh_outbox.publisher p ON p.name = o.publisher
        ), expected AS (
            -- arguments as encode(…, 'escape') shows them: each ends with a zero byte
            SELECT o.*, part, t.tgname, t.tgtype,
                   (SELECT string_agg(encode(convert_to(a.argument, 'UTF8'), 'escape') || '\000', '' ORDER BY a.n, a.argument)
                    FROM (SELECT 1 AS n, o.outbox_id::text AS argument
                          UNION ALL SELECT 2, o.publisher_id::text
                          UNION ALL SELECT 3, c.key || '=' || c.value FROM jsonb_each_text(o.columns) c
                          WHERE t.tgname = 'mesh_outbox_check') a) AS arguments
            FROM outbox o, mesh_outbox.outbox_relations(o.relation) part,
                 -- BEFORE ROW INSERT, DELETE, UPDATE; BEFORE STATEMENT TRUNCATE
                 (VALUES ('mesh_outbox_check', 31), ('mesh_outbox_truncate', 34)) t (tgname, tgtype)
        )
        SELECT 'error', e.domain, format('outbox %s', e.part),
               CASE WHEN t.oid IS NULL THEN format('it has no trigger %s', e.tgname)
                    WHEN t.tgenabled <> 'A' THEN format('its trigger %s is %s', e.tgname,
                        CASE t.tgenabled WHEN 'D' THEN 'disabled' ELSE 'not enabled always' END)
                    ELSE format('its trigger %s was changed', e.tgname) END
               || CASE e.tgname WHEN 'mesh_outbox_check' THEN ': events go in unchecked or are not published' ELSE '' END,
               format('SELECT mesh_outbox.set_outbox_publisher(%L, %L);', e.relation, e.publisher)
        FROM expected e
        LEFT JOIN pg_trigger t ON t.tgrelid = e.part AND t.tgname = e.tgname
        WHERE t.oid IS NULL OR t.tgenabled <> 'A' OR t.tgtype <> e.tgtype OR t.tgqual IS NOT NULL OR t.tgnargs = 0
           OR t.tgfoid <> 'mesh_outbox.check_event'::regproc OR encode(t.tgargs, 'escape') <> e.arguments
        UNION ALL
        SELECT 'error', NULL, format('table %s', t.tgrelid::regclass),
               'it has the check trigger of an outbox and is none: a publisher may take its rows for events',
               format('DROP TRIGGER %I ON %s;', t.tgname, t.tgrelid::regclass)
        FROM pg_trigger t
        WHERE t.tgfoid = 'mesh_outbox.check_event'::regproc AND t.tgparentid = 0
          AND NOT EXISTS (SELECT FROM expected e WHERE e.part = t.tgrelid);
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_triggers() IS 'outboxes whose check triggers are missing, disabled or changed';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_triggers() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.doctor_outboxes()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH part AS (
            SELECT o.relation, o.product, o.columns, r.domain, d.owner, c.oid, c.relowner, c.relnamespace, c.relpersistence, c.relrowsecurity,
                   c.relkind
            FROM mesh_outbox.outbox o JOIN mesh_outbox.product r ON r.name = o.product
            JOIN mesh_outbox.domain d ON d.name = r.domain
            JOIN pg_class h ON h.oid = o.relation
            CROSS JOIN LATERAL mesh_outbox.outbox_relations(o.relation) p JOIN pg_class c ON c.oid = p)
        SELECT 'error', r.domain, format('outbox %s', o.relation), 'its table is gone',
               format('SELECT mesh_outbox.drop_outbox(%L);', o.relation::oid)
        FROM mesh_outbox.outbox o JOIN mesh_outbox.product r ON r.name = o.product
        WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = o.relation)
        UNION ALL
        SELECT 'warning', r.domain, format('outbox %s', o.relation), 'nobody publishes its events',
               format('SELECT mesh_outbox.set_outbox_publisher(%L, %L);', o.relation,
                      coalesce((SELECT min(p.name) FROM mesh_outbox.publisher p), '…'))
        FROM mesh_outbox.outbox o JOIN mesh_outbox.product r ON r.name = o.product
        JOIN pg_class c ON c.oid = o.relation
        WHERE o.publisher IS NULL
        UNION ALL
        SELECT 'warning', r.domain, format('outbox %s', o.relation),
               format('product %s has no contract in force: every INSERT is refused', o.product),
               format('SELECT mesh_outbox.activate_contract(%L, ''…'', ''1.0.0''); -- after propose_contract()', o.product)
        FROM mesh_outbox.outbox o JOIN mesh_outbox.product r ON r.name = o.product
        WHERE NOT EXISTS (SELECT FROM mesh_outbox.contract c
                          WHERE c.product = o.product AND c.status IN ('active', 'deprecated'))
        UNION ALL
        SELECT 'error', p.domain, format('outbox %s', p.oid::regclass),
               format('it belongs to %s, who can disable its check', p.relowner::regrole),
               format('ALTER TABLE %s OWNER TO mesh_outbox_owner;', p.oid::regclass)
        FROM part p WHERE pg_get_userbyid(p.relowner) <> 'mesh_outbox_owner'
        UNION ALL
        SELECT 'error', p.domain, format('outbox %s', p.oid::regclass), 'it is unlogged: its rows never reach the WAL, so events are refused',
               format('ALTER TABLE %s SET LOGGED;', p.oid::regclass)
        FROM part p WHERE p.relpersistence <> 'p'
        UNION ALL
        SELECT 'error', p.domain, format('outbox %s', p.oid::regclass), 'it is a foreign table: its rows go to another server, so events are refused',
               format('ALTER TABLE %s DETACH PARTITION %s;',
                      (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = p.oid), p.oid::regclass)
        FROM part p WHERE p.relkind = 'f'
        UNION ALL
        SELECT 'warning', p.domain, format('outbox %s', p.oid::regclass), 'it has row-level security, which may refuse events',
               format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY;', p.oid::regclass)
        FROM part p WHERE p.relrowsecurity
        UNION ALL
        SELECT 'error', p.domain, format('outbox %s', p.relation),
               format('it has no column %I of type %s: every INSERT is refused', c.name, c.type),
               '-- give the column back its name and type, or detach the outbox and attach it with other columns'
        FROM part p
        CROSS JOIN LATERAL (SELECT coalesce(p.columns ->> o.name, o.name) AS name, o.type FROM mesh_outbox.outbox_columns() o) c
        WHERE p.oid = p.relation
          AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = p.oid AND a.attname = c.name
                          AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = c.type)
        UNION ALL
        SELECT 'error', p.domain, format('outbox %s', p.oid::regclass),
               format('its rule %s may take the place of an INSERT', r.rulename),
               format('DROP RULE %I ON %s;', r.rulename, p.oid::regclass)
        FROM part p JOIN pg_rewrite r ON r.ev_class = p.oid
        UNION ALL
        SELECT 'warning', p.domain, format('outbox %s', p.oid::regclass),
               format('%s: it may run with the rights of mesh_outbox_owner', mesh_outbox.code_in_table(p.oid)),
               '-- drop it; attach_outbox() refuses such tables'
        FROM part p
        WHERE mesh_outbox.code_in_table(p.oid) IS NOT NULL
          AND NOT EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = p.oid)
        UNION ALL
        SELECT 'warning', p.domain, format('outbox %s', p.oid::regclass),
               format('role %s, who owns the domain, cannot read it: its events are neither tried nor measured', p.owner),
               format('GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s TO %s;',
                      p.relnamespace::regnamespace, p.owner, p.oid::regclass, p.owner)
        FROM part p JOIN pg_roles r ON r.oid = p.owner
        WHERE NOT has_schema_privilege(p.owner, p.relnamespace, 'USAGE')
           OR NOT has_table_privilege(p.owner, p.oid, 'SELECT')
        UNION ALL
        -- DROP OWNED and a change of the table's owner take rights away
        SELECT 'warning', p.domain, format('outbox %s', p.oid::regclass),
               format('role %s, who may publish, has no right to insert into it', i.role),
               format('GRANT INSERT ON %s TO %s;', p.oid::regclass, i.role)
        FROM part p
        CROSS JOIN LATERAL (SELECT p.owner AS role
                            UNION
                            SELECT g.role FROM mesh_outbox.publish_grant g
                            WHERE g.product = p.product AND (g.until IS NULL OR g.until > mesh_outbox.present())) i
        JOIN pg_roles r ON r.oid = i.role
        -- nobody inserts what the catalog tells of itself
        WHERE p.oid = p.relation AND p.product <> 'mesh_outbox.governance'
          AND NOT has_table_privilege(i.role, p.oid, 'INSERT')
        UNION ALL
        SELECT 'warning', p.domain, format('outbox %s', p.oid::regclass),
               format('no index leads to its events by %I: they stay, although their product keeps them for %s', e.name, r.retention),
               format('CREATE INDEX ON %s (%I);', p.oid::regclass, e.name)
        FROM part p JOIN mesh_outbox.product r ON r.name = p.product
        CROSS JOIN LATERAL (SELECT coalesce(p.columns ->> 'event_id', 'event_id') AS name) e
        WHERE p.relkind = 'r' AND r.retention IS NOT NULL
          AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                          WHERE i.indrelid = p.oid AND i.indisvalid AND i.indpred IS NULL AND a.attname = e.name)
        UNION ALL
        SELECT 'warning', p.domain, format('outbox %s', p.oid::regclass),
               format('its trigger %s may change events behind the check', t.tgname),
               format('DROP TRIGGER %I ON %s;', t.tgname, p.oid::regclass)
        FROM part p JOIN pg_trigger t ON t.tgrelid = p.oid
        WHERE NOT t.tgisinternal AND t.tgparentid = 0
          AND t.tgfoid NOT IN ('mesh_outbox.check_event'::regproc, 'mesh_outbox.convert_event'::regproc)
        UNION ALL
        SELECT 'warning', p.domain, format('outbox %s', p.oid::regclass),
               'a publication has its DELETEs and it has no replica identity: mesh_outbox.purge_events() fails',
               format('ALTER TABLE %s REPLICA IDENTITY FULL;', p.oid::regclass)
        FROM part p JOIN pg_class c ON c.oid = p.oid
        WHERE p.relkind = 'r'
          AND EXISTS (SELECT FROM pg_publication b, pg_get_publication_tables(b.pubname) t
                      WHERE b.pubdelete AND t.relid = p.oid)
          AND (c.relreplident = 'n'
               OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary));
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_outboxes() IS
    'outboxes that are gone, unpublished, unprotected, unreadable, that run code, or whose events are all refused';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_outboxes() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.doctor_dead_letters()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', r.domain, format('outbox %s', coalesce(o.relation::text, d.outbox_id || ' (dropped)')),
               format('%s dead letters since %s: %s', count(*), date_trunc('second', min(d.created_at)),
                      CASE WHEN d.reason IN ('topic_refused', 'invalid_topic')
                           THEN (array_agg(d.detail ORDER BY d.dead_letter_id DESC))[1]
                           ELSE d.reason END),
               format('SELECT * FROM mesh_outbox.dead_letters WHERE reason = %L; -- then retry_dead_letters() or discard_dead_letters()', d.reason)
        FROM mesh_outbox.dead_letter d
        LEFT JOIN mesh_outbox.outbox o ON o.outbox_id = d.outbox_id
        LEFT JOIN mesh_outbox.product r ON r.name = o.product
        GROUP BY r.domain, o.relation, d.outbox_id, d.reason;
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_dead_letters() IS 'dead letters that nobody has dealt with';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_dead_letters() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.doctor_refusals()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'warning', p.domain, format('outbox %s', r.outbox),
           format('"%s" of role %s%s was refused %s times lately because of its %s', r.event_type, r.role,
                  CASE r.application_name WHEN '' THEN '' ELSE format(' (application %s)', r.application_name) END,
                  r.events, replace(r.reason, '_', ' ')),
           CASE r.reason
               WHEN 'event_type' THEN format('SELECT event_type, version, status FROM mesh_outbox.contracts WHERE product = %L;', r.product)
               ELSE format('SELECT * FROM mesh_outbox.validate(%L, %L, ''…''); -- with a payload of theirs', r.product, r.event_type) END
    FROM mesh_outbox.watch_refusals() r JOIN mesh_outbox.product p ON p.name = r.product
    WHERE r.last_at > clock_timestamp() - interval '15 minutes';
END
$$;
COMMENT ON FUNCTION mesh_outbox.doctor_refusals() IS 'event types refused in the last 15 minutes, with role and application';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_refusals() FROM PUBLIC;

-- ---------------------------------------------------------------------
-- All of it
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.owned_domains() RETURNS SETOF text
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT d.name FROM mesh_outbox.domain d
    LEFT JOIN pg_roles r ON r.oid = d.owner
    WHERE mesh_outbox.is_admin(mesh_outbox.caller())
       OR pg_has_role(mesh_outbox.caller()::oid, r.oid, 'USAGE');
END
$$;
COMMENT ON FUNCTION mesh_outbox.owned_domains() IS
    'domains that the current user may manage: all for administrators, for others those of their roles';

CREATE FUNCTION mesh_outbox.watched_domains() RETURNS SETOF text
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT mesh_outbox.owned_domains()
    UNION
    SELECT d.name FROM mesh_outbox.domain d WHERE mesh_outbox.is_steward(d.name);
END
$$;
COMMENT ON FUNCTION mesh_outbox.watched_domains() IS
    'domains whose problems are the current user''s: those that he may manage, or is steward of';

-- What other people wrote (a contact, a broker's error) stands in what an
-- administrator will run: a line of theirs must not end the comment it is in.
CREATE FUNCTION mesh_outbox.one_line(text text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN regexp_replace(text, '[[:cntrl:]]+', ' ', 'g');
COMMENT ON FUNCTION mesh_outbox.one_line(text) IS 'a text without line breaks and other control characters';
REVOKE EXECUTE ON FUNCTION mesh_outbox.one_line(text) FROM PUBLIC;

-- Compiling the queries would take a hundred times as long as they do.
CREATE FUNCTION mesh_outbox.doctor()
    RETURNS TABLE (severity text, object text, problem text, remedy text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp
    SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p.severity, mesh_outbox.one_line(p.object), mesh_outbox.one_line(p.problem), mesh_outbox.one_line(p.remedy)
    FROM (SELECT * FROM mesh_outbox.doctor_server()
          UNION ALL SELECT * FROM mesh_outbox.doctor_publishers()
          UNION ALL SELECT * FROM mesh_outbox.doctor_triggers()
          UNION ALL SELECT * FROM mesh_outbox.doctor_outboxes()
          UNION ALL SELECT * FROM mesh_outbox.doctor_conversions()
          UNION ALL SELECT * FROM mesh_outbox.doctor_dead_letters()
          UNION ALL SELECT * FROM mesh_outbox.doctor_refusals()
          UNION ALL SELECT * FROM mesh_outbox.doctor_owners()
          UNION ALL SELECT * FROM mesh_outbox.doctor_needs()
          UNION ALL SELECT * FROM mesh_outbox.doctor_overdue()) p
    WHERE mesh_outbox.may_see_all() OR p.domain IN (SELECT mesh_outbox.watched_domains())
    ORDER BY array_position(ARRAY['error', 'warning', 'notice'], p.severity),
             p.object COLLATE "C", p.problem COLLATE "C";
END
$$;
COMMENT ON FUNCTION mesh_outbox.doctor() IS
    'one row per problem found, the worst first, with the SQL that mends it: errors keep events from being published, warnings will or may, notices are about duties; owners and stewards see what concerns their domains, administrators and pg_monitor all';
