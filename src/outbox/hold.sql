/* src/outbox/hold.sql: tables of others, in functions with more rights than theirs */

-- ---------------------------------------------------------------------
-- Names that stay
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.hold_table(relation regclass, mode text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'mo_hold_table';
COMMENT ON FUNCTION mesh_outbox.hold_table(regclass, text) IS
    'locks a table and its partitions by their OIDs in a mode of LOCK TABLE, and has them keep their names until the transaction ends';
REVOKE EXECUTE ON FUNCTION mesh_outbox.hold_table(regclass, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.hold_schema(schema oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'mo_hold_schema';
COMMENT ON FUNCTION mesh_outbox.hold_schema(oid) IS
    'has a schema keep its name until the transaction ends';
REVOKE EXECUTE ON FUNCTION mesh_outbox.hold_schema(oid) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.hold_type(type oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'mo_hold_type';
COMMENT ON FUNCTION mesh_outbox.hold_type(oid) IS
    'has a type keep its name until the transaction ends';
REVOKE EXECUTE ON FUNCTION mesh_outbox.hold_type(oid) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Rows
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.read_as(role oid, query text, VARIADIC arguments "any") RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'mo_read_as';
COMMENT ON FUNCTION mesh_outbox.read_as(oid, text, "any") IS
    'the rows of a query that runs with a role''s rights, cannot write and cannot change settings or roles';
REVOKE EXECUTE ON FUNCTION mesh_outbox.read_as(oid, text, "any") FROM PUBLIC;

CREATE FUNCTION mesh_outbox.domain_owner(domain text) RETURNS regrole
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner regrole := (SELECT d.owner FROM mesh_outbox.domain d WHERE d.name = domain);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = owner) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('the role that owned domain "%s" does not exist any more', domain),
            HINT = 'An administrator gives the domain to another with mesh_outbox.alter_domain().';
    END IF;
    RETURN owner;
END
$$;
COMMENT ON FUNCTION mesh_outbox.domain_owner(text) IS 'the role that owns a domain; error if it is gone';
REVOKE EXECUTE ON FUNCTION mesh_outbox.domain_owner(text) FROM PUBLIC;

-- Whatever name, view or function of his a query on an outbox may come upon,
-- it is run with the rights of the domain's role.
CREATE FUNCTION mesh_outbox.reader_of(outbox mesh_outbox.outbox) RETURNS oid
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner regrole := mesh_outbox.domain_owner((mesh_outbox.find_product(outbox.product)).domain);
    schema oid := (SELECT c.relnamespace FROM pg_class c WHERE c.oid = outbox.relation);
BEGIN
    IF NOT has_schema_privilege(owner::oid, schema, 'USAGE')
          OR NOT has_table_privilege(owner::oid, outbox.relation::oid, 'SELECT') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role %s, who owns the domain of outbox %s, cannot read it', owner, outbox.relation),
            HINT = format('GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s TO %s;',
                          schema::regnamespace, owner, outbox.relation, owner);
    END IF;
    RETURN owner;
END
$$;
COMMENT ON FUNCTION mesh_outbox.reader_of(mesh_outbox.outbox) IS
    'the role that an outbox''s events are read as: its domain''s; error if that one cannot';
REVOKE EXECUTE ON FUNCTION mesh_outbox.reader_of(mesh_outbox.outbox) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.count_rows(relation regclass, up_to bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'mo_rows_count';
COMMENT ON FUNCTION mesh_outbox.count_rows(regclass, bigint) IS
    'how many rows a table and its partitions have, counted up to a limit; runs no code of theirs';
REVOKE EXECUTE ON FUNCTION mesh_outbox.count_rows(regclass, bigint) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.delete_events(
    relation regclass, event_id name, created_at name, before timestamptz, ids_before uuid, horizon xid, spared uuid[],
    max_rows int) RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'mo_rows_delete';
COMMENT ON FUNCTION mesh_outbox.delete_events(regclass, name, name, timestamptz, uuid, xid, uuid[], int) IS
    'deletes events of one table that are older than a time and, unless these are NULL, than a transaction and an event id, which are then looked up by their index; but none that is spared. For retention only';
REVOKE EXECUTE ON FUNCTION
    mesh_outbox.delete_events(regclass, name, name, timestamptz, uuid, xid, uuid[], int) FROM PUBLIC;
