/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  Finds the databases that have publishers and keeps their pairs alive.
 *
 * One per server, started with it or when a standby is promoted.  It sees
 * shared catalogs only, so it learns what a database wants from a scout, a
 * worker that connects to that one database, writes into the slots and is
 * gone; one at a time, so that a server with many databases needs only one
 * worker slot for them.  It looks when it is told to: at start, at a reload,
 * when a transaction that changed publishers has committed, and when a
 * database was created, dropped or altered.
 *
 * The launcher holds no lock and no transaction while it waits.  An error
 * ends it, and the postmaster starts it again a few seconds later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "mesh_outbox.h"
#include "publisher/launcher.h"
#include "shmem.h"

#define RESTART_TIME	5		/* s, after an error of the launcher */
#define MIN_SCOUT_DELAY 1000	/* ms, before a scout that failed goes again */
#define MAX_SCOUT_DELAY 60000

PGDLLEXPORT void mesh_outbox_launcher_main(Datum arg);

/* Databases to be scouted, and those whose scout has failed. */
static List *to_scout = NIL;
static List *to_retry = NIL;
static TimestampTz retry_at = 0;
static int	retry_delay = 0;

static BackgroundWorkerHandle *scout = NULL;

void
mo_launcher_init(void)
{
	BackgroundWorker worker = {
		.bgw_name = "mesh_outbox launcher",
		.bgw_type = "mesh_outbox launcher",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = RESTART_TIME,
		.bgw_library_name = MO_LIBRARY,
		.bgw_function_name = "mesh_outbox_launcher_main"
	};

	/* pg_upgrade's servers are nobody's to publish from. */
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		RegisterBackgroundWorker(&worker);
}

static void
leave(int code, Datum arg)
{
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	mo_shared->launcher_pid = 0;
	mo_shared->launcher_latch = NULL;
	LWLockRelease(mo_shared->lock);
}

static void
arrive(void)
{
	before_shmem_exit(leave, (Datum) 0);
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	mo_shared->launcher_pid = MyProcPid;
	mo_shared->launcher_latch = MyLatch;
	mo_shared->scouting = InvalidOid;
	mo_shared->scan_all = true;
	LWLockRelease(mo_shared->lock);
}

/* All databases, and among them those that a worker may connect to. */
static void
list_databases(List **all, List **open)
{
	MemoryContext caller = CurrentMemoryContext;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	*all = *open = NIL;
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old = MemoryContextSwitchTo(caller);

		*all = lappend_oid(*all, database->oid);

		/* A limit below -1 marks what an interrupted DROP DATABASE left. */
		if (database->datallowconn && database->datconnlimit >= -1)
			*open = lappend_oid(*open, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}

/* Takes back the slots of a database's dropped publishers, if nothing runs. */
static void
free_dropped(Oid database)
{
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];

		if (slot->in_use && slot->database == database &&
			slot->dropped && !slot->pair_runs)
		{
			mo_shmem_free(slot);
			mo_pairs_forget(i);
		}
	}
	LWLockRelease(mo_shared->lock);
}

/* The database is gone, its replication slots went with it. */
static void
forget_database(Oid database)
{
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
		if (mo_shared->slots[i].database == database)
			mo_shared->slots[i].dropped = true;
	LWLockRelease(mo_shared->lock);
	free_dropped(database);
}

/* Copies the requests out of shared memory; true when there are any. */
static bool
take_requests(bool *all, int *n, Oid *databases)
{
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	*all = mo_shared->scan_all;
	*n = mo_shared->nscans;
	memcpy(databases, mo_shared->scans, sizeof(Oid) * *n);
	mo_shared->scan_all = false;
	mo_shared->nscans = 0;
	LWLockRelease(mo_shared->lock);
	return *all || *n > 0;
}

static void
queue_database(Oid database)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	to_scout = list_append_unique_oid(to_scout, database);
	to_retry = list_delete_oid(to_retry, database);
	MemoryContextSwitchTo(old);
}

/* Queues what is to be looked at, forgets databases that do not exist. */
static void
accept_requests(void)
{
	bool		all;
	int			n;
	Oid			databases[MO_MAX_SCANS];
	List	   *existing;
	List	   *open;
	ListCell   *cell;

	if (!take_requests(&all, &n, databases))
		return;

	list_databases(&existing, &open);
	for (int i = 0; i < n; i++)
	{
		if (list_member_oid(open, databases[i]))
			queue_database(databases[i]);
		else if (!list_member_oid(existing, databases[i]))
			forget_database(databases[i]);
	}
	if (!all)
		return;

	foreach(cell, open)
		queue_database(lfirst_oid(cell));
	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
		if (mo_shared->slots[i].in_use &&
			!list_member_oid(existing, mo_shared->slots[i].database))
			forget_database(mo_shared->slots[i].database);
}

/* Announces a scout's visit, unless the database has to be quiet. */
static bool
claim_visit(Oid database)
{
	bool		welcome;

	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	welcome = !mo_shmem_is_quiesced(database);
	if (welcome)
	{
		mo_shared->scouting = database;
		mo_shared->scouted = InvalidOid;
	}
	LWLockRelease(mo_shared->lock);
	return welcome;
}

/* Returns true when the scout did its work. */
static bool
end_visit(void)
{
	bool		done;

	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	done = mo_shared->scouted == mo_shared->scouting;
	mo_shared->scouting = mo_shared->scouted = InvalidOid;
	LWLockRelease(mo_shared->lock);
	ConditionVariableBroadcast(&mo_shared->workers_cv);
	return done;
}

static bool
send_scout(Oid database)
{
	static bool no_worker_slot = false;
	MemoryContext old;
	bool		sent;
	BackgroundWorker worker = {
		.bgw_name = "mesh_outbox scout",
		.bgw_type = "mesh_outbox scout",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = MO_LIBRARY,
		.bgw_function_name = "mesh_outbox_scout_main",
		.bgw_main_arg = ObjectIdGetDatum(database),
		.bgw_notify_pid = MyProcPid
	};

	old = MemoryContextSwitchTo(TopMemoryContext);
	sent = RegisterDynamicBackgroundWorker(&worker, &scout);
	MemoryContextSwitchTo(old);

	/* Said once, then again only when it has been possible in between. */
	if (!sent && !no_worker_slot)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not look for publishers: no free background worker slot"),
				 errhint("Raise max_worker_processes and restart the server.")));
	no_worker_slot = !sent;
	return sent;
}

static void
retry_later(Oid database, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	to_retry = list_append_unique_oid(to_retry, database);
	MemoryContextSwitchTo(old);
	retry_delay = Max(MIN_SCOUT_DELAY, Min(retry_delay * 2, MAX_SCOUT_DELAY));
	retry_at = TimestampTzPlusMilliseconds(now, retry_delay);
}

/* Looks after the scout that is on its way. */
static void
follow_scout(TimestampTz now)
{
	Oid			database = mo_shared->scouting;
	bool		unwelcome;
	pid_t		pid;

	switch (GetBackgroundWorkerPid(scout, &pid))
	{
		case BGWH_POSTMASTER_DIED:
			proc_exit(1);
		case BGWH_STOPPED:
			break;
		default:
			LWLockAcquire(mo_shared->lock, LW_SHARED);
			unwelcome = mo_shmem_is_quiesced(database);
			LWLockRelease(mo_shared->lock);
			if (unwelcome)
				TerminateBackgroundWorker(scout);
			return;
	}

	pfree(scout);
	scout = NULL;
	if (end_visit())
	{
		retry_delay = 0;
		free_dropped(database);
	}
	else
		retry_later(database, now);
}

/* Returns the time to wait at most, ms, -1 for no limit. */
static long
advance_scouts(TimestampTz now)
{
	if (scout != NULL)
		follow_scout(now);

	if (to_retry != NIL && now >= retry_at)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		to_scout = list_concat_unique_oid(to_scout, to_retry);
		list_free(to_retry);
		to_retry = NIL;
		MemoryContextSwitchTo(old);
	}

	while (scout == NULL && to_scout != NIL)
	{
		Oid			database = linitial_oid(to_scout);

		to_scout = list_delete_first(to_scout);

		/* Whoever wants it quiet asks for a scan when it is done. */
		if (claim_visit(database) && !send_scout(database))
		{
			(void) end_visit();
			retry_later(database, now);
		}
	}
	return to_retry == NIL ? -1
		: TimestampDifferenceMilliseconds(now, retry_at);
}

bool
mo_launcher_awaits_scout(Oid database)
{
	return mo_shared->scouting == database ||
		list_member_oid(to_scout, database);
}

static long
shorter(long a, long b)
{
	return a < 0 ? b : b < 0 ? a : Min(a, b);
}

void
mesh_outbox_launcher_main(Datum arg)
{
	MemoryContext turn;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_activity(STATE_IDLE, NULL);
	arrive();
	mo_pairs_dismiss_strangers();

	turn = AllocSetContextCreate(TopMemoryContext, "mesh_outbox launcher",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(turn);
	for (;;)
	{
		TimestampTz now;
		long		wait;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			mo_shmem_request_scan(InvalidOid, true);
		}

		accept_requests();
		now = GetCurrentTimestamp();

		/* In this order: what a scout has found may start or end a pair. */
		wait = advance_scouts(now);
		wait = shorter(wait, mo_pairs_advance(now));

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (wait < 0 ? 0 : WL_TIMEOUT),
						 wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		MemoryContextReset(turn);
	}
}
