/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  Runs a function that somebody else wrote: a policy over a proposed
 *	  contract, a conversion over a payload.
 *
 * Called by policy_violations() in policies.sql and convert_payload() in
 * conversions.sql, which run with the extension's rights.  The function runs
 * with its owner's instead and no others (mo_rights_confine()), and is
 * cancelled after a time limit.  What it raises is the caller's to catch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timeout.h"

#include "rights.h"

#define POLICY_TIME_LIMIT_MS 2000

PG_FUNCTION_INFO_V1(mesh_outbox_run_policy);

/* Like a cancel request; told apart by the timeout's indicator. */
static void
time_is_up(void)
{
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static TimeoutId
time_limit(void)
{
	static TimeoutId id = MAX_TIMEOUTS;

	if (id == MAX_TIMEOUTS)
		id = RegisterTimeout(USER_TIMEOUT, time_is_up);
	return id;
}

static Datum
run_query(const char *query, Datum contract, bool *isnull)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {JSONBOID};
	Datum		result;
	int			code;

	SPI_connect();
	code = SPI_execute_with_args(query, 1, types, &contract, NULL, true, 1);
	if (code != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "policy returned no result: %s",
			 SPI_result_code_string(code));
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						   isnull);
	if (!*isnull)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		result = PointerGetDatum(PG_DETOAST_DATUM_COPY(result));
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return result;
}

/*
 * run_policy(owner oid, query text, contract jsonb) → jsonb
 *
 * "query" calls the policy with $1 and returns its violations as one value.
 */
Datum
mesh_outbox_run_policy(PG_FUNCTION_ARGS)
{
	Oid			owner = PG_GETARG_OID(0);
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Datum		contract = PG_GETARG_DATUM(2);
	TimeoutId	limit = time_limit();
	MoConfinement before;
	bool		isnull;
	Datum volatile result = (Datum) 0;

	mo_rights_confine(owner, &before);
	enable_timeout_after(limit, POLICY_TIME_LIMIT_MS);
	PG_TRY();
	{
		result = run_query(query, contract, &isnull);
	}
	PG_CATCH();
	{
		disable_timeout(limit, true);
		/* Told apart from a cancel request, which nobody may swallow. */
		if (!get_timeout_indicator(limit, true))
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("it took longer than %d ms", POLICY_TIME_LIMIT_MS)));
	}
	PG_END_TRY();
	disable_timeout(limit, true);
	/* An alarm that came too late must not cancel what follows. */
	if (get_timeout_indicator(limit, true))
		QueryCancelPending = false;
	mo_rights_release(&before);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
