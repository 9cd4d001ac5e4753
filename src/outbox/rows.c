/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Counting and deleting events without the executor.
 *
 * Called by drop_outbox(), DROP EXTENSION's list and retention, which run
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
 * Retention that comes by itself, every minute, must not read a table for
 * nothing.  Our event ids begin with the time of their making, so the index on
 * them leads to the old events; those whose producer gives ids of another kind
 * are left to purge_events(), which reads the whole table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "mesh_outbox.h"

PG_FUNCTION_INFO_V1(mo_rows_count);
PG_FUNCTION_INFO_V1(mo_rows_delete);

/* Rows that are looked at in vain for each that may be deleted. */
#define MAX_VAIN_LOOKS 100

/* What a purge may delete. */
typedef struct Purge
{
	AttrNumber	event_id;
	AttrNumber	created_at;
	TimestampTz before;
	const pg_uuid_t *ids_before;	/* NULL: whatever their ids are */
	pg_uuid_t  *spared;			/* ids of events that stay, sorted */
	int			nspared;
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

static AttrNumber
find_column(Relation rel, const char *column, Oid type)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), column);

	if (attnum <= 0 || get_atttype(RelationGetRelid(rel), attnum) != type)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("outbox %s has no column \"%s\" of type %s",
						qualified_name(rel), column, format_type_be(type))));
	return attnum;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

/* NULL elements are ids that a dead letter does not have. */
static void
take_spared(ArrayType *ids, Purge *purge)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(ids, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR,
					  &values, &nulls, &n);
	purge->spared = palloc(sizeof(pg_uuid_t) * Max(n, 1));
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			purge->spared[purge->nspared++] = *DatumGetUUIDP(values[i]);
	qsort(purge->spared, purge->nspared, sizeof(pg_uuid_t), compare_ids);
}

static bool
is_spared(const Purge *purge, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		id;

	if (purge->nspared == 0)
		return false;
	id = slot_getattr(slot, purge->event_id, &isnull);
	return !isnull &&
		bsearch(DatumGetUUIDP(id), purge->spared, purge->nspared,
				sizeof(pg_uuid_t), compare_ids) != NULL;
}

static bool
is_deletable(const Purge *purge, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		created_at = slot_getattr(slot, purge->created_at, &isnull);
	TransactionId xmin;

	if (isnull || DatumGetTimestampTz(created_at) >= purge->before ||
		is_spared(purge, slot))
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

/* An index that has every event in the order of the ids, or InvalidOid. */
static Oid
find_id_index(Relation rel, AttrNumber event_id)
{
	Oid			found = InvalidOid;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisvalid &&
			index->rd_rel->relam == BTREE_AM_OID &&
			index->rd_index->indkey.values[0] == event_id &&
			RelationGetIndexPredicate(index) == NIL)
			found = lfirst_oid(cell);
		index_close(index, AccessShareLock);
	}
	return found;
}

/*
 * The same for what the index leads to.  Where old events cannot go yet, the
 * same ones are looked at each time, so that is bounded as well.
 */
static int64
delete_old_ids(Relation rel, const Purge *purge, int64 max_rows)
{
	Oid			index = find_id_index(rel, purge->event_id);
	Snapshot	snapshot;
	ScanKeyData key;
	SysScanDesc scan;
	int64		looks = max_rows * MAX_VAIN_LOOKS;
	int64		n = 0;

	if (!OidIsValid(index))
		return 0;
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	ScanKeyInit(&key, purge->event_id, BTLessStrategyNumber, F_UUID_LT,
				UUIDPGetDatum(purge->ids_before));
	scan = systable_beginscan(rel, index, true, snapshot, 1, &key);
	while (n < max_rows && looks-- > 0 &&
		   HeapTupleIsValid(systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_deletable(purge, scan->slot) &&
			delete_row(rel, scan->slot, snapshot))
			n++;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return n;
}

/*
 * delete_events(relation regclass, event_id name, created_at name,
 *				 before timestamptz, ids_before uuid, horizon xid,
 *				 spared uuid[], max_rows int) → bigint
 */
Datum
mo_rows_delete(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	int32		max_rows = PG_GETARG_INT32(7);
	Purge		purge = {
		.before = PG_GETARG_TIMESTAMPTZ(3),
		.ids_before = PG_ARGISNULL(4) ? NULL : PG_GETARG_UUID_P(4),
		.horizon = PG_ARGISNULL(5) ? InvalidTransactionId :
		DatumGetTransactionId(PG_GETARG_DATUM(5)),
		.next = ReadNextTransactionId(),
	};
	int64		n;

	PreventCommandIfReadOnly("purge_events()");
	check_deletable(rel);
	purge.event_id = find_column(rel, NameStr(*PG_GETARG_NAME(1)), UUIDOID);
	purge.created_at = find_column(rel, NameStr(*PG_GETARG_NAME(2)),
								   TIMESTAMPTZOID);
	if (!PG_ARGISNULL(6))
		take_spared(PG_GETARG_ARRAYTYPE_P(6), &purge);
	n = purge.ids_before == NULL ? delete_rows(rel, &purge, max_rows) :
		delete_old_ids(rel, &purge, max_rows);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	PG_RETURN_INT64(n);
}
