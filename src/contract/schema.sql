
-- Schemas: the JSON Schema engine as plain functions.  They use a schema
-- literally; contracts add their stricter rules on top.

CREATE FUNCTION mesh_outbox.is_valid(schema jsonb, instance jsonb)
RETURNS boolean
AS 'MODULE_PATHNAME', 'mesh_outbox_is_valid'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION mesh_outbox.is_valid(jsonb, jsonb) IS
'Is the instance valid under the JSON Schema (2020-12 or draft-07, formats asserted)? For CHECK constraints and queries; refuses references outside the schema. Use schema_violations() to see why not.';

CREATE FUNCTION mesh_outbox.schema_violations(
	schema jsonb, instance jsonb,
	OUT instance_pointer text, OUT schema_pointer text, OUT keyword text,
	OUT message text, OUT found text, OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mesh_outbox_schema_violations'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100 ROWS 5;
COMMENT ON FUNCTION mesh_outbox.schema_violations(jsonb, jsonb) IS
'All ways in which the instance breaks the JSON Schema, one per row with its place in both; no row if it is valid. For a failed anyOf or oneOf the closest alternative comes first.';

CREATE FUNCTION mesh_outbox.check_schema(
	schema jsonb, contract boolean DEFAULT false,
	OUT schema_pointer text, OUT keyword text, OUT message text,
	OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mesh_outbox_check_schema'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 ROWS 5;
COMMENT ON FUNCTION mesh_outbox.check_schema(jsonb, boolean) IS
'All faults of a JSON Schema, one per row with its place; no row if it can be used. With contract => true also what a contract would refuse because it would be ignored in silence.';
