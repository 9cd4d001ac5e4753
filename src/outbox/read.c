/*-------------------------------------------------------------------------
 *
 * read.c
 *	  A query that is run with somebody else's rights.
 *
 * Called by the functions that measure and try stored events, which run with
 * the extension's rights.  Their queries name tables that a domain's role may
 * have shaped, in schemas that it may rename meanwhile; whatever the names
 * have become, the query has that role's rights and no others
 * (mo_rights_confine()).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "rights.h"

#define MAX_ARGUMENTS 8

PG_FUNCTION_INFO_V1(mo_read_as);

/* The rows go over as they are, so they must be what the caller declared. */
static void
check_columns(TupleDesc found, TupleDesc expected)
{
	bool		same = found->natts == expected->natts;

	for (int i = 0; same && i < found->natts; i++)
		same = TupleDescAttr(found, i)->atttypid ==
			TupleDescAttr(expected, i)->atttypid;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("query returned other columns than expected")));
}

static void
run_query(FunctionCallInfo fcinfo, const char *query)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			nargs = PG_NARGS() - 2;
	Oid			types[MAX_ARGUMENTS];
	Datum		values[MAX_ARGUMENTS];
	char		nulls[MAX_ARGUMENTS];

	if (nargs > MAX_ARGUMENTS)
		elog(ERROR, "too many arguments");
	for (int i = 0; i < nargs; i++)
	{
		types[i] = get_fn_expr_argtype(fcinfo->flinfo, i + 2);
		values[i] = PG_GETARG_DATUM(i + 2);
		nulls[i] = PG_ARGISNULL(i + 2) ? 'n' : ' ';
	}
	SPI_connect();
	if (SPI_execute_with_args(query, nargs, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "query returned no rows");
	check_columns(SPI_tuptable->tupdesc, result->setDesc);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
}

/*
 * read_as(role oid, query text, VARIADIC arguments "any") → SETOF record
 */
Datum
mo_read_as(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	MoConfinement before;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	mo_rights_confine(PG_GETARG_OID(0), &before);
	run_query(fcinfo, query);
	mo_rights_release(&before);
	return (Datum) 0;
}
