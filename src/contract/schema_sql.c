/*-------------------------------------------------------------------------
 *
 * schema_sql.c
 *	  The schema functions of SQL: is_valid, schema_violations, check_schema …
 *
 * A schema argument is compiled once per statement and kept with the call
 * site (fn_extra).  Where it is a constant, which it is in a CHECK constraint
 * and in most queries, nothing is compared per row; otherwise the bytes are,
 * and a few programs of earlier rows are kept, so that a table whose rows
 * name their schema does not compile it for each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/varlena.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "compat.h"
#include "contract/compile.h"

PG_FUNCTION_INFO_V1(mo_name_distance);
PG_FUNCTION_INFO_V1(mo_sql_is_valid);
PG_FUNCTION_INFO_V1(mo_sql_schema_violations);
PG_FUNCTION_INFO_V1(mo_sql_check_schema);
PG_FUNCTION_INFO_V1(mo_sql_referenced_schemas);
PG_FUNCTION_INFO_V1(mo_sql_schema_annotations);
PG_FUNCTION_INFO_V1(mo_sql_declared_properties);

#define PROGRAMS_KEPT		8

/* is_valid and schema_violations take the schema first, then the instance. */
#define INSTANCE_ARGUMENT	1

typedef struct KeptProgram
{
	MemoryContext context;
	Jsonb	   *schema;			/* the bytes it was compiled from */
	MoSchemaOptions options;
	MoSchema   *program;
} KeptProgram;

typedef struct CallSite
{
	bool		constant;		/* all arguments but the instance are */
	int			count;
	KeptProgram kept[PROGRAMS_KEPT];	/* [0] is the latest used */
} CallSite;

/* Is an argument of the calling expression a constant? */
static bool
argument_is_constant(FmgrInfo *flinfo, int number)
{
	Node	   *expr = flinfo->fn_expr;
	List	   *args;

	if (expr == NULL || !IsA(expr, FuncExpr))
		return false;
	args = ((FuncExpr *) expr)->args;
	return list_length(args) > number && IsA(list_nth(args, number), Const);
}

static CallSite *
call_site(FunctionCallInfo fcinfo)
{
	CallSite   *site = fcinfo->flinfo->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
									  sizeof(CallSite));
		site->constant = true;
		for (int i = 0; i < fcinfo->nargs; i++)
		{
			if (i != INSTANCE_ARGUMENT)
				site->constant &= argument_is_constant(fcinfo->flinfo, i);
		}
		fcinfo->flinfo->fn_extra = site;
	}
	return site;
}

static KeptProgram
compile_program(MemoryContext parent, Jsonb *schema,
				const MoSchemaOptions *options)
{
	KeptProgram kept;

	/*
	 * The context hangs below the caller's short-lived one until the program
	 * is complete, so that an error frees it.
	 */
	kept.context = AllocSetContextCreate(CurrentMemoryContext,
										 "mesh_outbox schema",
										 ALLOCSET_SMALL_SIZES);
	kept.options = *options;
	kept.program = mo_schema_compile(schema, options, kept.context);
	kept.schema = MemoryContextAlloc(kept.context, VARSIZE(schema));
	memcpy(kept.schema, schema, VARSIZE(schema));
	MemoryContextSetParent(kept.context, parent);
	return kept;
}

static bool
is_program_of(const KeptProgram *kept, const Jsonb *schema,
			  const MoSchemaOptions *options)
{
	return VARSIZE(kept->schema) == VARSIZE(schema) &&
		memcmp(kept->schema, schema, VARSIZE(schema)) == 0 &&
		memcmp(&kept->options, options, sizeof(MoSchemaOptions)) == 0;
}

/*
 * The program for this call's schema argument.  A program with references
 * into the catalog lives as long as the statement, so that it never outlives
 * a change it could see.
 */
static const MoSchema *
program_for(FunctionCallInfo fcinfo, const MoSchemaOptions *options)
{
	CallSite   *site = call_site(fcinfo);
	KeptProgram kept;
	Jsonb	   *schema;
	int			i;

	if (site->constant && site->count > 0)
		return site->kept[0].program;
	schema = PG_GETARG_JSONB_P(0);
	for (i = 0; i < site->count; i++)
	{
		if (is_program_of(&site->kept[i], schema, options))
			break;
	}
	if (i < site->count)
		kept = site->kept[i];
	else
	{
		kept = compile_program(fcinfo->flinfo->fn_mcxt, schema,
							   options);
		if (site->count < PROGRAMS_KEPT)
			i = site->count++;
		else
			MemoryContextDelete(site->kept[i = PROGRAMS_KEPT - 1].context);
	}
	memmove(&site->kept[1], &site->kept[0], sizeof(KeptProgram) * i);
	site->kept[0] = kept;
	return kept.program;
}

/* is_valid(schema jsonb, instance jsonb, formats boolean) returns boolean */
Datum
mo_sql_is_valid(PG_FUNCTION_ARGS)
{
	const MoSchemaOptions options = {
		.assert_formats = PG_GETARG_BOOL(2), .immutable = true
	};
	const MoSchema *program = program_for(fcinfo, &options);
	Jsonb	   *instance = PG_GETARG_JSONB_P(1);
	bool		result = mo_schema_is_valid(program, instance);

	PG_FREE_IF_COPY(instance, 1);
	PG_RETURN_BOOL(result);
}

static Datum
text_or_null(const char *s, bool *isnull)
{
	*isnull = s == NULL;
	return s ? CStringGetTextDatum(s) : (Datum) 0;
}

/* Adds violations to a set-returning function's result, ncolumns of each. */
static void
put_violations(ReturnSetInfo *rsinfo, List *violations, bool with_instance)
{
	ListCell   *lc;

	foreach(lc, violations)
	{
		const MoViolation *v = lfirst(lc);
		Datum		values[6];
		bool		nulls[6];
		int			n = 0;

		if (with_instance)
		{
			values[n] = text_or_null(v->instance_pointer, &nulls[n]);
			n++;
		}
		values[n] = text_or_null(v->schema_pointer, &nulls[n]);
		n++;
		values[n] = text_or_null(v->keyword, &nulls[n]);
		n++;
		values[n] = text_or_null(v->message, &nulls[n]);
		n++;
		if (with_instance)
		{
			values[n] = text_or_null(v->found, &nulls[n]);
			n++;
		}
		values[n] = text_or_null(v->hint, &nulls[n]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * schema_violations(schema jsonb, instance jsonb, formats boolean,
 *					 content boolean, closed boolean) returns setof record
 */
Datum
mo_sql_schema_violations(PG_FUNCTION_ARGS)
{
	const MoSchemaOptions options = {
		.assert_formats = PG_GETARG_BOOL(2),
		.assert_content = PG_GETARG_BOOL(3),
		.closed = PG_GETARG_BOOL(4)
	};
	const MoSchema *program;

	InitMaterializedSRF(fcinfo, 0);
	program = program_for(fcinfo, &options);
	put_violations((ReturnSetInfo *) fcinfo->resultinfo,
				   mo_schema_violations(program, PG_GETARG_JSONB_P(1), 0),
				   true);
	return (Datum) 0;
}

/* check_schema(schema json, contract boolean) returns setof record */
Datum
mo_sql_check_schema(PG_FUNCTION_ARGS)
{
	text	   *json = PG_GETARG_TEXT_PP(0);
	List	   *faults;
	Jsonb	   *schema;

	InitMaterializedSRF(fcinfo, 0);
	faults = mo_duplicates_find(json);
	schema = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												CStringGetDatum(text_to_cstring(json))));
	faults = list_concat(faults,
						 mo_schema_faults(schema, PG_GETARG_BOOL(1)));
	put_violations((ReturnSetInfo *) fcinfo->resultinfo, faults, false);
	return (Datum) 0;
}

/* referenced_schemas(schema jsonb) returns setof (uri text, schema jsonb) */
Datum
mo_sql_referenced_schemas(PG_FUNCTION_ARGS)
{
	const MoSchemaOptions options = {.contract = true};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MoSchema   *program;

	InitMaterializedSRF(fcinfo, 0);
	program = mo_schema_compile(PG_GETARG_JSONB_P(0), &options,
								CurrentMemoryContext);
	for (MoResource *r = program->resources; r; r = r->next)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (r->alias == NULL || mo_metaschema_text(r->alias) != NULL)
			continue;
		values[0] = CStringGetTextDatum(r->alias);
		values[1] = JsonbPGetDatum(mo_value_jsonb(&r->document));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* schema_annotations(schema jsonb, keyword text) returns setof (path, value) */
Datum
mo_sql_schema_annotations(PG_FUNCTION_ARGS)
{
	const MoSchemaOptions options = {0};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MoSchema   *program;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	program = mo_schema_compile(PG_GETARG_JSONB_P(0), &options,
								CurrentMemoryContext);
	foreach(lc, mo_schema_annotations(program,
									  text_to_cstring(PG_GETARG_TEXT_PP(1))))
	{
		const MoAnnotation *annotation = lfirst(lc);
		Datum		values[2];
		bool		nulls[2] = {false, false};

		values[0] = CStringGetTextDatum(annotation->path);
		values[1] = JsonbPGetDatum(annotation->value);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * declared_properties(schema jsonb) returns setof (pointer, subschema, places,
 * always)
 */
Datum
mo_sql_declared_properties(PG_FUNCTION_ARGS)
{
	const MoSchemaOptions options = {.immutable = true};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const MoSchema *program;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	program = program_for(fcinfo, &options);
	foreach(lc, mo_schema_declared(program))
	{
		const MoDeclared *declared = lfirst(lc);
		Datum		values[4];
		bool		nulls[4] = {false, false, false, false};

		values[0] = CStringGetTextDatum(declared->pointer);
		values[1] = JsonbPGetDatum(declared->schema);
		values[2] = PointerGetDatum(strlist_to_textarray(declared->places));
		values[3] = BoolGetDatum(declared->always);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * name_distance(a text, b text): letters to be inserted, deleted or changed.
 * The library takes 255 characters at most; what is longer is far from all.
 */
Datum
mo_name_distance(PG_FUNCTION_ARGS)
{
	text	   *a = PG_GETARG_TEXT_PP(0);
	text	   *b = PG_GETARG_TEXT_PP(1);
	int			len_a = VARSIZE_ANY_EXHDR(a);
	int			len_b = VARSIZE_ANY_EXHDR(b);

	if (Max(len_a, len_b) > 255)
		PG_RETURN_INT32(Max(len_a, len_b));
	PG_RETURN_INT32(varstr_levenshtein(VARDATA_ANY(a), len_a, VARDATA_ANY(b),
									   len_b, 1, 1, 1, true));
}
