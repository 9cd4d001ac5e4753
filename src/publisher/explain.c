/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  Where an event would go: the SQL side of producer_partition.c.
 *
 * Called by explain_event(), which says in SQL what an INSERT would do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "publisher/producer.h"

PG_FUNCTION_INFO_V1(mo_explain_partition);

/* key_partition(key text, partitions int) returns int */
Datum
mo_explain_partition(PG_FUNCTION_ARGS)
{
	text	   *key = PG_GETARG_TEXT_PP(0);
	int32		partitions = PG_GETARG_INT32(1);

	if (partitions <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of partitions must be positive, not %d",
						partitions)));
	PG_RETURN_INT32(mo_producer_partition(VARDATA_ANY(key),
										  VARSIZE_ANY_EXHDR(key), partitions));
}
