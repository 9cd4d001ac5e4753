/*-------------------------------------------------------------------------
 *
 * uses.h
 *	  Which roles insert into which outboxes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_USES_H
#define MO_USES_H

#include "datatype/timestamp.h"
#include "storage/lwlock.h"

#include "outbox/registry.h"

/* Pairs of an outbox and a role of one server that are remembered. */
#define MO_MAX_USES		256

typedef struct MoUse
{
	Oid			database;		/* InvalidOid: free */
	int32		outbox_id;
	Oid			role;
	TimestampTz last_at;
} MoUse;

typedef struct MoUses
{
	LWLock	   *lock;			/* guards the rest */
	MoUse		entries[MO_MAX_USES];
} MoUses;

/*
 * The current user inserts into the table.  Costs two comparisons but once a
 * minute.  Does nothing without shared memory.
 */
extern void mo_uses_note(MoTable *table, TimestampTz now);

#endif							/* MO_USES_H */
