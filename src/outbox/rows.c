/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Counting and deleting events without the executor.
 *
 * Called by drop_outbox(), DROP EXTENSION's list and purge_events(), which run
 * with the extension's rights on tables that a domain may have shaped.  A
 * table is opened by OID and its rows are looked at one by one: no name is
 * looked up, nothing is planned, no expression, view, rule or trigger is run,
 * so nobody's code can be.
 *
 * Deleting is retention, the only way in which an event leaves its outbox; the
 * check trigger refuses every DELETE.  An outbox's rows carry no LSN, but
 * their xmin tells enough.  The catalog_xmin of the publisher's slot is the
 * oldest transaction that was running at some LSN that the slot is confirmed
 * past.  Every transaction before it had ended by then, so its events are
 * published or dead letters.
 *
 * Transaction ids are compared on the circle, without looking at the frozen
 * bit, for VACUUM may freeze a row long before it is decoded.  Whoever
 * inserted a visible row has an id in the past, so ids between the horizon and
 * the next id are recent, and all others, also those that wrapped around, are
 * old.  (A row that is just 2^32 transactions old looks recent for a while,
 * and goes with a later call.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "mesh_outbox.h"

PG_FUNCTION_INFO_V1(mo_rows_count);
PG_FUNCTION_INFO_V1(mo_rows_delete);

/* What a purge may delete. */
typedef struct Purge
{
	AttrNumber	created_at;
	TimestampTz before;
	TransactionId horizon;		/* invalid: there is no publisher */
	TransactionId next;			/* younger than any visible row */
} Purge;

/* ----------------------------------------------------------------
 * Counting
 * ----------------------------------------------------------------
 */

/* The rows of one table, at most "limit". */
static int64
count_table(Oid relid, int64 limit)
{
	Relation	rel = table_open(relid, AccessShareLock);
	int64		n = 0;

	if (RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind))
	{
		TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
		TupleTableSlot *slot = table_slot_create(rel, NULL);

		while (n < limit &&
			   table_scan_getnextslot(scan, ForwardScanDirection, slot))
		{
			CHECK_FOR_INTERRUPTS();
			n++;
		}
		ExecDropSingleTupleTableSlot(slot);
		table_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return n;
}

/*
 * count_rows(relation regclass, up_to bigint) → bigint
 */
Datum
mo_rows_count(PG_FUNCTION_ARGS)
{
	int64		limit = PG_ARGISNULL(1) ? PG_INT64_MAX : PG_GETARG_INT64(1);
	int64		n = 0;
	ListCell   *cell;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	foreach(cell, find_all_inheritors(PG_GETARG_OID(0), AccessShareLock, NULL))
		n += count_table(lfirst_oid(cell), limit - n);
	PG_RETURN_INT64(n);
}

/* ----------------------------------------------------------------
 * Deleting
 * ----------------------------------------------------------------
 */

static char *
qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/*
 * A trigger of somebody's who expects to see DELETEs, or a foreign key, would
 * be passed over.
 */
static void
check_deletable(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_DELETE(trigger->tgtype) && trigger->tgenabled != 'D' &&
			strcmp(trigger->tgname, MO_CHECK_TRIGGER) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot purge outbox %s", qualified_name(rel)),
					 errdetail("Its trigger \"%s\" is for deleted rows, and retention runs none.",
							   trigger->tgname),
					 errhint("Drop the trigger or the foreign key it belongs to.")));
	}
	CheckCmdReplicaIdentity(rel, CMD_DELETE);
}

static void
find_created_at(Relation rel, const char *column, Purge *purge)
{
	purge->created_at = get_attnum(RelationGetRelid(rel), column);
	if (purge->created_at <= 0 ||
		get_atttype(RelationGetRelid(rel), purge->created_at) != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("outbox %s has no column \"%s\" of type timestamp with time zone",
						qualified_name(rel), column)));
}

static bool
is_deletable(const Purge *purge, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		created_at = slot_getattr(slot, purge->created_at, &isnull);
	TransactionId xmin;

	if (isnull || DatumGetTimestampTz(created_at) >= purge->before)
		return false;
	if (!TransactionIdIsValid(purge->horizon))
		return true;
	xmin = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber,
												 &isnull));
	return xmin - purge->horizon >= purge->next - purge->horizon;
}

/* Deletes the row unless somebody else is at it. */
static bool
delete_row(Relation rel, TupleTableSlot *slot, Snapshot snapshot)
{
	TM_FailureData failure;

	return table_tuple_delete(rel, &slot->tts_tid, GetCurrentCommandId(true),
							  snapshot, InvalidSnapshot, false, &failure,
							  false) == TM_Ok;
}

static int64
delete_rows(Relation rel, const Purge *purge, int64 max_rows)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	int64		n = 0;

	while (n < max_rows &&
		   table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_deletable(purge, slot) && delete_row(rel, slot, snapshot))
			n++;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return n;
}

/*
 * delete_events(relation regclass, created_at name, before timestamptz,
 *				 horizon xid, max_rows int) → bigint
 */
Datum
mo_rows_delete(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	Purge		purge = {
		.before = PG_GETARG_TIMESTAMPTZ(2),
		.horizon = PG_ARGISNULL(3) ? InvalidTransactionId :
		DatumGetTransactionId(PG_GETARG_DATUM(3)),
		.next = ReadNextTransactionId(),
	};
	int64		n;

	PreventCommandIfReadOnly("purge_events()");
	check_deletable(rel);
	find_created_at(rel, NameStr(*PG_GETARG_NAME(1)), &purge);
	n = delete_rows(rel, &purge, PG_GETARG_INT32(4));
	table_close(rel, NoLock);
	CommandCounterIncrement();
	PG_RETURN_INT64(n);
}
