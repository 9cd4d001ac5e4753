/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  The one shared structure, and how processes find and wake each other
 *	  through it.
 *
 * Backends (the commit of an event wakes its publisher, the status
 * functions), the launcher, its scouts and the pairs of workers all meet
 * here.  The structure is sized once, at server start, so a server without
 * mesh_outbox in shared_preload_libraries has none: mo_shared is NULL, the
 * checks of outboxes work, nothing is published, and every function here
 * that may be called without it does nothing.
 *
 * A process that is killed with SIGKILL takes the whole structure with it
 * (the postmaster restarts every process on fresh shared memory), so what is
 * in it was always left there by an orderly exit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "mesh_outbox.h"
#include "shmem.h"

MoShared   *mo_shared = NULL;

static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

static void
request_memory(void)
{
	if (next_request_hook)
		next_request_hook();

	RequestAddinShmemSpace(MAXALIGN(sizeof(MoShared)));
	RequestNamedLWLockTranche(MO_LIBRARY, 4);
}

void
mo_shmem_copy_text(char *into, const char *from, int size)
{
	int			len = pg_mbcliplen(from, strlen(from), size - 1);

	memcpy(into, from, len);
	into[len] = '\0';
}

static void
reset_slot(MoPublisherSlot *slot)
{
	slot->in_use = false;
	slot->database = InvalidOid;
	slot->publisher_id = 0;
	memset(slot->name, 0, sizeof(slot->name));

	slot->state = MO_STATE_STOPPED;
	slot->state_since = 0;
	slot->streaming_since = 0;
	slot->error[0] = slot->hint[0] = slot->brokers[0] = '\0';
	slot->error_at = 0;

	slot->dropped = slot->foreign = slot->pause_requested = false;
	slot->config = slot->retry = 0;

	slot->pair = 0;
	slot->pair_runs = false;
	slot->publisher_pid = slot->scribe_pid = 0;
	slot->publisher_latch = slot->scribe_latch = NULL;
	slot->channel = DSM_HANDLE_INVALID;
	slot->ready = slot->wants_slot = slot->unhurried = false;
	slot->restart_delay_ms = slot->fenced = 0;

	slot->slot_lsn = slot->decoded_lsn = InvalidXLogRecPtr;
	slot->marker_lsn = slot->progress_lsn = InvalidXLogRecPtr;
	slot->dealt_lsn = InvalidXLogRecPtr;
	slot->last_commit_time = slot->last_publish_time = 0;
	slot->caught_up_at = 0;

	pg_atomic_write_u64(&slot->transactions, 0);
	pg_atomic_write_u64(&slot->events, 0);
	pg_atomic_write_u64(&slot->bytes, 0);
	pg_atomic_write_u64(&slot->kafka_transactions, 0);
	pg_atomic_write_u64(&slot->dead_letters, 0);
}

static void
init_memory(void)
{
	memset(mo_shared, 0, sizeof(MoShared));
	mo_shared->lock = &GetNamedLWLockTranche(MO_LIBRARY)[0].lock;
	mo_shared->refusals.lock = &GetNamedLWLockTranche(MO_LIBRARY)[1].lock;
	mo_shared->violated.lock = &GetNamedLWLockTranche(MO_LIBRARY)[2].lock;
	mo_shared->uses.lock = &GetNamedLWLockTranche(MO_LIBRARY)[3].lock;
	mo_shared->scan_all = true;
	ConditionVariableInit(&mo_shared->workers_cv);
	mo_violations_init(mo_shared->violations);

	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];

		SpinLockInit(&slot->mutex);
		ConditionVariableInit(&slot->dealt_cv);
		pg_atomic_init_u64(&slot->transactions, 0);
		pg_atomic_init_u64(&slot->events, 0);
		pg_atomic_init_u64(&slot->bytes, 0);
		pg_atomic_init_u64(&slot->kafka_transactions, 0);
		pg_atomic_init_u64(&slot->dead_letters, 0);
		reset_slot(slot);
	}
}

static void
startup_memory(void)
{
	bool		found;

	if (next_startup_hook)
		next_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	mo_shared = ShmemInitStruct(MO_LIBRARY, sizeof(MoShared), &found);
	if (!found)
		init_memory();
	LWLockRelease(AddinShmemInitLock);
}

void
mo_shmem_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_memory;
}

/*
 * The slot of a publisher, or NULL.  No lock is taken: a slot's identity
 * changes only when a publisher is created or dropped, and a caller that
 * comes at that very moment may as well have come a moment earlier or later.
 */
MoPublisherSlot *
mo_shmem_find(Oid database, int32 publisher_id)
{
	if (mo_shared == NULL)
		return NULL;

	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];

		if (slot->in_use && slot->publisher_id == publisher_id &&
			slot->database == database)
			return slot;
	}
	return NULL;
}

/* NULL when all slots are taken.  The caller holds mo_shared->lock. */
MoPublisherSlot *
mo_shmem_allocate(Oid database, int32 publisher_id, const char *name)
{
	Assert(LWLockHeldByMeInMode(mo_shared->lock, LW_EXCLUSIVE));

	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];

		if (slot->in_use)
			continue;

		SpinLockAcquire(&slot->mutex);
		reset_slot(slot);
		slot->database = database;
		slot->publisher_id = publisher_id;
		strlcpy(slot->name, name, sizeof(slot->name));
		slot->in_use = true;
		SpinLockRelease(&slot->mutex);
		mo_shmem_set_state(slot, MO_STATE_STOPPED, NULL, NULL);
		ConditionVariableBroadcast(&mo_shared->workers_cv);
		return slot;
	}
	return NULL;
}

/* The caller holds mo_shared->lock, and no pair of the slot runs. */
void
mo_shmem_free(MoPublisherSlot *slot)
{
	Assert(LWLockHeldByMeInMode(mo_shared->lock, LW_EXCLUSIVE));
	Assert(slot->publisher_pid == 0 && slot->scribe_pid == 0);

	SpinLockAcquire(&slot->mutex);
	reset_slot(slot);
	SpinLockRelease(&slot->mutex);
	ConditionVariableBroadcast(&slot->dealt_cv);
	ConditionVariableBroadcast(&mo_shared->workers_cv);
}

/*
 * A NULL error leaves the last one in place, so that it can still be read
 * while the publisher backs off and starts again; streaming or an empty one
 * clears it.
 */
void
mo_shmem_set_state(MoPublisherSlot *slot, MoPublisherState state,
				   const char *error, const char *hint)
{
	TimestampTz now = GetCurrentTimestamp();

	SpinLockAcquire(&slot->mutex);
	if (slot->state != state || slot->state_since == 0)
	{
		slot->state = state;
		slot->state_since = now;
	}
	if (error != NULL)
	{
		strlcpy(slot->error, error, sizeof(slot->error));
		strlcpy(slot->hint, hint ? hint : "", sizeof(slot->hint));
		slot->error_at = error[0] != '\0' ? now : 0;
	}
	else if (state == MO_STATE_STREAMING)
	{
		slot->error[0] = slot->hint[0] = '\0';
		slot->error_at = 0;
	}
	if (state == MO_STATE_STREAMING && slot->streaming_since == 0)
		slot->streaming_since = now;
	SpinLockRelease(&slot->mutex);

	ConditionVariableBroadcast(&slot->dealt_cv);
}

const char *
mo_shmem_state_name(MoPublisherState state)
{
	switch (state)
	{
		case MO_STATE_STOPPED:
			return "stopped";
		case MO_STATE_STARTING:
			return "starting";
		case MO_STATE_STREAMING:
			return "streaming";
		case MO_STATE_WAITING_BROKER:
			return "waiting for broker";
		case MO_STATE_WAITING_TOPIC:
			return "waiting for topic";
		case MO_STATE_WAITING_STANDBY:
			return "waiting for standby";
		case MO_STATE_PAUSED:
			return "paused";
		case MO_STATE_BACKING_OFF:
			return "backing off";
		case MO_STATE_MISCONFIGURED:
			return "misconfigured";
		case MO_STATE_NEEDS_ATTENTION:
			return "needs attention";
	}
	return "unknown";
}

/*
 * The latch lies in a PGPROC, which outlives its process: a process that
 * has just taken it over is woken for nothing, no more.
 */
static void
wake_slot(MoPublisherSlot *slot)
{
	Latch	   *latch;

	SpinLockAcquire(&slot->mutex);
	latch = slot->publisher_latch;
	SpinLockRelease(&slot->mutex);
	if (latch != NULL)
		SetLatch(latch);
}

void
mo_shmem_wake_publisher(Oid database, int32 publisher_id)
{
	MoPublisherSlot *slot = mo_shmem_find(database, publisher_id);

	/*
	 * The commit record is written before "unhurried" is read; the publisher
	 * clears it before it looks for such records.
	 */
	pg_memory_barrier();
	if (slot != NULL && !slot->unhurried)
		wake_slot(slot);
}

/* After COMMIT PREPARED nobody knows whose events were in the transaction. */
void
mo_shmem_wake_publishers(Oid database)
{
	if (mo_shared == NULL)
		return;

	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];

		if (slot->in_use && slot->database == database)
			wake_slot(slot);
	}
}

bool
mo_shmem_begin_quiet(Oid database)
{
	bool		added = false;

	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MO_MAX_QUIESCED && !added; i++)
	{
		MoQuiesced *entry = &mo_shared->quiesced[i];

		if (OidIsValid(entry->database))
			continue;
		entry->database = database;
		entry->owner = MyProcPid;
		added = true;
	}
	LWLockRelease(mo_shared->lock);
	return added;
}

bool
mo_shmem_is_quiesced(Oid database)
{
	for (int i = 0; i < MO_MAX_QUIESCED; i++)
		if (mo_shared->quiesced[i].database == database)
			return true;
	return false;
}

/* The caller does not hold mo_shared->lock. */
void
mo_shmem_wake_launcher(void)
{
	Latch	   *latch;

	if (mo_shared == NULL)
		return;

	LWLockAcquire(mo_shared->lock, LW_SHARED);
	latch = mo_shared->launcher_latch;
	LWLockRelease(mo_shared->lock);
	if (latch != NULL)
		SetLatch(latch);
}

bool
mo_shmem_is_scan_due(Oid database)
{
	for (int i = 0; i < mo_shared->nscans; i++)
		if (mo_shared->scans[i] == database)
			return true;
	return mo_shared->scan_all;
}

/* The caller holds mo_shared->lock. */
static void
note_scan(Oid database)
{
	if (mo_shmem_is_scan_due(database))
		return;
	if (!OidIsValid(database) || mo_shared->nscans == MO_MAX_SCANS)
		mo_shared->scan_all = true;
	else
		mo_shared->scans[mo_shared->nscans++] = database;
}

/*
 * In one step, so that the launcher cannot start anything by what it knew
 * before.
 */
void
mo_shmem_end_quiet(void)
{
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MO_MAX_QUIESCED; i++)
	{
		MoQuiesced *entry = &mo_shared->quiesced[i];

		if (entry->owner != MyProcPid)
			continue;
		note_scan(entry->database);
		entry->database = InvalidOid;
		entry->owner = 0;
	}
	LWLockRelease(mo_shared->lock);

	mo_shmem_wake_launcher();
}

void
mo_shmem_request_scan(Oid database, bool retry)
{
	if (mo_shared == NULL)
		return;

	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	note_scan(database);
	for (int i = 0; retry && i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];

		if (!OidIsValid(database) || slot->database == database)
		{
			SpinLockAcquire(&slot->mutex);
			slot->retry++;
			SpinLockRelease(&slot->mutex);
		}
	}
	LWLockRelease(mo_shared->lock);

	mo_shmem_wake_launcher();
}
