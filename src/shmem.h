/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  The one shared structure: a slot per publisher of the server.
 *
 * Holds numbers, states, pids and text; never a handle of one process.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_SHMEM_H
#define MO_SHMEM_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"
#include "storage/latch.h"
#include "storage/spin.h"

#define MO_MAX_PUBLISHERS	64	/* of one server; slots are small */

typedef enum MoPublisherState
{
	MO_STATE_STOPPED,			/* no pair runs */
	MO_STATE_STARTING,			/* recovery: §4 steps 1-4 */
	MO_STATE_STREAMING,			/* all is well */
	MO_STATE_WAITING_BROKER,
	MO_STATE_WAITING_TOPIC,		/* a topic is missing and may not be created */
	MO_STATE_WAITING_STANDBY,	/* synchronous standby has not flushed */
	MO_STATE_PAUSED,
	MO_STATE_BACKING_OFF,		/* after an error or fencing; launcher waits */
	MO_STATE_MISCONFIGURED,		/* waits for reload or alter_publisher */
	MO_STATE_NEEDS_ATTENTION	/* a person must decide */
} MoPublisherState;

/*
 * Written by the publisher (numbers, state), the launcher (pids, state while
 * no pair runs) and SQL functions (pause).  "mutex" guards all but the
 * atomics; texts are at most a line each.
 */
typedef struct MoPublisherSlot
{
	slock_t		mutex;
	bool		in_use;
	Oid			database;
	int32		publisher_id;
	char		name[NAMEDATALEN];

	MoPublisherState state;
	TimestampTz state_since;
	char		error[512];		/* last error, "" if none since streaming */
	char		hint[512];
	TimestampTz error_at;

	pid_t		publisher_pid;	/* 0 when not running */
	pid_t		scribe_pid;
	Latch	   *publisher_latch;	/* in PGPROC; NULL when not running */
	dsm_handle	channel;		/* of the running pair, else
								 * DSM_HANDLE_INVALID */

	/* set by SQL through the launcher, obeyed by the publisher */
	bool		pause_requested;

	/*
	 * How long the launcher waits before the next pair, ms.  The publisher
	 * sets it before it exits on purpose (random back-off after fencing);
	 * otherwise the launcher grows it itself.
	 */
	int			restart_delay_ms;

	char		brokers[256];	/* what clients may connect to; the embedded
								 * broker's address is known only at run time */

	/* positions */
	XLogRecPtr	slot_lsn;		/* S: confirmed_flush as last set */
	XLogRecPtr	decoded_lsn;	/* end of the last record read */
	XLogRecPtr	marker_lsn;		/* M: commit LSN of the last marker */
	XLogRecPtr	progress_lsn;	/* P */
	XLogRecPtr	dealt_lsn;		/* everything below is dealt with */
	TimestampTz last_commit_time;	/* of the last published transaction */
	TimestampTz last_publish_time;

	ConditionVariable dealt_cv; /* broadcast when dealt_lsn or state moves */

	pg_atomic_uint64 transactions;	/* PostgreSQL transactions published */
	pg_atomic_uint64 events;
	pg_atomic_uint64 bytes;
	pg_atomic_uint64 kafka_transactions;
	pg_atomic_uint64 dead_letters;
} MoPublisherSlot;

typedef struct MoShared
{
	LWLock	   *lock;			/* slot allocation */
	pid_t		launcher_pid;
	Latch	   *launcher_latch;
	uint64		scan_requested; /* bumped to make the launcher look again */
	MoPublisherSlot slots[MO_MAX_PUBLISHERS];
} MoShared;

extern MoShared *mo_shared;		/* NULL when not preloaded */

extern void mo_shmem_init(void);	/* from _PG_init */
extern MoPublisherSlot *mo_shmem_find(Oid database, int32 publisher_id);
extern void mo_shmem_set_state(MoPublisherSlot *slot, MoPublisherState state,
							   const char *error, const char *hint);
extern const char *mo_shmem_state_name(MoPublisherState state);

/* Wakes the publisher, if it runs.  Cheap; any process. */
extern void mo_shmem_wake_publisher(Oid database, int32 publisher_id);
extern void mo_shmem_wake_launcher(void);

#endif							/* MO_SHMEM_H */
