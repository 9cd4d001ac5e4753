/*-------------------------------------------------------------------------
 *
 * scribe_sql.c
 *	  What a scribe does in the database, one short transaction each.
 *
 * The process commits with synchronous_commit = local: what the publisher
 * builds upon must be flushed here, and waiting for standbys is the
 * publisher's business, which does not stop for it.  What nothing is built
 * upon (ledger, events) is committed asynchronously.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "mesh_outbox.h"
#include "publisher/scribe_sql.h"
#include "publisher/scribe_statement.h"

static int32 my_publisher_id;

/* Starts a statement's arguments; the first is the publisher. */
static void
arguments(void)
{
	mo_statement_start();
	mo_statement_put(Int32GetDatum(my_publisher_id));
}

/*
 * The end of the WAL of the transaction that has just been committed.  One
 * that found nothing to write relies on what scribes wrote before; that was
 * flushed before it could be seen.
 */
static XLogRecPtr
commit_durably(bool wrote)
{
	mo_statement_end();
	return wrote ? XactLastCommitEnd : GetFlushRecPtr(NULL);
}

void
mo_scribe_sql_init(int32 publisher_id)
{
	my_publisher_id = publisher_id;
	SetConfigOption("synchronous_commit", "local",
					PGC_USERSET, PGC_S_SESSION);
}

static bool
read_publisher(MoHello *hello)
{
	arguments();
	mo_statement_put(Int64GetDatum((int64) GetSystemIdentifier()));
	mo_statement_put(ObjectIdGetDatum(MyDatabaseId));
	mo_statement_execute(MO_SELECT_PUBLISHER);
	if (SPI_processed != 1)
		return false;

	hello->publisher_id = my_publisher_id;
	hello->name = mo_statement_get_text(0, 1);
	hello->brokers = mo_statement_get_text(0, 2);
	hello->options = mo_statement_get_text(0, 3);
	hello->resume_from = mo_statement_get_text(0, 4);
	hello->check_function = DatumGetObjectId(mo_statement_get(0, 5));
	hello->progress_slot = mo_statement_get_text(0, 6);
	hello->has_progress = hello->progress_slot != NULL;
	hello->ready_lsn = DatumGetLSN(mo_statement_get(0, 7));
	hello->progress_lsn = DatumGetLSN(mo_statement_get(0, 8));
	hello->progress_marker_lsn = DatumGetLSN(mo_statement_get(0, 9));
	hello->progress_marker_xid = DatumGetInt64(mo_statement_get(0, 10));
	hello->progress_marker_time = DatumGetInt64(mo_statement_get(0, 11));
	hello->has_attention = DatumGetBool(mo_statement_get(0, 12));
	hello->control_table = DatumGetObjectId(mo_statement_get(0, 13));
	hello->resume_lsn = DatumGetLSN(mo_statement_get(0, 14));
	hello->marker_group = mo_statement_get_text(0, 15);
	hello->slot_is_there = DatumGetBool(mo_statement_get(0, 16));
	return true;
}

/*
 * Rows from before the slot may have come with a copy of another database, or
 * through pg_upgrade: their numbers are taken, but Kafka is not to be compared
 * with them.
 */
static void
read_ledger(MoHello *hello)
{
	arguments();
	mo_statement_execute(MO_SELECT_LEDGER_END);
	if (SPI_processed > 0)
	{
		XLogRecPtr	last_lsn = DatumGetLSN(mo_statement_get(0, 2));

		hello->ledger_batch_no = DatumGetInt64(mo_statement_get(0, 1));
		if (hello->has_progress && last_lsn >= hello->ready_lsn)
			hello->ledger_lsn = last_lsn;
	}
	if (!hello->has_progress)
		return;
	arguments();
	mo_statement_put(LSNGetDatum(hello->ready_lsn));
	mo_statement_execute(MO_SELECT_LEDGER_OFFSETS);
	hello->ledger_offsets = mo_statement_get_text(0, 1);
}

bool
mo_scribe_sql_hello(MoHello *hello)
{
	bool		exists;

	memset(hello, 0, sizeof(MoHello));
	mo_statement_begin(true);
	exists = read_publisher(hello);
	if (exists)
		read_ledger(hello);
	hello->slot_name = MemoryContextStrdup(mo_statement_caller(),
										   psprintf(MO_LIBRARY "_%u_%d", MyDatabaseId, my_publisher_id));
	mo_statement_end();
	return exists;
}

/*
 * Is there a row of the contract that the last snapshot did not show?  A
 * transaction is in the WAL, and so may have been decoded, a moment before
 * snapshots take it for committed; with a synchronous standby that moment
 * lasts as long as the standby is away.
 */
static bool
is_being_committed(int64 contract_id)
{
	Relation	relation = table_open(get_relname_relid("contract",
														get_namespace_oid(MO_SCHEMA, false)),
									  AccessShareLock);
	SnapshotData dirty;
	ScanKeyData key;
	SysScanDesc scan;
	bool		exists;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(contract_id));
	scan = systable_beginscan(relation, mo_compat_primary_key_index(relation),
							  true, &dirty, 1, &key);
	exists = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return exists;
}

static void
read_contract(MoContractInfo *info)
{
	info->found = true;
	info->product = mo_statement_get_text(0, 1);
	info->event_type = mo_statement_get_text(0, 2);
	info->topic = mo_statement_get_text(0, 3);
	info->partitions = DatumGetInt32(mo_statement_get(0, 4));
	info->replication = DatumGetInt32(mo_statement_get(0, 5));
	info->topic_config = mo_statement_get_text(0, 6);
	info->structured = DatumGetBool(mo_statement_get(0, 7));
	info->header_set = mo_statement_get_text(0, 8)[0];
	info->ce_type = mo_statement_get_text(0, 9);
	info->ce_source = mo_statement_get_text(0, 10);
	info->ce_dataschema = mo_statement_get_text(0, 11);
}

bool
mo_scribe_sql_contract(int64 contract_id, MoContractInfo *info)
{
	bool		settled = true;

	memset(info, 0, sizeof(MoContractInfo));
	info->contract_id = contract_id;

	mo_statement_begin(true);
	mo_statement_start();
	mo_statement_put(Int64GetDatum(contract_id));
	mo_statement_execute(MO_SELECT_CONTRACT);
	if (SPI_processed > 0)
		read_contract(info);
	else
		settled = !is_being_committed(contract_id);
	mo_statement_end();
	return settled;
}

XLogRecPtr
mo_scribe_sql_dead_letter(const MoDeadLetter *letter)
{
	bool		wrote;

	mo_statement_begin(true);
	arguments();
	mo_statement_put_text(letter->branch);
	mo_statement_put(LSNGetDatum(letter->commit_lsn));
	mo_statement_put(Int64GetDatum(letter->ordinal));
	mo_statement_put(TransactionIdGetDatum(letter->xid));
	mo_statement_put(TimestampTzGetDatum(letter->commit_time));
	mo_statement_put(Int32GetDatum(letter->outbox_id));
	mo_statement_put_text(letter->event_id);
	mo_statement_put_text(letter->event_type);
	mo_statement_put(Int64GetDatum(letter->contract_id));
	mo_statement_put_text(letter->topic);
	mo_statement_put_text(letter->key);
	mo_statement_put_text(letter->payload);
	mo_statement_put_text(letter->headers);
	mo_statement_put_text(letter->reason);
	mo_statement_put_text(letter->detail);
	mo_statement_execute(MO_INSERT_DEAD_LETTER);
	wrote = SPI_processed > 0;
	return commit_durably(wrote);
}

void
mo_scribe_sql_dead_list(XLogRecPtr from, MoDeadList *list)
{
	mo_statement_begin(true);
	arguments();
	mo_statement_put(LSNGetDatum(from));
	mo_statement_execute(MO_SELECT_DEAD_LETTERS);

	list->n = (int32) SPI_processed;
	list->letters = MemoryContextAlloc(mo_statement_caller(),
									   sizeof(MoDeadLetterId) * Max(list->n, 1));
	for (int i = 0; i < list->n; i++)
	{
		list->letters[i].branch = mo_statement_get_text(i, 1);
		list->letters[i].commit_lsn = DatumGetLSN(mo_statement_get(i, 2));
		list->letters[i].ordinal = DatumGetInt64(mo_statement_get(i, 3));
	}
	list->record_lsn = commit_durably(false);
}

XLogRecPtr
mo_scribe_sql_progress(const MoProgress *progress)
{
	mo_statement_begin(true);
	arguments();
	mo_statement_put(LSNGetDatum(progress->lsn));
	mo_statement_put(LSNGetDatum(progress->marker_lsn));
	mo_statement_put(Int64GetDatum(progress->marker_xid));
	mo_statement_put(Int64GetDatum(progress->marker_time));
	mo_statement_execute(MO_UPDATE_PROGRESS);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("publisher %d has no row in mesh_outbox.progress",
						my_publisher_id)));
	return commit_durably(true);
}

void
mo_scribe_sql_ready(const MoReady *ready)
{
	mo_statement_begin(true);
	arguments();
	mo_statement_put(Int64GetDatum((int64) GetSystemIdentifier()));
	mo_statement_put(ObjectIdGetDatum(MyDatabaseId));
	mo_statement_put_text(ready->slot_name);
	mo_statement_put(LSNGetDatum(ready->ready_lsn));
	mo_statement_execute(MO_INSERT_PROGRESS);
	mo_statement_end();
}

void
mo_scribe_sql_attention(const MoAttention *attention)
{
	mo_statement_begin(true);
	arguments();
	mo_statement_put_text(attention->what);
	mo_statement_put_text(attention->detail);
	mo_statement_put_text(attention->hint);
	mo_statement_execute(MO_UPDATE_ATTENTION);
	if (attention->what[0] == '\0')
	{
		arguments();
		mo_statement_execute(MO_CLEAR_RESUME_FROM);
	}
	mo_statement_end();
}

void
mo_scribe_sql_event(const MoPublisherEvent *event)
{
	mo_statement_begin(false);
	arguments();
	mo_statement_put_text(event->action);
	mo_statement_put(LSNGetDatum(event->from_lsn));
	mo_statement_put(LSNGetDatum(event->to_lsn));
	mo_statement_put_text(event->detail);
	mo_statement_execute(MO_INSERT_EVENT);
	mo_statement_end();
}

void
mo_scribe_sql_ledger(int64 batch_no, const MoLedgerEntry *entry)
{
	mo_statement_begin(false);
	arguments();
	mo_statement_put(Int64GetDatum(batch_no));
	mo_statement_put_text(entry->incarnation);
	mo_statement_put(LSNGetDatum(entry->first_lsn));
	mo_statement_put(LSNGetDatum(entry->last_lsn));
	mo_statement_put(TransactionIdGetDatum(entry->first_xid));
	mo_statement_put(TransactionIdGetDatum(entry->last_xid));
	mo_statement_put(Int64GetDatum(entry->transactions));
	mo_statement_put(Int64GetDatum(entry->events));
	mo_statement_put(Int64GetDatum(entry->bytes));
	mo_statement_put(Int64GetDatum(entry->kafka_transactions));
	mo_statement_put_text(entry->offsets);
	mo_statement_put(TimestampTzGetDatum(entry->first_commit));
	mo_statement_put(TimestampTzGetDatum(entry->last_commit));
	mo_statement_put(TimestampTzGetDatum(entry->published_at));
	mo_statement_execute(MO_INSERT_BATCH);
	mo_statement_end();
}

bool
mo_scribe_sql_trim_ledger(int minutes)
{
	bool		more;

	mo_statement_begin(false);
	arguments();
	mo_statement_put(Int32GetDatum(minutes));
	mo_statement_execute(MO_DELETE_BATCHES);
	more = SPI_processed > 0;
	mo_statement_end();
	return more;
}

/*
 * Calls a function with the arguments that are put already, and returns its
 * bigint; 0 if it failed or took too long, which is logged.
 */
static int64
call_in_time(MoStatement s, int timeout_ms)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile int64 result = 0;

	PG_TRY();
	{
		mo_statement_begin(true);
		enable_timeout_after(STATEMENT_TIMEOUT, timeout_ms);
		mo_statement_execute(s);
		result = DatumGetInt64(mo_statement_get(0, 1));
		disable_timeout(STATEMENT_TIMEOUT, false);
		mo_statement_end();
	}
	PG_CATCH();
	{
		/* The time limit must not strike while this is cleaned up. */
		HOLD_INTERRUPTS();
		disable_timeout(STATEMENT_TIMEOUT, false);
		QueryCancelPending = false;
		EmitErrorReport();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		pgstat_report_activity(STATE_IDLE, NULL);
		RESUME_INTERRUPTS();
		result = 0;
	}
	PG_END_TRY();
	return result;
}

void
mo_scribe_sql_run_due(bool retire, int timeout_ms)
{
	mo_statement_start();
	mo_statement_put(BoolGetDatum(retire));
	(void) call_in_time(MO_RUN_DUE, timeout_ms);
}

int64
mo_scribe_sql_purge(int max_events, int timeout_ms)
{
	arguments();
	mo_statement_put(Int32GetDatum(max_events));
	return call_in_time(MO_PURGE, timeout_ms);
}
