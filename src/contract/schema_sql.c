/*-------------------------------------------------------------------------
 *
 * schema_sql.c
 *	  The schema functions of SQL: is_valid, schema_violations, check_schema.
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

#include "fmgr.h"
#include "funcapi.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "contract/compile.h"

PG_FUNCTION_INFO_V1(mesh_outbox_is_valid);
PG_FUNCTION_INFO_V1(mesh_outbox_schema_violations);
PG_FUNCTION_INFO_V1(mesh_outbox_check_schema);

#define PROGRAMS_KEPT		8

typedef struct KeptProgram
{
	MemoryContext context;
	Jsonb	   *schema;			/* the bytes it was compiled from */
	MoSchema   *program;
} KeptProgram;

typedef struct CallSite
{
	bool		constant;		/* the schema argument is a Const */
	MoSchemaOptions options;
	int			count;
	int			next;			/* the one to replace when full */
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
call_site(FunctionCallInfo fcinfo, const MoSchemaOptions *options)
{
	CallSite   *site = fcinfo->flinfo->fn_extra;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
									  sizeof(CallSite));
		site->constant = argument_is_constant(fcinfo->flinfo, 0);
		site->options = *options;
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
	kept.program = mo_schema_compile(schema, options, kept.context);
	kept.schema = MemoryContextAlloc(kept.context, VARSIZE(schema));
	memcpy(kept.schema, schema, VARSIZE(schema));
	MemoryContextSetParent(kept.context, parent);
	return kept;
}

static bool
same_schema(const Jsonb *a, const Jsonb *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* The program for this call's schema argument. */
static const MoSchema *
program_for(FunctionCallInfo fcinfo, const MoSchemaOptions *options)
{
	CallSite   *site = call_site(fcinfo, options);
	KeptProgram kept;
	Jsonb	   *schema;
	int			i;

	if (site->constant && site->count > 0)
		return site->kept[0].program;
	schema = PG_GETARG_JSONB_P(0);
	for (i = 0; i < site->count; i++)
	{
		if (same_schema(site->kept[i].schema, schema))
			break;
	}
	if (i < site->count)
		kept = site->kept[i];
	else
	{
		kept = compile_program(fcinfo->flinfo->fn_mcxt, schema,
							   &site->options);
		if (site->count < PROGRAMS_KEPT)
			i = site->count++;
		else
			MemoryContextDelete(site->kept[i = PROGRAMS_KEPT - 1].context);
	}
	memmove(&site->kept[1], &site->kept[0], sizeof(KeptProgram) * i);
	site->kept[0] = kept;
	return kept.program;
}

/* is_valid(schema jsonb, instance jsonb) returns boolean */
Datum
mesh_outbox_is_valid(PG_FUNCTION_ARGS)
{
	static const MoSchemaOptions options = {
		.assert_formats = true, .immutable = true
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

/* schema_violations(schema jsonb, instance jsonb) returns setof violation */
Datum
mesh_outbox_schema_violations(PG_FUNCTION_ARGS)
{
	static const MoSchemaOptions options = {.assert_formats = true};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const MoSchema *program;
	List	   *violations;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	program = program_for(fcinfo, &options);
	violations = mo_schema_violations(program, PG_GETARG_JSONB_P(1), 0);
	foreach(lc, violations)
	{
		const MoViolation *v = lfirst(lc);
		Datum		values[6];
		bool		nulls[6];

		values[0] = text_or_null(v->instance_pointer, &nulls[0]);
		values[1] = text_or_null(v->schema_pointer, &nulls[1]);
		values[2] = text_or_null(v->keyword, &nulls[2]);
		values[3] = text_or_null(v->message, &nulls[3]);
		values[4] = text_or_null(v->found, &nulls[4]);
		values[5] = text_or_null(v->hint, &nulls[5]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* check_schema(schema jsonb, contract boolean) returns setof fault */
Datum
mesh_outbox_check_schema(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MoSchemaOptions options = {.assert_formats = true};
	List	   *faults;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	options.contract = PG_GETARG_BOOL(1);
	mo_schema_check(PG_GETARG_JSONB_P(0), &options, CurrentMemoryContext,
					&faults);
	foreach(lc, faults)
	{
		const MoViolation *v = lfirst(lc);
		Datum		values[4];
		bool		nulls[4];

		values[0] = text_or_null(v->schema_pointer, &nulls[0]);
		values[1] = text_or_null(v->keyword, &nulls[1]);
		values[2] = text_or_null(v->message, &nulls[2]);
		values[3] = text_or_null(v->hint, &nulls[3]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
