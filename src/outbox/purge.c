/*-------------------------------------------------------------------------
 *
 * purge.c
 *	  Retention: the only way in which an event leaves its outbox.
 *
 * Called by mesh_outbox.purge_events(), which has asked for rights and found
 * the horizon, and by the check trigger for each row of a DELETE.
 *
 * An outbox's rows carry no LSN, but their xmin tells enough.  The
 * catalog_xmin of the publisher's slot is the oldest transaction that was
 * running at some LSN that the slot is confirmed past.  Every transaction
 * before it had ended by then, so its events are published, dead-lettered or
 * parked.
 *
 * Transaction ids are compared on the circle, without looking at the frozen
 * bit, for VACUUM may freeze a row long before it is decoded.  Whoever
 * inserted a visible row has an id in the past, so ids between the horizon and
 * the next id are recent, and all others, also those that wrapped around, are
 * old.  (A row that is just 2^32 transactions old looks recent for a while,
 * and goes with a later call.)
 *
 * The trigger is told for the duration of the DELETE which outbox may lose
 * rows: nobody else's DELETE gets past it, whatever his role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "outbox/purge.h"

/* The purge that is running in this backend; outbox_id 0: none. */
static struct
{
	int32		outbox_id;
	TransactionId horizon;		/* invalid: there is no publisher */
	TransactionId next;			/* younger than any visible row */
}			running;

PG_FUNCTION_INFO_V1(mo_purge_delete);

static bool
is_dealt_with(TransactionId xmin)
{
	return !TransactionIdIsValid(running.horizon) ||
		xmin - running.horizon >= running.next - running.horizon;
}

MoPurgeVerdict
mo_purge_judge(int32 outbox_id, HeapTuple row)
{
	if (outbox_id != running.outbox_id || outbox_id == 0)
		return MO_PURGE_REFUSE;
	return is_dealt_with(HeapTupleHeaderGetRawXmin(row->t_data)) ?
		MO_PURGE_DELETE : MO_PURGE_KEEP;
}

/*
 * Deletes the rows of one table.  The condition on age() keeps rows that the
 * trigger would keep out of the batch, or else they could fill it; the
 * trigger's word counts.
 */
static int64
delete_rows(Oid relid, const char *created_at, TimestampTz before,
			int32 max_rows)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *table = quote_qualified_identifier(schema,
												   get_rel_name(relid));
	char	   *command =
		psprintf("DELETE FROM ONLY %s WHERE ctid = ANY (ARRAY("
				 "SELECT ctid FROM ONLY %s WHERE %s < $1 AND "
				 "($2 IS NULL OR pg_catalog.age(xmin) > pg_catalog.age($2) "
				 "OR pg_catalog.age(xmin) < 0) LIMIT $3))",
				 table, table, quote_identifier(created_at));
	Oid			types[] = {TIMESTAMPTZOID, XIDOID, INT4OID};
	Datum		values[] = {
		TimestampTzGetDatum(before),
		TransactionIdGetDatum(running.horizon),
		Int32GetDatum(max_rows)
	};
	char		nulls[] = {
		' ', TransactionIdIsValid(running.horizon) ? ' ' : 'n', ' '
	};
	int64		deleted;

	SPI_connect();
	if (SPI_execute_with_args(command, lengthof(types), types, values, nulls,
							  false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete events of %s", table);
	deleted = SPI_processed;
	SPI_finish();
	return deleted;
}

/*
 * delete_events(relation regclass, outbox_id int, created_at name,
 *				 before timestamptz, horizon xid, max_rows int)
 */
Datum
mo_purge_delete(PG_FUNCTION_ARGS)
{
	int64		deleted = 0;

	PG_TRY();
	{
		running.horizon = PG_ARGISNULL(4) ? InvalidTransactionId :
			DatumGetTransactionId(PG_GETARG_DATUM(4));
		running.next = ReadNextTransactionId();
		running.outbox_id = PG_GETARG_INT32(1);
		deleted = delete_rows(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(2)),
							  PG_GETARG_TIMESTAMPTZ(3), PG_GETARG_INT32(5));
	}
	PG_FINALLY();
	{
		running.outbox_id = 0;
	}
	PG_END_TRY();
	PG_RETURN_INT64(deleted);
}
