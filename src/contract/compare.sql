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

CREATE FUNCTION mesh_outbox.satisfies_expectation(
    contract    jsonb,
    expectation jsonb,
    open        boolean DEFAULT false,
    OUT verdict        text,
    OUT reason         text,
    OUT counterexample jsonb,
    OUT path           text,
    OUT keyword        text,
    OUT message        text,
    OUT undecided_by   text)
RETURNS record LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'mo_satisfies_expectation';
COMMENT ON FUNCTION mesh_outbox.satisfies_expectation(jsonb, jsonb, boolean) IS
    'does every event that producers of the contract may insert satisfy what a consumer relies on? The contract is read closed unless open, the expectation as written';

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

CREATE FUNCTION mesh_outbox.check_compatibility_versions(
    old           jsonb[],
    new           jsonb,
    compatibility text DEFAULT 'FULL_TRANSITIVE',
    open          boolean DEFAULT false,
    old_open      boolean[] DEFAULT '{}',
    OUT direction      text,
    OUT version        integer,
    OUT verdict        text,
    OUT path           text,
    OUT keyword        text,
    OUT change         text,
    OUT breaks         text,
    OUT message        text,
    OUT counterexample jsonb,
    OUT allowed        text,
    OUT reason         text)
RETURNS SETOF record LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 5
AS 'MODULE_PATHNAME', 'mo_check_compatibility';
COMMENT ON FUNCTION mesh_outbox.check_compatibility_versions(jsonb[], jsonb, text, boolean, boolean[]) IS
    'whom does a new version of a contract break? old: earlier versions, the latest first, of which only _TRANSITIVE modes look beyond the first; open: undeclared properties are not refused at INSERT; old_open: the same of the earlier versions, as of the new one where it says nothing. One row per direction that is proved, else one per place that breaks, with a confirmed document, what changed there and the smallest change that would be allowed; PRODUCERS says whether what is sent today is still accepted';

CREATE FUNCTION mesh_outbox.check_compatibility(
    old           jsonb,
    new           jsonb,
    compatibility text DEFAULT 'FULL_TRANSITIVE',
    open          boolean DEFAULT false,
    OUT direction      text,
    OUT version        integer,
    OUT verdict        text,
    OUT path           text,
    OUT keyword        text,
    OUT change         text,
    OUT breaks         text,
    OUT message        text,
    OUT counterexample jsonb,
    OUT allowed        text,
    OUT reason         text)
RETURNS SETOF record LANGUAGE sql STABLE STRICT PARALLEL SAFE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM mesh_outbox.check_compatibility_versions(ARRAY[old], new, compatibility, open) $$;
COMMENT ON FUNCTION mesh_outbox.check_compatibility(jsonb, jsonb, text, boolean) IS
    'whom does a new version of a contract break, compared with one earlier version';

CREATE FUNCTION mesh_outbox.contract_changes(
    old jsonb,
    new jsonb,
    old_open boolean DEFAULT false,
    open     boolean DEFAULT false,
    OUT path    text,
    OUT keyword text,
    OUT change  text,
    OUT level   text)
RETURNS SETOF record LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10
AS 'MODULE_PATHNAME', 'mo_contract_changes';
COMMENT ON FUNCTION mesh_outbox.contract_changes(jsonb, jsonb, boolean, boolean) IS
    'what differs between two versions of a contract, in words: major if it breaks consumers running today or replaying old events, minor if documents change, patch if only descriptions do; old_open, open: undeclared properties are not refused at INSERT';

CREATE FUNCTION mesh_outbox.suggested_version(old jsonb, new jsonb, version text)
RETURNS text LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN bool_or(level = 'major') THEN concat_ws('.', v[1] + 1, 0, 0)
        WHEN bool_or(level = 'minor') THEN concat_ws('.', v[1], v[2] + 1, 0)
        WHEN bool_or(level = 'patch') THEN concat_ws('.', v[1], v[2], v[3] + 1)
        ELSE version
    END
    FROM (SELECT string_to_array(version, '.')::int[] AS v) AS numbers
    LEFT JOIN mesh_outbox.contract_changes(old, new) ON true
    GROUP BY v
$$;
COMMENT ON FUNCTION mesh_outbox.suggested_version(jsonb, jsonb, text) IS
    'the version number that the change from old (which has the given version) to new asks for';

CREATE FUNCTION mesh_outbox.generate_examples(
    schema  jsonb,
    n       integer DEFAULT 5,
    seed    bigint DEFAULT 1,
    invalid boolean DEFAULT false,
    closed  boolean DEFAULT true,
    OUT example jsonb,
    OUT path    text,
    OUT keyword text,
    OUT message text)
RETURNS SETOF record LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 5
AS 'MODULE_PATHNAME', 'mo_generate_examples';
COMMENT ON FUNCTION mesh_outbox.generate_examples(jsonb, integer, bigint, boolean, boolean) IS
    'up to n different documents of a schema, each confirmed by the validator, the same for the same seed; invalid: documents that miss it by one keyword, with path, keyword and message of the fault; closed: without undeclared properties, as an INSERT would ask';
