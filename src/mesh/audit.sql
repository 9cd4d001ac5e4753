/* src/mesh/audit.sql: who changed what, in a chain that shows gaps */

-- Stays out of dumps: the chain tells what happened in this database.
CREATE TABLE mesh_outbox.audit (
    audit_no      bigint PRIMARY KEY,
    at            timestamptz NOT NULL,
    actor         name NOT NULL,
    session_role  name NOT NULL,
    action        text NOT NULL,
    object        text NOT NULL,
    old_values    jsonb,
    new_values    jsonb,
    previous_hash bytea NOT NULL,
    hash          bytea NOT NULL
);
COMMENT ON TABLE mesh_outbox.audit IS 'append-only record of every change of the catalog, every look at stored events through our functions and the use of rights to publish, hash-chained';

-- One row; whoever writes the next link holds it until his commit.
CREATE TABLE mesh_outbox.audit_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    audit_no  bigint NOT NULL,
    hash      bytea NOT NULL
);
COMMENT ON TABLE mesh_outbox.audit_head IS 'the last link of the audit chain; serialises those who change the catalog';
INSERT INTO mesh_outbox.audit_head (audit_no, hash) VALUES (0, '\x');

-- Everything of a row but its own hash, in an order and form that do not
-- depend on settings.
CREATE FUNCTION mesh_outbox.audit_hash(link mesh_outbox.audit) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN sha256(convert_to(jsonb_build_array(
        (link).audit_no, extract(epoch FROM (link).at), (link).actor, (link).session_role, (link).action,
        (link).object, (link).old_values, (link).new_values, encode((link).previous_hash, 'hex'))::text, 'UTF8'));
COMMENT ON FUNCTION mesh_outbox.audit_hash(mesh_outbox.audit) IS 'hash that a link of the audit chain must have';

CREATE FUNCTION mesh_outbox.add_audit(action text, object text, old_values jsonb, new_values jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head mesh_outbox.audit_head;
    link mesh_outbox.audit;
BEGIN
    SELECT * INTO STRICT head FROM mesh_outbox.audit_head h FOR UPDATE;
    link.audit_no := head.audit_no + 1;
    link.at := clock_timestamp();
    link.actor := (SELECT r.rolname FROM pg_roles r WHERE r.oid = mesh_outbox.caller());
    link.session_role := session_user;
    link.action := action;
    link.object := object;
    link.old_values := old_values;
    link.new_values := new_values;
    link.previous_hash := head.hash;
    link.hash := mesh_outbox.audit_hash(link);
    INSERT INTO mesh_outbox.audit SELECT link.*;
    UPDATE mesh_outbox.audit_head h SET audit_no = link.audit_no, hash = link.hash;
END
$$;
COMMENT ON FUNCTION mesh_outbox.add_audit(text, text, jsonb, jsonb) IS 'adds a link to the audit chain';
REVOKE EXECUTE ON FUNCTION mesh_outbox.add_audit(text, text, jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.record_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
BEGIN
    IF before = after THEN
        RETURN NULL;
    END IF;
    -- of a change, what changed; the key columns say of what
    PERFORM mesh_outbox.add_audit(
        lower(TG_OP), TG_TABLE_NAME,
        CASE WHEN TG_OP = 'UPDATE'
             THEN (SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each(before) o WHERE o.value <> after -> o.key)
             ELSE before END,
        CASE WHEN TG_OP = 'UPDATE'
             THEN (SELECT jsonb_object_agg(n.key, n.value) FROM jsonb_each(after) n
                   WHERE n.value <> before -> n.key OR n.key = ANY (TG_ARGV))
             ELSE after END);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mesh_outbox.record_change() IS
    'adds a change of the catalog to the audit chain; arguments: key columns that a change is told with';
REVOKE EXECUTE ON FUNCTION mesh_outbox.record_change() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.keep_audit() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('cannot %s the audit record', lower(TG_OP)),
        DETAIL = 'It is append-only.';
END
$$;
COMMENT ON FUNCTION mesh_outbox.keep_audit() IS 'keeps the audit record as it was written';
REVOKE EXECUTE ON FUNCTION mesh_outbox.keep_audit() FROM PUBLIC;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON mesh_outbox.audit
    FOR EACH STATEMENT EXECUTE FUNCTION mesh_outbox.keep_audit();
ALTER TABLE mesh_outbox.audit ENABLE ALWAYS TRIGGER keep;

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.domain
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('name');
-- Not of resume_from: the scribe clears it, and waits for nobody's commit.
CREATE TRIGGER audit AFTER INSERT OR DELETE
    OR UPDATE OF name, brokers, options, paused, pause_reason, system_identifier, database_oid ON mesh_outbox.publisher
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('name');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.product
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('name');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.contract
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('contract_id', 'product', 'event_type', 'major', 'minor', 'patch');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.outbox
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('outbox_id', 'relation');
-- Not of its uses, which record_uses() tells otherwise.
CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF product, role, granted_by, until ON mesh_outbox.publish_grant
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('product', 'role');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.consumer
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('name', 'product', 'event_type', 'major');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.notification
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('contract_id', 'consumer_id', 'kind');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.verification
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('contract_id', 'consumer_id');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.enforcement_cap
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.conversion
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('product', 'event_type', 'from_major', 'to_major');
CREATE TRIGGER audit AFTER UPDATE ON mesh_outbox.change_rule
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('product');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.term
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('name');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.term_exception
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('term', 'product');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.policy
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('name');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.policy_state
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('policy');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.duty
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('domain', 'product', 'term', 'duty');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.consume_grant
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('product', 'consumer');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.access_request
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('request_id', 'product', 'right', 'grantee');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.term_type
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('type', 'term');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.term_column
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('relation', 'column_name');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.co_owner
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('product', 'domain');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.approval
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('contract_id', 'domain');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.product_input
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('product', 'input');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON mesh_outbox.review
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.record_change('product', 'event_type');

CREATE FUNCTION mesh_outbox.verify_audit(published jsonb DEFAULT '[]') RETURNS TABLE (audit_no bigint, problem text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM mesh_outbox.require_admin('verify the audit record');
    RETURN QUERY
    SELECT l.audit_no,
           CASE WHEN l.audit_no <> l.row_no THEN 'a record is missing before this one'
                WHEN l.hash <> mesh_outbox.audit_hash(l.link) THEN 'the record was changed'
                ELSE 'the record does not follow the one before it' END
    FROM (SELECT a AS link, a.audit_no, a.hash, a.previous_hash,
                 row_number() OVER w AS row_no, coalesce(lag(a.hash) OVER w, '\x') AS expected
          FROM mesh_outbox.audit a WINDOW w AS (ORDER BY a.audit_no)) l
    WHERE l.audit_no <> l.row_no OR l.hash <> mesh_outbox.audit_hash(l.link) OR l.previous_hash <> l.expected
    UNION ALL
    SELECT h.audit_no, 'the newest records are missing'
    FROM mesh_outbox.audit_head h
    WHERE NOT EXISTS (SELECT FROM mesh_outbox.audit a WHERE a.audit_no = h.audit_no AND a.hash = h.hash)
      AND h.audit_no > 0
    UNION ALL
    SELECT (p ->> 'audit_no')::bigint, 'it is not what was published'
    FROM jsonb_array_elements(published) p
    WHERE NOT EXISTS (SELECT FROM mesh_outbox.audit a
                      WHERE a.audit_no = (p ->> 'audit_no')::bigint AND encode(a.hash, 'hex') = p ->> 'audit_hash')
    ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mesh_outbox.verify_audit(jsonb) IS
    'finds changed, removed and re-ordered audit records; no row when the chain is whole. Given an array of the governance topic''s payloads, finds where they differ, which a chain that was written anew as a whole cannot hide; for administrators';

CREATE VIEW mesh_outbox.audit_log WITH (security_barrier) AS
    SELECT a.audit_no, a.at, a.actor, a.session_role, a.action, a.object, a.old_values, a.new_values,
           encode(a.hash, 'hex') AS hash
    FROM mesh_outbox.audit a
    WHERE (SELECT mesh_outbox.may_see_all());
COMMENT ON VIEW mesh_outbox.audit_log IS
    'every change of the catalog, and who had stored events read (action read: trial_failures, read_dead_letters; trial: a proposal), and which rights to publish are used (action use: the first time of a day); for administrators and pg_monitor. What a role reads by its own table privileges is not here. Changes wait for each other until commit';
COMMENT ON COLUMN mesh_outbox.audit_log.actor IS 'for whom the change was made; session_role: who was logged in';
COMMENT ON COLUMN mesh_outbox.audit_log.hash IS 'of this record and the one before it; keep it elsewhere to find a rewritten chain';
GRANT SELECT ON mesh_outbox.audit_log TO PUBLIC;
