/* src/rights.sql: who is calling, and what he may do */

CREATE FUNCTION mesh_outbox.call_plpgsql() RETURNS language_handler
    LANGUAGE c AS 'MODULE_PATHNAME', 'mesh_outbox_call_plpgsql';
COMMENT ON FUNCTION mesh_outbox.call_plpgsql() IS
    'call handler of the language mesh_outbox_plpgsql';
REVOKE EXECUTE ON FUNCTION mesh_outbox.call_plpgsql() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.validate_plpgsql(function oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'mesh_outbox_validate_plpgsql';
COMMENT ON FUNCTION mesh_outbox.validate_plpgsql(oid) IS
    'validator of the language mesh_outbox_plpgsql';
REVOKE EXECUTE ON FUNCTION mesh_outbox.validate_plpgsql(oid) FROM PUBLIC;

CREATE LANGUAGE mesh_outbox_plpgsql
    HANDLER mesh_outbox.call_plpgsql
    VALIDATOR mesh_outbox.validate_plpgsql;
COMMENT ON LANGUAGE mesh_outbox_plpgsql IS
    'PL/pgSQL that runs with its owner''s rights and knows for whom: mesh_outbox.caller()';

CREATE FUNCTION mesh_outbox.caller() RETURNS regrole
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'mesh_outbox_caller';
COMMENT ON FUNCTION mesh_outbox.caller() IS
    'the role for which a function of mesh_outbox acts; elsewhere the current user';

-- ---------------------------------------------------------------------
-- Questions and demands, for the management functions only
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.is_admin(role oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN pg_has_role(role, 'mesh_outbox_admin', 'USAGE');
COMMENT ON FUNCTION mesh_outbox.is_admin(oid) IS
    'whether a role has the rights of mesh_outbox_admin';

CREATE FUNCTION mesh_outbox.require_admin(action text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT mesh_outbox.is_admin(mesh_outbox.caller()) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied to %s', action),
            DETAIL = 'Only a member of the role mesh_outbox_admin may.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_admin(text) IS
    'error unless the caller is an administrator of the mesh';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_admin(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.require_domain(domain text, action text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner regrole := (SELECT d.owner FROM mesh_outbox.domain d WHERE d.name = domain);
BEGIN
    IF owner IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('domain "%s" does not exist', domain),
            HINT = 'See the view mesh_outbox.domains; an administrator creates one with mesh_outbox.create_domain().';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE oid = owner)
       AND NOT mesh_outbox.is_admin(mesh_outbox.caller()) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied to %s', action),
            DETAIL = format('The role that owned domain "%s" does not exist any more.', domain),
            HINT = 'An administrator gives it another with mesh_outbox.alter_domain().';
    END IF;
    IF NOT mesh_outbox.is_admin(mesh_outbox.caller())
       AND NOT pg_has_role(mesh_outbox.caller()::oid, owner::oid, 'USAGE') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied to %s', action),
            DETAIL = format('Domain "%s" belongs to role %s.', domain, owner);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_domain(text, text) IS
    'error unless the caller has the rights of the domain''s owning role';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_domain(text, text) FROM PUBLIC;

-- Beside the owner a domain may have a steward: a role that sees to its rules
-- and can do nothing to what its events are.
CREATE FUNCTION mesh_outbox.is_steward(domain text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (SELECT FROM mesh_outbox.domain d JOIN pg_roles r ON r.oid = d.steward
                   WHERE d.name = domain AND pg_has_role(mesh_outbox.caller()::oid, r.oid, 'USAGE'));
COMMENT ON FUNCTION mesh_outbox.is_steward(text) IS 'whether the caller has the rights of a domain''s steward';
REVOKE EXECUTE ON FUNCTION mesh_outbox.is_steward(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.require_owner_or_steward(domain text, action text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT mesh_outbox.is_steward(domain) THEN
        PERFORM mesh_outbox.require_domain(domain, action);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_owner_or_steward(text, text) IS
    'error unless the caller has the rights of the domain''s owning role or its steward';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_owner_or_steward(text, text) FROM PUBLIC;

-- What binds the owner, too, is not his to decide.
CREATE FUNCTION mesh_outbox.require_steward(domain text, action text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF domain IS NULL THEN
        PERFORM mesh_outbox.require_admin(action);
    ELSIF NOT mesh_outbox.is_admin(mesh_outbox.caller()) AND NOT mesh_outbox.is_steward(domain) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied to %s', action),
            DETAIL = format('Only the steward of domain "%s" and members of the role mesh_outbox_admin may.', domain);
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_steward(text, text) IS
    'error unless the caller is an administrator, or steward of the domain, where one is given';
REVOKE EXECUTE ON FUNCTION mesh_outbox.require_steward(text, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.role_named(role text) RETURNS regrole
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = role);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('role "%s" does not exist', role),
            HINT = 'The name is taken as it is, case and spaces included, without quotes around it.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION mesh_outbox.role_named(text) IS
    'the role of exactly that name; error if there is none';
REVOKE EXECUTE ON FUNCTION mesh_outbox.role_named(text) FROM PUBLIC;
