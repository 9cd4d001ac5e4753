/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  What publisher and scribe have in common: how they start and end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_WORKER_H
#define MO_WORKER_H

#include "compat.h"
#include "shmem.h"

typedef enum MoSeat
{
	MO_SEAT_PUBLISHER,
	MO_SEAT_SCRIBE
} MoSeat;

typedef void (*MoWorkerBody) (int slot_index);

/*
 * The whole life of a worker: takes its seat in the slot, connects to the
 * slot's database with an empty search_path, runs the body and exits.  An
 * error of the body becomes the slot's last error and its state "backing
 * off"; a peer that has gone is no error of its own.
 */
pg_noreturn extern void mo_worker_run(Datum main_arg, MoSeat seat,
									  MoWorkerBody body);

/*
 * Ends this worker, and so its pair, in a state that waits for a person:
 * MO_STATE_MISCONFIGURED or MO_STATE_NEEDS_ATTENTION.  Logs it once.
 */
pg_noreturn extern void mo_worker_stop(MoPublisherSlot *slot,
									   MoPublisherState state,
									   const char *error, const char *hint);

/* After connecting to a database: has our settings, not what users set there. */
extern void mo_worker_settings(void);

/* Reads the configuration again if a reload was asked for. */
extern bool mo_worker_reload(void);

#endif							/* MO_WORKER_H */
