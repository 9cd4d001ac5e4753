/*-------------------------------------------------------------------------
 *
 * pairs.c
 *	  The launcher's pairs of workers: when they start, end and start again.
 *
 * A pair is a publisher and a scribe.  They start together, and a new pair
 * starts only when the postmaster has reaped both of the old one: a scribe
 * that is late could otherwise write behind its successor's back.
 *
 *	  stopped --start--> running --one has gone--> ending --both gone--+
 *		 ^                  |                         ^                 |
 *		 |                  +--told to stop-----------+                 |
 *		 +--delay over, or a person did something-----------------------+
 *
 * What the catalog wants is in the slot (the scout writes it there), what
 * this process knows of its workers is in its own memory.  A launcher that
 * dies of an error forgets the handles; its successor dismisses the workers
 * by pid and starts over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "mesh_outbox.h"
#include "publisher/decode.h"
#include "publisher/launcher.h"
#include "shmem.h"

#define MAX_DELAY		60000	/* ms, the longest back-off */
#define GOOD_RUN		10000	/* ms of streaming that reset the back-off */

/*
 * How long the second worker of a pair may take to follow the first by
 * itself: the scribe writes its last ledger row meanwhile.
 */
#define GRACE			1000

/* The same when a session waits: the scribe may wait for that one's locks. */
#define SHORT_GRACE		100

/* How long a publisher that was dropped may take to clean up in Kafka. */
#define LEAVE_GRACE		5000

/*
 * How often to look whether a previous launcher's worker has gone, ms; nobody
 * sends us a signal about it.
 */
#define STRANGER_STEP	100

/* Between two looks for a replication slot that has become free, ms. */
#define SLOT_STEP		2000

typedef struct Pair
{
	BackgroundWorkerHandle *publisher;	/* NULL when there is none */
	BackgroundWorkerHandle *scribe;
	bool		told;			/* to stop; the publisher got SIGTERM */
	bool		told_both;
	bool		unwanted;		/* told so because the catalog or a command
								 * wants it, not because it failed */
	TimestampTz alone_since;	/* one of the two has gone; 0 = both run */
	TimestampTz leaving_since;	/* the publisher was dropped; 0 = not */
	TimestampTz not_before;		/* earliest next start */
	int			delay;			/* ms, the last back-off */
	uint64		config;			/* the slot's when it started */
	uint64		retry;
} Pair;

static Pair pairs[MO_MAX_PUBLISHERS];

static bool
is_stuck(const MoPublisherSlot *slot)
{
	return slot->state == MO_STATE_MISCONFIGURED ||
		slot->state == MO_STATE_NEEDS_ATTENTION;
}

/* May a pair of this slot run?  The caller holds the lock. */
static bool
is_welcome(const MoPublisherSlot *slot)
{
	return slot->in_use && !slot->dropped && !slot->foreign &&
		!mo_shmem_is_quiesced(slot->database);
}

/* Takes a handle's worker off the books when the postmaster has reaped it. */
static void
reap(BackgroundWorkerHandle **handle)
{
	pid_t		pid;

	if (*handle == NULL)
		return;

	switch (GetBackgroundWorkerPid(*handle, &pid))
	{
		case BGWH_STOPPED:
			pfree(*handle);
			*handle = NULL;
			break;
		case BGWH_POSTMASTER_DIED:
			proc_exit(1);
		default:
			break;
	}
}

static bool
register_worker(int index, const char *what, uint64 number,
				BackgroundWorkerHandle **handle)
{
	MoPublisherSlot *slot = &mo_shared->slots[index];
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_main_arg = Int32GetDatum(index),
		.bgw_notify_pid = MyProcPid
	};
	bool		registered;

	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), MO_LIBRARY);
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name),
			 "mesh_outbox_%s_main", what);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "mesh_outbox %s", what);
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "mesh_outbox %s %s",
			 what, slot->name);
	memcpy(worker.bgw_extra, &number, sizeof(number));

	registered = RegisterDynamicBackgroundWorker(&worker, handle);
	MemoryContextSwitchTo(old);
	return registered;
}

/*
 * Announces the pair, unless the database has just been asked to be quiet, or
 * what we know of it has just become old.
 */
static bool
claim_slot(MoPublisherSlot *slot, uint64 *number)
{
	static uint64 last_number = 0;
	bool		welcome;

	/* Distinct from the numbers of a launcher before this one, too. */
	if (last_number == 0)
		last_number = (uint64) GetCurrentTimestamp();

	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	welcome = is_welcome(slot) && !mo_shmem_is_scan_due(slot->database);
	if (welcome)
	{
		SpinLockAcquire(&slot->mutex);
		*number = slot->pair = ++last_number;
		slot->pair_runs = true;
		slot->streaming_since = 0;
		slot->restart_delay_ms = 0;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(mo_shared->lock);
	return welcome;
}

/* No pair of this slot runs any more: tells those who wait for that. */
static void
release_slot(MoPublisherSlot *slot)
{
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	SpinLockAcquire(&slot->mutex);
	slot->pair = 0;
	slot->pair_runs = false;
	/* The replication slot may be lost before the next pair looks at it. */
	slot->ready = false;
	SpinLockRelease(&slot->mutex);
	LWLockRelease(mo_shared->lock);
	ConditionVariableBroadcast(&mo_shared->workers_cv);
}

static int
next_delay(Pair *pair)
{
	pair->delay = pair->delay == 0 ? mo_guc_restart_delay
		: Min(pair->delay * 2, MAX_DELAY);
	return pair->delay;
}

/* Too few background worker slots: says so once, and tries again later. */
static void
report_no_worker_slot(MoPublisherSlot *slot, Pair *pair)
{
	const char *error = "no free background worker slot";
	const char *hint = "Raise max_worker_processes and restart the server.";

	if (strcmp(slot->error, error) != 0)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start publisher \"%s\": %s", slot->name, error),
				 errhint("%s", hint)));
	mo_shmem_set_state(slot, MO_STATE_BACKING_OFF, error, hint);
	pair->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   next_delay(pair));
}

static void
start_pair(int index, Pair *pair)
{
	MoPublisherSlot *slot = &mo_shared->slots[index];
	uint64		number;

	pair->retry = slot->retry;
	pair->config = slot->config;
	if (!XLogLogicalInfoActive())
	{
		ereport(LOG,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("publisher \"%s\" needs wal_level \"logical\"", slot->name),
				 errhint("Set wal_level to \"logical\" and restart the server.")));
		mo_shmem_set_state(slot, MO_STATE_MISCONFIGURED,
						   "wal_level is not \"logical\"",
						   "Set wal_level to \"logical\" and restart the server.");
		return;
	}
	if (!claim_slot(slot, &number))
		return;

	slot->wants_slot = false;
	mo_shmem_set_state(slot, MO_STATE_STARTING, NULL, NULL);
	pair->told = pair->told_both = pair->unwanted = false;
	pair->leaving_since = 0;
	pair->alone_since = 0;
	if (!register_worker(index, "scribe", number, &pair->scribe))
		release_slot(slot);
	else if (register_worker(index, "publisher", number, &pair->publisher))
		return;
	report_no_worker_slot(slot, pair);
}

/*
 * Ends what runs of a pair.  The publisher goes first, the scribe follows of
 * itself when the channel breaks; it is told only when it does not.
 */
static long
stop_pair(Pair *pair, long grace, TimestampTz now)
{
	long		left;

	if (!pair->told && pair->publisher != NULL)
		TerminateBackgroundWorker(pair->publisher);
	pair->told = true;

	if (pair->alone_since == 0)
		return -1;
	left = grace - TimestampDifferenceMilliseconds(pair->alone_since, now);
	if (left > 0)
		return left;

	if (!pair->told_both)
	{
		if (pair->publisher != NULL)
			TerminateBackgroundWorker(pair->publisher);
		if (pair->scribe != NULL)
			TerminateBackgroundWorker(pair->scribe);
	}
	pair->told_both = true;
	return -1;
}

/* Decides, once both workers have gone, when the next pair may start. */
static void
end_pair(MoPublisherSlot *slot, Pair *pair, TimestampTz now)
{
	pair->not_before = now;
	if (slot->dropped)
		mo_shmem_request_scan(slot->database, false);
	else if (pair->unwanted && !is_stuck(slot))
		mo_shmem_set_state(slot, MO_STATE_STOPPED, NULL, NULL);
	else if (!is_stuck(slot))
	{
		int			delay;

		if (slot->streaming_since != 0 &&
			TimestampDifferenceExceeds(slot->streaming_since, now, GOOD_RUN))
			pair->delay = 0;
		delay = slot->restart_delay_ms > 0 ? slot->restart_delay_ms
			: next_delay(pair);
		pair->not_before = TimestampTzPlusMilliseconds(now, delay);
		mo_shmem_set_state(slot, MO_STATE_BACKING_OFF, NULL, NULL);
		ereport(LOG,
				(errmsg("publisher \"%s\" starts again in %d ms",
						slot->name, delay)));
	}

	/* Last: who waits for it must find the slot in its new state. */
	release_slot(slot);
}

/*
 * How much longer a publisher that was dropped is left to itself, ms.  Only
 * one that streams sees that it was.
 */
static long
leave_time(const MoPublisherSlot *slot, Pair *pair, TimestampTz now)
{
	if (!slot->dropped || pair->alone_since != 0 ||
		(slot->state != MO_STATE_STREAMING && slot->state != MO_STATE_PAUSED))
		return 0;
	if (pair->leaving_since == 0)
		pair->leaving_since = now;
	return LEAVE_GRACE - TimestampDifferenceMilliseconds(pair->leaving_since, now);
}

static long
advance_running(MoPublisherSlot *slot, Pair *pair, TimestampTz now)
{
	bool		quiet;
	long		left;

	reap(&pair->publisher);
	reap(&pair->scribe);
	if (pair->publisher == NULL && pair->scribe == NULL)
	{
		end_pair(slot, pair, now);
		return 0;
	}

	if (pair->alone_since == 0 &&
		(pair->publisher == NULL || pair->scribe == NULL))
		pair->alone_since = now;

	LWLockAcquire(mo_shared->lock, LW_SHARED);
	quiet = mo_shmem_is_quiesced(slot->database);
	if (!is_welcome(slot) || slot->config != pair->config)
		pair->unwanted = true;
	left = quiet ? 0 : leave_time(slot, pair, now);
	LWLockRelease(mo_shared->lock);
	if (left > 0)
		return left;
	return pair->unwanted || pair->told || pair->alone_since != 0
		? stop_pair(pair, quiet ? SHORT_GRACE : GRACE, now) : -1;
}

/*
 * Says that nothing runs, and why.  An error from before a pause stays; that
 * a publisher is foreign is said, and taken back when it is not any more.
 */
static void
pause_stopped(MoPublisherSlot *slot)
{
	const char *foreign = "it was created on another server or in another database";
	bool		said = strcmp(slot->error, foreign) == 0;

	if (slot->foreign && !said)
		mo_shmem_set_state(slot, MO_STATE_PAUSED, foreign,
						   "If it is to publish from here, call mesh_outbox.resume_publisher().");
	else if (!slot->foreign && said)
		mo_shmem_set_state(slot, MO_STATE_PAUSED, "", NULL);
	else if (slot->state != MO_STATE_PAUSED)
		mo_shmem_set_state(slot, MO_STATE_PAUSED, NULL, NULL);
}

static long
advance_stopped(int index, MoPublisherSlot *slot, Pair *pair, TimestampTz now)
{
	bool		changed = slot->retry != pair->retry ||
		slot->config != pair->config;
	long		left;

	if (slot->pair_runs && (slot->publisher_pid != 0 || slot->scribe_pid != 0))
		return STRANGER_STEP;
	if (slot->pair_runs)
	{
		release_slot(slot);
		if (slot->dropped)
			mo_shmem_request_scan(slot->database, false);
	}
	if (slot->dropped)
		return -1;
	if (slot->foreign || slot->pause_requested)
	{
		pause_stopped(slot);
		return -1;
	}
	if (slot->state == MO_STATE_PAUSED)
	{
		mo_shmem_set_state(slot, MO_STATE_STOPPED, "", NULL);
		changed = true;
	}
	if (changed)
	{
		pair->not_before = now;
		pair->delay = 0;
	}
	else if (slot->wants_slot)
	{
		if (!mo_decode_slot_is_free())
			return SLOT_STEP;
	}
	else if (is_stuck(slot))
		return -1;

	if (mo_launcher_awaits_scout(slot->database))
		return -1;
	left = TimestampDifferenceMilliseconds(now, pair->not_before);
	/* Longer than any delay is: the clock was set back meanwhile. */
	if (left > 0 && left <= MAX_DELAY)
		return left;
	start_pair(index, pair);

	/* What could not be started set itself a time, or waits for a person. */
	return pair->publisher == NULL && !is_stuck(slot) && pair->not_before > now
		? TimestampDifferenceMilliseconds(now, pair->not_before) : -1;
}

long
mo_pairs_advance(TimestampTz now)
{
	long		earliest = -1;

	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];
		Pair	   *pair = &pairs[i];
		long		wait = -1;

		if (!slot->in_use)
			continue;
		if (pair->publisher != NULL || pair->scribe != NULL)
			wait = advance_running(slot, pair, now);
		else
			wait = advance_stopped(i, slot, pair, now);
		if (wait >= 0 && (earliest < 0 || wait < earliest))
			earliest = wait;
	}
	return earliest;
}

/* The slot has been freed: its next publisher starts with a clean sheet. */
void
mo_pairs_forget(int index)
{
	Assert(pairs[index].publisher == NULL && pairs[index].scribe == NULL);
	memset(&pairs[index], 0, sizeof(Pair));
}

/*
 * The pids are good: a worker takes its own out of the slot on every way out
 * that leaves shared memory as it is.  A worker that has not begun yet finds
 * that its pair's number is not the slot's any more.
 */
void
mo_pairs_dismiss_strangers(void)
{
	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];
		pid_t		publisher;
		pid_t		scribe;

		SpinLockAcquire(&slot->mutex);
		slot->pair = 0;
		publisher = slot->publisher_pid;
		scribe = slot->scribe_pid;
		SpinLockRelease(&slot->mutex);

		if (publisher != 0)
			kill(publisher, SIGTERM);
		if (scribe != 0)
			kill(scribe, SIGTERM);
	}
}
