/*-------------------------------------------------------------------------
 *
 * compare_sql.c
 *	  SQL functions that ask about schemas.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "compat.h"
#include "contract/compare.h"

PG_FUNCTION_INFO_V1(mo_is_subschema);
PG_FUNCTION_INFO_V1(mo_is_satisfiable);
PG_FUNCTION_INFO_V1(mo_schemas_overlap);
PG_FUNCTION_INFO_V1(mo_satisfies_expectation);

static Datum
comparison_datum(FunctionCallInfo fcinfo, const MoComparison *c)
{
	TupleDesc	desc;
	Datum		values[7];
	bool		nulls[7] = {0};
	const char *texts[7];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	texts[0] = mo_verdict_name(c->verdict);
	texts[1] = c->reason;
	texts[2] = NULL;
	texts[3] = c->path;
	texts[4] = c->keyword;
	texts[5] = c->message;
	texts[6] = c->undecided_by;
	for (int i = 0; i < 7; i++)
	{
		nulls[i] = (texts[i] == NULL);
		if (!nulls[i])
			values[i] = CStringGetTextDatum(texts[i]);
	}
	if (c->witness)
	{
		values[2] = JsonbPGetDatum(c->witness);
		nulls[2] = false;
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}

/* is_subschema(sub jsonb, super jsonb, assert_formats boolean) */
Datum
mo_is_subschema(PG_FUNCTION_ARGS)
{
	MoReading	sub = {PG_GETARG_JSONB_P(0), MO_AS_WRITTEN};
	MoReading	super = {PG_GETARG_JSONB_P(1), MO_AS_WRITTEN};

	return comparison_datum(fcinfo,
							mo_compare_subset(&sub, &super,
											  PG_GETARG_BOOL(2)));
}

/*
 * satisfies_expectation(contract jsonb, expectation jsonb, open boolean): what
 * producers of the contract may send, against what a consumer relies on.
 */
Datum
mo_satisfies_expectation(PG_FUNCTION_ARGS)
{
	MoReading	contract = {PG_GETARG_JSONB_P(0),
	PG_GETARG_BOOL(2) ? MO_AS_WRITTEN : MO_AS_PRODUCER};
	MoReading	expectation = {PG_GETARG_JSONB_P(1), MO_AS_WRITTEN};

	return comparison_datum(fcinfo,
							mo_compare_subset(&contract, &expectation, true));
}

/* is_satisfiable(schema jsonb, assert_formats boolean) */
Datum
mo_is_satisfiable(PG_FUNCTION_ARGS)
{
	MoReading	schema = {PG_GETARG_JSONB_P(0), MO_AS_WRITTEN};

	return comparison_datum(fcinfo,
							mo_compare_satisfy(&schema, 1,
											   PG_GETARG_BOOL(1)));
}

/* schemas_overlap(a jsonb, b jsonb, assert_formats boolean) */
Datum
mo_schemas_overlap(PG_FUNCTION_ARGS)
{
	MoReading	schemas[2] = {
		{PG_GETARG_JSONB_P(0), MO_AS_WRITTEN}, {PG_GETARG_JSONB_P(1), MO_AS_WRITTEN}
	};

	return comparison_datum(fcinfo,
							mo_compare_satisfy(schemas, 2,
											   PG_GETARG_BOOL(2)));
}
