/*-------------------------------------------------------------------------
 *
 * empty_trigger.c
 *	  A BEFORE ROW trigger that does nothing: what any C trigger costs.
 *
 * Compiled by insert.sh, which measures the check against it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(empty_trigger);

Datum
empty_trigger(PG_FUNCTION_ARGS)
{
	return PointerGetDatum(((TriggerData *) fcinfo->context)->tg_trigtuple);
}
