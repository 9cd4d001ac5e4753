/*-------------------------------------------------------------------------
 *
 * launcher.h
 *	  The parts of the launcher: its loop, its scouts, its pairs of workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_LAUNCHER_H
#define MO_LAUNCHER_H

#include "datatype/timestamp.h"

extern void mo_launcher_init(void); /* from _PG_init */

/* Is a scout to report about this database before anything starts there? */
extern bool mo_launcher_awaits_scout(Oid database);

/*
 * pairs.c: brings every pair one step towards what its slot says; returns
 * the time, ms, after which it wants to be called again, -1 for "no need".
 */
extern long mo_pairs_advance(TimestampTz now);

/* After a restart of the launcher: asks workers of the previous one to go. */
extern void mo_pairs_dismiss_strangers(void);

/* The slot of that index has been freed. */
extern void mo_pairs_forget(int index);

#endif							/* MO_LAUNCHER_H */
