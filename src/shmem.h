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

#include "outbox/refusals.h"
#include "outbox/uses.h"
#include "outbox/violated.h"
#include "outbox/violations.h"

#define MO_MAX_PUBLISHERS	64	/* of one server; slots are small */
#define MO_MAX_SCANS		32	/* databases remembered one by one */
#define MO_MAX_QUIESCED		16	/* DROP DATABASE and its like at a time */

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
 * "mutex" guards all but the atomics; texts are at most a line each.
 *
 * in_use, database and publisher_id change under MoShared.lock and the mutex
 * together, and only while no pair runs; so a worker of the slot may read
 * them without either.
 */
typedef struct MoPublisherSlot
{
	slock_t		mutex;
	bool		in_use;
	Oid			database;
	int32		publisher_id;
	char		name[NAMEDATALEN];

	/* written by the publisher; by the launcher while no pair runs */
	MoPublisherState state;
	TimestampTz state_since;
	TimestampTz streaming_since;	/* of this pair; 0 = never yet */
	char		error[512];		/* last error, "" if none since streaming */
	char		hint[512];
	TimestampTz error_at;

	/* what the catalog said when the scout last looked */
	bool		dropped;		/* no such publisher any more */
	bool		foreign;		/* belongs to another server or database */
	uint64		config;			/* hash of what a running pair cannot change */
	uint64		retry;			/* bumped when a stuck pair may try again */

	/* set by the scout, obeyed by the publisher */
	bool		pause_requested;

	/*
	 * A worker claims its seat (publisher/worker.c) with the number the
	 * launcher gave its pair, and gives it up in an exit callback.  So a
	 * worker that was registered but not yet running when its pair was given
	 * up finds that it is late.
	 */
	uint64		pair;
	bool		pair_runs;		/* until the postmaster has reaped both; under
								 * MoShared.lock */
	pid_t		publisher_pid;	/* 0 when not running */
	pid_t		scribe_pid;
	Latch	   *publisher_latch;	/* in PGPROC; NULL when not running */
	Latch	   *scribe_latch;
	dsm_handle	channel;		/* of the running pair, else
								 * DSM_HANDLE_INVALID */

	/* The slot exists, says mesh_outbox.progress; no decision is due (scribe) */
	bool		ready;

	/*
	 * How long the launcher waits before the next pair, ms.  The publisher
	 * sets it before it exits on purpose (random back-off after fencing);
	 * when it is 0 the launcher grows the delay itself.
	 */
	int			restart_delay_ms;

	bool		wants_slot;		/* misconfigured for want of a replication slot */

	int			fenced;			/* times in a row somebody else took the ids */

	/*
	 * No Kafka transaction may begin yet, and what commits meanwhile is read
	 * before the next one does: commits need not wake the publisher.
	 */
	bool		unhurried;

	char		brokers[256];	/* what clients may connect to; the embedded
								 * broker's address is known only at run time */

	/* positions */
	XLogRecPtr	slot_lsn;		/* S: confirmed_flush as last set */
	XLogRecPtr	decoded_lsn;	/* end of the last record read */
	XLogRecPtr	marker_lsn;		/* M: commit LSN of the last marker */
	XLogRecPtr	progress_lsn;	/* P */
	XLogRecPtr	dealt_lsn;		/* everything below is dealt with */
	TimestampTz last_commit_time;	/* of the last published transaction */
	TimestampTz caught_up_at;	/* when nothing was left to be dealt with */
	TimestampTz last_publish_time;

	ConditionVariable dealt_cv; /* broadcast when dealt_lsn, ready, the state
								 * or the slot's owner changes */

	pg_atomic_uint64 transactions;	/* PostgreSQL transactions published */
	pg_atomic_uint64 events;
	pg_atomic_uint64 bytes;
	pg_atomic_uint64 kafka_transactions;
	pg_atomic_uint64 dead_letters;
} MoPublisherSlot;

/* A database whose workers must be gone until "owner" has ended its command. */
typedef struct MoQuiesced
{
	Oid			database;		/* InvalidOid = free entry */
	pid_t		owner;
} MoQuiesced;

/* "lock" guards all but the slots' own fields. */
typedef struct MoShared
{
	LWLock	   *lock;
	pid_t		launcher_pid;
	Latch	   *launcher_latch;

	/* what the launcher has been asked to look at again */
	bool		scan_all;
	int			nscans;
	Oid			scans[MO_MAX_SCANS];

	MoQuiesced	quiesced[MO_MAX_QUIESCED];
	Oid			scouting;		/* database a scout is connected to */
	Oid			scouted;		/* set by a scout that has done its work */
	ConditionVariable workers_cv;	/* broadcast when a worker or scout ends,
									 * and when a slot is given out or freed */

	MoPublisherSlot slots[MO_MAX_PUBLISHERS];
	MoViolationCounter violations[MO_MAX_VIOLATED]; /* outbox/violations.c */
	MoRefusals	refusals;		/* outbox/refusals.c */
	MoViolatedRules violated;	/* outbox/violated.c */
	MoUses		uses;			/* outbox/uses.c */
} MoShared;

extern MoShared *mo_shared;		/* NULL when not preloaded */

extern void mo_shmem_init(void);	/* from _PG_init */

/* Copies what fits into "size" bytes, without cutting a character in two. */
extern void mo_shmem_copy_text(char *into, const char *from, int size);

extern MoPublisherSlot *mo_shmem_find(Oid database, int32 publisher_id);
extern void mo_shmem_set_state(MoPublisherSlot *slot, MoPublisherState state,
							   const char *error, const char *hint);
extern const char *mo_shmem_state_name(MoPublisherState state);

/* Gives out and takes back slots; the caller is the scout or the launcher. */
extern MoPublisherSlot *mo_shmem_allocate(Oid database, int32 publisher_id,
										  const char *name);
extern void mo_shmem_free(MoPublisherSlot *slot);

/*
 * Keeps our workers away from a database until this backend ends it; false
 * when too many do so.  At the end the database is looked at again.
 */
extern bool mo_shmem_begin_quiet(Oid database);
extern void mo_shmem_end_quiet(void);

/* Must this database's workers stay away?  The caller holds the lock. */
extern bool mo_shmem_is_quiesced(Oid database);

/* Has a look at this database been asked for?  The caller holds the lock. */
extern bool mo_shmem_is_scan_due(Oid database);

/*
 * Wakes the publisher, if it runs: this one after a commit, unless it will
 * look by itself; all of a database whatever they do.  Cheap; any process.
 */
extern void mo_shmem_wake_publisher(Oid database, int32 publisher_id);
extern void mo_shmem_wake_publishers(Oid database);
extern void mo_shmem_wake_launcher(void);

/*
 * Makes the launcher look at a database again, at all of them when it is
 * InvalidOid; with "retry" also publishers that wait for a person's decision
 * or a changed setting start again.
 */
extern void mo_shmem_request_scan(Oid database, bool retry);

#endif							/* MO_SHMEM_H */
