/* src/contract/compare.sql: what can be proved about schemas */

CREATE FUNCTION mesh_outbox.is_subschema(
    sub            jsonb,
    super          jsonb,
    assert_formats boolean DEFAULT true,
    OUT verdict        text,
    OUT reason         text,
    OUT counterexample jsonb,
    OUT path           text,
    OUT keyword        text,
    OUT message        text,
    OUT undecided_by   text)
RETURNS record LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'mo_is_subschema';
COMMENT ON FUNCTION mesh_outbox.is_subschema(jsonb, jsonb, boolean) IS
    'is every document valid under sub valid under super? proved, refuted with a counterexample that the validator confirms, or undecided with the reason; bounded by mesh_outbox.compare_timeout and compare_memory';

CREATE FUNCTION mesh_outbox.is_satisfiable(
    schema         jsonb,
    assert_formats boolean DEFAULT true,
    OUT verdict      text,
    OUT reason       text,
    OUT example      jsonb,
    OUT path         text,
    OUT keyword      text,
    OUT message      text,
    OUT undecided_by text)
RETURNS record LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'mo_is_satisfiable';
COMMENT ON FUNCTION mesh_outbox.is_satisfiable(jsonb, boolean) IS
    'is there a valid document at all? proved with an example, refuted, or undecided with the reason';

CREATE FUNCTION mesh_outbox.schemas_overlap(
    a              jsonb,
    b              jsonb,
    assert_formats boolean DEFAULT true,
    OUT verdict      text,
    OUT reason       text,
    OUT example      jsonb,
    OUT path         text,
    OUT keyword      text,
    OUT message      text,
    OUT undecided_by text)
RETURNS record LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'mo_schemas_overlap';
COMMENT ON FUNCTION mesh_outbox.schemas_overlap(jsonb, jsonb, boolean) IS
    'is there a document valid under both schemas? proved with an example, refuted, or undecided with the reason';
