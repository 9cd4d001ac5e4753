/*-------------------------------------------------------------------------
 *
 * status.c
 *	  SQL functions over shared memory: what runs, and waiting for it.
 *
 * Called from the view mesh_outbox.publishers, from the functions that manage
 * publishers, by tests and by people who must know that an event is out.
 * Reads the slots and writes none.  Without preload there is no shared
 * memory: the status is empty, waiting is an error that says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "outbox/catalog.h"
#include "publisher/hooks.h"
#include "shmem.h"

#define STATUS_COLUMNS 23

/* A wait looks again at least this often, ms: a slot may change its owner. */
#define WAIT_STEP 1000

/* A publisher to wait for. */
typedef struct Awaited
{
	int32		publisher_id;
	char	   *name;
} Awaited;

typedef bool (*Condition) (const MoPublisherSlot *slot, XLogRecPtr lsn);

PG_FUNCTION_INFO_V1(mesh_outbox_publisher_slots);
PG_FUNCTION_INFO_V1(mesh_outbox_is_preloaded);
PG_FUNCTION_INFO_V1(mesh_outbox_publisher_changed);
PG_FUNCTION_INFO_V1(mesh_outbox_note_publisher_change);
PG_FUNCTION_INFO_V1(mesh_outbox_wait_published);
PG_FUNCTION_INFO_V1(mesh_outbox_wait_ready);

/* A row of publisher_slots() under construction; zero values are NULL. */
typedef struct Row
{
	int			n;
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS];
} Row;

static void
add(Row *row, Datum value, bool null)
{
	Assert(row->n < STATUS_COLUMNS);
	row->values[row->n] = value;
	row->nulls[row->n++] = null;
}

static void
add_text(Row *row, const char *text)
{
	add(row, CStringGetTextDatum(text), text[0] == '\0');
}

static void
add_time(Row *row, TimestampTz time)
{
	add(row, TimestampTzGetDatum(time), time == 0);
}

static void
add_lsn(Row *row, XLogRecPtr lsn)
{
	add(row, LSNGetDatum(lsn), XLogRecPtrIsInvalid(lsn));
}

static void
add_count(Row *row, uint64 count)
{
	add(row, Int64GetDatum((int64) count), false);
}

static void
fill_row(Row *row, MoPublisherSlot *shared)
{
	MoPublisherSlot *slot = palloc(sizeof(MoPublisherSlot));

	/* Nothing that allocates or fails may run under a spinlock. */
	SpinLockAcquire(&shared->mutex);
	memcpy(slot, shared, sizeof(MoPublisherSlot));
	SpinLockRelease(&shared->mutex);

	row->n = 0;
	add(row, Int32GetDatum(slot->publisher_id), false);
	add_text(row, mo_shmem_state_name(slot->state));
	add_time(row, slot->state_since);
	add_text(row, slot->error);
	add_text(row, slot->hint);
	add_time(row, slot->error_at);
	add(row, Int32GetDatum(slot->publisher_pid), slot->publisher_pid == 0);
	add(row, Int32GetDatum(slot->scribe_pid), slot->scribe_pid == 0);
	add_text(row, slot->brokers);
	add(row, BoolGetDatum(slot->ready), false);
	add_lsn(row, slot->slot_lsn);
	add_lsn(row, slot->decoded_lsn);
	add_lsn(row, slot->marker_lsn);
	add_lsn(row, slot->progress_lsn);
	add_lsn(row, slot->dealt_lsn);
	add_time(row, slot->last_commit_time);
	add_time(row, slot->caught_up_at);
	add_time(row, slot->last_publish_time);
	add_count(row, pg_atomic_read_u64(&shared->transactions));
	add_count(row, pg_atomic_read_u64(&shared->events));
	add_count(row, pg_atomic_read_u64(&shared->bytes));
	add_count(row, pg_atomic_read_u64(&shared->kafka_transactions));
	add_count(row, pg_atomic_read_u64(&shared->dead_letters));
	pfree(slot);
}

/* mesh_outbox.publisher_slots() */
Datum
mesh_outbox_publisher_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; mo_shared != NULL && i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];
		Row			row;

		if (!slot->in_use || slot->database != MyDatabaseId)
			continue;
		fill_row(&row, slot);
		tuplestore_putvalues(result->setResult, result->setDesc,
							 row.values, row.nulls);
	}
	return (Datum) 0;
}

/* mesh_outbox.is_preloaded() */
Datum
mesh_outbox_is_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(mo_shared != NULL);
}

/* mesh_outbox.publisher_changed() */
Datum
mesh_outbox_publisher_changed(PG_FUNCTION_ARGS)
{
	mo_hooks_scan_at_commit();
	PG_RETURN_VOID();
}

/* Trigger on mesh_outbox.publisher, once per statement. */
Datum
mesh_outbox_note_publisher_change(PG_FUNCTION_ARGS)
{
	mo_hooks_scan_at_commit();
	PG_RETURN_POINTER(NULL);
}

static void
require_preload(void)
{
	if (mo_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("mesh_outbox is not loaded at server start"),
				 errhint("Add mesh_outbox to shared_preload_libraries and restart the server.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("publishers do not run during recovery"),
				 errhint("Wait on the primary server.")));
}

/* The named publisher, or all of this database; none is an error. */
static Awaited *
find_awaited(const char *name, int *n)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[] = {TEXTOID};
	Datum		values[1];
	Awaited    *awaited;

	values[0] = name ? CStringGetTextDatum(name) : (Datum) 0;
	SPI_connect();
	if (SPI_execute_with_args("SELECT publisher_id, name FROM mesh_outbox.publisher"
							  " WHERE name = $1 OR $1 IS NULL ORDER BY 1",
							  1, types, values, name ? " " : "n", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read mesh_outbox.publisher");

	*n = (int) SPI_processed;
	awaited = MemoryContextAlloc(caller, sizeof(Awaited) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		null;

		awaited[i].publisher_id =
			DatumGetInt32(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null));
		awaited[i].name =
			MemoryContextStrdup(caller, SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2));
	}
	SPI_finish();

	if (*n == 0 && name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("publisher \"%s\" does not exist", name)));
	if (*n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database has no publisher"),
				 errhint("Create one with mesh_outbox.create_publisher().")));
	return awaited;
}

/* Says what the caller would look up next. */
static void
warn_timeout(const Awaited *awaited, const MoPublisherSlot *slot)
{
	MoPublisherState state = MO_STATE_STOPPED;
	char		error[sizeof(slot->error)] = "";
	char		hint[sizeof(slot->hint)] = "";

	if (slot != NULL)
	{
		MoPublisherSlot *shared = unconstify(MoPublisherSlot *, slot);

		SpinLockAcquire(&shared->mutex);
		state = shared->state;
		strlcpy(error, shared->error, sizeof(error));
		strlcpy(hint, shared->hint, sizeof(hint));
		SpinLockRelease(&shared->mutex);
	}
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("publisher \"%s\" did not get there in time", awaited->name),
			 error[0] ? errdetail("Its state is \"%s\", its last error: %s",
								  mo_shmem_state_name(state), error)
			 : errdetail("Its state is \"%s\".", mo_shmem_state_name(state)),
			 hint[0] ? errhint("%s", hint) : 0));
}

/*
 * The slot is looked up in every turn: it may not exist yet just after
 * create_publisher(), and it may go while we wait.
 */
static bool
wait_for(const Awaited *awaited, Condition met, XLogRecPtr lsn,
		 TimestampTz deadline)
{
	bool		done;

	for (;;)
	{
		MoPublisherSlot *slot = mo_shmem_find(MyDatabaseId, awaited->publisher_id);
		long		left;

		done = slot != NULL && met(slot, lsn);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		if (!done && left <= 0)
			warn_timeout(awaited, slot);
		if (done || left <= 0)
			break;
		(void) ConditionVariableTimedSleep(slot ? &slot->dealt_cv
										   : &mo_shared->workers_cv,
										   Min(left, WAIT_STEP),
										   PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
	ConditionVariableCancelSleep();
	return done;
}

static bool
wait_for_all(const char *name, Condition met, XLogRecPtr lsn,
			 const Interval *timeout)
{
	int			n;
	Awaited    *awaited = find_awaited(name, &n);
	TimestampTz deadline =
		DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												TimestampTzGetDatum(GetCurrentTimestamp()),
												IntervalPGetDatum(timeout)));

	for (int i = 0; i < n; i++)
		if (!wait_for(&awaited[i], met, lsn, deadline))
			return false;
	return true;
}

static bool
is_dealt_with(const MoPublisherSlot *slot, XLogRecPtr lsn)
{
	MoPublisherSlot *shared = unconstify(MoPublisherSlot *, slot);
	XLogRecPtr	dealt;

	SpinLockAcquire(&shared->mutex);
	dealt = shared->dealt_lsn;
	SpinLockRelease(&shared->mutex);
	return dealt >= lsn;
}

/*
 * A pair whose publisher was dropped and created again under its id in one
 * transaction is ready until it ends; the table knows that it is another.
 */
static bool
is_ready(const MoPublisherSlot *slot, XLogRecPtr lsn)
{
	return slot->ready && mo_catalog_publisher_ready(slot->publisher_id);
}

/*
 * The insert position points behind the header of a page that is still
 * empty; a reader that has read everything stands before it.
 */
static XLogRecPtr
before_page_header(XLogRecPtr lsn)
{
	uint64		in_page = lsn % XLOG_BLCKSZ;

	if (XLogSegmentOffset(lsn, wal_segment_size) == SizeOfXLogLongPHD)
		return lsn - SizeOfXLogLongPHD;
	if (in_page == SizeOfXLogShortPHD)
		return lsn - SizeOfXLogShortPHD;
	return lsn;
}

/*
 * mesh_outbox.wait_published(lsn, timeout, publisher)
 *
 * Flushes WAL up to the LSN, so that a transaction that committed
 * asynchronously is not waited for longer than necessary.
 */
Datum
mesh_outbox_wait_published(PG_FUNCTION_ARGS)
{
	XLogRecPtr	here;
	XLogRecPtr	lsn;
	char	   *name;

	require_preload();
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("timeout must not be null")));

	here = GetXLogInsertRecPtr();
	lsn = before_page_header(PG_ARGISNULL(0) ? here : PG_GETARG_LSN(0));
	name = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));

	XLogFlush(Min(lsn, before_page_header(here)));
	mo_shmem_wake_publishers(MyDatabaseId);
	PG_RETURN_BOOL(wait_for_all(name, is_dealt_with, lsn,
								PG_GETARG_INTERVAL_P(1)));
}

/* mesh_outbox.wait_ready(publisher, timeout) */
Datum
mesh_outbox_wait_ready(PG_FUNCTION_ARGS)
{
	require_preload();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("publisher and timeout must not be null")));

	PG_RETURN_BOOL(wait_for_all(text_to_cstring(PG_GETARG_TEXT_PP(0)),
								is_ready, InvalidXLogRecPtr,
								PG_GETARG_INTERVAL_P(1)));
}
