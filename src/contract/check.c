/*-------------------------------------------------------------------------
 *
 * check.c
 *	  Lists the faults of a schema: the compiler's, and its meta-schema's.
 *
 * The compiler says in words what it cannot use.  What it does not look at
 * (a title that is no string, a $comment that is a list) is found by walking
 * the schema against its meta-schema with the engine itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "contract/compile.h"

/* Is a place at or above one that a fault has been found at? */
static bool
is_reported(List *faults, const char *place)
{
	ListCell   *lc;
	size_t		len = strlen(place);

	foreach(lc, faults)
	{
		const char *known = ((MoViolation *) lfirst(lc))->schema_pointer;

		if (strncmp(known, place, len) == 0 ||
			strncmp(place, known, strlen(known)) == 0)
			return true;
	}
	return false;
}

/*
 * A violation of the meta-schema speaks of the schema as its instance.  One
 * that only says that no alternative applies is left to those that say why.
 */
static void
add_metaschema_faults(Jsonb *schema, const char *metaschema, List **faults)
{
	const MoSchemaOptions options = {0};
	StringInfoData text;
	Jsonb	   *wrapper;
	MoSchema   *program;
	List	   *known = list_copy(*faults);
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfoString(&text, "{\"$ref\": ");
	escape_json(&text, metaschema);
	appendStringInfoChar(&text, '}');
	wrapper = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												 CStringGetDatum(text.data)));
	program = mo_schema_compile(wrapper, &options, CurrentMemoryContext);
	foreach(lc, mo_schema_violations(program, schema, 0))
	{
		MoViolation *v = lfirst(lc);

		if (is_reported(known, v->instance_pointer))
			continue;
		v->schema_pointer = v->instance_pointer;
		v->keyword = strrchr(v->instance_pointer, '/') ?
			strrchr(v->instance_pointer, '/') + 1 : NULL;
		*faults = lappend(*faults, v);
	}
}

List *
mo_schema_faults(Jsonb *schema, bool contract)
{
	const MoSchemaOptions options = {
		.assert_formats = true, .contract = contract
	};
	List	   *faults;
	MoSchema   *program = mo_schema_check(schema, &options,
										  CurrentMemoryContext, &faults);

	add_metaschema_faults(schema, program->root->origin->resource->dialect->uri,
						  &faults);
	return faults;
}
